package lifecycle_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/finding"
	"witan.dev/services/review"
	"witan.dev/services/review/lifecycle"
)

// head is a change of files from old to new texts, each read by a static reviewer and the members.
func head(old, now map[string]string) (lifecycle.Head, finding.Coverage) {
	w := &world{base: old, head: now}
	h := lifecycle.Head{Commit: "c", Change: w.change(), Code: map[string]*review.Code{}, Read: func(path string) (string, lifecycle.Presence, error) {
		if text, ok := now[path]; ok {
			return text, lifecycle.Present, nil
		}
		return "", lifecycle.Absent, nil
	}}
	var cov finding.Coverage
	for i := range h.Change.Files {
		f := &h.Change.Files[i]
		h.Code[f.Path] = code(f.Path, now[f.Path])
		cov.Files = append(cov.Files, finding.FileCoverage{
			Path: f.Path, Change: string(f.Change), Status: finding.Reviewed, Reviewers: []string{"probe", "council"},
		})
	}
	return h, cov
}

// known is an open finding on the line of a.c that holds a word, reported by a member.
func known(text, word string) review.Known {
	const path = "a.c"
	for n, line := range strings.Split(text, "\n") {
		if strings.Contains(line, word) {
			return review.Known{Subject: "s", ID: "k", Revision: 1, CommentID: 7, URL: "https://example.com/7", Finding: finding.Finding{
				Category: finding.Correctness, Outcome: finding.Published, Status: finding.Open, FirstReview: "reviews/r0", Sources: []string{"ada"},
				Votes:       []finding.Vote{{Voter: "ada", Model: "m"}},
				Fingerprint: finding.Fingerprint(finding.Key{Path: path, Category: finding.Correctness, Code: line}),
				Location:    finding.Location{Path: path, OldPath: path, Side: finding.Right, StartLine: n + 1, EndLine: n + 1, Code: line, InDiff: true},
			}}
		}
	}
	return review.Known{}
}

func apply(t *testing.T, k review.Known, h lifecycle.Head, c finding.Coverage, findings ...finding.Finding) (lifecycle.Result, review.Known) {
	t.Helper()
	out, err := lifecycle.Apply(lifecycle.Input{Review: "reviews/r1", Subject: "s", Findings: findings, Known: []review.Known{k}, Coverage: c, Head: h})
	require.NoError(t, err)
	for _, changed := range out.Known {
		if changed.ID == k.ID {
			return out, changed
		}
	}
	return out, k
}

const (
	faulty  = "one()\ntwo(x)\nthree()\n"
	changed = "one()\ntwo(x, y)\nthree()\n"
)

func TestFixedIsOnlyWhatIsGoneAndWasReadAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		now  string
		row  func(*finding.FileCoverage)
		want finding.Status
	}{
		"changed and read":                  {changed, func(*finding.FileCoverage) {}, finding.Fixed},
		"unchanged and not reported":        {faulty, func(*finding.FileCoverage) {}, finding.Open},
		"wrapped anew":                      {"one()\ntwo(\n  x)\nthree()\n", func(*finding.FileCoverage) {}, finding.Open},
		"changed, the members did not read": {changed, func(f *finding.FileCoverage) { f.Reviewers = []string{"probe"} }, finding.Open},
		"changed, read in part": {changed, func(f *finding.FileCoverage) {
			f.Status, f.Reasons = finding.Partial, []finding.Reason{finding.ReasonBudget}
		}, finding.Open},
		"changed, only surroundings missing": {changed, func(f *finding.FileCoverage) {
			f.Status, f.Reasons = finding.Partial, []finding.Reason{finding.ReasonParseErrors}
		}, finding.Fixed},
		"changed, but skipped by policy": {changed, func(f *finding.FileCoverage) {
			f.Status, f.Reasons = finding.Skipped, []finding.Reason{finding.ReasonExcluded}
		}, finding.Open},
		"taken over from the review before":   {changed, func(f *finding.FileCoverage) { f.CarriedFrom = "reviews/r0" }, finding.Open},
		"another name, nothing else to read":  {changed, func(f *finding.FileCoverage) { f.Depth, f.Reviewers = "METADATA", nil }, finding.Fixed},
		"the line moved, its neighbours gone": {"two(x)\n", func(*finding.FileCoverage) {}, finding.Open},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, cov := head(map[string]string{"a.c": "zero()\n"}, map[string]string{"a.c": c.now})
			c.row(&cov.Files[0])
			k := known(faulty, "two")
			k.Before, k.After = ")", "three"
			out, after := apply(t, k, h, cov)
			require.Equal(t, c.want, after.Finding.Status)
			if c.want == finding.Fixed {
				require.Equal(t, "c", after.FixedIn)
				require.Equal(t, []lifecycle.Change{{Finding: "reviews/r1/findings/k", ID: "k", From: finding.Open, To: finding.Fixed, Reason: lifecycle.ReasonCodeChanged}}, out.Changes)
			} else {
				require.Empty(t, out.Changes)
			}
		})
	}
}

func TestWhatPeopleSaidStands(t *testing.T) {
	t.Parallel()
	fixedHead, fixedCov := head(map[string]string{"a.c": "zero()\n"}, map[string]string{"a.c": changed})
	sameHead, sameCov := head(map[string]string{"a.c": "zero()\n"}, map[string]string{"a.c": faulty})
	again := known(faulty, "two").Finding

	person := lifecycle.Dismiss(known(faulty, "two"), "as intended")
	_, after := apply(t, person, fixedHead, fixedCov)
	require.Equal(t, finding.Dismissed, after.Finding.Status, "whatever becomes of the code")
	_, after = apply(t, person, sameHead, sameCov, again)
	require.Equal(t, finding.Dismissed, after.Finding.Status)

	thread := lifecycle.Resolved(known(faulty, "two"))
	_, after = apply(t, thread, sameHead, sameCov, again)
	require.Equal(t, finding.Dismissed, after.Finding.Status)
	require.Equal(t, lifecycle.ReasonThreadResolved, after.Finding.StatusReason)
	out, after := apply(t, thread, fixedHead, fixedCov)
	require.Equal(t, finding.Fixed, after.Finding.Status)
	require.Equal(t, finding.Dismissed, out.Changes[0].From)
	_, after = apply(t, after, sameHead, sameCov, again)
	require.Equal(t, finding.Reappeared, after.Finding.Status)
	require.Equal(t, 1, after.Generation)
	require.Equal(t, "https://example.com/7", after.Earlier)
	require.Zero(t, after.CommentID)
	require.Equal(t, finding.Open, lifecycle.Unresolved(thread).Finding.Status)
}

// TestP06_WhatWasDismissedIsShownAsSuchWhetherItComesUpAgainOrNot, as long as its code stands in a changed file.
func TestP06_WhatWasDismissedIsShownAsSuchWhetherItComesUpAgainOrNot(t *testing.T) {
	t.Parallel()
	base := map[string]string{"a.c": "zero()\n", "b.c": "zero()\n"}
	k := lifecycle.Dismiss(known(faulty, "two"), "as intended")
	for name, c := range map[string]struct {
		now   map[string]string
		again []finding.Finding
		want  int
	}{
		"reported again": {map[string]string{"a.c": faulty, "b.c": "zero()\n"}, []finding.Finding{k.Finding}, 1},
		"not reported":   {map[string]string{"a.c": faulty, "b.c": "zero()\n"}, nil, 1},
		"its code went":  {map[string]string{"a.c": changed, "b.c": "zero()\n"}, nil, 0},
		"another file":   {map[string]string{"a.c": "zero()\n", "b.c": faulty}, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, cov := head(base, c.now)
			out, _ := apply(t, k, h, cov, c.again...)
			require.Len(t, out.Findings, c.want)
			for i := range out.Findings {
				require.Equal(t, "reviews/r1/findings/k", out.Findings[i].Name)
				require.Equal(t, finding.Dismissed, out.Findings[i].Status)
				require.Equal(t, 2, out.Findings[i].Location.StartLine)
			}
		})
	}
}

// TestWhatAnotherChangeOfTheBranchHasIsNotShown unless it stands on lines of this one, or is reported again.
func TestWhatAnotherChangeOfTheBranchHasIsNotShown(t *testing.T) {
	t.Parallel()
	const far = 20
	now := faulty + strings.Repeat("pad()\n", far) + "more()\n"
	for name, c := range map[string]struct {
		reported, base string
		near           bool
		want           int
	}{
		"the same base":                {"b1", "b1", false, 1},
		"another, other lines":         {"b1", "b2", false, 0},
		"another, the same lines":      {"b1", "b2", true, 1},
		"a pull request":               {"", "", false, 1},
		"what was reported before all": {"", "b2", false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, cov := head(map[string]string{"a.c": "zero()\n"}, map[string]string{"a.c": now})
			if !c.near {
				line := 4 + far
				h.Change.Files[0].Hunks = []review.Hunk{{OldStart: 1, NewStart: line, NewLines: 1, Lines: []review.Line{{Op: '+', Text: "more()"}}}}
			}
			k := known(faulty, "two")
			k.Base = c.reported
			in := lifecycle.Input{Review: "reviews/r1", Subject: "s", Known: []review.Known{k}, Coverage: cov, Head: h, Base: c.base}
			out, err := lifecycle.Apply(in)
			require.NoError(t, err)
			require.Len(t, out.Findings, c.want)
			in.Findings = []finding.Finding{k.Finding}
			out, err = lifecycle.Apply(in)
			require.NoError(t, err)
			require.Len(t, out.Findings, 1)
			require.Equal(t, c.base, out.Known[0].Base)
		})
	}
}

// TestWhatIsStagedFixesNothingThatIsNot, but what was found in what is staged.
func TestWhatIsStagedFixesNothingThatIsNot(t *testing.T) {
	t.Parallel()
	h, cov := head(map[string]string{"a.c": "zero()\n"}, map[string]string{"a.c": changed})
	for base, want := range map[string]finding.Status{"b": finding.Open, "staged:b": finding.Fixed} {
		for _, part := range []bool{true, false} {
			k := known(faulty, "two")
			k.Base = base
			out, err := lifecycle.Apply(lifecycle.Input{
				Review: "reviews/r1", Subject: "s", Known: []review.Known{k}, Coverage: cov, Head: h, Base: "staged:b", Part: part,
			})
			require.NoError(t, err)
			require.Equal(t, !part || want == finding.Fixed, len(out.Changes) == 1, "%s %v", base, part)
		}
	}
}

// TestHeldFindingsDecideNothing: what the council does not confirm any more is neither fixed nor reported again.
func TestHeldFindingsDecideNothing(t *testing.T) {
	t.Parallel()
	h, cov := head(map[string]string{"a.c": "zero()\n"}, map[string]string{"a.c": faulty})
	held := known(faulty, "two").Finding
	held.Outcome = finding.Held
	out, after := apply(t, known(faulty, "two"), h, cov, held)
	require.Equal(t, finding.Open, after.Finding.Status)
	require.Len(t, out.Findings, 2, "the open one, and the held report")
	names := map[string]finding.Outcome{}
	for _, f := range out.Findings {
		names[f.Name] = f.Outcome
	}
	require.Equal(t, finding.Published, names["reviews/r1/findings/k"])
	require.Len(t, names, 2)
}

// TestADeletionIsFixedWhenItIsTakenBack follows a finding on lines that the change takes away.
func TestADeletionIsFixedWhenItIsTakenBack(t *testing.T) {
	t.Parallel()
	k := known(faulty, "two")
	k.Finding.Location.Side = finding.Left
	h, cov := head(map[string]string{"a.c": faulty}, map[string]string{"a.c": "one()\nthree()\n"})
	_, after := apply(t, k, h, cov)
	require.Equal(t, finding.Open, after.Finding.Status, "it is deleted still")
	h, cov = head(map[string]string{"a.c": faulty, "b.c": "x\n"}, map[string]string{"a.c": faulty, "b.c": "y\n"})
	_, after = apply(t, k, h, cov)
	require.Equal(t, finding.Fixed, after.Finding.Status)
}

// TestOneOfSeveralEqualLinesIsFixed has the same code three times in a file, of which the middle one goes.
func TestOneOfSeveralEqualLinesIsFixed(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("pad()\n", 10) + "bad()\n" + strings.Repeat("pad()\n", 10) + "bad()\n" + strings.Repeat("pad()\n", 10) + "bad()\n"
	now := strings.Repeat("pad()\n", 10) + "bad()\n" + strings.Repeat("pad()\n", 10) + "good()\n" + strings.Repeat("pad()\n", 10) + "bad()\n"
	h, cov := head(map[string]string{"a.c": "x\n"}, map[string]string{"a.c": now})
	var rows []review.Known
	for i, line := range []int{11, 22, 33} {
		k := known(text, "bad")
		k.ID, k.Finding.Location.StartLine, k.Finding.Location.EndLine = string(rune('a'+i)), line, line
		rows = append(rows, k)
	}
	out, err := lifecycle.Apply(lifecycle.Input{Review: "reviews/r1", Subject: "s", Known: rows, Coverage: cov, Head: h})
	require.NoError(t, err)
	require.Len(t, out.Changes, 1)
	require.Equal(t, "b", out.Changes[0].ID)
}

// TestWhatWholeReviewersDoNotRepeatIsMended: a finding without lines has nothing else that could change.
func TestWhatWholeReviewersDoNotRepeatIsMended(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		whole   []string
		sources []string
		now     map[string]string
		want    finding.Status
	}{
		"its file was changed":                {[]string{"past"}, []string{"past"}, map[string]string{"a.c": "1", "b.c": "2"}, finding.Fixed},
		"another file was changed":            {[]string{"past"}, []string{"past"}, map[string]string{"a.c": "0", "b.c": "2"}, finding.Fixed},
		"the reviewer could not judge":        {nil, []string{"past"}, map[string]string{"a.c": "1", "b.c": "2"}, finding.Open},
		"a member said it as well":            {[]string{"past"}, []string{"past", "ada"}, map[string]string{"a.c": "1", "b.c": "2"}, finding.Open},
		"a reviewer of lines said it as well": {[]string{"past"}, []string{"past", "probe"}, map[string]string{"a.c": "1", "b.c": "2"}, finding.Open},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, cov := head(map[string]string{"a.c": "0", "b.c": "0"}, c.now)
			k := known(faulty, "two")
			k.Finding.Location = finding.Location{Path: "a.c", OldPath: "a.c", Side: finding.Right, Placement: finding.PlacedFile}
			k.Finding.Sources, k.Finding.Votes = c.sources, []finding.Vote{{Voter: "past"}, {Voter: "ada", Model: "m"}, {Voter: "probe"}}
			out, err := lifecycle.Apply(lifecycle.Input{Review: "reviews/r1", Subject: "s", Known: []review.Known{k}, Coverage: cov, Head: h, Whole: c.whole})
			require.NoError(t, err)
			if c.want == finding.Open {
				require.Empty(t, out.Changes)
				return
			}
			require.Len(t, out.Changes, 1)
			require.Equal(t, finding.Fixed, out.Changes[0].To)
		})
	}
}

// TestEqualCodeOfAnotherFindingIsNotWhereOneWent has the same line in two files, each with a finding, and mends one of them.
func TestEqualCodeOfAnotherFindingIsNotWhereOneWent(t *testing.T) {
	t.Parallel()
	const line = "two(first, second, third, fourth)"
	text, now := "one()\n"+line+"\nthree()\n", "one()\nmended()\nthree()\n"
	here, there := known(text, "two"), known(text, "two")
	there.ID, there.Finding.Location.Path, there.Finding.Location.OldPath = "other", "b.c", "b.c"
	h, cov := head(map[string]string{"a.c": "x\n", "b.c": "x\n"}, map[string]string{"a.c": now, "b.c": text})
	out, err := lifecycle.Apply(lifecycle.Input{Review: "reviews/r1", Subject: "s", Known: []review.Known{here, there}, Coverage: cov, Head: h})
	require.NoError(t, err)
	require.Len(t, out.Changes, 1)
	require.Equal(t, here.ID, out.Changes[0].ID)
	require.Equal(t, finding.Fixed, out.Changes[0].To)

	out, err = lifecycle.Apply(lifecycle.Input{Review: "reviews/r1", Subject: "s", Known: []review.Known{here}, Coverage: cov, Head: h})
	require.NoError(t, err)
	require.Empty(t, out.Changes, "where nobody else has it, it was moved")

	second := there
	second.ID, second.Finding.Category = "second", finding.Security
	h, cov = head(map[string]string{"a.c": "x\n", "b.c": "x\n"}, map[string]string{"a.c": now, "b.c": text + text})
	out, err = lifecycle.Apply(lifecycle.Input{Review: "reviews/r1", Subject: "s", Known: []review.Known{here, there, second}, Coverage: cov, Head: h})
	require.NoError(t, err)
	require.Empty(t, out.Changes, "two that are about one place leave the other one to what was moved")
}

// TestP07_AFindingGoesWhereItsCodeWasMoved: who moves a file within a pull request, and is not told again, has its open finding
// shown at the new place.
func TestP07_AFindingGoesWhereItsCodeWasMoved(t *testing.T) {
	t.Parallel()
	const line = "run(command, with, everything, given)"
	text := "one()\n" + line + "\nthree()\n"
	h, cov := head(map[string]string{"main.c": "x\n"}, map[string]string{"lib/a.c": "zero()\n" + text, "main.c": "y\n"}) // a.c was added by the change
	out, k := apply(t, known(text, "run"), h, cov)
	require.Empty(t, out.Changes)
	require.Len(t, out.Findings, 1, "it is shown, so the check sees it")
	for _, l := range []finding.Location{out.Findings[0].Location, k.Finding.Location} {
		require.Equal(t, "lib/a.c", l.Path)
		require.Equal(t, 3, l.StartLine)
		require.True(t, l.InDiff)
	}
	require.Equal(t, finding.Open, k.Finding.Status)
}

// TestWhatIsFixedCostsAReviewNothing unless one of its findings may be it again.
func TestWhatIsFixedCostsAReviewNothing(t *testing.T) {
	t.Parallel()
	text := "int first(void) { return 1; }\nint second(void) { return 2; }\n"
	h, cov := head(map[string]string{"b.c": ""}, map[string]string{"a.c": text, "b.c": "int other(void);\n"})
	reads, read := 0, h.Read
	h.Read = func(path string) (string, lifecycle.Presence, error) {
		reads++
		return read(path)
	}
	var fixed []review.Known
	for range 100 {
		k := known(text, "second")
		k.Finding.Status, k.Finding.Location.Symbol = finding.Fixed, "function second"
		fixed = append(fixed, k)
	}
	fixed = append(fixed, review.Known{ID: "whole", Finding: finding.Finding{Category: finding.Correctness, Status: finding.Fixed}})
	for name, c := range map[string]struct {
		findings []finding.Finding
		reads    int
	}{
		"no findings":      {nil, 0},
		"another category": {[]finding.Finding{{Category: finding.Security, Outcome: finding.Published, Location: finding.Location{Path: "b.c"}}}, 0},
		"the category":     {[]finding.Finding{{Category: finding.Correctness, Outcome: finding.Published, Location: finding.Location{Path: "b.c"}}}, 1},
	} {
		reads = 0
		out, err := lifecycle.Apply(lifecycle.Input{Review: "reviews/r1", Subject: "s", Findings: c.findings, Known: fixed, Coverage: cov, Head: h})
		require.NoError(t, err)
		require.Equal(t, c.reads, reads, name)
		require.Len(t, out.Known, len(c.findings), "nothing becomes of what was fixed")
	}
}

// TestTwoProblemsOfOneLineDoNotTakeItFromEachOther has two findings of different categories that quote the same line, which stays
// as it is: whatever of them is reported again, none is fixed.
func TestTwoProblemsOfOneLineDoNotTakeItFromEachOther(t *testing.T) {
	t.Parallel()
	first, second := known(faulty, "two"), known(faulty, "two")
	second.ID, second.Finding.Category = "l", finding.Security
	l := second.Finding.Location
	second.Finding.Fingerprint = finding.Fingerprint(finding.Key{Path: l.Path, Category: finding.Security, Code: l.Code})
	one, two := first.Finding, second.Finding
	for _, l := range []*finding.Location{&one.Location, &two.Location} {
		l.StartLine, l.EndLine = l.StartLine+1, l.EndLine+1
	}
	for name, again := range map[string][]finding.Finding{"none": nil, "the first": {one}, "the second": {two}, "both": {one, two}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, cov := head(map[string]string{"a.c": "zero()\n"}, map[string]string{"a.c": "zero()\n" + faulty})
			out, err := lifecycle.Apply(lifecycle.Input{
				Review: "reviews/r1", Subject: "s", Findings: again, Known: []review.Known{first, second}, Coverage: cov, Head: h,
			})
			require.NoError(t, err)
			require.Empty(t, out.Changes)
		})
	}
}
