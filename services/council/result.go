package council

import (
	"time"

	"witan.dev/internal/finding"
	"witan.dev/services/council/ranking"
)

// Origin says where the final text comes from. It stands above the answer, not below.
type Origin string

// The origins, highest first.
const (
	OriginChairman         Origin = "CHAIRMAN"
	OriginFallbackChairman Origin = "FALLBACK_CHAIRMAN"
	OriginTopRanked        Origin = "TOP_RANKED"      // word for word
	OriginSingleSurvivor   Origin = "SINGLE_SURVIVOR" // one answer, never called a synthesis
	OriginTemplate         Origin = "TEMPLATE"        // a review's summary without a model
	OriginNone             Origin = "NONE"
)

// Usage is what calls took. CostMicros is nil when unknown.
type Usage struct {
	InputTokens     int64  `json:"input_tokens,omitempty"`
	OutputTokens    int64  `json:"output_tokens,omitempty"`
	CachedTokens    int64  `json:"cached_tokens,omitempty"`
	ReasoningTokens int64  `json:"reasoning_tokens,omitempty"`
	CostMicros      *int64 `json:"cost_micros,omitempty"`
	Currency        string `json:"currency,omitempty"`
	// Estimated says that some tokens were counted by us, Unpriced that some calls have no known price.
	Estimated bool `json:"estimated,omitempty"`
	Unpriced  bool `json:"unpriced,omitempty"`
}

// Add sums. A cost with an unknown part covers the known ones only and is marked.
func (u Usage) Add(v Usage) Usage {
	u.InputTokens += v.InputTokens
	u.OutputTokens += v.OutputTokens
	u.CachedTokens += v.CachedTokens
	u.ReasoningTokens += v.ReasoningTokens
	u.Estimated = u.Estimated || v.Estimated
	u.Unpriced = u.Unpriced || v.Unpriced
	if v.CostMicros == nil {
		return u
	}
	if u.CostMicros == nil {
		cost := *v.CostMicros
		u.CostMicros, u.Currency = &cost, v.Currency
		return u
	}
	if u.Currency != v.Currency {
		u.Unpriced = true
		return u
	}
	cost := *u.CostMicros + *v.CostMicros
	u.CostMicros = &cost
	return u
}

// Answer is a member's answer.
type Answer struct {
	ID      string        `json:"id"` // the member's ID: one answer a seat
	Member  string        `json:"member"`
	Model   string        `json:"model"`
	Text    string        `json:"text"`
	Finish  string        `json:"finish"` // STOP or LENGTH
	Usage   Usage         `json:"usage"`
	Latency time.Duration `json:"latency"`
	Attempt int32         `json:"attempt"`
}

// ParseStatus says how a judgement was read.
type ParseStatus string

// The parse statuses. Abstained and Invalid ballots are not counted.
const (
	ParseOK        ParseStatus = "OK"
	ParseRepaired  ParseStatus = "REPAIRED" // by one more call
	ParseAbstained ParseStatus = "ABSTAINED"
	ParseInvalid   ParseStatus = "INVALID"
)

// Critique is what a reviewer says of one answer.
type Critique struct {
	Answer string `json:"answer"`
	Text   string `json:"text"`
}

// Ballot is one reviewer's strict order over the answers that it was shown, never including its own.
type Ballot struct {
	Reviewer string `json:"reviewer"`
	// ShownOrder and Ranking are answer IDs: as displayed, and best first.
	ShownOrder []string    `json:"shown_order"`
	Ranking    []string    `json:"ranking,omitempty"`
	Critiques  []Critique  `json:"critiques,omitempty"`
	Parse      ParseStatus `json:"parse"`
	Counted    bool        `json:"counted"`
	Usage      Usage       `json:"usage"`
	// Reason says what was wrong with an invalid one.
	Reason string `json:"reason,omitempty"`
}

// Vote is one voter's judgement of one finding.
type Vote struct {
	Voter string         `json:"voter"`
	Model string         `json:"model,omitempty"`
	Vote  finding.Choice `json:"vote"`
	// Proposed says that the voter reported the problem by itself.
	Proposed bool             `json:"proposed,omitempty"`
	Severity finding.Severity `json:"severity,omitempty"`
	Reason   string           `json:"reason,omitempty"`
	// DuplicateOf is the ID of a finding that the voter takes for the same problem.
	DuplicateOf string `json:"duplicate_of,omitempty"`
	Counted     bool   `json:"counted"`
}

// FindingTally sums the votes on a finding.
type FindingTally struct {
	Confirmed      int `json:"confirmed"`
	Rejected       int `json:"rejected"`
	Uncertain      int `json:"uncertain"`
	Proposed       int `json:"proposed"`
	Planned        int `json:"planned"`
	Required       int `json:"required"`
	DistinctModels int `json:"distinct_models"`
}

// Reasons of a finding's outcome.
const (
	ReasonVotes          = "VOTES"
	ReasonNotExamined    = "NOT_EXAMINED"     // examination was planned and none arrived
	ReasonNotEnoughVotes = "NOT_ENOUGH_VOTES" // confirmed < required
	ReasonContested      = "CONTESTED"        // as many rejections as confirmations
	ReasonNotIndependent = "NOT_ENOUGH_INDEPENDENT"
	ReasonCertain        = "CERTAIN"   // see Proposal.Certain
	ReasonNoPolicy       = "NO_POLICY" // ANSWERS_ONLY applies none
)

// Finding is the group of proposals that mean one problem, with its votes.
type Finding struct {
	ID string `json:"id"`
	// Representative is the proposal whose text is shown, Proposals are all of them, Alternatives the others.
	Representative string           `json:"representative"`
	Proposals      []string         `json:"proposals"`
	Alternatives   []string         `json:"alternatives,omitempty"`
	Path           string           `json:"path"`
	Line           int              `json:"line,omitempty"`
	Severity       finding.Severity `json:"severity"`
	Outcome        finding.Outcome  `json:"outcome"`
	OutcomeReason  string           `json:"outcome_reason,omitempty"`
	Tally          FindingTally     `json:"tally"`
	Votes          []Vote           `json:"votes,omitempty"`
}

// Verdict is the answer of VERDICT.
type Verdict string

// The verdicts.
const (
	VerdictPass         Verdict = "PASS"
	VerdictBlock        Verdict = "BLOCK"
	VerdictInconclusive Verdict = "INCONCLUSIVE"
)

// Dissent is recorded disagreement.
type Dissent struct {
	Member string `json:"member"`
	// Subject is the finding that was published against the member's vote, or the answer that it put first instead.
	Subject string `json:"subject"`
	// Position is what it holds instead, Reason why.
	Position string `json:"position"`
	Reason   string `json:"reason,omitempty"`
}

// ClosedBy says why a stage ended.
type ClosedBy string

// The ends of a stage.
const (
	ClosedAll       ClosedBy = "ALL" // everyone delivered or failed
	ClosedGrace     ClosedBy = "GRACE"
	ClosedTimeout   ClosedBy = "TIMEOUT"
	ClosedConsensus ClosedBy = "CONSENSUS"
	ClosedBudget    ClosedBy = "BUDGET"
	ClosedCancelled ClosedBy = "CANCELLED"
	ClosedDeadline  ClosedBy = "DEADLINE"
	ClosedSkipped   ClosedBy = "SKIPPED" // never opened, see StageCoverage.SkipReason
)

// Missing is one subject of a stage that did not deliver.
type Missing struct {
	Subject string `json:"subject"`
	Part    string `json:"part,omitempty"`
	Class   string `json:"class"`
	Message string `json:"message,omitempty"`
}

// StageCoverage is planned against delivered, of one stage.
type StageCoverage struct {
	Stage      string    `json:"stage"`
	Planned    int       `json:"planned"`
	Delivered  int       `json:"delivered"`
	Abstained  int       `json:"abstained,omitempty"`
	Missing    []Missing `json:"missing,omitempty"`
	ClosedBy   ClosedBy  `json:"closed_by"`
	SkipReason string    `json:"skip_reason,omitempty"`
}

// PartStatus says how much of a part the members read.
type PartStatus string

// The part statuses.
const (
	PartCovered PartStatus = "COVERED"
	PartPartly  PartStatus = "PARTLY"
	PartSkipped PartStatus = "SKIPPED"
)

// PartCoverage is how one part of the material fared.
type PartCoverage struct {
	Part    string     `json:"part"`
	Status  PartStatus `json:"status"`
	Members []string   `json:"members,omitempty"` // who read it
	Reason  string     `json:"reason,omitempty"`
}

// Coverage is planned against delivered. It is shown above the answer.
type Coverage struct {
	Stages     []StageCoverage `json:"stages,omitempty"`
	Parts      []PartCoverage  `json:"parts,omitempty"`
	QuorumMet  bool            `json:"quorum_met"`
	BudgetStop bool            `json:"budget_stop,omitempty"`
	// Models is the number of distinct models that were planned.
	Models int `json:"models"`
}

// Review is the result of a code review.
type Review struct {
	Verdict   Verdict    `json:"verdict,omitempty"`
	Proposals []Proposal `json:"proposals,omitempty"`
	Findings  []Finding  `json:"findings,omitempty"`
	Summary   string     `json:"summary"`
}

// Result is everything that a deliberation came to. It is written once, when the job ends.
type Result struct {
	Coverage Coverage `json:"coverage"`
	Origin   Origin   `json:"origin"`
	// Answer is the final text of a question, Chairman the model that wrote it.
	Answer    string             `json:"answer,omitempty"`
	Chairman  string             `json:"chairman,omitempty"`
	Answers   []Answer           `json:"answers,omitempty"`
	Ballots   []Ballot           `json:"ballots,omitempty"`
	Aggregate *ranking.Aggregate `json:"aggregate,omitempty"`
	// TopRanked is the answer ID that came first; empty without a ranking.
	TopRanked    string    `json:"top_ranked,omitempty"`
	Contributors []string  `json:"contributors,omitempty"`
	Dissent      []Dissent `json:"dissent,omitempty"`
	Review       *Review   `json:"review,omitempty"`
	Usage        Usage     `json:"usage"`
	// Calls is how many calls Usage covers.
	Calls int64  `json:"calls"`
	Title string `json:"title,omitempty"`
}
