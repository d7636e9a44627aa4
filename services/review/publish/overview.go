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

// Concluded completes a check run with what a finished review says.
func Concluded(c Check, o *render.Overview, incompleteFails bool) Check {
	c.Status, c.Conclusion = CheckCompleted, Conclude(o.Report, &review.Settings{IncompleteFails: incompleteFails})
	c.Title, c.Summary, c.Text = o.Check()
	return c
}
