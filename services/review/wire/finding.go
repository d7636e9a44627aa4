package wire

import (
	"strings"

	councilv1 "witan.dev/gen/witan/council/v1"
	reviewv1 "witan.dev/gen/witan/review/v1"
	typev1 "witan.dev/gen/witan/type/v1"
	"witan.dev/internal/diff"
	"witan.dev/internal/finding"
)

// Finding returns the message of a finding.
func Finding(f *finding.Finding) *reviewv1.Finding {
	out := &reviewv1.Finding{
		Name: f.Name, Fingerprint: f.Fingerprint, Severity: Severity(f.Severity),
		Category: reviewv1.Finding_Category(reviewv1.Finding_Category_value[string(f.Category)]),
		Title:    text(f.Title), Reason: text(f.Reason), Location: location(&f.Location), Suggestion: text(f.Suggestion),
		Tally: tally(f.Tally), Sources: texts(f.Sources), Alternatives: texts(f.Alternatives),
		Status:       Status(f.Status),
		StatusReason: StatusReason(f.StatusReason),
		FirstReview:  f.FirstReview, Outcome: Outcome(f.Outcome), OutcomeReason: f.OutcomeReason, Rule: f.Rule,
	}
	out.FixedIn, out.Publication = f.FixedIn, Publication(f.Publication)
	out.Feedback = reviewv1.Finding_Feedback(reviewv1.Finding_Feedback_value[f.Feedback])
	for i := range f.Related {
		out.Related = append(out.Related, location(&f.Related[i]))
	}
	for i := range f.Votes {
		out.Votes = append(out.Votes, vote(&f.Votes[i]))
	}
	return out
}

// Status returns the message's status.
func Status(s finding.Status) reviewv1.Finding_Status {
	return reviewv1.Finding_Status(reviewv1.Finding_Status_value[s.String()])
}

// StatusReason returns the message's reason of a status.
func StatusReason(name string) reviewv1.Finding_StatusReason {
	return reviewv1.Finding_StatusReason(reviewv1.Finding_StatusReason_value[name])
}

// Publication returns where something is shown; nil where it is nowhere.
func Publication(p finding.Publication) *reviewv1.Publication {
	if p == (finding.Publication{}) {
		return nil
	}
	return &reviewv1.Publication{
		State: reviewv1.Publication_State(reviewv1.Publication_State_value[p.State]), Url: p.URL, Reason: p.Reason,
	}
}

func location(l *finding.Location) *reviewv1.Location {
	out := &reviewv1.Location{
		Path: diff.DisplayPath(l.Path), Side: typev1.Side(Number(int(l.Side))), StartLine: Number(l.StartLine), EndLine: Number(l.EndLine),
		Symbol: text(l.Symbol), Code: text(l.Code), InDiff: l.InDiff,
		Placement: reviewv1.Location_Placement(reviewv1.Location_Placement_value[l.Placement.String()]),
	}
	if l.OldPath != l.Path {
		out.OldPath = diff.DisplayPath(l.OldPath)
	}
	return out
}

func tally(t finding.Tally) *councilv1.FindingTally {
	return &councilv1.FindingTally{
		Confirmed: Number(t.Confirmed), Rejected: Number(t.Rejected), Uncertain: Number(t.Uncertain), Proposed: Number(t.Proposed),
		Planned: Number(t.Planned), Required: Number(t.Required), DistinctModels: Number(t.DistinctModels),
	}
}

func vote(v *finding.Vote) *councilv1.FindingVote {
	return &councilv1.FindingVote{
		Voter: text(v.Voter), Model: text(v.Model), Vote: councilv1.FindingVote_Vote(councilv1.FindingVote_Vote_value[v.Choice.String()]),
		Proposed: v.Proposed, Counted: v.Counted, Severity: Severity(v.Severity), Reason: text(v.Reason),
	}
}

// Severity returns the message's severity.
func Severity(s finding.Severity) typev1.Severity { return typev1.Severity(Number(int(s))) }

// SeverityFrom returns the domain's severity; what it does not know is unspecified.
func SeverityFrom(s typev1.Severity) finding.Severity {
	if s < 0 || s > typev1.Severity_SEVERITY_CRITICAL {
		return finding.SeverityUnspecified
	}
	return finding.Severity(s)
}

// Outcome returns the message's outcome.
func Outcome(o finding.Outcome) councilv1.Finding_Outcome {
	return councilv1.Finding_Outcome(councilv1.Finding_Outcome_value[o.String()])
}

// OutcomeFrom returns the domain's outcome; what it does not know is unspecified.
func OutcomeFrom(o councilv1.Finding_Outcome) finding.Outcome {
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

// text makes untrusted text fit for a message.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func texts(in []string) []string {
	out := make([]string, len(in))
	for i := range in {
		out[i] = text(in[i])
	}
	return out
}
