package github

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/google/go-github/v60/github"

	"witan.dev/internal/git"
	"witan.dev/services/review"
)

const (
	maxTitle  = 1 << 10
	maxText   = 64 << 10
	maxLabels = 100
	maxLabel  = 200
	maxURL    = 2 << 10
	ghost     = "ghost" // who GitHub shows for accounts that are gone
)

// PullRequest implements review.Forge. A renamed repository is found by its ID, where that is known.
func (c *Client) PullRequest(ctx context.Context, ref review.PullRef) (review.PullRequest, error) {
	got, err := c.pull(ctx, ref)
	if ref.ID == 0 || err == nil && got.GetBase().GetRepo().GetID() == ref.ID {
		if err != nil {
			return review.PullRequest{}, err
		}
		return c.complete(ctx, ref, got)
	}
	if err != nil && !errors.Is(err, review.ErrPullRequestNotFound) {
		return review.PullRequest{}, err
	}
	// Nobody is there under that name any more, or somebody else.
	if ref.Repo, err = c.renamed(ctx, ref.Repo); err != nil {
		return review.PullRequest{}, err
	}
	if got, err = c.pull(ctx, ref); err != nil {
		return review.PullRequest{}, err
	}
	if got.GetBase().GetRepo().GetID() != ref.ID {
		return review.PullRequest{}, noPull(ref)
	}
	return c.complete(ctx, ref, got)
}

func noPull(ref review.PullRef) error {
	return review.ErrPullRequestNotFound.With("repository", line(ref.FullName(), maxOwner+maxName+1)).With("number", fmt.Sprint(ref.Number))
}

func (c *Client) pull(ctx context.Context, ref review.PullRef) (*github.PullRequest, error) {
	if ref.Number < 1 || ref.Number > 1<<31-1 {
		return nil, noPull(ref)
	}
	conn, err := c.connect(ctx, toRead, ref.Repo)
	if err != nil {
		return nil, err
	}
	var got github.PullRequest
	if err := conn.get(ctx, fmt.Sprintf("repos/%s/pulls/%d", ref.FullName(), ref.Number), &got); err != nil {
		return nil, notFound(err, noPull(ref))
	}
	base := got.GetBase()
	if int64(got.GetNumber()) != ref.Number || base.GetRepo().GetID() == 0 || !git.IsObjectID(base.GetSHA()) || !git.IsObjectID(got.GetHead().GetSHA()) {
		return nil, incomplete("a pull request")
	}
	return &got, nil
}

// renamed returns the repository under its present name.
func (c *Client) renamed(ctx context.Context, repo review.Repo) (review.Repo, error) {
	gone := review.ErrPullRequestNotFound.With("repository", line(repo.FullName(), maxOwner+maxName+1))
	// The installation of the name may be another one by now, or there is none: the App asks as it was told, if it was.
	id := repo.Installation
	if c.p.AppID != 0 && id == 0 {
		if id = c.p.Installation; id == 0 {
			return repo, gone
		}
	}
	conn, err := c.connection(c.key(toRead, id, repo))
	if err != nil {
		return repo, err
	}
	var got github.Repository
	if err := (&link{conn, repo}).get(ctx, fmt.Sprintf("repositories/%d", repo.ID), &got); err != nil {
		return repo, notFound(err, gone)
	}
	repo.Owner, repo.Name = got.GetOwner().GetLogin(), got.GetName()
	if got.GetID() != repo.ID || !validRepo(repo) {
		return repo, incomplete("a repository")
	}
	return repo, nil
}

// complete makes the domain's pull request. The commit that GitHub gives for the base is the one of the last push to the
// pull request: the branch may be ahead of it.
func (c *Client) complete(ctx context.Context, ref review.PullRef, got *github.PullRequest) (review.PullRequest, error) {
	p := pullRequest(got)
	p.Host, p.Number = c.host, ref.Number
	if !validRepo(p.Repo) {
		return review.PullRequest{}, incomplete("a pull request")
	}
	var err error
	if p.Installation, err = c.installation(ctx, review.Repo{Owner: p.Owner, Name: p.Name, Installation: ref.Installation}); err != nil {
		return review.PullRequest{}, err
	}
	tip, err := c.Tip(ctx, p.Repo, p.BaseBranch)
	switch {
	case err == nil:
		p.BaseTip = tip
	case !errors.Is(err, review.ErrRevisionUnknown): // the branch of a merged one may be gone
		return review.PullRequest{}, err
	}
	return p, nil
}

func pullRequest(got *github.PullRequest) review.PullRequest {
	base, head := got.GetBase(), got.GetHead()
	p := review.PullRequest{
		State: review.PullOpen, Draft: got.GetDraft(), Title: line(got.GetTitle(), maxTitle), Body: text(got.GetBody()),
		Author: ghost, BaseBranch: base.GetRef(), Base: base.GetSHA(), BaseTip: base.GetSHA(), Head: head.GetSHA(),
		DefaultBranch: base.GetRepo().GetDefaultBranch(), ChangedFiles: max(got.GetChangedFiles(), 0), URL: line(got.GetHTMLURL(), maxURL),
	}
	p.Owner, p.Name, p.ID = base.GetRepo().GetOwner().GetLogin(), base.GetRepo().GetName(), base.GetRepo().GetID()
	switch {
	case got.GetMerged() || got.MergedAt != nil:
		p.State = review.PullMerged
	case got.GetState() == "closed":
		p.State = review.PullClosed
	}
	if u := got.GetUser(); u.GetLogin() != "" {
		p.Author, p.AuthorBot = line(u.GetLogin(), maxLogin), u.GetType() == "Bot"
	}
	for _, l := range got.Labels[:min(len(got.Labels), maxLabels)] {
		p.Labels = append(p.Labels, line(l.GetName(), maxLabel))
	}
	if head.GetRepo() != nil {
		p.HeadBranch = head.GetRef()
	}
	p.Fork = head.GetRepo().GetID() != base.GetRepo().GetID()
	return p
}

func text(s string) string { return cut(strings.ToValidUTF8(s, "\uFFFD"), maxText) }

// content is the answer for a path; for a folder it is a list, which does not fit.
type content struct {
	Type     string `json:"type"`
	Size     int64  `json:"size"`
	SHA      string `json:"sha"`
	Encoding string `json:"encoding"`
	Content  string `json:"content"`
}

// File implements review.Forge. Links and folders are no files.
func (c *Client) File(ctx context.Context, repo review.Repo, path, commit string) ([]byte, error) {
	escaped, ok := escapePath(path)
	if !ok || !git.IsObjectID(commit) {
		return nil, fmt.Errorf("%q: %w", line(path, 200), review.ErrNoFile)
	}
	conn, err := c.connect(ctx, toRead, repo)
	if err != nil {
		return nil, err
	}
	noFile := fmt.Errorf("%q at %.12s: %w", line(path, 200), commit, review.ErrNoFile)
	var answer fileOrFolder
	if err := conn.get(ctx, "repos/"+repo.FullName()+"/contents/"+escaped+"?ref="+commit, &answer); err != nil {
		return nil, notFound(err, noFile)
	}
	f := answer.content
	switch {
	case answer.folder, f.Type != "file":
		return nil, noFile
	case f.Size > review.MaxText:
		return nil, fmt.Errorf("%q: %w", line(path, 200), review.ErrTooLarge)
	case f.Encoding == "base64":
		return f.decode()
	case git.IsObjectID(f.SHA):
		return conn.blob(ctx, repo, f.SHA, review.MaxText) // above 1 MB the content is left out
	}
	return nil, incomplete("a file")
}

// decode returns the content. One of another length was cut.
func (f content) decode() ([]byte, error) {
	data, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(f.Content, "\n", ""))
	if err != nil || int64(len(data)) != f.Size {
		return nil, incomplete("a file")
	}
	return data, nil
}

// permission is an answer with more than the library knows of: it lacks the name of the role.
type permission struct {
	Permission string `json:"permission"`
	Role       string `json:"role_name"`
}

// Permission implements review.Forge. A role of an organisation's own counts as the one that it builds upon.
func (c *Client) Permission(ctx context.Context, repo review.Repo, login string) (review.Permission, error) {
	if !validLogin(login) {
		return review.PermissionNone, nil
	}
	conn, err := c.connect(ctx, toRead, repo)
	if err != nil {
		return review.PermissionNone, err
	}
	var got permission
	if err := conn.get(ctx, "repos/"+repo.FullName()+"/collaborators/"+strings.ReplaceAll(login, "[bot]", "%5Bbot%5D")+"/permission", &got); err != nil {
		if p := notFound(err, nil); p != nil {
			return review.PermissionNone, p
		}
		return review.PermissionNone, nil // no such person
	}
	return got.level()
}

func (p permission) level() (review.Permission, error) {
	for _, name := range []string{p.Role, p.Permission} {
		switch name {
		case "admin":
			return review.PermissionAdmin, nil
		case "maintain":
			return review.PermissionMaintain, nil
		case "write", "push":
			return review.PermissionWrite, nil
		case "triage":
			return review.PermissionTriage, nil
		case "read", "pull":
			return review.PermissionRead, nil
		case "none":
			return review.PermissionNone, nil
		}
	}
	return review.PermissionNone, incomplete("a permission")
}

// Tip implements review.Forge.
func (c *Client) Tip(ctx context.Context, repo review.Repo, branch string) (string, error) {
	unknown := review.ErrRevisionUnknown.With("base", line(branch, 200))
	escaped, ok := escapeRef(branch)
	if !ok {
		return "", unknown
	}
	conn, err := c.connect(ctx, toRead, repo)
	if err != nil {
		return "", err
	}
	var got github.Branch
	if err := conn.get(ctx, "repos/"+repo.FullName()+"/branches/"+escaped, &got); err != nil {
		return "", notFound(err, unknown)
	}
	switch tip := got.GetCommit().GetSHA(); {
	case !git.IsObjectID(tip):
		return "", incomplete("a branch")
	case got.GetName() != branch: // GitHub leads from the former name of a branch to the new one
		return "", unknown
	default:
		return tip, nil
	}
}
