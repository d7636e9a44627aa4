package worker

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/finding"
	"witan.dev/services/review"
)

// keyed is a session whose change has a key in a path, and one in its text.
func keyed(t *testing.T) (s *session, path string) {
	t.Helper()
	s = testSession(t, review.Settings{})
	path = "a_" + key() + ".go"
	s.inspection = &review.Inspection{Change: &review.Change{Files: []review.File{{
		Path: path, OldPath: "b.go", Change: review.Renamed, Nature: review.NatureText,
		Hunks: []review.Hunk{{NewStart: 1, NewLines: 1, Lines: []review.Line{{Op: '+', Text: "api_key = \"" + bare + "\""}}}},
	}}}}
	return s, path
}

const bare = "k9Xq2" + "vT7mB" + "4zLp8" + "Rw3Nf" + "6Yc1"

// TestP11_MembersAreShownNoSecretInAPath and what they say of the file is found all the same.
func TestP11_MembersAreShownNoSecretInAPath(t *testing.T) {
	t.Parallel()
	s, path := keyed(t)
	task := review.CouncilTask{
		Parts:     []review.Part{{Paths: []review.Path{review.Path(path)}, Anchors: []review.Anchor{{Path: review.Path(path)}}}},
		Proposals: []review.Proposal{{Location: finding.Location{Path: path, OldPath: path}}},
	}
	require.NoError(t, s.maskPaths(t.Context(), &task))
	sent, err := json.Marshal(task)
	require.NoError(t, err)
	require.NotContains(t, string(sent), key()[4:])
	require.Equal(t, 4, strings.Count(string(sent), "[secret:aws-access-token:"))
	verdict := review.Verdict{Proposals: []review.CouncilProposal{{Path: string(task.Parts[0].Paths[0])}, {Path: "b.go"}}}
	require.NoError(t, s.cleanVerdict(t.Context(), &verdict))
	require.Equal(t, path, verdict.Proposals[0].Path)
	require.Equal(t, "b.go", verdict.Proposals[1].Path)
}

// TestP11_WhatMembersWriteIsKeptWithoutSecrets: those of the change, and others that they know from elsewhere.
func TestP11_WhatMembersWriteIsKeptWithoutSecrets(t *testing.T) {
	t.Parallel()
	s, _ := keyed(t)
	known, err := s.redact(t.Context(), s.inspection)
	require.NoError(t, err)
	other := "AKIA" + "Q3LZP7WNRJ2MXKVB"
	text := "say " + bare + " and " + other
	verdict := review.Verdict{
		Summary:   text,
		Proposals: []review.CouncilProposal{{Claim: text, Reason: text, Suggestion: text, Code: text, Symbol: text}},
		Findings:  []review.CouncilFinding{{Votes: []finding.Vote{{Reason: text}}}},
	}
	require.NoError(t, s.cleanVerdict(t.Context(), &verdict))
	kept, err := json.Marshal(verdict)
	require.NoError(t, err)
	require.NotContains(t, string(kept), bare)
	require.NotContains(t, string(kept), other)
	require.Equal(t, 14, strings.Count(string(kept), "[secret:"))
	require.Equal(t, other, known.Apply(other), "a member's words change nothing of what the change says")
}
