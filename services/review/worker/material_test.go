package worker

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/finding"
	"witan.dev/services/review"
	"witan.dev/services/review/material"
	"witan.dev/services/review/reviewers/secrets"
)

// key is a cloud key that no scanner of this repository finds in this file.
func key() string { return "AKIA" + "Z7QFN3LWRJ2MXKVB" }

// TestNoPartHoldsHalfASecret cuts a change within a secret, as long lines and headings of hunks do.
func TestNoPartHoldsHalfASecret(t *testing.T) {
	t.Parallel()
	reviewer, err := secrets.New([]byte(strings.Repeat("k", 32)))
	require.NoError(t, err)
	r := reviewer.NewRedactor()
	require.NoError(t, r.Learn(t.Context(), secrets.Text{Text: "id = " + key() + "\n"}))
	long := strings.Repeat("x", 1985) + " id = " + key() // a part shows 2,000 bytes of a line
	change := &review.Change{Files: []review.File{{
		Path: "a.txt", OldPath: "a.txt", Change: review.Modified, Nature: review.NatureText, Added: 1, Hunks: []review.Hunk{{
			OldStart: 5, NewStart: 5, NewLines: 1, Section: "id = " + key()[:15], Lines: []review.Line{{Op: '+', Text: long}},
		}},
	}}}
	clean := redactedChange(change, r)
	require.Equal(t, long, change.Files[0].Hunks[0].Lines[0].Text, "the change itself stays")
	plan := material.Build(clean, nil, nil, 4000)
	require.Len(t, plan.Parts, 1)
	require.Contains(t, plan.Parts[0].Text, "[secret:")
	require.NotContains(t, plan.Parts[0].Text, key()[:5])
}

// TestQuotesOfManySecretsAreTakenOutAtOnce: with a redactor that prepares anew for each quote it would take half an hour.
func TestQuotesOfManySecretsAreTakenOutAtOnce(t *testing.T) {
	t.Parallel()
	reviewer, err := secrets.New([]byte(strings.Repeat("k", 32)))
	require.NoError(t, err)
	next := 0
	id := func() string {
		next++
		return "AKIA" + strings.NewReplacer("0", "Q", "1", "Z", "8", "L", "9", "M").Replace(fmt.Sprintf("%05d", next)) + "NFWRJKXVBTC"
	}
	var known strings.Builder
	for range 10_000 {
		known.WriteString(id() + "\n")
	}
	s := &session{redactor: reviewer.NewRedactor()}
	require.NoError(t, s.redactor.Learn(t.Context(), secrets.Text{Text: known.String()}))
	proposals := make([]review.Proposal, maxProposals)
	for i := range proposals {
		proposals[i].Location.Code = "id = " + id()
		for range 10 {
			proposals[i].Related = append(proposals[i].Related, finding.Location{Code: "id = " + id()})
		}
	}
	require.NoError(t, s.clean(t.Context(), &review.Inspection{Change: &review.Change{}}, proposals))
	for i := range proposals {
		require.Regexp(t, `^id = \[secret:aws-access-token:[0-9a-f]{6}\]$`, proposals[i].Location.Code)
		require.Regexp(t, `^id = \[secret:`, proposals[i].Related[9].Code)
		require.NotEmpty(t, proposals[i].Fingerprint)
	}
}

func TestProposalsThatAreLeftOutShowInTheCoverage(t *testing.T) {
	t.Parallel()
	many := review.Report{}
	for range maxProposals {
		many.Proposals = append(many.Proposals, review.Proposal{Severity: finding.SeverityHigh, Location: finding.Location{Path: "many"}})
	}
	one := review.Report{Proposals: []review.Proposal{
		{Severity: finding.SeverityLow, Location: finding.Location{Path: "low"}},
		{Severity: finding.SeverityCritical, Location: finding.Location{Path: "worst"}},
	}}
	outcomes := []review.ReviewerOutcome{{Name: "a"}, {Name: "b"}}
	out := collect([]review.Report{many, one}, outcomes, 2)
	require.Len(t, out, maxProposals)
	require.Equal(t, "b-2", out[0].ID)
	require.Equal(t, []review.Reason{finding.ReasonBudget}, outcomes[1].Limits["low"])
	require.Equal(t, []review.Reason{finding.ReasonBudget}, outcomes[0].Limits["many"])
	require.NotContains(t, outcomes[1].Limits, review.Path("worst"))
	require.Equal(t, 1, outcomes[1].Proposals)

	few := []review.ReviewerOutcome{{Name: "b"}}
	require.Len(t, collect([]review.Report{one}, few, 1), 2)
	require.Empty(t, few[0].Limits)

	mixed := []review.ReviewerOutcome{{Name: "a"}, {Name: "linter/b"}}
	out = collect([]review.Report{many, one}, mixed, 1)
	require.Equal(t, "a-1", out[0].ID, "what a report calls critical does not displace our own")
	require.Zero(t, mixed[1].Proposals)
}
