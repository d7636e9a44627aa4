package worker_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/job"
	"witan.dev/services/review"
	"witan.dev/services/review/worker"
)

// quick are limits with which tests need not wait for pushes.
func quick() worker.Limits {
	return worker.Limits{Debounce: time.Millisecond, DebounceMax: time.Millisecond, Patience: time.Minute}
}

// events are the types of a job's events.
func (p *pulls) events(t *testing.T, id job.ID) map[string]*reviewv1.ReviewEvent {
	t.Helper()
	list, err := p.jobs.Events(t.Context(), id, 0, 1000)
	require.NoError(t, err)
	out := map[string]*reviewv1.ReviewEvent{}
	for _, e := range list {
		decoded := &reviewv1.ReviewEvent{}
		if proto.Unmarshal(e.Payload, decoded) == nil {
			out[e.Type] = decoded
		}
	}
	return out
}

// waited are the pauses that viewers of a job were told of.
func (p *pulls) waited(t *testing.T, id job.ID) (all []*reviewv1.Waiting) {
	t.Helper()
	list, err := p.jobs.Events(t.Context(), id, 0, 1000)
	require.NoError(t, err)
	for _, e := range list {
		if e.Type == "review.waiting" {
			var decoded reviewv1.ReviewEvent
			require.NoError(t, proto.Unmarshal(e.Payload, &decoded))
			all = append(all, decoded.GetWaiting())
		}
	}
	return all
}

func TestP01_PushesAreOneReviewOfTheLastHeadAndEachRequestKeepsIt(t *testing.T) {
	t.Parallel()
	p := openPulls(t, newHub(), t.TempDir(), worker.Limits{Debounce: 400 * time.Millisecond, DebounceMax: time.Minute})
	first := p.must(t, review.TriggerPushed, "a")
	for n, word := range []string{"b", "c", "b", "a"} {
		p.push(n + 1)
		require.Equal(t, first, p.must(t, review.TriggerPushed, word))
	}
	r, j := p.end(t, first)
	require.Equal(t, review.DispositionReviewed, r.Disposition)
	require.Equal(t, "head-4", r.Pinned.Head)
	require.Equal(t, "head-4", p.events(t, first)["review.resolved"].GetResolved().GetHead())
	require.Contains(t, []job.State{job.StateSucceeded, job.StatePartiallySucceeded}, j.State)
	for _, word := range []string{"a", "b", "c"} {
		require.Equal(t, first, p.must(t, review.TriggerPushed, word), "also when it has ended")
	}
	list, err := p.store.List(t.Context(), review.ListQuery{Owner: "local", Limit: 10})
	require.NoError(t, err)
	require.Len(t, list, 1)
	subject, err := p.store.Subject(t.Context(), r.Pinned.Subject)
	require.NoError(t, err)
	require.Empty(t, subject.Current)
	require.Empty(t, subject.Running)
}

func TestWhatJoinsAWaitingReviewBringsItsReports(t *testing.T) {
	t.Parallel()
	p := openPulls(t, newHub(), t.TempDir(), worker.Limits{Debounce: 400 * time.Millisecond, DebounceMax: time.Minute})
	first := p.must(t, review.TriggerPushed, "a")
	packed, err := review.PackPatch([]byte(`{"source": {"name": "eslint"}, "diagnostics": [
		{"message": "unused", "location": {"path": "a.txt", "range": {"start": {"line": 1}}}, "severity": "WARNING"}]}`))
	require.NoError(t, err)
	ref, err := p.blobs.Put(t.Context(), "local", "reviews/"+string(first), bytes.NewReader(packed))
	require.NoError(t, err)
	report := review.ReportRef{Title: "eslint.json", Blob: ref.SHA256.String()}
	joined, err := p.start(t.Context(), review.TriggerPushed, "b", report)
	require.NoError(t, err)
	require.Equal(t, first, joined.ID)
	r, _ := p.end(t, first)
	require.Equal(t, review.DispositionReviewed, r.Disposition)
	var names []string
	for _, reviewer := range r.Reviewers {
		names = append(names, reviewer.Name)
	}
	require.Contains(t, names, "linter/eslint")
}

func TestANewerPushEndsTheReviewOfAnOlderHead(t *testing.T) {
	t.Parallel()
	p := openPulls(t, newHub(), t.TempDir(), quick())
	p.hold(t, "head-0")
	old := p.must(t, review.TriggerOpened, "a")
	p.until(t, "head-0")
	p.push(1)
	newer := p.must(t, review.TriggerPushed, "b")
	gone, j := p.end(t, old)
	require.Equal(t, job.StateCancelled, j.State)
	require.Equal(t, review.DispositionSuperseded, gone.Disposition)
	require.Equal(t, newer, gone.SupersededBy)
	require.Equal(t, "reviews/"+string(newer), p.events(t, old)["review.superseded"].GetSuperseded().GetReview())
	done, _ := p.end(t, newer)
	require.Equal(t, review.DispositionReviewed, done.Disposition)
	require.Equal(t, old, done.Supersedes)
	require.Equal(t, "head-1", done.Pinned.Head)
}

func TestPushesDoNotStarveAPullRequest(t *testing.T) {
	t.Parallel()
	p := openPulls(t, newHub(), t.TempDir(), quick())
	var releases []func()
	var ids []job.ID
	for n := range 4 {
		head := p.push(n)
		releases = append(releases, p.hold(t, head))
		ids = append(ids, p.must(t, review.TriggerPushed, head))
		p.until(t, head)
	}
	p.push(4)
	waiting := p.must(t, review.TriggerPushed, "last")
	releases[3]()
	last, _ := p.end(t, ids[3])
	require.Equal(t, review.DispositionReviewed, last.Disposition, "the third in a row gave way, this one did not")
	for _, id := range ids[:3] {
		r, _ := p.end(t, id)
		require.Equal(t, review.DispositionSuperseded, r.Disposition)
	}
	r, _ := p.end(t, waiting)
	require.Equal(t, review.DispositionReviewed, r.Disposition)
	require.Equal(t, "head-4", r.Pinned.Head)
	require.False(t, r.PublishedAt.Before(last.PublishedAt), "it waited")
}

func TestWhatIsNotWantedIsDeclinedAndSaysWhy(t *testing.T) {
	t.Parallel()
	h := newHub()
	h.pull.Draft = true
	p := openPulls(t, h, t.TempDir(), quick())
	id := p.must(t, review.TriggerOpened, "a")
	r, j := p.end(t, id)
	require.Equal(t, job.StateSucceeded, j.State)
	require.Equal(t, "DRAFT", j.StateReason)
	require.Equal(t, review.DispositionDeclined, r.Disposition)
	require.Equal(t, "DRAFT", r.DeclinedReason)
	require.Equal(t, "DRAFT", p.events(t, id)["review.declined"].GetDeclined().GetReason())
	r, _ = p.end(t, p.must(t, review.TriggerCommand, "b"))
	require.Equal(t, review.DispositionReviewed, r.Disposition, "a person asked for it")
}

// TestABaseThatChangesAgainAndAgainIsNotReviewedEachTime: the author may change it, and each time all of it would be paid for.
func TestABaseThatChangesAgainAndAgainIsNotReviewedEachTime(t *testing.T) {
	t.Parallel()
	p := openPulls(t, newHub(), t.TempDir(), quick())
	ask := func(trigger review.Trigger, base string) string {
		t.Helper()
		p.change(func() { p.pull.BaseBranch = base })
		r, _ := p.end(t, p.must(t, trigger, string(job.NewID())))
		return cmp.Or(r.DeclinedReason, string(r.Disposition))
	}
	require.Equal(t, "REVIEWED", ask(review.TriggerOpened, "main"))
	for n := range review.MaxBaseChanges {
		trigger, base := review.TriggerBaseChanged, []string{"next", "main"}[n%2]
		if n == 3 {
			trigger = review.TriggerPushed // the push came first
		}
		require.Equal(t, "REVIEWED", ask(trigger, base))
		require.Equal(t, "REVIEWED", ask(review.TriggerPushed, base), "what is pushed to it counts as before")
	}
	require.Equal(t, "BASE_CHANGED_OFTEN", ask(review.TriggerBaseChanged, "main"))
	require.Equal(t, "BASE_CHANGED_OFTEN", ask(review.TriggerPushed, "main"))
	require.Equal(t, "BASE_CHANGED_OFTEN", ask(review.TriggerBaseChanged, "next"), "and be it back")
	require.Equal(t, "REVIEWED", ask(review.TriggerPushed, "next"))
	require.Equal(t, "REVIEWED", ask(review.TriggerCommand, "main"), "somebody wants it")
	require.Equal(t, "REVIEWED", ask(review.TriggerPushed, "main"))
}

func TestP11_TheConfigurationComesFromTheTipOfTheBaseBranchOnly(t *testing.T) {
	t.Parallel()
	h := newHub()
	h.files[".witan.yaml"] = "version: 1\nreview: {ignore: {titles: ['a t*']}}\n"
	p := openPulls(t, h, t.TempDir(), quick())
	r, _ := p.end(t, p.must(t, review.TriggerOpened, "a"))
	require.Equal(t, "IGNORED_TITLE", r.DeclinedReason)
	h.change(func() { h.files[".witan.yaml"] = "council: none\n" })
	id := p.must(t, review.TriggerOpened, "b")
	r, _ = p.end(t, id)
	require.Equal(t, review.DispositionReviewed, r.Disposition, "an unknown council is a wrong value, and the defaults hold")
	h.change(func() {
		require.NotEmpty(t, h.asked)
		for _, file := range h.asked {
			require.Equal(t, ".witan.yaml@tip", file)
		}
	})
}

func TestAForgeThatIsAwayIsWaitedForAndNotForEver(t *testing.T) {
	t.Parallel()
	h := newHub()
	failures := 0
	h.fails = func() error {
		if failures++; failures == 1 {
			return &review.LimitError{Until: time.Now()}
		}
		return nil
	}
	p := openPulls(t, h, t.TempDir(), quick())
	before := time.Now()
	id := p.must(t, review.TriggerOpened, "a")
	r, _ := p.end(t, id)
	require.Equal(t, review.DispositionReviewed, r.Disposition)
	require.GreaterOrEqual(t, failures, 2)
	told := p.waited(t, id)
	require.Len(t, told, 1)
	require.Equal(t, "resolve", told[0].GetStage(), "who watches sees what the review waits for")
	require.Equal(t, "FORGE_LIMIT", told[0].GetReason())
	require.WithinRange(t, told[0].GetUntilTime().AsTime(), before, time.Now())

	limits := quick()
	limits.Patience = time.Second
	h = newHub()
	h.fails = func() error { return fmt.Errorf("502: %w", review.ErrUnavailable) }
	p = openPulls(t, h, t.TempDir(), limits)
	_, j := p.end(t, p.must(t, review.TriggerOpened, "a"))
	require.Equal(t, job.StateFailed, j.State)
	require.Equal(t, "FORGE_UNAVAILABLE", j.StateReason)
	require.Contains(t, j.Error.Message, "longer than 1s")
	require.Empty(t, p.waited(t, j.ID), "the first pause was longer than its patience")
	h.change(func() { h.fails = nil })
	r, _ = p.end(t, p.must(t, review.TriggerPushed, "b"))
	require.Equal(t, review.DispositionReviewed, r.Disposition, "what failed holds nobody up")
}

func TestP01_AProcessThatEndsWhileAReviewWaitsLosesNothing(t *testing.T) {
	t.Parallel()
	h, folder := newHub(), t.TempDir()
	limits := worker.Limits{Debounce: time.Second, DebounceMax: time.Minute}
	p := openPulls(t, h, folder, limits)
	id := p.must(t, review.TriggerPushed, "a")
	require.Eventually(t, func() bool {
		j, err := p.jobs.Get(t.Context(), id, "")
		return err == nil && j.Stage == "resolve"
	}, 20*time.Second, 5*time.Millisecond)
	p.stop()
	p = openPulls(t, h, folder, limits)
	p.push(1)
	require.Equal(t, id, p.must(t, review.TriggerPushed, "b"))
	r, _ := p.end(t, id)
	require.Equal(t, "head-1", r.Pinned.Head)
}

// TestPushesCommandsAndCancellationsAtOnce: whatever the order, all reviews end, no two of them publish at the same time, and
// the last head is looked at.
func TestPushesCommandsAndCancellationsAtOnce(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	p := openPulls(t, newHub(), t.TempDir(), quick())
	const callers, each = 4, 6
	ids := make(chan job.ID, callers*each)
	var group errgroup.Group
	for c := range callers {
		group.Go(func() error {
			random := rand.New(rand.NewPCG(seed, uint64(c))) //nolint:gosec // not for secrets
			for n := range each {
				p.push(c*each + n)
				trigger := []review.Trigger{review.TriggerPushed, review.TriggerPushed, review.TriggerCommand, review.TriggerLabeled}[random.IntN(4)]
				made, err := p.start(t.Context(), trigger, fmt.Sprintf("%d/%d", c, n))
				if err != nil {
					return err
				}
				ids <- made.ID
				if random.IntN(5) == 0 {
					if _, err := p.jobs.Cancel(t.Context(), made.ID, ""); err != nil && !errors.Is(err, context.Canceled) {
						return err
					}
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	close(ids)
	head := p.push(1000)
	last := p.must(t, review.TriggerPushed, "last")
	for id := range ids {
		r, j := p.end(t, id)
		switch r.Disposition {
		case review.DispositionSuperseded:
			require.Equal(t, job.StateCancelled, j.State)
		case review.DispositionReviewed:
			require.NotEqual(t, job.StateCancelled, j.State)
		case review.DispositionDeclined:
			require.Equal(t, "LABEL_NOT_CONCERNED", r.DeclinedReason)
		default:
			require.Equal(t, job.StateCancelled, j.State)
		}
	}
	r, _ := p.end(t, last)
	require.Equal(t, review.DispositionReviewed, r.Disposition)
	require.Equal(t, head, r.Pinned.Head)
	subject, err := p.store.Subject(t.Context(), r.Pinned.Subject)
	require.NoError(t, err)
	require.Empty(t, subject.Running)
	require.False(t, subject.Publishing)
}
