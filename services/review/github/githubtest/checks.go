package githubtest

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"
)

// GitHub's limits of a check run.
const (
	maxAnnotations = 50 // a request
	maxCheckText   = 65_535
	maxActions     = 3
)

type checkRun struct {
	*post
	repo                 *repository
	app                  *app
	head                 string
	externalID, details  string
	started, completed   time.Time
	title, summary, text *string
	annotations          []annotation
	suite                int64
}

type annotation struct {
	Path        string  `json:"path"`
	StartLine   *int    `json:"start_line"`
	EndLine     *int    `json:"end_line"`
	StartColumn *int    `json:"start_column"`
	EndColumn   *int    `json:"end_column"`
	Level       string  `json:"annotation_level"`
	Message     string  `json:"message"`
	Title       *string `json:"title"`
	Raw         *string `json:"raw_details"`
}

type checkRequest struct {
	Name        string     `json:"name"`
	HeadSHA     string     `json:"head_sha"`
	DetailsURL  *string    `json:"details_url"`
	ExternalID  *string    `json:"external_id"`
	Status      string     `json:"status"`
	StartedAt   *time.Time `json:"started_at"`
	Conclusion  string     `json:"conclusion"`
	CompletedAt *time.Time `json:"completed_at"`
	Output      *struct {
		Title       *string      `json:"title"`
		Summary     *string      `json:"summary"`
		Text        *string      `json:"text"`
		Annotations []annotation `json:"annotations"`
		Images      []any        `json:"images"`
	} `json:"output"`
	Actions []struct {
		Label       string `json:"label"`
		Description string `json:"description"`
		Identifier  string `json:"identifier"`
	} `json:"actions"`
}

// problem says what GitHub would not take of the request.
func (in *checkRequest) problem() string {
	conclusions := []string{"action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out"}
	switch {
	case in.Status != "" && !slices.Contains([]string{"queued", "in_progress", "completed"}, in.Status):
		return "status is not included in the list"
	case in.Conclusion != "" && !slices.Contains(conclusions, in.Conclusion):
		return "conclusion is not included in the list"
	case in.Status == "completed" && in.Conclusion == "":
		return "conclusion must be provided when the status is completed"
	case in.Conclusion != "" && in.Status != "" && in.Status != "completed":
		return "status must be completed when a conclusion is given"
	case len(in.Actions) > maxActions:
		return "only 3 actions are permitted"
	}
	for _, a := range in.Actions {
		if a.Label == "" || a.Description == "" || a.Identifier == "" {
			return "an action's label, description and identifier are required"
		}
		if utf8.RuneCountInString(a.Label) > 20 || utf8.RuneCountInString(a.Description) > 40 || utf8.RuneCountInString(a.Identifier) > 20 {
			return "an action's label, description or identifier is too long"
		}
	}
	return in.outputProblem()
}

func (in *checkRequest) outputProblem() string {
	if in.Output == nil {
		return ""
	}
	o := in.Output
	switch {
	case o.Summary == nil:
		return "output.summary wasn't supplied"
	case utf8.RuneCountInString(*o.Summary) > maxCheckText:
		return "output.summary is too long (maximum is 65535 characters)"
	case o.Text != nil && utf8.RuneCountInString(*o.Text) > maxCheckText:
		return "output.text is too long (maximum is 65535 characters)"
	case len(o.Annotations) > maxAnnotations:
		return fmt.Sprintf("output.annotations: no more than %d items are allowed; %d were supplied", maxAnnotations, len(o.Annotations))
	}
	for _, a := range o.Annotations {
		if p := a.problem(); p != "" {
			return "output.annotations: " + p
		}
	}
	return ""
}

func (a annotation) problem() string {
	switch {
	case a.Path == "" || a.StartLine == nil || a.EndLine == nil || a.Message == "":
		return "path, start_line, end_line and message are required"
	case *a.StartLine < 1 || *a.EndLine < *a.StartLine:
		return "end_line must not precede start_line"
	case !slices.Contains([]string{"notice", "warning", "failure"}, a.Level):
		return "annotation_level is not included in the list"
	case (a.StartColumn != nil || a.EndColumn != nil) && *a.StartLine != *a.EndLine:
		return "columns are permitted on a single line only"
	case len(a.Message) > 64<<10 || a.Raw != nil && len(*a.Raw) > 64<<10:
		return "message and raw_details are limited to 64 KB"
	case a.Title != nil && utf8.RuneCountInString(*a.Title) > 255:
		return "title is too long (maximum is 255 characters)"
	}
	return ""
}

func (s *Server) createCheck(c *call) answer {
	var in checkRequest
	if bad := c.decode(&in); bad != nil {
		return *bad
	}
	if in.Name == "" || in.HeadSHA == "" {
		return refusal(http.StatusUnprocessableEntity, "Invalid request.\n\n\"name\", \"head_sha\" weren't supplied.")
	}
	if p := in.problem(); p != "" {
		return refusal(http.StatusUnprocessableEntity, "Invalid request.\n\n"+p)
	}
	if id, err := c.repo.git.Resolve(c.Context(), in.HeadSHA); err != nil || id != in.HeadSHA {
		return refusal(http.StatusUnprocessableEntity, "No commit found for SHA: "+in.HeadSHA)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &checkRun{post: s.post(c, nil, KindCheckRun, ""), repo: c.repo, app: c.who.app, head: in.HeadSHA, started: s.now()}
	r.Repository, r.Name, r.Commit, r.Status = c.repo.fullName(), in.Name, in.HeadSHA, cmp.Or(in.Status, "queued")
	r.suite = s.suiteOf(r)
	r.apply(s, &in)
	c.repo.checks = append(c.repo.checks, r)
	s.announceCheck(r, "created")
	return created(s.checkObject(r))
}

// suiteOf finds the suite of the App on the commit. The caller holds the lock.
func (s *Server) suiteOf(r *checkRun) int64 {
	for _, other := range r.repo.checks {
		if other.app == r.app && other.head == r.head {
			return other.suite
		}
	}
	return s.next()
}

// apply takes what a request sets. The caller holds the lock.
func (r *checkRun) apply(s *Server, in *checkRequest) {
	r.Name, r.Status = cmp.Or(in.Name, r.Name), cmp.Or(in.Status, r.Status)
	if in.ExternalID != nil {
		r.externalID = *in.ExternalID
	}
	if in.DetailsURL != nil {
		r.details = *in.DetailsURL
	}
	if in.StartedAt != nil {
		r.started = *in.StartedAt
	}
	if in.Conclusion != "" {
		r.Conclusion, r.Status, r.completed = in.Conclusion, "completed", s.now()
		if in.CompletedAt != nil {
			r.completed = *in.CompletedAt
		}
	} else if in.Status != "" { // it is started again
		r.Conclusion, r.completed = "", time.Time{}
	}
	if in.Actions != nil {
		r.Actions = nil
		for _, a := range in.Actions {
			r.Actions = append(r.Actions, a.Identifier)
		}
	}
	if o := in.Output; o != nil {
		r.title, r.summary, r.text = o.Title, o.Summary, o.Text
		r.Body = *o.Summary
		if o.Text != nil {
			r.Body += "\n\n" + *o.Text
		}
		r.annotations = append(r.annotations, o.Annotations...)
		r.Annotations = len(r.annotations)
	}
}

// check returns the check run of the request's path. The caller holds the lock.
func (c *call) check() (*checkRun, *answer) {
	for _, r := range c.repo.checks {
		if r.id == c.id("id") {
			return r, nil
		}
	}
	a := notFound()
	return nil, &a
}

func (s *Server) updateCheck(c *call) answer {
	var in checkRequest
	if bad := c.decode(&in); bad != nil {
		return *bad
	}
	if p := in.problem(); p != "" {
		return refusal(http.StatusUnprocessableEntity, "Invalid request.\n\n"+p)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, missing := c.check()
	if missing != nil {
		return *missing
	}
	if r.app != c.who.app {
		return refusal(http.StatusForbidden, "Invalid app_id - check run can only be modified by the GitHub App that created it.")
	}
	if in.HeadSHA != "" {
		return refusal(http.StatusUnprocessableEntity, "Invalid request.\n\n\"head_sha\" is not a permitted key.")
	}
	was := r.Status
	r.apply(s, &in)
	s.edit(r.post, r.Body)
	if r.Status == "completed" && was != "completed" {
		s.announceCheck(r, "completed")
	}
	return ok(s.checkObject(r))
}

func (s *Server) getCheck(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, missing := c.check()
	if missing != nil {
		return *missing
	}
	return ok(s.checkObject(r))
}

func (s *Server) listAnnotations(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, missing := c.check()
	if missing != nil {
		return *missing
	}
	return page(c, r.annotations, func(a annotation) any {
		return object{
			"path": a.Path, "blob_href": s.repoAPI(r.repo) + "/contents/" + a.Path + "?ref=" + r.head, "start_line": a.StartLine, "end_line": a.EndLine,
			"start_column": a.StartColumn, "end_column": a.EndColumn, "annotation_level": a.Level, "title": a.Title, "message": a.Message, "raw_details": a.Raw,
		}
	})
}

// listChecks answers GET /commits/{ref}/check-runs.
func (s *Server) listChecks(c *call, ref string) answer {
	s.mu.Lock()
	denied := s.permit(c.who, c.repo, need{"checks", read})
	s.mu.Unlock()
	if denied != nil {
		return *denied
	}
	id, err := s.revision(c.Context(), c.repo, ref)
	if err != nil {
		return refusal(http.StatusUnprocessableEntity, "No commit found for SHA: "+ref)
	}
	q := c.URL.Query()
	s.mu.Lock()
	defer s.mu.Unlock()
	list := shown(c, c.repo.checks, func(r *checkRun) (*post, bool) {
		return r.post, r.head == id && (q.Get("check_name") == "" || q.Get("check_name") == r.Name) &&
			(q.Get("app_id") == "" || r.app != nil && q.Get("app_id") == fmt.Sprint(r.app.id)) && (q.Get("status") == "" || q.Get("status") == r.Status)
	})
	slices.Reverse(list) // the newest first
	if q.Get("filter") != "all" {
		seen := map[string]bool{}
		list = slices.DeleteFunc(list, func(r *checkRun) bool {
			old := seen[r.Name]
			seen[r.Name] = true
			return old
		})
	}
	a := page(c, list, func(r *checkRun) any { return s.checkObject(r) })
	a.value = object{"total_count": len(list), "check_runs": a.value}
	return a
}

func (s *Server) checkObject(r *checkRun) object {
	api := fmt.Sprintf("%s/check-runs/%d", s.repoAPI(r.repo), r.id)
	page := fmt.Sprintf("%s/%s/runs/%d", s.URL, r.repo.fullName(), r.id)
	var conclusion any
	if r.Conclusion != "" {
		conclusion = r.Conclusion
	}
	pulls := []any{}
	for _, p := range r.repo.pulls {
		if p.headSHA == r.head && p.headRepo == r.repo && !p.closed {
			pulls = append(pulls, s.shortPull(p))
		}
	}
	return object{
		"id": r.id, "node_id": node("CheckRun", r.id), "head_sha": r.head, "external_id": r.externalID, "url": api, "html_url": page,
		"details_url": cmp.Or(r.details, page), "status": r.Status, "conclusion": conclusion, "started_at": date(r.started), "completed_at": date(r.completed),
		"output": object{
			"title": r.title, "summary": r.summary, "text": r.text, "annotations_count": len(r.annotations), "annotations_url": api + "/annotations",
		},
		"name": r.Name, "check_suite": object{"id": r.suite}, "app": s.appObject(r.app), "pull_requests": pulls,
	}
}

// shortPull is the form in which check runs name the pull requests of their commit.
func (s *Server) shortPull(p *pull) object {
	tip := func(ref, sha string, r *repository) object {
		return object{"ref": ref, "sha": sha, "repo": object{"id": r.id, "url": s.repoAPI(r), "name": r.name()}}
	}
	return object{
		"id": p.id, "number": p.number, "url": fmt.Sprintf("%s/pulls/%d", s.repoAPI(p.repo), p.number),
		"head": tip(p.headRef, p.headSHA, p.headRepo), "base": tip(p.baseRef, p.baseSHA, p.repo),
	}
}
