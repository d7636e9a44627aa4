package tally

import (
	"cmp"
	"slices"
	"strings"

	"witan.dev/internal/finding"
	"witan.dev/services/council"
)

// Input is what is tallied. Everything but Cast is fixed before the first vote, so that no failure changes a bar.
type Input struct {
	Policy    council.VotePolicy
	Members   []council.Member
	Proposals []council.Proposal
	// Findings as Group formed them.
	Findings []council.Finding
	// Examined says whether members were to examine the findings; without it only the proposers' votes are there.
	Examined bool
	// Shown lists the batches of findings that each member was to judge; Cast holds the votes that came in, by member
	// and finding.
	Shown map[string][][]string
	Cast  map[string]map[string]council.Vote
}

// Examine lists for a member the findings that it is to judge: all that it did not propose, in their order.
func Examine(member string, findings []council.Finding, proposals []council.Proposal) []string {
	own := map[string]bool{}
	for _, p := range proposals {
		if !p.Outside && p.Source == member {
			own[p.ID] = true
		}
	}
	var out []string
	for _, f := range findings {
		if !slices.ContainsFunc(f.Proposals, func(id string) bool { return own[id] }) {
			out = append(out, f.ID)
		}
	}
	return out
}

// tally is the state of one computation.
type tally struct {
	Input

	proposals map[string]council.Proposal
	members   map[string]council.Member
}

// Conclude unites what the voters call duplicates, counts the votes and gives each finding its severity and outcome. The
// result is ordered by severity, confirmed minus rejected, path, line, ID.
func (in Input) Conclude() []council.Finding {
	t := tally{Input: in, proposals: map[string]council.Proposal{}, members: map[string]council.Member{}}
	for _, p := range in.Proposals {
		t.proposals[p.ID] = p
	}
	for _, m := range in.Members {
		t.members[m.ID] = m
	}
	groups := t.merge()
	out := make([]council.Finding, 0, len(groups))
	for _, group := range groups {
		out = append(out, t.conclude(group))
	}
	slices.SortFunc(out, compare)
	return out
}

func compare(a, b council.Finding) int {
	return cmp.Or(
		cmp.Compare(b.Severity, a.Severity),
		cmp.Compare(b.Tally.Confirmed-b.Tally.Rejected, a.Tally.Confirmed-a.Tally.Rejected),
		strings.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line),
		cmp.Compare(len(a.ID), len(b.ID)), strings.Compare(a.ID, b.ID),
	)
}

// merge unites findings of one file that more than half of those who were shown both call duplicates. Members whose vote
// never came count among those who were shown both.
func (t tally) merge() [][]council.Finding {
	parent := make([]int, len(t.Findings))
	for i := range parent {
		parent[i] = i
	}
	root := func(i int) int {
		for parent[i] != i {
			i = parent[i]
		}
		return i
	}
	for i := range t.Findings {
		for j := i + 1; j < len(t.Findings); j++ {
			if t.Findings[i].Path == t.Findings[j].Path && t.duplicates(t.Findings[i].ID, t.Findings[j].ID) {
				parent[root(j)] = root(i)
			}
		}
	}
	groups := map[int][]council.Finding{}
	for i, f := range t.Findings {
		groups[root(i)] = append(groups[root(i)], f)
	}
	var out [][]council.Finding
	for i := range t.Findings {
		if g := groups[i]; g != nil {
			out = append(out, g)
		}
	}
	return out
}

func (t tally) duplicates(a, b string) bool {
	saw, said := 0, 0
	for id, batches := range t.Shown {
		if !t.members[id].Counts() {
			continue
		}
		if !slices.ContainsFunc(batches, func(shown []string) bool { return slices.Contains(shown, a) && slices.Contains(shown, b) }) {
			continue
		}
		saw++
		if t.Cast[id][a].DuplicateOf == b || t.Cast[id][b].DuplicateOf == a {
			said++
		}
	}
	return said > 0 && 2*said > saw
}

func (t tally) conclude(group []council.Finding) council.Finding {
	f := group[0]
	f.Proposals, f.Alternatives = slices.Clone(f.Proposals), slices.Clone(f.Alternatives)
	for _, other := range group[1:] {
		f.Proposals = append(f.Proposals, other.Proposals...)
		f.Alternatives = append(f.Alternatives, other.Representative)
		f.Alternatives = append(f.Alternatives, other.Alternatives...)
	}
	f.Votes = t.votes(group, f.Proposals)
	count(&f)
	f.Tally.Planned = t.planned(f.Proposals)
	f.Tally.Required = t.required(f)
	f.Severity = max(severityOf(f.Votes, f.Severity), t.certainSeverity(f.Proposals))
	f.Outcome, f.OutcomeReason = t.outcome(f)
	return f
}

// votes are one of each voter: of the proposing sources first, then of the members that examined the finding, in the
// order of the council. Where a voter's judgements of united findings differ, the confirmation wins.
func (t tally) votes(group []council.Finding, proposals []string) []council.Vote {
	votes := t.proposed(proposals)
	for _, m := range t.Members {
		var cast []council.Vote
		for _, f := range group {
			if v, ok := t.Cast[m.ID][f.ID]; ok {
				cast = append(cast, v)
			}
		}
		if len(cast) == 0 || slices.ContainsFunc(votes, func(v council.Vote) bool { return v.Voter == m.ID && v.Model != "" }) {
			continue // what it proposed, it confirms
		}
		best := slices.MinFunc(cast, func(a, b council.Vote) int { return cmp.Compare(weight(a.Vote), weight(b.Vote)) })
		best.Voter, best.Model, best.Counted, best.Proposed = m.ID, m.Model, m.Counts(), false
		votes = append(votes, best)
	}
	return votes
}

func weight(c finding.Choice) int {
	switch c {
	case finding.Confirmed:
		return 0
	case finding.RejectedVote:
		return 1
	case finding.Uncertain, finding.ChoiceUnspecified:
	}
	return 2
}

// proposed gives each distinct proposing source one confirmation. Its severity is the lower median of its own reports.
func (t tally) proposed(proposals []string) []council.Vote {
	type source struct {
		name    string
		outside bool
	}
	bySource := map[source][]council.Proposal{}
	var order []source
	for _, id := range proposals {
		p := t.proposals[id]
		s := source{p.Source, p.Outside}
		if bySource[s] == nil {
			order = append(order, s)
		}
		bySource[s] = append(bySource[s], p)
	}
	slices.SortFunc(order, func(a, b source) int {
		return cmp.Or(compareBool(a.outside, b.outside), strings.Compare(a.name, b.name))
	})
	var votes []council.Vote
	for _, s := range order {
		own := bySource[s]
		severities := make([]finding.Severity, len(own))
		for i, p := range own {
			severities[i] = p.Severity
		}
		v := council.Vote{
			Voter: s.name, Vote: finding.Confirmed, Proposed: true, Counted: true,
			Severity: lowerMedian(severities), Reason: own[0].Reason,
		}
		if !s.outside {
			m := t.members[s.name]
			v.Model, v.Counted = m.Model, m.Counts()
		}
		votes = append(votes, v)
	}
	return votes
}

func count(f *council.Finding) {
	models := map[string]bool{}
	for _, v := range f.Votes {
		if v.Proposed {
			f.Tally.Proposed++
		}
		if !v.Counted {
			continue
		}
		switch v.Vote {
		case finding.Confirmed:
			f.Tally.Confirmed++
			if v.Model != "" {
				models[v.Model] = true
			}
		case finding.RejectedVote:
			f.Tally.Rejected++
		case finding.Uncertain, finding.ChoiceUnspecified:
			f.Tally.Uncertain++
		}
	}
	f.Tally.DistinctModels = len(models)
}

// planned counts the voters whose judgement was to count: the proposing sources and, when findings are examined, all
// judging members, whether they delivered or not.
func (t tally) planned(proposals []string) int {
	voters := map[string]bool{}
	for _, id := range proposals {
		p := t.proposals[id]
		if p.Outside {
			voters["outside/"+p.Source] = true
		} else if t.members[p.Source].Counts() {
			voters["member/"+p.Source] = true
		}
	}
	if t.Examined {
		for _, m := range t.Members {
			if m.Judges() && m.Counts() {
				voters["member/"+m.ID] = true
			}
		}
	}
	return len(voters)
}

// required is the bar. It rests on what was proposed and planned alone: were it to follow the severities of the votes
// that came in, a missing vote could lower it.
func (t tally) required(f council.Finding) int {
	outsideOnly, needs := true, -1
	severities := map[string][]finding.Severity{}
	for _, id := range f.Proposals {
		p := t.proposals[id]
		outsideOnly = outsideOnly && p.Outside
		severities[p.Source] = append(severities[p.Source], p.Severity)
		if needs < 0 || p.NeedsConfirmations < needs {
			needs = p.NeedsConfirmations
		}
	}
	var each []finding.Severity
	for _, s := range severities {
		each = append(each, lowerMedian(s))
	}
	bar := t.Policy.MinVotes.Of(lowerMedian(each))
	if outsideOnly {
		bar = t.Policy.OutsideMinVotes
	}
	if needs > 0 && t.Examined && t.hasExaminer() {
		bar = max(bar, 1+needs)
	}
	return max(1, min(bar, f.Tally.Planned))
}

func (t tally) hasExaminer() bool {
	return slices.ContainsFunc(t.Members, func(m council.Member) bool { return m.Judges() && m.Counts() })
}

func (t tally) outcome(f council.Finding) (finding.Outcome, string) {
	c := f.Tally
	switch {
	case slices.ContainsFunc(f.Proposals, t.certain):
		return finding.Published, council.ReasonCertain
	case c.Rejected > c.Confirmed:
		return finding.Rejected, council.ReasonVotes
	case c.Confirmed >= c.Required && c.Confirmed > c.Rejected && c.Proposed < t.Policy.MinIndependent:
		return finding.Held, council.ReasonNotIndependent
	case c.Confirmed >= c.Required && c.Confirmed > c.Rejected:
		return finding.Published, council.ReasonVotes
	case !examined(f) && t.planned(f.Proposals) > c.Confirmed:
		return finding.Held, council.ReasonNotExamined
	case c.Confirmed < c.Required:
		return finding.Held, council.ReasonNotEnoughVotes
	default:
		return finding.Held, council.ReasonContested
	}
}

func (t tally) certain(id string) bool { return t.proposals[id].Outside && t.proposals[id].Certain }

// certainSeverity is the worst that certain proposals say. Members who could lower it, talked into that by what they read,
// would turn a check green over a leaked key.
func (t tally) certainSeverity(proposals []string) (worst finding.Severity) {
	for _, id := range proposals {
		if t.certain(id) {
			worst = max(worst, t.proposals[id].Severity)
		}
	}
	return worst
}

func examined(f council.Finding) bool {
	return slices.ContainsFunc(f.Votes, func(v council.Vote) bool { return !v.Proposed && v.Counted })
}

// severityOf is the lower median of what confirming voters said; those whose vote counts come first.
func severityOf(votes []council.Vote, otherwise finding.Severity) finding.Severity {
	var counted, all []finding.Severity
	for _, v := range votes {
		if v.Vote != finding.Confirmed || v.Severity == finding.SeverityUnspecified {
			continue
		}
		all = append(all, v.Severity)
		if v.Counted {
			counted = append(counted, v.Severity)
		}
	}
	if len(counted) > 0 {
		return lowerMedian(counted)
	}
	if len(all) > 0 {
		return lowerMedian(all)
	}
	return otherwise
}

func lowerMedian(s []finding.Severity) finding.Severity {
	if len(s) == 0 {
		return finding.SeverityUnspecified
	}
	s = slices.Sorted(slices.Values(s))
	return s[(len(s)-1)/2]
}

// Unconcluded lists the findings with their proposers' votes and no policy applied.
func (in Input) Unconcluded() []council.Finding {
	in.Examined, in.Shown, in.Cast = false, nil, nil
	out := in.Conclude()
	for i := range out {
		out[i].Outcome, out[i].OutcomeReason = finding.OutcomeUnspecified, council.ReasonNoPolicy
		out[i].Tally.Required = 0
	}
	return out
}
