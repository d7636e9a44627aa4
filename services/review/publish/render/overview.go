package render

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"witan.dev/internal/finding"
)

// Overview is a whole review as it is shown in the walkthrough and the check run.
type Overview struct {
	// Report is the review; its findings say where they are shown.
	Report *finding.Report
	// Address is where the job can be looked at, empty: nowhere.
	Address string
	// Limits say in words what was left out as a whole, Problems what is wrong in the repository's configuration.
	Limits   []string
	Problems []string
	// Since is the commit since which the council looked, empty: it looked at everything.
	Since string
	// From is the lowest severity that is shown in full; below it findings are listed as held back, whatever found them.
	From finding.Severity
	// Collapse folds the findings of the walkthrough.
	Collapse bool
	// Dismissed says who dismissed findings, and why, by their names, as far as that is known.
	Dismissed map[string]Dismissal
}

// Dismissal is what a person said when they dismissed a finding.
type Dismissal struct {
	By  string // login; empty: not known
	Why string // empty: nothing was said
}

func (d Dismissal) words() string {
	text := "dismissed"
	if d.By != "" {
		text += " by @" + d.By
	}
	if d.Why != "" {
		text += ": " + d.Why
	}
	return escape(text, maxTitle)
}

// maxRows bounds the findings of one list.
const maxRows = 300

// Walkthrough is the one comment about all of it, at most Limit bytes with its mark.
func (o *Overview) Walkthrough(mark string) string {
	r := o.Report
	t := newBody(Limit - len(mark) - 600)
	t.add("## Witan review: %s", finding.EscapeMarkdown(finding.VerdictLine(r)))
	kept := t.keep(o.unread())
	o.problems(t)
	t.add("%s", paragraphs(r.Summary, maxReason))
	acted, fixed, dismissed, held := o.sorted()
	o.list(t, "Findings", acted, o.Collapse)
	o.apart(t, acted)
	o.list(t, "Fixed", fixed, true)
	o.list(t, "Dismissed", dismissed, true)
	o.list(t, "Held back", held, true)
	o.notes(t)
	t.room += kept
	o.files(t)
	o.closing(t)
	return t.end(mark)
}

// Check is the check run: its title, and the two texts that it can hold, each at most Limit bytes. The first one has the
// verdict and as many of the files as fit, the second one the findings and the other files.
func (o *Overview) Check() (title, summary, text string) {
	r := o.Report
	t := newBody(Limit - 600)
	t.add("%s", finding.EscapeMarkdown(finding.VerdictLine(r)+"."))
	t.add("%s", finding.EscapeMarkdown(finding.CoverageLine(r.Coverage)))
	kept := t.keep(o.unread())
	o.problems(t)
	t.add("%s", paragraphs(r.Summary, maxReason))
	o.notes(t)
	t.room += kept
	more := newBody(Limit - 600)
	texts := []*body{t}
	if !o.fits(t) {
		texts = append(texts, more)
		kept = more.keep(Limit / 2)
	}
	acted, fixed, dismissed, held := o.sorted()
	o.list(more, "Findings", acted, false)
	o.list(more, "Fixed", fixed, true)
	o.list(more, "Dismissed", dismissed, true)
	o.list(more, "Held back", held, true)
	if len(texts) > 1 {
		more.room += kept
	}
	o.inventory(texts...)
	o.closing(t)
	if more.cut {
		more.room += 500
		more.add("More than fits here was left out; the job has it all.")
	}
	title = finding.VerdictLine(r)
	if len(o.Problems) > 0 {
		title = ".witan.yaml is wrong and not used; " + title
	}
	return shorten(title, 200), t.end(""), more.end("")
}

func (o *Overview) problems(t *body) {
	if len(o.Problems) == 0 {
		return
	}
	t.add("`.witan.yaml` is not used, since it is wrong:")
	bullets(t, o.Problems)
}

func (o *Overview) notes(t *body) { bullets(t, o.Limits) }

// bullets lists sentences.
func bullets(t *body, sentences []string) {
	var lines []string
	for i, s := range sentences {
		if i == maxVotes {
			lines = append(lines, fmt.Sprintf("- and %d more", len(sentences)-i))
			break
		}
		if escaped := escape(s, maxVote); escaped != "" {
			lines = append(lines, "- "+escaped)
		}
	}
	t.add("%s", strings.Join(lines, "\n"))
}

// sorted are the findings in the common order by what became of them.
func (o *Overview) sorted() (acted, fixed, dismissed, held []*finding.Finding) {
	all := make([]*finding.Finding, len(o.Report.Findings))
	for i := range o.Report.Findings {
		all[i] = &o.Report.Findings[i]
	}
	slices.SortStableFunc(all, finding.Compare)
	for _, f := range all {
		switch {
		case o.below(f):
			held = append(held, f)
		case finding.Current(f):
			acted = append(acted, f)
		case f.Outcome != finding.Published:
			held = append(held, f)
		case f.Status == finding.Fixed:
			fixed = append(fixed, f)
		default:
			dismissed = append(dismissed, f)
		}
	}
	return acted, fixed, dismissed, held
}

// below says whether a finding is to be acted on, and less severe than what the repository wants to be shown.
func (o *Overview) below(f *finding.Finding) bool { return finding.Current(f) && f.Severity < o.From }

// list is a table of findings with links to their comments. What does not fit is counted.
func (o *Overview) list(t *body, heading string, findings []*finding.Finding, fold bool) {
	if len(findings) == 0 {
		return
	}
	var rows strings.Builder
	n, room := 0, t.room*3/4
	for _, f := range findings {
		row := o.row(f)
		if n == maxRows || rows.Len()+len(row) > room {
			break
		}
		rows.WriteString(row)
		n++
	}
	if n < len(findings) {
		fmt.Fprintf(&rows, "| | and %d more | | |\n", len(findings)-n)
		t.cut = true
	}
	table := "| | finding | place | votes |\n|---|---|---|---|\n" + strings.TrimSuffix(rows.String(), "\n")
	title := fmt.Sprintf("%s: %d", heading, len(findings))
	if fold {
		t.add("<details><summary>%s</summary>\n\n%s\n\n</details>", title, table)
		return
	}
	t.add("**%s**\n\n%s", title, table)
}

func (o *Overview) row(f *finding.Finding) string {
	title := link(escape(f.Title, maxTitle), f.Publication.URL)
	switch {
	case f.Status == finding.Fixed && f.FixedIn != "" && Leaked(f):
		title += " (taken out in " + finding.CodeSpan(f.FixedIn[:min(len(f.FixedIn), 12)]) + ", still in the history that was pushed: revoke it)"
	case f.Status == finding.Fixed && f.FixedIn != "":
		title += " (fixed in " + finding.CodeSpan(f.FixedIn[:min(len(f.FixedIn), 12)]) + ")"
	case f.Outcome == finding.Published && f.Status == finding.Dismissed:
		if d := o.Dismissed[f.Name]; d != (Dismissal{}) {
			title += " (" + d.words() + ")"
		}
	case o.below(f):
		title += " (below severity.publish)"
	case f.Status == finding.Reappeared:
		title += " (is back)"
	case f.Outcome != finding.Published && f.OutcomeReason != "":
		title += " (" + escape(words(f.OutcomeReason), maxTitle) + ")"
	}
	return fmt.Sprintf("| %s | %s | %s | %s |\n", f.Severity, title, finding.CodeSpan(shorten(finding.Place(f.Location), maxReason)),
		finding.EscapeMarkdown(cmp.Or(finding.VotesLine(f.Tally), strings.Join(f.Sources, ", "))))
}

// apart shows in full what is to be acted on and has no comment of its own, with the reason.
func (o *Overview) apart(t *body, findings []*finding.Finding) {
	for _, f := range findings {
		if f.Publication.URL != "" {
			continue
		}
		why := ""
		if f.Publication.Reason != "" {
			why = " *(no comment of its own: " + escape(words(f.Publication.Reason), maxTitle) + ")*"
		}
		t.add("**%s · %s:** %s%s\n\n%s\n\n%s\n\n%s", f.Severity, escape(words(string(f.Category)), maxTitle), escape(f.Title, maxTitle), why,
			apart(f), cmp.Or(paragraphs(f.Reason, maxReason/4), "–"), votes(f))
	}
}

func (o *Overview) closing(t *body) {
	r := o.Report
	t.room += 600
	if t.cut {
		t.add("More than fits here was left out; %s has it all.", link("the job", o.Address))
	}
	var parts []string
	switch {
	case o.Since != "":
		parts = append(parts, "what is new since "+finding.CodeSpan(short(o.Since)))
	case r.Base != "" || r.Head != "":
		parts = append(parts, finding.CodeSpan(short(r.Base)+" … "+short(r.Head)))
	}
	if r.Coverage.Council != "" {
		parts = append(parts, "council: "+escape(r.Coverage.Council, 120))
	}
	if r.Cost != "" {
		parts = append(parts, "cost "+escape(r.Cost, 60))
	}
	if r.Job != "" {
		parts = append(parts, "job "+link(finding.CodeSpan(strings.TrimPrefix(r.Job, "jobs/")), o.Address))
	}
	t.add("%s", strings.Join(parts, " · "))
}

func short(commit string) string { return commit[:min(len(commit), 12)] }
