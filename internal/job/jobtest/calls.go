package jobtest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/job"
)

func intent(subject string) job.CallIntent {
	return job.CallIntent{
		Key: job.CallKey{Stage: "answer", Subject: subject}, PromptSHA256: sha256.Sum256([]byte(subject)), Template: "v1",
		MaxAttempts: 2, ReservedTokens: 100,
		EventsFor: func(attempt int32) []job.NewEvent {
			return []job.NewEvent{event(fmt.Sprintf("started/%s/%d", subject, attempt))}
		},
	}
}

func openCall(t *testing.T, s job.Store, f job.Fence, in job.CallIntent) job.CallGrant {
	t.Helper()
	grants, _, err := s.OpenCalls(t.Context(), f, []job.CallIntent{in})
	require.NoError(t, err)
	require.Len(t, grants, 1)
	return grants[0]
}

func closeCall(t *testing.T, s job.Store, f job.Fence, d job.CallDone) {
	t.Helper()
	_, err := s.CloseCall(t.Context(), f, d)
	require.NoError(t, err)
}

func answered(in job.CallIntent, attempt int32) job.CallDone {
	cost := int64(7)
	return job.CallDone{
		Key: in.Key, Attempt: attempt, State: job.CallResult, Result: []byte("answer of " + in.Key.Subject),
		Usage:  job.Usage{InputTokens: 1, OutputTokens: 2, CachedTokens: 3, ReasoningTokens: 4, CostMicros: &cost, Currency: "USD"},
		Events: []job.NewEvent{event("answered/" + in.Key.Subject)},
	}
}

var calling = map[string]func(t *testing.T, s job.Store){ //nolint:gochecknoglobals // a table of tests
	"an answer with the same prompt is used again, in this execution and the next": func(t *testing.T, s job.Store) {
		f := began(t, s)
		in := intent("m1")
		g := openCall(t, s, f, in)
		require.Equal(t, int32(1), g.Attempt)
		require.Nil(t, g.Reused)
		require.NotEmpty(t, g.IdempotencyKey)
		require.Equal(t, int64(100), get(t, s, f.ID).Reserved)
		closeCall(t, s, f, answered(in, 1))
		require.Zero(t, get(t, s, f.ID).Reserved)
		length := len(dense(t, s, f.ID))
		for range 2 {
			g = openCall(t, s, f, in)
			require.Equal(t, []byte("answer of m1"), g.Reused)
			require.Equal(t, answered(in, 1).Usage, g.Usage)
			require.Len(t, dense(t, s, f.ID), length, "no event for a reused answer")
			f = begin(t, s, f.ID)
			length++
		}
		j := get(t, s, f.ID)
		require.Equal(t, job.Ledger{CallsStarted: 1, CallsCompleted: 1, CallsReused: 2, Recoveries: 2}, j.Ledger)
		require.Equal(t, answered(in, 1).Usage, j.Usage)
	},
	"a call that must not be sent finds its answer and opens nothing without one": func(t *testing.T, s job.Store) {
		f := began(t, s)
		in := intent("m1")
		in.ReuseOnly = true
		require.Equal(t, job.CallGrant{Refused: true}, openCall(t, s, f, in))
		require.Equal(t, []string{"create/0", "begin/1"}, keys(dense(t, s, f.ID)))
		openCall(t, s, f, intent("m1"))
		closeCall(t, s, f, answered(in, 1))
		g := openCall(t, s, f, in)
		require.Equal(t, []byte("answer of m1"), g.Reused)
		require.False(t, g.Refused)
		in.PromptSHA256[0]++
		require.True(t, openCall(t, s, f, in).Refused)
		require.Equal(t, job.Ledger{CallsStarted: 1, CallsCompleted: 1, CallsReused: 1}, get(t, s, f.ID).Ledger)
	},
	"an empty answer is an answer": func(t *testing.T, s job.Store) {
		f := began(t, s)
		openCall(t, s, f, intent("m1"))
		closeCall(t, s, f, job.CallDone{Key: intent("m1").Key, Attempt: 1, State: job.CallResult})
		g := openCall(t, s, f, intent("m1"))
		require.NotNil(t, g.Reused)
		require.Empty(t, g.Reused)
	},
	"another prompt is asked as the next attempt": func(t *testing.T, s job.Store) {
		f := began(t, s)
		in := intent("m1")
		openCall(t, s, f, in)
		closeCall(t, s, f, answered(in, 1))
		in.PromptSHA256[0]++
		g := openCall(t, s, f, in)
		require.Nil(t, g.Reused)
		require.Equal(t, int32(2), g.Attempt)
		require.Equal(t, int64(2), get(t, s, f.ID).Ledger.CallsStarted)
	},
	"failures count, the last one is told": func(t *testing.T, s job.Store) {
		f := began(t, s)
		in := intent("m1")
		for attempt := int32(1); attempt <= 2; attempt++ {
			require.Equal(t, attempt, openCall(t, s, f, in).Attempt)
			closeCall(t, s, f, job.CallDone{Key: in.Key, Attempt: attempt, State: job.CallFailed, ErrorClass: fmt.Sprintf("TIMEOUT%d", attempt)})
		}
		g := openCall(t, s, f, in)
		require.True(t, g.Exhausted)
		require.Equal(t, "TIMEOUT2", g.LastFailure)
		require.Equal(t, job.Ledger{CallsStarted: 2}, get(t, s, f.ID).Ledger)
	},
	"a call in flight at the end of its execution is repaid under the same key, once a recovery": func(t *testing.T, s job.Store) {
		f := began(t, s)
		in := intent("m1")
		in.MaxAttempts = 1
		first := openCall(t, s, f, in)
		for n := int32(2); n <= 3; n++ {
			f = begin(t, s, f.ID)
			g := openCall(t, s, f, in)
			require.Equal(t, n, g.Attempt, "it does not count against MaxAttempts")
			require.Equal(t, first.IdempotencyKey, g.IdempotencyKey)
		}
		_, err := s.CloseCall(t.Context(), f, answered(in, 1))
		require.Error(t, err, "the first try was given up")
		closeCall(t, s, f, answered(in, 3))
		require.Equal(t, job.Ledger{CallsStarted: 3, CallsCompleted: 1, CallsRepaid: 2, Recoveries: 2}, get(t, s, f.ID).Ledger)
		require.Equal(t, []string{
			"create/0", "begin/1", "started/m1/1", "begin/2", "started/m1/2", "begin/3", "started/m1/3", "answered/m1",
		}, keys(dense(t, s, f.ID)))
	},
	"calls of a stage are opened together": func(t *testing.T, s job.Store) {
		f := began(t, s)
		grants, _, err := s.OpenCalls(t.Context(), f, []job.CallIntent{intent("m1"), intent("m2"), intent("m3")})
		require.NoError(t, err)
		require.Len(t, grants, 3)
		keys := map[string]bool{}
		for _, g := range grants {
			keys[g.IdempotencyKey] = true
		}
		require.Len(t, keys, 3)
	},
	"closing again adds nothing": func(t *testing.T, s job.Store) {
		f := began(t, s)
		in := intent("m1")
		openCall(t, s, f, in)
		closeCall(t, s, f, answered(in, 1))
		closeCall(t, s, f, answered(in, 1))
		j := get(t, s, f.ID)
		require.Equal(t, int64(1), j.Ledger.CallsCompleted)
		require.Equal(t, int64(1), j.Usage.InputTokens)
		_, err := s.CloseCall(t.Context(), f, job.CallDone{Key: in.Key, Attempt: 1, State: job.CallFailed})
		require.Error(t, err)
		_, err = s.CloseCall(t.Context(), f, job.CallDone{Key: in.Key, Attempt: 9, State: job.CallFailed})
		require.Error(t, err)
	},
	"what reports an answer commits with it": func(t *testing.T, s job.Store) {
		f := began(t, s)
		in := intent("m1")
		openCall(t, s, f, in)
		d := answered(in, 1)
		d.Write = func(context.Context, job.Tx) error { return errRefused }
		_, err := s.CloseCall(t.Context(), f, d)
		require.ErrorIs(t, err, errRefused)
		require.Equal(t, []string{"create/0", "begin/1", "started/m1/1"}, keys(dense(t, s, f.ID)))
		require.Zero(t, get(t, s, f.ID).Ledger.CallsCompleted)
	},
	"an answer means that the job got on": func(t *testing.T, s job.Store) {
		f := began(t, s)
		f = begin(t, s, f.ID)
		require.Equal(t, 1, get(t, s, f.ID).Stalled)
		openCall(t, s, f, intent("m1"))
		require.Equal(t, 1, get(t, s, f.ID).Stalled)
		closeCall(t, s, f, answered(intent("m1"), 1))
		require.Zero(t, get(t, s, f.ID).Stalled)
	},
}
