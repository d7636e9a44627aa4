package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/datadir"
	"witan.dev/internal/job"
	"witan.dev/internal/secret"
)

// TestACommandWaitsForAHolderThatStarts is about two commands at the same moment: the second one finds the folder held
// by the first, which does not answer yet.
func TestACommandWaitsForAHolderThatStarts(t *testing.T) {
	t.Parallel()
	for _, transient := range []error{datadir.ErrHeld, exit(exitUnreachable, errors.New("no Witan answers"))} {
		tries, joined := 0, &session{}
		s, err := settle(t.Context(), time.Minute, func() (*session, error) {
			if tries++; tries < 3 {
				return nil, transient
			}
			return joined, nil
		})
		require.NoError(t, err)
		require.Same(t, joined, s)
		_, err = settle(t.Context(), 0, func() (*session, error) { return nil, transient })
		require.ErrorIs(t, err, transient)
	}
	tries, final := 0, errors.New("no space left")
	_, err := settle(t.Context(), time.Minute, func() (*session, error) { tries++; return nil, final })
	require.ErrorIs(t, err, final)
	require.Equal(t, 1, tries)
}

func TestTheHTTPPortIsNamedForWhatItIs(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	address := strings.TrimPrefix(s.URL, "http://")
	_, err := dial(t.Context(), address, secret.Text{}, nil, &session{remote: true})
	require.ErrorContains(t, err, address+" speaks plain HTTP")
	require.ErrorContains(t, err, "gRPC (7400 by default)")
	code, _ := codeOf(err)
	require.Equal(t, exitUnreachable, code)
}

func TestNamesOfJobsAreKnownByTheirForm(t *testing.T) {
	t.Parallel()
	require.True(t, isJobName(jobName(string(job.NewID()))))
	require.True(t, isJobName(jobName("reviews/"+string(job.NewID()))))
	require.False(t, isJobName(jobName("nope")))
}
