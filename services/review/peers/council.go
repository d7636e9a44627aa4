package peers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	councilv1 "witan.dev/gen/witan/council/v1"
	typev1 "witan.dev/gen/witan/type/v1"
	"witan.dev/internal/apierr"
	"witan.dev/internal/diff"
	"witan.dev/internal/finding"
	"witan.dev/internal/job"
	"witan.dev/services/review"
)

// defaultCouncil is the preset that the council service has whenever any model is configured.
const defaultCouncil = "councils/default"

// stageVotes is the stage in which members vote on each other's findings.
const stageVotes = "cross_examine"

// Limits of the council's contract, in bytes or characters.
const (
	maxCode   = 8 << 10
	maxClaim  = 1000
	maxReason = 4000
	maxName   = 1000
)

// Council is a review.Council over gRPC. Safe for concurrent use.
type Council struct {
	client  councilv1.CouncilServiceClient
	timeout time.Duration
}

var _ review.Council = (*Council)(nil)

// NewCouncil returns a council that is reached over the connection. timeout bounds a deliberation; 0 leaves it to the
// council.
func NewCouncil(conn grpc.ClientConnInterface, timeout time.Duration) *Council {
	return &Council{client: councilv1.NewCouncilServiceClient(conn), timeout: timeout}
}

// Describe implements review.Council. Without a name and without any model there is a council of nobody.
func (c *Council) Describe(ctx context.Context, council string) (review.CouncilInfo, error) {
	name := council
	if name == "" {
		name = defaultCouncil
	}
	// A deliberation that is only checked says what holds, with the defaults that a preset leaves out.
	checked, err := c.client.CreateDeliberation(ctx, &councilv1.CreateDeliberationRequest{
		Deliberation: &councilv1.Deliberation{Council: name, Task: &councilv1.Deliberation_CodeReview{CodeReview: &councilv1.CodeReview{}}},
		ValidateOnly: true,
	})
	switch {
	case status.Code(err) == codes.NotFound && name == defaultCouncil:
		return review.CouncilInfo{}, nil
	case status.Code(err) == codes.NotFound:
		return review.CouncilInfo{}, review.ErrCouncilNotFound.With("council", council)
	case err != nil:
		return review.CouncilInfo{}, callError(ctx, "describe "+name, err)
	}
	models, err := c.client.ListModels(ctx, &councilv1.ListModelsRequest{})
	if err != nil {
		return review.CouncilInfo{}, callError(ctx, "list models", err)
	}
	return describe(checked.GetSpec(), models.GetModels())
}

// describe takes the smallest context and the longest reply of the models that have a seat.
func describe(spec *councilv1.CouncilSpec, models []*councilv1.Model) (review.CouncilInfo, error) {
	by := make(map[string]*councilv1.Model, len(models))
	for _, m := range models {
		by[m.GetName()] = m
	}
	votes, budget := spec.GetVotes().GetMinVotes(), spec.GetBudget()
	info := review.CouncilInfo{
		Members: len(spec.GetMembers()),
		MinVotes: map[finding.Severity]int{
			finding.SeverityCritical: int(votes.GetCritical()), finding.SeverityHigh: int(votes.GetHigh()),
			finding.SeverityMedium: int(votes.GetMedium()), finding.SeverityLow: int(votes.GetLow()),
		},
		Budget: review.Budget{Calls: int64(budget.GetMaxCalls()), Tokens: budget.GetMaxTotalTokens(), CostMicros: budget.GetMaxCostMicros()},
	}
	encode := proto.MarshalOptions{Deterministic: true}
	var err error
	if info.Terms, err = encode.Marshal(&councilv1.CouncilSpec{Votes: spec.GetVotes(), Budget: spec.GetBudget()}); err != nil {
		return info, fmt.Errorf("keep the policies of a council: %w", err)
	}
	who, err := encode.Marshal(&councilv1.CouncilSpec{Members: spec.GetMembers(), Chairman: spec.GetChairman(), Mode: spec.GetMode(), Votes: spec.GetVotes()})
	if err != nil {
		return info, fmt.Errorf("tell councils apart: %w", err)
	}
	sum := sha256.Sum256(who)
	info.Digest = hex.EncodeToString(sum[:8])
	for _, seat := range spec.GetMembers() {
		m := by[seat.GetModel()]
		if n := int(m.GetContextTokens()); n > 0 && (info.ContextTokens == 0 || n < info.ContextTokens) {
			info.ContextTokens = n
		}
		reply := int(seat.GetMaxOutputTokens())
		if reply == 0 {
			reply = int(m.GetMaxOutputTokens())
		}
		info.OutputTokens = max(info.OutputTokens, reply)
	}
	return info, nil
}

// terms are the policies of the task where they are stricter than the council's own; nil where they are not.
func terms(t *review.CouncilTask) (*councilv1.CouncilSpec, error) {
	if len(t.MinVotes) == 0 && t.Budget == (review.Budget{}) {
		return nil, nil //nolint:nilnil // nothing to override
	}
	own, out := &councilv1.CouncilSpec{}, &councilv1.CouncilSpec{}
	if err := proto.Unmarshal(t.Terms, own); err != nil {
		return nil, fmt.Errorf("read the policies of the council: %w", err)
	}
	if len(t.MinVotes) > 0 {
		policy := own.GetVotes()
		if policy == nil {
			policy = &councilv1.VotePolicy{}
		}
		out.Votes = policy
		policy.MinVotes = &councilv1.MinVotes{
			Critical: votes(t, finding.SeverityCritical), High: votes(t, finding.SeverityHigh),
			Medium: votes(t, finding.SeverityMedium), Low: votes(t, finding.SeverityLow),
		}
	}
	if t.Budget != (review.Budget{}) {
		caps := own.GetBudget()
		if caps == nil {
			caps = &councilv1.BudgetPolicy{}
		}
		out.Budget = caps
		caps.MaxCalls, caps.MaxTotalTokens, caps.MaxCostMicros = line64(t.Budget.Calls), t.Budget.Tokens, t.Budget.CostMicros
	}
	return out, nil
}

// maxVotes is the largest number of confirmations that can be asked for.
const maxVotes = 32

func votes(t *review.CouncilTask, s finding.Severity) int32 {
	return line(min(t.MinVotes[s], maxVotes))
}

// Estimate implements review.Council. The parts travel without their texts.
func (c *Council) Estimate(ctx context.Context, t review.CouncilTask) (review.Estimate, error) {
	spec, err := terms(&t)
	if err != nil {
		return review.Estimate{}, err
	}
	task := &councilv1.CodeReview{}
	for i := range t.Parts {
		task.Parts = append(task.Parts, &councilv1.MaterialPart{
			Id: t.Parts[i].ID, EstimatedTokens: line(t.Parts[i].Tokens), Content: &councilv1.MaterialPart_Text{Text: "-"},
		})
	}
	e, err := c.client.EstimateDeliberation(ctx, &councilv1.EstimateDeliberationRequest{Deliberation: &councilv1.Deliberation{
		Council: t.Council, Spec: spec, Task: &councilv1.Deliberation_CodeReview{CodeReview: task},
	}})
	if err != nil {
		return review.Estimate{}, budgetError(callError(ctx, "estimate deliberation", err))
	}
	return estimated(e), nil
}

func estimated(e *councilv1.Estimate) review.Estimate {
	out := review.Estimate{Calls: guess(e.GetCalls()), Tokens: guess(e.GetTokens()), Currency: e.GetCurrencyCode()}
	if e.GetCostMicros() != nil {
		cost := guess(e.GetCostMicros())
		out.CostMicros = &cost
	}
	return out
}

func guess(r *councilv1.EstimateRange) review.Range {
	return review.Range{Low: r.GetLow(), Expected: r.GetExpected(), High: r.GetHigh()}
}

// budgetError says of the council's refusals which are those of a budget.
func budgetError(err error) error {
	refusal, ok := errors.AsType[*apierr.Error](err)
	if ok && (refusal.Reason() == apierr.ReasonBudgetTooSmall || refusal.Reason() == apierr.ReasonPriceUnknown) {
		return fmt.Errorf("%w: %s", review.ErrOverBudget, refusal.Message())
	}
	return err
}

// taskError says of the council's refusals which are those of a budget, and which of the task.
func taskError(err error) error {
	if refusal, ok := errors.AsType[*apierr.Error](err); ok && refusal.Reason() == apierr.ReasonInvalidRequest {
		return fmt.Errorf("%w: %s", review.ErrCouncilRefused, refusal.Message())
	}
	return budgetError(err)
}

// Deliberate implements review.Council.
func (c *Council) Deliberate(ctx context.Context, t review.CouncilTask) (review.Deliberation, error) {
	spec, err := terms(&t)
	if err != nil {
		return review.Deliberation{}, err
	}
	d := &councilv1.Deliberation{
		Council: t.Council, ParentJob: t.ParentJob, Spec: spec,
		Task: &councilv1.Deliberation_CodeReview{CodeReview: codeReview(&t)},
	}
	if c.timeout > 0 {
		d.Timeout = durationpb.New(c.timeout)
	}
	made, err := c.client.CreateDeliberation(ctx, &councilv1.CreateDeliberationRequest{Deliberation: d, RequestId: t.RequestID})
	if err != nil {
		return review.Deliberation{}, taskError(callError(ctx, "create deliberation", err))
	}
	return review.Deliberation{Name: made.GetName(), Job: made.GetJob()}, nil
}

func codeReview(t *review.CouncilTask) *councilv1.CodeReview {
	out := &councilv1.CodeReview{Title: cut(t.Title, maxName), Description: cut(t.Description, 64<<10)}
	for _, rule := range t.Rules[:min(len(t.Rules), review.MaxRules)] {
		out.Guidelines = append(out.Guidelines, strings.ToValidUTF8(rule, "\uFFFD"))
	}
	for _, c := range finding.Categories() {
		out.Categories = append(out.Categories, string(c))
	}
	for i := range t.Parts {
		out.Parts = append(out.Parts, materialPart(&t.Parts[i]))
	}
	for i := range t.Proposals {
		out.OutsideProposals = append(out.OutsideProposals, outsideProposal(&t.Proposals[i]))
	}
	return out
}

func materialPart(p *review.Part) *councilv1.MaterialPart {
	out := &councilv1.MaterialPart{Id: p.ID, EstimatedTokens: line(p.Tokens)}
	if p.Blob != "" {
		out.Content, out.Sha256 = &councilv1.MaterialPart_Blob{Blob: p.Blob}, p.Blob
	} else {
		out.Content = &councilv1.MaterialPart_Text{Text: p.Text}
	}
	for _, path := range p.Paths {
		out.Paths = append(out.Paths, diff.DisplayPath(string(path)))
	}
	for _, a := range p.Anchors {
		out.Anchors = append(out.Anchors, &councilv1.Anchor{
			Path: diff.DisplayPath(string(a.Path)), Side: sideTo(a.Side), Symbol: cut(a.Symbol, maxName), StartLine: line(a.StartLine), EndLine: line(a.EndLine),
		})
	}
	return out
}

func outsideProposal(p *review.Proposal) *councilv1.Proposal {
	out := &councilv1.Proposal{
		Id: p.ID, Source: p.Source, Outside: true, Path: diff.DisplayPath(p.Location.Path), StartLine: line(p.Location.StartLine),
		EndLine: line(p.Location.EndLine), Side: sideTo(p.Location.Side), Code: cut(p.Location.Code, maxCode), Category: string(p.Category),
		Severity: severityTo(p.Severity), Claim: cut(p.Claim, maxClaim), Reason: cut(p.Reason, maxReason), Confidence: p.Certainty,
		Symbol: cut(p.Location.Symbol, maxName), Certain: p.Certain, Fingerprint: p.Fingerprint,
	}
	if p.Confirm {
		out.NeedsConfirmations = 1
	}
	return out
}

// cut shortens text to at most n bytes, which is at most n characters, without breaking a character.
func cut(text string, n int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n], "")
}

// Verdict implements review.Council.
func (c *Council) Verdict(ctx context.Context, deliberation string) (review.Verdict, error) {
	d, err := c.client.GetDeliberation(ctx, &councilv1.GetDeliberationRequest{Name: deliberation, View: councilv1.Deliberation_FULL})
	if err != nil {
		return review.Verdict{}, callError(ctx, "get "+deliberation, err)
	}
	if d.GetResult().GetReview() == nil {
		return review.Verdict{}, errors.New(deliberation + " has no verdict")
	}
	v := verdict(d.GetResult())
	if v.Report, err = proto.Marshal(d.GetResult().GetCoverage()); err != nil {
		return v, fmt.Errorf("keep the coverage of %s: %w", deliberation, err)
	}
	return v, nil
}

func verdict(r *councilv1.DeliberationResult) review.Verdict {
	v := review.Verdict{
		Models: int(r.GetCoverage().GetModels()), Quorum: r.GetCoverage().GetQuorumMet(),
		BudgetStop: r.GetCoverage().GetBudgetStop(), Usage: usage(r.GetUsage()),
	}
	switch r.GetOrigin() {
	case councilv1.DeliberationResult_CHAIRMAN, councilv1.DeliberationResult_FALLBACK_CHAIRMAN:
		v.Summary = r.GetReview().GetSummary()
	default: // what no model wrote counts the findings of this run, where the review has more to say of them
	}
	for _, p := range r.GetReview().GetProposals() {
		v.Proposals = append(v.Proposals, proposal(p))
	}
	for _, f := range r.GetReview().GetFindings() {
		v.Findings = append(v.Findings, councilFinding(f))
	}
	for _, p := range r.GetCoverage().GetParts() {
		v.Parts = append(v.Parts, review.PartOutcome{
			Part: p.GetPart(), Status: p.GetStatus().String(), Reason: p.GetReason(), Members: p.GetMembers(),
		})
	}
	for _, s := range r.GetCoverage().GetStages() {
		v.VotesMissing = v.VotesMissing || s.GetStage() == stageVotes && len(s.GetMissing())+int(s.GetAbstained()) > 0
		for _, m := range s.GetMissing() {
			v.Missing = append(v.Missing, s.GetStage()+"/"+m.GetSubject()+": "+m.GetClass().String())
		}
	}
	return v
}

func proposal(p *councilv1.Proposal) review.CouncilProposal {
	return review.CouncilProposal{
		ID: p.GetId(), Source: p.GetSource(), Outside: p.GetOutside(), Path: p.GetPath(), StartLine: int(p.GetStartLine()),
		EndLine: int(p.GetEndLine()), Side: sideFrom(p.GetSide()), Code: p.GetCode(), Symbol: p.GetSymbol(), Category: p.GetCategory(),
		Severity: severityFrom(p.GetSeverity()), Claim: p.GetClaim(), Reason: p.GetReason(), Suggestion: p.GetSuggestion(),
	}
}

func councilFinding(f *councilv1.Finding) review.CouncilFinding {
	t := f.GetTally()
	out := review.CouncilFinding{
		ID: f.GetId(), Representative: f.GetRepresentative(), Proposals: f.GetProposals(), Alternatives: f.GetAlternatives(),
		Severity: severityFrom(f.GetSeverity()), Outcome: outcome(f.GetOutcome()), OutcomeReason: f.GetOutcomeReason(),
		Tally: finding.Tally{
			Confirmed: int(t.GetConfirmed()), Rejected: int(t.GetRejected()), Uncertain: int(t.GetUncertain()),
			Proposed: int(t.GetProposed()), Planned: int(t.GetPlanned()), Required: int(t.GetRequired()),
			DistinctModels: int(t.GetDistinctModels()),
		},
	}
	for _, v := range f.GetVotes() {
		out.Votes = append(out.Votes, finding.Vote{
			Voter: v.GetVoter(), Model: v.GetModel(), Choice: choice(v.GetVote()), Proposed: v.GetProposed(), Counted: v.GetCounted(),
			Severity: severityFrom(v.GetSeverity()), Reason: v.GetReason(),
		})
	}
	return out
}

func outcome(o councilv1.Finding_Outcome) finding.Outcome {
	switch o {
	case councilv1.Finding_PUBLISHED:
		return finding.Published
	case councilv1.Finding_HELD:
		return finding.Held
	case councilv1.Finding_REJECTED:
		return finding.Rejected
	case councilv1.Finding_OUTCOME_UNSPECIFIED:
	}
	return finding.OutcomeUnspecified
}

func choice(v councilv1.FindingVote_Vote) finding.Choice {
	switch v {
	case councilv1.FindingVote_CONFIRMED:
		return finding.Confirmed
	case councilv1.FindingVote_REJECTED:
		return finding.RejectedVote
	case councilv1.FindingVote_UNCERTAIN:
		return finding.Uncertain
	case councilv1.FindingVote_VOTE_UNSPECIFIED:
	}
	return finding.ChoiceUnspecified
}

// The numbers of severities and sides are the same on both sides; unknown ones become unspecified.
func severityTo(s finding.Severity) typev1.Severity { return typev1.Severity(line(int(s))) }

func severityFrom(s typev1.Severity) finding.Severity {
	if s < 0 || s > typev1.Severity_SEVERITY_CRITICAL {
		return finding.SeverityUnspecified
	}
	return finding.Severity(s)
}

func sideTo(s finding.Side) typev1.Side { return typev1.Side(line(int(s))) }

func sideFrom(s typev1.Side) finding.Side {
	if s < 0 || s > typev1.Side_SIDE_RIGHT {
		return finding.SideUnspecified
	}
	return finding.Side(s)
}

func usage(u *typev1.Usage) job.Usage {
	out := job.Usage{
		InputTokens: u.GetInputTokens(), OutputTokens: u.GetOutputTokens(), CachedTokens: u.GetCachedTokens(),
		ReasoningTokens: u.GetReasoningTokens(), Currency: u.GetCurrencyCode(),
	}
	if u != nil && u.CostMicros != nil {
		cost := u.GetCostMicros()
		out.CostMicros = &cost
	}
	return out
}
