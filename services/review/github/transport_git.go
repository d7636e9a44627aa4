package github

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-github/v60/github"

	"witan.dev/internal/git"
	"witan.dev/internal/secret"
	"witan.dev/services/review"
)

// Remote is where git fetches a repository, and as whom. The password can read and nothing else.
type Remote struct {
	URL      string
	User     string
	Password secret.Text
}

// Remote returns where to fetch a repository. A token that git was refused with is replaced when fresh is set.
func (c *Client) Remote(ctx context.Context, repo review.Repo, fresh bool) (Remote, error) {
	conn, err := c.connect(ctx, toRead, repo)
	if err != nil {
		return Remote{}, err
	}
	if fresh && c.p.AppID != 0 {
		c.forget(conn.connection)
		if conn, err = c.connect(ctx, toRead, repo); err != nil {
			return Remote{}, err
		}
	}
	limited, cancel := context.WithTimeout(ctx, c.p.Timeout)
	defer cancel()
	token, err := conn.tokens.Token(limited)
	if err != nil {
		return Remote{}, conn.failed(ctx, "fetch a repository", nil, err)
	}
	return Remote{URL: c.web.JoinPath(repo.Owner, repo.Name+".git").String(), User: "x-access-token", Password: secret.New(token)}, nil
}

// Renamed returns a repository under the name that it has now. The ID must be known.
func (c *Client) Renamed(ctx context.Context, repo review.Repo) (review.Repo, error) {
	if repo.ID == 0 {
		return repo, review.ErrPullRequestNotFound.With("repository", line(repo.FullName(), maxOwner+maxName+1))
	}
	return c.renamed(ctx, repo)
}

// MergeBase returns the commit that a pull request's diff begins at: the best common ancestor by GitHub's choice, so that
// its lines are the ones that comments can be put on. review.ErrHeadGone where one of the commits is not there any more,
// review.ErrRevisionUnknown where they have no ancestor in common.
func (c *Client) MergeBase(ctx context.Context, repo review.Repo, base, head string) (string, error) {
	if !git.IsObjectID(base) || !git.IsObjectID(head) {
		return "", review.ErrRevisionUnknown.With("base", line(base, 80)).With("head", line(head, 80))
	}
	conn, err := c.connect(ctx, toRead, repo)
	if err != nil {
		return "", err
	}
	// The files with their patches come along on the first page only, the merge base on each.
	for _, page := range []string{"?per_page=1&page=2", "?per_page=1"} {
		var got github.CommitsComparison
		if err := conn.get(ctx, "repos/"+repo.FullName()+"/compare/"+base+"..."+head+page, &got); err != nil {
			return "", notCompared(err, base, head)
		}
		if start := got.GetMergeBaseCommit().GetSHA(); git.IsObjectID(start) {
			return start, nil
		}
	}
	return "", incomplete("a comparison")
}

func notCompared(err error, base, head string) error {
	answer, ok := asAnswer(err, http.StatusNotFound)
	switch {
	case !ok:
		return err
	case strings.Contains(strings.ToLower(answer.message), "common ancestor"):
		return review.ErrRevisionUnknown.With("base", base).With("head", head).With("detail", answer.message).Wrap(answer)
	}
	return fmt.Errorf("compare %.12s with %.12s: %w: %w", base, head, review.ErrHeadGone, answer)
}
