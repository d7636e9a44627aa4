package github

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-github/v60/github"

	"witan.dev/internal/crashpoint"
	"witan.dev/internal/diff"
	"witan.dev/services/review"
	"witan.dev/services/review/publish"
)

const (
	perPage = 100
	// fewPerPage is for lists whose answers are too large with more.
	fewPerPage = 10
	// maxPages bounds a list: 10,000 things of one kind at one pull request.
	maxPages = 100
	// maxCreated bounds the pages in which a created review's comments are read back.
	maxCreated = 2
)

// Writer shows reviews at GitHub, with tokens that are minted for that alone. Safe for concurrent use: writes of an
// installation are made one after the other, no faster than the client's pace.
type Writer struct {
	client *Client

	mu     sync.Mutex
	queues map[int64]*queue // by installation
	self   string           // our login, once it is known
}

var _ publish.Forge = (*Writer)(nil)

// NewWriter returns a writer at the client's server. It is of use as long as the client is.
func NewWriter(c *Client) *Writer { return &Writer{client: c, queues: map[int64]*queue{}} }

// queue lets one write of an installation pass at a time.
type queue struct {
	turn chan struct{} // holds the turn when nobody has it
	next time.Time     // guarded by the turn
}

func (w *Writer) queue(installation int64) *queue {
	w.mu.Lock()
	defer w.mu.Unlock()
	q := w.queues[installation]
	if q == nil {
		if len(w.queues) >= maxConnections {
			clear(w.queues)
		}
		q = &queue{turn: make(chan struct{}, 1)}
		q.turn <- struct{}{}
		w.queues[installation] = q
	}
	return q
}

// enter waits for the turn and for the pace.
func (w *Writer) enter(ctx context.Context, q *queue) (leave func(), err error) {
	select {
	case <-q.turn:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	leave = func() {
		q.next = w.client.p.Clock().Add(max(w.client.p.WritePace, 0))
		q.turn <- struct{}{}
	}
	pause := time.NewTimer(q.next.Sub(w.client.p.Clock()))
	defer pause.Stop()
	select {
	case <-pause.C:
		return leave, nil
	case <-ctx.Done():
		q.turn <- struct{}{}
		return nil, context.Cause(ctx)
	}
}

// write makes one request that changes something.
func (w *Writer) write(ctx context.Context, repo review.Repo, method, path string, body, into any) error {
	return w.writeAs(ctx, toWrite, repo, method, path, body, into)
}

// writeAs is write with the tokens of a purpose. It says of a failure whether anything may have happened.
func (w *Writer) writeAs(ctx context.Context, why purpose, repo review.Repo, method, path string, body, into any) error {
	conn, err := w.client.connect(ctx, why, repo)
	if err != nil {
		return refusal(err)
	}
	leave, err := w.enter(ctx, w.queue(conn.key.installation))
	if err != nil {
		return err
	}
	defer leave()
	if err := conn.mint(ctx, method+" "+endpoint(path)); err != nil {
		return refusal(err) // nothing was asked for yet
	}
	fresh, err := publish.Confirm(ctx, w.client.p.Clock)
	if err != nil {
		return err
	}
	crashpoint.Hit(crashpoint.BeforePost)
	if err := fresh(); err != nil {
		return err
	}
	err = conn.send(ctx, method, path, body, into)
	crashpoint.Hit(crashpoint.AfterPost)
	if unauthorized(err) && w.client.p.AppID != 0 { // revoked before its time: nothing was done
		w.client.forget(conn.connection)
		if conn, err = w.client.connect(ctx, why, repo); err != nil {
			return refusal(err)
		}
		if err = fresh(); err != nil {
			return err
		}
		err = conn.send(ctx, method, path, body, into)
	}
	return refusal(uncertain(err))
}

// mint gets a token before it is needed, so that a failure to get one is told from that of a write.
func (c *connection) mint(ctx context.Context, what string) error {
	limited, cancel := context.WithTimeout(ctx, c.client.p.Timeout)
	defer cancel()
	if _, err := c.tokens.Token(limited); err != nil {
		return c.failed(ctx, what, nil, err)
	}
	return nil
}

// uncertain marks failures behind which the write may stand all the same: everything but a refusal, and a connection that
// was never made.
func uncertain(err error) error {
	if _, limited := errors.AsType[*review.LimitError](err); limited || err == nil || !errors.Is(err, review.ErrUnavailable) {
		if err != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
			return fmt.Errorf("%w: %w", publish.ErrAmbiguous, err)
		}
		return err
	}
	if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Op == "dial" {
		return err
	}
	return ambiguousError{err}
}

// ambiguousError is ErrAmbiguous instead of ErrUnavailable, in the words of what happened.
type ambiguousError struct{ cause error }

func (e ambiguousError) Error() string        { return e.cause.Error() }
func (e ambiguousError) Is(target error) bool { return target == publish.ErrAmbiguous }

// refusal says what a refusal means to whoever publishes.
func refusal(err error) error {
	if err == nil {
		return nil
	}
	if _, limited := errors.AsType[*review.LimitError](err); limited || errors.Is(err, publish.ErrAmbiguous) || errors.Is(err, review.ErrUnavailable) {
		return err
	}
	answer, ok := errors.AsType[*answerError](err)
	switch {
	case errors.Is(err, errNotFound), errors.Is(err, review.ErrPullRequestNotFound):
		return fmt.Errorf("%w: %w", publish.ErrGone, err)
	case ok && answer.status == http.StatusForbidden && saysLocked(answer.message):
		return fmt.Errorf("%w: %w", publish.ErrLocked, err)
	case ok && answer.status == http.StatusForbidden, errors.Is(err, review.ErrForgeRefused):
		return fmt.Errorf("%w: %w", publish.ErrForbidden, err)
	case ok && answer.status == http.StatusUnprocessableEntity && headGone(answer.message):
		return fmt.Errorf("%w: %w", review.ErrHeadGone, err)
	case ok && answer.status == http.StatusUnprocessableEntity && strings.Contains(strings.ToLower(answer.message), "one pending review per pull request"):
		return fmt.Errorf("%w: %w", publish.ErrPending, err)
	case ok:
		return fmt.Errorf("%w: %w", publish.ErrRefused, err)
	}
	return err
}

// saysLocked recognises GitHub's words for a conversation that was locked.
func saysLocked(message string) bool {
	m := strings.ToLower(message)
	return strings.Contains(m, "is locked") || strings.Contains(m, "lock prevents")
}

// headGone recognises GitHub's words for a commit that it does not find at the pull request.
func headGone(message string) bool {
	m := strings.ToLower(message)
	return strings.Contains(m, "no commit found for sha") || strings.Contains(m, "is not part of the pull request") ||
		strings.Contains(m, "commit_oid is not a valid commit") || strings.Contains(m, "could not resolve to a node") && strings.Contains(m, "commit")
}

// pages reads a list to its end, which is at most limit pages of perPage. Each comment on a line bears the code above it, half a
// megabyte in the largest files, so that those of a page can be more than one answer may have.
func pages[T any](ctx context.Context, c *link, path string, limit int) ([]T, error) {
	all, err := pagesOf[T](ctx, c, path, perPage, limit)
	if errors.Is(err, errAnswerTooLarge) {
		return pagesOf[T](ctx, c, path, fewPerPage, limit*perPage/fewPerPage)
	}
	return all, err
}

func pagesOf[T any](ctx context.Context, c *link, path string, size, limit int) ([]T, error) {
	var all []T
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	for page := 1; page <= limit; page++ {
		var some []T
		if err := c.get(ctx, fmt.Sprintf("%s%sper_page=%d&page=%d", path, separator, size, page), &some); err != nil {
			return nil, err
		}
		all = append(all, some...)
		if len(some) < size {
			return all, nil
		}
	}
	return nil, fmt.Errorf("%s: there are more than %d: %w", endpoint(path), limit*size, publish.ErrRefused)
}

// remark is a comment of any kind, as GitHub writes it; the library lacks some of the fields.
type remark struct {
	ID   int64 `json:"id"`
	User struct {
		Login string `json:"login"`
		Type  string `json:"type"`
	} `json:"user"`
	Body      string    `json:"body"`
	URL       string    `json:"html_url"`
	InReplyTo int64     `json:"in_reply_to_id"`
	Path      string    `json:"path"`
	Original  string    `json:"original_commit_id"`
	Subject   string    `json:"subject_type"`
	Review    int64     `json:"pull_request_review_id"`
	State     string    `json:"state"` // of a review
	CreatedAt time.Time `json:"created_at"`
	Submitted time.Time `json:"submitted_at"`
}

func (r *remark) comment(kind publish.Kind, self string) publish.Comment {
	if kind == publish.KindInline && r.Subject == "file" {
		kind = publish.KindFile
	}
	created := r.CreatedAt
	if created.IsZero() {
		created = r.Submitted
	}
	return publish.Comment{
		ID: r.ID, Kind: kind, Ours: strings.EqualFold(r.User.Login, self), Bot: r.User.Type == "Bot", Author: line(r.User.Login, maxLogin),
		Body: text(r.Body), URL: line(r.URL, maxURL), InReplyTo: r.InReplyTo, Path: cut(r.Path, maxPath), Commit: r.Original,
		Review: r.Review, CreatedAt: created,
	}
}

// login is the login under which we write. It is asked for once.
func (w *Writer) login(ctx context.Context) (string, error) {
	w.mu.Lock()
	known := w.self
	w.mu.Unlock()
	if known != "" {
		return known, nil
	}
	login, err := w.client.writesAs(ctx)
	if err != nil {
		return "", err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.self = login
	return login, nil
}

// writesAs asks who the writing credentials belong to.
func (c *Client) writesAs(ctx context.Context) (string, error) {
	if c.p.AppID == 0 {
		if c.p.User != "" {
			return c.p.User, nil
		}
		conn, err := c.connection(connectionKey{purpose: toWrite})
		if err != nil {
			return "", err
		}
		var me github.User
		if err := conn.get(ctx, "user", &me); err != nil {
			return "", fmt.Errorf("ask whose token it is (github.user says it where the token may not ask): %w", err)
		}
		if !validLogin(me.GetLogin()) {
			return "", incomplete("a user")
		}
		return me.GetLogin(), nil
	}
	conn, err := c.connection(connectionKey{purpose: asApp})
	if err != nil {
		return "", err
	}
	var app github.App
	if err := conn.get(ctx, "app", &app); err != nil {
		return "", err
	}
	if !validLogin(app.GetSlug()) {
		return "", incomplete("an App")
	}
	return app.GetSlug() + "[bot]", nil
}

// Comments implements publish.Reader.
func (w *Writer) Comments(ctx context.Context, ref review.PullRef) ([]publish.Comment, error) {
	self, err := w.login(ctx)
	if err != nil {
		return nil, refusal(err)
	}
	conn, err := w.client.connect(ctx, toRead, ref.Repo)
	if err != nil {
		return nil, refusal(err)
	}
	var all []publish.Comment
	for _, list := range []struct {
		kind publish.Kind
		path string
	}{
		{publish.KindInline, pullPath(ref, "/comments")},
		{publish.KindConversation, fmt.Sprintf("repos/%s/issues/%d/comments", ref.FullName(), ref.Number)},
		{publish.KindReview, pullPath(ref, "/reviews")},
	} {
		found, err := pages[remark](ctx, conn, list.path, maxPages)
		if err != nil {
			return nil, refusal(err)
		}
		slices.SortFunc(found, func(a, b remark) int { return cmp.Compare(a.ID, b.ID) })
		for i := range found {
			all = append(all, found[i].comment(list.kind, self))
		}
	}
	return all, nil
}

func pullPath(ref review.PullRef, rest string) string {
	return fmt.Sprintf("repos/%s/pulls/%d%s", ref.FullName(), ref.Number, rest)
}

// draft is a comment of a review to be made. The library's type leaves out fields that are zero, but knows no file
// comments elsewhere.
type draft struct {
	Path      string `json:"path"`
	Body      string `json:"body"`
	Line      int    `json:"line"`
	Side      string `json:"side"`
	StartLine int    `json:"start_line,omitempty"`
	StartSide string `json:"start_side,omitempty"`
}

func newDraft(c publish.Inline) draft {
	d := draft{Path: c.Path, Body: c.Body, Line: c.Line, Side: sideName(c.Side), StartLine: c.StartLine}
	if d.StartLine != 0 {
		d.StartSide = d.Side
	}
	return d
}

func sideName(s diff.Side) string {
	if s == diff.Left {
		return "LEFT"
	}
	return "RIGHT"
}

// CreateReview implements publish.Commenter.
func (w *Writer) CreateReview(ctx context.Context, ref review.PullRef, commit string, comments []publish.Inline) ([]publish.Comment, error) {
	body := struct {
		Commit   string  `json:"commit_id"`
		Event    string  `json:"event"`
		Comments []draft `json:"comments"`
	}{commit, "COMMENT", make([]draft, 0, len(comments))}
	for _, c := range comments {
		body.Comments = append(body.Comments, newDraft(c))
	}
	var made remark
	if err := w.place(ctx, ref, pullPath(ref, "/reviews"), body, &made); err != nil {
		return nil, err
	}
	return w.created(ctx, ref, made.ID), nil
}

// created reads a review's comments back. What cannot be read is found again by whoever looks.
func (w *Writer) created(ctx context.Context, ref review.PullRef, id int64) []publish.Comment {
	self, err := w.login(ctx)
	if err != nil || id == 0 {
		return nil
	}
	conn, err := w.client.connect(ctx, toRead, ref.Repo)
	if err != nil {
		return nil
	}
	found, err := pages[remark](ctx, conn, pullPath(ref, fmt.Sprintf("/reviews/%d/comments", id)), maxCreated)
	if err != nil {
		return nil
	}
	all := make([]publish.Comment, 0, len(found))
	for i := range found {
		found[i].Review = id
		all = append(all, found[i].comment(publish.KindInline, self))
	}
	return all
}

// place creates something in the diff. A review of ours that was begun and never submitted, which keeps everything else away,
// is removed: it may be what a failure inside GitHub left of an earlier request.
func (w *Writer) place(ctx context.Context, ref review.PullRef, path string, body, into any) error {
	err := w.write(ctx, ref.Repo, http.MethodPost, path, body, into)
	if !errors.Is(err, publish.ErrPending) {
		return err
	}
	removed, failure := w.removePending(ctx, ref)
	switch {
	case failure != nil:
		return failure // nothing was created
	case !removed:
		return err
	}
	return w.write(ctx, ref.Repo, http.MethodPost, path, body, into)
}

// removePending removes the pending review of the account that writes where nobody can miss it: an App's, an empty one, and
// one of nothing but comments that bear our marks. GitHub shows pending reviews to their authors only, so they are read with
// the tokens that write.
func (w *Writer) removePending(ctx context.Context, ref review.PullRef) (removed bool, err error) {
	conn, err := w.client.connect(ctx, toWrite, ref.Repo)
	if err != nil {
		return false, refusal(err)
	}
	reviews, err := pages[remark](ctx, conn, pullPath(ref, "/reviews"), maxPages)
	if err != nil {
		return false, refusal(err)
	}
	at := slices.IndexFunc(reviews, func(r remark) bool { return r.State == "PENDING" })
	if at < 0 {
		return true, nil // it was submitted or removed in the meantime
	}
	path := pullPath(ref, fmt.Sprintf("/reviews/%d", reviews[at].ID))
	if w.client.p.AppID == 0 {
		drafts, err := pages[remark](ctx, conn, path+"/comments", maxCreated)
		if err != nil {
			return false, refusal(err)
		}
		if reviews[at].Body != "" || slices.ContainsFunc(drafts, func(d remark) bool { return publish.Marked(d.Body) == "" }) {
			return false, nil
		}
	}
	err = w.write(ctx, ref.Repo, http.MethodDelete, path, nil, nil)
	if errors.Is(err, publish.ErrGone) || errors.Is(err, publish.ErrRefused) || errors.Is(err, publish.ErrAmbiguous) {
		return true, nil // whether it is there shows when it is tried again
	}
	return err == nil, err
}

// answered returns the comment that a request was answered with, if its error is nil.
func (w *Writer) answered(ctx context.Context, kind publish.Kind, write func(made *remark) error) (publish.Comment, error) {
	self, err := w.login(ctx)
	if err != nil {
		return publish.Comment{}, refusal(err)
	}
	var made remark
	if err := write(&made); err != nil {
		return publish.Comment{}, err
	}
	if made.ID == 0 { // an answer that was cut behind nothing
		return publish.Comment{}, fmt.Errorf("read a comment: the answer is empty: %w", publish.ErrAmbiguous)
	}
	return made.comment(kind, self), nil
}

type onlyBody struct {
	Body string `json:"body"`
}

// CreateFileComment implements publish.Commenter.
func (w *Writer) CreateFileComment(ctx context.Context, ref review.PullRef, commit, path, body string) (publish.Comment, error) {
	request := struct {
		Body    string `json:"body"`
		Commit  string `json:"commit_id"`
		Path    string `json:"path"`
		Subject string `json:"subject_type"`
	}{body, commit, path, "file"}
	return w.answered(ctx, publish.KindFile, func(made *remark) error { return w.place(ctx, ref, pullPath(ref, "/comments"), request, made) })
}

// Reply implements publish.Commenter.
func (w *Writer) Reply(ctx context.Context, ref review.PullRef, root int64, body string) (publish.Comment, error) {
	path := pullPath(ref, fmt.Sprintf("/comments/%d/replies", root))
	return w.answered(ctx, publish.KindInline, func(made *remark) error { return w.place(ctx, ref, path, onlyBody{body}, made) })
}

// CreateComment implements publish.Commenter.
func (w *Writer) CreateComment(ctx context.Context, ref review.PullRef, body string) (publish.Comment, error) {
	path := fmt.Sprintf("repos/%s/issues/%d/comments", ref.FullName(), ref.Number)
	return w.answered(ctx, publish.KindConversation, func(made *remark) error {
		return w.write(ctx, ref.Repo, http.MethodPost, path, onlyBody{body}, made)
	})
}

// EditComment implements publish.Commenter.
func (w *Writer) EditComment(ctx context.Context, ref review.PullRef, kind publish.Kind, id int64, body string) (publish.Comment, error) {
	method, path := http.MethodPatch, fmt.Sprintf("repos/%s/pulls/comments/%d", ref.FullName(), id)
	switch kind {
	case publish.KindConversation:
		path = fmt.Sprintf("repos/%s/issues/comments/%d", ref.FullName(), id)
	case publish.KindReview:
		method, path = http.MethodPut, pullPath(ref, fmt.Sprintf("/reviews/%d", id))
	case publish.KindInline, publish.KindFile:
	}
	return w.answered(ctx, kind, func(made *remark) error { return w.write(ctx, ref.Repo, method, path, onlyBody{body}, made) })
}

// React implements publish.Commenter. The text of a review takes no reactions at GitHub: then nothing is done.
func (w *Writer) React(ctx context.Context, ref review.PullRef, kind publish.Kind, id int64, r publish.Reaction) error {
	place := "pulls"
	switch kind {
	case publish.KindReview:
		return nil
	case publish.KindConversation:
		place = "issues"
	case publish.KindInline, publish.KindFile:
	}
	path := fmt.Sprintf("repos/%s/%s/comments/%d/reactions", ref.FullName(), place, id)
	return w.write(ctx, ref.Repo, http.MethodPost, path, struct {
		Content publish.Reaction `json:"content"`
	}{r}, nil)
}
