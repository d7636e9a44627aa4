package server

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strconv"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	jobsv1 "witan.dev/gen/witan/jobs/v1"
	"witan.dev/internal/auth"
	"witan.dev/internal/job"
)

// CancelJob implements JobService.
func (s *Server) CancelJob(ctx context.Context, req *jobsv1.CancelJobRequest) (*jobsv1.Job, error) {
	j, err := s.own(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	if j, err = s.jobs.Cancel(ctx, j.ID, auth.Owner(ctx)); err != nil {
		return nil, err
	}
	return encodeWhole(j)
}

// RetryJob implements JobService. A request ID that is known decides before the etag does: the caller saw the job as it
// was before its own retry.
func (s *Server) RetryJob(ctx context.Context, req *jobsv1.RetryJobRequest) (*jobsv1.Job, error) {
	j, err := s.own(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(&jobsv1.RetryJobRequest{Name: req.GetName(), Etag: req.GetEtag()})
	if err != nil {
		return nil, fmt.Errorf("hash the request: %w", err)
	}
	retried, err := s.jobs.Retry(ctx, job.Retrial{
		ID: j.ID, Owner: auth.Owner(ctx), RequestID: req.GetRequestId(), BodySHA256: sha256.Sum256(body), Revision: revision(req.GetEtag()),
	})
	if err != nil {
		return nil, err
	}
	return encodeWhole(retried)
}

// DeleteJob implements JobService.
func (s *Server) DeleteJob(ctx context.Context, req *jobsv1.DeleteJobRequest) (*emptypb.Empty, error) {
	j, err := s.own(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	err = s.jobs.Delete(ctx, job.Deletion{IDs: []job.ID{j.ID}, Owner: auth.Owner(ctx), Revision: revision(req.GetEtag())})
	if err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, nil
}

// noRevision is that of no job.
const noRevision = -1

// revision reads an etag; none means any revision, and what we did not write is that of no job.
func revision(etag string) int64 {
	if etag == "" {
		return 0
	}
	n, err := strconv.ParseInt(etag, 10, 64)
	if err != nil || n <= 0 || strconv.FormatInt(n, 10) != etag {
		return noRevision
	}
	return n
}
