package server_test

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	councilv1 "witan.dev/gen/witan/council/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
	"witan.dev/internal/apierr"
)

const jobName = "jobs/k3k3k3k3k3k3k3k3k3k3k3k3k3"

// memoryJobs is a JobService over one job in memory. It is strict: it sends headers when it accepts a viewer and refuses
// positions outside of its log, as the real one does.
type memoryJobs struct {
	jobsv1.UnimplementedJobServiceServer

	mu      sync.Mutex
	job     *jobsv1.Job
	log     []*jobsv1.JobEvent
	changed chan struct{} // closed and replaced at each change
	broken  error         // what live streams end with
	viewers int
	mute    bool // accepts viewers without sending headers
	aged    bool // live streams end cleanly although the job runs
	run     *jobsv1.RunJobRequest
	slow    <-chan time.Time // what a creation waits for; nil: nothing
}

func newMemoryJobs() *memoryJobs {
	return &memoryJobs{
		job:     &jobsv1.Job{Name: jobName, Kind: "council", State: jobsv1.Job_RUNNING, FirstAvailableSeq: 1, Attempt: 1},
		changed: make(chan struct{}),
	}
}

// add appends events to the log; the job ends with the last one when final.
func (m *memoryJobs) add(final bool, texts ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, text := range texts {
		event := &jobsv1.JobEvent{
			Seq: m.job.GetLastSeq() + 1, Epoch: 1,
			Event: &jobsv1.JobEvent_Council{Council: &councilv1.CouncilEvent{Event: &councilv1.CouncilEvent_MemberDelta{
				MemberDelta: &councilv1.MemberDelta{Stage: "answer", Member: "alpha", Attempt: 1, Text: text},
			}}},
		}
		if final && i == len(texts)-1 {
			event.Final = true
			event.Event = &jobsv1.JobEvent_StateChanged{StateChanged: &jobsv1.StateChanged{State: jobsv1.Job_SUCCEEDED}}
			m.job.State = jobsv1.Job_SUCCEEDED
		}
		m.job.LastSeq = event.GetSeq()
		m.log = append(m.log, event)
	}
	close(m.changed)
	m.changed = make(chan struct{})
}

// age ends all live streams cleanly, as their maximum age does.
func (m *memoryJobs) age() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.aged = true
	close(m.changed)
	m.changed = make(chan struct{})
}

// last is the newest event's number.
func (m *memoryJobs) last() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.job.GetLastSeq()
}

// expire forgets the log up to seq.
func (m *memoryJobs) expire(seq int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.log = m.log[seq-m.job.GetFirstAvailableSeq()+1:]
	m.job.FirstAvailableSeq = seq + 1
}

// breakOff ends all live streams with an error.
func (m *memoryJobs) breakOff(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.broken = err
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *memoryJobs) find(name string) (*jobsv1.Job, error) {
	if name != jobName {
		return nil, apierr.NotFound(apierr.ReasonJobNotFound, "there is no such job")
	}
	return proto.CloneOf(m.job), nil
}

func (m *memoryJobs) GetJob(_ context.Context, r *jobsv1.GetJobRequest) (*jobsv1.Job, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.find(r.GetName())
}

func (m *memoryJobs) CancelJob(_ context.Context, r *jobsv1.CancelJobRequest) (*jobsv1.Job, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.find(r.GetName())
}

func (m *memoryJobs) ListJobs(context.Context, *jobsv1.ListJobsRequest) (*jobsv1.ListJobsResponse, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &jobsv1.ListJobsResponse{Jobs: []*jobsv1.Job{proto.CloneOf(m.job)}}, nil
}

func (m *memoryJobs) ListJobEvents(_ context.Context, r *jobsv1.ListJobEventsRequest) (*jobsv1.ListJobEventsResponse, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.find(r.GetParent()); err != nil {
		return nil, err
	}
	return &jobsv1.ListJobEventsResponse{Events: m.log, LastSeq: m.job.GetLastSeq()}, nil
}

func (m *memoryJobs) WatchJob(r *jobsv1.WatchJobRequest, stream grpc.ServerStreamingServer[jobsv1.JobEvent]) error {
	after, snapshot, err := m.attach(r)
	if err != nil {
		return err
	}
	defer m.detach()
	if !m.mute {
		if err := stream.SendHeader(metadata.MD{}); err != nil {
			return err
		}
	}
	if snapshot != nil {
		if err := stream.Send(snapshot); err != nil {
			return err
		}
	}
	for {
		events, changed, err := m.after(after)
		if err != nil {
			return err
		}
		for _, event := range events {
			if err := stream.Send(event); err != nil {
				return err
			}
			after = event.GetSeq()
		}
		if changed == nil {
			return nil
		}
		select {
		case <-changed:
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

// RunJob creates nothing: there is one job. It refuses reviews.
func (m *memoryJobs) RunJob(r *jobsv1.RunJobRequest, stream grpc.ServerStreamingServer[jobsv1.JobEvent]) error {
	m.mu.Lock()
	m.run = r
	slow := m.slow
	m.mu.Unlock()
	if slow != nil {
		select {
		case <-slow:
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
	if r.GetReview() != nil {
		return apierr.Precondition(apierr.ReasonNoChanges, "there is nothing to review")
	}
	return m.WatchJob(&jobsv1.WatchJobRequest{Name: jobName}, stream)
}

func (m *memoryJobs) attach(r *jobsv1.WatchJobRequest) (after int64, snapshot *jobsv1.JobEvent, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	job, err := m.find(r.GetName())
	if err != nil {
		return 0, nil, err
	}
	m.viewers++
	after = r.GetAfterSeq()
	switch {
	case r.AfterSeq != nil:
	case r.GetFrom() == jobsv1.WatchJobRequest_BEGINNING:
	case r.GetFrom() == jobsv1.WatchJobRequest_NOW:
		after = job.GetLastSeq()
	default:
		after = job.GetLastSeq()
		job.AsOfSeq = after
		snapshot = &jobsv1.JobEvent{Event: &jobsv1.JobEvent_Snapshot{Snapshot: job}}
	}
	switch {
	case after > job.GetLastSeq():
		m.viewers--
		return 0, nil, apierr.OutOfRange(apierr.ReasonSequenceAhead, "the position lies beyond the log")
	case after+1 < job.GetFirstAvailableSeq():
		m.viewers--
		return 0, nil, apierr.OutOfRange(apierr.ReasonHistoryExpired, "these events are gone")
	}
	return after, snapshot, nil
}

func (m *memoryJobs) detach() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.viewers--
}

// after are the events after seq, and what is closed when there are more; nil when the job has ended.
func (m *memoryJobs) after(seq int64) ([]*jobsv1.JobEvent, <-chan struct{}, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != nil {
		return nil, nil, m.broken
	}
	events := m.log[seq-m.job.GetFirstAvailableSeq()+1:]
	if m.aged || m.job.GetState() == jobsv1.Job_SUCCEEDED {
		return events, nil, nil
	}
	return events, m.changed, nil
}
