package worker

import (
	"context"
	"fmt"
	"maps"
	"slices"

	councilv1 "witan.dev/gen/witan/council/v1"
	"witan.dev/internal/finding"
	"witan.dev/internal/job"
	"witan.dev/services/council"
	"witan.dev/services/council/prompt"
	"witan.dev/services/council/reply"
	"witan.dev/services/council/tally"
	"witan.dev/services/council/wire"
)

// reasonPartTooBig is why a part is not read by a member: it does not fit its model's context.
const reasonPartTooBig = "PART_TOO_BIG"

// proposed is the outcome of the stage propose.
type proposed struct {
	Coverage  council.StageCoverage  `json:"coverage"`
	Quorum    bool                   `json:"quorum"`
	Parts     []council.PartCoverage `json:"parts,omitempty"`
	Proposals []council.Proposal     `json:"proposals,omitempty"`
	Spent     spent                  `json:"spent"`
}

// grouped is the outcome of the stage group.
type grouped struct {
	Coverage  council.StageCoverage `json:"coverage"`
	Proposals []council.Proposal    `json:"proposals,omitempty"`
	Findings  []council.Finding     `json:"findings,omitempty"`
}

// examined is the outcome of the stage cross_examine.
type examined struct {
	Coverage council.StageCoverage `json:"coverage"`
	Quorum   bool                  `json:"quorum"`
	Findings []council.Finding     `json:"findings,omitempty"`
	Spent    spent                 `json:"spent"`
}

func (p proposed) covered() council.StageCoverage { return p.Coverage }

func (g grouped) covered() council.StageCoverage { return g.Coverage }

func (x examined) covered() council.StageCoverage { return x.Coverage }

func (p proposed) unreadable() []string { return unreadable(p.Coverage) }

func (g grouped) unreadable() []string { return nil } // no model is asked

func (x examined) unreadable() []string { return unreadable(x.Coverage) }

// review runs a deliberation over a change of code.
func (d *deliberation) review(ctx context.Context) error {
	var p proposed
	var g grouped
	var x examined
	var c concluded
	task := d.Task.CodeReview
	d.ended.Outside, d.ended.Parts = len(task.Outside), len(task.Parts)
	if err := stage(ctx, d, council.StagePropose, &p, d.propose); err != nil {
		return err
	}
	d.ended.Delivered = p.Coverage.Delivered
	planned := council.Stages(d.Spec, council.TaskCodeReview)
	goOn := d.goOn(p.Quorum)
	if goOn {
		if err := stage(ctx, d, council.StageGroup, &g, func(ctx context.Context) error { return d.group(ctx, p) }); err != nil {
			return err
		}
	}
	if goOn && d.stopped == nil && slices.Contains(planned, council.StageCrossExamine) {
		if err := stage(ctx, d, council.StageCrossExamine, &x, func(ctx context.Context) error { return d.crossExamine(ctx, p, g) }); err != nil {
			return err
		}
		goOn = d.goOn(x.Quorum)
	}
	if goOn && d.stopped == nil && slices.Contains(planned, council.StageConclude) {
		if err := stage(ctx, d, council.StageConclude, &c, func(ctx context.Context) error { return d.conclude(ctx, p, g, x) }); err != nil {
			return err
		}
	}
	d.heed(p.Coverage, x.Coverage, c.Coverage)
	return d.finish(ctx, d.reviewResult(p, g, x, c))
}

// found is what a member reports of a part.
type found struct {
	reports []reply.Report
	dropped int
}

// propose has every answering member report on every part that fits its context.
func (d *deliberation) propose(ctx context.Context) error {
	task := d.Task.CodeReview
	members := d.Spec.Answerers()
	if len(members) == 0 || len(task.Parts) == 0 {
		reason := "NO_MEMBERS"
		if len(members) > 0 {
			reason = "NO_MATERIAL"
		}
		return d.skip(ctx, council.StagePropose, reason, proposed{Coverage: skipped(council.StagePropose, reason), Quorum: true})
	}
	var units []unit[found]
	var tooBig []council.Missing
	for i, part := range task.Parts {
		for seat, m := range members {
			u := d.reportUnit(seat, m, i, part)
			if limit := d.plan.Models[m.Model].ContextTokens; limit > 0 && prompt.Tokens(u.ask.prompt.Bytes()) >= limit {
				tooBig = append(tooBig, council.Missing{Subject: m.ID, Part: part.ID, Class: "INVALID_REQUEST", Message: reasonPartTooBig})
				continue
			}
			units = append(units, u)
		}
	}
	h, err := hold(ctx, d, stagePlan[found]{name: council.StagePropose, want: d.Spec.Quorum.Answers(len(members))}, units)
	if err != nil {
		return err
	}
	out := proposed{Coverage: h.coverage, Quorum: h.quorum, Spent: h.spent}
	out.Coverage.Planned = len(members)
	out.Coverage.Missing = append(out.Coverage.Missing, tooBig...)
	for i, came := range h.deliveries {
		if came.failed == nil {
			out.Proposals = append(out.Proposals, d.proposalsOf(units[i], came.value)...)
		}
	}
	out.Parts = partCoverage(task.Parts, members, out.Coverage.Missing)
	return d.complete(ctx, out.Coverage, h.delivered, nil, out, d.budgetEvents(council.StagePropose)...)
}

func (d *deliberation) reportUnit(seat int, m council.Member, ordinal int, part council.MaterialPart) unit[found] {
	nonce := d.plan.Key.Nonce(council.StagePropose, m.ID+"/"+part.ID, "fence")
	u := unit[found]{
		member: m.ID, part: part.ID, nonce: nonce,
		ask: d.seatAsk(council.StagePropose, m, part.ID, prompt.Propose(*d.Task.CodeReview, part, m.Persona, nonce), d.Spec.Stream == council.StreamAll),
		parse: func(text string) (found, error) {
			reports, dropped, err := reply.ParseReports(text, part.Paths, prompt.Categories(*d.Task.CodeReview), council.MaxProposals)
			return found{reports: reports, dropped: dropped}, err
		},
	}
	u.report = func(r record, f found, _ bool) job.NewEvent {
		return event(key(council.StagePropose, "proposed", m.ID, part.ID), &councilv1.CouncilEvent{Event: &councilv1.CouncilEvent_MemberProposed{MemberProposed: &councilv1.MemberProposed{
			Member: m.ID, Part: part.ID, Proposals: wire.Proposals(d.proposals(seat, m.ID, ordinal, part.ID, f)),
			Usage: wire.Usage(r.Usage, 1), Attempt: r.Attempt, Latency: wire.Duration(r.Latency), Dropped: int32(f.dropped), //nolint:gosec // bounded by the text
		}}})
	}
	u.unreadable = unreadableSeat(council.StagePropose, m.ID, part.ID)
	return u
}

func unreadableSeat(stage, member, part string) func(r record, problem error) job.NewEvent {
	return func(r record, problem error) job.NewEvent {
		return event(key(stage, "unreadable", member, part), &councilv1.CouncilEvent{Event: &councilv1.CouncilEvent_MemberFailed{MemberFailed: &councilv1.MemberFailed{
			Stage: stage, Member: member, Part: part, Attempt: r.Attempt, Class: wire.Class(classUnreadable), Message: problem.Error(),
		}}})
	}
}

// proposalsOf finds seat and part of a unit again.
func (d *deliberation) proposalsOf(u unit[found], f found) []council.Proposal {
	seat := slices.IndexFunc(d.Spec.Answerers(), func(m council.Member) bool { return m.ID == u.member })
	part := slices.IndexFunc(d.Task.CodeReview.Parts, func(p council.MaterialPart) bool { return p.ID == u.part })
	return d.proposals(seat, u.member, part, u.part, f)
}

func (d *deliberation) proposals(seat int, member string, ordinal int, part string, f found) []council.Proposal {
	var out []council.Proposal
	for i, r := range f.reports {
		p := council.Proposal{
			ID: fmt.Sprintf("s%dp%dn%d", seat+1, ordinal+1, i+1), Source: member, Part: part, Path: r.Path, StartLine: r.StartLine, EndLine: r.EndLine,
			Side: r.Side, Code: r.Code, Category: r.Category, Severity: r.Severity, Claim: r.Claim, Reason: r.Reason,
			Suggestion: r.Suggestion, Confidence: r.Confidence,
		}
		out = append(out, p)
	}
	return out
}

// partCoverage says of each part who read it.
func partCoverage(parts []council.MaterialPart, members []council.Member, missing []council.Missing) []council.PartCoverage {
	out := make([]council.PartCoverage, len(parts))
	for i, part := range parts {
		c := council.PartCoverage{Part: part.ID, Status: council.PartCovered}
		for _, m := range members {
			at := slices.IndexFunc(missing, func(x council.Missing) bool { return x.Subject == m.ID && x.Part == part.ID })
			if at < 0 {
				c.Members = append(c.Members, m.ID)
				continue
			}
			c.Status, c.Reason = council.PartPartly, missing[at].Class
			if missing[at].Message == reasonPartTooBig {
				c.Reason = reasonPartTooBig
			}
		}
		if len(c.Members) == 0 {
			c.Status = council.PartSkipped
		}
		out[i] = c
	}
	return out
}

// group lets the outside proposals join and forms the findings. No model is asked.
func (d *deliberation) group(ctx context.Context, p proposed) error {
	outside := d.outside(p.Proposals)
	all := append(slices.Clone(p.Proposals), outside...)
	g := tally.Grouping{
		Parts: d.Task.CodeReview.Parts, Threshold: d.Spec.Votes.SimilarityThreshold, Fingerprint: d.fingerprint,
		Tie: func(id string) string { return d.plan.Key.Rank("proposal/" + id) },
	}
	out := grouped{Coverage: council.StageCoverage{Stage: council.StageGroup, ClosedBy: council.ClosedAll}, Proposals: all, Findings: g.Group(all)}
	events := joined(outside)
	events = append(events, event(key(council.StageGroup, "grouped"), &councilv1.CouncilEvent{Event: &councilv1.CouncilEvent_FindingsGrouped{FindingsGrouped: &councilv1.FindingsGrouped{
		Proposals: int32(len(all)), Findings: int32(len(out.Findings)), //nolint:gosec // bounded by the task
	}}}))
	if d.Spec.Mode == council.ModeAnswersOnly {
		in := tally.Input{Policy: d.Spec.Votes, Members: d.Spec.Members, Proposals: all, Findings: out.Findings}
		out.Findings = in.Unconcluded()
	}
	return d.complete(ctx, out.Coverage, nil, nil, out, events...)
}

// outside gives the outside proposals IDs that nothing else has.
func (d *deliberation) outside(own []council.Proposal) []council.Proposal {
	taken := map[string]bool{}
	for _, p := range own {
		taken[p.ID] = true
	}
	out := slices.Clone(d.Task.CodeReview.Outside)
	for i := range out {
		out[i].Outside = true
		if out[i].ID == "" || taken[out[i].ID] {
			out[i].ID = fmt.Sprintf("o%d", i+1)
		}
		for taken[out[i].ID] {
			out[i].ID += "x"
		}
		taken[out[i].ID] = true
		if out[i].Severity == finding.SeverityUnspecified {
			out[i].Severity = finding.SeverityMedium
		}
	}
	return out
}

func joined(outside []council.Proposal) []job.NewEvent {
	count := map[string]int32{}
	var sources []string
	for _, p := range outside {
		if count[p.Source] == 0 {
			sources = append(sources, p.Source)
		}
		count[p.Source]++
	}
	var events []job.NewEvent
	for i, s := range sources {
		events = append(events, event(key(council.StageGroup, "joined", i), &councilv1.CouncilEvent{Event: &councilv1.CouncilEvent_OutsideProposalsJoined{
			OutsideProposalsJoined: &councilv1.OutsideProposalsJoined{Source: s, Count: count[s]},
		}}))
	}
	return events
}

// batch is what one call judges: finding IDs in the order of display, under the labels F1, F2 ….
type batch struct {
	member council.Member
	part   string
	ids    []string
}

func (b batch) labels() []string {
	out := make([]string, len(b.ids))
	for i := range out {
		out[i] = fmt.Sprintf("F%d", i+1)
	}
	return out
}

// batches cuts what each judging member did not propose, in an order of its own.
func (d *deliberation) batches(p proposed, g grouped) []batch {
	var out []batch
	for _, m := range d.Spec.Judges() {
		if refused(p.Coverage, m.ID) {
			continue
		}
		ids := tally.Examine(m.ID, g.Findings, g.Proposals)
		mixed := make([]string, len(ids))
		for i, at := range d.plan.Key.Shuffle(len(ids), council.StageCrossExamine, m.ID, "order") {
			mixed[i] = ids[at]
		}
		n := 0
		for part := range slices.Chunk(mixed, d.Spec.Votes.FindingsPerBatch) {
			n++
			out = append(out, batch{member: m, part: fmt.Sprintf("b%d", n), ids: part})
		}
	}
	return out
}

// crossExamine has the members judge the findings that they did not propose, and tallies.
func (d *deliberation) crossExamine(ctx context.Context, p proposed, g grouped) error {
	batches := d.batches(p, g)
	in := tally.Input{
		Policy: d.Spec.Votes, Members: d.Spec.Members, Proposals: g.Proposals, Findings: g.Findings, Examined: true,
		Shown: map[string][][]string{}, Cast: map[string]map[string]council.Vote{},
	}
	out := examined{Coverage: skipped(council.StageCrossExamine, "NOTHING_TO_EXAMINE"), Quorum: true}
	var voted, abstained []string
	if len(batches) > 0 {
		units := make([]unit[map[string]reply.Vote], len(batches))
		quotes := newExcerpts(d.Task.CodeReview.Parts)
		for i, b := range batches {
			units[i] = d.voteUnit(b, g, quotes)
			in.Shown[b.member.ID] = append(in.Shown[b.member.ID], b.ids)
		}
		h, err := hold(ctx, d, stagePlan[map[string]reply.Vote]{name: council.StageCrossExamine, want: d.Spec.Quorum.Ballots(len(membersOf(units)))}, units)
		if err != nil {
			return err
		}
		out.Coverage, out.Quorum, out.Spent, voted = h.coverage, h.quorum, h.spent, h.delivered
		for i, came := range h.deliveries {
			if came.failed != nil {
				if came.failed.Class == classUnreadable && !slices.Contains(abstained, came.member) {
					abstained = append(abstained, came.member)
				}
				continue
			}
			cast := in.Cast[came.member]
			if cast == nil {
				cast = map[string]council.Vote{}
				in.Cast[came.member] = cast
			}
			maps.Copy(cast, votesOf(batches[i], came.value))
		}
		out.Coverage.Abstained = len(abstained)
	}
	out.Findings = in.Conclude()
	events := d.budgetEvents(council.StageCrossExamine)
	for _, f := range out.Findings {
		events = append(events, event(key(council.StageCrossExamine, "concluded", f.ID), &councilv1.CouncilEvent{Event: &councilv1.CouncilEvent_FindingConcluded{
			FindingConcluded: &councilv1.FindingConcluded{Finding: wire.Finding(f)},
		}}))
	}
	return d.complete(ctx, out.Coverage, voted, abstained, out, events...)
}

func (d *deliberation) voteUnit(b batch, g grouped, quotes *excerpts) unit[map[string]reply.Vote] {
	nonce := d.plan.Key.Nonce(council.StageCrossExamine, b.member.ID+"/"+b.part, "fence")
	labels := b.labels()
	claims := make([]prompt.Claim, len(b.ids))
	for i, id := range b.ids {
		claims[i] = d.claim(labels[i], id, g, quotes)
	}
	return unit[map[string]reply.Vote]{
		member: b.member.ID, part: b.part, nonce: nonce,
		ask:   d.seatAsk(council.StageCrossExamine, b.member, b.part, prompt.CrossExamine(*d.Task.CodeReview, claims, nonce), false),
		parse: func(text string) (map[string]reply.Vote, error) { return reply.ParseVotes(text, labels) },
		report: func(r record, votes map[string]reply.Vote, _ bool) job.NewEvent {
			return event(key(council.StageCrossExamine, "votes", b.member.ID, b.part), votesCast(b, r, votesOf(b, votes)))
		},
		unreadable: unreadableSeat(council.StageCrossExamine, b.member.ID, b.part),
	}
}

func votesCast(b batch, r record, votes map[string]council.Vote) *councilv1.CouncilEvent {
	out := &councilv1.VotesCast{Reviewer: b.member.ID, Part: b.part, Usage: wire.Usage(r.Usage, 1), Attempt: r.Attempt}
	for _, id := range b.ids {
		if v, ok := votes[id]; ok {
			out.Votes = append(out.Votes, &councilv1.CastVote{Finding: id, Vote: wire.Vote(v)})
		}
	}
	return &councilv1.CouncilEvent{Event: &councilv1.CouncilEvent_VotesCast{VotesCast: out}}
}

// votesOf takes the labels of a batch back.
func votesOf(b batch, votes map[string]reply.Vote) map[string]council.Vote {
	id := map[string]string{}
	for i, label := range b.labels() {
		id[label] = b.ids[i]
	}
	out := map[string]council.Vote{}
	for label, v := range votes {
		out[id[label]] = council.Vote{
			Voter: b.member.ID, Model: b.member.Model, Vote: v.Vote, Severity: v.Severity, Reason: v.Reason,
			DuplicateOf: id[v.DuplicateOf], Counted: b.member.Counts(),
		}
	}
	return out
}

// claim shows a finding without its author.
func (d *deliberation) claim(label, id string, g grouped, quotes *excerpts) prompt.Claim {
	at := slices.IndexFunc(g.Findings, func(f council.Finding) bool { return f.ID == id })
	p := proposalOf(g.Proposals, g.Findings[at].Representative)
	return prompt.Claim{
		Label: label, Place: placeOf(p), Category: string(p.Category), Claim: p.Claim, Reason: p.Reason,
		Excerpt: quotes.of(p),
	}
}

func proposalOf(list []council.Proposal, id string) council.Proposal {
	for _, p := range list {
		if p.ID == id {
			return p
		}
	}
	return council.Proposal{}
}

func placeOf(p council.Proposal) string {
	place := p.Path
	if p.StartLine > 0 {
		place = fmt.Sprintf("%s:%d", place, p.StartLine)
	}
	if p.Symbol != "" {
		place += " in " + p.Symbol
	}
	return place
}
