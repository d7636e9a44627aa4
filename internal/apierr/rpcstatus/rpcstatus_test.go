package rpcstatus_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"witan.dev/internal/apierr"
	"witan.dev/internal/apierr/rpcstatus"
)

func TestEveryKindSurvivesTheWire(t *testing.T) {
	t.Parallel()
	seen := map[codes.Code]bool{}
	for kind := apierr.KindInternal; kind <= apierr.KindUnimplemented; kind++ {
		sent := apierr.New(kind, "SOME_REASON", "do something").With("job", "jobs/a").Field("name", "is bad")
		st := rpcstatus.From(fmt.Errorf("while testing: %w", sent))
		require.False(t, seen[st.Code()], "two kinds share %s", st.Code())
		seen[st.Code()] = true
		got := rpcstatus.Parse(st.Err())
		require.ErrorIs(t, got, sent)
		require.Equal(t, sent.Message(), got.Message())
		require.Equal(t, sent.Metadata(), got.Metadata())
		require.Equal(t, sent.Fields(), got.Fields())
	}
}

func TestStatusesOfOthersAreCompletedOrHidden(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		code   codes.Code
		reason apierr.Reason
	}{
		"plain":          {errors.New("secret"), codes.Internal, apierr.ReasonInternal},
		"wrapped status": {fmt.Errorf("ask: %w", status.Error(codes.Unavailable, "secret")), codes.Unavailable, apierr.ReasonUnavailable},
		"generated stub": {status.Error(codes.Unimplemented, "method secret not implemented"), codes.Unimplemented, apierr.ReasonNotImplemented},
		"not found":      {status.Error(codes.NotFound, "secret"), codes.Internal, apierr.ReasonInternal},
		"cancelled":      {fmt.Errorf("read: %w", context.Canceled), codes.Canceled, apierr.ReasonCanceled},
		"too late":       {fmt.Errorf("read: %w", context.DeadlineExceeded), codes.DeadlineExceeded, apierr.ReasonDeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := rpcstatus.From(c.err)
			require.Equal(t, c.code, st.Code())
			require.Equal(t, string(c.reason), rpcstatus.Info(st).GetReason())
			require.NotContains(t, st.Message(), "secret")
			require.Equal(t, c.reason, rpcstatus.Parse(c.err).Reason())
		})
	}
	require.Nil(t, rpcstatus.Parse(nil))
	require.Equal(t, codes.OK, rpcstatus.From(nil).Code())
}

func TestStatusOfAnotherWitanServicePassesUnchanged(t *testing.T) {
	t.Parallel()
	st := rpcstatus.From(apierr.NotFound("JOB_NOT_FOUND", "no such job").With("job", "jobs/a"))
	again := rpcstatus.From(fmt.Errorf("ask the jobs service: %w", st.Err()))
	require.Equal(t, st.Proto().String(), again.Proto().String())
}

func TestBytesThatAreNoTextDoNotLoseTheReason(t *testing.T) {
	t.Parallel()
	st := rpcstatus.From(apierr.Invalid("BAD", "mend \xff").With("path", "a\xffb").Field("\xfe", "\xfd"))
	require.Equal(t, "BAD", rpcstatus.Info(st).GetReason())
	require.Equal(t, "a\uFFFDb", rpcstatus.Info(st).GetMetadata()["path"])
}
