package review_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/finding"
	"witan.dev/internal/job"
	"witan.dev/services/review"
)

func text(path string, change review.ChangeKind) review.File {
	return review.File{Path: path, OldPath: path, Change: change, Nature: review.NatureText, Added: 3, Removed: 1}
}

func TestCoverageOfOneFile(t *testing.T) {
	t.Parallel()
	complete := review.CouncilOutcome{Coverage: review.CouncilCoverage{Complete: true}}
	generated := text("a", review.Modified)
	generated.Policy = review.ReasonGenerated
	large := text("a", review.Modified)
	large.Limit(review.ReasonTooLarge)
	binary := text("a", review.Modified)
	binary.Nature = review.NatureBinary
	failed := review.ReviewerOutcome{Name: "structure", Failed: "x", Planned: []review.Path{"a"}}
	broken := review.ReviewerOutcome{Name: "structure", Looked: []review.Path{"a"}, Limits: map[review.Path][]review.Reason{"a": {finding.ReasonParseErrors}}}
	scanner := review.ReviewerOutcome{Name: "secrets", LeftOut: []review.Path{"a"}}
	reader := review.ReviewerOutcome{Name: "structure", Looked: []review.Path{"a"}}
	for name, c := range map[string]struct {
		file      review.File
		tree      bool
		reviewers []review.ReviewerOutcome
		council   review.CouncilOutcome
		status    finding.CoverageStatus
		reasons   []review.Reason
		lines     int
		complete  bool
	}{
		"all was done":        {text("a", review.Modified), true, nil, complete, finding.Reviewed, nil, 4, true},
		"generated":           {generated, true, nil, complete, finding.Skipped, []review.Reason{finding.ReasonGenerated}, 0, true},
		"too large":           {large, true, nil, complete, finding.Skipped, []review.Reason{finding.ReasonTooLarge}, 0, false},
		"binary":              {binary, false, []review.ReviewerOutcome{failed}, complete, finding.Reviewed, nil, 4, true},
		"a reviewer failed":   {text("a", review.Modified), true, []review.ReviewerOutcome{failed}, complete, finding.Partial, []review.Reason{finding.ReasonReviewerFailed}, 0, false},
		"of another file":     {text("b", review.Modified), true, []review.ReviewerOutcome{failed}, complete, finding.Reviewed, nil, 4, true},
		"parse errors":        {text("a", review.Modified), true, []review.ReviewerOutcome{broken}, complete, finding.Partial, []review.Reason{finding.ReasonParseErrors}, 4, false},
		"nobody read it":      {text("a", review.Modified), true, []review.ReviewerOutcome{scanner}, complete, finding.Skipped, []review.Reason{finding.ReasonScannerAllowList}, 0, true},
		"somebody else did":   {text("a", review.Modified), true, []review.ReviewerOutcome{scanner, reader}, complete, finding.Reviewed, []review.Reason{finding.ReasonScannerAllowList}, 4, true},
		"a patch alone":       {text("a", review.Modified), false, nil, complete, finding.Partial, []review.Reason{finding.ReasonNoTree}, 4, false},
		"a patch that adds":   {text("a", review.Added), false, nil, complete, finding.Reviewed, nil, 4, true},
		"the council is away": {text("a", review.Modified), true, nil, review.CouncilOutcome{}, finding.Reviewed, nil, 4, false},
		"a member failed": {
			text("a", review.Modified), true, nil,
			review.CouncilOutcome{Coverage: complete.Coverage, Limits: map[review.Path][]review.Reason{"a": {finding.ReasonMemberFailed}}},
			finding.Partial,
			[]review.Reason{finding.ReasonMemberFailed},
			0, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cov := review.Cover(&review.Change{Files: []review.File{c.file}}, c.tree, c.reviewers, c.council)
			require.Len(t, cov.Files, 1)
			require.Equal(t, c.status, cov.Files[0].Status)
			require.Equal(t, c.reasons, cov.Files[0].Reasons)
			require.Equal(t, c.lines, cov.Files[0].LinesCovered)
			require.Equal(t, 4, cov.Files[0].LinesTotal)
			require.Equal(t, c.complete, cov.Complete)
			result := review.Result{Disposition: review.DispositionReviewed, Coverage: cov, Reason: review.FirstReason(cov, c.council.Coverage)}
			state, reason := result.Outcome()
			if c.complete {
				require.Equal(t, job.StateSucceeded, state)
				require.Empty(t, reason)
				return
			}
			require.Equal(t, job.StatePartiallySucceeded, state)
			require.NotEmpty(t, reason)
		})
	}
}

func TestTheCouncilsCoverageOfPartsBecomesThatOfFiles(t *testing.T) {
	t.Parallel()
	parts := []review.Part{{ID: "part-1", Paths: []review.Path{"a", "b"}}, {ID: "part-2", Paths: []review.Path{"b"}}, {ID: "part-3", Paths: []review.Path{"c"}}}
	v := &review.Verdict{Models: 2, Quorum: true, Parts: []review.PartOutcome{
		{Part: "part-1", Status: review.PartCovered},
		{Part: "part-2", Status: review.PartPartly, Reason: "MEMBER_FAILED"},
		{Part: "part-3", Status: review.PartSkipped, Reason: "PART_TOO_BIG"},
	}}
	out := review.Judge(v, parts, 3)
	require.False(t, out.Coverage.Complete)
	require.Equal(t, "MEMBER_FAILED", out.Coverage.Reason)
	require.Equal(t, "2 models, 1 of 3 parts", out.Coverage.Text)
	require.Equal(t, review.ByPath[[]review.Reason]{"b": {finding.ReasonMemberFailed}, "c": {finding.ReasonPartTooBig}}, out.Limits)
	require.Equal(t, review.ByPath[bool]{"a": true, "b": true, "c": false}, out.Read)

	nobody := review.Judge(&review.Verdict{}, nil, 0)
	require.True(t, nobody.Coverage.Complete, "without models there is nothing to miss")
	require.Equal(t, "0 models", nobody.Coverage.Text)

	idle := review.Judge(&review.Verdict{Quorum: true}, nil, 3) // all was carried over, and a chairman wrote the summary
	require.True(t, idle.Coverage.Complete)
	require.Equal(t, "nothing new to read", idle.Coverage.Text)

	silent := review.Judge(&review.Verdict{Quorum: true}, parts[:1], 2)
	require.False(t, silent.Coverage.Complete, "a part that nobody reported on is not covered")
	require.NotEmpty(t, silent.Coverage.Reason)
}

func TestFindingsWithOneFingerprintUniteTheirVotes(t *testing.T) {
	t.Parallel()
	place := finding.Location{Path: "a.go", Side: finding.Right, StartLine: 3, EndLine: 3, Code: "x := 1", Symbol: "function f"}
	own := []review.Proposal{
		{ID: "secrets-1", Source: "secrets", Rule: "r", Location: place, Category: finding.Security, Severity: finding.SeverityHigh, Claim: "one"},
		{ID: "linter-1", Source: "linter", Rule: "q", Location: place, Category: finding.Security, Severity: finding.SeverityLow, Claim: "two"},
	}
	vote := func(voter string, c finding.Choice) finding.Vote {
		return finding.Vote{Voter: voter, Choice: c, Counted: true}
	}
	v := &review.Verdict{
		Proposals: []review.CouncilProposal{
			{ID: "secrets-1", Source: "secrets", Claim: "one", Category: "SECURITY"}, {ID: "linter-1", Source: "linter", Claim: "two", Category: "SECURITY"},
		},
		Findings: []review.CouncilFinding{
			{ID: "F1", Representative: "linter-1", Proposals: []string{"linter-1"}, Outcome: finding.Held, Votes: []finding.Vote{vote("linter", finding.Confirmed), vote("m1", finding.Confirmed)}},
			{ID: "F2", Representative: "secrets-1", Proposals: []string{"secrets-1"}, Outcome: finding.Published, Votes: []finding.Vote{vote("secrets", finding.Confirmed), vote("m1", finding.RejectedVote)}},
		},
	}
	out := review.Findings(v, own, &finding.Set{}, "reviews/r")
	require.Len(t, out, 1)
	require.Equal(t, "one", out[0].Title)
	require.Equal(t, "secrets/r", out[0].Rule)
	require.Equal(t, []string{"two"}, out[0].Alternatives)
	require.Equal(t, finding.Tally{Confirmed: 3}, out[0].Tally, "a voter counts once, and confirming beats rejecting")
	require.Equal(t, finding.Published, out[0].Outcome)
	require.Regexp(t, `^reviews/r/findings/[0-9a-f]{32}$`, out[0].Name)
}

func TestWithoutACouncilDoubtfulProposalsAreHeld(t *testing.T) {
	t.Parallel()
	own := []review.Proposal{{Source: "secrets", Confirm: true, Location: finding.Location{Path: "a", Code: "k"}}}
	held := review.Unvoted(own, 2, "reviews/r")
	require.Equal(t, finding.Held, held[0].Outcome)
	require.Equal(t, review.OutcomeNotExamined, held[0].OutcomeReason)
	published := review.Unvoted(own, 0, "reviews/r")
	require.Equal(t, finding.Published, published[0].Outcome)
}

func TestPathsSurviveJSON(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"a", "ü", "d\xe9j\xe0", "", "\xff\xfe"} {
		raw, err := review.Path(path).MarshalText()
		require.NoError(t, err)
		var back review.Path
		require.NoError(t, back.UnmarshalText(raw))
		require.Equal(t, path, string(back))
	}
}

func TestSidesThatAPatchShowsInFull(t *testing.T) {
	t.Parallel()
	f := text("a", review.Added)
	f.Hunks = []review.Hunk{{NewStart: 1, NewLines: 2, Lines: []review.Line{{Op: '+', Text: "x"}, {Op: '+', Text: "y"}}}}
	f.Rebuild()
	require.True(t, f.HasNew)
	require.Equal(t, "x\ny\n", string(f.New))
	m := text("a", review.Modified)
	m.Rebuild()
	require.False(t, m.HasOld || m.HasNew)
	m.Old = []byte("caf\xe9")
	m.CheckText()
	require.Empty(t, m.Limits, "a one-byte encoding of text can be read")
	m.New = []byte{0x01, 0x02, 0x03, 0xff}
	m.CheckText()
	require.Equal(t, []review.Reason{finding.ReasonNotUTF8}, m.Limits)
}

func TestPatchesArePackedAndBombsAreRefused(t *testing.T) {
	t.Parallel()
	const text = "diff --git a/x b/x\n"
	packed, err := review.PackPatch([]byte(text))
	require.NoError(t, err)
	require.NotContains(t, string(packed), "diff --git")
	back, err := review.UnpackPatch(packed)
	require.NoError(t, err)
	require.Equal(t, text, string(back))
	plain, err := review.UnpackPatch([]byte(text))
	require.NoError(t, err)
	require.Equal(t, text, string(plain))
	_, err = review.UnpackPatch(packed[:len(packed)-4])
	require.ErrorIs(t, err, review.ErrNotDiff)
	bomb, err := review.PackPatch(make([]byte, 51_000_000))
	require.NoError(t, err)
	_, err = review.UnpackPatch(bomb)
	require.ErrorIs(t, err, review.ErrMaterialTooLarge)
}
