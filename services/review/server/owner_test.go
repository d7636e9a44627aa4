package server_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/auth"
	"witan.dev/services/review/server"
)

func TestG14_PullRequestsAreForWhomTheForgeIs(t *testing.T) {
	t.Parallel()
	s := server.New(server.Params{Forge: true, ForgeOwner: "ada"})
	req := &reviewv1.CreateReviewRequest{Review: &reviewv1.Review{Source: &reviewv1.Source{Source: &reviewv1.Source_PullRequest{
		PullRequest: &reviewv1.PullRequest{Owner: "acme", Repo: "other", Number: 30},
	}}}}
	for _, who := range []auth.Principal{{Owner: "bob"}, {}} {
		_, err := s.CreateReview(auth.With(t.Context(), who), req)
		require.ErrorIs(t, err, server.ErrForgeNotYours)
	}
}
