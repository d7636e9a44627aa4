package worker

import (
	"cmp"
	"context"
	"slices"

	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/diff"
	"witan.dev/internal/finding"
	"witan.dev/internal/job/engine"
	"witan.dev/services/review"
	"witan.dev/services/review/reviewers/secrets"
	"witan.dev/services/review/wire"
)

// maxAnnounced bounds the findings that get an event each; the others stand in the result only.
const maxAnnounced = 1000

// located is what the locate step stores.
type located struct {
	Findings string                `json:"findings"` // blob
	Council  review.CouncilOutcome `json:"council"`
	Verdict  verdictPart           `json:"verdict"`
}

// locate gives every finding its place, its fingerprint and its name.
func (s *session) locate(got *progress) (*engine.Failure, error) {
	return step(s, stepLocate, &got.located, func(ctx context.Context) (located, error) {
		own, err := s.readProposals(ctx, got)
		if err != nil {
			return located{}, err
		}
		var parts []review.Part
		if err := s.get(ctx, got.planned.Parts, &parts); err != nil {
			return located{}, err
		}
		var (
			out      located
			findings []finding.Finding
			parent   = wire.ReviewName(s.review.ID)
		)
		if got.deliberated.Verdict == "" {
			findings = review.Unvoted(own, got.planned.Members, parent)
			out.Council = absent(got, parts)
		} else if findings, err = s.judged(ctx, got, own, parts, parent, &out); err != nil {
			return located{}, err
		}
		addLimits(&out.Council, got.planned.Limits)
		out.Council.Carried = carriedFrom(got.planned.Carried)
		if out.Findings, err = s.put(ctx, review.PortableFindings(findings)); err != nil {
			return located{}, err
		}
		return out, s.announceFindings(ctx, findings)
	})
}

// verdictPart is what the last step needs of the verdict beside the findings.
type verdictPart struct {
	Summary string `json:"summary,omitempty"`
	Usage   usage  `json:"usage"`
}

// judged places the findings of the council's verdict.
func (s *session) judged(
	ctx context.Context, got *progress, own []review.Proposal, parts []review.Part, parent string, out *located,
) ([]finding.Finding, error) {
	var v review.Verdict
	if err := s.get(ctx, got.deliberated.Verdict, &v); err != nil {
		return nil, err
	}
	set := &finding.Set{}
	if slices.ContainsFunc(v.Proposals, func(p review.CouncilProposal) bool { return !p.Outside }) {
		var err error
		if set, err = s.materials(ctx); err != nil {
			return nil, err
		}
	}
	out.Council = review.Judge(&v, parts, got.planned.Members)
	if why := cmp.Or(got.planned.Away, got.deliberated.Partial); why != "" {
		out.Council.Coverage.Complete, out.Council.Coverage.Reason = false, cmp.Or(out.Council.Coverage.Reason, why)
		out.Council.Unjudged = out.Council.Unjudged || len(v.Missing) == 0 // something else ended it early
	}
	out.Verdict = verdictPart{Summary: v.Summary, Usage: v.Usage}
	return review.Findings(&v, own, set, parent), nil
}

// materials makes the changed files ready for finding quotes in them, with their secrets replaced.
func (s *session) materials(ctx context.Context) (*finding.Set, error) {
	in, err := s.load(ctx)
	if err != nil {
		return nil, err
	}
	redactor, err := s.redact(ctx, in)
	if err != nil {
		return nil, err
	}
	set := &finding.Set{}
	for i := range in.Change.Files {
		f := &in.Change.Files[i]
		p := finding.MaterialParams{File: redactedDiff(f, redactor)}
		if f.HasOld {
			p.Old = []byte(redactor.Apply(string(f.Old)))
			p.Anchors = anchors(p.Anchors, in.Old[f.OldPath], finding.Left)
		}
		if f.HasNew {
			p.New = []byte(redactor.Apply(string(f.New)))
			p.Anchors = anchors(p.Anchors, in.New[f.Path], finding.Right)
		}
		set.Add(finding.NewMaterial(p))
	}
	return set, nil
}

// redactedDiff is the change of a file under the paths that models were shown, without secrets.
func redactedDiff(f *review.File, r *secrets.Redactor) *diff.File {
	out := f.Diff()
	for h := range out.Hunks {
		lines := out.Hunks[h].Lines
		for l := range lines {
			lines[l].Text = r.Apply(lines[l].Text)
		}
	}
	return out
}

func anchors(out []finding.Anchor, code *review.Code, side finding.Side) []finding.Anchor {
	if !code.Usable() {
		return out
	}
	for i := range code.Definitions {
		d := &code.Definitions[i]
		out = append(out, finding.Anchor{Symbol: d.Symbol(), Side: side, StartLine: d.Span.StartLine, EndLine: d.Span.EndLine})
	}
	return out
}

// absent is the council's outcome when there was none.
func absent(got *progress, parts []review.Part) review.CouncilOutcome {
	out := review.CouncilOutcome{Limits: map[review.Path][]review.Reason{}}
	out.Coverage.PartsPlanned = len(parts)
	away := got.deliberated.absence()
	out.Coverage.Reason = away
	for i := range parts {
		for _, path := range parts[i].Paths {
			out.Limits[path] = []review.Reason{awayReason(away)}
		}
	}
	out.Coverage.Text = "0 models: " + away
	return out
}

// absence is why the council did not take part, empty where it did. Where nothing came that may still come by itself, it was
// not to be had: a retry is worth it.
func (d *deliberated) absence() string {
	if d.Away != "" && d.Again == askAll {
		return string(finding.ReasonCouncilUnavailable)
	}
	return d.Away
}

func awayReason(away string) review.Reason {
	switch r := review.Reason(away); r {
	case finding.ReasonCouncilUnavailable, finding.ReasonReviewerFailed, finding.ReasonBudget:
		return r
	default:
		return finding.ReasonMemberFailed
	}
}

// addLimits adds what the plan could not fit to what the council left out.
func addLimits(o *review.CouncilOutcome, limits map[review.Path][]review.Reason) {
	if o.Limits == nil {
		o.Limits = map[review.Path][]review.Reason{}
	}
	for path, reasons := range limits {
		for _, r := range reasons {
			if !slices.Contains(o.Limits[path], r) {
				o.Limits[path] = append(o.Limits[path], r)
			}
		}
	}
}

func (s *session) announceFindings(ctx context.Context, findings []finding.Finding) error {
	events := make([]*reviewv1.ReviewEvent, 0, len(findings))
	for i := range findings[:min(len(findings), maxAnnounced)] {
		events = append(events, &reviewv1.ReviewEvent{Event: &reviewv1.ReviewEvent_FindingLocated{
			FindingLocated: &reviewv1.FindingLocated{Finding: wire.Finding(&findings[i])},
		}})
	}
	return s.log(ctx, stepLocate, "finding", events...)
}
