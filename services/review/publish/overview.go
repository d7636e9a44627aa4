package publish

import (
	"witan.dev/internal/finding"
	"witan.dev/services/review"
	"witan.dev/services/review/publish/render"
)

// Overview is what walkthrough and check run say of a report. address is where its job can be looked at; empty: nowhere.
func Overview(r *finding.Report, shown *review.Shown, address string) *render.Overview {
	return &render.Overview{
		Report: r, Limits: r.Notes, Problems: shown.Problems, Since: shown.Since, Collapse: shown.Collapse, From: shown.From, Address: address,
	}
}

// Concluded completes a check run with what a finished review says. It does not pass while the repository's configuration is
// wrong: that may have asked for more than the defaults do.
func Concluded(c Check, o *render.Overview, incompleteFails bool) Check {
	set := &review.Settings{IncompleteFails: incompleteFails}
	c.Status, c.Conclusion = CheckCompleted, Conclude(o.Report, set)
	if len(o.Problems) > 0 && c.Conclusion != Failure {
		c.Conclusion = Missing(set)
	}
	c.Title, c.Summary, c.Text = o.Check()
	return c
}
