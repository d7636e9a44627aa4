package tally_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/finding"
	"witan.dev/services/council"
	"witan.dev/services/council/tally"
)

func fingerprint(path, symbol, category, code string) string {
	return finding.Fingerprint(finding.Key{Path: path, Symbol: symbol, Category: finding.Category(category), Code: code})
}

func grouping(parts ...council.MaterialPart) tally.Grouping {
	return tally.Grouping{Parts: parts, Threshold: council.DefaultSimilarity, Fingerprint: fingerprint, Tie: func(id string) string { return id }}
}

func members(n int) []council.Member {
	out := make([]council.Member, n)
	for i := range out {
		out[i] = council.Member{ID: fmt.Sprintf("m%d", i+1), Model: fmt.Sprintf("model%d", i%3), Role: council.RoleFull, Authority: council.AuthorityCounted}
	}
	return out
}

func policy() council.VotePolicy { return council.Spec{}.WithDefaults(council.TaskCodeReview).Votes }

func proposal(id, source string, line int, claim string) council.Proposal {
	return council.Proposal{
		ID: id, Source: source, Path: "a.go", StartLine: line, EndLine: line, Side: finding.Right,
		Category: finding.Correctness, Severity: finding.SeverityMedium, Claim: claim, Reason: "because " + claim,
	}
}

func TestGroup(t *testing.T) {
	t.Parallel()
	part := council.MaterialPart{ID: "p", Paths: []string{"a.go"}, Text: "+x := open()\n+return x\n", Anchors: []council.Anchor{
		{Path: "a.go", Side: finding.Right, Symbol: "function a.Load", StartLine: 1, EndLine: 100},
	}}
	with := func(p council.Proposal, change func(*council.Proposal)) council.Proposal {
		change(&p)
		return p
	}
	coded := func(id, source string, line int, claim, code string) council.Proposal {
		return with(proposal(id, source, line, claim), func(p *council.Proposal) { p.Code = code })
	}
	base := coded("p1", "m1", 10, "the file handle is never closed on error", "")
	for name, tc := range map[string]struct {
		other council.Proposal
		want  int
	}{
		"near lines and one category":       {proposal("p2", "m2", 12, "a wholly different sentence"), 1},
		"near lines, other category":        {with(proposal("p2", "m2", 12, "unrelated wording"), func(p *council.Proposal) { p.Category = finding.Testing }), 2},
		"near lines, similar claim":         {with(proposal("p2", "m2", 12, "file handle never closed"), func(p *council.Proposal) { p.Category = finding.Resources }), 1},
		"far lines in one symbol, similar":  {proposal("p2", "m2", 60, "the file handle is never closed"), 1},
		"far lines in one symbol, distinct": {proposal("p2", "m2", 60, "off by one in the loop"), 2},
		"another file":                      {with(base, func(p *council.Proposal) { p.ID, p.Source, p.Path = "p2", "m2", "b.go" }), 2},
		"near lines, other code":            {coded("p2", "m2", 12, "a wholly different sentence", "return x"), 2},
		"near lines, other code, similar":   {coded("p2", "m2", 12, "the file handle is never closed", "return x"), 1},
		"one source, two claims":            {proposal("p2", "m1", 11, "off by one in the loop"), 2},
		"another side":                      {with(proposal("p2", "m2", 10, "unrelated words here"), func(p *council.Proposal) { p.Side = finding.Left }), 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := base
			if tc.other.Code != "" {
				first.Code = "x := open()"
			}
			got := grouping(part).Group([]council.Proposal{first, tc.other})
			require.Len(t, got, tc.want)
		})
	}
	t.Run("one source that tells of many places in the same words", func(t *testing.T) {
		t.Parallel()
		var ps []council.Proposal
		for i := range 6 {
			line, code := 10+6*i, fmt.Sprintf("query(%d)", i)
			ps = append(ps, coded(fmt.Sprintf("a%d", i), "m1", line, "the query is put together from input", code))
			if i%2 == 0 { // who else sees one of them means that one
				ps = append(ps, coded(fmt.Sprintf("b%d", i), "m2", line+1, "a query is put together from input", code))
			}
		}
		got := grouping(part).Group(ps)
		require.Len(t, got, 6)
		for i, f := range got {
			want := []string{fmt.Sprintf("a%d", i)}
			if i%2 == 0 {
				want = append(want, fmt.Sprintf("b%d", i))
			}
			require.Equal(t, want, f.Proposals)
		}
	})
	t.Run("one source that tells of the same line twice", func(t *testing.T) {
		t.Parallel()
		a := coded("p1", "m1", 10, "the result is not checked", "x := open()")
		b := coded("p2", "m1", 50, "the result is not checked", "x := open()")
		require.Len(t, grouping(part).Group([]council.Proposal{a, b}), 2, "it stands in two places")
		b.StartLine = 10
		require.Len(t, grouping(part).Group([]council.Proposal{a, b}), 1)
	})
	t.Run("one fingerprint whatever the lines", func(t *testing.T) {
		t.Parallel()
		a := with(base, func(p *council.Proposal) { p.Code, p.StartLine = "x := open()", 0 })
		b := with(a, func(p *council.Proposal) { p.ID, p.Source, p.Claim, p.Code = "p2", "m2", "zzz", "x  :=  open() // c" })
		got := grouping(part).Group([]council.Proposal{a, b})
		require.Len(t, got, 1)
		require.Equal(t, []string{"p1", "p2"}, got[0].Proposals)
	})
	t.Run("the representative quotes the material", func(t *testing.T) {
		t.Parallel()
		a := with(base, func(p *council.Proposal) { p.Reason, p.Code = strings.Repeat("long ", 50), "not there" })
		b := with(base, func(p *council.Proposal) { p.ID, p.Source, p.Code, p.Reason = "p2", "m2", "x := open()", "short" })
		got := grouping(part).Group([]council.Proposal{a, b})
		require.Len(t, got, 1)
		require.Equal(t, "p2", got[0].Representative)
		require.Equal(t, []string{"p1"}, got[0].Alternatives)
	})
}

// proposals draws random reports over a few files, lines and claims.
func proposals(r *rand.Rand, n int) []council.Proposal {
	claims := []string{"file handle never closed", "the handle is not closed", "off by one in loop", "data race on counter", ""}
	sources := []string{"m1", "m2", "m3", "secrets", "structure"}
	var out []council.Proposal
	for i := range n {
		source := sources[r.IntN(len(sources))]
		out = append(out, council.Proposal{
			ID: fmt.Sprintf("p%d", i+1), Source: source, Outside: strings.HasPrefix(source, "s"),
			Path: fmt.Sprintf("f%d.go", r.IntN(3)), StartLine: r.IntN(30), Side: finding.Side(r.IntN(3)),
			Category: finding.Categories()[r.IntN(3)], Severity: finding.Severity(1 + r.IntN(4)),
			Claim: claims[r.IntN(len(claims))], Reason: claims[r.IntN(len(claims))],
			Code:    []string{"", "x := 1", "y()"}[r.IntN(3)],
			Certain: r.IntN(20) == 0, NeedsConfirmations: r.IntN(3) / 2,
		})
	}
	return out
}

// scenario is a random review with votes.
func scenario(r *rand.Rand) tally.Input {
	ms := members(1 + r.IntN(5))
	for i := range ms {
		ms[i].Role = []council.SeatRole{council.RoleFull, council.RoleFull, council.RoleAnswerer, council.RoleReviewer}[r.IntN(4)]
		ms[i].Authority = []council.Authority{council.AuthorityCounted, council.AuthorityCounted, council.AuthorityAdvisory, council.AuthorityNone}[r.IntN(4)]
	}
	in := tally.Input{
		Policy: policy(), Members: ms, Proposals: proposals(r, 1+r.IntN(12)), Examined: true,
		Shown: map[string][][]string{}, Cast: map[string]map[string]council.Vote{},
	}
	if r.IntN(2) == 0 {
		in.Policy.MinVotes = council.MinVotes{Critical: 1 + r.IntN(4), High: 1 + r.IntN(4), Medium: 1 + r.IntN(4), Low: 1 + r.IntN(4)}
		in.Policy.MinIndependent = r.IntN(3)
	}
	in.Findings = grouping().Group(in.Proposals)
	for _, m := range ms {
		if !m.Judges() {
			continue
		}
		shown := tally.Examine(m.ID, in.Findings, in.Proposals)
		in.Shown[m.ID] = [][]string{shown}
		in.Cast[m.ID] = map[string]council.Vote{}
		for _, id := range shown {
			if r.IntN(4) == 0 {
				continue // no vote came in
			}
			v := council.Vote{Vote: finding.Choice(1 + r.IntN(3)), Severity: finding.Severity(r.IntN(5))}
			if r.IntN(5) == 0 {
				v.DuplicateOf = shown[r.IntN(len(shown))]
			}
			in.Cast[m.ID][id] = v
		}
	}
	return in
}

func TestNoProposalIsLost(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1)) //nolint:gosec // a repeatable test
	for range 500 {
		in := scenario(r)
		var want, got []string
		for _, p := range in.Proposals {
			want = append(want, p.ID)
		}
		for _, f := range in.Conclude() {
			got = append(got, f.Proposals...)
			require.Contains(t, f.Proposals, f.Representative)
			for _, a := range f.Alternatives {
				require.Contains(t, f.Proposals, a)
			}
			voters := map[string]bool{}
			for _, v := range f.Votes {
				key := v.Voter + fmt.Sprint(v.Model != "")
				require.False(t, voters[key], "one vote a voter")
				voters[key] = true
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		require.Equal(t, want, got)
	}
}

func TestOrderOfProposalsChangesNothing(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(2, 2)) //nolint:gosec // a repeatable test
	for range 300 {
		ps := proposals(r, 1+r.IntN(15))
		want := grouping().Group(ps)
		r.Shuffle(len(ps), func(i, j int) { ps[i], ps[j] = ps[j], ps[i] })
		require.Equal(t, want, grouping().Group(ps))
	}
}

func TestTakingAConfirmationAwayNeverPublishes(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 3)) //nolint:gosec // a repeatable test
	for range 800 {
		in := scenario(r)
		for _, cast := range in.Cast { // duplicates regroup; this is about votes
			for id, v := range cast {
				v.DuplicateOf = ""
				cast[id] = v
			}
		}
		before := outcomes(in.Conclude())
		for member, cast := range in.Cast {
			for id, v := range cast {
				if v.Vote != finding.Confirmed {
					continue
				}
				delete(cast, id)
				after := outcomes(in.Conclude())
				if before[id] != finding.Published {
					require.NotEqual(t, finding.Published, after[id], "%s %s", member, id)
				}
				cast[id] = v
			}
		}
	}
}

func outcomes(fs []council.Finding) map[string]finding.Outcome {
	out := map[string]finding.Outcome{}
	for _, f := range fs {
		out[f.ID] = f.Outcome
	}
	return out
}

func TestRequiredDoesNotDependOnFailures(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(4, 4)) //nolint:gosec // a repeatable test
	for range 400 {
		in := scenario(r)
		for _, cast := range in.Cast {
			for id, v := range cast {
				v.DuplicateOf = ""
				cast[id] = v
			}
		}
		want := map[string]int{}
		for _, f := range in.Conclude() {
			want[f.ID] = f.Tally.Required
		}
		for member := range in.Cast {
			in.Cast[member] = nil // nothing of it came in
			for _, f := range in.Conclude() {
				require.Equal(t, want[f.ID], f.Tally.Required)
			}
		}
	}
}

func conclude(t *testing.T, n int, ps []council.Proposal, cast map[string]finding.Choice, change func(*tally.Input)) council.Finding {
	t.Helper()
	in := tally.Input{Policy: policy(), Members: members(n), Proposals: ps, Examined: true, Shown: map[string][][]string{}, Cast: map[string]map[string]council.Vote{}}
	in.Findings = grouping().Group(ps)
	require.Len(t, in.Findings, 1)
	for m, v := range cast {
		in.Cast[m] = map[string]council.Vote{"f1": {Vote: v, Severity: finding.SeverityLow}}
	}
	if change != nil {
		change(&in)
	}
	return in.Conclude()[0]
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	mine := []council.Proposal{proposal("p1", "m1", 1, "leak")}
	outside := proposal("p1", "lint", 1, "leak")
	outside.Outside = true
	needs, certain := outside, outside
	needs.NeedsConfirmations, certain.Certain = 1, true
	yes, no, unsure := finding.Confirmed, finding.RejectedVote, finding.Uncertain
	for name, tc := range map[string]struct {
		n         int
		proposals []council.Proposal
		cast      map[string]finding.Choice
		want      finding.Outcome
		reason    string
	}{
		"confirmed by another":             {3, mine, map[string]finding.Choice{"m2": yes, "m3": no}, finding.Published, council.ReasonVotes},
		"proposer alone, others unsure":    {3, mine, map[string]finding.Choice{"m2": unsure, "m3": unsure}, finding.Held, council.ReasonNotEnoughVotes},
		"rejected by both others":          {3, mine, map[string]finding.Choice{"m2": no, "m3": no}, finding.Rejected, council.ReasonVotes},
		"two against two":                  {4, mine, map[string]finding.Choice{"m2": yes, "m3": no, "m4": no}, finding.Held, council.ReasonContested},
		"nobody examined it":               {3, mine, nil, finding.Held, council.ReasonNotExamined},
		"a council of one":                 {1, mine, nil, finding.Published, council.ReasonVotes},
		"outside, no members":              {0, []council.Proposal{outside}, nil, finding.Published, council.ReasonVotes},
		"outside, one rejection":           {3, []council.Proposal{outside}, map[string]finding.Choice{"m1": no}, finding.Held, council.ReasonContested},
		"outside needs one, none came":     {3, []council.Proposal{needs}, nil, finding.Held, council.ReasonNotExamined},
		"outside needs one, one came":      {3, []council.Proposal{needs}, map[string]finding.Choice{"m1": yes}, finding.Published, council.ReasonVotes},
		"outside needs one, no members":    {0, []council.Proposal{needs}, nil, finding.Published, council.ReasonVotes},
		"certain against three rejections": {3, []council.Proposal{certain}, map[string]finding.Choice{"m1": no, "m2": no, "m3": no}, finding.Published, council.ReasonCertain},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := conclude(t, tc.n, tc.proposals, tc.cast, nil)
			require.Equal(t, tc.want, got.Outcome)
			require.Equal(t, tc.reason, got.OutcomeReason)
		})
	}
	t.Run("its own proposers reach the bar although nobody examined it", func(t *testing.T) {
		t.Parallel()
		got := conclude(t, 4, []council.Proposal{proposal("p1", "m1", 1, "leak"), proposal("p2", "m2", 1, "leak")}, nil, nil)
		require.Equal(t, finding.Published, got.Outcome)
		require.Equal(t, council.FindingTally{Confirmed: 2, Proposed: 2, Planned: 4, Required: 2, DistinctModels: 2}, got.Tally)
	})
	t.Run("advisory votes are recorded and not counted", func(t *testing.T) {
		t.Parallel()
		got := conclude(t, 3, mine, map[string]finding.Choice{"m2": yes}, func(in *tally.Input) { in.Members[1].Authority = council.AuthorityAdvisory })
		require.Equal(t, finding.Held, got.Outcome)
		require.Len(t, got.Votes, 2)
		require.False(t, got.Votes[1].Counted)
	})
	t.Run("independence can be demanded", func(t *testing.T) {
		t.Parallel()
		got := conclude(t, 3, mine, map[string]finding.Choice{"m2": yes, "m3": yes}, func(in *tally.Input) { in.Policy.MinIndependent = 2 })
		require.Equal(t, council.ReasonNotIndependent, got.OutcomeReason)
	})
	t.Run("severity is the lower median of the confirming voters", func(t *testing.T) {
		t.Parallel()
		got := conclude(t, 3, mine, map[string]finding.Choice{"m2": yes, "m3": no}, nil)
		require.Equal(t, finding.SeverityLow, got.Severity) // MEDIUM of m1, LOW of m2
	})
	t.Run("members cannot play down what they cannot judge", func(t *testing.T) {
		t.Parallel()
		all := map[string]finding.Choice{"m1": yes, "m2": yes, "m3": yes}
		require.Equal(t, finding.SeverityLow, conclude(t, 3, []council.Proposal{outside}, all, nil).Severity)
		require.Equal(t, finding.SeverityMedium, conclude(t, 3, []council.Proposal{certain}, all, nil).Severity)
	})
}

func TestDuplicates(t *testing.T) {
	t.Parallel()
	setup := func() tally.Input {
		in := tally.Input{Policy: policy(), Members: members(3), Examined: true, Proposals: []council.Proposal{
			proposal("p1", "m1", 1, "alpha beta"), proposal("p2", "m1", 50, "gamma delta"),
		}}
		in.Findings = grouping().Group(in.Proposals)
		in.Shown = map[string][][]string{"m2": {{"f1", "f2"}}, "m3": {{"f1", "f2"}}}
		in.Cast = map[string]map[string]council.Vote{
			"m2": {"f1": {Vote: finding.RejectedVote}, "f2": {Vote: finding.Confirmed, DuplicateOf: "f1"}},
			"m3": {"f1": {Vote: finding.Confirmed}, "f2": {Vote: finding.Confirmed}},
		}
		return in
	}
	t.Run("half is not enough", func(t *testing.T) {
		t.Parallel()
		require.Len(t, setup().Conclude(), 2)
	})
	t.Run("a majority unites, and a confirmation wins over the same voter's rejection", func(t *testing.T) {
		t.Parallel()
		in := setup()
		in.Cast["m3"]["f1"] = council.Vote{Vote: finding.Confirmed, DuplicateOf: "f2"}
		got := in.Conclude()
		require.Len(t, got, 1)
		require.Equal(t, 3, got[0].Tally.Confirmed)
		require.Zero(t, got[0].Tally.Rejected)
		require.ElementsMatch(t, []string{"p1", "p2"}, got[0].Proposals)
	})
	t.Run("never across files", func(t *testing.T) {
		t.Parallel()
		in := setup()
		in.Findings[1].Path = "b.go"
		in.Cast["m3"]["f1"] = council.Vote{Vote: finding.Confirmed, DuplicateOf: "f2"}
		require.Len(t, in.Conclude(), 2)
	})
}

func TestUnconcludedAppliesNoPolicy(t *testing.T) {
	t.Parallel()
	in := scenario(rand.New(rand.NewPCG(9, 9))) //nolint:gosec // a repeatable test
	for _, f := range in.Unconcluded() {
		require.Equal(t, finding.OutcomeUnspecified, f.Outcome)
		require.Equal(t, council.ReasonNoPolicy, f.OutcomeReason)
		for _, v := range f.Votes {
			require.True(t, v.Proposed)
		}
	}
}

// TestHostileProposalsAreGroupedInTime reports 1,000 different claims at one place, as long as a reply may have them.
func TestHostileProposalsAreGroupedInTime(t *testing.T) {
	t.Parallel()
	ps := make([]council.Proposal, 1000)
	for i := range ps {
		ps[i] = proposal(fmt.Sprintf("p%d", i+1), "m1", 10, "")
		var claim, code strings.Builder
		for w := range 150 {
			fmt.Fprintf(&claim, "w%d_%d ", w, i)
			fmt.Fprintf(&code, "line %d of %d\n", w, i)
		}
		ps[i].Claim, ps[i].Code = claim.String(), code.String()
		ps[i].Source = fmt.Sprintf("m%d", i%64)
	}
	start := time.Now()
	require.Len(t, grouping().Group(ps), len(ps))
	t.Log(time.Since(start))
	require.Less(t, time.Since(start), 10*time.Second, "far more than it takes, far less than reading every text again")
}
