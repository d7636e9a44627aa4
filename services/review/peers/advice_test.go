package peers_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	councilv1 "witan.dev/gen/witan/council/v1"
	"witan.dev/internal/apierr"
	"witan.dev/internal/apierr/rpcstatus"
	"witan.dev/services/review"
	"witan.dev/services/review/peers"
)

// capped is a council with a budget of its own.
type capped struct {
	councilv1.UnimplementedCouncilServiceServer

	mu   sync.Mutex
	made []*councilv1.Deliberation
	// refuses is what a deliberation fails with; nil: it is made.
	refuses error
}

func (c *capped) CreateDeliberation(_ context.Context, r *councilv1.CreateDeliberationRequest) (*councilv1.Deliberation, error) {
	if r.GetValidateOnly() {
		return &councilv1.Deliberation{Spec: &councilv1.CouncilSpec{Budget: &councilv1.BudgetPolicy{
			MaxCalls: 7, MaxTotalTokens: 900, CurrencyCode: "EUR",
		}}}, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuses != nil {
		return nil, c.refuses
	}
	c.made = append(c.made, r.GetDeliberation())
	return &councilv1.Deliberation{Name: "deliberations/d"}, nil
}

func TestAQuestionMakesTheBudgetOfTheCouncilOnlyStricter(t *testing.T) {
	t.Parallel()
	c := &capped{}
	advisor := peers.NewCouncil(serve(t, func(s *grpc.Server) { councilv1.RegisterCouncilServiceServer(s, c) }), 0)
	for _, budget := range []review.Budget{{}, {Tokens: 600, CostMicros: 5}, {Tokens: 1000}} {
		_, err := advisor.Ask(t.Context(), review.Question{Text: "why?", Budget: budget})
		require.NoError(t, err)
	}
	require.Nil(t, c.made[0].GetSpec())
	for i, want := range [][2]int64{{600, 5}, {900, 0}} {
		got := c.made[i+1].GetSpec().GetBudget()
		require.Equal(t, want, [2]int64{got.GetMaxTotalTokens(), got.GetMaxCostMicros()})
		require.EqualValues(t, 7, got.GetMaxCalls())
		require.Equal(t, "EUR", got.GetCurrencyCode())
	}
}

func (c *capped) GetDeliberation(_ context.Context, r *councilv1.GetDeliberationRequest) (*councilv1.Deliberation, error) {
	origin := councilv1.DeliberationResult_AnswerOrigin(councilv1.DeliberationResult_AnswerOrigin_value[r.GetName()])
	return &councilv1.Deliberation{Result: &councilv1.DeliberationResult{
		Origin: origin, Review: &councilv1.ReviewVerdict{Summary: "words"},
	}}, nil
}

// TestOnlyAChairmansWordsAreASummary: a template counts the findings of its own run, and the headline those of the review.
func TestOnlyAChairmansWordsAreASummary(t *testing.T) {
	t.Parallel()
	c := peers.NewCouncil(serve(t, func(s *grpc.Server) { councilv1.RegisterCouncilServiceServer(s, &capped{}) }), 0)
	for origin, want := range map[string]string{"CHAIRMAN": "words", "FALLBACK_CHAIRMAN": "words", "TEMPLATE": "", "NONE": ""} {
		v, err := c.Verdict(t.Context(), origin)
		require.NoError(t, err)
		require.Equal(t, want, v.Summary, origin)
	}
}

func TestATaskThatTheCouncilRefusesIsTold(t *testing.T) {
	t.Parallel()
	c := &capped{refuses: rpcstatus.From(apierr.Invalid(apierr.ReasonInvalidRequest, "the request breaks a rule")).Err()}
	council := peers.NewCouncil(serve(t, func(s *grpc.Server) { councilv1.RegisterCouncilServiceServer(s, c) }), 0)
	_, err := council.Deliberate(t.Context(), review.CouncilTask{})
	require.ErrorIs(t, err, review.ErrCouncilRefused)
	_, public := errors.AsType[*apierr.Error](err)
	require.False(t, public, "it is no fault of who asked for the review")
}
