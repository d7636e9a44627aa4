package worker

import (
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/job/engine"
	"witan.dev/services/review"
	"witan.dev/services/review/publish"
)

// TestP07_WhatAnAuthorDecidesLetsNobodyPast a check that failed on the same commit: not even where an incomplete one passes.
func TestP07_WhatAnAuthorDecidesLetsNobodyPast(t *testing.T) {
	t.Parallel()
	for reason, conclusions := range map[string][2]publish.Conclusion{ // by whether what is incomplete fails
		review.DeclinedBaseChanges: {publish.Failure, publish.Failure},
		review.DeclinedBaseUnread:  {publish.Failure, publish.Failure},
		review.DeclinedClosed:      {publish.Neutral, publish.Failure},
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

// TestP07_WhatGaveWayToANewerReviewDoesNotPass: that one may be declined before it has a check run.
func TestP07_WhatGaveWayToANewerReviewDoesNotPass(t *testing.T) {
	t.Parallel()
	s := &session{superseded: "newer"}
	require.Equal(t, publish.Cancelled, s.ending(t.Context(), &engine.Failure{Class: engine.ClassCancelled}).conclusion)
}
