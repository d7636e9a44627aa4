package githubtest

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"witan.dev/services/review/github/githubtest/git"
)

// GitHub's limits of what is written.
const (
	maxCommentBody    = 65_536
	maxReviewComments = 50
)

// thread is a conversation on a place of the diff.
type thread struct {
	id         string
	pull       *pull
	resolved   bool
	resolvedBy *account
	comments   []*reviewComment
}

// place is where a comment was put.
type place struct {
	path      string
	file      bool // on the file as a whole
	side      git.Side
	line      int
	startSide git.Side // empty: one line
	startLine int
}

// reviewComment is one comment of a thread.
type reviewComment struct {
	*post
	pull    *pull
	review  *reviewState
	thread  *thread
	replyTo int64
	place   place
	// Of the diff that it was made on.
	original, originalBase string
	hunk                   string
	originalPosition       int
	// Where it stands now; position and line are 0 when it is outdated.
	commit, path              string
	line, startLine, position int
	reactions                 []*reaction
}

// visible says that the comment is there for everybody.
func (c *reviewComment) visible() bool { return !c.deleted && !c.review.pending() }

func (c *reviewComment) outdated() bool { return !c.place.file && c.line == 0 }

// reviewState is a review.
type reviewState struct {
	*post
	pull      *pull
	state     string // PENDING, COMMENTED, APPROVED, CHANGES_REQUESTED, DISMISSED
	commit    string
	submitted time.Time
}

func (r *reviewState) pending() bool { return r.state == "PENDING" }

// draftComment is a comment as a review or the single route takes it.
type draftComment struct {
	Path      string   `json:"path"`
	Body      string   `json:"body"`
	Position  *int     `json:"position"`
	Line      *int     `json:"line"`
	Side      git.Side `json:"side"`
	StartLine *int     `json:"start_line"`
	StartSide git.Side `json:"start_side"`
}

// placed is a draft that was found in the diff.
type placed struct {
	place    place
	hunk     string
	position int
}

// snapshot is the diff that comments on a commit of a pull request are placed in.
type snapshot struct {
	commit, base string
	diff         *git.Diff
}

// snapshot finds the diff of one of the pull request's commits; problems are those that GitHub names.
func (s *Server) snapshot(ctx context.Context, p *pull, commit string) (snapshot, string) {
	v := s.view(p)
	if commit == "" {
		commit = v.head
	}
	id, err := v.repo.Resolve(ctx, commit)
	if err != nil || id != commit {
		return snapshot{}, "commit_oid is not a valid commit"
	}
	base, err := v.repo.MergeBase(ctx, v.base, commit)
	if err != nil || base == commit || !v.repo.Reaches(ctx, v.head, commit) {
		return snapshot{}, "end_commit_oid is not part of the pull request"
	}
	d, err := v.repo.Diff(ctx, base, commit)
	if err != nil {
		return snapshot{}, err.Error()
	}
	return snapshot{commit, base, d}, ""
}

// locate finds a draft's place in the diff, or says with GitHub's words what is wrong with it. Each problem is the field
// and what it must be.
func (d draftComment) locate(in snapshot) (placed, []string) {
	f, known := in.diff.File(d.Path)
	switch {
	case d.Path == "" || !known:
		return placed{}, []string{"path could not be resolved"}
	case d.Position != nil && d.Line != nil:
		return placed{}, []string{"line and position cannot both be given"}
	case d.Position != nil:
		return d.locatePosition(f)
	case d.Line == nil:
		return placed{}, []string{"line can't be blank"}
	}
	side := d.Side
	if side == "" {
		side = git.Right
	}
	if side != git.Left && side != git.Right {
		return placed{}, []string{"side is not included in the list"}
	}
	end, found := f.Find(side, *d.Line)
	var problems []string
	if !found {
		problems = append(problems, "line must be part of the diff")
	}
	at := place{path: d.Path, side: side, line: *d.Line}
	if d.StartLine != nil || d.StartSide != "" {
		start, more := d.locateStart(f, side, end, found)
		problems = append(problems, more...)
		at.startSide, at.startLine = start.startSide, start.startLine
	}
	if !found {
		problems = append(problems, "diff hunk can't be blank")
	}
	return placed{at, end.Excerpt, end.Position}, problems
}

func (d draftComment) locateStart(f *git.Changed, side git.Side, end git.Place, endFound bool) (place, []string) {
	startSide := d.StartSide
	if startSide == "" {
		startSide = side
	}
	switch {
	case d.StartLine == nil:
		return place{}, []string{"start line can't be blank"}
	case startSide != git.Left && startSide != git.Right:
		return place{}, []string{"start side is not included in the list"}
	case startSide != side: // GitHub takes some of these; none that a program needs
		return place{}, []string{"start side must be the same as the side"}
	case *d.StartLine >= *d.Line:
		return place{}, []string{"start line must precede the end line."}
	}
	start, found := f.Find(startSide, *d.StartLine)
	if !found || !endFound || start.Hunk != end.Hunk {
		return place{}, []string{"start line must be part of the same hunk as the line."}
	}
	return place{startSide: startSide, startLine: *d.StartLine}, nil
}

// locatePosition takes the old way of naming a place, which GitHub is closing down.
func (d draftComment) locatePosition(f *git.Changed) (placed, []string) {
	for _, h := range f.Hunks {
		oldLine, newLine := h.OldStart, h.NewStart
		for i, l := range h.Lines {
			if h.Position+i+1 == *d.Position {
				at := place{path: d.Path, side: git.Right, line: newLine}
				if l[0] == '-' {
					at.side, at.line = git.Left, oldLine
				}
				return placed{at, strings.Join(append([]string{h.Header}, h.Lines[:i+1]...), "\n"), *d.Position}, nil
			}
			if l[0] != '+' && l[0] != '\\' {
				oldLine++
			}
			if l[0] != '-' && l[0] != '\\' {
				newLine++
			}
		}
	}
	return placed{}, []string{"position is invalid"}
}

func bodyProblem(body string) string {
	switch {
	case strings.TrimSpace(body) == "":
		return "body can't be blank"
	case utf8.RuneCountInString(body) > maxCommentBody:
		return fmt.Sprintf("body is too long (maximum is %d characters)", maxCommentBody)
	}
	return ""
}

// unprocessable is how a review is refused: sentences, and not a word on which of its comments is meant.
func unprocessable(problems ...string) answer {
	sentence := strings.Join(problems, " and ")
	if n := len(problems); n > 2 {
		sentence = strings.Join(problems[:n-1], ", ") + ", and " + problems[n-1]
	}
	return refusal(http.StatusUnprocessableEntity, "Unprocessable Entity", sentence)
}

// invalid is how a single comment is refused.
func invalid(resource string, problems ...string) answer {
	var errs []any
	for _, p := range problems {
		field, _, _ := strings.Cut(p, " ")
		errs = append(errs, object{"resource": resource, "code": "custom", "field": "pull_request_review_thread." + field, "message": "pull_request_review_thread." + p})
	}
	return refusal(http.StatusUnprocessableEntity, "Validation Failed", errs...)
}

type reviewRequest struct {
	CommitID string         `json:"commit_id"`
	Body     string         `json:"body"`
	Event    string         `json:"event"`
	Comments []draftComment `json:"comments"`
}

func (s *Server) createReview(c *call) answer {
	var in reviewRequest
	if bad := c.decode(&in); bad != nil {
		return *bad
	}
	p, missing := s.findPull(c)
	if missing != nil {
		return *missing
	}
	state, known := map[string]string{"": "PENDING", "COMMENT": "COMMENTED", "APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED"}[in.Event]
	if !known {
		return refusal(http.StatusUnprocessableEntity, "Invalid request.\n\nFor 'properties/event', "+in.Event+" is not a member of APPROVE, COMMENT, REQUEST_CHANGES.")
	}
	at, problem := s.snapshot(c.Context(), p, in.CommitID)
	if problem != "" {
		return unprocessable("Pull request review thread " + problem)
	}
	found, refused := checkReview(in, at)
	if refused != nil {
		return *refused
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if bad := s.mayReview(c, p, state); bad != nil {
		return *bad
	}
	if c.hasPending(p) {
		return unprocessable("User can only have one pending review per pull request")
	}
	now := s.now()
	r := &reviewState{post: s.post(c, p, KindReview, in.Body), pull: p, state: state, commit: at.commit, submitted: now}
	p.reviews = append(p.reviews, r)
	for i, d := range in.Comments {
		s.addComment(c, r, found[i], at, d.Body)
	}
	s.place(c.Context(), p)
	if state != "PENDING" {
		s.announceReview(r)
	}
	return ok(s.reviewObject(r))
}

// checkReview places all comments of a review: one that fails fails them all.
func checkReview(in reviewRequest, at snapshot) ([]placed, *answer) {
	var problems []string
	if utf8.RuneCountInString(in.Body) > maxCommentBody {
		problems = append(problems, fmt.Sprintf("Body is too long (maximum is %d characters)", maxCommentBody))
	}
	if strings.TrimSpace(in.Body) == "" && (in.Event == "COMMENT" && len(in.Comments) == 0 || in.Event == "REQUEST_CHANGES") {
		problems = append(problems, "Body can't be blank")
	}
	if len(in.Comments) > maxReviewComments {
		problems = append(problems, "Review comments is invalid", "Review threads is invalid")
	}
	var found []placed
	for _, d := range in.Comments {
		if b := bodyProblem(d.Body); b != "" {
			problems = append(problems, "Pull request review comment "+b)
		}
		at, wrong := d.locate(at)
		for _, w := range wrong {
			problems = append(problems, "Pull request review thread "+w)
		}
		found = append(found, at)
	}
	if len(problems) > 0 {
		slices.Sort(problems)
		a := unprocessable(slices.Compact(problems)...)
		return nil, &a
	}
	return found, nil
}

func (s *Server) mayReview(c *call, p *pull, state string) *answer {
	if p.locked {
		a := refusal(http.StatusForbidden, "Unable to create comment because issue is locked.")
		return &a
	}
	if c.who.account == p.author && (state == "APPROVED" || state == "CHANGES_REQUESTED") {
		a := unprocessable(map[string]string{"APPROVED": "Can not approve your own pull request", "CHANGES_REQUESTED": "Can not request changes on your own pull request"}[state])
		return &a
	}
	return nil
}

// hasPending says whether the caller began a review there and did not submit it. Until then GitHub takes no other review of
// theirs, whatever its event, and neither comments on files and lines nor answers to them: each of those is a review too.
func (c *call) hasPending(p *pull) bool {
	return slices.ContainsFunc(p.reviews, func(r *reviewState) bool { return r.pending() && !r.deleted && r.account == c.who.account })
}

// pendingComment is how a single comment is refused while its author has a pending review.
func pendingComment() answer {
	return refusal(http.StatusUnprocessableEntity, "Validation Failed", object{
		"resource": "PullRequestReview", "code": "custom", "field": "user_id", "message": "user_id can only have one pending review per pull request",
	})
}

// addComment puts a comment on a new thread. The caller holds the lock.
func (s *Server) addComment(c *call, r *reviewState, at placed, in snapshot, body string) *reviewComment {
	kind := KindReviewComment
	if at.place.file {
		kind = KindFileComment
	}
	m := &reviewComment{
		post: s.post(c, r.pull, kind, body), pull: r.pull, review: r, place: at.place, original: in.commit, originalBase: in.base,
		hunk: at.hunk, originalPosition: at.position,
	}
	m.describe()
	m.thread = &thread{id: "PRRT_" + node("T", m.id), pull: r.pull, comments: []*reviewComment{m}}
	r.pull.threads, r.pull.comments = append(r.pull.threads, m.thread), append(r.pull.comments, m)
	return m
}

// place finds out where every thread of the pull request stands in its present diff. The caller holds the lock.
func (s *Server) place(ctx context.Context, p *pull) {
	base, err := p.repo.git.MergeBase(ctx, p.baseSHA, p.headSHA)
	if err != nil {
		return
	}
	d, err := p.repo.git.Diff(ctx, base, p.headSHA)
	if err != nil {
		return
	}
	for _, t := range p.threads {
		root := t.comments[0]
		commit, path, line, start, position := root.follow(ctx, p, base, d)
		for _, m := range t.comments {
			m.line, m.startLine, m.position = line, start, position
			if line != 0 || m.place.file {
				m.commit, m.path = commit, path
			} else if m.commit == "" {
				m.commit, m.path = m.original, m.place.path
			}
		}
	}
}

// follow maps the comment's lines from the commit that it was made on to the pull request's head; line 0 is outdated.
func (m *reviewComment) follow(ctx context.Context, p *pull, base string, d *git.Diff) (commit, path string, line, start, position int) {
	from, to := m.original, p.headSHA
	if m.place.side == git.Left {
		from, to = m.originalBase, base
	}
	path = m.place.path
	if m.place.file {
		return p.headSHA, path, 0, 0, 0
	}
	newPath, newLine, kept, err := p.repo.git.MapLine(ctx, from, to, path, m.place.line)
	if err != nil || !kept {
		return m.commit, path, 0, 0, 0
	}
	f, changed := d.File(newPath)
	if !changed {
		return m.commit, path, 0, 0, 0
	}
	at, inside := f.Find(m.place.side, newLine)
	if !inside {
		return m.commit, path, 0, 0, 0
	}
	if m.place.startLine != 0 {
		if _, first, kept, err := p.repo.git.MapLine(ctx, from, to, path, m.place.startLine); err == nil && kept && first < newLine {
			start = first
		}
	}
	return p.headSHA, newPath, newLine, start, at.Position
}

func (s *Server) findPull(c *call) (*pull, *answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return c.pull()
}

type commentRequest struct {
	draftComment

	CommitID    string `json:"commit_id"`
	SubjectType string `json:"subject_type"`
	InReplyTo   int64  `json:"in_reply_to"`
}

func (s *Server) createComment(c *call) answer {
	var in commentRequest
	if bad := c.decode(&in); bad != nil {
		return *bad
	}
	p, missing := s.findPull(c)
	if missing != nil {
		return *missing
	}
	if b := bodyProblem(in.Body); b != "" {
		return refusal(http.StatusUnprocessableEntity, "Validation Failed", object{"resource": "PullRequestReviewComment", "code": "custom", "field": "body", "message": b})
	}
	if in.InReplyTo != 0 {
		return s.reply(c, p, in.InReplyTo, in.Body)
	}
	if in.CommitID == "" || in.Path == "" {
		return refusal(http.StatusUnprocessableEntity, "Invalid request.\n\n\"commit_id\", \"path\" weren't supplied.")
	}
	at, problem := s.snapshot(c.Context(), p, in.CommitID)
	if problem != "" {
		return invalid("PullRequestReviewComment", problem)
	}
	var found placed
	var problems []string
	switch in.SubjectType {
	case "file":
		if in.Line != nil || in.Position != nil || in.StartLine != nil {
			problems = append(problems, "line must not be given for a file")
		} else if _, changed := at.diff.File(in.Path); !changed {
			problems = append(problems, "path could not be resolved")
		}
		found.place = place{path: in.Path, file: true}
	case "", "line":
		found, problems = in.locate(at)
	default:
		problems = append(problems, "subject_type is not included in the list")
	}
	if len(problems) > 0 {
		return invalid("PullRequestReviewComment", problems...)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if bad := s.mayReview(c, p, "COMMENTED"); bad != nil {
		return *bad
	}
	if c.hasPending(p) {
		return pendingComment()
	}
	r := &reviewState{post: s.post(c, p, KindReview, ""), pull: p, state: "COMMENTED", commit: at.commit, submitted: s.now()}
	r.implied = true
	p.reviews = append(p.reviews, r)
	m := s.addComment(c, r, found, at, in.Body)
	s.place(c.Context(), p)
	s.announceReview(r)
	return created(s.commentObject(m))
}

func (s *Server) replyComment(c *call) answer {
	var in struct {
		Body string `json:"body"`
	}
	if bad := c.decode(&in); bad != nil {
		return *bad
	}
	p, missing := s.findPull(c)
	if missing != nil {
		return *missing
	}
	if b := bodyProblem(in.Body); b != "" {
		return refusal(http.StatusUnprocessableEntity, "Validation Failed", object{"resource": "PullRequestReviewComment", "code": "custom", "field": "body", "message": b})
	}
	return s.reply(c, p, c.id("id"), in.Body)
}

func (s *Server) reply(c *call, p *pull, to int64, body string) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range p.threads {
		if slices.ContainsFunc(t.comments, func(m *reviewComment) bool { return m.id == to && m.visible() }) {
			if bad := s.mayReview(c, p, "COMMENTED"); bad != nil {
				return *bad
			}
			if c.hasPending(p) {
				return pendingComment()
			}
			m := s.newReply(c, t, body)
			s.announceReview(m.review)
			return created(s.commentObject(m))
		}
	}
	return notFound()
}

// newReply answers in a thread. The caller holds the lock.
func (s *Server) newReply(c *call, t *thread, body string) *reviewComment {
	root := t.comments[0]
	r := &reviewState{post: s.post(c, t.pull, KindReview, ""), pull: t.pull, state: "COMMENTED", commit: root.original, submitted: s.now()}
	r.implied = true
	t.pull.reviews = append(t.pull.reviews, r)
	m := &reviewComment{
		post: s.post(c, t.pull, KindReply, body), pull: t.pull, review: r, thread: t, replyTo: root.id, place: root.place, original: root.original,
		originalBase: root.originalBase, hunk: root.hunk, originalPosition: root.originalPosition,
		commit: root.commit, path: root.path, line: root.line, startLine: root.startLine, position: root.position,
	}
	m.describe()
	t.comments, t.pull.comments = append(t.comments, m), append(t.pull.comments, m)
	return m
}

// describe writes the place of the comment into what tests see of it.
func (m *reviewComment) describe() {
	m.Path, m.Side, m.Line, m.StartLine = m.place.path, string(m.place.side), m.place.line, m.place.startLine
	m.Commit, m.Review, m.InReplyTo = m.original, m.review.id, m.replyTo
	m.base = m.originalBase
}

func (s *Server) commentObject(m *reviewComment) object {
	r := m.pull.repo
	api := fmt.Sprintf("%s/pulls/comments/%d", s.repoAPI(r), m.id)
	pr := fmt.Sprintf("%s/pulls/%d", s.repoAPI(r), m.pull.number)
	page := fmt.Sprintf("%s/%s/pull/%d#discussion_r%d", s.URL, r.fullName(), m.pull.number, m.id)
	o := object{
		"url": api, "pull_request_review_id": m.review.id, "id": m.id, "node_id": node("PullRequestReviewComment", m.id), "diff_hunk": m.hunk,
		"path": m.path, "commit_id": m.commit, "original_commit_id": m.original, "user": s.userObject(m.account), "body": m.Body,
		"created_at": date(m.Created), "updated_at": date(m.Updated), "html_url": page, "pull_request_url": pr, "author_association": association(r, m.account),
		"_links": object{"self": object{"href": api}, "html": object{"href": page}, "pull_request": object{"href": pr}}, "reactions": reactionCounts(api, m.reactions),
		"subject_type": "line",
	}
	if m.replyTo != 0 {
		o["in_reply_to_id"] = m.replyTo
	}
	if m.place.file {
		o["subject_type"] = "file"
		o["position"], o["original_position"] = 1, 1
		return o
	}
	number := func(n int) any {
		if n == 0 {
			return nil
		}
		return n
	}
	o["position"], o["original_position"] = number(m.position), m.originalPosition
	o["line"], o["original_line"], o["side"] = number(m.line), m.place.line, m.place.side
	o["start_line"], o["original_start_line"], o["start_side"] = number(m.startLine), number(m.place.startLine), nil
	if m.place.startSide != "" {
		o["start_side"] = m.place.startSide
	}
	return o
}

func (s *Server) reviewObject(v *reviewState) object {
	r := v.pull.repo
	pr := fmt.Sprintf("%s/pulls/%d", s.repoAPI(r), v.pull.number)
	page := fmt.Sprintf("%s/%s/pull/%d#pullrequestreview-%d", s.URL, r.fullName(), v.pull.number, v.id)
	o := object{
		"id": v.id, "node_id": node("PullRequestReview", v.id), "user": s.userObject(v.account), "body": v.Body, "state": v.state, "html_url": page,
		"pull_request_url": pr, "author_association": association(r, v.account), "commit_id": v.commit,
		"_links": object{"html": object{"href": page}, "pull_request": object{"href": pr}},
	}
	if !v.pending() {
		o["submitted_at"] = date(v.submitted)
	}
	return o
}

func (s *Server) listReviews(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, missing := c.pull()
	if missing != nil {
		return *missing
	}
	list := shown(c, p.reviews, func(r *reviewState) (*post, bool) { return r.post, !r.pending() || r.account == c.who.account })
	return page(c, list, func(r *reviewState) any { return s.reviewObject(r) })
}

// review returns the review of the request's path. The caller holds the lock.
func (c *call) review() (*reviewState, *answer) {
	p, missing := c.pull()
	if missing != nil {
		return nil, missing
	}
	for _, r := range p.reviews {
		if r.id == c.id("review") && !r.deleted && (!r.pending() || r.account == c.who.account) {
			return r, nil
		}
	}
	a := notFound()
	return nil, &a
}

func (s *Server) getReview(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, missing := c.review()
	if missing != nil {
		return *missing
	}
	return ok(s.reviewObject(r))
}

func (s *Server) deleteReview(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, missing := c.review()
	if missing != nil {
		return *missing
	}
	if !r.pending() {
		return unprocessable("Can not delete a non-pending pull request review")
	}
	r.deleted = true
	for _, m := range r.pull.comments {
		if m.review == r {
			m.deleted = true
		}
	}
	return ok(s.reviewObject(r))
}

func (s *Server) submitReview(c *call) answer {
	var in struct {
		Body  string `json:"body"`
		Event string `json:"event"`
	}
	if bad := c.decode(&in); bad != nil {
		return *bad
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, missing := c.review()
	if missing != nil {
		return *missing
	}
	state := map[string]string{"COMMENT": "COMMENTED", "APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED"}[in.Event]
	switch {
	case !r.pending():
		return unprocessable("Can not submit a non-pending pull request review")
	case state == "":
		return refusal(http.StatusUnprocessableEntity, "Invalid request.\n\nNo event was supplied.")
	}
	if bad := s.mayReview(c, r.pull, state); bad != nil {
		return *bad
	}
	r.state, r.submitted = state, s.now()
	if in.Body != "" {
		r.Body = in.Body
	}
	s.announceReview(r)
	return ok(s.reviewObject(r))
}

func (s *Server) listReviewComments(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, missing := c.review()
	if missing != nil {
		return *missing
	}
	list := shown(c, r.pull.comments, func(m *reviewComment) (*post, bool) { return m.post, m.review == r })
	return page(c, list, func(m *reviewComment) any { return s.commentObject(m) })
}

func (s *Server) listComments(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, missing := c.pull()
	if missing != nil {
		return *missing
	}
	list := shown(c, p.comments, func(m *reviewComment) (*post, bool) { return m.post, m.visible() })
	if c.URL.Query().Get("direction") == "desc" {
		list = slices.Clone(list)
		slices.Reverse(list)
	}
	return page(c, list, func(m *reviewComment) any { return s.commentObject(m) })
}

// shown is what of a list a reader sees: not what is deleted or hidden from him, and, while lists lag, not what is too
// new. The caller holds the lock.
func shown[T any](c *call, all []T, look func(T) (*post, bool)) []T {
	var list []T
	since, _ := time.Parse(time.RFC3339, c.URL.Query().Get("since"))
	for _, v := range all {
		p, visible := look(v)
		if p.deleted || !visible || p.Updated.Before(since) {
			continue
		}
		if p.lag > 0 {
			p.lag--
			continue
		}
		list = append(list, v)
	}
	return list
}

// comment returns the review comment of the request's path. The caller holds the lock.
func (c *call) comment() (*reviewComment, *answer) {
	for _, p := range c.repo.pulls {
		for _, m := range p.comments {
			if m.id == c.id("id") && !m.deleted && (m.visible() || m.account == c.who.account) {
				return m, nil
			}
		}
	}
	a := notFound()
	return nil, &a
}

func (s *Server) getComment(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, missing := c.comment()
	if missing != nil {
		return *missing
	}
	return ok(s.commentObject(m))
}

// owns decides whether the caller may change what somebody wrote: its author, or a user who may write to the repository.
func (c *call) owns(p *post) *answer {
	role := ""
	if c.who.app == nil {
		role = c.repo.roles[strings.ToLower(c.who.account.login)]
	}
	if p.account == c.who.account || role == "admin" || role == "maintain" || role == write {
		return nil
	}
	a := refusal(http.StatusForbidden, "Resource not accessible by integration")
	return &a
}

type bodyRequest struct {
	Body string `json:"body"`
}

func (s *Server) editComment(c *call) answer {
	var in bodyRequest
	if bad := c.decode(&in); bad != nil {
		return *bad
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m, missing := c.comment()
	if missing != nil {
		return *missing
	}
	if denied := c.owns(m.post); denied != nil {
		return *denied
	}
	if b := bodyProblem(in.Body); b != "" {
		return refusal(http.StatusUnprocessableEntity, "Validation Failed", object{"resource": "PullRequestReviewComment", "code": "custom", "field": "body", "message": b})
	}
	was := m.Body
	s.edit(m.post, in.Body)
	s.announce("pull_request_review_comment", "edited", m.pull.repo, c.who.account, object{
		"changes": object{"body": object{"from": was}}, "comment": s.commentObject(m), "pull_request": s.pullObject(m.pull),
	})
	return ok(s.commentObject(m))
}

func (s *Server) deleteComment(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, missing := c.comment()
	if missing != nil {
		return *missing
	}
	if denied := c.owns(m.post); denied != nil {
		return *denied
	}
	m.deleted = true
	s.announceComment(m, "deleted", c.who.account)
	return answer{status: http.StatusNoContent}
}
