package secrets

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"witan.dev/internal/finding"
	"witan.dev/services/review"
)

const (
	// withheldPath and withheldText stand for what could not be scanned.
	withheldPath = "[a path that could not be scanned for secrets]"
	withheldText = "[a text that could not be scanned for secrets]"
)

// inNames finds the secrets in names, each once. The borders that rules ask for are not those of names (an underscore is a
// letter to them), so that the parts of a name are scanned as well. The generic rule says nothing of names.
func (r *Reviewer) inNames(ctx context.Context, names []string) ([]hit, error) {
	var b strings.Builder
	var starts []int // of the texts
	var of []string  // the name that each is made of
	seen := make(map[string]bool)
	add := func(text, name string) {
		if !seen[text] {
			seen[text] = true
			starts, of = append(starts, b.Len()), append(of, name)
			b.WriteString(text + "\n")
		}
	}
	for _, name := range names {
		if name == "" {
			continue
		}
		for _, cut := range [...]*strings.Replacer{
			strings.NewReplacer(), strings.NewReplacer("/", "\n", ".", "\n"), strings.NewReplacer("/", "\n", ".", "\n", "_", "\n"),
			strings.NewReplacer("/", "\n", ".", "\n", "_", "\n", "-", "\n"),
		} {
			add(cut.Replace(name), name)
		}
	}
	found, err := r.scan(ctx, "", b.String())
	if err != nil {
		return nil, err
	}
	var out []hit
	known := make(map[string]bool)
	for _, h := range specificFirst(found) {
		if h.rule == RuleGeneric || h.secret == "" || known[h.secret] {
			continue
		}
		at, first := slices.BinarySearch(starts, h.offset)
		if !first {
			at--
		}
		if strings.Contains(of[at], h.secret) { // it is none of pieces that do not stand together
			known[h.secret] = true
			out = append(out, h)
		}
	}
	return out, nil
}

// LearnNames is Learn for paths and the like.
func (d *Redactor) LearnNames(ctx context.Context, names ...string) error {
	hits, err := d.reviewer.inNames(ctx, names)
	if err != nil {
		return err
	}
	return d.remember(ctx, hits)
}

// Clone is a redactor that knows the same, and of which the first one learns nothing.
func (d *Redactor) Clone() *Redactor {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &Redactor{reviewer: d.reviewer, known: maps.Clone(d.known), bytes: d.bytes}
}

// ApplyLearned learns texts, as such and as names, and takes the secrets out of them. What cannot be scanned is withheld.
func (d *Redactor) ApplyLearned(ctx context.Context, texts ...*string) {
	names := make([]string, 0, len(texts))
	learned := make([]Text, 0, len(texts))
	for _, t := range texts {
		names, learned = append(names, *t), append(learned, Text{Text: *t})
	}
	err := d.LearnNames(ctx, names...)
	if err == nil {
		err = d.Learn(ctx, learned...)
	}
	for _, t := range texts {
		switch {
		case *t == "":
		case err != nil:
			*t = withheldText
		default:
			*t = d.Apply(*t)
		}
	}
}

// Clean takes the secrets out of texts. What cannot be scanned is withheld.
func (r *Reviewer) Clean(ctx context.Context, texts ...*string) {
	r.NewRedactor().ApplyLearned(ctx, texts...)
}

// NameMask returns what shows one of the names without its secrets. Where they cannot be scanned it shows none.
func (r *Reviewer) NameMask(ctx context.Context, names ...string) func(string) string {
	d := r.NewRedactor()
	if err := d.LearnNames(ctx, names...); err != nil {
		return func(string) string { return withheldPath }
	}
	return d.Apply
}

// Displayed is a report as it is shown to people: without secrets in its paths.
func (r *Reviewer) Displayed(ctx context.Context, report *finding.Report) *finding.Report {
	var names []string
	report.EachPath(func(path string) string {
		names = append(names, path)
		return path
	})
	mask := r.NameMask(ctx, names...)
	out := *report
	out.EachPath(func(path string) string {
		if path == "" {
			return ""
		}
		return mask(path)
	})
	return &out
}

// proposeNames makes one proposal of each secret that the change brings into a path, with further paths that have it.
func (r *Reviewer) proposeNames(ctx context.Context, c *review.Change) ([]review.Proposal, error) {
	var names []string
	for i := range c.Files {
		if f := &c.Files[i]; brings(f) {
			names = append(names, f.Path)
		}
	}
	hits, err := r.inNames(ctx, names)
	if err != nil {
		return nil, err
	}
	var out []review.Proposal
	for _, h := range hits[:min(len(hits), maxValues)] {
		p := review.Proposal{
			Source: Name, Category: finding.Security, Severity: finding.SeverityHigh, Certainty: 0.95, Rule: h.rule, Certain: true,
			Claim: fmt.Sprintf("The change adds a path that holds a secret of the kind %s%s.", h.rule, beginning(h.secret)),
			Reason: "Whoever can read the repository, or its list of files, can use it. Revoke it and issue a new one; another name in a " +
				"later commit leaves it in history.",
		}
		for i := range c.Files {
			f := &c.Files[i]
			if !brings(f) || !strings.Contains(f.Path, h.secret) || strings.Contains(f.OldPath, h.secret) && f.OldPath != f.Path {
				continue
			}
			place := finding.Location{Path: f.Path, OldPath: f.OldPath, Side: finding.Right, Placement: finding.PlacedFile}
			if p.Location.Path == "" {
				p.Location = place
			} else if len(p.Related) < maxPlaces {
				p.Related = append(p.Related, place)
			}
		}
		if p.Location.Path != "" {
			out = append(out, p)
		}
	}
	return out, nil
}

// brings says whether the path of the file is there by the change.
func brings(f *review.File) bool {
	return f.Change == review.Added || f.Change == review.Renamed || f.Change == review.Copied
}
