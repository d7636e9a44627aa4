package e2e_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/test/e2e/gittest"
)

// TestP06_ALocalFindingHasALife follows one finding of a branch on this machine from review to review: open, dismissed by a
// person, reopened, fixed, back.
func TestP06_ALocalFindingHasALife(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	base := repo.Commit("base", map[string]string{"README": "x\n"})
	leak := "REGION = 'eu'\naws_key = '" + leakedKey() + "'\n"
	s := startReviews(t, &scriptedCouncil{})
	n := 0
	look := func(text string) *reviewv1.Finding {
		t.Helper()
		n++
		head := repo.Commit("head", map[string]string{"deploy.py": text, "log": strings.Repeat("x\n", n)})
		r, _ := s.review(t, gitRange(repo.Dir, base, head))
		require.LessOrEqual(t, len(r.GetFindings()), 1)
		if len(r.GetFindings()) == 0 {
			return nil
		}
		return r.GetFindings()[0]
	}
	say := func(name string, action reviewv1.UpdateFindingRequest_Action) *reviewv1.Finding {
		t.Helper()
		f, err := s.Client.UpdateFinding(t.Context(), &reviewv1.UpdateFindingRequest{Name: name, Action: action, Reason: "because"})
		require.NoError(t, err)
		return f
	}

	first := look(leak)
	require.Equal(t, reviewv1.Finding_OPEN, first.GetStatus())
	require.Equal(t, reviewv1.Finding_REFUSED, say(first.GetName(), reviewv1.UpdateFindingRequest_DISMISS).GetFeedback())
	dismissed := look("# A line more.\n" + leak)
	require.Equal(t, reviewv1.Finding_DISMISSED, dismissed.GetStatus())
	require.Equal(t, reviewv1.Finding_BY_PERSON, dismissed.GetStatusReason())
	require.Equal(t, first.GetFirstReview(), dismissed.GetFirstReview())
	_, id, _ := strings.Cut(first.GetName(), "/findings/")
	require.True(t, strings.HasSuffix(dismissed.GetName(), id), "it keeps its ID")

	require.Equal(t, reviewv1.Finding_OPEN, say(dismissed.GetName(), reviewv1.UpdateFindingRequest_REOPEN).GetStatus())
	open := look("# Two lines more.\n#\n" + leak)
	require.Equal(t, reviewv1.Finding_OPEN, open.GetStatus())
	require.Equal(t, reviewv1.Finding_ACCEPTED, say(open.GetName(), reviewv1.UpdateFindingRequest_ACCEPT).GetFeedback())
	fixed := look("REGION = 'eu'\naws_key = environ['KEY']\n")
	require.Equal(t, reviewv1.Finding_FIXED, fixed.GetStatus())
	require.NotEmpty(t, fixed.GetFixedIn())
	require.Nil(t, look("REGION = 'us'\naws_key = environ['KEY']\n"), "it is said once")
	back := look(leak)
	require.Equal(t, reviewv1.Finding_REAPPEARED, back.GetStatus())
	require.Equal(t, first.GetFirstReview(), back.GetFirstReview())

	stored, err := s.Client.ListFindings(t.Context(), &reviewv1.ListFindingsRequest{Parent: first.GetFirstReview()})
	require.NoError(t, err)
	require.Len(t, stored.GetFindings(), 1)
	_, err = s.Client.UpdateFinding(t.Context(), &reviewv1.UpdateFindingRequest{
		Name: first.GetFirstReview() + "/findings/none", Action: reviewv1.UpdateFindingRequest_DISMISS,
	})
	require.Equal(t, codes.NotFound, status.Code(err))
}
