package benchmark

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Write writes the report for people.
func (r *Report) Write(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(table, format+"\n", args...) } // a failed write shows in Flush
	for i := range r.Sets {
		s := &r.Sets[i]
		line("%s: %d changes, %d accepted comments, %d of them about defects and security; %d reviews incomplete", s.Set, s.Cases, s.Golden, s.Serious, s.Incomplete)
		line("\tfindings\thits\tprecision\trecall\trecall (serious)\tlines ±1\trejected by experts\ton clean commits")
		row := func(name string, q Quality) {
			line("%s\t%d\t%d\t%.2f\t%.2f\t%.2f\t%.2f\t%d\t%d", name, q.Findings, q.Hits, q.Precision, q.Recall, q.RecallSerious, q.LineAccuracy, q.Rejected, q.Clean)
		}
		row("published", s.Published)
		row("static reviewers alone", s.Static)
		for _, t := range s.Thresholds {
			row(fmt.Sprintf("at least %d votes", t.Votes), t.Quality)
		}
		for _, source := range s.Sources {
			row("  "+source.Name, source.Quality)
		}
		line("")
	}
	c := r.Cost
	line("%d models, %d reviews: median %.2f s, longest %.2f s, all %.1f s; %d + %d tokens, cost %.4f %s", r.Models, c.Reviews, c.MedianSeconds, c.MaxSeconds,
		c.TotalSeconds, c.InputTokens, c.OutputTokens, float64(c.CostMicros)/1e6, c.Currency)
	return table.Flush()
}
