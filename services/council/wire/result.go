package wire

import (
	councilv1 "witan.dev/gen/witan/council/v1"
	typev1 "witan.dev/gen/witan/type/v1"
	"witan.dev/services/council"
	"witan.dev/services/council/ranking"
)

// Usage translates a usage. calls says how many calls it covers.
func Usage(u council.Usage, calls int64) *typev1.Usage {
	out := &typev1.Usage{
		InputTokens: u.InputTokens, OutputTokens: u.OutputTokens, CachedTokens: u.CachedTokens, ReasoningTokens: u.ReasoningTokens,
		CostMicros: u.CostMicros, CurrencyCode: u.Currency, Calls: calls,
	}
	switch {
	case u.Unpriced:
		out.CostSource = typev1.Usage_UNKNOWN
	case u.CostMicros != nil && u.Estimated:
		out.CostSource = typev1.Usage_ESTIMATE
	case u.CostMicros != nil:
		out.CostSource = typev1.Usage_PROVIDER
	}
	return out
}

// Answer translates an answer.
func Answer(a council.Answer) *councilv1.MemberAnswer {
	return &councilv1.MemberAnswer{
		Id: a.ID, Member: a.Member, Model: a.Model, Text: a.Text, Finish: Finish(a.Finish),
		Usage: Usage(a.Usage, 1), Latency: Duration(a.Latency), Attempt: a.Attempt,
	}
}

// Finish translates how a text ended.
func Finish(name string) councilv1.MemberAnswer_Finish {
	return toEnum[councilv1.MemberAnswer_Finish](councilv1.MemberAnswer_Finish_value, name)
}

// Ballot translates a ballot.
func Ballot(b council.Ballot) *councilv1.Ballot {
	out := &councilv1.Ballot{
		Reviewer: b.Reviewer, ShownOrder: b.ShownOrder, Ranking: b.Ranking, Parse: Parse(b.Parse), Counted: b.Counted, Usage: Usage(b.Usage, 1),
	}
	for _, c := range b.Critiques {
		out.Critiques = append(out.Critiques, &councilv1.Critique{Answer: c.Answer, Text: c.Text})
	}
	return out
}

// Parse translates a parse status.
func Parse(p council.ParseStatus) councilv1.Ballot_ParseStatus {
	return toEnum[councilv1.Ballot_ParseStatus](councilv1.Ballot_ParseStatus_value, p)
}

// Aggregate translates an aggregate.
func Aggregate(a *ranking.Aggregate) *councilv1.Aggregate {
	if a == nil {
		return nil
	}
	out := &councilv1.Aggregate{
		MethodUsed: toEnum[councilv1.RankingPolicy_Method](councilv1.RankingPolicy_Method_value, a.MethodUsed),
		TieAtTop:   a.TieAtTop, Agreement: a.Agreement, KendallW: a.KendallW,
		BallotsCast: int32Of(a.Cast), BallotsPlanned: int32Of(a.Planned), PositionEffect: a.PositionEffect, LengthEffect: a.LengthEffect,
	}
	for _, r := range a.Ranked {
		out.Ranked = append(out.Ranked, &councilv1.Ranked{
			Answer: r.Answer, Rank: int32Of(r.Rank), Score: r.Score, Borda: r.Borda, MeanRank: r.MeanRank,
			FirstPlaces: int32Of(r.FirstPlaces), Ballots: int32Of(r.Ballots),
		})
	}
	for _, c := range a.Pairwise {
		out.Pairwise = append(out.Pairwise,
			&councilv1.PairwiseCell{Winner: c.A, Loser: c.B, Ballots: int32Of(c.ABefore)},
			&councilv1.PairwiseCell{Winner: c.B, Loser: c.A, Ballots: int32Of(c.BBefore)})
	}
	return out
}

// Finding translates a finding.
func Finding(f council.Finding) *councilv1.Finding {
	out := &councilv1.Finding{
		Id: f.ID, Representative: f.Representative, Proposals: f.Proposals, Alternatives: f.Alternatives, Severity: Severity(f.Severity),
		Outcome: councilv1.Finding_Outcome(councilv1.Finding_Outcome_value[f.Outcome.String()]), OutcomeReason: f.OutcomeReason,
		Tally: &councilv1.FindingTally{
			Confirmed: int32Of(f.Tally.Confirmed), Rejected: int32Of(f.Tally.Rejected), Uncertain: int32Of(f.Tally.Uncertain),
			Proposed: int32Of(f.Tally.Proposed), Planned: int32Of(f.Tally.Planned), Required: int32Of(f.Tally.Required),
			DistinctModels: int32Of(f.Tally.DistinctModels),
		},
	}
	for _, v := range f.Votes {
		out.Votes = append(out.Votes, Vote(v))
	}
	return out
}

// Vote translates a vote.
func Vote(v council.Vote) *councilv1.FindingVote {
	return &councilv1.FindingVote{
		Voter: v.Voter, Vote: councilv1.FindingVote_Vote(councilv1.FindingVote_Vote_value[v.Vote.String()]), Proposed: v.Proposed,
		Severity: Severity(v.Severity), Reason: v.Reason, DuplicateOf: v.DuplicateOf, Model: v.Model, Counted: v.Counted,
	}
}

// Class translates a class of failure.
func Class(name string) councilv1.Failure_Class {
	return toEnum[councilv1.Failure_Class](councilv1.Failure_Class_value, name)
}

// Missing translates what did not deliver.
func Missing(list []council.Missing) []*councilv1.MissingSubject {
	out := make([]*councilv1.MissingSubject, len(list))
	for i, m := range list {
		out[i] = &councilv1.MissingSubject{Subject: m.Subject, Class: Class(m.Class), Part: m.Part}
	}
	return out
}

// ClosedBy translates why a stage ended; SKIPPED has no value of its own.
func ClosedBy(c council.ClosedBy) councilv1.StageCompleted_ClosedBy {
	return toEnum[councilv1.StageCompleted_ClosedBy](councilv1.StageCompleted_ClosedBy_value, c)
}

// Origin translates an origin.
func Origin(o council.Origin) councilv1.DeliberationResult_AnswerOrigin {
	return toEnum[councilv1.DeliberationResult_AnswerOrigin](councilv1.DeliberationResult_AnswerOrigin_value, o)
}

// Coverage translates a coverage.
func Coverage(c council.Coverage) *councilv1.Coverage {
	out := &councilv1.Coverage{QuorumMet: c.QuorumMet, BudgetStop: c.BudgetStop, Models: int32Of(c.Models)}
	for _, s := range c.Stages {
		out.Stages = append(out.Stages, &councilv1.StageCoverage{
			Stage: s.Stage, Planned: int32Of(s.Planned), Delivered: int32Of(s.Delivered), Abstained: int32Of(s.Abstained),
			Missing: Missing(s.Missing), Skipped: s.SkipReason,
		})
	}
	for _, p := range c.Parts {
		out.Parts = append(out.Parts, &councilv1.PartCoverage{
			Part: p.Part, Status: toEnum[councilv1.PartCoverage_Status](councilv1.PartCoverage_Status_value, p.Status),
			Members: p.Members, Reason: p.Reason,
		})
	}
	return out
}

// maxResult is what a result's message may take beside its envelope. What lies beyond is cut and named: the whole is in
// the event log.
const maxResult = 3 << 20

// Result translates a result. Without full it leaves out answers, ballots and votes.
func Result(r *council.Result, full bool) *councilv1.DeliberationResult {
	if r == nil {
		return nil
	}
	out := &councilv1.DeliberationResult{
		Coverage: Coverage(r.Coverage), Origin: Origin(r.Origin), Answer: r.Answer, Chairman: r.Chairman, Aggregate: Aggregate(r.Aggregate),
		TopRanked: r.TopRanked, Contributors: r.Contributors, Usage: Usage(r.Usage, r.Calls), Title: r.Title,
	}
	for _, d := range r.Dissent {
		out.Dissent = append(out.Dissent, &councilv1.Dissent{Member: d.Member, Subject: d.Subject, Position: d.Position, Reason: d.Reason})
	}
	if r.Review != nil {
		out.Review = review(r.Review, full)
	}
	if !full {
		return out
	}
	size := 0
	for _, a := range r.Answers {
		if size += len(a.Text); size > maxResult/2 {
			out.Cut = append(out.Cut, "answers")
			break
		}
		out.Answers = append(out.Answers, Answer(a))
	}
	for _, b := range r.Ballots {
		for _, c := range b.Critiques {
			size += len(c.Text)
		}
		if size > maxResult {
			out.Cut = append(out.Cut, "ballots")
			break
		}
		out.Ballots = append(out.Ballots, Ballot(b))
	}
	return out
}

func review(r *council.Review, full bool) *councilv1.ReviewVerdict {
	out := &councilv1.ReviewVerdict{
		Verdict:   toEnum[councilv1.ReviewVerdict_Verdict](councilv1.ReviewVerdict_Verdict_value, r.Verdict),
		Proposals: Proposals(r.Proposals), Summary: r.Summary,
	}
	for _, f := range r.Findings {
		m := Finding(f)
		if !full {
			m.Votes = nil
		}
		out.Findings = append(out.Findings, m)
	}
	return out
}

// Estimate translates an estimate.
func Estimate(e *council.Estimate) *councilv1.Estimate {
	if e == nil {
		return nil
	}
	out := &councilv1.Estimate{
		Calls: rangeOf(e.Calls), Tokens: rangeOf(e.Tokens), CurrencyCode: e.Currency, Basis: councilv1.Estimate_DEFAULT,
	}
	if e.Cost != nil {
		out.CostMicros = rangeOf(*e.Cost)
	}
	return out
}

func rangeOf(r council.Range) *councilv1.EstimateRange {
	return &councilv1.EstimateRange{Low: r.Low, Expected: r.Expected, High: r.High}
}
