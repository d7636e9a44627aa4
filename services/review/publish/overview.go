package publish

import (
	"witan.dev/internal/finding"
	"witan.dev/services/review"
	"witan.dev/services/review/lifecycle"
	"witan.dev/services/review/publish/render"
)

// Overview is what walkthrough and check run say of a report. address is where its job can be looked at; empty: nowhere.
func Overview(r *finding.Report, shown *review.Shown, address string) *render.Overview {
	return &render.Overview{
		Report: r, Limits: r.Notes, Problems: shown.Problems, Since: shown.Since, Collapse: shown.Collapse, From: shown.From, Address: address,
	}
}

// Dismissals are what people said when they dismissed findings, by the findings' names. clean takes out of their words what is not
// to be repeated.
func Dismissals(findings []finding.Finding, known []review.Known, clean func(string) string) map[string]render.Dismissal {
	byID := make(map[string]*review.Known, len(known))
	for i := range known {
		byID[known[i].ID] = &known[i]
	}
	out := map[string]render.Dismissal{}
	for i := range findings {
		k := byID[lifecycle.KnownID(findings[i].Name)]
		if k == nil || k.Finding.Status != finding.Dismissed {
			continue
		}
		d := render.Dismissal{By: k.By}
		switch {
		case k.Feedback == lifecycle.Refused && k.Reason != "":
			d.Why = clean(k.Reason)
		case k.Finding.StatusReason == lifecycle.ReasonThreadResolved:
			d.Why = "its thread was resolved"
		}
		out[findings[i].Name] = d
	}
	return out
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
