package githubtest

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // GitHub still sends this header as well
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Webhook says where deliveries go.
type Webhook struct {
	URL    string
	Secret string
	// Hold only records deliveries; they are sent by Server.Redeliver.
	Hold bool
	// Plain makes it the hook of a repository instead of the App's: payloads then name no installation.
	Plain bool
	// Form sends them as application/x-www-form-urlencoded, as a hook with the wrong setting does.
	Form bool
}

// Delivery is a webhook delivery.
type Delivery struct {
	// ID is the X-GitHub-Delivery, which stays the same when it is delivered again.
	ID            string
	Event, Action string
	Body          []byte
	// Statuses are the answers to each attempt, the oldest first; 0 is no answer.
	Statuses []int
}

type hooks struct {
	config     Webhook
	deliveries []*Delivery
	sending    sync.WaitGroup
}

func (h *hooks) wait() { h.sending.Wait() }

// deliveryTimeout is how long GitHub waits for an answer.
const deliveryTimeout = 10 * time.Second

// SetWebhook says where deliveries go from now on. Until then none are made.
func (s *Server) SetWebhook(w Webhook) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks.config = w
}

// Deliveries are all deliveries so far, the oldest first.
func (s *Server) Deliveries() []Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Delivery
	for _, d := range s.hooks.deliveries {
		v := *d
		v.Statuses = slices.Clone(d.Statuses)
		list = append(list, v)
	}
	return list
}

// Redeliver sends a delivery again (or for the first time, when it was held) under the same ID and returns the answer's
// status, or an error when there was no answer.
func (s *Server) Redeliver(ctx context.Context, id string) (int, error) {
	s.mu.Lock()
	i := slices.IndexFunc(s.hooks.deliveries, func(d *Delivery) bool { return d.ID == id })
	var d *Delivery
	if i >= 0 {
		d = s.hooks.deliveries[i]
	}
	s.mu.Unlock()
	if d == nil {
		return 0, fmt.Errorf("delivery %s: %w", id, ErrNotFound)
	}
	return s.send(ctx, d)
}

// Headers are those of a delivery of this body under a secret.
func (d Delivery) Headers(secret string) http.Header {
	h := http.Header{}
	h.Set("Accept", "*/*")
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", "GitHub-Hookshot/a5b9c1d")
	h.Set("X-GitHub-Delivery", d.ID)
	h.Set("X-GitHub-Event", d.Event)
	h.Set("X-GitHub-Hook-ID", "443288828")
	h.Set("X-GitHub-Hook-Installation-Target-ID", "4217")
	h.Set("X-GitHub-Hook-Installation-Target-Type", "integration")
	if secret != "" {
		h.Set("X-Hub-Signature", "sha1="+sign(sha1.New, secret, d.Body))
		h.Set("X-Hub-Signature-256", "sha256="+sign(sha256.New, secret, d.Body))
	}
	return h
}

func sign(of func() hash.Hash, secret string, body []byte) string {
	mac := hmac.New(of, []byte(secret))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

func (s *Server) send(ctx context.Context, d *Delivery) (int, error) {
	s.mu.Lock()
	to, sent := s.hooks.config, *d
	s.mu.Unlock()
	if to.Form {
		sent.Body = []byte(url.Values{"payload": {string(sent.Body)}}.Encode())
	}
	ctx, cancel := context.WithTimeout(ctx, deliveryTimeout)
	defer cancel()
	status := 0
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to.URL, bytes.NewReader(sent.Body))
	if err == nil {
		request.Header = sent.Headers(to.Secret)
		if to.Form {
			request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		var response *http.Response
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		if response, err = client.Do(request); err == nil {
			status = response.StatusCode
			_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20))
			err = response.Body.Close()
		}
	}
	s.mu.Lock()
	d.Statuses = append(d.Statuses, status)
	s.mu.Unlock()
	return status, err
}

// event makes a delivery, or nil where no webhook is set. The caller holds the lock.
func (s *Server) event(name, action string, r *repository, sender *account, members object) (*Delivery, error) {
	always := name == "ping" || strings.HasPrefix(name, "installation")
	subscribed := s.theApp().events // a repository's own hook asks for no permission
	if !s.hooks.config.Plain {
		subscribed = s.theApp().subscribed()
	}
	if s.hooks.config.URL == "" || !always && !slices.Contains(subscribed, name) {
		return nil, nil
	}
	body := object{"sender": s.userObject(sender)}
	if r != nil {
		body["repository"] = s.repositoryObject(r)
		if r.owner.kind == "Organization" {
			body["organization"] = s.organizationObject(r.owner)
		}
	}
	if action != "" {
		body["action"] = action
	}
	if a := s.theApp(); !s.hooks.config.Plain && (r == nil || a.installation.repos[r.id]) {
		body["installation"] = object{"id": a.installation.id, "node_id": node("IntegrationInstallation", a.installation.id)}
	}
	maps.Copy(body, members)
	encoded, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	raw := randomHex(16)
	d := &Delivery{
		ID: strings.Join([]string{raw[:8], raw[8:12], raw[12:16], raw[16:20], raw[20:]}, "-"), Event: name, Action: action, Body: encoded,
	}
	s.hooks.deliveries = append(s.hooks.deliveries, d)
	return d, nil
}

func (s *Server) organizationObject(a *account) object {
	api := s.APIURL + "/orgs/" + a.login
	return object{
		"login": a.login, "id": a.id, "node_id": node("Organization", a.id), "url": api, "repos_url": api + "/repos", "events_url": api + "/events",
		"hooks_url": api + "/hooks", "issues_url": api + "/issues", "members_url": api + "/members{/member}", "public_members_url": api + "/public_members{/member}",
		"avatar_url": s.URL + "/avatars/u/" + fmt.Sprint(a.id), "description": "",
	}
}

// announce delivers what a request caused, beside the request as GitHub does. The caller holds the lock.
func (s *Server) announce(name, action string, r *repository, sender *account, members object) {
	d, err := s.event(name, action, r, sender, members)
	if err != nil || d == nil || s.hooks.config.Hold || s.closing.Err() != nil {
		return
	}
	s.hooks.sending.Go(func() { _, _ = s.send(s.closing, d) })
}

// deliver sends what an action caused and waits for the answer; that nobody took it is no error of the action.
func (s *Server) deliver(ctx context.Context, d *Delivery, err error) error {
	if err != nil || d == nil {
		return err
	}
	s.mu.Lock()
	hold := s.hooks.config.Hold
	s.mu.Unlock()
	if !hold {
		_, _ = s.send(ctx, d)
	}
	if err := ctx.Err(); err != nil {
		return errors.Join(errors.New("the delivery was given up"), err)
	}
	return nil
}

// Settle waits until no delivery is under way.
func (s *Server) Settle() { s.hooks.sending.Wait() }

func (s *Server) announceReview(r *reviewState) {
	for _, m := range r.pull.comments {
		if m.review == r {
			s.announceComment(m, "created", m.account)
		}
	}
	o := s.reviewObject(r)
	o["state"] = strings.ToLower(r.state)
	if r.Body == "" {
		o["body"] = nil
	}
	s.announce("pull_request_review", "submitted", r.pull.repo, r.account, object{"review": o, "pull_request": s.pullObject(r.pull)})
}

func (s *Server) announceComment(m *reviewComment, action string, sender *account) {
	s.announce("pull_request_review_comment", action, m.pull.repo, sender, object{"comment": s.commentObject(m), "pull_request": s.pullObject(m.pull)})
}

func (s *Server) announceTalk(m *issueComment, action string, sender *account) {
	s.announce("issue_comment", action, m.pull.repo, sender, object{"comment": s.talkObject(m), "issue": s.issueObject(m.pull)})
}

func (s *Server) announceCheck(r *checkRun, action string) {
	s.announce("check_run", action, r.repo, s.theApp().bot, object{"check_run": s.checkEvent(r)})
}

// checkEvent is a check run as deliveries have it, with its suite in full.
func (s *Server) checkEvent(r *checkRun) object {
	o := s.checkObject(r)
	var branch any
	for _, p := range r.repo.pulls {
		if p.headSHA == r.head {
			branch = p.headRef
		}
	}
	o["check_suite"] = object{
		"id": r.suite, "node_id": node("CheckSuite", r.suite), "head_branch": branch, "head_sha": r.head, "status": o["status"], "conclusion": o["conclusion"],
		"url": fmt.Sprintf("%s/check-suites/%d", s.repoAPI(r.repo), r.suite), "before": r.head, "after": r.head, "pull_requests": o["pull_requests"],
		"app": o["app"], "created_at": date(r.Created), "updated_at": date(r.Updated),
	}
	return o
}

// issueObject is the pull request as an issue, which is how comments in its conversation name it.
func (s *Server) issueObject(p *pull) object {
	full := s.pullObject(p)
	api := fmt.Sprintf("%s/issues/%d", s.repoAPI(p.repo), p.number)
	o := object{
		"url": api, "repository_url": s.repoAPI(p.repo), "labels_url": api + "/labels{/name}", "comments_url": api + "/comments", "events_url": api + "/events",
		"timeline_url": api + "/timeline", "comments": len(p.talk), "reactions": reactionCounts(api, nil), "performed_via_github_app": nil, "state_reason": nil,
		"pull_request": object{"url": full["url"], "html_url": full["html_url"], "diff_url": full["diff_url"], "patch_url": full["patch_url"], "merged_at": full["merged_at"]},
	}
	for _, name := range []string{
		"html_url", "id", "node_id", "number", "title", "user", "labels", "state", "locked", "assignee", "assignees", "milestone", "created_at", "updated_at",
		"closed_at", "author_association", "active_lock_reason", "draft", "body",
	} {
		o[name] = full[name]
	}
	return o
}

// NotifyInstallation sends installation.<action>: created, deleted, suspend, unsuspend or new_permissions_accepted. It
// tells and changes nothing: see Suspend, Grant and Repository.Install.
func (s *Server) NotifyInstallation(ctx context.Context, action string) error {
	s.mu.Lock()
	a := s.theApp()
	o := s.installationObject(a)
	members := object{"installation": o, "repositories": s.shortRepositories()}
	d, err := s.event("installation", action, nil, a.owner, members)
	s.mu.Unlock()
	return s.deliver(ctx, d, err)
}

// shortRepositories are the installation's in the form of deliveries. The caller holds the lock.
func (s *Server) shortRepositories() []any {
	list := []any{}
	for _, id := range slices.Sorted(maps.Keys(s.theApp().installation.repos)) {
		if r := s.repos[id]; r != nil {
			list = append(list, shortRepository(r))
		}
	}
	return list
}

func shortRepository(r *repository) object {
	return object{"id": r.id, "node_id": node("Repository", r.id), "name": r.name(), "full_name": r.fullName(), "private": r.private}
}

// NotifyInstalled sends installation_repositories: the App was put on the repository, or taken off. See Install.
func (r *Repository) NotifyInstalled(ctx context.Context, installed bool) error {
	s := r.s
	s.mu.Lock()
	action, added, removed := "added", []any{shortRepository(r.r)}, []any{}
	if !installed {
		action, added, removed = "removed", removed, added
	}
	d, err := s.event("installation_repositories", action, nil, r.r.owner, object{
		"installation": s.installationObject(s.theApp()), "repository_selection": "selected", "repositories_added": added, "repositories_removed": removed, "requester": nil,
	})
	s.mu.Unlock()
	return s.deliver(ctx, d, err)
}

// NotifyRenamed sends repository.renamed from a former name. See Rename.
func (r *Repository) NotifyRenamed(ctx context.Context, from string) error {
	s := r.s
	s.mu.Lock()
	d, err := s.event("repository", "renamed", r.r, r.r.owner, object{"changes": object{"repository": object{"name": object{"from": from}}}})
	s.mu.Unlock()
	return s.deliver(ctx, d, err)
}
