package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"witan.dev/services/review/github/githubtest"
)

// Fault is a fault as scenarios and the control API have it; durations are such as "60s".
type Fault struct {
	Kind       string `json:"kind"        yaml:"kind"`
	Method     string `json:"method"      yaml:"method"`
	Path       string `json:"path"        yaml:"path"`
	Skip       int    `json:"skip"        yaml:"skip"`
	Times      int    `json:"times"       yaml:"times"`
	For        string `json:"for"         yaml:"for"`
	Status     int    `json:"status"      yaml:"status"`
	RetryAfter string `json:"retry_after" yaml:"retry_after"`
	Delay      string `json:"delay"       yaml:"delay"`
}

func (f Fault) fault() (githubtest.Fault, error) {
	out := githubtest.Fault{Kind: githubtest.FaultKind(f.Kind), Method: f.Method, Path: f.Path, Skip: f.Skip, Times: f.Times, Status: f.Status}
	var err error
	for text, to := range map[*string]*time.Duration{&f.For: &out.For, &f.RetryAfter: &out.RetryAfter, &f.Delay: &out.Delay} {
		if *text != "" {
			d, e := time.ParseDuration(*text)
			*to, err = d, errors.Join(err, e)
		}
	}
	if kinds := faultKinds(); !slices.Contains(kinds, f.Kind) {
		err = errors.Join(err, fmt.Errorf("unknown kind %q, not one of: %s", f.Kind, strings.Join(kinds, ", ")))
	}
	return out, err
}

// faultKinds are the kinds of faults that a scenario may have.
func faultKinds() []string {
	var kinds []string
	for _, k := range []githubtest.FaultKind{
		githubtest.FailBefore, githubtest.FailAfter, githubtest.CutBefore, githubtest.CutAfter, githubtest.Slow, githubtest.SecondaryLimit,
		githubtest.Spammed, githubtest.Abuse, githubtest.PrimaryLimit, githubtest.Forbidden,
	} {
		kinds = append(kinds, string(k))
	}
	return kinds
}

// handler is the control API of a server.
type handler struct {
	server *githubtest.Server

	mu     sync.Mutex
	faults []*githubtest.Fault
}

// Handler returns the control API:
//
//	GET    /                                    what is there
//	GET    /posted, /requests, /deliveries      everything that was written, asked, delivered
//	GET    /check                               whether every accepted comment stands in git's own diff
//	POST   /repositories                        a repository of a scenario
//	POST   /repositories/{owner}/{name}/pulls   a pull request of a scenario; it is announced
//	POST   /repositories/{owner}/{name}/pulls/{number}/{action}
//	POST   /repositories/{owner}/{name}/{change} install {"on"}, rename {"name"}, push {"branch", "message", "files", "delete"}
//	POST   /installation                        {"action"}: created, deleted, suspend, unsuspend, new_permissions_accepted
//	POST   /tokens                              {"user", "permissions"} → {"token"}; without a user the App's
//	POST   /webhook                             where deliveries go
//	POST   /settle                              waits until no delivery is under way → {"deliveries": n}
//	POST   /deliveries/{id}/redeliver           → {"status"}
//	POST   /faults, DELETE /faults/{n}          a fault of a scenario → {"fault": n}; its kind is one of: fail before, fail after, cut before, cut after, slow,
//	                                            secondary limit, spammed, abuse, primary limit, forbidden
//	POST   /lag                                 {"reads"}: lists lag by so many reads
//
// Actions: announce {"action"}, push {"message", "files", "delete"}, rebase, close, reopen, draft, ready, merge, lock,
// retitle {"title", "body"}, base {"branch"}, request-review {"reviewer"}, delete-comment {"comment"}, comment {"body"}, reply {"comment", "body"}, resolve and unresolve
// {"comment"}, stale-files {"on"}, prune, lose-head, delete-branch. Each takes "user", by default the owner.
// It has no protection of its own: serve it on loopback only.
func Handler(s *githubtest.Server) http.Handler {
	h := &handler{server: s}
	mux := http.NewServeMux()
	for pattern, handle := range map[string]func(*http.Request) (any, error){
		"GET /{$}":        h.index,
		"GET /posted":     func(*http.Request) (any, error) { return s.Posted(), nil },
		"GET /requests":   func(*http.Request) (any, error) { return s.Requests(), nil },
		"GET /deliveries": h.deliveries,
		"GET /check": func(r *http.Request) (any, error) {
			return map[string]any{"rejected": len(s.Rejected())}, s.CheckPositions(r.Context())
		},
		"POST /repositories":                                        h.addRepository,
		"POST /repositories/{owner}/{name}/pulls":                   h.openPull,
		"POST /repositories/{owner}/{name}/pulls/{number}/{action}": h.act,
		"POST /repositories/{owner}/{name}/{change}":                h.change,
		"POST /installation":                                        h.installation,
		"POST /settle": func(*http.Request) (any, error) {
			s.Settle()
			return map[string]int{"deliveries": len(s.Deliveries())}, nil
		},
		"POST /tokens":                    h.makeToken,
		"POST /webhook":                   h.setWebhook,
		"POST /deliveries/{id}/redeliver": h.redeliver,
		"POST /faults":                    h.inject,
		"DELETE /faults/{n}":              h.remove,
		"POST /lag":                       h.lag,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { answer(w, r, handle) })
	}
	return mux
}

// badRequestError is a request that cannot be understood.
type badRequestError struct{ error }

func answer(w http.ResponseWriter, r *http.Request, handle func(*http.Request) (any, error)) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<20)
	out, err := handle(r)
	status := http.StatusOK
	if err != nil {
		out, status = map[string]string{"error": err.Error()}, http.StatusInternalServerError
		if _, bad := errors.AsType[badRequestError](err); bad {
			status = http.StatusBadRequest
		} else if errors.Is(err, githubtest.ErrNotFound) {
			status = http.StatusNotFound
		}
	}
	if out == nil {
		out = map[string]any{}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(out)
}

func decode(r *http.Request, v any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return badRequestError{err}
	}
	return nil
}

func (h *handler) index(r *http.Request) (any, error) {
	type pull struct {
		Number int    `json:"number"`
		Head   string `json:"head"`
		URL    string `json:"url"`
	}
	repositories := map[string][]pull{}
	for _, repo := range h.server.Repositories() {
		list := []pull{}
		for _, p := range repo.PullRequests() {
			list = append(list, pull{p.Number(), p.Head(), fmt.Sprintf("%s/%s/pull/%d", h.server.URL, repo.Name(), p.Number())})
		}
		repositories[repo.Name()] = list
	}
	return map[string]any{
		"note": "This is a simulator for tests, not GitHub.", "url": h.server.URL, "api_url": h.server.APIURL, "graphql_url": h.server.GraphQLURL, "repositories": repositories,
	}, nil
}

func (h *handler) deliveries(*http.Request) (any, error) {
	type delivery struct {
		ID       string `json:"id"`
		Event    string `json:"event"`
		Action   string `json:"action"`
		Statuses []int  `json:"statuses"`
	}
	list := []delivery{}
	for _, d := range h.server.Deliveries() {
		list = append(list, delivery{d.ID, d.Event, d.Action, d.Statuses})
	}
	return list, nil
}

func (h *handler) addRepository(r *http.Request) (any, error) {
	var in Repository
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	return nil, in.apply(r.Context(), h.server)
}

func (h *handler) repository(r *http.Request) (*githubtest.Repository, error) {
	return h.server.Repository(r.PathValue("owner") + "/" + r.PathValue("name"))
}

func (h *handler) openPull(r *http.Request) (any, error) {
	var in Pull
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	repo, err := h.repository(r)
	if err != nil {
		return nil, err
	}
	p, err := in.open(r.Context(), repo)
	if err != nil {
		return nil, err
	}
	return map[string]any{"number": p.Number(), "head": p.Head()}, nil
}

// action is what the actions on a pull request take, each its own part of it.
type action struct {
	User     string            `json:"user"`
	Action   string            `json:"action"`
	Message  string            `json:"message"`
	Files    map[string]string `json:"files"`
	Delete   []string          `json:"delete"`
	Title    string            `json:"title"`
	Body     string            `json:"body"`
	Branch   string            `json:"branch"`
	Name     string            `json:"name"`
	Reviewer string            `json:"reviewer"`
	Comment  int64             `json:"comment"`
	On       bool              `json:"on"`
}

func (h *handler) act(r *http.Request) (any, error) {
	var in action
	if r.ContentLength != 0 {
		if err := decode(r, &in); err != nil {
			return nil, err
		}
	}
	repo, err := h.repository(r)
	if err != nil {
		return nil, err
	}
	number, err := strconv.Atoi(r.PathValue("number"))
	if err != nil {
		return nil, badRequestError{err}
	}
	p, err := repo.PullRequest(number)
	if err != nil {
		return nil, err
	}
	if in.User == "" {
		in.User, _, _ = strings.Cut(repo.Name(), "/")
	}
	return in.do(r.Context(), p, r.PathValue("action"))
}

func (in action) do(ctx context.Context, p *githubtest.PullRequest, name string) (any, error) {
	head := func(id string, err error) (any, error) { return map[string]any{"head": id}, err }
	comment := func(id int64, err error) (any, error) { return map[string]any{"comment": id}, err }
	switch name {
	case "announce":
		return nil, p.Announce(ctx, in.Action)
	case "push":
		return head(p.Push(ctx, githubtest.Commit{Message: in.Message, Author: in.User, Files: in.Files, Delete: in.Delete}))
	case "rebase":
		return head(p.Rebase(ctx, in.Message))
	case "close":
		return nil, p.Close(ctx, in.User)
	case "reopen":
		return nil, p.Reopen(ctx, in.User)
	case "draft":
		return nil, p.ConvertToDraft(ctx, in.User)
	case "ready":
		return nil, p.ReadyForReview(ctx, in.User)
	case "merge":
		return nil, p.Merge(ctx, in.User)
	case "lock":
		return nil, p.Lock(ctx, in.User)
	case "retitle":
		return nil, p.Retitle(ctx, in.User, in.Title, in.Body)
	case "base":
		return nil, p.SetBase(ctx, in.User, in.Branch)
	case "comment":
		return comment(p.Comment(ctx, in.User, in.Body))
	case "reply":
		return comment(p.Reply(ctx, in.User, in.Comment, in.Body))
	case "resolve", "unresolve":
		return nil, p.Resolve(ctx, in.User, in.Comment, name == "resolve")
	case "request-review":
		return nil, p.RequestReview(ctx, in.User, in.Reviewer)
	case "delete-comment":
		return nil, p.DeleteComment(ctx, in.User, in.Comment)
	case "stale-files":
		p.StaleFiles(in.On)
		return nil, nil
	case "prune":
		return nil, p.Prune(ctx)
	case "lose-head":
		return nil, p.LoseHead(ctx)
	case "delete-branch":
		return nil, p.DeleteHeadBranch(ctx)
	}
	return nil, fmt.Errorf("action %q: %w", name, githubtest.ErrNotFound)
}

// change is what happens to a repository as a whole.
func (h *handler) change(r *http.Request) (any, error) {
	var in action
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	repo, err := h.repository(r)
	if err != nil {
		return nil, err
	}
	switch r.PathValue("change") {
	case "install":
		repo.Install(in.On)
		return nil, repo.NotifyInstalled(r.Context(), in.On)
	case "rename":
		_, from, _ := strings.Cut(repo.Name(), "/")
		repo.Rename(in.Name)
		return nil, repo.NotifyRenamed(r.Context(), from)
	case "push":
		id, err := repo.Push(r.Context(), githubtest.Commit{Branch: in.Branch, Message: in.Message, Author: in.User, Files: in.Files, Delete: in.Delete})
		return map[string]any{"head": id}, err
	}
	return nil, fmt.Errorf("change %q: %w", r.PathValue("change"), githubtest.ErrNotFound)
}

func (h *handler) installation(r *http.Request) (any, error) {
	var in action
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if in.Action == "suspend" || in.Action == "unsuspend" {
		h.server.Suspend(in.Action == "suspend")
	}
	return nil, h.server.NotifyInstallation(r.Context(), in.Action)
}

func (h *handler) makeToken(r *http.Request) (any, error) {
	var in struct {
		User        string            `json:"user"`
		Permissions map[string]string `json:"permissions"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if in.User == "" {
		return map[string]string{"token": h.server.InstallationToken(in.Permissions)}, nil
	}
	return map[string]string{"token": h.server.UserToken(in.User, in.Permissions)}, nil
}

func (h *handler) setWebhook(r *http.Request) (any, error) {
	var in Webhook
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	h.server.SetWebhook(in.webhook())
	return nil, nil
}

func (h *handler) redeliver(r *http.Request) (any, error) {
	status, err := h.server.Redeliver(r.Context(), r.PathValue("id"))
	return map[string]int{"status": status}, err
}

func (h *handler) inject(r *http.Request) (any, error) {
	var in Fault
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	f, err := in.fault()
	if err != nil {
		return nil, badRequestError{err}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.faults = append(h.faults, h.server.Inject(f))
	return map[string]int{"fault": len(h.faults)}, nil
}

func (h *handler) remove(r *http.Request) (any, error) {
	n, err := strconv.Atoi(r.PathValue("n"))
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil || n < 1 || n > len(h.faults) {
		return nil, fmt.Errorf("fault %s: %w", r.PathValue("n"), githubtest.ErrNotFound)
	}
	f := h.faults[n-1]
	f.Remove()
	return map[string]int{"hits": f.Hits()}, nil
}

func (h *handler) lag(r *http.Request) (any, error) {
	var in struct {
		Reads int `json:"reads"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	h.server.LagLists(in.Reads)
	return nil, nil
}
