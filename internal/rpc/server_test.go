package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	jobsv1 "witan.dev/gen/witan/jobs/v1"
	"witan.dev/internal/apierr"
	"witan.dev/internal/apierr/rpcstatus"
	"witan.dev/internal/auth"
	"witan.dev/internal/rpc"
	"witan.dev/internal/secret"
)

const (
	jobName  = "jobs/k3k3k3k3k3k3k3k3k3k3k3k3k3"
	goodWord = "open-sesame"
)

// jobs is a JobService whose answers a test chooses.
type jobs struct {
	jobsv1.UnimplementedJobServiceServer
	get   func(ctx context.Context) (*jobsv1.Job, error)
	watch func(stream grpc.ServerStreamingServer[jobsv1.JobEvent]) error
}

func (j *jobs) GetJob(ctx context.Context, _ *jobsv1.GetJobRequest) (*jobsv1.Job, error) {
	return j.get(ctx)
}

func (j *jobs) WatchJob(_ *jobsv1.WatchJobRequest, stream grpc.ServerStreamingServer[jobsv1.JobEvent]) error {
	return j.watch(stream)
}

// fixture is a started server with one service.
type fixture struct {
	srv      *rpc.Server
	client   jobsv1.JobServiceClient
	conn     *grpc.ClientConn
	log      *logBuffer
	registry *prometheus.Registry
}

func setup(t *testing.T, cfg rpc.Config, service *jobs, token string) fixture {
	t.Helper()
	f := fixture{log: &logBuffer{}, registry: prometheus.NewRegistry()}
	srv, err := rpc.NewServer(cfg, rpc.Deps{
		Logger:  slog.New(slog.NewJSONHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Metrics: f.registry,
		Auth:    auth.NewFolder(secret.New(goodWord)),
	})
	require.NoError(t, err)
	require.NoError(t, srv.Register(func(r grpc.ServiceRegistrar) { jobsv1.RegisterJobServiceServer(r, service) }))
	require.NoError(t, srv.Start(t.Context()))
	f.srv = srv
	f.conn, err = srv.InProcess(secret.New(token))
	require.NoError(t, err)
	f.client = jobsv1.NewJobServiceClient(f.conn)
	t.Cleanup(func() {
		require.NoError(t, f.conn.Close())
		require.NoError(t, srv.Stop(context.WithoutCancel(t.Context())))
	})
	return f
}

func get(t *testing.T, f fixture) (*jobsv1.Job, error) {
	t.Helper()
	return f.client.GetJob(t.Context(), &jobsv1.GetJobRequest{Name: jobName})
}

func TestEveryFailureIsMappedLoggedAndCounted(t *testing.T) {
	t.Parallel()
	sentinel := apierr.Precondition("SOMETHING", "do something else").With("job", jobName)
	for name, c := range map[string]struct {
		fail   func() error
		code   codes.Code
		reason string
		level  string
		hidden string
	}{
		"sentinel":  {func() error { return errors.Join(errors.New("find job"), sentinel) }, codes.FailedPrecondition, "SOMETHING", "DEBUG", "find job"},
		"unknown":   {func() error { return errors.New("password is 1234") }, codes.Internal, "INTERNAL", "ERROR", "1234"},
		"panic":     {func() error { panic("boom") }, codes.Internal, "INTERNAL", "ERROR", "boom"},
		"deadline":  {func() error { return context.DeadlineExceeded }, codes.DeadlineExceeded, "DEADLINE_EXCEEDED", "DEBUG", ""},
		"foreign":   {func() error { return status.Error(codes.Unavailable, "10.0.0.1 refused") }, codes.Unavailable, "UNAVAILABLE", "DEBUG", "10.0.0.1"},
		"data loss": {func() error { return status.Error(codes.DataLoss, "disk sda") }, codes.Internal, "INTERNAL", "ERROR", "sda"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, rpc.Config{}, &jobs{get: func(context.Context) (*jobsv1.Job, error) { return nil, c.fail() }}, "")
			_, err := get(t, f)
			require.Equal(t, c.code, status.Code(err))
			info := rpcstatus.Info(status.Convert(err))
			require.Equal(t, c.reason, info.GetReason())
			if c.hidden != "" {
				require.NotContains(t, err.Error(), c.hidden)
			}
			require.Contains(t, f.log.String(), `"level":"`+c.level+`"`)
			require.Contains(t, f.log.String(), `"request_id":"`)
			require.InDelta(t, 1, counted(t, f, c.code), 0)
		})
	}
}

func TestPanicLeavesItsStackInTheLog(t *testing.T) {
	t.Parallel()
	f := setup(t, rpc.Config{}, &jobs{get: func(context.Context) (*jobsv1.Job, error) { panic("boom") }}, "")
	_, err := get(t, f)
	require.Error(t, err)
	require.Contains(t, f.log.String(), "panic: boom")
	require.Contains(t, f.log.String(), "server_test.go")
}

func TestRefusedAndInvalidCallersAreCounted(t *testing.T) {
	t.Parallel()
	f := setup(t, rpc.Config{}, &jobs{}, "wrong word")
	_, err := get(t, f)
	require.ErrorIs(t, rpcstatus.Parse(err), auth.ErrTokenInvalid)
	require.InDelta(t, 1, counted(t, f, codes.Unauthenticated), 0)

	f = setup(t, rpc.Config{}, &jobs{}, "")
	_, err = f.client.GetJob(t.Context(), &jobsv1.GetJobRequest{Name: "jobs/../etc"})
	e := rpcstatus.Parse(err)
	require.Equal(t, apierr.ReasonInvalidRequest, e.Reason())
	require.Len(t, e.Fields(), 1)
	require.Equal(t, "name", e.Fields()[0].Path)
	require.InDelta(t, 1, counted(t, f, codes.InvalidArgument), 0)
}

func TestInvalidStreamRequestNeverReachesTheHandler(t *testing.T) {
	t.Parallel()
	f := setup(t, rpc.Config{}, &jobs{watch: func(grpc.ServerStreamingServer[jobsv1.JobEvent]) error { panic("reached") }}, "")
	stream, err := f.client.WatchJob(t.Context(), &jobsv1.WatchJobRequest{Name: jobName, AfterSeq: new(int64(-1))})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	require.Equal(t, "after_seq", rpcstatus.Parse(err).Fields()[0].Path)
}

func TestCallersAreKnown(t *testing.T) {
	t.Parallel()
	var seen auth.Principal
	service := &jobs{get: func(ctx context.Context) (*jobsv1.Job, error) {
		seen = auth.From(ctx)
		return &jobsv1.Job{}, nil
	}}
	_, err := get(t, setup(t, rpc.Config{}, service, ""))
	require.NoError(t, err)
	require.Equal(t, auth.Principal{Owner: auth.LocalOwner, Open: true}, seen)
	_, err = get(t, setup(t, rpc.Config{}, service, goodWord))
	require.NoError(t, err)
	require.Equal(t, auth.Principal{Owner: auth.LocalOwner, Trusted: true}, seen)
}

func TestACallIsMadeOnBehalfOfTheContextsOwner(t *testing.T) {
	t.Parallel()
	var seen auth.Principal
	service := &jobs{get: func(ctx context.Context) (*jobsv1.Job, error) {
		seen = auth.From(ctx)
		return &jobsv1.Job{}, nil
	}}
	ctx := auth.With(t.Context(), auth.Principal{Owner: "ada"})
	f := setup(t, rpc.Config{}, service, goodWord)
	_, err := f.client.GetJob(ctx, &jobsv1.GetJobRequest{Name: jobName})
	require.NoError(t, err)
	require.Equal(t, auth.Principal{Owner: "ada", Trusted: true}, seen)

	f = setup(t, rpc.Config{}, service, "")
	_, err = f.client.GetJob(metadata.AppendToOutgoingContext(ctx, auth.OwnerKey, "ada"), &jobsv1.GetJobRequest{Name: jobName})
	require.NoError(t, err)
	require.Equal(t, auth.Principal{Owner: auth.LocalOwner, Open: true}, seen, "who shows no token cannot choose an owner")
}

func TestDeadlines(t *testing.T) {
	t.Parallel()
	var left time.Duration
	service := &jobs{get: func(ctx context.Context) (*jobsv1.Job, error) {
		deadline, ok := ctx.Deadline()
		if !ok {
			return nil, errors.New("no deadline")
		}
		left = time.Until(deadline)
		return &jobsv1.Job{}, nil
	}}
	f := setup(t, rpc.Config{Timeout: time.Hour}, service, "")
	_, err := get(t, f)
	require.NoError(t, err)
	require.InDelta(t, time.Hour, left, float64(time.Minute))

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	deadline, _ := ctx.Deadline()
	_, err = f.client.GetJob(ctx, &jobsv1.GetJobRequest{Name: jobName})
	require.NoError(t, err)
	require.Less(t, left, time.Minute-10*time.Millisecond, "time to report is kept back (caller's deadline %s)", deadline)

	f = setup(t, rpc.Config{Timeouts: map[string]time.Duration{jobsv1.JobService_GetJob_FullMethodName: 2 * time.Hour}}, service, "")
	_, err = get(t, f)
	require.NoError(t, err)
	require.InDelta(t, 2*time.Hour, left, float64(time.Minute))
}

func TestRequestIDIsKeptOrMade(t *testing.T) {
	t.Parallel()
	var inHandler string
	f := setup(t, rpc.Config{}, &jobs{get: func(ctx context.Context) (*jobsv1.Job, error) {
		inHandler = rpc.RequestID(ctx)
		return &jobsv1.Job{}, nil
	}}, "")
	for given, kept := range map[string]bool{"abc-1.2_3": true, "two words": false, strings.Repeat("x", 65): false, "": false} {
		var answer metadata.MD
		ctx := metadata.AppendToOutgoingContext(t.Context(), rpc.RequestIDHeader, given)
		_, err := f.client.GetJob(ctx, &jobsv1.GetJobRequest{Name: jobName}, grpc.Header(&answer))
		require.NoError(t, err)
		require.Equal(t, []string{inHandler}, answer.Get(rpc.RequestIDHeader))
		require.Equal(t, kept, inHandler == given)
		require.NotEmpty(t, inHandler)
	}
}

func TestRefusedStreamSendsNoHeaders(t *testing.T) {
	t.Parallel()
	f := setup(t, rpc.Config{}, &jobs{watch: func(grpc.ServerStreamingServer[jobsv1.JobEvent]) error {
		return apierr.OutOfRange(apierr.ReasonSequenceAhead, "ahead")
	}}, "")
	stream, err := f.client.WatchJob(t.Context(), &jobsv1.WatchJobRequest{Name: jobName})
	require.NoError(t, err)
	header, headerErr := stream.Header()
	require.True(t, headerErr != nil || header == nil, "header %v", header)
	_, err = stream.Recv()
	require.Equal(t, codes.OutOfRange, status.Code(err))
	require.NotEmpty(t, stream.Trailer().Get(rpc.RequestIDHeader))
}

func TestStopEndsStreamsWithAReason(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{})
	f := setup(t, rpc.Config{}, &jobs{watch: func(stream grpc.ServerStreamingServer[jobsv1.JobEvent]) error {
		close(entered)
		<-stream.Context().Done()
		return stream.Context().Err()
	}}, "")
	stream, err := f.client.WatchJob(t.Context(), &jobsv1.WatchJobRequest{Name: jobName})
	require.NoError(t, err)
	<-entered
	require.NoError(t, f.srv.Stop(t.Context()))
	_, err = stream.Recv()
	require.Equal(t, codes.Unavailable, status.Code(err))
	require.Equal(t, apierr.ReasonServerStopping, rpcstatus.Parse(err).Reason())
}

// TestDrainSendsAwayWhoWaits holds that a call that waits on purpose does not hold up a server that stops.
func TestDrainSendsAwayWhoWaits(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{}, 1)
	f := setup(t, rpc.Config{Timeouts: map[string]time.Duration{jobsv1.JobService_GetJob_FullMethodName: 2 * time.Hour}}, &jobs{
		get: func(ctx context.Context) (*jobsv1.Job, error) {
			entered <- struct{}{}
			<-ctx.Done()
			return nil, ctx.Err()
		},
	}, "")
	ended := make(chan error, 1)
	wait := func() {
		_, err := f.client.GetJob(t.Context(), &jobsv1.GetJobRequest{Name: jobName})
		ended <- err
	}
	sentAway := func() {
		err := <-ended
		require.Equal(t, codes.Unavailable, status.Code(err))
		require.Equal(t, apierr.ReasonServerStopping, rpcstatus.Parse(err).Reason())
	}
	go wait()
	<-entered
	f.srv.Drain()
	sentAway()
	wait() // while the server stops
	sentAway()
	require.NoError(t, f.srv.Stop(t.Context()))
}

func TestAFailureWhileTheServerGoesDownIsTheStop(t *testing.T) {
	t.Parallel()
	f := setup(t, rpc.Config{}, &jobs{get: func(context.Context) (*jobsv1.Job, error) {
		return nil, errors.New("the database is closed")
	}}, "")
	ask := func() error {
		_, err := f.client.GetJob(t.Context(), &jobsv1.GetJobRequest{Name: jobName})
		return err
	}
	require.Equal(t, codes.Internal, status.Code(ask()))
	f.srv.Drain()
	err := ask()
	require.Equal(t, codes.Unavailable, status.Code(err))
	require.Equal(t, apierr.ReasonServerStopping, rpcstatus.Parse(err).Reason())
}

func TestStopCutsWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	f := setup(t, rpc.Config{}, &jobs{get: func(ctx context.Context) (*jobsv1.Job, error) {
		close(entered)
		<-ctx.Done()
		close(release)
		return nil, ctx.Err()
	}}, "")
	failed := make(chan error, 1)
	go func() {
		_, err := f.client.GetJob(t.Context(), &jobsv1.GetJobRequest{Name: jobName})
		failed <- err
	}()
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, f.srv.Stop(ctx))
	require.Error(t, <-failed)
	<-release
}

func TestStopBeforeStartAndTwice(t *testing.T) {
	t.Parallel()
	srv, err := rpc.NewServer(rpc.Config{}, rpc.Deps{
		Logger: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), Auth: auth.NewFolder(secret.Text{}),
	})
	require.NoError(t, err)
	require.NoError(t, srv.Stop(t.Context()))
	require.NoError(t, srv.Stop(t.Context()))
	require.Error(t, srv.Start(t.Context()))
}

func TestRegisterRefusesDoublesAndLateServices(t *testing.T) {
	t.Parallel()
	f := setup(t, rpc.Config{}, &jobs{}, "")
	register := func(r grpc.ServiceRegistrar) { jobsv1.RegisterJobServiceServer(r, &jobs{}) }
	require.ErrorContains(t, f.srv.Register(register), "before the server starts")

	srv, err := rpc.NewServer(rpc.Config{}, rpc.Deps{
		Logger: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), Auth: auth.NewFolder(secret.Text{}),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, srv.Stop(context.WithoutCancel(t.Context()))) })
	require.NoError(t, srv.Register(register))
	require.ErrorContains(t, srv.Register(register), "registered twice")
}

func TestHealthPerService(t *testing.T) {
	t.Parallel()
	f := setup(t, rpc.Config{}, &jobs{}, "")
	client := healthgrpc.NewHealthClient(f.conn)
	check := func(service string) healthgrpc.HealthCheckResponse_ServingStatus {
		answer, err := client.Check(t.Context(), &healthgrpc.HealthCheckRequest{Service: service})
		require.NoError(t, err)
		return answer.GetStatus()
	}
	for _, service := range []string{"", "witan.jobs.v1.JobService"} {
		require.Equal(t, healthgrpc.HealthCheckResponse_SERVING, check(service))
	}
	f.srv.SetServing("witan.jobs.v1.JobService", false)
	require.Equal(t, healthgrpc.HealthCheckResponse_NOT_SERVING, check("witan.jobs.v1.JobService"))
	f.srv.Drain()
	require.Equal(t, healthgrpc.HealthCheckResponse_NOT_SERVING, check(""))
}

func TestReflectionByConfig(t *testing.T) {
	t.Parallel()
	for _, on := range []bool{false, true} {
		f := setup(t, rpc.Config{Reflection: on}, &jobs{}, "")
		stream, err := reflectionv1.NewServerReflectionClient(f.conn).ServerReflectionInfo(t.Context())
		require.NoError(t, err)
		sendErr := stream.Send(&reflectionv1.ServerReflectionRequest{
			MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{ListServices: "*"},
		})
		answer, err := stream.Recv()
		if !on {
			require.Equal(t, codes.Unimplemented, status.Code(err))
			continue
		}
		require.NoError(t, errors.Join(sendErr, err, stream.CloseSend()))
		var names []string
		for _, s := range answer.GetListServicesResponse().GetService() {
			names = append(names, s.GetName())
		}
		require.Contains(t, names, "witan.jobs.v1.JobService")
	}
}

func TestUnknownMethodsHaveAReasonAndNoLabelOfTheirOwn(t *testing.T) {
	t.Parallel()
	f := setup(t, rpc.Config{}, &jobs{}, "")
	err := f.conn.Invoke(t.Context(), "/witan.made.up.Service/Call", &jobsv1.GetJobRequest{}, &jobsv1.Job{})
	require.Equal(t, codes.Unimplemented, status.Code(err))
	require.Equal(t, apierr.ReasonRPCUnknown, rpcstatus.Parse(err).Reason())
	require.NoError(t, testutil.GatherAndCompare(f.registry, strings.NewReader(`
# HELP witan_rpc_calls_total Finished gRPC calls.
# TYPE witan_rpc_calls_total counter
witan_rpc_calls_total{code="Unimplemented",method="unknown",service="unknown"} 1
`), "witan_rpc_calls_total"))

	_, err = f.client.RetryJob(t.Context(), &jobsv1.RetryJobRequest{Name: jobName})
	require.Equal(t, apierr.ReasonNotImplemented, rpcstatus.Parse(err).Reason())
}

func TestMessagesAreBounded(t *testing.T) {
	t.Parallel()
	f := setup(t, rpc.Config{MaxReceive: 1 << 10, MaxSend: 1 << 20}, &jobs{}, "")
	_, err := f.client.GetJob(t.Context(), &jobsv1.GetJobRequest{Name: strings.Repeat("x", 2<<10)})
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
	require.Equal(t, apierr.ReasonMessageTooLarge, rpcstatus.Parse(err).Reason())
}

func TestServesOnAnAddress(t *testing.T) {
	t.Parallel()
	f := setup(t, rpc.Config{Addr: "127.0.0.1:0"}, &jobs{get: func(context.Context) (*jobsv1.Job, error) {
		return &jobsv1.Job{Name: jobName}, nil
	}}, "")
	conn, err := grpc.NewClient(f.srv.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithPerRPCCredentials(rpc.Bearer(secret.New(goodWord))))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	job, err := jobsv1.NewJobServiceClient(conn).GetJob(t.Context(), &jobsv1.GetJobRequest{Name: jobName})
	require.NoError(t, err)
	require.Equal(t, jobName, job.GetName())

	second, err := rpc.NewServer(rpc.Config{Addr: f.srv.Addr().String()}, rpc.Deps{
		Logger: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), Auth: auth.NewFolder(secret.Text{}),
	})
	require.NoError(t, err)
	require.ErrorContains(t, second.Start(t.Context()), "address already in use")
	require.NoError(t, second.Stop(t.Context()))
}

func counted(t *testing.T, f fixture, code codes.Code) float64 {
	t.Helper()
	families, err := f.registry.Gather()
	require.NoError(t, err)
	var sum float64
	for _, family := range families {
		if family.GetName() != "witan_rpc_calls_total" {
			continue
		}
		for _, m := range family.GetMetric() {
			for _, label := range m.GetLabel() {
				if label.GetName() == "code" && label.GetValue() == code.String() {
					sum += m.GetCounter().GetValue()
				}
			}
		}
	}
	return sum
}

// logBuffer collects a log. Safe for concurrent use.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// turnstile knows one caller until it is shut.
type turnstile struct {
	shut  atomic.Bool
	other atomic.Bool
}

func (s *turnstile) Authenticate(_ context.Context, c auth.Credentials) (auth.Principal, error) {
	switch {
	case s.shut.Load():
		return auth.Principal{}, auth.ErrTokenInvalid
	case s.other.Load():
		return auth.Principal{Owner: "ben"}, nil
	default:
		return auth.Principal{Owner: "ada"}, nil
	}
}

// TestG14_AStreamEndsWhenItsTokenIsWithdrawn holds open streams to the tokens that are valid now.
func TestG14_AStreamEndsWhenItsTokenIsWithdrawn(t *testing.T) {
	t.Parallel()
	for name, withdraw := range map[string]func(s *turnstile){
		"the token is gone":               func(s *turnstile) { s.shut.Store(true) },
		"the token is someone else's now": func(s *turnstile) { s.other.Store(true) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			door, ticks := &turnstile{}, make(chan time.Time)
			srv, err := rpc.NewServer(rpc.Config{After: func(d time.Duration) <-chan time.Time {
				require.Equal(t, 15*time.Second, d)
				return ticks
			}}, rpc.Deps{Logger: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), Auth: door})
			require.NoError(t, err)
			require.NoError(t, srv.Register(func(r grpc.ServiceRegistrar) {
				jobsv1.RegisterJobServiceServer(r, &jobs{watch: func(stream grpc.ServerStreamingServer[jobsv1.JobEvent]) error {
					require.Equal(t, "ada", auth.Owner(stream.Context()))
					require.NoError(t, stream.Send(&jobsv1.JobEvent{Seq: 1}))
					<-stream.Context().Done()
					return context.Cause(stream.Context())
				}})
			}))
			require.NoError(t, srv.Start(t.Context()))
			conn, err := srv.InProcess(secret.Text{})
			require.NoError(t, err)
			t.Cleanup(func() {
				require.NoError(t, conn.Close())
				require.NoError(t, srv.Stop(context.WithoutCancel(t.Context())))
			})
			stream, err := jobsv1.NewJobServiceClient(conn).WatchJob(t.Context(), &jobsv1.WatchJobRequest{Name: jobName})
			require.NoError(t, err)
			_, err = stream.Recv()
			require.NoError(t, err)
			ticks <- time.Time{}
			ticks <- time.Time{} // the second is asked for only when the first check has passed
			withdraw(door)
			go func() {
				select {
				case ticks <- time.Time{}:
				case <-t.Context().Done(): // the check of the second tick saw it already
				}
			}()
			_, err = stream.Recv()
			require.ErrorIs(t, rpcstatus.Parse(err), auth.ErrTokenInvalid)
		})
	}
}

func TestHealthIsOpenToAll(t *testing.T) {
	t.Parallel()
	door := &turnstile{}
	door.shut.Store(true)
	srv, err := rpc.NewServer(rpc.Config{}, rpc.Deps{Logger: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), Auth: door})
	require.NoError(t, err)
	require.NoError(t, srv.Start(t.Context()))
	conn, err := srv.InProcess(secret.Text{})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, conn.Close())
		require.NoError(t, srv.Stop(context.WithoutCancel(t.Context())))
	})
	answer, err := healthgrpc.NewHealthClient(conn).Check(t.Context(), &healthgrpc.HealthCheckRequest{})
	require.NoError(t, err)
	require.Equal(t, healthgrpc.HealthCheckResponse_SERVING, answer.GetStatus())
	_, err = jobsv1.NewJobServiceClient(conn).GetJob(t.Context(), &jobsv1.GetJobRequest{Name: jobName})
	require.ErrorIs(t, rpcstatus.Parse(err), auth.ErrTokenInvalid)
}
