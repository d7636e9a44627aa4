package events_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/timestamppb"

	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/apierr"
	"witan.dev/internal/auth"
	blobsqlite "witan.dev/internal/blob/sqlite"
	"witan.dev/internal/bus/inprocess"
	"witan.dev/internal/database/sqlite"
	"witan.dev/internal/finding"
	"witan.dev/internal/job"
	"witan.dev/internal/job/engine/dbos"
	jobsqlite "witan.dev/internal/job/sqlite"
	"witan.dev/services/review"
	"witan.dev/services/review/commands"
	"witan.dev/services/review/events"
	"witan.dev/services/review/lifecycle"
	"witan.dev/services/review/publish"
	"witan.dev/services/review/publish/render"
	"witan.dev/services/review/repoconfig"
	"witan.dev/services/review/reviewers/secrets"
	"witan.dev/services/review/server"
	"witan.dev/services/review/starter"
	reviewsqlite "witan.dev/services/review/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hub is a forge with one pull request of ada's, on which we can react and comment.
type hub struct {
	publish.Forge

	mu          sync.Mutex
	permissions map[string]review.Permission
	comments    []publish.Comment
	reactions   []publish.Reaction
	asked       int // for permissions
	checks      []publish.Check
	state       review.PullState // empty: open
	draft       bool
	lost        int    // answers to writes that get lost
	away        int    // looks for check runs that fail
	file        string // the repository's configuration
	base        string // tip of the base branch; empty: "tip"
	threads     []publish.Thread
	tip         string // of the branch main; empty: it is gone
	lookedTip   int
}

func (h *hub) PullRequest(_ context.Context, ref review.PullRef) (review.PullRequest, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return review.PullRequest{PullRef: ref, State: cmp.Or(h.state, review.PullOpen), Draft: h.draft, Author: "ada", BaseTip: cmp.Or(h.base, "tip"), Head: "head"}, nil
}

func (h *hub) set(state review.PullState) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.state = state
}

func (h *hub) File(_ context.Context, _ review.Repo, path, commit string) ([]byte, error) {
	if h.file == "" || path != ".witan.yaml" || commit != "base" && commit != "tip" {
		return nil, review.ErrNoFile
	}
	return []byte(h.file), nil
}

func (h *hub) Permission(_ context.Context, _ review.Repo, login string) (review.Permission, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked++
	return h.permissions[login], nil
}

func (h *hub) Comments(context.Context, review.PullRef) ([]publish.Comment, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]publish.Comment(nil), h.comments...), nil
}

func (h *hub) CreateComment(_ context.Context, _ review.PullRef, body string) (publish.Comment, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := publish.Comment{ID: int64(len(h.comments) + 1), Kind: publish.KindConversation, Ours: true, Body: body}
	h.comments = append(h.comments, c)
	if h.lost > 0 {
		h.lost--
		return publish.Comment{}, publish.ErrAmbiguous
	}
	return c, nil
}

func (h *hub) Threads(context.Context, review.PullRef) ([]publish.Thread, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.threads), nil
}

// resolve makes the thread of a comment stand as it does.
func (h *hub) resolve(root int64, resolved bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.threads = []publish.Thread{{ID: "t", Root: root, Resolved: resolved}}
}

func (h *hub) React(_ context.Context, _ review.PullRef, _ publish.Kind, _ int64, r publish.Reaction) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reactions = append(h.reactions, r)
	return nil
}

func (h *hub) Checks(context.Context, review.Repo, string) ([]publish.Check, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.away > 0 {
		h.away--
		return nil, review.ErrUnavailable
	}
	return slices.Clone(h.checks), nil
}

func (h *hub) UpdateCheck(_ context.Context, _ review.Repo, c publish.Check) (publish.Check, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checks[c.ID-1] = c
	return c, nil
}

func (h *hub) askedFor() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.asked
}

func (h *hub) seen() (reactions []publish.Reaction, comments []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.comments {
		comments = append(comments, c.Body)
	}
	return append([]publish.Reaction(nil), h.reactions...), comments
}

// jobs are review.Jobs beside the manager.
type jobs struct {
	review.Jobs

	manager *job.Manager
}

// Wait takes what no job of the manager does for done.
func (j jobs) Wait(ctx context.Context, name string) (review.JobState, error) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		got, err := j.manager.Get(ctx, job.ID(strings.TrimPrefix(name, "jobs/")), "")
		switch {
		case errors.Is(err, job.ErrNotFound):
			return review.JobState{State: string(job.StateSucceeded)}, nil
		case err != nil:
			return review.JobState{}, err
		case got.State.Terminal():
			return review.JobState{State: string(got.State)}, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return review.JobState{}, context.Cause(ctx)
		}
	}
}

func (j jobs) Cancel(ctx context.Context, name string) error {
	_, err := j.manager.Cancel(ctx, job.ID(strings.TrimPrefix(name, "jobs/")), auth.Owner(ctx))
	if errors.Is(err, job.ErrNotFound) {
		return nil
	}
	return err
}

// council answers every question alike, for 500 tokens of at most 600. The same request is the same question.
type council struct {
	says   string // empty: what it always says
	mu     sync.Mutex
	asked  []review.Question
	away   int    // questions that are taken, and nobody hears of it
	then   func() // happens before it is asked again
	refuse error  // of the next question
}

func (*council) EstimateAnswer(context.Context, review.Question) (review.Estimate, error) {
	return review.Estimate{Calls: review.Range{High: 3}, Tokens: review.Range{Expected: 500, High: 600}}, nil
}

func (c *council) Ask(_ context.Context, q review.Question) (review.Deliberation, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.refuse; err != nil {
		c.refuse = nil
		return review.Deliberation{}, err
	}
	i := slices.IndexFunc(c.asked, func(a review.Question) bool { return a.RequestID == q.RequestID })
	if i >= 0 && !reflect.DeepEqual(c.asked[i], q) {
		return review.Deliberation{}, job.ErrRequestIDReused
	}
	if i < 0 {
		c.asked = append(c.asked, q)
	}
	if c.away > 0 {
		c.away--
		if c.then != nil {
			c.then()
		}
		return review.Deliberation{}, review.ErrUnavailable
	}
	return review.Deliberation{Name: "deliberations/d", Job: "jobs/d"}, nil
}

func (c *council) Advice(context.Context, string) (review.Advice, error) {
	return review.Advice{Text: cmp.Or(c.says, "So it is."), Usage: job.Usage{InputTokens: 400, OutputTokens: 100}}, nil
}

// repo has one change.
type repo struct{ change review.Change }

func (*repo) Pin(context.Context, job.ID, review.Source) (review.Pinned, error) {
	return review.Pinned{}, nil
}

func (r *repo) Load(context.Context, review.Pinned) (*review.Change, error) { return &r.change, nil }

func (*repo) Trees(context.Context, review.Pinned) (base, head review.Tree, err error) {
	return nil, nil, nil
}

func (*repo) Release(context.Context, job.ID) error { return nil }

type system struct {
	*hub

	council *council
	repo    *repo
	indexes *indexes
	clock   *clock

	server *server.Server
	jobs   *job.Manager
	store  *reviewsqlite.Store
	write  func(func(ctx context.Context, tx job.Tx) error) error

	boot, halt func()
}

func start(t *testing.T, options ...func(*events.Params)) *system {
	t.Helper()
	s := &system{
		hub:     &hub{permissions: map[string]review.Permission{"wil": review.PermissionWrite, "ada": review.PermissionRead, "rea": review.PermissionRead}},
		council: &council{}, repo: &repo{}, indexes: &indexes{made: map[string]*index{}}, clock: &clock{},
	}
	path := filepath.Join(t.TempDir(), "witan.db")
	s.boot = func() { s.open(t, path, options) }
	s.boot()
	t.Cleanup(func() { s.halt() })
	return s
}

// open begins on a database, which may be that of a process before.
func (s *system) open(t *testing.T, path string, options []func(*events.Params)) {
	t.Helper()
	ctx, logger := context.WithoutCancel(t.Context()), slog.New(slog.DiscardHandler)
	db, err := sqlite.Open(ctx, path, logger)
	require.NoError(t, err)
	engine, err := dbos.NewSQLite(ctx, db, logger)
	require.NoError(t, err)
	manager := job.NewManager(jobsqlite.New(db, nil), engine, inprocess.New(), logger, job.Config{CancelPoll: 20 * time.Millisecond})
	store := reviewsqlite.NewStore(db)
	scanner, err := secrets.New([]byte("a key for tests that is long enough"))
	require.NoError(t, err)
	h, now, x := s.hub, s.clock, s.indexes
	x.set(func(x *indexes) { x.manager, x.blobs = manager, blobsqlite.New(db, nil) })
	params := events.Params{
		Advisor: s.council, Repository: s.repo, Secrets: scanner,
		Jobs: jobs{manager: manager}, Kept: manager, Store: store, Subjects: store, Ledger: store, Forge: h, Publisher: h, Keys: publish.NewKeys([]byte("key")),
		Starter:       starter.New(starter.Params{Jobs: manager, Store: store, Subjects: store, Logger: logger, Clock: time.Now}),
		Configuration: repoconfig.New(repoconfig.Params{Reviewers: []string{"secrets"}, Secrets: scanner}), Logger: logger, Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
		Indexes: x, Snapshots: x, Blobs: x.blobs, Calm: 10 * time.Millisecond, Clock: now.now,
	}
	for _, option := range options {
		option(&params)
	}
	w := events.New(params)
	manager.OnGivenUp(job.KindReview, func(ctx context.Context, j job.Job) error {
		return events.EndGivenUp(ctx, manager, store, publish.NewKeys([]byte("key")), j)
	})
	// Reviews wait until they are cancelled.
	manager.Handle(job.KindReview, 32, func(r *job.Run) error {
		if string(r.Job().Spec) == "panic" {
			panic("boom")
		}
		<-r.Context().Done()
		if context.Cause(r.Context()) == job.ErrCancelAsked { //nolint:errorlint // the very cause
			return r.Finish(context.WithoutCancel(r.Context()), job.Outcome{State: job.StateCancelled, Reason: job.ReasonCancelled})
		}
		return context.Cause(r.Context())
	})
	manager.Handle(job.KindDelivery, 0, w.Body)
	manager.Handle(job.KindIndex, 0, x.body)
	manager.OnDelete(job.KindIndex, job.Remover{Tx: func(ctx context.Context, tx job.Tx, j job.Job) error {
		return x.blobs.ReleaseTx(ctx, tx, j.Resource)
	}})
	require.NoError(t, manager.Start(ctx))
	s.halt = func() {
		stopping, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		require.NoError(t, manager.Stop(stopping))
		require.NoError(t, db.Close())
	}
	s.jobs, s.store = manager, store
	s.server = server.New(server.Params{Jobs: manager, Store: store, Subjects: store, Ledger: store, Forge: true, App: "owl", Clock: now.now, Secrets: scanner})
	s.write = func(fn func(ctx context.Context, tx job.Tx) error) error {
		_, _, err := manager.Create(ctx, job.Creation{ID: job.NewID(), Kind: job.KindIndex, Owner: "local", Resource: "indexes/x", Write: fn})
		return err
	}
}

var repository = &reviewv1.ForgeRepository{Host: "github.com", Owner: "o", Name: "r", Id: 7} //nolint:gochecknoglobals // read only

const subject = "github:github.com/7#3"

// tell hands an event over and waits for its job; the same word is the same delivery.
func (s *system) tell(t *testing.T, word, sender string, change func(*reviewv1.ForgeEvent)) *reviewv1.HandleEventResponse {
	t.Helper()
	answer := s.hand(t, word, sender, change)
	s.ended(t, answer)
	return answer
}

// hand hands an event over.
func (s *system) hand(t *testing.T, word, sender string, change func(*reviewv1.ForgeEvent)) *reviewv1.HandleEventResponse {
	t.Helper()
	e := &reviewv1.ForgeEvent{Delivery: "deliveries/" + word, Repository: repository, Sender: sender}
	change(e)
	ctx := auth.With(t.Context(), auth.Principal{Owner: "local", Service: true})
	answer, err := s.server.HandleEvent(ctx, &reviewv1.HandleEventRequest{Event: e, RequestId: uuid.NewSHA1(uuid.NameSpaceURL, []byte(word)).String()})
	require.NoError(t, err)
	return answer
}

// ended waits for the job of an event.
func (s *system) ended(t *testing.T, answer *reviewv1.HandleEventResponse) {
	t.Helper()
	if id, ok := strings.CutPrefix(answer.GetResource(), "jobs/"); ok {
		require.Eventually(t, func() bool {
			j, err := s.jobs.Get(t.Context(), job.ID(id), "")
			require.NoError(t, err)
			return j.State.Terminal()
		}, 60*time.Second, 10*time.Millisecond)
		j, err := s.jobs.Get(t.Context(), job.ID(id), "")
		require.NoError(t, err)
		require.Equal(t, job.StateSucceeded, j.State, "%+v", j.Error)
	}
}

func comment(id int64, body string) func(*reviewv1.ForgeEvent) {
	return func(e *reviewv1.ForgeEvent) {
		e.Event = &reviewv1.ForgeEvent_Comment{Comment: &reviewv1.CommentWritten{
			Number: 3, Place: reviewv1.CommentWritten_CONVERSATION, CommentId: id, Body: body,
		}}
	}
}

func (s *system) reviews(t *testing.T) []review.Review {
	t.Helper()
	list, err := s.store.List(t.Context(), review.ListQuery{Owner: "local", Limit: 50})
	require.NoError(t, err)
	return list
}

func TestP02_ACommandIsCarriedOutOnceForWhoMayAskForIt(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.tell(t, "1", "wil", comment(1, "/witan review full"))
	list := s.reviews(t)
	require.Len(t, list, 1)
	require.Equal(t, review.TriggerCommand, list[0].Trigger)
	require.Equal(t, review.ScopeWhole, list[0].Scope)
	s.tell(t, "1", "wil", comment(1, "/witan review full"))
	s.tell(t, "another delivery of the same comment", "wil", comment(1, "/witan review full"))
	require.Len(t, s.reviews(t), 1)

	s.tell(t, "2", "rea", comment(2, "/witan review"))
	require.Len(t, s.reviews(t), 1, "who may only read starts nothing")
	reactions, comments := s.seen()
	require.Equal(t, publish.ReactionConfused, reactions[len(reactions)-1])
	require.Empty(t, comments, "and is told so without words")

	for n := range int64(7) { // the author may, five times a day
		s.tell(t, "author"+string(rune('a'+n)), "ada", comment(10+n, "/witan review"))
	}
	require.Len(t, s.reviews(t), 6)

	require.Equal(t, "NO_COMMAND", s.tell(t, "3", "wil", comment(3, "fine")).GetIgnoredReason())
	bot := func(e *reviewv1.ForgeEvent) { comment(4, "/witan review")(e); e.SenderBot = true }
	require.Equal(t, "BOT", s.tell(t, "4", "x", bot).GetIgnoredReason())
	own := render.Answer("/witan review", "/witan review\n\n@owl review", nil, publish.Mark(strings.Repeat("a", 24)))
	require.Equal(t, "OURS", s.tell(t, "5", "wil", comment(5, own)).GetIgnoredReason(), "with a token we write as a person does")
	require.Empty(t, commands.Parse(render.Answer("The answer:", "/witan review\n\n@owl review\n\n /witan pause", nil, ""), "owl"))
}

func TestAllSettingsAreShown(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.mu.Lock()
	s.base, s.file = "base", `version: 1
review: {auto: [], ignore: {authors: [dependabot], titles: [wip], labels: [no review]}, labels: [please]}
min_votes: {low: 3}
reviewers: {secrets: {enabled: false}}
comments: {inline: false, max_inline: 7, suggestions: false}
walkthrough: {enabled: false, collapse: true}
check: {enabled: false, incomplete: failure}
budget: {calls: 1}
context: {tokens: 900, sources: [callers]}
`
	s.mu.Unlock()
	s.onRow(t, subject, func(subject *review.Subject) {
		subject.DoneHead, subject.Files = "abc", review.ByPath[review.CoveredFile]{"a.go": {}}
	})
	s.tell(t, "1", "rea", comment(1, "/witan config"))
	_, comments := s.seen()
	require.Len(t, comments, 1)
	for _, part := range []string{
		"dependabot", "wip", "no review", "please", "LOW: 3", "secrets: false", "at most 7", "collapsed: true", "incomplete: failure",
		"check run: false", ": 1 call`", "900 tokens", "callers", "1 file in full",
	} {
		require.Contains(t, comments[0], part)
	}
}

// TestP07_NoReviewOfWhatIsClosedIsStarted: its check run would stand at the commit when it is opened again.
func TestP07_NoReviewOfWhatIsClosedIsStarted(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.set(review.PullClosed)
	s.tell(t, "1", "wil", comment(1, "/witan review"))
	require.Empty(t, s.reviews(t))
	_, comments := s.seen()
	require.Len(t, comments, 1)
	require.Contains(t, comments[0], "The pull request is not open.")
}

// TestP02_AStrangersCommentCostsLittle: the forge counts requests, and what is written to it is written slowly.
func TestP02_AStrangersCommentCostsLittle(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.tell(t, "1", "nobody", comment(1, "/witan pause\n/witan dismiss abc\n/witan review full\n/witan resume\n/witan config"))
	reactions, comments := s.seen()
	require.Equal(t, []publish.Reaction{publish.ReactionConfused}, reactions)
	require.Empty(t, comments)
	require.Equal(t, 1, s.asked)
	s.tell(t, "2", "wil", comment(2, "/witan pause\n/witan resume"))
	reactions, _ = s.seen()
	require.Equal(t, []publish.Reaction{publish.ReactionEyes, publish.ReactionUp}, reactions[1:])
	require.Equal(t, 2, s.asked)
}

func TestAnAnswerIsGivenOnceAlsoWhenItsOwnAnswerGotLost(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.lost = 1
	s.tell(t, "1", "rea", comment(1, "/witan what\n/witan help\n/witan nonsense"))
	_, comments := s.seen()
	require.Len(t, comments, 1)
	require.Contains(t, comments[0], "/witan ask QUESTION")
	s.tell(t, "again", "rea", comment(1, "/witan what\n/witan help\n/witan nonsense"))
	_, comments = s.seen()
	require.Len(t, comments, 1)
	s.tell(t, "2", "rea", comment(2, "@owl config"))
	_, comments = s.seen()
	require.Len(t, comments, 2)
	require.Contains(t, comments[1], "the base branch has no `.witan.yaml`")
}

// TestP11_NoSettingIsShownWithASecret, be it used or wrong, and no answer of the council.
func TestP11_NoSettingIsShownWithASecret(t *testing.T) {
	t.Parallel()
	key := "AK" + "IA" + strings.Join([]string{"QX3ZL7N5", "PWV2KTJD"}, "")
	s := start(t)
	s.file = "version: 1\npaths:\n  exclude: [\"my_" + key + "/\"]\nreview:\n  labels: [" + key + "]\n" +
		"  ignore: {authors: [" + key + "], titles: [" + key + "], labels: [" + key + "]}\n"
	s.tell(t, "1", "rea", comment(1, "/witan config"))
	s.file = "version: 1\n" + key + ": 1\n"
	s.tell(t, "2", "rea", comment(2, "/witan config"))
	s.council.says = "It is " + key + "."
	s.tell(t, "3", "wil", comment(3, "/witan ask what is it?"))
	_, comments := s.seen()
	require.Len(t, comments, 3)
	for _, c := range comments {
		require.Regexp(t, `\[secret\\?:aws`, c)
		require.NotContains(t, c, key[4:])
	}
}

func TestPauseAndCloseStopWhatIsUnderWayOnly(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.tell(t, "1", "wil", comment(1, "/witan review"))
	id := s.reviews(t)[0].ID
	ended := func(id job.ID) {
		require.Eventually(t, func() bool {
			j, err := s.jobs.Get(t.Context(), id, "")
			require.NoError(t, err)
			return j.State == job.StateCancelled
		}, 30*time.Second, 10*time.Millisecond)
	}
	s.tell(t, "2", "wil", comment(2, "/witan pause"))
	ended(id)
	got, err := s.store.Subject(t.Context(), subject)
	require.NoError(t, err)
	require.True(t, got.Paused)
	s.tell(t, "3", "wil", comment(3, "/witan resume\n/witan review"))
	closed := func(e *reviewv1.ForgeEvent) {
		e.Event = &reviewv1.ForgeEvent_Closed{Closed: &reviewv1.PullRequestClosed{Number: 3}}
	}
	frozen := func() bool {
		got, err := s.store.Subject(t.Context(), subject)
		require.NoError(t, err)
		return got.Closed
	}
	s.tell(t, "closed before it was opened again", "wil", closed)
	j, err := s.jobs.Get(t.Context(), s.reviews(t)[0].ID, "")
	require.NoError(t, err)
	require.Equal(t, job.StateRunning, j.State, "deliveries need not come in order")
	require.False(t, frozen())
	s.set(review.PullClosed)
	s.tell(t, "4", "wil", closed)
	ended(s.reviews(t)[0].ID)
	require.True(t, frozen())
	foreign, _, err := s.jobs.Create(t.Context(), job.Creation{ID: job.NewID(), Kind: job.KindReview, Owner: "another", Resource: "reviews/y"})
	require.NoError(t, err)
	s.onRow(t, subject, func(subject *review.Subject) { subject.Running = foreign.ID })
	s.tell(t, "closed while another's is under way", "wil", closed)
	ended(foreign.ID)
	s.set(review.PullOpen)
	s.tell(t, "5", "wil", comment(4, "/witan review"))
	s.tell(t, "4", "wil", closed)
	j, err = s.jobs.Get(t.Context(), s.reviews(t)[0].ID, "")
	require.NoError(t, err)
	require.False(t, j.State.Terminal(), "a delivery that comes again ends nothing that began since")
	got, err = s.store.Subject(t.Context(), subject)
	require.NoError(t, err)
	require.False(t, got.Paused)
}

// Whichever comment is looked at last, the one that was written last counts.
func TestTheLastWordPausesOrResumes(t *testing.T) {
	t.Parallel()
	s := start(t)
	say := func(id int64, body string, at int64) {
		s.tell(t, fmt.Sprint(id), "wil", func(e *reviewv1.ForgeEvent) {
			comment(id, body)(e)
			e.ReceiveTime = &timestamppb.Timestamp{Seconds: at}
		})
	}
	for n, c := range []struct {
		body   string
		at     int64
		paused bool
	}{
		{"/witan resume", 20, false},
		{"/witan pause", 10, false},
		{"/witan pause", 30, true},
		{"/witan resume", 25, true},
		{"/witan pause\n/witan resume", 40, false},
	} {
		say(int64(n+1), c.body, c.at)
		got, err := s.store.Subject(t.Context(), subject)
		require.NoError(t, err)
		require.Equal(t, c.paused, got.Paused, "%d %s", n, c.body)
	}
}

// A draft's reviews are stopped, but not those of a pull request that was made ready before its event came.
func TestOnlyADraftsReviewsAreStopped(t *testing.T) {
	t.Parallel()
	s := start(t)
	running := func() job.ID {
		j, _, err := s.jobs.Create(t.Context(), job.Creation{ID: job.NewID(), Kind: job.KindReview, Owner: "local", Resource: "reviews/x"})
		require.NoError(t, err)
		s.onRow(t, subject, func(row *review.Subject) { row.Running = j.ID })
		return j.ID
	}
	drafted := func(e *reviewv1.ForgeEvent) {
		e.Event = &reviewv1.ForgeEvent_Drafted{Drafted: &reviewv1.PullRequestDrafted{Number: 3}}
	}
	id := running()
	s.tell(t, "overtaken", "ada", drafted)
	j, err := s.jobs.Get(t.Context(), id, "")
	require.NoError(t, err)
	require.NotContains(t, []job.State{job.StateCancelling, job.StateCancelled}, j.State, "nobody would start it again")
	s.mu.Lock()
	s.draft = true
	s.mu.Unlock()
	s.tell(t, "drafted", "ada", drafted)
	require.Eventually(t, func() bool {
		j, err := s.jobs.Get(t.Context(), id, "")
		require.NoError(t, err)
		return j.State == job.StateCancelled
	}, 30*time.Second, 10*time.Millisecond)
}

func TestP06_WhatPeopleDoInAThreadIsKept(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.tell(t, "1", "wil", comment(1, "/witan review"))
	require.NoError(t, s.write(func(ctx context.Context, tx job.Tx) error {
		return s.store.PutKnown(ctx, tx, review.Known{
			Subject: subject, ID: "f1", CommentID: 99, Finding: finding.Finding{Name: "f1", Title: "x", Status: finding.Open, Outcome: finding.Published},
		})
	}))
	known := func() review.Known {
		k, err := s.store.KnownByComment(t.Context(), subject, 99)
		require.NoError(t, err)
		return k
	}
	thread := func(resolved bool, ids ...int64) func(*reviewv1.ForgeEvent) {
		return func(e *reviewv1.ForgeEvent) {
			e.Event = &reviewv1.ForgeEvent_Thread{Thread: &reviewv1.ThreadResolved{Number: 3, CommentIds: ids, Resolved: resolved}}
		}
	}
	require.Equal(t, "NOT_OURS", s.tell(t, "2", "wil", thread(true, 5)).GetIgnoredReason())
	s.tell(t, "author", "ada", thread(true, 99, 100))
	require.Equal(t, finding.Open, known().Finding.Status, "an author may resolve a thread, which decides nothing")
	s.tell(t, "3", "wil", thread(true, 99, 100))
	require.Equal(t, finding.Dismissed, known().Finding.Status)
	s.tell(t, "author again", "ada", thread(false, 99))
	require.Equal(t, finding.Dismissed, known().Finding.Status)
	s.tell(t, "4", "wil", thread(false, 99))
	require.Equal(t, finding.Open, known().Finding.Status)
	s.tell(t, "3", "wil", thread(true, 99, 100))
	require.Equal(t, finding.Open, known().Finding.Status, "the same delivery again")
	s.resolve(99, false)
	s.tell(t, "overtaken", "wil", thread(true, 99, 100))
	require.Equal(t, finding.Open, known().Finding.Status, "it was opened again meanwhile, which was told before")
	s.resolve(99, true)
	s.tell(t, "at last", "wil", thread(true, 99, 100))
	require.Equal(t, finding.Dismissed, known().Finding.Status)
	require.NoError(t, s.write(func(ctx context.Context, tx job.Tx) error {
		return s.store.PutKnown(ctx, tx, lifecycle.Reopen(known()))
	}))
	require.Len(t, s.reshown(t), 3, "whoever resolved it, opened it again and resolved it is shown what came of it")

	inThread := func(body string) func(*reviewv1.ForgeEvent) {
		return func(e *reviewv1.ForgeEvent) {
			e.Event = &reviewv1.ForgeEvent_Comment{Comment: &reviewv1.CommentWritten{
				Number: 3, Place: reviewv1.CommentWritten_THREAD, CommentId: 200, InReplyTo: 99, Body: body,
			}}
		}
	}
	s.tell(t, "5", "rea", inThread("I do not think so."))
	require.True(t, known().Answered)
	s.tell(t, "6", "wil", inThread("/witan dismiss it is meant, AK"+"IAQX3ZL7N5PWV2KTJD"))
	require.Equal(t, finding.Dismissed, known().Finding.Status)
	require.Regexp(t, `^it is meant, \[secret:aws-access-token:[0-9a-f]{6}\]$`, known().Reason)
	require.Equal(t, "wil", known().By)
	require.Len(t, s.reshown(t), 4)
	require.Equal(t, lifecycle.Refused, known().Feedback)
	s.tell(t, "7", "wil", func(e *reviewv1.ForgeEvent) {
		e.Event = &reviewv1.ForgeEvent_CommentDeleted{CommentDeleted: &reviewv1.CommentDeleted{Number: 3, CommentId: 99}}
	})
	require.True(t, known().Gone)

	require.NoError(t, s.write(func(ctx context.Context, tx job.Tx) error {
		closed, err := s.store.Lock(ctx, tx, subject, "local")
		require.NoError(t, err)
		closed.Closed = true
		require.NoError(t, s.store.Put(ctx, tx, closed))
		return s.store.PutKnown(ctx, tx, lifecycle.Reopen(known()))
	}))
	require.Equal(t, finding.Open, known().Finding.Status)
	for n, text := range []string{"/witan dismiss", "/witan dismiss f1 too late"} {
		s.tell(t, fmt.Sprint("late ", n), "wil", func(e *reviewv1.ForgeEvent) {
			inThread(text)(e)
			e.GetComment().CommentId = 300 + int64(n)
			e.GetComment().Place = reviewv1.CommentWritten_CONVERSATION
		})
	}
	require.Equal(t, finding.Open, known().Finding.Status, "the findings of what is closed are frozen")
	_, comments := s.seen()
	require.Len(t, comments, 2)
	require.Contains(t, comments[1], "closed")
}

// TestP11_NoSecretReachesTheCouncilInAQuestion has keys at the place where the change is cut, and in words that do not give
// them away.
// A comment is seen, and may be resolved or answered, before its review has noted whose it is.
func TestP06_ADismissalWhileAReviewStillWritesIsKept(t *testing.T) {
	t.Parallel()
	s := start(t)
	writes, _, err := s.jobs.Create(t.Context(), job.Creation{ID: job.NewID(), Kind: job.KindReview, Owner: "local", Resource: "reviews/x"})
	require.NoError(t, err)
	s.onRow(t, subject, func(row *review.Subject) { row.Running, row.Publishing = writes.ID, true })
	resolved := s.hand(t, "resolved", "wil", func(e *reviewv1.ForgeEvent) {
		e.Event = &reviewv1.ForgeEvent_Thread{Thread: &reviewv1.ThreadResolved{Number: 3, CommentIds: []int64{99}, Resolved: true}}
	})
	require.Empty(t, resolved.GetIgnoredReason())
	answered := s.hand(t, "answered", "wil", func(e *reviewv1.ForgeEvent) {
		comment(200, "/witan dismiss")(e)
		e.GetComment().Place, e.GetComment().InReplyTo = reviewv1.CommentWritten_THREAD, 98
	})
	require.Eventually(t, func() bool { // both looked
		reactions, _ := s.seen()
		return len(reactions) > 0 && s.askedFor() > 1
	}, 30*time.Second, 10*time.Millisecond)
	for id, comment := range map[string]int64{"f1": 99, "f2": 98} {
		require.NoError(t, s.write(func(ctx context.Context, tx job.Tx) error {
			return s.store.PutKnown(ctx, tx, review.Known{
				Subject: subject, ID: id, CommentID: comment, Finding: finding.Finding{Name: id, Title: "x", Status: finding.Open, Outcome: finding.Published},
			})
		}))
	}
	s.onRow(t, subject, func(row *review.Subject) { row.End(writes.ID, true) })
	_, err = s.jobs.Cancel(t.Context(), writes.ID, "")
	require.NoError(t, err)
	s.ended(t, resolved)
	s.ended(t, answered)
	for _, comment := range []int64{98, 99} {
		k, err := s.store.KnownByComment(t.Context(), subject, comment)
		require.NoError(t, err)
		require.Equal(t, finding.Dismissed, k.Finding.Status)
	}
}

func TestP11_NoSecretReachesTheCouncilInAQuestion(t *testing.T) {
	t.Parallel()
	key := "AK" + "IA" + strings.Join([]string{"QX3ZL7N5", "PWV2KTJD"}, "") // put together, so that these sources hold none
	bare := strings.Join([]string{"k9Xq2", "vT7mB", "4zLp8", "Rw3Nf", "6Yc1"}, "")
	s := start(t)
	const before = "--- a.go\n+++ a.go\n@@ -1,0 +1,2 @@\n"
	keyLine := `id = "` + key + `"`
	s.repo.change.Files = []review.File{{
		Path: "a.go", OldPath: "a.go", Change: review.Modified, Nature: review.NatureText, HasOld: true, HasNew: true, Old: []byte("api_key = \"" + bare + "\"\n"),
		Hunks: []review.Hunk{{OldStart: 1, NewStart: 1, NewLines: 2, Lines: []review.Line{
			{Op: '+', Text: strings.Repeat("x ", (60_000-len(before)-len(keyLine))/2)}, {Op: '+', Text: keyLine}, {Op: '+', Text: "end"},
		}}},
	}}
	s.tell(t, "1", "wil", comment(1, "/witan ask is "+bare+" right?"))
	require.Len(t, s.council.asked, 1)
	q := s.council.asked[0]
	require.Contains(t, q.Text, "[secret:")
	require.NotContains(t, q.Text, bare)
	change := q.Evidence[2].Text
	require.Contains(t, change, "x x")
	require.LessOrEqual(t, len(change), 60_100)
	require.NotContains(t, change, key[:5])
	require.True(t, strings.HasSuffix(change, "\n(the change goes on)\n"), "cut at a line")
	_, comments := s.seen()
	require.Contains(t, comments[0], "So it is")
}

// TestP11_NoSecretOfACommentIsStoredWithItsJob: of a comment the commands are kept, without secrets, and nothing else.
func TestP11_NoSecretOfACommentIsStoredWithItsJob(t *testing.T) {
	t.Parallel()
	key := "AK" + "IA" + strings.Join([]string{"QX3ZL7N5", "PWV2KTJD"}, "") // put together, so that these sources hold none
	bare := strings.Join([]string{"k9Xq2", "vT7mB", "4zLp8", "Rw3Nf", "6Yc1"}, "")
	s := start(t)
	body := "api_key = \"" + bare + "\"\n\n/witan ask why is " + key + " refused, and " + bare + "?\n/witan review full\n"
	answer := s.tell(t, "1", "wil", comment(1, body))
	j, err := s.jobs.Get(t.Context(), job.ID(strings.TrimPrefix(answer.GetResource(), "jobs/")), "")
	require.NoError(t, err)
	var spec events.Spec
	require.NoError(t, json.Unmarshal(j.Spec, &spec))
	require.Len(t, spec.Commands, 2)
	require.Regexp(t, `^why is \[secret:aws-access-token:[0-9a-f]{6}\] refused, and \[secret:[^ ]*\]\?$`, spec.Commands[0].Text)
	require.Equal(t, "full", spec.Commands[1].Text)
	require.NotContains(t, string(spec.Event), key[:8])
	require.NotContains(t, string(spec.Event), bare[:8])
	require.Len(t, s.council.asked, 1)
	require.Contains(t, s.council.asked[0].Text, "[secret:aws-access-token:")
	require.Len(t, s.reviews(t), 1, "both are carried out")
}

// TestCommandsInTheTextOfAReview has no reactions to give: what shows nowhere else is said.
func TestCommandsInTheTextOfAReview(t *testing.T) {
	t.Parallel()
	s := start(t)
	inReview := func(id int64, body string) func(*reviewv1.ForgeEvent) {
		return func(e *reviewv1.ForgeEvent) {
			comment(id, body)(e)
			e.GetComment().Place = reviewv1.CommentWritten_REVIEW
		}
	}
	s.tell(t, "1", "wil", inReview(1, "/witan review"))
	s.tell(t, "2", "rea", inReview(2, "/witan pause"))
	require.Len(t, s.reviews(t), 1)
	reactions, comments := s.seen()
	require.Empty(t, reactions)
	require.Empty(t, comments, "a review shows itself, and strangers are not answered")
	s.tell(t, "3", "wil", inReview(3, "/witan pause"))
	s.tell(t, "4", "wil", inReview(4, "/witan resume"))
	s.tell(t, "another delivery", "wil", inReview(4, "/witan resume"))
	reactions, comments = s.seen()
	require.Empty(t, reactions)
	require.Len(t, comments, 2)
	require.Contains(t, comments[0], "are paused")
	require.Contains(t, comments[1], "by themselves again")
}

// TestTheCheckOfAForkIsRunAgainHoweverItsReviewEnded has check runs for which the forge names no pull request.
func TestTheCheckOfAForkIsRunAgainHoweverItsReviewEnded(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.tell(t, "1", "wil", comment(1, "/witan review"))
	failed := s.reviews(t)[0]
	failed.Pinned.Head = "tried"
	require.NoError(t, s.write(func(ctx context.Context, tx job.Tx) error { return s.store.Repin(ctx, tx, failed) }))
	_, err := s.jobs.Cancel(t.Context(), failed.ID, "")
	require.NoError(t, err)
	again := func(head string) func(*reviewv1.ForgeEvent) {
		return func(e *reviewv1.ForgeEvent) {
			e.Event = &reviewv1.ForgeEvent_CheckAction{CheckAction: &reviewv1.CheckAction{CheckRunId: 20, Head: head, Action: "rerequested"}}
		}
	}
	s.tell(t, "2", "wil", again("another"))
	s.tell(t, "3", "wil", again(""))
	require.Len(t, s.reviews(t), 1)
	s.tell(t, "4", "wil", again("tried"))
	s.tell(t, "4", "wil", again("tried"))
	list := s.reviews(t)
	require.Len(t, list, 2)
	require.Equal(t, review.TriggerCheckRequested, list[0].Trigger)
	require.Equal(t, subject, list[0].Pinned.Subject)
}

// TestTheButtonOfACheckRunStartsAReviewOfAllOfIt, unlike what the forge offers itself.
func TestTheButtonOfACheckRunStartsAReviewOfAllOfIt(t *testing.T) {
	t.Parallel()
	s := start(t)
	pressed := func(action string, numbers ...int64) func(*reviewv1.ForgeEvent) {
		return func(e *reviewv1.ForgeEvent) {
			e.Event = &reviewv1.ForgeEvent_CheckAction{CheckAction: &reviewv1.CheckAction{CheckRunId: 0, Head: "tried", Action: action, Numbers: numbers}}
		}
	}
	s.tell(t, "1", "wil", pressed(review.CheckActionAgain, 3))
	first := s.reviews(t)
	require.Len(t, first, 1)
	require.Equal(t, review.ScopeDefault, first[0].Scope)
	_, err := s.jobs.Cancel(t.Context(), first[0].ID, "")
	require.NoError(t, err)
	s.tell(t, "2", "wil", pressed(review.CheckActionWhole, 3))
	s.tell(t, "2", "wil", pressed(review.CheckActionWhole, 3))
	second := s.reviews(t)
	require.Len(t, second, 2)
	require.Equal(t, review.ScopeWhole, second[0].Scope)
	require.Equal(t, review.TriggerCheckRequested, second[0].Trigger)

	tried := second[0]
	tried.Pinned.Head = "tried"
	require.NoError(t, s.write(func(ctx context.Context, tx job.Tx) error { return s.store.Repin(ctx, tx, tried) }))
	_, err = s.jobs.Cancel(t.Context(), tried.ID, "")
	require.NoError(t, err)
	s.tell(t, "3", "wil", pressed(review.CheckActionWhole))
	third := s.reviews(t)
	require.Len(t, third, 3, "of a fork")
	require.Equal(t, review.ScopeWhole, third[0].Scope)
}

// TestAnAnswerCountsOnceInTheBudgets has a question that is taken without an answer, one that is refused, and the same
// comment told twice.
func TestAnAnswerCountsOnceInTheBudgets(t *testing.T) {
	t.Parallel()
	s := start(t, func(p *events.Params) {
		p.Budgets = review.Budgets{SubjectDay: review.Budget{Tokens: 1000}, RepositoryMonth: review.Budget{Tokens: 5000}}
	})
	spent := func(tokens int64) {
		t.Helper()
		for _, name := range []string{subject, "github:github.com/7"} {
			row, err := s.store.Subject(t.Context(), name)
			require.NoError(t, err)
			require.Equal(t, tokens, row.Spending.Spent.Tokens, name)
			require.Empty(t, row.Spending.Held, name)
		}
	}
	s.council.away = 1
	s.tell(t, "1", "wil", comment(1, "/witan ask why?"))
	require.Len(t, s.council.asked, 1)
	require.EqualValues(t, 600, s.council.asked[0].Budget.Tokens, "what it takes at most")
	spent(500)
	s.tell(t, "1", "wil", comment(1, "/witan ask why?"))
	s.tell(t, "another delivery of the same comment", "wil", comment(1, "/witan ask why?"))
	require.Len(t, s.council.asked, 1)
	spent(500)
	s.council.refuse = apierr.Precondition(apierr.ReasonBudgetTooSmall, "the budget is too small")
	s.tell(t, "2", "wil", comment(2, "/witan ask how?"))
	spent(500)
	s.tell(t, "3", "wil", comment(3, "/witan ask when?"))
	require.EqualValues(t, 500, s.council.asked[1].Budget.Tokens, "what is left")
	spent(1000)
	s.tell(t, "4", "wil", comment(4, "/witan ask who?"))
	require.Len(t, s.council.asked, 2)
	spent(1000)
	_, comments := s.seen()
	require.Len(t, comments, 4)
	require.Contains(t, comments[1], "the budget is too small")
	require.Contains(t, comments[3], "the budget of this pull request for the day is used up")
}

// TestAQuestionStaysTheSameThoughThePullRequestIsPushedTo before it is known that the council heard it.
func TestAQuestionStaysTheSameThoughThePullRequestIsPushedTo(t *testing.T) {
	t.Parallel()
	s := start(t)
	changed := func(text string) {
		s.repo.change = review.Change{Files: []review.File{{
			Path: "a.txt", OldPath: "a.txt", Change: review.Modified, Nature: review.NatureText,
			Hunks: []review.Hunk{{OldStart: 1, NewStart: 1, NewLines: 1, Lines: []review.Line{{Op: '+', Text: text}}}},
		}}}
	}
	changed("one")
	s.council.away, s.council.then = 1, func() { changed("two") }
	s.tell(t, "1", "wil", comment(1, "/witan ask why?"))
	require.Len(t, s.council.asked, 1)
	_, comments := s.seen()
	require.Len(t, comments, 1)
	require.Contains(t, comments[0], "So it is", "what was paid for is shown")
}

func TestEventsAreTakenFromTheServiceOnly(t *testing.T) {
	t.Parallel()
	s := server.New(server.Params{})
	_, err := s.HandleEvent(auth.With(t.Context(), auth.Principal{Owner: "ada"}), &reviewv1.HandleEventRequest{})
	require.ErrorIs(t, err, server.ErrEventRefused)
}

// TestP07_ALateCheckRunIsEndedUnlessItsReviewWasTriedAgain has the forge away for one more look.
func TestP07_ALateCheckRunIsEndedUnlessItsReviewWasTriedAgain(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.checks, s.away = []publish.Check{{ID: 1, ExternalID: "x", Status: publish.CheckInProgress}}, 1
	made, _, err := s.jobs.Create(t.Context(), job.Creation{ID: job.NewID(), Kind: job.KindReview, Owner: "local", Resource: "reviews/x"})
	require.NoError(t, err)
	for _, attempt := range []int32{2, 1} {
		late := events.LateCheck{Review: made.ID, Attempt: attempt, Check: publish.Check{
			ExternalID: "x", Head: "head", Status: publish.CheckCompleted, Conclusion: publish.Neutral, Title: "Not reviewed",
		}}
		request := uuid.NewSHA1(uuid.NameSpaceURL, fmt.Append(nil, attempt)).String()
		for range 2 {
			require.NoError(t, events.EndLater(t.Context(), s.jobs, "local", request, late))
		}
		list := s.late(t)
		require.Len(t, list, 3-int(attempt), "each is asked for once")
		for _, j := range list {
			require.Equal(t, job.StateSucceeded, j.State, "%+v", j.Error)
		}
		require.Equal(t, attempt == 1, s.checks[0].Title == "Not reviewed", "attempt %d", attempt)
	}
	require.Equal(t, publish.Neutral, s.checks[0].Conclusion)
	_, err = s.jobs.Cancel(t.Context(), made.ID, "")
	require.NoError(t, err)
}

// TestP07_TheCheckRunOfAReviewThatWasGivenUpIsEnded has a body panic, which is how a review ends without its own words.
func TestP07_TheCheckRunOfAReviewThatWasGivenUpIsEnded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		check publish.Check // that is at the forge
		begun bool
		file  string
		want  string
		as    publish.Conclusion
	}{
		"open": {publish.Check{Status: publish.CheckInProgress}, true, "", "Not reviewed: internal error", publish.Neutral},
		"open where it has to be complete": {
			publish.Check{Status: publish.CheckInProgress},
			true, "version: 1\ncheck:\n  incomplete: failure\n",
			"Not reviewed: internal error", publish.Failure,
		},
		"ended":       {publish.Check{Status: publish.CheckCompleted, Title: "Cancelled"}, true, "", "Cancelled", ""},
		"not there":   {publish.Check{ExternalID: "another's", Status: publish.CheckInProgress}, true, "", "", ""},
		"never begun": {publish.Check{Status: publish.CheckInProgress}, false, "", "", ""},
		"begun before keys named the pull request": {
			publish.Check{ExternalID: "short", Status: publish.CheckInProgress}, true, "", "Not reviewed: internal error", publish.Neutral,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			s.away, s.file = 1, c.file
			r := review.Review{ID: job.NewID(), Owner: "local", Publish: true, Title: "panic", Pinned: review.Pinned{
				Subject: subject, Base: "base", Head: "head", Source: review.Source{Kind: review.SourcePull, Pull: review.PullRef{Number: 3}},
			}}
			key := publish.CheckKey(publish.NewKeys([]byte("key")), subject, string(r.ID))
			if c.check.ExternalID == "short" {
				key, _, _ = strings.Cut(key, "#")
				c.check.ExternalID = key
			}
			c.check.ID, c.check.ExternalID = 1, cmp.Or(c.check.ExternalID, key)
			s.checks = []publish.Check{c.check}
			_, _, err := s.jobs.Create(t.Context(), job.Creation{
				ID: r.ID, Kind: job.KindReview, Owner: "local", Resource: "reviews/" + string(r.ID), Spec: []byte("panic"),
				Write: func(ctx context.Context, tx job.Tx) error {
					if err := s.store.Create(ctx, tx, r); err != nil || !c.begun {
						return err
					}
					return s.store.PutPublication(ctx, tx, review.Publication{
						Subject: subject, Key: key, Role: publish.RoleCheck, State: review.PublicationBegun, Review: r.ID,
					})
				},
			})
			require.NoError(t, err)
			require.Eventually(t, func() bool {
				j, err := s.jobs.Get(t.Context(), r.ID, "")
				require.NoError(t, err)
				return j.State == job.StateFailed && (!c.begun || len(s.late(t)) == 1)
			}, 60*time.Second, 10*time.Millisecond)
			for _, j := range s.late(t) {
				require.Equal(t, job.StateSucceeded, j.State, "%+v", j.Error)
			}
			require.Len(t, s.checks, 1, "none is made")
			require.Equal(t, c.want, s.checks[0].Title)
			require.Equal(t, c.as, s.checks[0].Conclusion)
			require.Equal(t, c.want == "" && c.check.Status == publish.CheckInProgress, s.checks[0].Status == publish.CheckInProgress)
		})
	}
}

// TestP06_AFindingThatIsDismissedByACallIsShownAsSuch as by a comment.
func TestP06_AFindingThatIsDismissedByACallIsShownAsSuch(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.tell(t, "1", "wil", comment(1, "/witan review"))
	r := s.reviews(t)[0]
	name := "reviews/" + string(r.ID) + "/findings/f1"
	f := finding.Finding{Name: name, Title: "x", Status: finding.Open, Outcome: finding.Published}
	require.NoError(t, s.write(func(ctx context.Context, tx job.Tx) error {
		return s.store.Publish(ctx, tx, r.ID, review.Result{Disposition: review.DispositionReviewed}, []finding.Finding{f})
	}))
	ctx := auth.With(t.Context(), auth.Principal{Owner: "local"})
	for _, c := range []struct {
		action reviewv1.UpdateFindingRequest_Action
		want   int
	}{{reviewv1.UpdateFindingRequest_ACCEPT, 0}, {reviewv1.UpdateFindingRequest_DISMISS, 1}, {reviewv1.UpdateFindingRequest_REOPEN, 2}} {
		_, err := s.server.UpdateFinding(ctx, &reviewv1.UpdateFindingRequest{Name: name, Action: c.action})
		require.NoError(t, err)
		require.Len(t, s.reshown(t), c.want, "%s", c.action)
	}
}

// reshown are the jobs that show what was said of findings.
func (s *system) reshown(t *testing.T) []job.Job {
	t.Helper()
	return slices.DeleteFunc(s.late(t), func(j job.Job) bool {
		full, err := s.jobs.Get(t.Context(), j.ID, "")
		require.NoError(t, err)
		return !strings.Contains(string(full.Spec), `"reshow":"`+subject+`"`)
	})
}

// late waits for all jobs of kind delivery.
func (s *system) late(t *testing.T) []job.Job {
	t.Helper()
	var list []job.Job
	require.Eventually(t, func() bool {
		var err error
		list, _, err = s.jobs.List(t.Context(), job.ListQuery{Owner: "local", Kinds: []job.Kind{job.KindDelivery}})
		require.NoError(t, err)
		return !slices.ContainsFunc(list, func(j job.Job) bool { return !j.State.Terminal() })
	}, 60*time.Second, 10*time.Millisecond)
	return list
}
