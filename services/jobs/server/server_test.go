package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	councilv1 "witan.dev/gen/witan/council/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
	"witan.dev/internal/apierr/rpcstatus"
	"witan.dev/internal/auth"
	"witan.dev/internal/bus/inprocess"
	"witan.dev/internal/database/sqlite"
	"witan.dev/internal/job"
	"witan.dev/internal/job/engine"
	jobsqlite "witan.dev/internal/job/sqlite"
	"witan.dev/internal/job/watch"
	"witan.dev/internal/rpc"
	"witan.dev/internal/secret"
	"witan.dev/services/jobs/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// byHeader takes the caller's name from the header, as no real system would.
type byHeader struct{}

func (byHeader) Authenticate(_ context.Context, c auth.Credentials) (auth.Principal, error) {
	return auth.Principal{Owner: c.Authorization}, nil
}

// idle is an engine that never runs anything: the test itself does what bodies would.
type idle struct{ engine.Engine }

func (idle) EnqueueTx(context.Context, engine.Tx, engine.Request) error { return nil }

func (idle) Remove(context.Context, []engine.ID) error { return nil }

func (idle) Forget(context.Context, []engine.ID) error { return nil }

func (idle) Stop(context.Context) error { return nil }

// fixture is the service behind the real interceptors, over a job layer whose bodies the test steps through.
type fixture struct {
	client  jobsv1.JobServiceClient
	manager *job.Manager
	store   *jobsqlite.Store
	bus     *inprocess.Bus
	hub     *watch.Hub
	flaky   *flaky
	council *council
	metrics *prometheus.Registry
}

// flaky is a store that can be away.
type flaky struct {
	*jobsqlite.Store

	gate  sync.RWMutex // reads go through it
	away  bool
	reads atomic.Int64 // of events
}

// leave makes the store go away, or come back, when the reads under way have ended.
func (f *flaky) leave(away bool) {
	f.gate.Lock()
	defer f.gate.Unlock()
	f.away = away
}

var errAway = errors.New("the database is away")

func (f *flaky) Get(ctx context.Context, id job.ID) (job.Job, error) {
	f.gate.RLock()
	defer f.gate.RUnlock()
	if f.away {
		return job.Job{}, errAway
	}
	return f.Store.Get(ctx, id)
}

func (f *flaky) Events(ctx context.Context, id job.ID, after int64, limit int) ([]job.Event, error) {
	f.reads.Add(1)
	f.gate.RLock()
	defer f.gate.RUnlock()
	if f.away {
		return nil, errAway
	}
	return f.Store.Events(ctx, id, after, limit)
}

func (f *flaky) LastSeqs(ctx context.Context, ids []job.ID) (map[job.ID]int64, error) {
	f.gate.RLock()
	defer f.gate.RUnlock()
	if f.away {
		return nil, errAway
	}
	return f.Store.LastSeqs(ctx, ids)
}

func (f *flaky) States(ctx context.Context, ids []job.ID) (map[job.ID]job.State, error) {
	f.gate.RLock()
	defer f.gate.RUnlock()
	if f.away {
		return nil, errAway
	}
	return f.Store.States(ctx, ids)
}

const me = "me"

func setup(t *testing.T, cfg server.Config) *fixture {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "witan.db"), logger)
	require.NoError(t, err)
	f := &fixture{store: jobsqlite.New(db, nil), bus: inprocess.New(), metrics: prometheus.NewRegistry()}
	f.flaky = &flaky{Store: f.store}
	f.manager = job.NewManager(f.flaky, idle{}, f.bus, logger, job.Config{})
	f.hub = watch.NewHub(f.flaky, f.bus, nil, logger)
	f.council = &council{jobs: f.manager}
	srv, err := rpc.NewServer(rpc.Config{}, rpc.Deps{Logger: logger, Metrics: f.metrics, Auth: byHeader{}})
	require.NoError(t, err)
	conn, err := srv.InProcess(secret.Text{})
	require.NoError(t, err)
	require.NoError(t, srv.Register(server.New(server.Params{
		Jobs: f.manager, Watcher: f.hub, Creators: server.Creators{Councils: councilv1.NewCouncilServiceClient(conn)}, Config: cfg,
	}).Register))
	require.NoError(t, srv.Register(func(r grpc.ServiceRegistrar) { councilv1.RegisterCouncilServiceServer(r, f.council) }))
	f.client = jobsv1.NewJobServiceClient(conn)
	t.Cleanup(func() {
		ctx := context.Background()
		require.NoError(t, conn.Close())
		require.NoError(t, f.hub.Stop(ctx))
		require.NoError(t, srv.Stop(ctx))
		require.NoError(t, f.manager.Stop(ctx))
		require.NoError(t, db.Close())
	})
	require.NoError(t, f.hub.Start(t.Context()))
	require.NoError(t, srv.Start(t.Context()))
	return f
}

func as(ctx context.Context, owner string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", owner)
}

// ask is a context of the test's own caller that ends in time.
func ask(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return as(ctx, me)
}

// running is a job that has begun; its log is two events long.
func (f *fixture) running(t *testing.T) job.Fence {
	t.Helper()
	j, _, err := f.manager.Create(t.Context(), job.Creation{
		ID: job.NewID(), Kind: job.KindCouncil, Owner: me, Resource: "deliberations/x", Labels: map[string]string{"a": "b"},
	})
	require.NoError(t, err)
	j, _, err = f.store.Begin(t.Context(), job.Attempt{ID: j.ID, Number: 1}, 10)
	require.NoError(t, err)
	return job.Fence{ID: j.ID, Epoch: j.Epoch, Attempt: j.Attempt}
}

func name(f job.Fence) string { return "jobs/" + string(f.ID) }

// say appends one council event.
func (f *fixture) say(t *testing.T, fence job.Fence, kind string, e *councilv1.CouncilEvent) {
	t.Helper()
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(e)
	require.NoError(t, err)
	w, err := f.store.Apply(t.Context(), fence, job.Change{Update: job.Update{
		Events: []job.NewEvent{{Key: string(job.NewID()), Type: "council." + kind, Payload: raw}},
	}})
	require.NoError(t, err)
	f.bus.Publish(t.Context(), job.SeqTopic(w.ID), w.LastSeq)
}

func (f *fixture) delta(t *testing.T, fence job.Fence, member string, attempt int32, offset int, text string) {
	t.Helper()
	f.say(t, fence, "member_delta", &councilv1.CouncilEvent{Event: &councilv1.CouncilEvent_MemberDelta{MemberDelta: &councilv1.MemberDelta{
		Stage: "answer", Member: member, Attempt: attempt, Offset: int64(offset), Text: text,
	}}})
}

func (f *fixture) answered(t *testing.T, fence job.Fence, member string) {
	t.Helper()
	f.say(t, fence, "member_answered", &councilv1.CouncilEvent{Event: &councilv1.CouncilEvent_MemberAnswered{
		MemberAnswered: &councilv1.MemberAnswered{Answer: &councilv1.MemberAnswer{Member: member}},
	}})
}

func (f *fixture) finish(t *testing.T, fence job.Fence) {
	t.Helper()
	result, err := proto.Marshal(&councilv1.DeliberationResult{})
	require.NoError(t, err)
	w, err := f.store.Finish(t.Context(), fence, job.Outcome{State: job.StateSucceeded, Result: append(result, 0xf8, 0x7f, 1)})
	require.NoError(t, err)
	f.bus.Publish(t.Context(), job.SeqTopic(w.ID), w.LastSeq)
	f.bus.Publish(t.Context(), job.EndTopic(w.ID), w.LastSeq)
}

func (f *fixture) watch(t *testing.T, req *jobsv1.WatchJobRequest) grpc.ServerStreamingClient[jobsv1.JobEvent] {
	t.Helper()
	stream, err := f.client.WatchJob(ask(t), req)
	require.NoError(t, err)
	return stream
}

func receive(t *testing.T, stream grpc.ServerStreamingClient[jobsv1.JobEvent]) *jobsv1.JobEvent {
	t.Helper()
	m, err := stream.Recv()
	require.NoError(t, err)
	return m
}

// drain returns the entries of the log until the stream's clean end.
func drain(t *testing.T, stream grpc.ServerStreamingClient[jobsv1.JobEvent]) []*jobsv1.JobEvent {
	t.Helper()
	var events []*jobsv1.JobEvent
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return events
		}
		require.NoError(t, err)
		if m.GetSeq() > 0 {
			events = append(events, m)
		}
	}
}

func (f *fixture) list(t *testing.T, parent string, pageSize int32) []*jobsv1.JobEvent {
	t.Helper()
	var events []*jobsv1.JobEvent
	req := &jobsv1.ListJobEventsRequest{Parent: parent, PageSize: pageSize}
	for {
		res, err := f.client.ListJobEvents(ask(t), req)
		require.NoError(t, err)
		events = append(events, res.GetEvents()...)
		if req.PageToken = res.GetNextPageToken(); req.GetPageToken() == "" {
			require.Equal(t, int64(len(events)), res.GetLastSeq())
			return events
		}
	}
}

func equal(t *testing.T, want, got any) {
	t.Helper()
	require.Empty(t, cmp.Diff(want, got, protocmp.Transform()))
}

func refused(t *testing.T, err error, code codes.Code, reason string) {
	t.Helper()
	require.Equal(t, code, status.Code(err), "%v", err)
	require.Equal(t, reason, rpcstatus.Info(status.Convert(err)).GetReason())
}

func TestG03_AWatchThatIsCutAndResumedEqualsTheList(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	fence := f.running(t)
	for i := range 30 {
		f.delta(t, fence, "m1", 1, i, "x")
	}
	live := f.watch(t, &jobsv1.WatchJobRequest{Name: name(fence), AfterSeq: proto.Int64(0)})
	first := receive(t, live)
	f.answered(t, fence, "m1")
	f.finish(t, fence)
	whole := append([]*jobsv1.JobEvent{first}, drain(t, live)...)
	equal(t, f.list(t, name(fence), 7), whole)
	require.True(t, whole[len(whole)-1].GetFinal())
	for cut := range whole {
		rest := drain(t, f.watch(t, &jobsv1.WatchJobRequest{Name: name(fence), AfterSeq: new(int64(cut))}))
		equal(t, whole[cut:], rest)
	}
	require.Empty(t, drain(t, f.watch(t, &jobsv1.WatchJobRequest{Name: name(fence), AfterSeq: new(int64(len(whole)))})))
}

func TestG07_TheStartOfAWatch(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	fence := f.running(t)
	f.delta(t, fence, "m1", 1, 0, "half")
	streams := map[jobsv1.WatchJobRequest_From]grpc.ServerStreamingClient[jobsv1.JobEvent]{}
	for _, from := range []jobsv1.WatchJobRequest_From{
		jobsv1.WatchJobRequest_FROM_UNSPECIFIED, jobsv1.WatchJobRequest_SNAPSHOT, jobsv1.WatchJobRequest_BEGINNING, jobsv1.WatchJobRequest_NOW,
	} {
		streams[from] = f.watch(t, &jobsv1.WatchJobRequest{Name: name(fence), From: from})
		_, err := streams[from].Header()
		require.NoError(t, err, "headers come before any event")
	}
	for _, from := range []jobsv1.WatchJobRequest_From{jobsv1.WatchJobRequest_FROM_UNSPECIFIED, jobsv1.WatchJobRequest_SNAPSHOT} {
		m := receive(t, streams[from])
		require.Zero(t, m.GetSeq())
		require.Equal(t, int64(3), m.GetSnapshot().GetAsOfSeq())
		equal(t, []*jobsv1.PartialText{{Stage: "answer", Member: "m1", Attempt: 1, Text: "half"}}, m.GetSnapshot().GetPartialTexts())
	}
	require.Equal(t, int64(1), receive(t, streams[jobsv1.WatchJobRequest_BEGINNING]).GetSeq())
	f.delta(t, fence, "m1", 1, 4, " and half")
	for _, from := range []jobsv1.WatchJobRequest_From{jobsv1.WatchJobRequest_SNAPSHOT, jobsv1.WatchJobRequest_NOW} {
		require.Equal(t, int64(4), receive(t, streams[from]).GetSeq(), from)
	}
}

func TestG07_ASnapshotHoldsTheTextsThatAreBeingWritten(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	fence := f.running(t)
	snapshot := func() []*jobsv1.PartialText {
		return receive(t, f.watch(t, &jobsv1.WatchJobRequest{Name: name(fence)})).GetSnapshot().GetPartialTexts()
	}
	synthesis := func(kind string, e *councilv1.CouncilEvent) { f.say(t, fence, "synthesis_"+kind, e) }
	require.Empty(t, snapshot())
	f.delta(t, fence, "m2", 1, 0, "b")
	f.delta(t, fence, "m1", 1, 0, "lost ")
	f.delta(t, fence, "m1", 2, 0, "grüße")
	f.delta(t, fence, "m1", 2, len("grüße"), "!")
	equal(t, []*jobsv1.PartialText{
		{Stage: "answer", Member: "m1", Attempt: 2, Text: "grüße!"}, {Stage: "answer", Member: "m2", Attempt: 1, Text: "b"},
	}, snapshot())
	f.answered(t, fence, "m1")
	equal(t, []*jobsv1.PartialText{{Stage: "answer", Member: "m2", Attempt: 1, Text: "b"}}, snapshot())
	f.say(t, fence, "stage_completed", &councilv1.CouncilEvent{Event: &councilv1.CouncilEvent_StageCompleted{
		StageCompleted: &councilv1.StageCompleted{Stage: "answer"},
	}})
	require.Empty(t, snapshot())
	synthesis("started", &councilv1.CouncilEvent{Event: &councilv1.CouncilEvent_SynthesisStarted{
		SynthesisStarted: &councilv1.SynthesisStarted{Chairman: "chair", Attempt: 1},
	}})
	synthesis("delta", &councilv1.CouncilEvent{Event: &councilv1.CouncilEvent_SynthesisDelta{
		SynthesisDelta: &councilv1.SynthesisDelta{Attempt: 1, Text: "so"},
	}})
	equal(t, []*jobsv1.PartialText{{Stage: "synthesise", Member: "chair", Attempt: 1, Text: "so"}}, snapshot())
	f.finish(t, fence)
	require.Empty(t, snapshot())
}

func TestG04_FiltersLeaveNumbersAsTheyAre(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	fence := f.running(t)
	f.delta(t, fence, "m1", 1, 0, "x")
	f.answered(t, fence, "m1")
	f.finish(t, fence)
	seqs := func(req *jobsv1.WatchJobRequest) (seqs []int64) {
		req.Name, req.AfterSeq = name(fence), proto.Int64(0)
		for _, m := range drain(t, f.watch(t, req)) {
			seqs = append(seqs, m.GetSeq())
		}
		return seqs
	}
	require.Equal(t, []int64{1, 2, 3, 4, 5}, seqs(&jobsv1.WatchJobRequest{}))
	require.Equal(t, []int64{1, 2, 4, 5}, seqs(&jobsv1.WatchJobRequest{OmitDeltas: true}))
	require.Equal(t, []int64{4, 5}, seqs(&jobsv1.WatchJobRequest{Types: []string{"council.member_answered"}}))
}

// clock hands out a channel for each duration.
type clock map[time.Duration]chan time.Time

func (c clock) after(d time.Duration) <-chan time.Time {
	for known, ch := range c {
		if d >= known*9/10 && d <= known*11/10 {
			return ch
		}
	}
	return nil
}

func TestG13_AStreamBeatsAndEndsAtItsAge(t *testing.T) {
	t.Parallel()
	c := clock{15 * time.Second: make(chan time.Time), 15 * time.Minute: make(chan time.Time)}
	f := setup(t, server.Config{After: c.after})
	fence := f.running(t)
	stream := f.watch(t, &jobsv1.WatchJobRequest{Name: name(fence), From: jobsv1.WatchJobRequest_NOW, OmitDeltas: true})
	beat := func() int64 {
		c[15*time.Second] <- time.Time{}
		m := receive(t, stream)
		require.Zero(t, m.GetSeq())
		require.NotNil(t, m.GetHeartbeat())
		return m.GetHeartbeat().GetLastSeq()
	}
	require.Equal(t, int64(2), beat())
	f.delta(t, fence, "m1", 1, 0, "left out")
	require.Eventually(t, func() bool { return beat() == 3 }, 20*time.Second, time.Millisecond, "a place to resume from")
	c[15*time.Minute] <- time.Time{}
	require.Empty(t, drain(t, stream), "a clean end without the final event")
}

func TestG09_AViewerThatDoesNotReadIsSentAwayAndHurtsNobody(t *testing.T) {
	t.Parallel()
	c := clock{30 * time.Second: make(chan time.Time)}
	f := setup(t, server.Config{After: c.after})
	fence := f.running(t)
	for i := range 40 { // more than windows and buffers hold
		f.delta(t, fence, "m1", 1, i, strings.Repeat("x", 100_000))
	}
	stalled := f.watch(t, &jobsv1.WatchJobRequest{Name: name(fence), AfterSeq: proto.Int64(0)})
	first := receive(t, stalled)
	other := f.watch(t, &jobsv1.WatchJobRequest{Name: name(fence), From: jobsv1.WatchJobRequest_NOW})
	_, err := other.Header()
	require.NoError(t, err)
	f.delta(t, fence, "m1", 1, 40, "x")
	require.Equal(t, int64(43), receive(t, other).GetSeq())
	require.Eventually(t, func() bool {
		select {
		case c[30*time.Second] <- time.Time{}: // taken while a write blocks
		default:
		}
		return f.sentAway(t)
	}, 20*time.Second, time.Millisecond)

	last := first.GetSeq()
	for {
		m, err := stalled.Recv()
		if err != nil {
			refused(t, err, codes.Unavailable, "VIEWER_TOO_SLOW")
			// The event whose write was cut off may have arrived all the same: the place is never beyond what was read.
			require.Contains(t, []string{fmt.Sprint(last), fmt.Sprint(last - 1)}, rpcstatus.Info(status.Convert(err)).GetMetadata()["seq"])
			break
		}
		require.Equal(t, last+1, m.GetSeq())
		last = m.GetSeq()
	}
	rest := f.watch(t, &jobsv1.WatchJobRequest{Name: name(fence), AfterSeq: new(last)})
	require.Equal(t, last+1, receive(t, rest).GetSeq())
}

// sentAway says whether a watch has ended as unavailable.
func (f *fixture) sentAway(t *testing.T) bool {
	t.Helper()
	families, err := f.metrics.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() != "witan_rpc_calls_total" {
			continue
		}
		for _, m := range family.GetMetric() {
			for _, label := range m.GetLabel() {
				if label.GetValue() == codes.Unavailable.String() {
					return true
				}
			}
		}
	}
	return false
}

func TestG06_PositionsThatDoNotExist(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	fence := f.running(t)
	f.finish(t, fence)
	_, err := f.watch(t, &jobsv1.WatchJobRequest{Name: name(fence), AfterSeq: proto.Int64(9)}).Recv()
	refused(t, err, codes.OutOfRange, "SEQUENCE_AHEAD")
	_, err = f.client.ListJobEvents(ask(t), &jobsv1.ListJobEventsRequest{Parent: name(fence), AfterSeq: 9})
	refused(t, err, codes.OutOfRange, "SEQUENCE_AHEAD")
	_, err = f.store.ExpireHistory(t.Context(), time.Now().Add(365*24*time.Hour), 10)
	require.NoError(t, err)
	for _, req := range []*jobsv1.WatchJobRequest{
		{Name: name(fence), AfterSeq: proto.Int64(0)}, {Name: name(fence), From: jobsv1.WatchJobRequest_BEGINNING},
	} {
		_, err = f.watch(t, req).Recv()
		refused(t, err, codes.OutOfRange, "HISTORY_EXPIRED")
	}
	_, err = f.client.ListJobEvents(ask(t), &jobsv1.ListJobEventsRequest{Parent: name(fence)})
	refused(t, err, codes.OutOfRange, "HISTORY_EXPIRED")
	got, err := f.client.GetJob(ask(t), &jobsv1.GetJobRequest{Name: name(fence)})
	require.NoError(t, err)
	require.Equal(t, jobsv1.Job_SUCCEEDED, got.GetState())
	require.Equal(t, int64(4), got.GetFirstAvailableSeq())
	require.Empty(t, drain(t, f.watch(t, &jobsv1.WatchJobRequest{Name: name(fence), AfterSeq: proto.Int64(3)})), "caught up")
}

func TestForeignAndMissingJobsAnswerAlike(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	fence := f.running(t)
	missing := "jobs/" + string(job.NewID())
	answers := map[string]string{}
	for who, n := range map[string]string{"stranger": name(fence), me: missing} {
		ctx := as(t.Context(), who)
		errs := map[string]error{}
		_, errs["get"] = f.client.GetJob(ctx, &jobsv1.GetJobRequest{Name: n})
		_, errs["wait"] = f.client.WaitJob(ctx, &jobsv1.WaitJobRequest{Name: n})
		_, errs["cancel"] = f.client.CancelJob(ctx, &jobsv1.CancelJobRequest{Name: n})
		_, errs["events"] = f.client.ListJobEvents(ctx, &jobsv1.ListJobEventsRequest{Parent: n})
		stream, err := f.client.WatchJob(ctx, &jobsv1.WatchJobRequest{Name: n})
		require.NoError(t, err)
		_, errs["watch"] = stream.Recv()
		for rpc, err := range errs {
			refused(t, err, codes.NotFound, "JOB_NOT_FOUND")
			answers[rpc] += status.Convert(err).Message()
		}
	}
	for rpc, both := range answers {
		require.Equal(t, both[:len(both)/2], both[len(both)/2:], rpc)
	}
	j, err := f.client.GetJob(ask(t), &jobsv1.GetJobRequest{Name: name(fence)})
	require.NoError(t, err)
	require.Equal(t, jobsv1.Job_RUNNING, j.GetState(), "the stranger cancelled nothing")
	res, err := f.client.ListJobs(as(t.Context(), "stranger"), &jobsv1.ListJobsRequest{})
	require.NoError(t, err)
	require.Empty(t, res.GetJobs())
	_, err = f.client.GetJob(as(t.Context(), ""), &jobsv1.GetJobRequest{Name: name(fence)})
	refused(t, err, codes.Unauthenticated, "TOKEN_INVALID")
}

func TestListsOfJobs(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	want := []string{name(f.running(t)), name(f.running(t)), name(f.running(t))}
	req := &jobsv1.ListJobsRequest{PageSize: 2, Kind: "council", States: []jobsv1.Job_State{jobsv1.Job_RUNNING}}
	first, err := f.client.ListJobs(ask(t), req)
	require.NoError(t, err)
	require.Len(t, first.GetJobs(), 2)
	req.PageToken = first.GetNextPageToken()
	second, err := f.client.ListJobs(ask(t), req)
	require.NoError(t, err)
	require.Empty(t, second.GetNextPageToken())
	var got []string
	for _, j := range append(first.GetJobs(), second.GetJobs()...) {
		got = append(got, j.GetName())
		require.Equal(t, "deliberations/x", j.GetResource())
		require.Equal(t, map[string]string{"a": "b"}, j.GetLabels())
	}
	require.ElementsMatch(t, want, got)
	req.Kind = "review"
	_, err = f.client.ListJobs(ask(t), req)
	refused(t, err, codes.InvalidArgument, "PAGE_TOKEN_INVALID")
}

func TestWaitingForAJob(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	fence := f.running(t)
	j, err := f.client.WaitJob(ask(t), &jobsv1.WaitJobRequest{Name: name(fence), Timeout: durationpb.New(10 * time.Millisecond)})
	require.NoError(t, err)
	require.Equal(t, jobsv1.Job_RUNNING, j.GetState(), "the time was over first")
	ended := make(chan *jobsv1.Job, 1)
	ctx := ask(t)
	go func() {
		j, err := f.client.WaitJob(ctx, &jobsv1.WaitJobRequest{Name: name(fence)})
		if err != nil {
			t.Error(err)
		}
		ended <- j
	}()
	f.finish(t, fence)
	j = <-ended
	require.Equal(t, jobsv1.Job_SUCCEEDED, j.GetState())
	require.NotNil(t, j.GetDeliberation())
	require.NotNil(t, j.GetEndTime())
}

func TestCancellingAJob(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	fence := f.running(t)
	for range 2 {
		j, err := f.client.CancelJob(ask(t), &jobsv1.CancelJobRequest{Name: name(fence)})
		require.NoError(t, err)
		require.Equal(t, jobsv1.Job_CANCELLING, j.GetState())
		require.NotNil(t, j.GetCancelTime())
	}
}

func TestTheErrorOfAJobHasItsReason(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	fence := f.running(t)
	_, err := f.store.Finish(t.Context(), fence, job.Outcome{
		State: job.StateFailed, Reason: "QUORUM_NOT_REACHED", Error: &job.Error{Code: 9, Reason: "QUORUM_NOT_REACHED", Message: "no quorum"},
	})
	require.NoError(t, err)
	j, err := f.client.GetJob(ask(t), &jobsv1.GetJobRequest{Name: name(fence)})
	require.NoError(t, err)
	require.Equal(t, "no quorum", j.GetError().GetMessage())
	require.Equal(t, "QUORUM_NOT_REACHED", rpcstatus.Info(status.FromProto(j.GetError())).GetReason())
	events := f.list(t, name(fence), 0)
	last := events[len(events)-1]
	require.Equal(t, jobsv1.Job_FAILED, last.GetStateChanged().GetState())
	require.Equal(t, int32(1), last.GetStateChanged().GetAttempt())
	require.Equal(t, int32(9), last.GetStateChanged().GetError().GetCode())
}
