package wire

import (
	councilv1 "witan.dev/gen/witan/council/v1"
	"witan.dev/services/council"
)

// Spec translates a spec to its message.
func Spec(s council.Spec) *councilv1.CouncilSpec {
	out := &councilv1.CouncilSpec{
		Members: Members(s.Members), Chairman: Chairman(s.Chairman),
		Mode: Mode(s.Mode),
		Ranking: &councilv1.RankingPolicy{
			Method:           toEnum[councilv1.RankingPolicy_Method](councilv1.RankingPolicy_Method_value, s.Ranking.Method),
			Order:            toEnum[councilv1.RankingPolicy_OrderPolicy](councilv1.RankingPolicy_OrderPolicy_value, s.Ranking.Order),
			Recuse:           toEnum[councilv1.RankingPolicy_Recusal](councilv1.RankingPolicy_Recusal_value, s.Ranking.Recuse),
			EarlyConsensus:   toEnum[councilv1.RankingPolicy_EarlyConsensus](councilv1.RankingPolicy_EarlyConsensus_value, s.Ranking.EarlyConsensus),
			MaxCritiqueChars: int32Of(s.Ranking.MaxCritiqueChars),
		},
		Votes: &councilv1.VotePolicy{
			MinVotes: &councilv1.MinVotes{
				Critical: int32Of(s.Votes.MinVotes.Critical), High: int32Of(s.Votes.MinVotes.High),
				Medium: int32Of(s.Votes.MinVotes.Medium), Low: int32Of(s.Votes.MinVotes.Low),
			},
			MinIndependent: int32Of(s.Votes.MinIndependent), OutsideMinVotes: int32Of(s.Votes.OutsideMinVotes),
			SimilarityThreshold: s.Votes.SimilarityThreshold, FindingsPerBatch: int32Of(s.Votes.FindingsPerBatch),
		},
		Quorum: &councilv1.QuorumPolicy{
			MinAnswers: int32Of(s.Quorum.MinAnswers), MinBallots: int32Of(s.Quorum.MinBallots),
			OnPartial: toEnum[councilv1.QuorumPolicy_OnPartial](councilv1.QuorumPolicy_OnPartial_value, s.Quorum.OnPartial),
			Grace:     Duration(s.Quorum.Grace),
		},
		Timeouts: &councilv1.StageTimeouts{
			FirstToken: Duration(s.Timeouts.FirstToken), Attempt: Duration(s.Timeouts.Attempt), Member: Duration(s.Timeouts.Member),
			Stage: Duration(s.Timeouts.Stage), ChairmanAttempt: Duration(s.Timeouts.ChairmanAttempt), ChairmanStage: Duration(s.Timeouts.ChairmanStage),
		},
		Budget: &councilv1.BudgetPolicy{
			MaxCalls: int32Of(s.Budget.MaxCalls), MaxTotalTokens: s.Budget.MaxTotalTokens, MaxCostMicros: s.Budget.MaxCostMicros,
			CurrencyCode: s.Budget.CurrencyCode, OnExceed: OnExceed(s.Budget.OnExceed),
		},
		Stream: toEnum[councilv1.CouncilSpec_StreamPolicy](councilv1.CouncilSpec_StreamPolicy_value, s.Stream),
		Seed:   s.Seed,
	}
	return out
}

// Mode translates a mode.
func Mode(m council.Mode) councilv1.CouncilSpec_Mode {
	return toEnum[councilv1.CouncilSpec_Mode](councilv1.CouncilSpec_Mode_value, m)
}

// OnExceed translates what a budget does.
func OnExceed(o council.OnExceed) councilv1.BudgetPolicy_OnExceed {
	return toEnum[councilv1.BudgetPolicy_OnExceed](councilv1.BudgetPolicy_OnExceed_value, o)
}

// Members translates seats.
func Members(members []council.Member) []*councilv1.Member {
	out := make([]*councilv1.Member, len(members))
	for i, m := range members {
		out[i] = &councilv1.Member{
			Id: m.ID, Model: m.Model, Persona: m.Persona,
			Role:            toEnum[councilv1.Member_SeatRole](councilv1.Member_SeatRole_value, m.Role),
			Authority:       toEnum[councilv1.Member_Authority](councilv1.Member_Authority_value, m.Authority),
			MaxOutputTokens: int32Of(m.MaxOutputTokens), MaxAttempts: int32Of(m.MaxAttempts),
			AttemptTimeout: Duration(m.AttemptTimeout), Timeout: Duration(m.Timeout),
		}
		if m.Temperature != nil {
			t := float32(*m.Temperature)
			out[i].Temperature = &t
		}
	}
	return out
}

// Chairman translates a chairman.
func Chairman(c council.Chairman) *councilv1.Chairman {
	return &councilv1.Chairman{
		Model: c.Model, FallbackModels: c.FallbackModels, Persona: c.Persona,
		MaxOutputTokens: int32Of(c.MaxOutputTokens), MaxAttempts: int32Of(c.MaxAttempts),
	}
}

// SpecOf translates a message to a spec. What is unset stays at its zero value.
func SpecOf(s *councilv1.CouncilSpec) council.Spec {
	if s == nil {
		return council.Spec{}
	}
	r, v, q, t, b := s.GetRanking(), s.GetVotes(), s.GetQuorum(), s.GetTimeouts(), s.GetBudget()
	return council.Spec{
		Members: membersOf(s.GetMembers()), Chairman: chairmanOf(s.GetChairman()), Mode: fromEnum[council.Mode](s.GetMode()),
		Ranking: council.RankingPolicy{
			Method: fromEnum[council.Method](r.GetMethod()), Order: fromEnum[council.OrderPolicy](r.GetOrder()),
			Recuse: fromEnum[council.Recusal](r.GetRecuse()), EarlyConsensus: fromEnum[council.EarlyConsensus](r.GetEarlyConsensus()),
			MaxCritiqueChars: int(r.GetMaxCritiqueChars()),
		},
		Votes: council.VotePolicy{
			MinVotes: council.MinVotes{
				Critical: int(v.GetMinVotes().GetCritical()), High: int(v.GetMinVotes().GetHigh()),
				Medium: int(v.GetMinVotes().GetMedium()), Low: int(v.GetMinVotes().GetLow()),
			},
			MinIndependent: int(v.GetMinIndependent()), OutsideMinVotes: int(v.GetOutsideMinVotes()),
			SimilarityThreshold: v.GetSimilarityThreshold(), FindingsPerBatch: int(v.GetFindingsPerBatch()),
		},
		Quorum: council.QuorumPolicy{
			MinAnswers: int(q.GetMinAnswers()), MinBallots: int(q.GetMinBallots()),
			OnPartial: fromEnum[council.OnPartial](q.GetOnPartial()), Grace: q.GetGrace().AsDuration(),
		},
		Timeouts: council.StageTimeouts{
			FirstToken: t.GetFirstToken().AsDuration(), Attempt: t.GetAttempt().AsDuration(), Member: t.GetMember().AsDuration(),
			Stage: t.GetStage().AsDuration(), ChairmanAttempt: t.GetChairmanAttempt().AsDuration(), ChairmanStage: t.GetChairmanStage().AsDuration(),
		},
		Budget: council.BudgetPolicy{
			MaxCalls: int(b.GetMaxCalls()), MaxTotalTokens: b.GetMaxTotalTokens(), MaxCostMicros: b.GetMaxCostMicros(),
			CurrencyCode: b.GetCurrencyCode(), OnExceed: fromEnum[council.OnExceed](b.GetOnExceed()),
		},
		Stream: fromEnum[council.StreamPolicy](s.GetStream()),
		Seed:   s.Seed,
	}
}

func membersOf(members []*councilv1.Member) []council.Member {
	if len(members) == 0 {
		return nil
	}
	out := make([]council.Member, len(members))
	for i, m := range members {
		out[i] = council.Member{
			ID: m.GetId(), Model: m.GetModel(), Persona: m.GetPersona(),
			Role: fromEnum[council.SeatRole](m.GetRole()), Authority: fromEnum[council.Authority](m.GetAuthority()),
			MaxOutputTokens: int(m.GetMaxOutputTokens()), MaxAttempts: int(m.GetMaxAttempts()),
			AttemptTimeout: m.GetAttemptTimeout().AsDuration(), Timeout: m.GetTimeout().AsDuration(),
		}
		if m.Temperature != nil {
			t := float64(m.GetTemperature())
			out[i].Temperature = &t
		}
	}
	return out
}

func chairmanOf(c *councilv1.Chairman) council.Chairman {
	return council.Chairman{
		Model: c.GetModel(), FallbackModels: c.GetFallbackModels(), Persona: c.GetPersona(),
		MaxOutputTokens: int(c.GetMaxOutputTokens()), MaxAttempts: int(c.GetMaxAttempts()),
	}
}
