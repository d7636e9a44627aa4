package server_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	councilv1 "witan.dev/gen/witan/council/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
	"witan.dev/internal/job"
	"witan.dev/internal/rpc"
	"witan.dev/services/jobs/server"
)

func TestG01_OpeningAndCuttingStreamsChangesNothingInTheJob(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	fence := f.running(t)
	f.delta(t, fence, "m1", 1, 0, "x")
	before := f.get(t, name(fence))
	for range 5 {
		for _, req := range []*jobsv1.WatchJobRequest{
			{},
			{From: jobsv1.WatchJobRequest_BEGINNING},
			{From: jobsv1.WatchJobRequest_NOW},
			{AfterSeq: proto.Int64(1)},
			{AfterSeq: proto.Int64(99)},
			{OmitDeltas: true, Types: []string{"job.progress"}},
		} {
			req.Name = name(fence)
			ctx, cut := context.WithCancel(ask(t))
			stream, err := f.client.WatchJob(ctx, req)
			require.NoError(t, err)
			_, err = stream.Header()
			require.NoError(t, err)
			cut()
			for err == nil {
				_, err = stream.Recv()
			}
		}
	}
	equal(t, before, f.get(t, name(fence)))
	f.answered(t, fence, "m1") // and it goes on
	f.finish(t, fence)
	require.Len(t, f.list(t, name(fence), 0), 5)
}

func TestG05_OnlyTheLogHasNumbers(t *testing.T) {
	t.Parallel()
	c := clock{15 * time.Second: make(chan time.Time)}
	f := setup(t, server.Config{After: c.after})
	fence := f.running(t)
	stream := f.watch(t, &jobsv1.WatchJobRequest{Name: name(fence)})
	snapshot := receive(t, stream)
	require.Zero(t, snapshot.GetSeq())
	require.Equal(t, int64(2), snapshot.GetSnapshot().GetAsOfSeq())
	c[15*time.Second] <- time.Time{}
	beat := receive(t, stream)
	require.Zero(t, beat.GetSeq())
	require.Equal(t, int64(2), beat.GetHeartbeat().GetLastSeq())
	f.answered(t, fence, "m1")
	require.Equal(t, int64(3), receive(t, stream).GetSeq())
	for _, place := range []int64{snapshot.GetSnapshot().GetAsOfSeq(), beat.GetHeartbeat().GetLastSeq()} { // true places to resume from
		require.Equal(t, int64(3), receive(t, f.watch(t, &jobsv1.WatchJobRequest{Name: name(fence), AfterSeq: &place})).GetSeq())
	}
}

// frames are the payloads of a stream as they came, to its clean end.
func (f *fixture) frames(t *testing.T, req *jobsv1.WatchJobRequest) []string {
	t.Helper()
	stream, err := f.client.WatchJob(ask(t), req, rpc.EncodedMessages())
	require.NoError(t, err)
	var all []string
	for {
		var raw rpc.Encoded
		if err = stream.RecvMsg(&raw); err != nil {
			require.ErrorIs(t, err, io.EOF)
			return all
		}
		all = append(all, string(raw))
	}
}

func TestG06_AReplayIsTheSameBytesAsWhatWasSeenLive(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	fence := f.running(t)
	live := make(chan []string, 2)
	for range 2 {
		stream, err := f.client.WatchJob(ask(t), &jobsv1.WatchJobRequest{Name: name(fence), AfterSeq: proto.Int64(0)}, rpc.EncodedMessages())
		require.NoError(t, err)
		go func() {
			var all []string
			for {
				var raw rpc.Encoded
				if stream.RecvMsg(&raw) != nil {
					live <- all
					return
				}
				all = append(all, string(raw))
			}
		}()
	}
	for i := range 50 {
		f.delta(t, fence, "m1", 1, i, "x")
	}
	f.say(t, fence, "member_answered", &councilv1.CouncilEvent{Event: &councilv1.CouncilEvent_MemberAnswered{
		MemberAnswered: &councilv1.MemberAnswered{Answer: &councilv1.MemberAnswer{Member: "m1"}},
	}})
	f.finish(t, fence)
	want := <-live
	require.Len(t, want, 54)
	require.Equal(t, want, <-live)
	for range 3 {
		require.Equal(t, want, f.frames(t, &jobsv1.WatchJobRequest{Name: name(fence), From: jobsv1.WatchJobRequest_BEGINNING}))
	}
}

// told is what a reader of the log up to a place knows of the texts that are being written: another way to fold.
func told(events []*jobsv1.JobEvent) map[string]string {
	texts, attempts := map[string]string{}, map[string]int32{}
	for _, e := range events {
		if d := e.GetCouncil().GetMemberDelta(); d != nil {
			if d.GetAttempt() != attempts[d.GetMember()] {
				texts[d.GetMember()], attempts[d.GetMember()] = "", d.GetAttempt()
			}
			texts[d.GetMember()] = texts[d.GetMember()][:d.GetOffset()] + d.GetText()
		}
		if a := e.GetCouncil().GetMemberAnswered(); a != nil {
			delete(texts, a.GetAnswer().GetMember())
			delete(attempts, a.GetAnswer().GetMember())
		}
		if e.GetFinal() {
			clear(texts)
			clear(attempts)
		}
	}
	return texts
}

// Viewers come at any moment of a random script; each holds the texts as of its snapshot, and then exactly what follows.
func TestG07_ASnapshotHoldsWhatTheLogSaysUpToItsNumber(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			f := setup(t, server.Config{})
			fence := f.running(t)
			rng := rand.New(rand.NewPCG(seed, 7)) //nolint:gosec // a repeatable test
			var viewers sync.WaitGroup
			seen := make([][]*jobsv1.JobEvent, 12)
			written, attempt := map[string]string{}, map[string]int32{}
			for i := range 120 {
				if i%10 == 0 {
					n, stream := i/10, f.watch(t, &jobsv1.WatchJobRequest{Name: name(fence)})
					viewers.Go(func() {
						for {
							e, err := stream.Recv()
							if err != nil {
								return
							}
							seen[n] = append(seen[n], e)
						}
					})
				}
				f.write(t, fence, rng, fmt.Sprintf("m%d", rng.IntN(3)), written, attempt)
			}
			f.finish(t, fence)
			viewers.Wait()
			all := f.list(t, name(fence), 0)
			for n, events := range seen {
				s := events[0].GetSnapshot().GetAsOfSeq()
				got := map[string]string{}
				for _, text := range events[0].GetSnapshot().GetPartialTexts() {
					got[text.GetMember()] = text.GetText()
				}
				require.Equal(t, told(all[:s]), got, "viewer %d as of %d", n, s)
				equal(t, all[s:], events[1:])
			}
		})
	}
}

// write lets a member write on, begin anew, take back, or answer.
func (f *fixture) write(t *testing.T, fence job.Fence, rng *rand.Rand, member string, written map[string]string, attempt map[string]int32) {
	t.Helper()
	switch n := rng.IntN(10); {
	case n == 0 && attempt[member] > 0:
		f.answered(t, fence, member)
		delete(written, member)
		delete(attempt, member)
		return
	case n == 1 || attempt[member] == 0:
		attempt[member]++
		written[member] = ""
	case n == 2:
		written[member] = written[member][:rng.IntN(len(written[member])+1)]
	}
	piece := fmt.Sprintf("%d ", rng.IntN(1000))
	f.delta(t, fence, member, attempt[member], len(written[member]), piece)
	written[member] += piece
}

func TestG08_WhoComesBackToARetriedJobGetsWhatIsNew(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	fence := f.failed(t)
	last := f.get(t, name(fence)).GetLastSeq()
	require.Empty(t, drain(t, f.watch(t, &jobsv1.WatchJobRequest{Name: name(fence), AfterSeq: &last})), "over")
	_, err := f.client.RetryJob(ask(t), &jobsv1.RetryJobRequest{Name: name(fence)})
	require.NoError(t, err)
	back := f.watch(t, &jobsv1.WatchJobRequest{Name: name(fence), AfterSeq: &last})
	snapshot := f.watch(t, &jobsv1.WatchJobRequest{Name: name(fence)})
	require.Equal(t, last+1, receive(t, back).GetSeq())
	require.Equal(t, int32(2), receive(t, snapshot).GetSnapshot().GetAttempt())
	j, _, err := f.store.Begin(t.Context(), job.Attempt{ID: fence.ID, Number: 2}, 10)
	require.NoError(t, err)
	f.finish(t, job.Fence{ID: j.ID, Epoch: j.Epoch, Attempt: j.Attempt})
	for _, stream := range []grpc.ServerStreamingClient[jobsv1.JobEvent]{back, snapshot} {
		rest := drain(t, stream)
		require.Len(t, rest, 2)
		require.True(t, rest[1].GetFinal())
	}
	whole := drain(t, f.watch(t, &jobsv1.WatchJobRequest{Name: name(fence), From: jobsv1.WatchJobRequest_BEGINNING}))
	equal(t, f.list(t, name(fence), 0), whole)
}

// A job whose viewer is behind when the job is deleted, or its history expires, is told so.
func TestG09_OneWhoStallsIsToldWhenTheLogIsGone(t *testing.T) {
	t.Parallel()
	for reason, remove := range map[string]func(f *fixture, fence job.Fence) error{
		"HISTORY_EXPIRED": func(f *fixture, _ job.Fence) error {
			_, err := f.store.ExpireHistory(context.Background(), time.Now().Add(365*24*time.Hour), 10)
			return err
		},
		"JOB_NOT_FOUND": func(f *fixture, fence job.Fence) error {
			_, err := f.client.DeleteJob(as(context.Background(), me), &jobsv1.DeleteJobRequest{Name: name(fence)})
			return err
		},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			f := setup(t, server.Config{})
			fence := f.running(t)
			for i := range 40 { // more than windows, buffers and the ring hold
				f.delta(t, fence, "m1", 1, i, string(make([]byte, 200_000)))
			}
			stalled := f.watch(t, &jobsv1.WatchJobRequest{Name: name(fence), AfterSeq: proto.Int64(0)})
			require.Equal(t, int64(1), receive(t, stalled).GetSeq())
			f.finish(t, fence)
			require.NoError(t, remove(f, fence))
			last := int64(1)
			for {
				e, err := stalled.Recv()
				if err != nil {
					refused(t, err, map[string]codes.Code{"HISTORY_EXPIRED": codes.OutOfRange, "JOB_NOT_FOUND": codes.NotFound}[reason], reason)
					break
				}
				require.Equal(t, last+1, e.GetSeq())
				last = e.GetSeq()
			}
			require.Less(t, last, int64(43))
		})
	}
}

// While the database is away streams stay and beat, and go on when it is back; who comes then is told to try again.
func TestG13_StreamsOutliveTheAbsenceOfTheDatabase(t *testing.T) {
	t.Parallel()
	c := clock{15 * time.Second: make(chan time.Time)}
	f := setup(t, server.Config{After: c.after})
	fence := f.running(t)
	live := f.watch(t, &jobsv1.WatchJobRequest{Name: name(fence), From: jobsv1.WatchJobRequest_NOW})
	_, err := live.Header()
	require.NoError(t, err)
	f.flaky.leave(true)
	f.delta(t, fence, "m1", 1, 0, "x")
	for range 3 {
		c[15*time.Second] <- time.Time{}
		require.Equal(t, int64(2), receive(t, live).GetHeartbeat().GetLastSeq())
	}
	for _, req := range []*jobsv1.WatchJobRequest{{}, {AfterSeq: proto.Int64(0)}, {From: jobsv1.WatchJobRequest_NOW}} {
		req.Name = name(fence)
		_, err := f.watch(t, req).Recv()
		refused(t, err, codes.Unavailable, "UNAVAILABLE")
	}
	_, err = f.client.GetJob(ask(t), &jobsv1.GetJobRequest{Name: name(fence)})
	refused(t, err, codes.Unavailable, "UNAVAILABLE")
	f.flaky.leave(false)
	require.Equal(t, int64(3), receive(t, live).GetSeq())
}

// A hundred viewers of one job make one reader: the store is asked for an event once.
func TestG16_ACrowdOfViewersIsOneReader(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	fence := f.running(t)
	const crowd, events = 100, 50
	var streams []grpc.ServerStreamingClient[jobsv1.JobEvent]
	for range crowd {
		stream := f.watch(t, &jobsv1.WatchJobRequest{Name: name(fence), From: jobsv1.WatchJobRequest_NOW})
		_, err := stream.Header()
		require.NoError(t, err)
		streams = append(streams, stream)
	}
	before := f.flaky.reads.Load()
	for i := range events {
		f.delta(t, fence, "m1", 1, i, "x")
	}
	f.finish(t, fence)
	for _, stream := range streams {
		require.Len(t, drain(t, stream), events+1)
	}
	require.LessOrEqual(t, f.flaky.reads.Load()-before, int64(2*events+20), "not one for each viewer")
}
