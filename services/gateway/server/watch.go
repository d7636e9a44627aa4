package server

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"

	jobsv1 "witan.dev/gen/witan/jobs/v1"
	"witan.dev/internal/rpc"
	"witan.dev/services/gateway"
)

// attachWait is how long the headers wait for the job service to accept or refuse a viewer.
const attachWait = time.Second

// eventStream is what WatchJob and RunJob answer with; its messages are taken as they are.
type eventStream = grpc.ServerStreamingClient[jobsv1.JobEvent]

// watch serves GET /v1/jobs/{id}:watch.
func (s *Server) watch(w http.ResponseWriter, r *http.Request, params map[string]string) {
	req, err := readWatch(r, params["name"])
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	ctx, cancel, err := s.callContext(r, jobsv1.JobService_WatchJob_FullMethodName)
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	defer cancel()
	job, err := s.jobs.GetJob(ctx, &jobsv1.GetJobRequest{Name: req.GetName()})
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	if caughtUp(req, job) {
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusNoContent)
		return
	}
	own, cancelOwn := context.WithCancel(ctx)
	defer cancelOwn()
	stream, err := s.jobs.WatchJob(own, req, rpc.EncodedMessages())
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	p := s.newPump(w, r)
	if a := s.join(ctx, r, req); a != nil {
		defer a.leave()
		p.with = &sharing{audience: a, ctx: ctx, req: req, live: job.GetLastSeq()}
	}
	p.serve(stream, cancelOwn, req.GetAfterSeq())
}

// run serves POST /v1/jobs:run.
func (s *Server) run(w http.ResponseWriter, r *http.Request, _ map[string]string) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	var req jobsv1.RunJobRequest
	if len(raw) > 0 { // no body is an empty request, which the job service refuses
		if err := protojson.Unmarshal(raw, &req); err != nil {
			s.writeError(w, r, errBodyUnfit.Field("body", err.Error()))
			return
		}
	}
	ctx, cancel, err := s.callContext(r, jobsv1.JobService_RunJob_FullMethodName)
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	defer cancel()
	stream, err := s.jobs.RunJob(ctx, &req, rpc.EncodedMessages())
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	p := s.newPump(w, r)
	p.patient = true
	p.serve(stream, cancel, 0)
}

// callContext is the request's context with what its headers say to the gRPC server.
func (s *Server) callContext(r *http.Request, method string) (context.Context, context.CancelFunc, error) {
	ctx, cancel := context.WithCancel(r.Context())
	ctx, err := runtime.AnnotateContext(ctx, s.mux, r, method)
	if err != nil {
		cancel()
		return nil, nil, err
	}
	return ctx, cancel, nil
}

// readWatch makes the request of a watch from path, query and header.
func readWatch(r *http.Request, name string) (*jobsv1.WatchJobRequest, error) {
	query := r.URL.Query()
	parameter := query.Get("after_seq")
	if parameter == "" {
		parameter = query.Get("afterSeq")
	}
	position, err := gateway.ParsePosition(r.Header.Get("Last-Event-ID"), parameter)
	if err != nil {
		return nil, err
	}
	query.Del("after_seq")
	query.Del("afterSeq")
	req := &jobsv1.WatchJobRequest{Name: name}
	if err := runtime.PopulateQueryParameters(req, query, utilities.NewDoubleArray([][]string{{"name"}})); err != nil {
		return nil, errQueryInvalid.Field("query", err.Error())
	}
	if position.Set {
		req.AfterSeq = &position.Seq
		if r.Header.Get("Last-Event-ID") != "" {
			req.From = jobsv1.WatchJobRequest_FROM_UNSPECIFIED // of the first connection; the header is where it stands now
		}
	}
	return req, nil
}

// caughtUp says whether the viewer has everything of a finished job, so that there is nothing to stream.
func caughtUp(req *jobsv1.WatchJobRequest, job *jobsv1.Job) bool {
	if !ended(job.GetState()) {
		return false
	}
	return req.GetFrom() == jobsv1.WatchJobRequest_NOW || (req.AfterSeq != nil && req.GetAfterSeq() == job.GetLastSeq())
}

func ended(state jobsv1.Job_State) bool {
	switch state {
	case jobsv1.Job_SUCCEEDED, jobsv1.Job_PARTIALLY_SUCCEEDED, jobsv1.Job_FAILED, jobsv1.Job_CANCELLED, jobsv1.Job_EXPIRED:
		return true
	default:
		return false
	}
}

// format chooses server-sent events where the viewer accepts them, else lines.
func format(r *http.Request) frames {
	for _, value := range r.Header.Values("Accept") {
		for part := range strings.SplitSeq(value, ",") {
			media, params, err := mime.ParseMediaType(part)
			if err == nil && media == "text/event-stream" && params["q"] != "0" {
				return sseFrames{}
			}
		}
	}
	return lines{}
}

// isEnd says whether a stream's error is its clean end.
func isEnd(err error) bool { return errors.Is(err, io.EOF) }
