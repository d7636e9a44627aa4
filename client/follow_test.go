package client_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"witan.dev/client"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
)

// collect ranges to the end.
func collect(events iter.Seq2[*jobsv1.JobEvent, error]) ([]*jobsv1.JobEvent, error) {
	var all []*jobsv1.JobEvent
	for e, err := range events {
		if err != nil {
			return all, err
		}
		all = append(all, e)
	}
	return all, nil
}

// cuts are the ways in which a stream ends before its log does.
func cuts() map[string]stream {
	return map[string]stream{
		"the connection breaks":       {err: unavailable()},
		"the server is closing":       {err: refusal(codes.Unavailable, "STOPPING")},
		"the viewer was too slow":     {err: refusal(codes.Unavailable, "VIEWER_TOO_SLOW")},
		"the maximum age was reached": {},
		"a proxy resets the stream":   {err: status.Error(codes.Internal, "stream terminated by RST_STREAM with error code: INTERNAL_ERROR")},
		"a proxy cancels the stream":  {err: status.Error(codes.Canceled, "stream terminated by RST_STREAM with error code: CANCEL")},
		"nothing comes any more":      {silent: true},
		"heartbeats, then a cut":      {beats: 3, err: unavailable()},
	}
}

// TestG03_CutAfterEveryEventIsTheLog ends the first stream after each number of events, in every way.
func TestG03_CutAfterEveryEventIsTheLog(t *testing.T) {
	t.Parallel()
	const size = 9
	for how, cut := range cuts() {
		for after := range size + 1 {
			t.Run(fmt.Sprintf("%s after %d", how, after), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					f := finished(size)
					f.next = func(n int) stream {
						if n > 0 {
							return whole()
						}
						first := cut // which other subtests share
						first.deliver = after
						return first
					}
					follower := client.New(memory{f}, client.Config{}).Follow(jobName, client.Start{})
					got, err := collect(follower.Events(t.Context()))
					require.NoError(t, err)
					requireSame(t, f.events(), got)
					require.EqualValues(t, size, follower.After())
					require.Equal(t, jobsv1.Job_SUCCEEDED, follower.Job().GetState())
				})
			})
		}
	}
}

// TestG03_AnySeriesOfCutsIsTheLog cuts every stream after a random number of events, none included, while the log grows.
func TestG03_AnySeriesOfCutsIsTheLog(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // repeatable on purpose
				var ways []stream
				for _, way := range cuts() {
					ways = append(ways, way)
				}
				f := newFake()
				f.next = func(int) stream {
					plan := ways[random.IntN(len(ways))]
					plan.deliver = random.IntN(4)
					return plan
				}
				go func() {
					for i := range 60 {
						f.add(fmt.Sprint(i))
						if i%7 == 0 {
							<-time.After(3 * time.Second)
						}
					}
					f.finish(jobsv1.Job_PARTIALLY_SUCCEEDED)
				}()
				follower := client.New(memory{f}, client.Config{AwayLimit: -1}).Follow(jobName, client.Start{})
				got, err := collect(follower.Events(t.Context()))
				require.NoError(t, err)
				requireSame(t, f.events(), got)
				require.Equal(t, jobsv1.Job_PARTIALLY_SUCCEEDED, follower.Job().GetState())
			})
		})
	}
}

// TestG03_LeftAnywhereAndTakenUpAgain leaves the loop after every event and goes on from the place that was kept, by the
// same follower and by another.
func TestG03_LeftAnywhereAndTakenUpAgain(t *testing.T) {
	t.Parallel()
	f := finished(12)
	for _, again := range []bool{true, false} {
		c := client.New(memory{f}, client.Config{})
		follower := c.Follow(jobName, client.Start{})
		var got []*jobsv1.JobEvent
		for len(got) < 12 {
			for e, err := range follower.Events(t.Context()) {
				require.NoError(t, err)
				require.Equal(t, e.GetSeq(), follower.After())
				got = append(got, e)
				break
			}
			if !again {
				follower = c.Follow(jobName, client.Start{After: follower.After()})
			}
		}
		requireSame(t, f.events(), got)
		rest, err := collect(follower.Events(t.Context()))
		require.NoError(t, err)
		require.Empty(t, rest)
		require.NotNil(t, follower.Job())
	}
}

// TestG07_SnapshotThenWhatFollows begins with the job as it is, also where the first stream is cut before the snapshot.
func TestG07_SnapshotThenWhatFollows(t *testing.T) {
	t.Parallel()
	for deliver := range 4 {
		synctest.Test(t, func(t *testing.T) {
			f := newFake()
			f.add("one")
			f.add("two")
			f.next = func(n int) stream {
				if n == 0 {
					return stream{deliver: deliver, beats: 1, err: unavailable()}
				}
				return whole()
			}
			go func() {
				<-time.After(time.Minute)
				f.add("three")
				f.add("four")
				f.finish(jobsv1.Job_FAILED)
			}()
			got, err := collect(client.New(memory{f}, client.Config{}).Follow(jobName, client.Start{Snapshot: true}).Events(t.Context()))
			require.NoError(t, err)
			require.EqualValues(t, 2, got[0].GetSnapshot().GetAsOfSeq())
			requireSame(t, f.events()[2:], got[1:])
		})
	}
}

func TestG07_SnapshotOfAFinishedJobIsAll(t *testing.T) {
	t.Parallel()
	follower := client.New(memory{finished(5)}, client.Config{}).Follow(jobName, client.Start{Snapshot: true})
	got, err := collect(follower.Events(t.Context()))
	require.NoError(t, err)
	require.Len(t, got, 1)
	require.EqualValues(t, 5, got[0].GetSnapshot().GetAsOfSeq())
	require.EqualValues(t, 5, follower.After())
}

// TestG08_TheNewestAttemptEndsIt: a log of two attempts has two final events; a cut right behind the first is no end, and
// neither is the first when the job was retried meanwhile.
func TestG08_TheNewestAttemptEndsIt(t *testing.T) {
	t.Parallel()
	for how, cut := range cuts() {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				f.add("one")
				f.finish(jobsv1.Job_FAILED)
				f.add("again")
				f.finish(jobsv1.Job_SUCCEEDED)
				cut.deliver = 2
				f.next = func(n int) stream {
					if n == 0 {
						return cut
					}
					return whole()
				}
				got, err := collect(client.New(memory{f}, client.Config{}).Follow(jobName, client.Start{}).Events(t.Context()))
				require.NoError(t, err)
				requireSame(t, f.events(), got)
			})
		})
	}
}

func TestG08_CaughtUpWithAFinishedJobEndsAtOnce(t *testing.T) {
	t.Parallel()
	f := finished(5)
	follower := client.New(memory{f}, client.Config{}).Follow(jobName, client.Start{After: 5})
	got, err := collect(follower.Events(t.Context()))
	require.NoError(t, err)
	require.Empty(t, got)
	require.Equal(t, jobsv1.Job_SUCCEEDED, follower.Job().GetState())
	require.Len(t, f.watched(), 1)
}

func TestAJobThatIsDeletedBehindItsFinalEventHasEnded(t *testing.T) {
	t.Parallel()
	f := finished(3)
	f.failing = func(string, int) error { return refusal(codes.NotFound, "JOB_NOT_FOUND") }
	follower := client.New(memory{f}, client.Config{}).Follow(jobName, client.Start{})
	got, err := collect(follower.Events(t.Context()))
	require.NoError(t, err)
	require.Len(t, got, 3)
	require.Nil(t, follower.Job())
}

// TestG02_AGapOrARepetitionIsAnError: what comes before it is handed over, nothing of it is.
func TestG02_AGapOrARepetitionIsAnError(t *testing.T) {
	t.Parallel()
	renumber := func(at, to int64) func(*jobsv1.JobEvent) []*jobsv1.JobEvent {
		return func(e *jobsv1.JobEvent) []*jobsv1.JobEvent {
			if e.GetSeq() == at {
				e.Seq = to
			}
			return []*jobsv1.JobEvent{e}
		}
	}
	for name, c := range map[string]struct {
		mangle func(*jobsv1.JobEvent) []*jobsv1.JobEvent
		good   int
		want   client.SequenceError
	}{
		"missing":     {renumber(4, 5), 3, client.SequenceError{Want: 4, Got: 5}},
		"repeated":    {renumber(4, 3), 3, client.SequenceError{Want: 4, Got: 3}},
		"from before": {renumber(4, 1), 3, client.SequenceError{Want: 4, Got: 1}},
		"negative":    {renumber(4, -4), 3, client.SequenceError{Want: 4, Got: -4}},
		"dropped": {func(e *jobsv1.JobEvent) []*jobsv1.JobEvent {
			if e.GetSeq() == 2 {
				return nil
			}
			return []*jobsv1.JobEvent{e}
		}, 1, client.SequenceError{Want: 2, Got: 3}},
		"twice": {func(e *jobsv1.JobEvent) []*jobsv1.JobEvent {
			return []*jobsv1.JobEvent{e, e}
		}, 1, client.SequenceError{Want: 2, Got: 1}},
		"a heartbeat knows more": {func(e *jobsv1.JobEvent) []*jobsv1.JobEvent {
			return []*jobsv1.JobEvent{e, heartbeat(e.GetSeq() + e.GetSeq()/3)}
		}, 3, client.SequenceError{Want: 4, Got: 4}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := finished(6)
			f.next = func(int) stream { return stream{deliver: -1, mangle: c.mangle} }
			follower := client.New(memory{f}, client.Config{}).Follow(jobName, client.Start{})
			got, err := collect(follower.Events(t.Context()))
			var broken *client.SequenceError
			require.ErrorAs(t, err, &broken)
			c.want.Job = jobName
			require.Equal(t, c.want, *broken)
			requireSame(t, f.events()[:c.good], got)
			require.EqualValues(t, c.good, follower.After())
			require.Len(t, f.watched(), 1, "it is not tried again")
		})
	}
}

func TestG07_WithoutTheSnapshotThatWasAskedForThereIsNoLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // an event comes in its place
		f := newFake()
		f.add("one")
		time.AfterFunc(time.Second, func() { f.add("two") })
		_, err := collect(client.New(dropSnapshots{memory{f}}, client.Config{}).Follow(jobName, client.Start{Snapshot: true}).Events(t.Context()))
		var broken *client.SequenceError
		require.ErrorAs(t, err, &broken)
		require.Equal(t, client.SequenceError{Job: jobName, Got: 2}, *broken)
	})
	synctest.Test(t, func(t *testing.T) { // nothing does
		_, err := collect(client.New(dropSnapshots{memory{finished(3)}}, client.Config{}).Follow(jobName, client.Start{Snapshot: true}).Events(t.Context()))
		var away *client.AwayError
		require.ErrorAs(t, err, &away)
	})
}

// TestRefusalsAreFinal: what no further try changes is not tried again.
func TestRefusalsAreFinal(t *testing.T) {
	t.Parallel()
	for _, refused := range []error{
		refusal(codes.OutOfRange, "HISTORY_EXPIRED"), refusal(codes.OutOfRange, "SEQUENCE_AHEAD"), refusal(codes.NotFound, "JOB_NOT_FOUND"),
		refusal(codes.Unauthenticated, "TOKEN_INVALID"), refusal(codes.Internal, "INTERNAL"), status.Error(codes.ResourceExhausted, "too large"),
	} {
		f := finished(5)
		f.next = func(int) stream { return stream{deliver: 2, err: refused} }
		follower := client.New(memory{f}, client.Config{}).Follow(jobName, client.Start{})
		got, err := collect(follower.Events(t.Context()))
		require.Equal(t, status.Code(refused), status.Code(err))
		require.Equal(t, client.Reason(refused), client.Reason(err))
		requireSame(t, f.events()[:2], got)
		require.Len(t, f.watched(), 1)
	}
}

func TestPositionsBeyondTheLogAreRefusedByTheServer(t *testing.T) {
	t.Parallel()
	_, err := collect(client.New(memory{finished(5)}, client.Config{}).Follow(jobName, client.Start{After: 6}).Events(t.Context()))
	require.Equal(t, "SEQUENCE_AHEAD", client.Reason(err))
}

// TestAServerMayBeAwayForAWhile: it is told once for each time, and the limit counts from the last sign of life.
func TestAServerMayBeAwayForAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := finished(6)
		began, back := time.Now(), false
		f.next = func(n int) stream {
			switch at := time.Since(began); {
			case n == 0:
				return stream{deliver: 2, err: unavailable()}
			case at > 50*time.Second && !back:
				back = true
				return stream{deliver: 1, err: unavailable()}
			case at < 100*time.Second:
				return stream{err: unavailable()}
			default:
				return whole()
			}
		}
		told := 0
		c := client.New(memory{f}, client.Config{AwayLimit: time.Minute, OnAway: func(err error) {
			require.Error(t, err)
			told++
		}})
		got, err := collect(c.Follow(jobName, client.Start{}).Events(t.Context()))
		require.NoError(t, err)
		requireSame(t, f.events(), got)
		require.Equal(t, 2, told)
		require.Less(t, len(f.watched()), 100, "pauses grow")
		require.Less(t, time.Since(began), 103*time.Second, "but not without end")
	})
}

func TestAServerThatStaysAwayIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := finished(6)
		f.next = func(n int) stream {
			if n == 0 {
				return stream{deliver: 4, err: unavailable()}
			}
			return stream{err: unavailable()}
		}
		follower := client.New(memory{f}, client.Config{AwayLimit: 10 * time.Second}).Follow(jobName, client.Start{})
		got, err := collect(follower.Events(t.Context()))
		var away *client.AwayError
		require.ErrorAs(t, err, &away)
		require.InDelta(t, 10, away.For.Seconds(), 2.1)
		require.Equal(t, codes.Unavailable, status.Code(away.Err))
		require.Len(t, got, 4)
		require.EqualValues(t, 4, follower.After())

		f.next = nil // another day
		rest, err := collect(follower.Events(t.Context()))
		require.NoError(t, err)
		requireSame(t, f.events(), append(got, rest...))
	})
}

func TestNoLimitMeansForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := finished(3)
		began := time.Now()
		f.next = func(int) stream {
			if time.Since(began) < 24*time.Hour {
				return stream{err: unavailable()}
			}
			return whole()
		}
		got, err := collect(client.New(memory{f}, client.Config{AwayLimit: -1}).Follow(jobName, client.Start{}).Events(t.Context()))
		require.NoError(t, err)
		require.Len(t, got, 3)
	})
}

// TestCleanEndsWithoutEventsDoNotSpin: a server that sends every viewer away is asked at growing intervals.
func TestCleanEndsWithoutEventsDoNotSpin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.add("one")
		began := time.Now()
		f.next = func(int) stream {
			if time.Since(began) < 5*time.Minute {
				return stream{}
			}
			return whole()
		}
		time.AfterFunc(5*time.Minute, func() { f.finish(jobsv1.Job_SUCCEEDED) })
		got, err := collect(client.New(memory{f}, client.Config{}).Follow(jobName, client.Start{}).Events(t.Context()))
		require.NoError(t, err)
		requireSame(t, f.events(), got)
		require.Less(t, len(f.watched()), 320)
	})
}

// TestACallerThatTakesItsTimeIsNoSilence: only what the server does not send counts.
func TestACallerThatTakesItsTimeIsNoSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := finished(4)
		n := 0
		for _, err := range client.New(memory{f}, client.Config{}).Follow(jobName, client.Start{}).Events(t.Context()) {
			require.NoError(t, err)
			n++
			<-time.After(time.Hour)
		}
		require.Equal(t, 4, n)
		require.Len(t, f.watched(), 1)
	})
}

func TestFollowingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	enough := errors.New("enough")
	for name, plan := range map[string]stream{"in a stream": {silent: true}, "between two": {err: unavailable()}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				f := newFake()
				f.next = func(int) stream { return plan }
				time.AfterFunc(10*time.Second, func() { cancel(enough) })
				got, err := collect(client.New(memory{f}, client.Config{}).Follow(jobName, client.Start{}).Events(ctx))
				require.ErrorIs(t, err, enough)
				require.Empty(t, got)
			})
		})
	}
}
