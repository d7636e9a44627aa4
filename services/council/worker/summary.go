package worker

import (
	"context"
	"fmt"
	"strings"

	"witan.dev/internal/finding"
	"witan.dev/services/council"
	"witan.dev/services/council/prompt"
)

// conclude has the chairman write the summary of a review. A council of one, or of none, has no chairman.
func (d *deliberation) conclude(ctx context.Context, p proposed, g grouped, x examined) error {
	findings := x.Findings
	if council.PlannedOrigin(d.Spec, council.TaskCodeReview) != council.OriginChairman {
		reason := "NO_CHAIRMAN"
		c := concluded{Coverage: skipped(council.StageConclude, reason)}
		return d.concludes(ctx, c, d.template(p, g, findings), council.OriginTemplate)
	}
	nonce := d.plan.Key.Nonce(council.StageConclude, chairmanSubject, "fence")
	c, err := d.chair(ctx, council.StageConclude, prompt.Conclude(d.docket(p, g, x), d.Spec.Chairman.Persona, nonce))
	if err != nil {
		return err
	}
	text, origin := c.Text, c.Origin
	if text == "" {
		text, origin = d.template(p, g, findings), council.OriginTemplate
	}
	return d.concludes(ctx, c, text, origin)
}

// docket is what the chairman sees: concluded findings without their proposers, and how much was covered.
func (d *deliberation) docket(p proposed, g grouped, x examined) prompt.Docket {
	out := prompt.Docket{Review: *d.Task.CodeReview}
	for _, f := range x.Findings {
		r := proposalOf(g.Proposals, f.Representative)
		c := prompt.Concluded{
			Place: placeOf(r), Severity: f.Severity.String(), Category: string(r.Category), Claim: r.Claim, Reason: r.Reason,
			Votes: fmt.Sprintf("%d confirmed, %d rejected, %d uncertain", f.Tally.Confirmed, f.Tally.Rejected, f.Tally.Uncertain),
		}
		switch f.Outcome {
		case finding.Published:
			out.Published = append(out.Published, c)
		case finding.Held:
			out.Held = append(out.Held, c)
		case finding.Rejected:
			out.Rejected++
		case finding.OutcomeUnspecified:
		}
	}
	out.Coverage = append(coverageLines(p.Coverage, p.Parts), missingLines(x.Coverage)...)
	return out
}

func coverageLines(c council.StageCoverage, parts []council.PartCoverage) []string {
	covered := 0
	for _, p := range parts {
		if p.Status == council.PartCovered {
			covered++
		}
	}
	lines := []string{fmt.Sprintf("%d of %d members reviewed the change.", c.Delivered, c.Planned)}
	if len(parts) > 0 {
		lines = append(lines, fmt.Sprintf("%d of %d parts of the material were read by all of them.", covered, len(parts)))
	}
	return lines
}

// template is the summary that no model wrote.
func (d *deliberation) template(p proposed, g grouped, findings []council.Finding) string {
	count := map[finding.Outcome]int{}
	worst := finding.SeverityUnspecified
	for _, f := range findings {
		count[f.Outcome]++
		if f.Outcome == finding.Published {
			worst = max(worst, f.Severity)
		}
	}
	var b strings.Builder
	switch n := count[finding.Published]; {
	case count[finding.OutcomeUnspecified] > 0:
		fmt.Fprintf(&b, "%d findings were reported; no vote was held on them.", count[finding.OutcomeUnspecified])
	case n == 0:
		b.WriteString("No finding was published.")
	case n == 1:
		fmt.Fprintf(&b, "1 finding was published, of severity %s.", worst)
	default:
		fmt.Fprintf(&b, "%d findings were published, the worst of severity %s.", n, worst)
	}
	if held, rejected := count[finding.Held], count[finding.Rejected]; held+rejected > 0 {
		fmt.Fprintf(&b, " %d held back, %d rejected.", held, rejected)
	}
	switch members := len(d.Spec.Answerers()); {
	case members == 0:
		reports := "1 report of a static reviewer was"
		if n := len(g.Proposals); n != 1 {
			reports = fmt.Sprintf("%d reports of static reviewers were", n)
		}
		fmt.Fprintf(&b, " 0 models took part: %s grouped and put to the vote policy.", reports)
	default:
		for _, line := range coverageLines(p.Coverage, p.Parts) {
			b.WriteString(" " + line)
		}
	}
	return b.String()
}

// reviewResult joins the stages' outcomes. What was not concluded is there as it was grouped.
func (d *deliberation) reviewResult(p proposed, g grouped, x examined, c concluded) council.Result {
	findings := x.Findings
	proposals := g.Proposals
	if g.Coverage.Stage == "" {
		proposals = p.Proposals
	}
	if x.Coverage.Stage == "" {
		findings = g.Findings
	}
	out := council.Result{
		Coverage: d.coverage(examiners(p, x), p.Coverage, x.Coverage, c.Coverage), Origin: council.OriginTemplate,
		Review: &council.Review{Proposals: proposals, Findings: findings},
	}
	out.Coverage.Parts = p.Parts
	out.Coverage.QuorumMet = p.Quorum && (x.Coverage.Stage == "" || x.Quorum)
	for _, s := range []spent{p.Spent, x.Spent, c.Spent} {
		out.Usage, out.Calls = out.Usage.Add(s.Usage), out.Calls+s.Calls
	}
	for _, f := range findings {
		out.Dissent = append(out.Dissent, reviewDissent(f)...)
	}
	out.Review.Summary = d.template(p, g, findings)
	if c.Text != "" {
		out.Review.Summary, out.Origin, out.Chairman = c.Text, c.Origin, c.Model
	}
	if d.Spec.Mode == council.ModeVerdict {
		out.Review.Verdict = d.verdict(out)
	}
	return out
}

// examiners are the members that read a part or voted, and the sources of outside proposals, which sit on no seat.
func examiners(p proposed, x examined) map[string]bool {
	members := map[string]bool{}
	for _, part := range p.Parts {
		for _, m := range part.Members {
			members[m] = true
		}
	}
	for _, f := range x.Findings {
		for _, v := range f.Votes {
			members[v.Voter] = true
		}
	}
	return members
}

// reviewDissent are the votes against a published finding.
func reviewDissent(f council.Finding) []council.Dissent {
	if f.Outcome != finding.Published {
		return nil
	}
	var out []council.Dissent
	for _, v := range f.Votes {
		if v.Vote == finding.RejectedVote {
			out = append(out, council.Dissent{Member: v.Voter, Subject: f.ID, Position: v.Vote.String(), Reason: v.Reason})
		}
	}
	return out
}

// verdict is BLOCK when a published finding is at or above the limit, INCONCLUSIVE when quorum was missed or a part was
// not covered, else PASS.
func (d *deliberation) verdict(r council.Result) council.Verdict {
	limit := d.Task.CodeReview.BlockAt
	if limit == finding.SeverityUnspecified {
		limit = finding.SeverityHigh
	}
	for _, f := range r.Review.Findings {
		if f.Outcome == finding.Published && f.Severity >= limit {
			return council.VerdictBlock
		}
	}
	if !r.Coverage.QuorumMet || d.stopped != nil {
		return council.VerdictInconclusive
	}
	for _, p := range r.Coverage.Parts {
		if p.Status != council.PartCovered {
			return council.VerdictInconclusive
		}
	}
	return council.VerdictPass
}
