package worker

import (
	"context"
	"slices"

	councilv1 "witan.dev/gen/witan/council/v1"
	"witan.dev/internal/job"
	"witan.dev/services/council"
	"witan.dev/services/council/draw"
	"witan.dev/services/council/prompt"
	"witan.dev/services/council/ranking"
	"witan.dev/services/council/reply"
	"witan.dev/services/council/wire"
)

// answered is the outcome of the stage answer.
type answered struct {
	Coverage council.StageCoverage `json:"coverage"`
	Quorum   bool                  `json:"quorum"`
	Answers  []council.Answer      `json:"answers,omitempty"`
	Spent    spent                 `json:"spent"`
}

// ranked is the outcome of the stage rank.
type ranked struct {
	Coverage  council.StageCoverage `json:"coverage"`
	Quorum    bool                  `json:"quorum"`
	Ballots   []council.Ballot      `json:"ballots,omitempty"`
	Aggregate *ranking.Aggregate    `json:"aggregate,omitempty"`
	Spent     spent                 `json:"spent"`
}

func (a answered) covered() council.StageCoverage { return a.Coverage }

func (r ranked) covered() council.StageCoverage { return r.Coverage }

func (a answered) unreadable() []string { return nil } // any text is an answer

func (r ranked) unreadable() []string {
	var out []string
	for _, b := range r.Ballots {
		if b.Parse == council.ParseInvalid {
			out = append(out, place(b.Reviewer, ""))
		}
	}
	return out
}

// question runs a deliberation over a question.
func (d *deliberation) question(ctx context.Context) error {
	var a answered
	var r ranked
	var c concluded
	if err := stage(ctx, d, council.StageAnswer, &a, d.answer); err != nil {
		return err
	}
	d.ended.Delivered = len(a.Answers)
	planned := council.Stages(d.Spec, council.TaskQuestion)
	goOn := d.goOn(a.Quorum) && len(a.Answers) > 0
	if goOn && slices.Contains(planned, council.StageRank) {
		if err := stage(ctx, d, council.StageRank, &r, func(ctx context.Context) error { return d.rank(ctx, a) }); err != nil {
			return err
		}
		goOn = r.Coverage.ClosedBy == council.ClosedSkipped || d.goOn(r.Quorum)
	}
	if goOn && slices.Contains(planned, council.StageSynthesise) {
		if err := stage(ctx, d, council.StageSynthesise, &c, func(ctx context.Context) error { return d.synthesise(ctx, a, r) }); err != nil {
			return err
		}
	}
	d.heed(a.Coverage, r.Coverage, c.Coverage)
	return d.finish(ctx, d.questionResult(a, r, c))
}

// heed notes a stop that came while the last step ran, where no later step finds it.
func (d *deliberation) heed(stages ...council.StageCoverage) {
	for _, s := range stages {
		d.ended.Cancelled = d.ended.Cancelled || s.ClosedBy == council.ClosedCancelled
		d.ended.DeadlinePassed = d.ended.DeadlinePassed || s.ClosedBy == council.ClosedDeadline
	}
}

// goOn says whether a stage's end lets the next one begin, and notes which policy kept it from that.
func (d *deliberation) goOn(quorum bool) bool {
	if d.stopped != nil {
		return false
	}
	if !quorum && d.Spec.Quorum.OnPartial == council.PartialFail {
		d.ended.QuorumFailed = true
		return false
	}
	if d.budget.exceeded() != "" && d.Spec.Budget.OnExceed == council.ExceedFail {
		d.ended.BudgetFailed = true
		return false
	}
	return true
}

// answer asks every answering member, blind.
func (d *deliberation) answer(ctx context.Context) error {
	members := d.Spec.Answerers()
	units := make([]unit[string], len(members))
	for i, m := range members {
		nonce := d.plan.Key.Nonce(council.StageAnswer, m.ID, "fence")
		p := prompt.Answer(*d.Task.Question, d.plan.History, m.Persona, nonce)
		units[i] = unit[string]{
			member: m.ID, ask: d.seatAsk(council.StageAnswer, m, "", p, d.Spec.Stream == council.StreamAll),
			parse: func(text string) (string, error) { return text, nil },
			report: func(r record, _ string, _ bool) job.NewEvent {
				return event(key(council.StageAnswer, "answered", m.ID), &councilv1.CouncilEvent{Event: &councilv1.CouncilEvent_MemberAnswered{
					MemberAnswered: &councilv1.MemberAnswered{Answer: wire.Answer(answerOf(m.ID, r))},
				}})
			},
		}
	}
	h, err := hold(ctx, d, stagePlan[string]{name: council.StageAnswer, want: d.Spec.Quorum.Answers(len(members))}, units)
	if err != nil {
		return err
	}
	out := answered{Coverage: h.coverage, Quorum: h.quorum, Spent: h.spent}
	for _, came := range h.deliveries {
		if came.failed == nil {
			out.Answers = append(out.Answers, answerOf(came.member, came.record))
		}
	}
	return d.complete(ctx, out.Coverage, h.delivered, nil, out, d.budgetEvents(council.StageAnswer)...)
}

func answerOf(member string, r record) council.Answer {
	return council.Answer{
		ID: member, Member: member, Model: r.Model, Text: r.Text, Finish: r.Finish, Usage: r.Usage, Latency: r.Latency, Attempt: r.Attempt,
	}
}

// budgetEvents say once a stage that the budget stopped something.
func (d *deliberation) budgetEvents(stage string) []job.NewEvent {
	measure := d.budget.exceeded()
	if measure == "" {
		return nil
	}
	return []job.NewEvent{event(key(stage, "budget"), &councilv1.CouncilEvent{Event: &councilv1.CouncilEvent_BudgetExceeded{BudgetExceeded: &councilv1.BudgetExceeded{
		Kind: measure, Stage: stage, Action: wire.OnExceed(d.Spec.Budget.OnExceed),
	}}})}
}

// shown is what one reviewer is given: answer IDs in the order of display, under the labels A, B, C ….
type shown struct {
	member council.Member
	ids    []string
}

// reviewers lists who ranks what: every judging member, without its own answer, except members that the provider refuses.
func (d *deliberation) reviewers(a answered) []shown {
	var out []shown
	for i, m := range d.Spec.Judges() {
		if refused(a.Coverage, m.ID) {
			continue
		}
		out = append(out, shown{member: m, ids: d.display(m, i, a.Answers)})
	}
	return out
}

func refused(c council.StageCoverage, member string) bool {
	return slices.ContainsFunc(c.Missing, func(m council.Missing) bool {
		return m.Subject == member && (m.Class == "AUTH" || m.Class == classCircuitOpen)
	})
}

// display orders the answers of others for one reviewer.
func (d *deliberation) display(m council.Member, seat int, answers []council.Answer) []string {
	n := len(answers)
	var order []int
	if d.Spec.Ranking.Order == council.OrderBalanced {
		circle := d.plan.Key.Shuffle(n, council.StageRank, "", "circle")
		start := slices.IndexFunc(circle, func(i int) bool { return answers[i].Member == m.ID }) + 1
		if start == 0 {
			start = seat
		}
		for i := range n {
			order = append(order, circle[(start+i)%n])
		}
	} else {
		order = d.plan.Key.Shuffle(n, council.StageRank, m.ID, "order")
	}
	var ids []string
	for _, i := range order {
		own := answers[i].Member == m.ID || (d.Spec.Ranking.Recuse == council.RecuseModel && answers[i].Model == m.Model)
		if !own {
			ids = append(ids, answers[i].ID)
		}
	}
	return ids
}

// rank has the members order the answers of the others.
func (d *deliberation) rank(ctx context.Context, a answered) error {
	reviewers := slices.DeleteFunc(d.reviewers(a), func(s shown) bool { return len(s.ids) < 2 })
	if len(a.Answers) < 2 || len(reviewers) == 0 {
		return d.skip(ctx, council.StageRank, "TOO_FEW_CANDIDATES", ranked{Coverage: skipped(council.StageRank, "TOO_FEW_CANDIDATES"), Quorum: true})
	}
	units := make([]unit[reply.Ballot], len(reviewers))
	for i, s := range reviewers {
		units[i] = d.ballotUnit(s, a)
	}
	want := d.Spec.Quorum.Ballots(len(reviewers))
	h, err := hold(ctx, d, stagePlan[reply.Ballot]{name: council.StageRank, want: want, watch: d.consensus(a, reviewers)}, units)
	if err != nil {
		return err
	}
	out := ranked{Coverage: h.coverage, Quorum: h.quorum, Spent: h.spent}
	if h.coverage.ClosedBy == council.ClosedConsensus { // those who were spared did not fail
		out.Coverage.Missing = slices.DeleteFunc(out.Coverage.Missing, func(m council.Missing) bool { return m.Class == classStageClosed })
	}
	var abstained []string
	for i, came := range h.deliveries {
		b := ballotOf(reviewers[i], came)
		if b == nil {
			continue
		}
		out.Ballots = append(out.Ballots, *b)
		if b.Parse == council.ParseInvalid {
			abstained = append(abstained, came.member)
		}
	}
	d.abstain(&out.Coverage, abstained)
	aggregate := d.aggregate(a, out.Ballots, len(reviewers))
	out.Aggregate = &aggregate
	return d.complete(ctx, out.Coverage, h.delivered, abstained, out, append(d.budgetEvents(council.StageRank),
		event(key(council.StageRank, "ranking"), &councilv1.CouncilEvent{Event: &councilv1.CouncilEvent_RankingCompleted{
			RankingCompleted: &councilv1.RankingCompleted{Aggregate: wire.Aggregate(&aggregate)},
		}}))...)
}

// abstain moves unreadable judgements from the missing to the abstentions.
func (d *deliberation) abstain(c *council.StageCoverage, members []string) {
	c.Abstained = len(members)
	c.Missing = slices.DeleteFunc(c.Missing, func(m council.Missing) bool {
		return m.Class == classUnreadable && slices.Contains(members, m.Subject)
	})
}

func (d *deliberation) ballotUnit(s shown, a answered) unit[reply.Ballot] {
	nonce := d.plan.Key.Nonce(council.StageRank, s.member.ID, "fence")
	labels := draw.Labels(len(s.ids))
	texts := make([]prompt.Labelled, len(s.ids))
	for i, id := range s.ids {
		texts[i] = prompt.Labelled{Label: labels[i], Text: textOf(a.Answers, id)}
	}
	cast := func(r record, b reply.Ballot, repaired bool) *councilv1.CouncilEvent {
		made := ballotOf(s, delivery[reply.Ballot]{member: s.member.ID, value: b, record: r, repaired: repaired})
		return &councilv1.CouncilEvent{Event: &councilv1.CouncilEvent_BallotCast{BallotCast: &councilv1.BallotCast{Ballot: wire.Ballot(*made)}}}
	}
	return unit[reply.Ballot]{
		member: s.member.ID, nonce: nonce,
		ask: d.seatAsk(council.StageRank, s.member, "", prompt.Rank(*d.Task.Question, texts, nonce), false),
		parse: func(text string) (reply.Ballot, error) {
			return reply.ParseBallot(text, labels, d.Spec.Ranking.MaxCritiqueChars)
		},
		report: func(r record, b reply.Ballot, repaired bool) job.NewEvent {
			return event(key(council.StageRank, "ballot", s.member.ID), cast(r, b, repaired))
		},
		unreadable: func(_ record, problem error) job.NewEvent {
			return event(key(council.StageRank, "rejected", s.member.ID), &councilv1.CouncilEvent{Event: &councilv1.CouncilEvent_BallotRejected{BallotRejected: &councilv1.BallotRejected{
				Reviewer: s.member.ID, Parse: councilv1.Ballot_INVALID, Reason: problem.Error(),
			}}})
		},
	}
}

func textOf(answers []council.Answer, id string) string {
	for _, a := range answers {
		if a.ID == id {
			return a.Text
		}
	}
	return ""
}

// ballotOf is the ballot of a delivery: nil where nothing came, INVALID where it could not be read.
func ballotOf(s shown, came delivery[reply.Ballot]) *council.Ballot {
	b := council.Ballot{Reviewer: s.member.ID, ShownOrder: s.ids, Parse: council.ParseOK, Usage: came.spent.Usage}
	if came.spent.Calls == 0 {
		b.Usage = came.record.Usage
	}
	switch {
	case came.failed != nil && came.failed.Class == classUnreadable:
		b.Parse, b.Reason = council.ParseInvalid, came.failed.Message
		return &b
	case came.failed != nil:
		return nil
	case came.repaired:
		b.Parse = council.ParseRepaired
	}
	id := map[string]string{}
	for i, label := range draw.Labels(len(s.ids)) {
		id[label] = s.ids[i]
	}
	for _, label := range came.value.Ranking {
		b.Ranking = append(b.Ranking, id[label])
	}
	for _, c := range came.value.Critiques {
		b.Critiques = append(b.Critiques, council.Critique{Answer: id[c.Label], Text: c.Text})
	}
	b.Counted = s.member.Counts()
	return &b
}

func counted(ballots []council.Ballot) []ranking.Ballot {
	var out []ranking.Ballot
	for _, b := range ballots {
		if b.Counted {
			out = append(out, ranking.Ballot{Reviewer: b.Reviewer, Shown: b.ShownOrder, Ranking: b.Ranking})
		}
	}
	return out
}

func (d *deliberation) aggregate(a answered, ballots []council.Ballot, planned int) ranking.Aggregate {
	in := ranking.Input{
		Ballots: counted(ballots), Planned: planned, Method: ranking.Method(d.Spec.Ranking.Method), Tie: d.plan.Key.Rank,
		Length: func(id string) int { return len(textOf(a.Answers, id)) },
	}
	for _, x := range a.Answers {
		in.Candidates = append(in.Candidates, x.ID)
	}
	return in.Aggregate()
}

// questionResult joins the stages' outcomes.
func (d *deliberation) questionResult(a answered, r ranked, c concluded) council.Result {
	out := council.Result{
		Answers: a.Answers, Ballots: r.Ballots, Aggregate: r.Aggregate, Title: d.plan.Title, Origin: council.OriginNone,
		Coverage: d.coverage(tookPart(a, r), a.Coverage, r.Coverage, c.Coverage),
	}
	out.Coverage.QuorumMet = a.Quorum && (r.Coverage.Stage == "" || r.Quorum)
	for _, s := range []spent{a.Spent, r.Spent, c.Spent} {
		out.Usage, out.Calls = out.Usage.Add(s.Usage), out.Calls+s.Calls
	}
	if r.Aggregate != nil && len(r.Aggregate.Ranked) > 0 && r.Aggregate.Ranked[0].Rank > 0 {
		out.TopRanked = r.Aggregate.Ranked[0].Answer
		out.Dissent = dissentOf(r.Ballots, out.TopRanked)
	}
	if d.ended.Cancelled || d.ended.QuorumFailed || d.ended.BudgetFailed || d.Spec.Mode == council.ModeAnswersOnly || len(a.Answers) == 0 {
		return out
	}
	switch {
	case c.Text != "":
		out.Answer, out.Origin, out.Chairman = c.Text, c.Origin, c.Model
	case len(a.Answers) == 1:
		out.Answer, out.Origin = a.Answers[0].Text, council.OriginSingleSurvivor
	default:
		top := d.top(a, r)
		out.Answer, out.Origin = textOf(a.Answers, top), council.OriginTopRanked
		if r.Aggregate == nil {
			aggregate := d.aggregate(a, nil, 0)
			out.Aggregate = &aggregate
		}
	}
	return out
}

// top is the answer that stands first; where nothing was judged, the tie key decides and the tie is marked.
func (d *deliberation) top(a answered, r ranked) string {
	aggregate := r.Aggregate
	if aggregate == nil {
		made := d.aggregate(a, nil, 0)
		aggregate = &made
	}
	return aggregate.Ranked[0].Answer
}

func dissentOf(ballots []council.Ballot, top string) []council.Dissent {
	var out []council.Dissent
	for _, b := range ballots {
		if len(b.Ranking) == 0 || b.Ranking[0] == top || !slices.Contains(b.Ranking, top) {
			continue
		}
		dissent := council.Dissent{Member: b.Reviewer, Subject: top, Position: b.Ranking[0]}
		for _, c := range b.Critiques {
			if c.Answer == top {
				dissent.Reason = c.Text
			}
		}
		out = append(out, dissent)
	}
	return out
}

// tookPart are the members that answered or judged.
func tookPart(a answered, r ranked) map[string]bool {
	members := map[string]bool{}
	for _, x := range a.Answers {
		members[x.Member] = true
	}
	for _, b := range r.Ballots {
		members[b.Reviewer] = true
	}
	return members
}

// coverage joins the stages that were held or skipped, and counts the models of the members that took part.
func (d *deliberation) coverage(took map[string]bool, stages ...council.StageCoverage) council.Coverage {
	c := council.Coverage{BudgetStop: d.budget.exceeded() != ""}
	models := map[string]bool{}
	for _, m := range d.Spec.Members {
		if took[m.ID] {
			models[m.Model] = true
		}
	}
	c.Models = len(models)
	for _, s := range stages {
		if s.Stage == "" {
			continue
		}
		c.Stages = append(c.Stages, s)
		if s.ClosedBy == council.ClosedBudget {
			c.BudgetStop = true
		}
	}
	return c
}
