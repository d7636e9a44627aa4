// Package server serves JobService: it translates between messages and the job layer and holds the streams.
package server

import (
	"cmp"
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	jobsv1 "witan.dev/gen/witan/jobs/v1"
	"witan.dev/internal/apierr"
	"witan.dev/internal/auth"
	"witan.dev/internal/job"
	"witan.dev/internal/job/watch"
	"witan.dev/services/jobs"
)

const (
	defaultJobs   = 50
	defaultEvents = 100
	pageBytes     = 2 << 20
	waitDefault   = 30 * time.Second
	// waitReserve is what is left of a call's deadline to answer in.
	waitReserve = 100 * time.Millisecond
)

// Config holds the times of streams. Zero values mean the defaults named here.
type Config struct {
	// Heartbeat is the longest silence of a stream; default 15 s.
	Heartbeat time.Duration
	// MaxAge ends a stream so that proxies can drain, give or take a tenth, and not before the viewer has read what waits for
	// it; default 15 min.
	MaxAge time.Duration
	// Grace is how long a viewer may read nothing at all while something new waits for it; within twice this time its stream
	// ends. Default 30 s.
	Grace time.Duration
	// After is the streams' clock; default time.After.
	After watch.After
}

func (c Config) withDefaults() Config {
	c.Heartbeat = cmp.Or(c.Heartbeat, 15*time.Second)
	c.MaxAge = cmp.Or(c.MaxAge, 15*time.Minute)
	c.Grace = cmp.Or(c.Grace, 30*time.Second)
	if c.After == nil {
		c.After = time.After
	}
	return c
}

// Server serves JobService. Safe for concurrent use.
type Server struct {
	jobsv1.UnimplementedJobServiceServer

	jobs     jobs.Jobs
	watcher  jobs.Watcher
	creators Creators
	cfg      Config
}

// Params are what the service works with. Jobs and Watcher are needed and outlive it.
type Params struct {
	// Jobs is the job layer.
	Jobs jobs.Jobs
	// Watcher opens viewers.
	Watcher jobs.Watcher
	// Creators create what RunJob runs.
	Creators Creators
	// Config holds the times of streams.
	Config Config
}

// New returns the service.
func New(p Params) *Server {
	return &Server{jobs: p.Jobs, watcher: p.Watcher, creators: p.Creators, cfg: p.Config.withDefaults()}
}

// Register adds the service to a server.
func (s *Server) Register(r grpc.ServiceRegistrar) { jobsv1.RegisterJobServiceServer(r, s) }

// own returns the caller's job of that name. A foreign one is as missing as one that never was.
func (s *Server) own(ctx context.Context, name string) (job.Job, error) {
	id, err := jobs.ParseName(name)
	if err != nil {
		return job.Job{}, err
	}
	owner := auth.Owner(ctx)
	if owner == "" {
		return job.Job{}, auth.ErrTokenInvalid
	}
	j, err := s.jobs.Get(ctx, id, owner)
	return j, away(ctx, err)
}

// away makes of a failure that no caller is to blame for the one that may pass: the records cannot be read now.
func away(ctx context.Context, err error) error {
	if _, known := errors.AsType[*apierr.Error](err); err == nil || known || ctx.Err() != nil {
		return err
	}
	return jobs.ErrUnavailable.Wrap(err)
}

// GetJob implements JobService.
func (s *Server) GetJob(ctx context.Context, req *jobsv1.GetJobRequest) (*jobsv1.Job, error) {
	j, err := s.own(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	return encodeWhole(j)
}

// ListJobs implements JobService.
func (s *Server) ListJobs(ctx context.Context, req *jobsv1.ListJobsRequest) (*jobsv1.ListJobsResponse, error) {
	q, err := listQuery(ctx, req)
	if err != nil {
		return nil, err
	}
	page, next, err := s.jobs.List(ctx, q)
	if err != nil {
		return nil, err
	}
	res := &jobsv1.ListJobsResponse{}
	if res.NextPageToken, err = jobs.ListToken(q, next); err != nil {
		return nil, err
	}
	for _, j := range page {
		m, err := encodeJob(j)
		if err != nil {
			return nil, err
		}
		res.Jobs = append(res.Jobs, m)
	}
	return res, nil
}

func listQuery(ctx context.Context, req *jobsv1.ListJobsRequest) (job.ListQuery, error) {
	q := job.ListQuery{Owner: auth.Owner(ctx), Limit: cmp.Or(int(req.GetPageSize()), defaultJobs)}
	if q.Owner == "" {
		return q, auth.ErrTokenInvalid
	}
	if req.GetKind() != "" {
		q.Kinds = []job.Kind{job.Kind(req.GetKind())}
	}
	for _, st := range req.GetStates() {
		q.States = append(q.States, job.State(st.String()))
	}
	if req.GetParentJob() != "" {
		parent, err := jobs.ParseName(req.GetParentJob())
		if err != nil {
			return q, err
		}
		q.Parent = parent
	}
	var err error
	q.After, err = jobs.ParseListToken(q, req.GetPageToken())
	return q, err
}

// ListJobEvents implements JobService.
func (s *Server) ListJobEvents(ctx context.Context, req *jobsv1.ListJobEventsRequest) (*jobsv1.ListJobEventsResponse, error) {
	j, err := s.own(ctx, req.GetParent())
	if err != nil {
		return nil, err
	}
	after := req.GetAfterSeq()
	if req.GetPageToken() != "" {
		if after, err = jobs.ParseEventToken(j.ID, req.GetPageToken()); err != nil {
			return nil, err
		}
	}
	if err := j.Follows(after, time.Now()); err != nil {
		return nil, err
	}
	events, err := s.jobs.Events(ctx, j.ID, after, cmp.Or(int(req.GetPageSize()), defaultEvents))
	if err != nil {
		return nil, err
	}
	res := &jobsv1.ListJobEventsResponse{}
	for bytes, i := 0, 0; i < len(events); i++ {
		m, err := encodeEvent(events[i])
		if err != nil {
			return nil, err
		}
		if bytes += proto.Size(m); bytes > pageBytes && i > 0 {
			break
		}
		res.Events = append(res.Events, m)
		after = m.GetSeq()
	}
	res.LastSeq = max(j.LastSeq, after)
	if after < res.GetLastSeq() {
		res.NextPageToken, err = jobs.EventToken(j.ID, after)
	}
	return res, err
}

// WaitJob implements JobService.
func (s *Server) WaitJob(ctx context.Context, req *jobsv1.WaitJobRequest) (*jobsv1.Job, error) {
	j, err := s.own(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	if !j.State.Terminal() {
		if err := s.watcher.AwaitEnd(ctx, j.ID, s.cfg.After(patience(ctx, req))); err != nil {
			return nil, err
		}
		if j, err = s.own(ctx, req.GetName()); err != nil {
			return nil, err
		}
	}
	return encodeWhole(j)
}

// patience is how long a call waits: what it asks for, but not beyond its own deadline.
func patience(ctx context.Context, req *jobsv1.WaitJobRequest) time.Duration {
	timeout := waitDefault
	if req.GetTimeout() != nil {
		timeout = req.GetTimeout().AsDuration()
	}
	if deadline, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(deadline)-waitReserve)
	}
	return max(timeout, 0)
}
