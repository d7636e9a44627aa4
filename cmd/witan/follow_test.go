package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	jobsv1 "witan.dev/gen/witan/jobs/v1"
)

// away is a server that went away: every call fails at once.
type away struct{}

func (away) Invoke(context.Context, string, any, any, ...grpc.CallOption) error {
	return status.Error(codes.Unavailable, "connection refused")
}

func (away) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, status.Error(codes.Unavailable, "connection refused")
}

func TestFollowingEndsWhenTheServerStaysAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		a := &app{stderr: &said}
		s := &session{conn: away{}, attach: " --data d"}
		_, err := a.follow(t.Context(), s, "jobs/x", 0, viewer{event: func(*jobsv1.JobEvent) {}})
		require.ErrorIs(t, err, errServerGone)
		require.Equal(t, 1, strings.Count(said.String(), "the server does not answer; trying again for 1m0s\n"), "it is told once")
		code, told := codeOf(err)
		require.Equal(t, exitUnreachable, code)
		require.False(t, told)
		require.ErrorContains(t, err, "witan attach jobs/x --data d")
	})
	other := errors.New("another error")
	require.Equal(t, other, (&app{}).gone(other, "jobs/x", &session{}))
}
