package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	jobsv1 "witan.dev/gen/witan/jobs/v1"
)

// waitTurn is how long one call of WaitJob waits.
const waitTurn = 30 * time.Second

// Ended says whether a job has ended: nothing but a retry changes it any more.
func Ended(j *jobsv1.Job) bool {
	switch j.GetState() {
	case jobsv1.Job_SUCCEEDED, jobsv1.Job_PARTIALLY_SUCCEEDED, jobsv1.Job_FAILED, jobsv1.Job_CANCELLED, jobsv1.Job_EXPIRED:
		return true
	default:
		return false
	}
}

// Run starts the work that req describes and returns a follower from the beginning of its log; the job has the follower's
// Name. Where the create request names no request_id it is given one, so that a request that is repeated after a cut
// starts nothing twice; req itself is not changed. Filters of req are refused: a follower hands over every event.
// Errors: those of the create call, [*AwayError], the cause of ctx's end.
func (c *Client) Run(ctx context.Context, req *jobsv1.RunJobRequest) (*Follower, error) {
	if req.GetOmitDeltas() || len(req.GetTypes()) > 0 {
		return nil, errors.New("witan client: a follower takes no filter")
	}
	job, err := c.create(ctx, req)
	if err != nil {
		return nil, err
	}
	return c.Follow(job, Start{}), nil
}

func (c *Client) create(ctx context.Context, req *jobsv1.RunJobRequest) (string, error) {
	var once func(ctx context.Context) (string, error)
	switch create := req.GetCreate().(type) {
	case *jobsv1.RunJobRequest_Deliberation:
		r := proto.CloneOf(create.Deliberation)
		r.RequestId = identified(r.GetRequestId())
		once = func(ctx context.Context) (string, error) {
			made, err := c.council.CreateDeliberation(ctx, r)
			return made.GetJob(), err
		}
	case *jobsv1.RunJobRequest_Review:
		r := proto.CloneOf(create.Review)
		r.RequestId = identified(r.GetRequestId())
		once = func(ctx context.Context) (string, error) {
			made, err := c.reviews.CreateReview(ctx, r)
			return made.GetJob(), err
		}
	case *jobsv1.RunJobRequest_Index:
		r := proto.CloneOf(create.Index)
		r.RequestId = identified(r.GetRequestId())
		once = func(ctx context.Context) (string, error) {
			made, err := c.indexes.CreateIndex(ctx, r)
			return made.GetJob(), err
		}
	default:
		return "", errors.New("witan client: the request names nothing to create")
	}
	job, err := call(ctx, c, callTimeout, once)
	if err == nil && job == "" {
		return "", errors.New("witan client: nothing was started (validate_only?)")
	}
	return job, err
}

// Get reads a job, also after its log has expired.
func (c *Client) Get(ctx context.Context, job string) (*jobsv1.Job, error) {
	return call(ctx, c, callTimeout, func(ctx context.Context) (*jobsv1.Job, error) {
		return c.jobs.GetJob(ctx, &jobsv1.GetJobRequest{Name: job})
	})
}

// Wait waits until a job has ended, without reading its log, for as long as ctx lets it.
func (c *Client) Wait(ctx context.Context, job string) (*jobsv1.Job, error) {
	for {
		j, err := call(ctx, c, waitTurn+callTimeout, func(ctx context.Context) (*jobsv1.Job, error) {
			return c.jobs.WaitJob(ctx, &jobsv1.WaitJobRequest{Name: job, Timeout: durationpb.New(waitTurn)})
		})
		if err != nil || Ended(j) {
			return j, err
		}
	}
}

// Cancel asks a job and those that it started to stop, and answers with the job. A finished one is answered as it is.
func (c *Client) Cancel(ctx context.Context, job string) (*jobsv1.Job, error) {
	return call(ctx, c, callTimeout, func(ctx context.Context) (*jobsv1.Job, error) {
		return c.jobs.CancelJob(ctx, &jobsv1.CancelJobRequest{Name: job})
	})
}

// Retry continues a failed, cancelled or partial job under the next attempt, in the same log: a follower that saw its end
// goes on where it is. Errors: FAILED_PRECONDITION (JOB_NOT_FINISHED, JOB_NOT_RETRYABLE).
func (c *Client) Retry(ctx context.Context, job string) (*jobsv1.Job, error) {
	req := &jobsv1.RetryJobRequest{Name: job, RequestId: identified("")}
	return call(ctx, c, callTimeout, func(ctx context.Context) (*jobsv1.Job, error) { return c.jobs.RetryJob(ctx, req) })
}

// Delete removes a finished job with its resource and log. Errors: NOT_FOUND (JOB_NOT_FOUND), FAILED_PRECONDITION
// (JOB_NOT_FINISHED).
func (c *Client) Delete(ctx context.Context, job string) error {
	tries := 0
	_, err := call(ctx, c, callTimeout, func(ctx context.Context) (struct{}, error) {
		tries++
		_, err := c.jobs.DeleteJob(ctx, &jobsv1.DeleteJobRequest{Name: job})
		if tries > 1 && status.Code(err) == codes.NotFound { // a try whose answer was cut has done it
			err = nil
		}
		return struct{}{}, err
	})
	return err
}

// List returns the jobs that req asks for, newest first, page by page as the loop goes on; req's token says where to
// begin. An error is the last pair.
func (c *Client) List(ctx context.Context, req *jobsv1.ListJobsRequest) iter.Seq2[*jobsv1.Job, error] {
	return func(yield func(*jobsv1.Job, error) bool) {
		next := proto.CloneOf(req)
		if next == nil {
			next = &jobsv1.ListJobsRequest{}
		}
		for {
			page, err := call(ctx, c, callTimeout, func(ctx context.Context) (*jobsv1.ListJobsResponse, error) {
				return c.jobs.ListJobs(ctx, next)
			})
			if err != nil {
				yield(nil, err)
				return
			}
			for _, j := range page.GetJobs() {
				if !yield(j, nil) {
					return
				}
			}
			if page.GetNextPageToken() == "" {
				return
			}
			next.PageToken = page.GetNextPageToken()
		}
	}
}

// identified is id, or a new random UUID where it is empty.
func identified(id string) string {
	if id != "" {
		return id
	}
	var b [16]byte
	_, _ = rand.Read(b[:])                      // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80 // version 4, variant 10
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])
}
