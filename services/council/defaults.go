package council

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Defaults of a Spec. docs/council.md says which of them measurements support.
const (
	DefaultMaxAttempts = 3
	// DefaultChairmanAttempts is for each model of the chairman's chain.
	DefaultChairmanAttempts = 2
	DefaultCritiqueChars    = 1000
	DefaultMinVotes         = 2
	DefaultSimilarity       = 0.5
	DefaultBatch            = 20
	DefaultGrace            = 60 * time.Second
	DefaultDeadline         = 30 * time.Minute
	// DefaultSeats is the size of a council that is made from models alone: with three, each pair of answers is judged
	// by one reviewer only.
	DefaultSeats = 4
)

// WithDefaults fills what is not set. task decides what is streamed: members of a review write JSON, which nobody reads
// as it comes.
func (s Spec) WithDefaults(task TaskKind) Spec {
	s.Members = slices.Clone(s.Members)
	seats := map[string]int{}
	for _, m := range s.Members {
		seats[m.Model]++
	}
	used := map[string]int{}
	for i, m := range s.Members {
		used[m.Model]++
		s.Members[i] = m.withDefaults(seatID(m.Model, used[m.Model], seats[m.Model]))
	}
	if s.Chairman.Model == "" && len(s.Members) > 0 {
		s.Chairman.Model = s.Members[0].Model
	}
	s.Chairman.MaxAttempts = cmp.Or(s.Chairman.MaxAttempts, DefaultChairmanAttempts)
	s.Mode = cmp.Or(s.Mode, ModeFull)
	s.Ranking = s.Ranking.withDefaults()
	s.Votes = s.Votes.withDefaults()
	s.Quorum.OnPartial = cmp.Or(s.Quorum.OnPartial, PartialReturn)
	s.Quorum.Grace = cmp.Or(s.Quorum.Grace, DefaultGrace)
	s.Timeouts = s.Timeouts.withDefaults()
	s.Budget.OnExceed = cmp.Or(s.Budget.OnExceed, ExceedConclude)
	if s.Stream == "" {
		s.Stream = StreamAll
		if task == TaskCodeReview {
			s.Stream = StreamChairman
		}
	}
	return s
}

// seatID is the model's name, numbered where several seats use the model.
func seatID(model string, nth, seats int) string {
	id := strings.Map(func(r rune) rune {
		if memberID.MatchString("x" + string(r)) {
			return r
		}
		return '-'
	}, model)
	id = strings.TrimLeft(id, "_.:-")
	if id == "" {
		id = "seat"
	}
	id = id[:min(len(id), maxIDBytes-4)]
	if seats > 1 {
		id = fmt.Sprintf("%s-%d", id, nth)
	}
	return id
}

func (m Member) withDefaults(id string) Member {
	m.ID = cmp.Or(m.ID, id)
	m.Role = cmp.Or(m.Role, RoleFull)
	m.Authority = cmp.Or(m.Authority, AuthorityCounted)
	m.MaxAttempts = cmp.Or(m.MaxAttempts, DefaultMaxAttempts)
	return m
}

func (r RankingPolicy) withDefaults() RankingPolicy {
	return RankingPolicy{
		Method: cmp.Or(r.Method, MethodKemeny), Order: cmp.Or(r.Order, OrderShuffle), Recuse: cmp.Or(r.Recuse, RecuseMember),
		EarlyConsensus:   cmp.Or(r.EarlyConsensus, ConsensusShadow),
		MaxCritiqueChars: cmp.Or(r.MaxCritiqueChars, DefaultCritiqueChars),
	}
}

func (v VotePolicy) withDefaults() VotePolicy {
	v.MinVotes = MinVotes{
		Critical: cmp.Or(v.MinVotes.Critical, DefaultMinVotes), High: cmp.Or(v.MinVotes.High, DefaultMinVotes),
		Medium: cmp.Or(v.MinVotes.Medium, DefaultMinVotes), Low: cmp.Or(v.MinVotes.Low, DefaultMinVotes),
	}
	v.OutsideMinVotes = cmp.Or(v.OutsideMinVotes, 1)
	v.SimilarityThreshold = cmp.Or(v.SimilarityThreshold, DefaultSimilarity)
	v.FindingsPerBatch = cmp.Or(v.FindingsPerBatch, DefaultBatch)
	return v
}

func (t StageTimeouts) withDefaults() StageTimeouts {
	return StageTimeouts{
		FirstToken: cmp.Or(t.FirstToken, time.Minute), Attempt: cmp.Or(t.Attempt, 3*time.Minute),
		Member: cmp.Or(t.Member, 5*time.Minute), Stage: cmp.Or(t.Stage, 7*time.Minute),
		ChairmanAttempt: cmp.Or(t.ChairmanAttempt, 5*time.Minute), ChairmanStage: cmp.Or(t.ChairmanStage, 10*time.Minute),
	}
}

// Personas of a council that is made from models alone. They differ in what they look at, not in what is true for them.
const (
	personaPragmatist = "You are a pragmatic senior engineer. You look for what works in practice, for simple means, and for what breaks in ordinary use."
	personaSceptic    = "You are a sceptic. You look for hidden assumptions, edge cases, failure modes, and for what the obvious answer overlooks."
	personaGuardian   = "You are a guardian of safety. You look for security, privacy, loss of data, races and resources that are not given back."
	personaTeacher    = "You are a careful teacher. You look for precision, for definitions, for complete reasoning, and say what is uncertain."
)

func personas() []string {
	return []string{personaPragmatist, personaSceptic, personaGuardian, personaTeacher}
}

// DefaultSpec is the council that takes the place of a configured one: four seats or one for each model, whichever is
// more (at most 16). Where models share a seat's model, the seats differ by persona. The first model is the chairman, the
// others are its fallbacks. Without models it has no members.
func DefaultSpec(models []string) Spec {
	if len(models) == 0 {
		return Spec{}
	}
	var s Spec
	voices := personas()
	for i := range min(max(DefaultSeats, len(models)), MaxMembers) {
		m := Member{Model: models[i%len(models)]}
		if len(models) < DefaultSeats {
			m.Persona = voices[i%len(voices)]
		}
		s.Members = append(s.Members, m)
	}
	s.Chairman.Model = models[0]
	s.Chairman.FallbackModels = slices.Clone(models[1:min(len(models), 1+maxFallbacks)])
	return s
}
