package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	jobsv1 "witan.dev/gen/witan/jobs/v1"
)

func TestStatesAreNamedInAnyCase(t *testing.T) {
	t.Parallel()
	states, err := parseStates([]string{"running", "Partially_Succeeded"})
	require.NoError(t, err)
	require.Equal(t, []jobsv1.Job_State{jobsv1.Job_RUNNING, jobsv1.Job_PARTIALLY_SUCCEEDED}, states)
	for _, wrong := range []string{"", "done", "state_unspecified", "1"} {
		_, err := parseStates([]string{wrong})
		require.ErrorContains(t, err, "queued, running, succeeded, partially_succeeded, failed, cancelling, cancelled, expired", wrong)
	}
}
