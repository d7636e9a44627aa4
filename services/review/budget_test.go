package review_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/services/review"
)

func TestP08_ReviewsOfAPeriodHoldAndSpendOneBudget(t *testing.T) {
	t.Parallel()
	limit := review.Budget{Tokens: 100, CostMicros: 50}
	var s review.Spending
	got, ok := s.Hold("d1", limit, review.Budget{Calls: 9, Tokens: 60}, "a")
	require.True(t, ok)
	require.Equal(t, review.Budget{Calls: 9, Tokens: 60, CostMicros: 50}, got, "an unlimited wish takes what is left")
	_, ok = s.Hold("d1", limit, review.Budget{Tokens: 10}, "b")
	require.False(t, ok, "the money is held")
	got, ok = s.Hold("d1", limit, review.Budget{Tokens: 60, CostMicros: 20}, "a")
	require.True(t, ok)
	require.Equal(t, review.Budget{Tokens: 60, CostMicros: 20}, got, "again: instead of what it held")
	got, ok = s.Hold("d1", limit, review.Budget{Tokens: 60, CostMicros: 60}, "b")
	require.True(t, ok)
	require.Equal(t, review.Budget{Tokens: 40, CostMicros: 30}, got, "the rest")
	s.Settle("b", review.Budget{Tokens: 5, CostMicros: 1})
	s.Settle("unknown", review.Budget{Tokens: 1000})
	require.Equal(t, review.Budget{Tokens: 5, CostMicros: 1}, s.Spent)
	got, ok = s.Hold("d1", limit, review.Budget{}, "c")
	require.True(t, ok)
	require.Equal(t, review.Budget{Tokens: 35, CostMicros: 29}, got, "what never ended is still held")
	got, ok = s.Hold("d2", limit, review.Budget{Tokens: 500}, "c")
	require.True(t, ok)
	require.Equal(t, review.Budget{Tokens: 100, CostMicros: 50}, got, "a new day")
	free, ok := s.Hold("d2", review.Budget{}, review.Budget{Tokens: 7}, "d")
	require.True(t, ok)
	require.Equal(t, review.Budget{Tokens: 7}, free, "without a cap all wishes are granted")

	at := time.Date(2026, 3, 1, 0, 30, 0, 0, time.FixedZone("east", 3600))
	require.Equal(t, "2026-02-28", review.Day(at))
	require.Equal(t, "2026-02", review.Month(at))
}
