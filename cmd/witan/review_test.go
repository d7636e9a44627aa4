package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	councilv1 "witan.dev/gen/witan/council/v1"
	reviewv1 "witan.dev/gen/witan/review/v1"
	typev1 "witan.dev/gen/witan/type/v1"
)

func TestADeclinedReviewIsNoGreenOne(t *testing.T) {
	t.Parallel()
	r := &reviewv1.Review{Disposition: reviewv1.Review_DECLINED, DeclinedReason: "CLOSED"}
	ended := verdict(r, typev1.Severity_SEVERITY_HIGH, nil)
	code, _ := codeOf(ended)
	require.Equal(t, exitPartial, code)
	require.ErrorContains(t, ended, "not reviewed: CLOSED")
	r.Disposition = reviewv1.Review_REVIEWED
	require.NoError(t, verdict(r, typev1.Severity_SEVERITY_HIGH, nil))
	r.Findings = []*reviewv1.Finding{{Outcome: councilv1.Finding_PUBLISHED, Severity: typev1.Severity_SEVERITY_HIGH}}
	code, _ = codeOf(verdict(r, typev1.Severity_SEVERITY_HIGH, nil))
	require.Equal(t, exitFindings, code)
}

func TestAReviewSaysWhereItIsShownOrWhyItIsNot(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		state             reviewv1.Publication_State
		url, reason, want string
	}{
		{reviewv1.Publication_STATE_UNSPECIFIED, "", "", ""}, // declined
		{reviewv1.Publication_DONE, "u", "", "shown at u"},
		{reviewv1.Publication_DONE, "", "", ""}, // the repository wants neither walkthrough nor check run
		{reviewv1.Publication_FELL_BACK, "u", "TOO_MANY_COMMENTS", "shown at u, but not every finding has a comment of its own (TOO_MANY_COMMENTS)"},
		{reviewv1.Publication_FELL_BACK, "u", "FORBIDDEN", "shown at u, but not whole: the token may not write all of it (FORBIDDEN)"},
		{reviewv1.Publication_FELL_BACK, "u", "NO_CHECK_RUN", "shown at u; no check run, which needs an App that may write checks (NO_CHECK_RUN)"},
		{reviewv1.Publication_FAILED, "", "FORBIDDEN", "not shown: the token may not write at the pull request (FORBIDDEN)"},
		{reviewv1.Publication_FELL_BACK, "", "FORBIDDEN", "not shown: the token may not write at the pull request (FORBIDDEN)"}, // no comment was due
		{reviewv1.Publication_FELL_BACK, "", "NO_CHECK_RUN", "not shown: no check run, which needs an App that may write checks (NO_CHECK_RUN)"},
		{reviewv1.Publication_FAILED, "u", "LOCKED", "shown in the check run u only: the conversation is locked (LOCKED)"},
		{reviewv1.Publication_FELL_BACK, "u", "LOCKED", "shown at u, but not whole: the conversation is locked (LOCKED)"},
		{reviewv1.Publication_FAILED, "u", "FORBIDDEN", "shown in the check run u only: the token may not write at the pull request (FORBIDDEN)"},
		{reviewv1.Publication_FAILED, "", "FORGE_NOT_CONFIGURED", "not shown: FORGE_NOT_CONFIGURED"},
	} {
		r := &reviewv1.Review{Publish: true, Publication: &reviewv1.Publication{State: c.state, Url: c.url, Reason: c.reason}}
		require.Equal(t, c.want, shownAt(r))
		r.Publish = false
		require.Empty(t, shownAt(r))
	}
}
