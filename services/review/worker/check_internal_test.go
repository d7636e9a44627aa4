package worker

import (
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/services/review"
	"witan.dev/services/review/publish"
)

// TestP07_WhatAnAuthorDecidesLetsNobodyPast a check that failed on the same commit: not even where an incomplete one passes.
func TestP07_WhatAnAuthorDecidesLetsNobodyPast(t *testing.T) {
	t.Parallel()
	for reason, conclusions := range map[string][2]publish.Conclusion{ // by whether what is incomplete fails
		review.DeclinedBaseChanges: {publish.Failure, publish.Failure},
		review.DeclinedDraft:       {publish.Neutral, publish.Failure},
		review.DeclinedTitle:       {publish.Neutral, publish.Failure},
		review.DeclinedPaused:      {publish.Neutral, publish.Neutral},
	} {
		for i, fails := range []bool{false, true} {
			s := &session{}
			s.resolution.Declined, s.resolution.Settings.IncompleteFails = reason, fails
			require.Equal(t, conclusions[i], s.refusal().conclusion, "%s %t", reason, fails)
		}
	}
}
