package review

import (
	"fmt"
	"slices"
	"strings"

	"witan.dev/internal/diff"
	"witan.dev/internal/finding"
)

// OutcomeNotExamined is why a finding is held that nobody could vote on although somebody should have.
const OutcomeNotExamined = "NOT_EXAMINED"

// Findings turns the council's verdict into findings with their places. A static reviewer's place is known; a member's
// is searched by its quoted code in set. Names begin with parent, the review's resource name.
func Findings(v *Verdict, own []Proposal, set *finding.Set, parent string) []finding.Finding {
	proposals := make(map[string]*CouncilProposal, len(v.Proposals))
	for i := range v.Proposals {
		proposals[v.Proposals[i].ID] = &v.Proposals[i]
	}
	static := make(map[string]*Proposal, len(own))
	for i := range own {
		static[own[i].ID] = &own[i]
	}
	out := make([]finding.Finding, 0, len(v.Findings))
	for i := range v.Findings {
		out = append(out, assemble(&v.Findings[i], proposals, static, set))
	}
	return finish(out, parent)
}

// Unvoted turns static reviewers' proposals into findings when no council could be convened. Each carries its own vote.
// What asks for a member's confirmation is held where members are configured.
func Unvoted(own []Proposal, members int, parent string) []finding.Finding {
	out := make([]finding.Finding, 0, len(own))
	for i := range own {
		p := &own[i]
		f := finding.Finding{
			Severity: p.Severity, Category: p.Category, Title: p.Claim, Reason: p.Reason, Location: p.Location, Related: p.Related,
			Sources: []string{p.Source}, Outcome: finding.Published, Rule: p.Source + "/" + p.Rule,
			Votes: []finding.Vote{{Voter: p.Source, Choice: finding.Confirmed, Proposed: true, Counted: true, Severity: p.Severity}},
			Tally: finding.Tally{Confirmed: 1, Proposed: 1, Planned: 1, Required: 1},
		}
		if p.Confirm && members > 0 {
			f.Outcome, f.OutcomeReason, f.Tally.Required = finding.Held, OutcomeNotExamined, 2
		}
		out = append(out, f)
	}
	return finish(out, parent)
}

func assemble(
	cf *CouncilFinding, proposals map[string]*CouncilProposal, static map[string]*Proposal, set *finding.Set,
) finding.Finding {
	f := finding.Finding{
		Severity: cf.Severity, Tally: cf.Tally, Votes: cf.Votes, Outcome: cf.Outcome, OutcomeReason: cf.OutcomeReason,
	}
	for _, id := range cf.Proposals {
		if p := proposals[id]; p != nil && !slices.Contains(f.Sources, p.Source) {
			f.Sources = append(f.Sources, p.Source)
		}
	}
	for _, id := range cf.Alternatives {
		if p := proposals[id]; p != nil && p.Claim != "" {
			f.Alternatives = append(f.Alternatives, p.Claim)
		}
	}
	p := proposals[cf.Representative]
	if p == nil {
		p = &CouncilProposal{}
	}
	f.Title, f.Reason, f.Suggestion, f.Category = p.Claim, p.Reason, p.Suggestion, category(p.Category)
	f.Location = set.Locate(finding.Quote{Path: p.Path, Code: p.Code, Symbol: p.Symbol, Line: p.StartLine, Side: p.Side})
	for _, id := range append([]string{cf.Representative}, cf.Proposals...) {
		if own := static[id]; own != nil {
			f.Location, f.Related, f.Rule = own.Location, own.Related, own.Source+"/"+own.Rule
			break
		}
	}
	return f
}

// category reads a member's word for the class of a problem; what is none of ours is a matter of correctness.
func category(name string) finding.Category {
	c, err := finding.ParseCategory(name)
	if err != nil {
		return finding.Correctness
	}
	return c
}

// finish gives fingerprints, merges what turned out to be the same finding, orders and names.
func finish(findings []finding.Finding, parent string) []finding.Finding {
	for i := range findings {
		f := &findings[i]
		path := f.Location.Path
		if f.Location.Side == finding.Left && f.Location.OldPath != "" {
			path = f.Location.OldPath
		}
		code := f.Location.Code
		if code == "" {
			code = f.Title // a place without lines: nothing else tells two findings apart
		}
		f.Fingerprint = finding.Fingerprint(finding.Key{Path: path, Symbol: f.Location.Symbol, Category: f.Category, Code: code})
		if f.Outcome == finding.Published {
			f.Status, f.FirstReview = finding.Open, parent
		}
	}
	findings = merge(findings)
	finding.Number(findings)
	finding.Sort(findings)
	for i := range findings {
		findings[i].Name = fmt.Sprintf("%s/findings/%s", parent, FindingID(findings[i].Fingerprint))
	}
	return findings
}

// FindingID is the fingerprint in the letters that a resource name allows.
func FindingID(fingerprint string) string {
	return strings.ReplaceAll(strings.TrimPrefix(fingerprint, "v1:"), ".", "-")
}

// merge unites findings with one fingerprint at one place: their votes, one for each voter, a confirmation before any
// other of the same voter.
func merge(in []finding.Finding) []finding.Finding {
	type key struct {
		fingerprint string
		side        finding.Side
		line        int
	}
	seen := make(map[key]int, len(in))
	out := make([]finding.Finding, 0, len(in))
	for _, f := range in {
		k := key{f.Fingerprint, f.Location.Side, f.Location.StartLine}
		at, ok := seen[k]
		if !ok {
			seen[k] = len(out)
			out = append(out, f)
			continue
		}
		out[at] = united(out[at], f)
	}
	return out
}

func united(a, b finding.Finding) finding.Finding {
	if outcomeRank(b.Outcome) < outcomeRank(a.Outcome) {
		a, b = b, a
	}
	votes := slices.Clone(a.Votes)
	for _, v := range b.Votes {
		at := slices.IndexFunc(votes, func(w finding.Vote) bool { return w.Voter == v.Voter })
		switch {
		case at < 0:
			votes = append(votes, v)
		case v.Choice == finding.Confirmed && votes[at].Choice != finding.Confirmed:
			votes[at] = v
		}
	}
	a.Votes = votes
	a.Tally = recount(a.Tally, b.Tally, votes)
	for _, s := range b.Sources {
		if !slices.Contains(a.Sources, s) {
			a.Sources = append(a.Sources, s)
		}
	}
	a.Alternatives = append(a.Alternatives, b.Title)
	a.Severity = max(a.Severity, b.Severity)
	return a
}

// outcomeRank orders outcomes: what is shown comes first.
func outcomeRank(o finding.Outcome) int {
	switch o {
	case finding.Published:
		return 0
	case finding.Held:
		return 1
	case finding.Rejected:
		return 2
	case finding.OutcomeUnspecified:
	}
	return 3
}

func recount(a, b finding.Tally, votes []finding.Vote) finding.Tally {
	t := finding.Tally{Planned: max(a.Planned, b.Planned), Required: max(a.Required, b.Required)}
	models := map[string]bool{}
	for _, v := range votes {
		if !v.Counted {
			continue
		}
		switch v.Choice {
		case finding.Confirmed:
			t.Confirmed++
			if v.Model != "" {
				models[v.Model] = true
			}
			if v.Proposed {
				t.Proposed++
			}
		case finding.RejectedVote:
			t.Rejected++
		case finding.Uncertain:
			t.Uncertain++
		case finding.ChoiceUnspecified:
		}
	}
	t.DistinctModels = len(models)
	return t
}

// Diff returns the file's change in the form in which places are searched.
func (f *File) Diff() *diff.File {
	out := &diff.File{OldPath: f.OldPath, NewPath: f.Path, Binary: f.Nature == NatureBinary}
	if f.Change != "" {
		out.Change = diff.Change(f.Change[0])
	}
	switch f.Change {
	case Added:
		out.OldPath = ""
	case Deleted:
		out.NewPath = ""
	case Modified, Renamed, Copied, TypeChanged:
	}
	for i := range f.Hunks {
		out.Hunks = append(out.Hunks, f.Hunks[i].diff())
	}
	return out
}

func (h *Hunk) diff() diff.Hunk {
	out := diff.Hunk{
		OldStart: h.OldStart, OldLines: h.OldLines, NewStart: h.NewStart, NewLines: h.NewLines, Section: h.Section,
		Lines: make([]diff.Line, len(h.Lines)),
	}
	o, n := h.OldStart, h.NewStart
	for i, l := range h.Lines {
		line := diff.Line{Op: diff.Op(l.Op), Text: l.Text}
		if l.Op != '+' {
			line.Old = o
			o++
		}
		if l.Op != '-' {
			line.New = n
			n++
		}
		out.Lines[i] = line
	}
	return out
}

// Summarise is the summary of a review that no chairman has written, with the reason where a council should have. It counts no
// findings: those of earlier reviews, dismissals and severity.publish decide what the headline says of them, some of it later.
func Summarise(models, files int, why string) string {
	who := "Static reviewers"
	if models > 0 {
		who = fmt.Sprintf("%d %s and static reviewers", models, plural(models, "model"))
	}
	text := fmt.Sprintf("%s looked at a change of %d %s.", who, files, plural(files, "file"))
	switch why {
	case "":
	case string(finding.ReasonCouncilUnavailable):
		text += " The council did not take part: neither it nor any of its models answered for as long as a review asks."
	default:
		text += " The council did not take part: " + why + "."
	}
	return text
}

func plural(n int, noun string) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}
