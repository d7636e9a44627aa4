package server

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	councilv1 "witan.dev/gen/witan/council/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
	retrievalv1 "witan.dev/gen/witan/retrieval/v1"
	reviewv1 "witan.dev/gen/witan/review/v1"
	typev1 "witan.dev/gen/witan/type/v1"
	"witan.dev/internal/job"
	"witan.dev/services/jobs"
)

// domain is that of all our errors.
const domain = "witan.dev"

// timestamp is unset for the zero time.
func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// small fits a count into the message's field; a job does not begin two billion times.
func small(n int64) int32 {
	return int32(min(max(n, math.MinInt32), math.MaxInt32))
}

func state(s job.State) jobsv1.Job_State {
	return jobsv1.Job_State(jobsv1.Job_State_value[string(s)])
}

func status(e *job.Error) (*rpcstatus.Status, error) {
	if e == nil {
		return nil, nil //nolint:nilnil // no error is no status
	}
	detail, err := anypb.New(&errdetails.ErrorInfo{Reason: e.Reason, Domain: domain})
	if err != nil {
		return nil, fmt.Errorf("encode the error's reason: %w", err)
	}
	return &rpcstatus.Status{Code: int32(e.Code), Message: e.Message, Details: []*anypb.Any{detail}}, nil //nolint:gosec // one of 17 codes
}

func usage(u job.Usage, l job.Ledger) *typev1.Usage {
	return &typev1.Usage{
		InputTokens: u.InputTokens, OutputTokens: u.OutputTokens, CachedTokens: u.CachedTokens, ReasoningTokens: u.ReasoningTokens,
		CostMicros: u.CostMicros, CurrencyCode: u.Currency, Calls: l.CallsCompleted,
	}
}

func ledger(l job.Ledger) *typev1.Ledger {
	return &typev1.Ledger{
		CallsStarted: l.CallsStarted, CallsCompleted: l.CallsCompleted, CallsReused: l.CallsReused,
		CallsRepaid: l.CallsRepaid, Recoveries: l.Recoveries,
	}
}

func progress(p job.Progress) *jobsv1.Progress {
	return &jobsv1.Progress{Done: p.Done, Total: p.Total, Unit: p.Unit}
}

// encodeJob is the message of a job without its result.
func encodeJob(j job.Job) (*jobsv1.Job, error) {
	failure, err := status(j.Error)
	if err != nil {
		return nil, err
	}
	return &jobsv1.Job{
		Name: jobs.Name(j.ID), Kind: string(j.Kind), State: state(j.State), StateReason: j.StateReason, Stage: j.Stage,
		Progress: progress(j.Progress), LastSeq: j.LastSeq, FirstAvailableSeq: j.FirstAvailableSeq,
		Epoch: small(j.Epoch), Attempt: j.Attempt, Ledger: ledger(j.Ledger), Usage: usage(j.Usage, j.Ledger), Error: failure,
		CreateTime: timestamp(j.CreatedAt), StartTime: timestamp(j.StartedAt), EndTime: timestamp(j.EndedAt),
		ExpireTime: timestamp(j.ExpireAt), HistoryExpireTime: timestamp(j.HistoryExpireAt), Labels: j.Labels,
		ParentJob: jobs.Name(j.Parent), Etag: strconv.FormatInt(j.Revision, 10), Resource: j.Resource,
		CancelTime: timestamp(j.CancelAskedAt), DeadlineTime: timestamp(j.DeadlineAt),
	}, nil
}

// encodeWhole is the message of a job with its result.
func encodeWhole(j job.Job) (*jobsv1.Job, error) {
	m, err := encodeJob(j)
	if err != nil || len(j.Result) == 0 {
		return m, err
	}
	switch j.Kind {
	case job.KindCouncil:
		r := &jobsv1.Job_Deliberation{Deliberation: &councilv1.DeliberationResult{}}
		m.Result, err = r, proto.Unmarshal(j.Result, r.Deliberation)
	case job.KindReview:
		r := &jobsv1.Job_Review{Review: &reviewv1.Review{}}
		m.Result, err = r, proto.Unmarshal(j.Result, r.Review)
	case job.KindIndex:
		r := &jobsv1.Job_Index{Index: &retrievalv1.Index{}}
		m.Result, err = r, proto.Unmarshal(j.Result, r.Index)
	}
	if err != nil {
		return nil, fmt.Errorf("read the result of job %s: %w", j.ID, err)
	}
	return m, nil
}

// encodeEvent is the message of one entry of a log. An entry of a type that this version does not know keeps its number
// and says nothing.
func encodeEvent(e job.Event) (*jobsv1.JobEvent, error) {
	raw, err := encodeFrame(e)
	if err != nil {
		return nil, err
	}
	m := &jobsv1.JobEvent{}
	if err := proto.Unmarshal(raw, m); err != nil {
		return nil, fmt.Errorf("read event %d of job %s: %w", e.Seq, e.JobID, err)
	}
	return m, nil
}

// encodeFrame is the message of one entry in its wire form, always the same bytes. What a service wrote stands in it as it
// was stored: it is not decoded for each viewer that comes.
func encodeFrame(e job.Event) ([]byte, error) {
	m := &jobsv1.JobEvent{Seq: e.Seq, Time: timestamp(e.Time), Epoch: small(e.Epoch), Final: e.Final}
	service, _, _ := strings.Cut(e.Type, ".")
	if service == "job" {
		if err := encodeOwn(e, m); err != nil {
			return nil, fmt.Errorf("read event %d of job %s: %w", e.Seq, e.JobID, err)
		}
	}
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, err
	}
	switch service {
	case "council", "review", "index": // the field has the service's name
		field := m.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(service))
		raw = protowire.AppendTag(raw, field.Number(), protowire.BytesType)
		raw = protowire.AppendBytes(raw, e.Payload)
	}
	return raw, nil
}

// encodeOwn fills in the events of the job layer itself.
func encodeOwn(e job.Event, m *jobsv1.JobEvent) error {
	switch e.Type {
	case job.TypeStateChanged:
		c, err := job.DecodeStateChange(e.Payload)
		if err != nil {
			return err
		}
		failure, err := status(c.Error)
		if err != nil {
			return err
		}
		m.Event = &jobsv1.JobEvent_StateChanged{StateChanged: &jobsv1.StateChanged{
			State: state(c.To), StateReason: c.Reason, Attempt: e.Attempt, Error: failure, Stage: c.Stage,
		}}
	case job.TypeProgress:
		p, err := job.DecodeStageProgress(e.Payload)
		if err != nil {
			return err
		}
		m.Event = &jobsv1.JobEvent_Progress{Progress: progress(p.Progress)}
	}
	return nil
}
