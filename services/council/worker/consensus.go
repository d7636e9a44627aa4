package worker

import (
	"context"
	"slices"

	councilv1 "witan.dev/gen/witan/council/v1"
	"witan.dev/services/council"
	"witan.dev/services/council/ranking"
	"witan.dev/services/council/reply"
)

// consensus watches for a leader that outstanding ballots cannot overtake.
func (d *deliberation) consensus(a answered, reviewers []shown) func(ctx context.Context, so []delivery[reply.Ballot]) (council.ClosedBy, error) {
	policy := d.Spec.Ranking.EarlyConsensus
	if policy == council.ConsensusOff {
		return nil
	}
	said := false
	return func(ctx context.Context, so []delivery[reply.Ballot]) (council.ClosedBy, error) {
		if said {
			return "", nil
		}
		var ballots []council.Ballot
		ended := map[string]bool{}
		for _, came := range so {
			ended[came.member] = true
			at := slices.IndexFunc(reviewers, func(s shown) bool { return s.member.ID == came.member })
			if b := ballotOf(reviewers[at], came); b != nil {
				ballots = append(ballots, *b)
			}
		}
		var outstanding []string
		var open [][]string
		for _, s := range reviewers {
			if !ended[s.member.ID] {
				outstanding = append(outstanding, s.member.ID)
				if s.member.Counts() {
					open = append(open, s.ids)
				}
			}
		}
		candidates := make([]string, len(a.Answers))
		for i, x := range a.Answers {
			candidates[i] = x.ID
		}
		leader, decided := ranking.Decided(candidates, counted(ballots), open)
		if !decided || len(outstanding) == 0 {
			return "", nil
		}
		said = true
		err := d.run.Append(ctx, event(key(council.StageRank, "consensus"), &councilv1.CouncilEvent{Event: &councilv1.CouncilEvent_ConsensusReached{ConsensusReached: &councilv1.ConsensusReached{
			Leader: leader, Outstanding: outstanding, Shadow: policy != council.ConsensusOn,
		}}}))
		if err != nil || policy != council.ConsensusOn {
			return "", err
		}
		return council.ClosedConsensus, nil
	}
}
