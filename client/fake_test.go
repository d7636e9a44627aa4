package client_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	councilv1 "witan.dev/gen/witan/council/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const jobName = "jobs/k3k3k3k3k3k3k3k3k3k3k3k3k3"

// stream is what the fake does with one WatchJob.
type stream struct {
	// deliver is how many events it sends before it ends; 0: none, below 0: all, and then it follows the log.
	deliver int
	// beats is how many heartbeats come before the events.
	beats int
	// mangle replaces an event that would be sent; nil: nothing is replaced.
	mangle func(*jobsv1.JobEvent) []*jobsv1.JobEvent
	// err is how it ends then; nil: cleanly. silent: it does not end at all.
	err    error
	silent bool
}

// whole follows the log to its end.
func whole() stream { return stream{deliver: -1} }

// fake is a JobService with one job, as strict as the real one, whose streams end as a test says.
type fake struct {
	jobsv1.UnimplementedJobServiceServer
	councilv1.UnimplementedCouncilServiceServer

	// next says what the n-th WatchJob (from 0) does; nil: whole.
	next func(n int) stream

	mu      sync.Mutex
	changed chan struct{}
	log     []*jobsv1.JobEvent
	state   jobsv1.Job_State
	missing bool
	// watches are the requests so far, calls the other methods' names, failing answers a call first, by its number.
	watches []*jobsv1.WatchJobRequest
	calls   []string
	failing func(method string, n int) error
	created map[string]string // job by request_id
	retries map[string]bool
}

func newFake() *fake {
	return &fake{changed: make(chan struct{}), state: jobsv1.Job_RUNNING, created: map[string]string{}, retries: map[string]bool{}}
}

// add appends an event to the log.
func (f *fake) add(text string) {
	f.append(&jobsv1.JobEvent{Event: &jobsv1.JobEvent_Council{Council: &councilv1.CouncilEvent{
		Event: &councilv1.CouncilEvent_MemberDelta{MemberDelta: &councilv1.MemberDelta{Text: text}},
	}}})
}

// finish appends the final event of an attempt.
func (f *fake) finish(state jobsv1.Job_State) {
	f.append(&jobsv1.JobEvent{Final: true, Event: &jobsv1.JobEvent_StateChanged{StateChanged: &jobsv1.StateChanged{State: state}}})
}

func (f *fake) append(e *jobsv1.JobEvent) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e.Seq = int64(len(f.log)) + 1
	f.log = append(f.log, e)
	f.state = jobsv1.Job_RUNNING
	if e.GetFinal() {
		f.state = e.GetStateChanged().GetState()
	}
	close(f.changed)
	f.changed = make(chan struct{})
}

// finished is a fake whose job has a log of n events, the last of them final.
func finished(n int) *fake {
	f := newFake()
	for i := range n - 1 {
		f.add(fmt.Sprintf("piece %d", i+1))
	}
	f.finish(jobsv1.Job_SUCCEEDED)
	return f
}

// events are the log so far.
func (f *fake) events() []*jobsv1.JobEvent {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.log)
}

func (f *fake) watched() []*jobsv1.WatchJobRequest {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.watches)
}

func (f *fake) job() *jobsv1.Job {
	return &jobsv1.Job{Name: jobName, State: f.state, LastSeq: int64(len(f.log))}
}

// called notes a unary call and says how it fails.
func (f *fake) called(method string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, c := range f.calls {
		if c == method {
			n++
		}
	}
	f.calls = append(f.calls, method)
	if f.failing != nil {
		if err := f.failing(method, n); err != nil {
			return err
		}
	}
	if f.missing {
		return refusal(codes.NotFound, "JOB_NOT_FOUND")
	}
	return nil
}

func (f *fake) GetJob(context.Context, *jobsv1.GetJobRequest) (*jobsv1.Job, error) {
	if err := f.called("GetJob"); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.job(), nil
}

func (f *fake) WaitJob(ctx context.Context, req *jobsv1.WaitJobRequest) (*jobsv1.Job, error) {
	if err := f.called("WaitJob"); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, req.GetTimeout().AsDuration())
	defer cancel()
	for {
		f.mu.Lock()
		job, changed := f.job(), f.changed
		f.mu.Unlock()
		if job.GetState() != jobsv1.Job_RUNNING {
			return job, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return job, nil
		}
	}
}

func (f *fake) CancelJob(context.Context, *jobsv1.CancelJobRequest) (*jobsv1.Job, error) {
	if err := f.called("CancelJob"); err != nil {
		return nil, err
	}
	return &jobsv1.Job{Name: jobName, State: jobsv1.Job_CANCELLING}, nil
}

func (f *fake) RetryJob(_ context.Context, req *jobsv1.RetryJobRequest) (*jobsv1.Job, error) {
	f.mu.Lock()
	f.retries[req.GetRequestId()] = true
	f.mu.Unlock()
	if err := f.called("RetryJob"); err != nil {
		return nil, err
	}
	return &jobsv1.Job{Name: jobName, State: jobsv1.Job_QUEUED, Attempt: 2}, nil
}

func (f *fake) DeleteJob(context.Context, *jobsv1.DeleteJobRequest) (*emptypb.Empty, error) {
	err := f.called("DeleteJob")
	f.mu.Lock()
	defer f.mu.Unlock()
	f.missing = true
	return &emptypb.Empty{}, err
}

func (f *fake) ListJobs(_ context.Context, req *jobsv1.ListJobsRequest) (*jobsv1.ListJobsResponse, error) {
	if err := f.called("ListJobs"); err != nil {
		return nil, err
	}
	switch req.GetPageToken() {
	case "":
		return &jobsv1.ListJobsResponse{Jobs: []*jobsv1.Job{{Name: "jobs/3"}, {Name: "jobs/2"}}, NextPageToken: req.GetKind() + "+"}, nil
	case req.GetKind() + "+":
		return &jobsv1.ListJobsResponse{Jobs: []*jobsv1.Job{{Name: "jobs/1"}}}, nil
	default:
		return nil, refusal(codes.InvalidArgument, "PAGE_TOKEN_INVALID")
	}
}

func (f *fake) CreateDeliberation(_ context.Context, req *councilv1.CreateDeliberationRequest) (*councilv1.Deliberation, error) {
	f.mu.Lock()
	if _, ok := f.created[req.GetRequestId()]; !ok && !req.GetValidateOnly() {
		f.created[req.GetRequestId()] = jobName
	}
	job := f.created[req.GetRequestId()]
	f.mu.Unlock()
	if err := f.called("CreateDeliberation"); err != nil { // what was started stays, though the answer is lost
		return nil, err
	}
	return &councilv1.Deliberation{Job: job}, nil
}

func (f *fake) WatchJob(req *jobsv1.WatchJobRequest, out grpc.ServerStreamingServer[jobsv1.JobEvent]) error {
	f.mu.Lock()
	plan := whole()
	if f.next != nil {
		plan = f.next(len(f.watches))
	}
	f.watches = append(f.watches, proto.CloneOf(req))
	after, snapshot := int64(len(f.log)), f.job()
	missing := f.missing
	f.mu.Unlock()
	if missing {
		return refusal(codes.NotFound, "JOB_NOT_FOUND")
	}
	if req.AfterSeq != nil {
		if req.GetAfterSeq() > after {
			return refusal(codes.OutOfRange, "SEQUENCE_AHEAD")
		}
		after, snapshot = req.GetAfterSeq(), nil
	}
	if err := out.SendHeader(metadata.MD{}); err != nil {
		return err
	}
	for range plan.beats {
		if err := out.Send(heartbeat(after)); err != nil {
			return err
		}
	}
	if snapshot != nil && plan.deliver != 0 {
		snapshot.AsOfSeq = after
		if err := out.Send(&jobsv1.JobEvent{Event: &jobsv1.JobEvent_Snapshot{Snapshot: snapshot}}); err != nil {
			return err
		}
		plan.deliver--
	}
	return f.stream(plan, after, out)
}

// stream sends events behind after until the plan ends it.
func (f *fake) stream(plan stream, after int64, out grpc.ServerStreamingServer[jobsv1.JobEvent]) error {
	ctx := out.Context()
	for ; plan.deliver != 0; plan.deliver-- {
		e, err := f.wait(ctx, after)
		if err != nil || e == nil {
			return err
		}
		after = e.GetSeq()
		frames := []*jobsv1.JobEvent{e}
		if plan.mangle != nil {
			frames = plan.mangle(proto.CloneOf(e))
		}
		for _, frame := range frames {
			if err := out.Send(frame); err != nil {
				return err
			}
		}
	}
	if plan.silent {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	return plan.err
}

// wait returns the event behind after when it is there, and nil when the log ends there.
func (f *fake) wait(ctx context.Context, after int64) (*jobsv1.JobEvent, error) {
	for {
		f.mu.Lock()
		changed, size := f.changed, int64(len(f.log))
		var next *jobsv1.JobEvent
		if after < size {
			next = f.log[after]
		}
		ended := f.state != jobsv1.Job_RUNNING
		f.mu.Unlock()
		if next != nil || ended {
			return next, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func heartbeat(last int64) *jobsv1.JobEvent {
	return &jobsv1.JobEvent{Event: &jobsv1.JobEvent_Heartbeat{Heartbeat: &jobsv1.Heartbeat{LastSeq: last}}}
}

// refusal is an error as a Witan answers it.
func refusal(code codes.Code, reason string) error {
	s, err := status.New(code, "no").WithDetails(&errdetails.ErrorInfo{Reason: reason, Domain: "witan.dev"})
	if err != nil {
		panic(err) // the detail is a message of the library
	}
	return s.Err()
}

func unavailable() error { return status.Error(codes.Unavailable, "error reading from server: EOF") }

// memory is a connection to services in this process without sockets, so that time in a synctest bubble can pass.
type memory struct{ f *fake }

func (m memory) descriptions() []*grpc.ServiceDesc {
	return []*grpc.ServiceDesc{&jobsv1.JobService_ServiceDesc, &councilv1.CouncilService_ServiceDesc}
}

// Invoke implements grpc.ClientConnInterface.
func (m memory) Invoke(ctx context.Context, method string, args, reply any, _ ...grpc.CallOption) error {
	for _, d := range m.descriptions() {
		for _, described := range d.Methods {
			if method != "/"+d.ServiceName+"/"+described.MethodName {
				continue
			}
			answer, err := described.Handler(m.f, ctx, func(v any) error { return copyMessage(v, args) }, nil)
			if err != nil {
				return err
			}
			return copyMessage(reply, answer)
		}
	}
	return status.Error(codes.Unimplemented, method)
}

// NewStream implements grpc.ClientConnInterface.
func (m memory) NewStream(ctx context.Context, _ *grpc.StreamDesc, method string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
	for _, described := range jobsv1.JobService_ServiceDesc.Streams {
		if strings.HasSuffix(method, "/"+described.StreamName) {
			p := &pipe{ctx: ctx, request: make(chan any, 1), frames: make(chan any), ended: make(chan struct{})}
			go func() {
				p.err = described.Handler(m.f, serverSide{pipe: p})
				close(p.ended)
			}()
			return p, nil
		}
	}
	return nil, status.Error(codes.Unimplemented, method)
}

// pipe is the client's side of a stream.
type pipe struct {
	grpc.ClientStream

	ctx     context.Context //nolint:containedctx // a stream has one
	request chan any
	frames  chan any
	ended   chan struct{}
	err     error
}

func (p *pipe) SendMsg(m any) error { p.request <- m; return nil }
func (p *pipe) CloseSend() error    { return nil }

func (p *pipe) RecvMsg(m any) error {
	select {
	case frame := <-p.frames:
		return copyMessage(m, frame)
	case <-p.ended:
		if p.err == nil {
			return io.EOF
		}
		return p.err
	case <-p.ctx.Done():
		<-p.ended
		return status.FromContextError(p.ctx.Err()).Err()
	}
}

type serverSide struct {
	grpc.ServerStream

	pipe *pipe
}

func (s serverSide) Context() context.Context     { return s.pipe.ctx }
func (serverSide) SendHeader(_ metadata.MD) error { return nil }
func (s serverSide) RecvMsg(m any) error          { return copyMessage(m, <-s.pipe.request) }

func (s serverSide) SendMsg(m any) error {
	select {
	case s.pipe.frames <- m:
		return nil
	case <-s.pipe.ctx.Done():
		return s.pipe.ctx.Err()
	}
}

func copyMessage(to, from any) error {
	target, ok := to.(proto.Message)
	source, ok2 := from.(proto.Message)
	if !ok || !ok2 {
		return fmt.Errorf("%T and %T are no messages", to, from)
	}
	raw, err := proto.Marshal(source)
	if err != nil {
		return err
	}
	return proto.Unmarshal(raw, target)
}

// requireSame compares events by their bytes: what was received is what the log holds.
func requireSame(t *testing.T, want, got []*jobsv1.JobEvent) {
	t.Helper()
	require.Len(t, got, len(want))
	for i := range want {
		w, err := proto.MarshalOptions{Deterministic: true}.Marshal(want[i])
		require.NoError(t, err)
		g, err := proto.MarshalOptions{Deterministic: true}.Marshal(got[i])
		require.NoError(t, err)
		require.Equal(t, w, g, "event %d", i+1)
	}
}

// dropSnapshots is a connection on which no snapshot arrives.
type dropSnapshots struct{ memory }

func (d dropSnapshots) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, o ...grpc.CallOption) (grpc.ClientStream, error) {
	s, err := d.memory.NewStream(ctx, desc, method, o...)
	return dropping{s}, err
}

type dropping struct{ grpc.ClientStream }

func (d dropping) RecvMsg(m any) error {
	for {
		if err := d.ClientStream.RecvMsg(m); err != nil {
			return err
		}
		e, ok := m.(*jobsv1.JobEvent)
		if !ok || e.GetSnapshot() == nil {
			return nil
		}
		proto.Reset(e)
	}
}
