package review

import (
	"context"

	"witan.dev/internal/finding"
	"witan.dev/internal/job"
)

// Anchor is a definition inside a part, so that the council can name a symbol without parsing.
type Anchor struct {
	Path      Path         `json:"path"`
	Side      finding.Side `json:"side"`
	Symbol    string       `json:"symbol"`
	StartLine int          `json:"start_line"`
	EndLine   int          `json:"end_line"`
}

// Part is a piece of the material that fits the smallest context of the council. Its text is redacted.
type Part struct {
	ID      string   `json:"id"`
	Paths   []Path   `json:"paths"`
	Text    string   `json:"text,omitempty"`
	Blob    string   `json:"blob,omitempty"` // SHA-256 of the text in the blob store, instead of Text
	Tokens  int      `json:"tokens"`         // estimated
	Anchors []Anchor `json:"anchors,omitempty"`
}

// CouncilInfo is what the plan needs to know of a council.
type CouncilInfo struct {
	Members       int `json:"members"`        // seats; 0: no model is configured
	ContextTokens int `json:"context_tokens"` // of the smallest model
	OutputTokens  int `json:"output_tokens"`  // the largest reply of any
	// Digest tells councils apart: by their seats, models and votes.
	Digest string `json:"digest,omitempty"`
	// MinVotes are the confirmations that publish a finding, by severity.
	MinVotes map[finding.Severity]int `json:"min_votes,omitempty"`
	Budget   Budget                   `json:"budget,omitzero"`
	// Terms are the policies as the council's service encodes them; opaque to the domain. They go with the task, so that
	// it stays the same when the service is configured anew.
	Terms []byte `json:"terms,omitempty"`
}

// CouncilTask is what the council is asked to judge.
type CouncilTask struct {
	Council     string // resource name; empty: the default one
	Title       string
	Description string
	Parts       []Part
	Proposals   []Proposal // of the static reviewers
	// Rules are the repository's own, from its base; at most MaxRules of at most MaxRule characters.
	Rules []string
	// Terms are those of CouncilInfo. MinVotes and Budget take the place of the council's where they are set; they are
	// never looser.
	Terms     []byte
	MinVotes  map[finding.Severity]int
	Budget    Budget
	ParentJob string
	RequestID string
}

// Limits of a repository's own rules.
const (
	MaxRules = 64
	MaxRule  = 4000 // characters
)

// Deliberation names a council's work on a review.
type Deliberation struct {
	Name string `json:"name"`
	Job  string `json:"job"`
}

// CouncilProposal is one reported problem as the council returns it.
type CouncilProposal struct {
	ID         string           `json:"id"`
	Source     string           `json:"source"`
	Outside    bool             `json:"outside"`
	Path       string           `json:"path"`
	StartLine  int              `json:"start_line"`
	EndLine    int              `json:"end_line"`
	Side       finding.Side     `json:"side"`
	Code       string           `json:"code"`
	Symbol     string           `json:"symbol"`
	Category   string           `json:"category"`
	Severity   finding.Severity `json:"severity"`
	Claim      string           `json:"claim"`
	Reason     string           `json:"reason"`
	Suggestion string           `json:"suggestion"`
}

// CouncilFinding is a group of proposals with its votes.
type CouncilFinding struct {
	ID             string           `json:"id"`
	Representative string           `json:"representative"`
	Proposals      []string         `json:"proposals"`
	Alternatives   []string         `json:"alternatives"`
	Severity       finding.Severity `json:"severity"`
	Outcome        finding.Outcome  `json:"outcome"`
	OutcomeReason  string           `json:"outcome_reason"`
	Tally          finding.Tally    `json:"tally"`
	Votes          []finding.Vote   `json:"votes"`
}

// PartOutcome is how far the council read one part.
type PartOutcome struct {
	Part    string   `json:"part"`
	Status  string   `json:"status"` // COVERED, PARTLY, SKIPPED
	Reason  string   `json:"reason,omitempty"`
	Members []string `json:"members,omitempty"`
}

// The statuses of a part.
const (
	PartCovered = "COVERED"
	PartPartly  = "PARTLY"
	PartSkipped = "SKIPPED"
)

// Verdict is what the council made of a review.
type Verdict struct {
	Proposals []CouncilProposal `json:"proposals"`
	Findings  []CouncilFinding  `json:"findings"`
	Summary   string            `json:"summary"` // of a chairman; empty: none wrote one
	Models    int               `json:"models"`
	Parts     []PartOutcome     `json:"parts"`
	Quorum    bool              `json:"quorum"`
	// BudgetStop says that the budget ended it early.
	BudgetStop bool     `json:"budget_stop,omitempty"`
	Missing    []string `json:"missing,omitempty"` // who did not deliver, with the stage
	// VotesMissing says that some of them were to judge what others had found.
	VotesMissing bool      `json:"votes_missing,omitempty"`
	Usage        job.Usage `json:"usage"`
	// Report is the council's own coverage as its service encodes it; opaque to the domain.
	Report []byte `json:"report,omitempty"`
}

// Council convenes the models. Its methods return ErrUnavailable where the service cannot be reached.
type Council interface {
	// Describe says how large a part may be. A council that does not exist is ErrCouncilNotFound.
	Describe(ctx context.Context, council string) (CouncilInfo, error)
	// Estimate says what the task would take. Of its parts only the tokens matter. ErrOverBudget where not even the least of
	// it fits the task's budget, or the budget cannot be held.
	Estimate(ctx context.Context, t CouncilTask) (Estimate, error)
	// Deliberate starts the council's work; the same RequestID and task give the same deliberation again. ErrOverBudget as
	// for Estimate, ErrCouncilRefused where the task breaks a rule of the council's.
	Deliberate(ctx context.Context, t CouncilTask) (Deliberation, error)
	// Verdict reads the result of a deliberation that has ended.
	Verdict(ctx context.Context, deliberation string) (Verdict, error)
}

// Judge turns the council's coverage of the parts into that of the files. members is the number of seats that were
// planned: without any there is nothing to miss.
func Judge(v *Verdict, parts []Part, members int) CouncilOutcome {
	out := CouncilOutcome{Limits: map[Path][]Reason{}, Read: map[Path]bool{}}
	out.Coverage.Models, out.Coverage.Report = v.Models, v.Report
	if members > 0 {
		out.Coverage.PartsPlanned = len(parts)
		judgeParts(v, parts, &out)
	}
	out.Unjudged = members > 0 && (!v.Quorum || v.BudgetStop || v.VotesMissing)
	out.Coverage.Complete = members == 0 ||
		out.Coverage.Reason == "" && out.Coverage.PartsCovered == len(parts) && v.Quorum && len(v.Missing) == 0
	if !out.Coverage.Complete && out.Coverage.Reason == "" {
		out.Coverage.Reason = string(finding.ReasonMemberFailed)
	}
	out.Coverage.Text = CouncilText(out.Coverage)
	if members > 0 && len(parts) == 0 {
		out.Coverage.Text = "nothing new to read"
	}
	return out
}

func judgeParts(v *Verdict, parts []Part, out *CouncilOutcome) {
	by := make(map[string]PartOutcome, len(v.Parts))
	for _, p := range v.Parts {
		by[p.Part] = p
	}
	for i := range parts {
		p := by[parts[i].ID]
		switch p.Status {
		case PartCovered:
			out.Coverage.PartsCovered++
		case PartPartly:
			out.Coverage.PartsPartly++
		}
		for _, path := range parts[i].Paths {
			out.Read[path] = out.Read[path] || p.Status == PartCovered || p.Status == PartPartly
			if p.Status == PartCovered {
				continue
			}
			r := councilReason(p.Reason)
			out.Limits[path] = append(out.Limits[path], r)
			if out.Coverage.Reason == "" {
				out.Coverage.Reason = string(r)
			}
		}
	}
}

// councilReason maps the council's word to ours: what is no known reason is a member's failure.
func councilReason(s string) Reason {
	switch r := Reason(s); r {
	case finding.ReasonBudget, finding.ReasonDeadline, finding.ReasonPartTooBig:
		return r
	default:
		return finding.ReasonMemberFailed
	}
}
