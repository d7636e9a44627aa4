package council

import (
	"cmp"
	"time"

	"witan.dev/internal/finding"
)

// Mode says which stages are held.
type Mode string

// The modes.
const (
	// ModeAnswersOnly holds the first stage: answers side by side, or every finding with its proposers' votes.
	ModeAnswersOnly Mode = "ANSWERS_ONLY"
	// ModeRanked adds judging. The answer is the top-ranked one, word for word.
	ModeRanked Mode = "RANKED"
	// ModeFull adds the chairman.
	ModeFull Mode = "FULL"
	// ModeVerdict is FULL for a code review, with BLOCK, PASS or INCONCLUSIVE.
	ModeVerdict Mode = "VERDICT"
)

// SeatRole says what a seat does.
type SeatRole string

// The roles of a seat.
const (
	RoleFull     SeatRole = "FULL"     // answers and judges
	RoleAnswerer SeatRole = "ANSWERER" // answers only
	RoleReviewer SeatRole = "REVIEWER" // judges only
)

// Authority says what a seat's judgement weighs.
type Authority string

// The authorities.
const (
	AuthorityCounted  Authority = "COUNTED"
	AuthorityAdvisory Authority = "ADVISORY" // recorded, not counted
	AuthorityNone     Authority = "NONE"     // not asked to judge
)

// Member is one seat. Two seats may use one model.
type Member struct {
	// ID is unique in the council: a letter or digit, then at most 63 of letters, digits and "_.:-".
	ID    string `json:"id"`
	Model string `json:"model"`
	// Persona is the operator's text. It goes to the system part of the first stage only.
	Persona   string    `json:"persona,omitempty"`
	Role      SeatRole  `json:"role,omitempty"`
	Authority Authority `json:"authority,omitempty"`
	// Temperature nil is the model's own.
	Temperature *float64 `json:"temperature,omitempty"`
	// MaxOutputTokens 0 is the model's own.
	MaxOutputTokens int `json:"max_output_tokens,omitempty"`
	MaxAttempts     int `json:"max_attempts,omitempty"`
	// AttemptTimeout and Timeout override those of the stages for this seat.
	AttemptTimeout time.Duration `json:"attempt_timeout,omitempty"`
	Timeout        time.Duration `json:"timeout,omitempty"`
}

// Answers reports whether the seat takes part in the first stage.
func (m Member) Answers() bool { return m.Role != RoleReviewer }

// Judges reports whether the seat takes part in the second stage.
func (m Member) Judges() bool { return m.Role != RoleAnswerer && m.Authority != AuthorityNone }

// Counts reports whether the seat's judgement has weight.
func (m Member) Counts() bool { return m.Authority == AuthorityCounted }

// Chairman writes the final text and casts no vote.
type Chairman struct {
	Model           string   `json:"model"`
	FallbackModels  []string `json:"fallback_models,omitempty"`
	Persona         string   `json:"persona,omitempty"`
	MaxOutputTokens int      `json:"max_output_tokens,omitempty"`
	MaxAttempts     int      `json:"max_attempts,omitempty"`
}

// Chain is the chairman's model and its fallbacks, in order.
func (c Chairman) Chain() []string {
	if c.Model == "" {
		return nil
	}
	return append([]string{c.Model}, c.FallbackModels...)
}

// Method is how ballots are made into one order.
type Method string

// The methods.
const (
	MethodKemeny   Method = "KEMENY"
	MethodCopeland Method = "COPELAND"
	MethodBorda    Method = "BORDA"
)

// OrderPolicy is the order in which a reviewer reads the candidates.
type OrderPolicy string

// The order policies.
const (
	// OrderShuffle draws an order of its own for each reviewer.
	OrderShuffle OrderPolicy = "SHUFFLE_PER_REVIEWER"
	// OrderBalanced draws one circle; each reviewer begins after its own candidate, so that each candidate stands once in
	// each place when all ballots come in.
	OrderBalanced OrderPolicy = "BALANCED"
)

// Recusal says which candidates a reviewer is not shown.
type Recusal string

// The recusals.
const (
	RecuseMember Recusal = "MEMBER" // its own
	RecuseModel  Recusal = "MODEL"  // all of its model
)

// EarlyConsensus says what happens when outstanding ballots can no longer change the leader.
type EarlyConsensus string

// The settings of early consensus.
const (
	ConsensusOff    EarlyConsensus = "OFF"
	ConsensusShadow EarlyConsensus = "SHADOW" // reported only
	ConsensusOn     EarlyConsensus = "ON"     // the outstanding reviewers are stopped
)

// RankingPolicy is for questions.
type RankingPolicy struct {
	Method           Method         `json:"method,omitempty"`
	Order            OrderPolicy    `json:"order,omitempty"`
	Recuse           Recusal        `json:"recuse,omitempty"`
	EarlyConsensus   EarlyConsensus `json:"early_consensus,omitempty"`
	MaxCritiqueChars int            `json:"max_critique_chars,omitempty"`
}

// MinVotes is how many confirmations publish a finding, by severity.
type MinVotes struct {
	Critical int `json:"critical,omitempty"`
	High     int `json:"high,omitempty"`
	Medium   int `json:"medium,omitempty"`
	Low      int `json:"low,omitempty"`
}

// Of gives the number for a severity; an unspecified one counts as low.
func (m MinVotes) Of(s finding.Severity) int {
	switch s {
	case finding.SeverityCritical:
		return m.Critical
	case finding.SeverityHigh:
		return m.High
	case finding.SeverityMedium:
		return m.Medium
	case finding.SeverityLow, finding.SeverityUnspecified:
	}
	return m.Low
}

// VotePolicy is for code reviews.
type VotePolicy struct {
	MinVotes MinVotes `json:"min_votes"`
	// MinIndependent demands that many sources that proposed the finding by themselves; 0 and 1 demand nothing.
	MinIndependent int `json:"min_independent,omitempty"`
	// OutsideMinVotes stands in for MinVotes where only outside reviewers proposed the finding.
	OutsideMinVotes int `json:"outside_min_votes,omitempty"`
	// SimilarityThreshold (0 to 1) is how alike two reports at near lines must be to mean one problem.
	SimilarityThreshold float64 `json:"similarity_threshold,omitempty"`
	FindingsPerBatch    int     `json:"findings_per_batch,omitempty"`
}

// OnPartial says what a stage that ends below its quorum leads to.
type OnPartial string

// The choices of OnPartial.
const (
	PartialReturn OnPartial = "RETURN" // go on with what is there
	PartialFail   OnPartial = "FAIL"   // end as FAILED, the answers kept
	PartialWait   OnPartial = "WAIT"   // wait and ask the missing again until the deadline
)

// QuorumPolicy says how much of the council must deliver.
type QuorumPolicy struct {
	// MinAnswers 0 is min(N, max(2, ceil(N/2))) of the N seats that answer.
	MinAnswers int `json:"min_answers,omitempty"`
	// MinBallots 0 is 1.
	MinBallots int       `json:"min_ballots,omitempty"`
	OnPartial  OnPartial `json:"on_partial,omitempty"`
	// Grace is how long stragglers have after the quorum.
	Grace time.Duration `json:"grace,omitempty"`
}

// Answers is the quorum of n seats that answer.
func (q QuorumPolicy) Answers(n int) int {
	if q.MinAnswers > 0 {
		return min(q.MinAnswers, n)
	}
	return min(n, max(2, (n+1)/2))
}

// Ballots is the quorum of n reviewers.
func (q QuorumPolicy) Ballots(n int) int { return min(n, max(1, q.MinBallots)) }

// StageTimeouts are the clocks of a stage.
type StageTimeouts struct {
	// FirstToken and Attempt bound one call, Member all attempts of a seat, Stage the stage.
	FirstToken time.Duration `json:"first_token,omitempty"`
	Attempt    time.Duration `json:"attempt,omitempty"`
	Member     time.Duration `json:"member,omitempty"`
	Stage      time.Duration `json:"stage,omitempty"`
	// ChairmanAttempt and ChairmanStage are the chairman's own.
	ChairmanAttempt time.Duration `json:"chairman_attempt,omitempty"`
	ChairmanStage   time.Duration `json:"chairman_stage,omitempty"`
}

// OnExceed says what happens when the budget is used up.
type OnExceed string

// The choices of OnExceed.
const (
	ExceedConclude   OnExceed = "CONCLUDE"    // no new member calls, the chairman concludes from its reserve
	ExceedRankedOnly OnExceed = "RANKED_ONLY" // no chairman
	ExceedFail       OnExceed = "FAIL"
)

// BudgetPolicy caps what a deliberation may take. Zero caps nothing.
type BudgetPolicy struct {
	MaxCalls       int      `json:"max_calls,omitempty"`
	MaxTotalTokens int64    `json:"max_total_tokens,omitempty"`
	MaxCostMicros  int64    `json:"max_cost_micros,omitempty"`
	CurrencyCode   string   `json:"currency_code,omitempty"`
	OnExceed       OnExceed `json:"on_exceed,omitempty"`
}

// StreamPolicy says whose text is logged while it is written.
type StreamPolicy string

// The stream policies.
const (
	StreamNone     StreamPolicy = "NONE"
	StreamChairman StreamPolicy = "CHAIRMAN"
	StreamAll      StreamPolicy = "ALL"
)

// Spec is a council: members, chairman and policies. Fields at their zero value take the default, see WithDefaults.
type Spec struct {
	Members  []Member      `json:"members,omitempty"`
	Chairman Chairman      `json:"chairman"`
	Mode     Mode          `json:"mode,omitempty"`
	Ranking  RankingPolicy `json:"ranking"`
	Votes    VotePolicy    `json:"votes"`
	Quorum   QuorumPolicy  `json:"quorum"`
	Timeouts StageTimeouts `json:"timeouts"`
	Budget   BudgetPolicy  `json:"budget"`
	Stream   StreamPolicy  `json:"stream,omitempty"`
	// Seed makes orders and labels repeatable; for tests and benchmarks.
	Seed *uint64 `json:"seed,omitempty"`
}

// Member finds a seat.
func (s Spec) Member(id string) (Member, bool) {
	for _, m := range s.Members {
		if m.ID == id {
			return m, true
		}
	}
	return Member{}, false
}

// Answerers are the seats of the first stage.
func (s Spec) Answerers() []Member { return s.seats(Member.Answers) }

// Judges are the seats of the second stage.
func (s Spec) Judges() []Member { return s.seats(Member.Judges) }

func (s Spec) seats(keep func(Member) bool) []Member {
	var seats []Member
	for _, m := range s.Members {
		if keep(m) {
			seats = append(seats, m)
		}
	}
	return seats
}

// Models lists the models that the council uses, each once, in the order of their first use.
func (s Spec) Models() []string {
	var models []string
	seen := map[string]bool{"": true}
	add := func(name string) {
		if !seen[name] {
			seen[name] = true
			models = append(models, name)
		}
	}
	for _, m := range s.Members {
		add(m.Model)
	}
	for _, name := range s.Chairman.Chain() {
		add(name)
	}
	return models
}

// Merge returns s with every field of o that is set in its place. Lists and policies are replaced as a whole.
func (s Spec) Merge(o Spec) Spec {
	if len(o.Members) > 0 {
		s.Members = o.Members
	}
	if o.Chairman.Model != "" || len(o.Chairman.FallbackModels) > 0 || o.Chairman.Persona != "" {
		s.Chairman = o.Chairman
	} else if len(o.Members) > 0 {
		s.Chairman = Chairman{} // the preset's chairman sat in another council
	}
	s.Mode = cmp.Or(o.Mode, s.Mode)
	s.Ranking = cmp.Or(o.Ranking, s.Ranking)
	s.Votes = cmp.Or(o.Votes, s.Votes)
	s.Quorum = cmp.Or(o.Quorum, s.Quorum)
	s.Timeouts = cmp.Or(o.Timeouts, s.Timeouts)
	s.Budget = cmp.Or(o.Budget, s.Budget)
	s.Stream = cmp.Or(o.Stream, s.Stream)
	if o.Seed != nil {
		s.Seed = o.Seed
	}
	return s
}
