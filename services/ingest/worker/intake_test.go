package worker_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"witan.dev/internal/apierr"
	"witan.dev/internal/auth"
	"witan.dev/internal/database/sqlite/sqlitetest"
	"witan.dev/services/ingest"
	"witan.dev/services/ingest/store/sqlite"
	"witan.dev/services/ingest/worker"
)

const patience = 20 * time.Second

// recorder is a strict review service: it acts once for a request ID, and refuses another request under the same one.
type recorder struct {
	mu     sync.Mutex
	fail   func(try int) error
	tries  int
	starts map[string]ingest.Review
	told   map[string]ingest.Event
	owners map[string]bool
	called chan struct{}
}

func newRecorder() *recorder {
	return &recorder{starts: map[string]ingest.Review{}, told: map[string]ingest.Event{}, owners: map[string]bool{}, called: make(chan struct{}, 1000)}
}

func (r *recorder) try(ctx context.Context, requestID string) error {
	defer func() { r.called <- struct{}{} }()
	if _, err := uuid.Parse(requestID); err != nil {
		return apierr.Invalid(apierr.ReasonInvalidRequest, "no UUID")
	}
	r.owners[auth.Owner(ctx)] = true
	r.tries++
	if r.fail != nil {
		return r.fail(r.tries)
	}
	return nil
}

func (r *recorder) Start(ctx context.Context, start ingest.Review, requestID string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.try(ctx, requestID); err != nil {
		return "", err
	}
	if earlier, ok := r.starts[requestID]; ok && earlier != start {
		return "", apierr.AlreadyExists(apierr.ReasonRequestIDReused, "another request")
	}
	r.starts[requestID] = start
	return "reviews/" + requestID, nil
}

func (r *recorder) Tell(ctx context.Context, _ string, _ time.Time, e ingest.Event, requestID string) (resource, ignored string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.try(ctx, requestID); err != nil {
		return "", "", err
	}
	r.told[requestID] = e
	if _, gone := e.What.(ingest.CommentDeleted); gone {
		return "", "NOT_OURS", nil
	}
	return "jobs/" + requestID, "", nil
}

type world struct {
	*recorder

	store  *sqlite.Store
	intake *worker.Intake
}

func newWorld(t *testing.T, change ...func(*worker.Params)) *world {
	t.Helper()
	w := &world{recorder: newRecorder(), store: sqlite.New(sqlitetest.Open(t), sqlite.Options{Wait: 10 * time.Millisecond})}
	p := worker.Params{Queue: w.store, Store: w.store, Reviews: w.recorder, Owner: "ada", Logger: slog.New(slog.DiscardHandler)}
	for _, c := range change {
		c(&p)
	}
	w.intake = worker.New(p)
	t.Cleanup(func() {
		for range 2 {
			require.NoError(t, w.intake.Stop(context.WithoutCancel(t.Context())))
		}
	})
	return w
}

func (w *world) start(t *testing.T) *world {
	t.Helper()
	require.NoError(t, w.intake.Start(t.Context()))
	return w
}

func entry(id, event, body string) ingest.Entry {
	return ingest.Entry{Delivery: ingest.Delivery{ID: id, Event: event, ReceivedAt: time.Now().UTC().Truncate(time.Microsecond), State: ingest.Stored}, Body: []byte(body)}
}

const repository = `"repository":{"id":7,"full_name":"ada/shop"}`

func opened(id string) ingest.Entry {
	return entry(id, "pull_request", `{"action":"opened","number":3,`+repository+`}`)
}

func (w *world) put(t *testing.T, e ingest.Entry) {
	t.Helper()
	require.NoError(t, w.store.Put(t.Context(), e))
}

// becomes waits until a delivery has left the state Stored.
func (w *world) becomes(t *testing.T, id string, want ingest.Outcome) {
	t.Helper()
	var d ingest.Delivery
	require.Eventually(t, func() bool {
		var err error
		d, err = w.store.Get(t.Context(), id)
		require.NoError(t, err)
		return d.State != ingest.Stored
	}, patience, 2*time.Millisecond)
	require.Equal(t, want, ingest.Outcome{State: d.State, Reason: d.Reason, Resource: d.Resource})
}

func TestDeliveriesAreHandedOverOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t).start(t)
	for range 3 { // as a sender does who doubts
		w.put(t, opened("a"))
		w.becomes(t, "a", ingest.Outcome{State: ingest.Handled, Resource: "reviews/" + worker.RequestID("a", 0)})
	}
	w.put(t, entry("b", "issue_comment", `{"action":"created","issue":{"number":3,"pull_request":{}},"comment":{"id":1,"body":"hi"},`+repository+`}`))
	w.becomes(t, "b", ingest.Outcome{State: ingest.Handled, Resource: "jobs/" + worker.RequestID("b", 0)})
	w.put(t, entry("c", "issue_comment", `{"action":"deleted","issue":{"number":3,"pull_request":{}},"comment":{"id":1,"body":"hi"},`+repository+`}`))
	w.becomes(t, "c", ingest.Outcome{State: ingest.Ignored, Reason: "NOT_OURS"})
	w.put(t, entry("d", "ping", `{}`))
	w.becomes(t, "d", ingest.Outcome{State: ingest.Ignored, Reason: "PING"})
	w.put(t, entry("e", "pull_request", `{"action":"opened"}`))
	w.becomes(t, "e", ingest.Outcome{State: ingest.Unparsed, Reason: "PAYLOAD_UNREADABLE"})
	w.put(t, entry("f", "check_suite", `{"action":"rerequested","check_suite":{"pull_requests":[{"number":3,"base":{"repo":{"id":7}}},{"number":4,"base":{"repo":{"id":7}}}]},`+repository+`}`))
	w.becomes(t, "f", ingest.Outcome{State: ingest.Handled, Resource: "reviews/" + worker.RequestID("f", 0)})

	w.mu.Lock()
	defer w.mu.Unlock()
	require.Len(t, w.starts, 3)
	require.Equal(t, int64(4), w.starts[worker.RequestID("f", 1)].Number)
	require.Len(t, w.told, 2)
	require.Equal(t, map[string]bool{"ada": true}, w.owners, "all of it is the configured owner's")
	require.Equal(t, 5, w.tries, "what is settled is not handed over again")
}

func TestWhatMayPassIsWaitedFor(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"away":       apierr.Unavailable(apierr.ReasonUnavailable, "away"),
		"slow":       context.DeadlineExceeded,
		"a stranger": apierr.Unauthenticated(apierr.ReasonTokenInvalid, "who?"),
		"our fault":  errors.New("a bug"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.fail = func(try int) error {
				if try < 4 {
					return err
				}
				return nil
			}
			w.put(t, opened("a"))
			w.start(t).becomes(t, "a", ingest.Outcome{State: ingest.Handled, Resource: "reviews/" + worker.RequestID("a", 0)})
			require.Equal(t, 4, w.tries)
		})
	}
}

func TestWhatDoesNotPassIsADeadLetterUntilItIsDeliveredAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail = func(try int) error {
		if try == 1 {
			return apierr.Unimplemented(apierr.ReasonSourceNotSupported, "not yet")
		}
		return nil
	}
	w.put(t, opened("a"))
	w.start(t).becomes(t, "a", ingest.Outcome{State: ingest.Dead, Reason: "SOURCE_NOT_SUPPORTED"})
	w.put(t, opened("a"))
	w.becomes(t, "a", ingest.Outcome{State: ingest.Handled, Resource: "reviews/" + worker.RequestID("a", 0)})
	again, err := w.store.Redeliver(t.Context(), "a", "", time.Now())
	require.NoError(t, err)
	w.becomes(t, again.ID, ingest.Outcome{State: ingest.Handled, Resource: "reviews/" + worker.RequestID("a~1", 0)})
}

func TestAFaultOfOursEndsAsADeadLetter(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for the pauses between six tries")
	}
	w := newWorld(t)
	w.fail = func(int) error { return apierr.Internal(apierr.ReasonInternal, "a bug") }
	w.put(t, opened("a"))
	w.start(t).becomes(t, "a", ingest.Outcome{State: ingest.Dead, Reason: "HANDLING_FAILED"})
	require.Equal(t, 6, w.tries)
}

func TestWhatEndedItsTakersTooOftenIsNotHandled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(t, opened("a"))
	for range ingest.MaxTakes {
		taken, err := w.store.Take(t.Context(), 1)
		require.NoError(t, err)
		require.Len(t, taken, 1)
		require.NoError(t, w.store.Done(t.Context(), "a")) // as a process that ends and forgets
	}
	w.start(t).becomes(t, "a", ingest.Outcome{State: ingest.Dead, Reason: "TAKEN_TOO_OFTEN"})
	require.Zero(t, w.tries)
}

// TestAnOutageIsNoReasonToGiveUp holds a delivery for longer than its lease, with a second intake beside it.
func TestAnOutageIsNoReasonToGiveUp(t *testing.T) {
	t.Parallel()
	const lease = time.Second
	store := sqlite.New(sqlitetest.Open(t), sqlite.Options{Wait: 10 * time.Millisecond, Lease: lease})
	w := &world{recorder: newRecorder(), store: store}
	back := make(chan struct{})
	w.fail = func(int) error {
		select {
		case <-back:
			return nil
		default:
			return apierr.Unavailable(apierr.ReasonUnavailable, "away")
		}
	}
	var taken atomic.Int64
	for range 2 {
		i := worker.New(worker.Params{Queue: counted{store, &taken}, Store: store, Reviews: w.recorder, Owner: "ada", Lease: lease, Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, i.Start(t.Context()))
		t.Cleanup(func() { require.NoError(t, i.Stop(context.WithoutCancel(t.Context()))) })
	}
	w.put(t, opened("a"))
	for range 6 { // pauses of 100, 200, 400, 800 and 1,600 ms are between these tries: several leases
		<-w.called
	}
	close(back)
	w.becomes(t, "a", ingest.Outcome{State: ingest.Handled, Resource: "reviews/" + worker.RequestID("a", 0)})
	require.Equal(t, int64(1), taken.Load(), "it stayed in one hand")
}

// counted counts what is taken.
type counted struct {
	ingest.Queue

	taken *atomic.Int64
}

func (c counted) Take(ctx context.Context, n int) ([]ingest.Entry, error) {
	entries, err := c.Queue.Take(ctx, n)
	c.taken.Add(int64(len(entries)))
	return entries, err
}

func TestAStoppedIntakeGivesBackWhatItHadInHand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail = func(int) error { return apierr.Unavailable(apierr.ReasonUnavailable, "away") }
	w.put(t, opened("a"))
	w.start(t)
	<-w.called
	require.NoError(t, w.intake.Stop(t.Context()))
	taken, err := w.store.Take(t.Context(), 1)
	require.NoError(t, err)
	require.Len(t, taken, 1, "at once, not after a lease")
	require.Equal(t, 1, taken[0].Takes)
	require.Error(t, w.intake.Start(t.Context()))
}

func TestMoreThanThereAreHandsForIsHandledAllTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(p *worker.Params) { p.Concurrency = 2 }).start(t)
	for n := range 50 {
		w.put(t, opened(fmt.Sprint("d", n)))
	}
	for n := range 50 {
		id := fmt.Sprint("d", n)
		w.becomes(t, id, ingest.Outcome{State: ingest.Handled, Resource: "reviews/" + worker.RequestID(id, 0)})
	}
	require.Len(t, w.starts, 50)
}

func TestOldDeliveriesAreRemoved(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(p *worker.Params) { p.Keep = time.Hour })
	old := entry("old", "ping", `{}`)
	old.ReceivedAt = time.Now().Add(-2 * time.Hour).UTC().Truncate(time.Microsecond)
	_, err := w.store.Keep(t.Context(), old)
	require.NoError(t, err)
	require.NoError(t, w.store.Settle(t.Context(), "old", ingest.Outcome{State: ingest.Ignored}))
	w.start(t)
	require.Eventually(t, func() bool {
		_, err := w.store.Get(t.Context(), "old")
		return errors.Is(err, ingest.ErrNotFound)
	}, patience, 2*time.Millisecond)
}

func TestStopBeforeStart(t *testing.T) {
	t.Parallel()
	i := newWorld(t).intake
	require.NoError(t, i.Stop(t.Context()))
	require.Error(t, i.Start(t.Context()))
}

func TestTheLogTellsWhatWasStartedAndNothingElse(t *testing.T) {
	t.Parallel()
	var lines bytes.Buffer
	w := newWorld(t, func(p *worker.Params) { p.Logger = slog.New(slog.NewTextHandler(&lines, nil)) }).start(t)
	started := opened("a")
	started.Action = "opened"
	w.put(t, started)
	w.put(t, entry("b", "ping", `{}`))
	w.becomes(t, "a", ingest.Outcome{State: ingest.Handled, Resource: "reviews/" + worker.RequestID("a", 0)})
	w.becomes(t, "b", ingest.Outcome{State: ingest.Ignored, Reason: ingest.ReasonPing})
	require.NoError(t, w.intake.Stop(t.Context()))
	require.Equal(t, 1, strings.Count(lines.String(), "\n"), lines.String())
	require.Contains(t, lines.String(), `level=INFO msg="a delivery was handed over" delivery=a event=pull_request action=opened resource=reviews/`+worker.RequestID("a", 0))
}
