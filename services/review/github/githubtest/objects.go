package githubtest

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// object is a JSON object of an answer.
type object = map[string]any

func node(kind string, id int64) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%03d:%s%d", len(kind), kind, id))
}

// date writes a time as the API does; the zero time is null.
func date(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}

func (s *Server) userObject(a *account) any {
	if a == nil {
		return nil
	}
	api := s.APIURL + "/users/" + url.PathEscape(a.login)
	return object{
		"login": a.login, "id": a.id, "node_id": node("User", a.id), "avatar_url": s.URL + "/avatars/u/" + strconv.FormatInt(a.id, 10), "gravatar_id": "",
		"url": api, "html_url": s.URL + "/" + strings.TrimSuffix(a.login, "[bot]"), "followers_url": api + "/followers",
		"following_url": api + "/following{/other_user}", "gists_url": api + "/gists{/gist_id}", "starred_url": api + "/starred{/owner}{/repo}",
		"subscriptions_url": api + "/subscriptions", "organizations_url": api + "/orgs", "repos_url": api + "/repos",
		"events_url": api + "/events{/privacy}", "received_events_url": api + "/received_events", "type": a.kind, "site_admin": false,
	}
}

// repositoryURLs are the members of a repository that follow from its API address alone.
const repositoryURLs = `forks_url /forks|keys_url /keys{/key_id}|collaborators_url /collaborators{/collaborator}|teams_url /teams|hooks_url /hooks|` +
	`issue_events_url /issues/events{/number}|events_url /events|assignees_url /assignees{/user}|branches_url /branches{/branch}|tags_url /tags|` +
	`blobs_url /git/blobs{/sha}|git_tags_url /git/tags{/sha}|git_refs_url /git/refs{/sha}|trees_url /git/trees{/sha}|statuses_url /statuses/{sha}|` +
	`languages_url /languages|stargazers_url /stargazers|contributors_url /contributors|subscribers_url /subscribers|subscription_url /subscription|` +
	`commits_url /commits{/sha}|git_commits_url /git/commits{/sha}|comments_url /comments{/number}|issue_comment_url /issues/comments{/number}|` +
	`contents_url /contents/{+path}|compare_url /compare/{base}...{head}|merges_url /merges|archive_url /{archive_format}{/ref}|downloads_url /downloads|` +
	`issues_url /issues{/number}|pulls_url /pulls{/number}|milestones_url /milestones{/number}|notifications_url /notifications{?since,all,participating}|` +
	`labels_url /labels{/name}|releases_url /releases{/id}|deployments_url /deployments`

func (s *Server) repositoryObject(r *repository) any {
	if r == nil {
		return nil
	}
	api, page := s.repoAPI(r), s.URL+"/"+r.fullName()
	visibility := "public"
	if r.private {
		visibility = "private"
	}
	open := 0
	for _, p := range r.pulls {
		if !p.closed {
			open++
		}
	}
	o := object{
		"id": r.id, "node_id": node("Repository", r.id), "name": r.name(), "full_name": r.fullName(), "private": r.private, "owner": s.userObject(r.owner),
		"html_url": page, "description": nil, "fork": r.parent != nil, "url": api, "created_at": date(r.created), "updated_at": date(r.pushed),
		"pushed_at": date(r.pushed), "git_url": "git" + strings.TrimPrefix(page, "http") + ".git", "ssh_url": "git@localhost:" + r.fullName() + ".git",
		"clone_url": page + ".git", "svn_url": page, "homepage": nil, "size": 0, "stargazers_count": 0, "watchers_count": 0, "language": nil,
		"has_issues": true, "has_projects": true, "has_downloads": true, "has_wiki": true, "has_pages": false, "has_discussions": false, "forks_count": 0,
		"mirror_url": nil, "archived": false, "disabled": false, "open_issues_count": open, "license": nil, "allow_forking": true, "is_template": false,
		"topics": []string{}, "visibility": visibility, "forks": 0, "open_issues": open, "watchers": 0, "default_branch": r.defaultBranch,
	}
	for member := range strings.SplitSeq(repositoryURLs, "|") {
		name, path, _ := strings.Cut(member, " ")
		o[name] = api + path
	}
	return o
}

func (s *Server) repoAPI(r *repository) string { return s.APIURL + "/repos/" + r.fullName() }

func (p *pull) state() string {
	if p.closed {
		return "closed"
	}
	return "open"
}

// shownHead is the head that reads show: a while after a push it may still be the one before.
func (p *pull) shownHead() string {
	if p.lagging > 0 && len(p.former) > 0 {
		return p.former[len(p.former)-1]
	}
	return p.headSHA
}

// pullObject is the simple form; detailed adds what only the single pull request has.
func (s *Server) pullObject(p *pull) object {
	r := p.repo
	api, page := fmt.Sprintf("%s/pulls/%d", s.repoAPI(r), p.number), fmt.Sprintf("%s/%s/pull/%d", s.URL, r.fullName(), p.number)
	issue := fmt.Sprintf("%s/issues/%d", s.repoAPI(r), p.number)
	head := p.shownHead()
	statuses := s.repoAPI(r) + "/statuses/" + head
	labels := []any{}
	for i, l := range p.labels {
		id := p.id*100 + int64(i)
		labels = append(labels, object{
			"id": id, "node_id": node("Label", id), "url": s.repoAPI(r) + "/labels/" + l, "name": l, "color": "ededed", "default": false, "description": "",
		})
	}
	reviewers := []any{}
	for _, a := range p.reviewers {
		reviewers = append(reviewers, s.userObject(a))
	}
	var body, merged any
	if p.body != "" {
		body = p.body
	}
	if p.merged {
		merged = date(p.closedAt)
	}
	href := func(url string) object { return object{"href": url} }
	return object{
		"url": api, "id": p.id, "node_id": node("PullRequest", p.id), "html_url": page, "diff_url": page + ".diff", "patch_url": page + ".patch",
		"issue_url": issue, "number": p.number, "state": p.state(), "locked": p.locked, "title": p.title, "user": s.userObject(p.author), "body": body,
		"created_at": date(p.created), "updated_at": date(p.updated), "closed_at": date(p.closedAt), "merged_at": merged, "merge_commit_sha": nil,
		"assignee": nil, "assignees": []any{}, "requested_reviewers": reviewers, "requested_teams": []any{}, "labels": labels, "milestone": nil, "draft": p.draft,
		"commits_url": api + "/commits", "review_comments_url": api + "/comments", "review_comment_url": s.repoAPI(r) + "/pulls/comments{/number}",
		"comments_url": issue + "/comments", "statuses_url": statuses, "author_association": association(r, p.author), "auto_merge": nil, "active_lock_reason": nil,
		"head": s.tipObject(p.headOwner, p.headRepo, p.headRef, head), "base": s.tipObject(r.owner, r, p.baseRef, p.baseSHA),
		"_links": object{
			"self": href(api), "html": href(page), "issue": href(issue), "comments": href(issue + "/comments"), "review_comments": href(api + "/comments"),
			"review_comment": href(s.repoAPI(r) + "/pulls/comments{/number}"), "commits": href(api + "/commits"), "statuses": href(statuses),
		},
	}
}

func (s *Server) tipObject(owner *account, r *repository, ref, sha string) object {
	return object{"label": owner.login + ":" + ref, "ref": ref, "sha": sha, "user": s.userObject(owner), "repo": s.repositoryObject(r)}
}

type counts struct{ commits, additions, deletions, files int }

func (s *Server) detailedPull(p *pull, n counts) object {
	o := s.pullObject(p)
	comments := 0
	for _, c := range p.comments {
		if c.visible() {
			comments++
		}
	}
	var by any
	if p.merged {
		by = s.userObject(p.repo.owner)
	}
	o["merged"], o["mergeable"], o["rebaseable"], o["mergeable_state"], o["merged_by"] = p.merged, nil, nil, "unknown", by
	o["comments"], o["review_comments"], o["maintainer_can_modify"] = len(p.talk), comments, false
	o["commits"], o["additions"], o["deletions"], o["changed_files"] = n.commits, n.additions, n.deletions, n.files
	return o
}

// association is what the author of a comment is to the repository.
func association(r *repository, a *account) string {
	if a == nil {
		return "NONE"
	}
	switch {
	case strings.EqualFold(a.login, r.owner.login):
		return "OWNER"
	case r.roles[strings.ToLower(a.login)] != "" && r.owner.kind == "Organization":
		return "MEMBER"
	case r.roles[strings.ToLower(a.login)] != "":
		return "COLLABORATOR"
	}
	return "NONE"
}
