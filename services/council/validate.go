package council

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"
)

// Limits of a council and of what it is asked.
const (
	MaxMembers       = 16
	MaxAnswerBytes   = 128 << 10
	MaxProposals     = 64 // for each member and part
	MaxOutside       = 500
	MaxCritiqueChars = 4000
	MaxPersonaBytes  = 32 << 10
	maxFallbacks     = 8
	maxIDBytes       = 64
	maxAttempts      = 10
	maxOutputTokens  = 1_000_000
	maxVotes         = 32
	maxClock         = 24 * time.Hour
)

var memberID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$`)

// Validate reports everything that is wrong with a spec that went through WithDefaults, each with its field. It knows
// nothing of which models exist.
func (s Spec) Validate() error {
	var errs []error
	bad := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", field, fmt.Sprintf(format, args...)))
	}
	s.validateMembers(bad)
	s.validateChairman(bad)
	oneOf(bad, "mode", s.Mode, ModeAnswersOnly, ModeRanked, ModeFull, ModeVerdict)
	oneOf(bad, "ranking.method", s.Ranking.Method, MethodKemeny, MethodCopeland, MethodBorda)
	oneOf(bad, "ranking.order", s.Ranking.Order, OrderShuffle, OrderBalanced)
	oneOf(bad, "ranking.recuse", s.Ranking.Recuse, RecuseMember, RecuseModel)
	oneOf(bad, "ranking.early_consensus", s.Ranking.EarlyConsensus, ConsensusOff, ConsensusShadow, ConsensusOn)
	within(bad, "ranking.max_critique_chars", s.Ranking.MaxCritiqueChars, 1, MaxCritiqueChars)
	s.validateVotes(bad)
	oneOf(bad, "quorum.on_partial", s.Quorum.OnPartial, PartialReturn, PartialFail, PartialWait)
	within(bad, "quorum.min_answers", s.Quorum.MinAnswers, 0, MaxMembers)
	within(bad, "quorum.min_ballots", s.Quorum.MinBallots, 0, MaxMembers)
	oneOf(bad, "budget.on_exceed", s.Budget.OnExceed, ExceedConclude, ExceedRankedOnly, ExceedFail)
	within(bad, "budget.max_calls", s.Budget.MaxCalls, 0, 1_000_000)
	if s.Budget.MaxTotalTokens < 0 || s.Budget.MaxCostMicros < 0 {
		bad("budget", "a cap is below 0")
	}
	oneOf(bad, "stream", s.Stream, StreamNone, StreamChairman, StreamAll)
	s.validateClocks(bad)
	return errors.Join(errs...)
}

type reporter = func(field, format string, args ...any)

func (s Spec) validateMembers(bad reporter) {
	if len(s.Members) > MaxMembers {
		bad("members", "%d seats, at most %d", len(s.Members), MaxMembers)
	}
	seen := map[string]bool{}
	for i, m := range s.Members {
		field := fmt.Sprintf("members[%d]", i)
		if !memberID.MatchString(m.ID) {
			bad(field+".id", "%.80q is not a letter or digit followed by at most 63 letters, digits and '_.:-'", m.ID)
		}
		if seen[m.ID] {
			bad(field+".id", "%q is used twice", m.ID)
		}
		seen[m.ID] = true
		if m.Model == "" {
			bad(field+".model", "is missing")
		}
		if len(m.Persona) > MaxPersonaBytes {
			bad(field+".persona", "%d bytes, at most %d", len(m.Persona), MaxPersonaBytes)
		}
		oneOf(bad, field+".role", m.Role, RoleFull, RoleAnswerer, RoleReviewer)
		oneOf(bad, field+".authority", m.Authority, AuthorityCounted, AuthorityAdvisory, AuthorityNone)
		if m.Temperature != nil && (*m.Temperature < 0 || *m.Temperature > 2) {
			bad(field+".temperature", "%g is not between 0 and 2", *m.Temperature)
		}
		within(bad, field+".max_output_tokens", m.MaxOutputTokens, 0, maxOutputTokens)
		within(bad, field+".max_attempts", m.MaxAttempts, 1, maxAttempts)
		clock(bad, field+".attempt_timeout", m.AttemptTimeout)
		clock(bad, field+".timeout", m.Timeout)
	}
	if len(s.Members) > 0 && len(s.Answerers()) == 0 {
		bad("members", "no seat answers: at least one needs the role FULL or ANSWERER")
	}
}

func (s Spec) validateChairman(bad reporter) {
	if s.Chairman.Model == "" && len(s.Chairman.FallbackModels) > 0 {
		bad("chairman.model", "is missing although there are fallbacks")
	}
	if len(s.Chairman.FallbackModels) > maxFallbacks {
		bad("chairman.fallback_models", "%d, at most %d", len(s.Chairman.FallbackModels), maxFallbacks)
	}
	if len(s.Chairman.Persona) > MaxPersonaBytes {
		bad("chairman.persona", "%d bytes, at most %d", len(s.Chairman.Persona), MaxPersonaBytes)
	}
	within(bad, "chairman.max_output_tokens", s.Chairman.MaxOutputTokens, 0, maxOutputTokens)
	within(bad, "chairman.max_attempts", s.Chairman.MaxAttempts, 1, maxAttempts)
}

func (s Spec) validateVotes(bad reporter) {
	v := s.Votes
	within(bad, "votes.min_votes.critical", v.MinVotes.Critical, 1, maxVotes)
	within(bad, "votes.min_votes.high", v.MinVotes.High, 1, maxVotes)
	within(bad, "votes.min_votes.medium", v.MinVotes.Medium, 1, maxVotes)
	within(bad, "votes.min_votes.low", v.MinVotes.Low, 1, maxVotes)
	within(bad, "votes.min_independent", v.MinIndependent, 0, maxVotes)
	within(bad, "votes.outside_min_votes", v.OutsideMinVotes, 1, maxVotes)
	within(bad, "votes.findings_per_batch", v.FindingsPerBatch, 1, 100)
	if !(v.SimilarityThreshold > 0 && v.SimilarityThreshold <= 1) { // also refuses NaN
		bad("votes.similarity_threshold", "%g is not above 0 and at most 1", v.SimilarityThreshold)
	}
}

func (s Spec) validateClocks(bad reporter) {
	t := s.Timeouts
	clock(bad, "quorum.grace", s.Quorum.Grace)
	clock(bad, "timeouts.first_token", t.FirstToken)
	clock(bad, "timeouts.attempt", t.Attempt)
	clock(bad, "timeouts.member", t.Member)
	clock(bad, "timeouts.stage", t.Stage)
	clock(bad, "timeouts.chairman_attempt", t.ChairmanAttempt)
	clock(bad, "timeouts.chairman_stage", t.ChairmanStage)
}

func oneOf[T ~string](bad reporter, field string, v T, known ...T) {
	if slices.Contains(known, v) {
		return
	}
	bad(field, "%.40q is none of %q", string(v), known)
}

func within(bad reporter, field string, n, low, high int) {
	if n < low || n > high {
		bad(field, "%d is not between %d and %d", n, low, high)
	}
}

func clock(bad reporter, field string, d time.Duration) {
	if d < 0 || d > maxClock {
		bad(field, "%s is not between 0 and %s", d, maxClock)
	}
}
