package main

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	jobsv1 "witan.dev/gen/witan/jobs/v1"
)

// awayJobs is a server that went away: every call fails at once.
type awayJobs struct{ jobsv1.JobServiceClient }

func (awayJobs) WatchJob(context.Context, *jobsv1.WatchJobRequest, ...grpc.CallOption) (grpc.ServerStreamingClient[jobsv1.JobEvent], error) {
	return nil, status.Error(codes.Unavailable, "connection refused")
}

func TestFollowingEndsWhenTheServerStaysAway(t *testing.T) {
	t.Parallel()
	var said []string
	f := logFollower{
		jobs: awayJobs{}, job: "jobs/x", pause: time.Millisecond, limit: 20 * time.Millisecond,
		say: func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) },
	}
	err := f.follow(t.Context())
	require.ErrorIs(t, err, errServerGone)
	require.Len(t, said, 1, "it is told once")

	err = (&app{}).gone(err, "jobs/x", &session{attach: " --data d"})
	code, told := codeOf(err)
	require.Equal(t, exitUnreachable, code)
	require.False(t, told)
	require.ErrorContains(t, err, "witan attach jobs/x --data d")
	other := errors.New("another error")
	require.Equal(t, other, (&app{}).gone(other, "jobs/x", &session{}))
}
