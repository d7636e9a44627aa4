package githubtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"witan.dev/services/review/github/githubtest/git"
)

// detailed is the pull request as deliveries have it.
func (p *PullRequest) detailed(ctx context.Context) (object, error) {
	v := p.s.view(p.p)
	d, err := v.diff(ctx)
	if err != nil && !errors.Is(err, git.ErrNotFound) {
		return nil, err
	}
	var n counts
	if d != nil {
		n.files = len(d.Files)
		for _, f := range d.Files {
			n.additions, n.deletions = n.additions+f.Added, n.deletions+f.Deleted
		}
		if n.commits, err = v.repo.Count(ctx, v.base, v.head); err != nil {
			return nil, err
		}
	}
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	return p.s.detailedPull(p.p, n), nil
}

// notify delivers pull_request.<action>.
func (p *PullRequest) notify(ctx context.Context, action, sender string, members object) error {
	full, err := p.detailed(ctx)
	if err != nil {
		return err
	}
	p.s.mu.Lock()
	body := object{"number": p.p.number, "pull_request": full}
	maps.Copy(body, members)
	d, err := p.s.event("pull_request", action, p.p.repo, p.s.account(sender), body)
	p.s.mu.Unlock()
	return p.s.deliver(ctx, d, err)
}

// Announce sends the webhook pull_request.<action> about the pull request as it is, such as "opened" for one that was
// opened before there was anybody to tell.
func (p *PullRequest) Announce(ctx context.Context, action string) error {
	return p.notify(ctx, action, p.p.author.login, nil)
}

// Push adds a commit to the head branch and returns it. Comments whose lines it changes are outdated from then on.
func (p *PullRequest) Push(ctx context.Context, c Commit) (string, error) {
	head := p.headRepository()
	if head == nil {
		return "", errors.New("the head repository was deleted")
	}
	c.Branch = ""
	if c.Parent == "" {
		c.Parent = p.Head()
	}
	id, err := head.Commit(ctx, c)
	if err != nil {
		return "", err
	}
	return id, p.SetHead(ctx, id)
}

func (p *PullRequest) headRepository() *Repository {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	if p.p.headRepo == nil {
		return nil
	}
	return &Repository{p.s, p.p.headRepo}
}

// SetHead points the head branch at a commit of the head repository, whatever it was at: a push, or a force push where
// the old head is no ancestor. The webhooks push and pull_request.synchronize are sent.
func (p *PullRequest) SetHead(ctx context.Context, commit string) error {
	before, branch, err := p.move(ctx, commit)
	if err != nil || before == commit {
		return err
	}
	if head := p.headRepository(); head != nil && head.r == p.p.repo {
		if err := head.announcePush(ctx, branch, before, commit); err != nil {
			return err
		}
	}
	if p.s.view(p.p).closed {
		return nil
	}
	return p.notify(ctx, "synchronize", p.p.author.login, object{"before": before, "after": commit})
}

func (p *PullRequest) move(ctx context.Context, commit string) (before, branch string, err error) {
	s := p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	q := p.p
	if q.headRepo == nil {
		return "", "", errors.New("the head repository was deleted")
	}
	if err := q.headRepo.git.SetRef(ctx, "refs/heads/"+q.headRef, commit); err != nil {
		return "", "", err
	}
	before = q.headSHA
	if before == commit || q.closed {
		return before, q.headRef, nil
	}
	q.former, q.headSHA, q.updated = append(q.former, before), commit, s.now()
	q.headRepo.pushed = s.now()
	if base, err := q.repo.git.Resolve(ctx, "refs/heads/"+q.baseRef); err == nil {
		q.baseSHA = base
	}
	if err := s.publishHead(ctx, q); err != nil {
		return "", "", err
	}
	s.place(ctx, q)
	return before, q.headRef, nil
}

// Rebase puts the changes of the pull request, as one commit, on the present tip of its base branch, and force-pushes.
func (p *PullRequest) Rebase(ctx context.Context, message string) (string, error) {
	v := p.s.view(p.p)
	d, err := v.diff(ctx)
	if err != nil {
		return "", err
	}
	onto, err := v.repo.Resolve(ctx, "refs/heads/"+v.baseRef)
	if err != nil {
		return "", err
	}
	c := git.Commit{Parents: []string{onto}, Message: message, Author: p.p.author.login, Email: p.p.author.login + "@users.noreply.example"}
	for _, f := range d.Files {
		if f.OldPath != f.Path || f.Status == 'D' {
			c.Files = append(c.Files, git.File{Path: f.OldPath, Delete: true})
		}
		if f.Status == 'D' {
			continue
		}
		data, err := v.repo.Blob(ctx, f.NewID)
		if err != nil {
			return "", err
		}
		c.Files = append(c.Files, git.File{Path: f.Path, Mode: f.NewMode, Data: data})
	}
	head := p.headRepository()
	if head == nil {
		return "", errors.New("the head repository was deleted")
	}
	if head.r != p.p.repo {
		if err := head.r.git.Fetch(ctx, p.p.repo.git, "refs/heads/"+v.baseRef); err != nil {
			return "", err
		}
	}
	p.s.mu.Lock()
	head.r.clock = head.r.clock.Add(time.Minute)
	c.When = head.r.clock
	p.s.mu.Unlock()
	id, err := head.r.git.Commit(ctx, c)
	if err != nil {
		return "", err
	}
	return id, p.SetHead(ctx, id)
}

// Prune removes from the repository what no branch and no pull request's head reaches: the commits that force pushes
// left behind can no longer be fetched or named.
func (p *PullRequest) Prune(ctx context.Context) error { return p.p.repo.git.Prune(ctx) }

// Close closes the pull request without merging it.
func (p *PullRequest) Close(ctx context.Context, by string) error {
	return p.set(ctx, by, "closed", func(q *pull) { q.closed, q.closedAt = true, p.s.now() })
}

// Merge closes it as merged; the base branch takes the head's tree by a merge commit.
func (p *PullRequest) Merge(ctx context.Context, by string) error {
	v := p.s.view(p.p)
	d, err := v.diff(ctx)
	if err != nil {
		return err
	}
	tip, err := v.repo.Resolve(ctx, "refs/heads/"+v.baseRef)
	if err != nil {
		return err
	}
	c := git.Commit{Parents: []string{tip, v.head}, Message: fmt.Sprintf("Merge pull request #%d", p.p.number), Author: by, Email: by + "@users.noreply.example", When: p.s.now()}
	for _, f := range d.Files {
		if f.OldPath != f.Path || f.Status == 'D' {
			c.Files = append(c.Files, git.File{Path: f.OldPath, Delete: true})
		}
		if f.Status != 'D' {
			data, err := v.repo.Blob(ctx, f.NewID)
			if err != nil {
				return err
			}
			c.Files = append(c.Files, git.File{Path: f.Path, Mode: f.NewMode, Data: data})
		}
	}
	id, err := v.repo.Commit(ctx, c)
	if err != nil {
		return err
	}
	if err := v.repo.SetRef(ctx, "refs/heads/"+v.baseRef, id); err != nil {
		return err
	}
	return p.set(ctx, by, "closed", func(q *pull) { q.closed, q.merged, q.closedAt = true, true, p.s.now() })
}

// Reopen opens it again; pushes to its branch meanwhile count.
func (p *PullRequest) Reopen(ctx context.Context, by string) error {
	return p.set(ctx, by, "reopened", func(q *pull) {
		q.closed, q.closedAt = false, time.Time{}
	})
}

// ConvertToDraft makes it a draft.
func (p *PullRequest) ConvertToDraft(ctx context.Context, by string) error {
	return p.set(ctx, by, "converted_to_draft", func(q *pull) { q.draft = true })
}

// ReadyForReview makes it no draft any more.
func (p *PullRequest) ReadyForReview(ctx context.Context, by string) error {
	return p.set(ctx, by, "ready_for_review", func(q *pull) { q.draft = false })
}

// Lock locks its conversation: comments are refused.
func (p *PullRequest) Lock(ctx context.Context, by string) error {
	return p.set(ctx, by, "locked", func(q *pull) { q.locked = true })
}

func (p *PullRequest) set(ctx context.Context, by, action string, change func(*pull)) error {
	p.s.mu.Lock()
	change(p.p)
	p.p.updated = p.s.now()
	p.s.mu.Unlock()
	return p.notify(ctx, action, by, nil)
}

// Retitle changes title and description.
func (p *PullRequest) Retitle(ctx context.Context, by, title, body string) error {
	p.s.mu.Lock()
	was := p.p.title
	p.p.title, p.p.body, p.p.updated = title, body, p.s.now()
	p.s.mu.Unlock()
	return p.notify(ctx, "edited", by, object{"changes": object{"title": object{"from": was}}})
}

// SetBase changes the base branch.
func (p *PullRequest) SetBase(ctx context.Context, by, branch string) error {
	s := p.s
	s.mu.Lock()
	id, err := p.p.repo.git.Resolve(ctx, "refs/heads/"+branch)
	wasRef, wasSHA := p.p.baseRef, p.p.baseSHA
	if err == nil {
		p.p.baseRef, p.p.baseSHA, p.p.updated = branch, id, s.now()
		s.place(ctx, p.p)
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return p.notify(ctx, "edited", by, object{"changes": object{"base": object{"ref": object{"from": wasRef}, "sha": object{"from": wasSHA}}}})
}

// Label adds a label, or takes it off.
func (p *PullRequest) Label(ctx context.Context, by, name string, on bool) error {
	action := "labeled"
	label := object{"id": p.p.id, "node_id": node("Label", p.p.id), "url": p.s.repoAPI(p.p.repo) + "/labels/" + name, "name": name, "color": "ededed", "default": false}
	p.s.mu.Lock()
	p.p.labels = slices.DeleteFunc(p.p.labels, func(l string) bool { return l == name })
	if on {
		p.p.labels = append(p.p.labels, name)
	} else {
		action = "unlabeled"
	}
	p.s.mu.Unlock()
	return p.notify(ctx, action, by, object{"label": label})
}

// RequestReview asks somebody for a review and sends pull_request.review_requested.
func (p *PullRequest) RequestReview(ctx context.Context, by, reviewer string) error {
	p.s.mu.Lock()
	a := p.s.account(reviewer)
	if !slices.Contains(p.p.reviewers, a) {
		p.p.reviewers = append(p.p.reviewers, a)
	}
	o := p.s.userObject(a)
	p.s.mu.Unlock()
	return p.notify(ctx, "review_requested", by, object{"requested_reviewer": o})
}

// DeleteHeadBranch deletes the head branch; refs/pull/N/head stays, as at GitHub.
func (p *PullRequest) DeleteHeadBranch(ctx context.Context) error {
	head := p.headRepository()
	if head == nil {
		return nil
	}
	return head.SetBranch(ctx, p.p.headRef, "")
}

// LoseHead removes refs/pull/N/head and the head's commits as well, which happens at GitHub only when something is wrong.
func (p *PullRequest) LoseHead(ctx context.Context) error {
	if err := p.DeleteHeadBranch(ctx); err != nil {
		return err
	}
	if err := p.p.repo.git.SetRef(ctx, fmt.Sprintf("refs/pull/%d/head", p.p.number), ""); err != nil {
		return err
	}
	return p.Prune(ctx)
}

func (s *Server) as(login string, r *repository) *call {
	return &call{repo: r, who: identity{account: s.account(login)}}
}

// Comment writes a comment of a user into the conversation, sends issue_comment.created, and returns its ID.
func (p *PullRequest) Comment(ctx context.Context, login, body string) (int64, error) {
	s := p.s
	s.mu.Lock()
	c := s.as(login, p.p.repo)
	m := &issueComment{post: s.post(c, p.p, KindIssueComment, body), pull: p.p}
	p.p.talk = append(p.p.talk, m)
	d, err := s.event("issue_comment", "created", p.p.repo, c.who.account, object{"comment": s.talkObject(m), "issue": s.issueObject(p.p)})
	s.mu.Unlock()
	return m.id, s.deliver(ctx, d, err)
}

// EditComment changes a comment of the conversation and sends issue_comment.edited.
func (p *PullRequest) EditComment(ctx context.Context, login string, id int64, body string) error {
	s := p.s
	s.mu.Lock()
	i := slices.IndexFunc(p.p.talk, func(m *issueComment) bool { return m.id == id })
	if i < 0 {
		s.mu.Unlock()
		return fmt.Errorf("comment %d: %w", id, ErrNotFound)
	}
	m := p.p.talk[i]
	was := m.Body
	s.edit(m.post, body)
	d, err := s.event("issue_comment", "edited", p.p.repo, s.account(login), object{
		"changes": object{"body": object{"from": was}}, "comment": s.talkObject(m), "issue": s.issueObject(p.p),
	})
	s.mu.Unlock()
	return s.deliver(ctx, d, err)
}

// thread finds the thread of a review comment. The caller holds the lock.
func (p *PullRequest) thread(comment int64) (*thread, error) {
	for _, t := range p.p.threads {
		if slices.ContainsFunc(t.comments, func(m *reviewComment) bool { return m.id == comment }) {
			return t, nil
		}
	}
	return nil, fmt.Errorf("review comment %d: %w", comment, ErrNotFound)
}

// Reply answers as a user in the thread of a review comment, sends pull_request_review_comment.created, and returns the
// answer's ID.
func (p *PullRequest) Reply(ctx context.Context, login string, comment int64, body string) (int64, error) {
	s := p.s
	s.mu.Lock()
	t, err := p.thread(comment)
	if err != nil {
		s.mu.Unlock()
		return 0, err
	}
	c := s.as(login, p.p.repo)
	m := s.newReply(c, t, body)
	d, err := s.event("pull_request_review_comment", "created", p.p.repo, c.who.account, object{"comment": s.commentObject(m), "pull_request": s.pullObject(p.p)})
	s.mu.Unlock()
	return m.id, s.deliver(ctx, d, err)
}

// Review submits a review of a user that has only a body and sends pull_request_review.submitted.
func (p *PullRequest) Review(ctx context.Context, login, body string) (int64, error) {
	s := p.s
	s.mu.Lock()
	c := s.as(login, p.p.repo)
	r := &reviewState{post: s.post(c, p.p, KindReview, body), pull: p.p, state: "COMMENTED", commit: p.p.headSHA, submitted: s.now()}
	p.p.reviews = append(p.p.reviews, r)
	o := s.reviewObject(r)
	o["state"] = strings.ToLower(r.state)
	d, err := s.event("pull_request_review", "submitted", p.p.repo, c.who.account, object{"review": o, "pull_request": s.pullObject(p.p)})
	s.mu.Unlock()
	return r.id, s.deliver(ctx, d, err)
}

// BeginReview begins a review of a user, or of the App's bot, that is not submitted, with a comment on a changed file for
// each body, and returns its ID.
func (p *PullRequest) BeginReview(ctx context.Context, login, path string, bodies ...string) (int64, error) {
	s := p.s
	at, problem := s.snapshot(ctx, p.p, "")
	if problem != "" {
		return 0, errors.New(problem)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.as(login, p.p.repo)
	r := &reviewState{post: s.post(c, p.p, KindReview, ""), pull: p.p, state: "PENDING", commit: at.commit, submitted: s.now()}
	p.p.reviews = append(p.p.reviews, r)
	for _, body := range bodies {
		s.addComment(c, r, placed{place: place{path: path, file: true}}, at, body)
	}
	return r.id, nil
}

// Resolve resolves the thread of a review comment as a user, or unresolves it, and sends pull_request_review_thread.
func (p *PullRequest) Resolve(ctx context.Context, login string, comment int64, resolved bool) error {
	s := p.s
	s.mu.Lock()
	t, err := p.thread(comment)
	if err != nil {
		s.mu.Unlock()
		return err
	}
	d, err := s.resolve(t, s.account(login), resolved)
	s.mu.Unlock()
	return s.deliver(ctx, d, err)
}

// resolve changes a thread; the delivery is nil where nothing changed. The caller holds the lock.
func (s *Server) resolve(t *thread, by *account, resolved bool) (*Delivery, error) {
	if t.resolved == resolved {
		return nil, nil
	}
	t.resolved, t.resolvedBy = resolved, by
	action := "resolved"
	if !resolved {
		action, t.resolvedBy = "unresolved", nil
	}
	comments := []any{}
	for _, m := range t.comments {
		if m.visible() {
			comments = append(comments, s.commentObject(m))
		}
	}
	return s.event("pull_request_review_thread", action, t.pull.repo, by, object{
		"thread": object{"node_id": t.id, "comments": comments}, "pull_request": s.pullObject(t.pull),
	})
}

// DeleteComment deletes a comment of a thread or of the conversation, as a user who may, and sends the webhook of it.
func (p *PullRequest) DeleteComment(ctx context.Context, login string, id int64) error {
	s := p.s
	s.mu.Lock()
	d, err := s.deleteAs(p.p, s.account(login), id)
	s.mu.Unlock()
	return s.deliver(ctx, d, err)
}

// deleteAs deletes a comment of either kind. The caller holds the lock.
func (s *Server) deleteAs(p *pull, by *account, id int64) (*Delivery, error) {
	for _, m := range p.comments {
		if m.id == id && !m.deleted {
			m.deleted = true
			return s.event("pull_request_review_comment", "deleted", p.repo, by, object{"comment": s.commentObject(m), "pull_request": s.pullObject(p)})
		}
	}
	for _, m := range p.talk {
		if m.id == id && !m.deleted {
			m.deleted = true
			return s.event("issue_comment", "deleted", p.repo, by, object{"comment": s.talkObject(m), "issue": s.issueObject(p)})
		}
	}
	return nil, fmt.Errorf("comment %d: %w", id, ErrNotFound)
}

// RequestAction presses one of a check run's buttons as a user: check_run.requested_action.
func (r *Repository) RequestAction(ctx context.Context, login string, id int64, identifier string) error {
	r.s.mu.Lock()
	there := slices.ContainsFunc(r.r.checks, func(c *checkRun) bool { return c.id == id && slices.Contains(c.Actions, identifier) })
	r.s.mu.Unlock()
	if !there {
		return fmt.Errorf("button %s of check run %d: %w", identifier, id, ErrNotFound)
	}
	return r.check(ctx, login, id, "requested_action", object{"requested_action": object{"identifier": identifier}})
}

// RerequestCheck asks for a check run again as a user: check_run.rerequested.
func (r *Repository) RerequestCheck(ctx context.Context, login string, id int64) error {
	return r.check(ctx, login, id, "rerequested", nil)
}

func (r *Repository) check(ctx context.Context, login string, id int64, action string, members object) error {
	s := r.s
	s.mu.Lock()
	i := slices.IndexFunc(r.r.checks, func(c *checkRun) bool { return c.id == id })
	if i < 0 {
		s.mu.Unlock()
		return fmt.Errorf("check run %d: %w", id, ErrNotFound)
	}
	body := object{"check_run": s.checkEvent(r.r.checks[i])}
	maps.Copy(body, members)
	d, err := s.event("check_run", action, r.r, s.account(login), body)
	s.mu.Unlock()
	return s.deliver(ctx, d, err)
}

// Push commits to a branch and sends the webhook push.
func (r *Repository) Push(ctx context.Context, c Commit) (string, error) {
	before, err := r.r.git.Resolve(ctx, "refs/heads/"+c.Branch)
	if err != nil {
		before = strings.Repeat("0", 40)
	}
	id, err := r.Commit(ctx, c)
	if err != nil {
		return "", err
	}
	return id, r.announcePush(ctx, c.Branch, before, id)
}

// announcePush sends the webhook push for a branch that was moved.
func (r *Repository) announcePush(ctx context.Context, branch, before, after string) error {
	s := r.s
	none := strings.Repeat("0", 40)
	isNew := before == none
	forced := !isNew && !r.r.git.Reaches(ctx, after, before)
	var commits []git.Info
	if !isNew {
		list, err := r.r.git.List(ctx, before, after, 20)
		if err != nil {
			return err
		}
		commits = list
	}
	head, err := r.r.git.Info(ctx, after)
	if err != nil {
		return err
	}
	s.mu.Lock()
	list := []any{}
	for _, i := range commits {
		list = append(list, s.pushedCommit(r.r, i))
	}
	sender := r.r.owner
	d, err := s.event("push", "", r.r, sender, object{
		"ref": "refs/heads/" + branch, "before": before, "after": after, "created": isNew, "deleted": false, "forced": forced, "base_ref": nil,
		"compare": fmt.Sprintf("%s/%s/compare/%s...%s", s.URL, r.r.fullName(), before[:12], after[:12]), "commits": list, "head_commit": s.pushedCommit(r.r, head),
		"pusher": object{"name": sender.login, "email": sender.login + "@users.noreply.example"},
	})
	s.mu.Unlock()
	return s.deliver(ctx, d, err)
}

func (s *Server) pushedCommit(r *repository, i git.Info) object {
	who := func(name, email string) object { return object{"name": name, "email": email, "username": name} }
	return object{
		"id": i.ID, "tree_id": i.Tree, "distinct": true, "message": i.Message, "timestamp": date(i.Date), "url": s.URL + "/" + r.fullName() + "/commit/" + i.ID,
		"author": who(i.Author, i.Email), "committer": who(i.Committer, i.CommEmail), "added": []any{}, "removed": []any{}, "modified": []any{},
	}
}

// Ping sends the webhook ping, as when the hook is set.
func (s *Server) Ping(ctx context.Context) error {
	s.mu.Lock()
	d, err := s.event("ping", "", nil, s.theApp().owner, object{
		"zen": "Half measures are as bad as nothing at all.", "hook_id": 443288828,
		"hook": object{"type": "App", "id": 443288828, "name": "web", "active": true, "events": []string{"pull_request"}, "app_id": s.theApp().id},
	})
	s.mu.Unlock()
	return s.deliver(ctx, d, err)
}
