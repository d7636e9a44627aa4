package review_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/finding"
	"witan.dev/services/review"
)

// TestP07_PathsThatAreNotUTF8SurviveTheStepsOfAReview: what a step stores is read back with the same paths, keys of maps too.
func TestP07_PathsThatAreNotUTF8SurviveTheStepsOfAReview(t *testing.T) {
	t.Parallel()
	const path review.Path = "caf\xe9.txt"
	inspected := review.ReviewerOutcome{
		Name: "structure", Looked: []review.Path{path}, Limits: review.ByPath[[]review.Reason]{path: {finding.ReasonParseErrors}, "plain": nil},
	}
	council := review.CouncilOutcome{
		Limits: review.ByPath[[]review.Reason]{path: {finding.ReasonBudget}}, Read: review.ByPath[bool]{path: true}, Carried: review.ByPath[string]{path: "reviews/a"},
	}
	for _, c := range []struct{ in, out any }{{&inspected, &review.ReviewerOutcome{}}, {&council, &review.CouncilOutcome{}}} {
		text, err := json.Marshal(c.in)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(text, c.out))
		require.Equal(t, c.in, c.out)
	}
}
