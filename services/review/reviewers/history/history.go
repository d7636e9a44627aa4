package history

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"witan.dev/internal/diff"
	"witan.dev/internal/finding"
	"witan.dev/services/review"
)

// Name is the source under which the reviewer's findings are shown.
const Name = "history"

// RuleLeftOut is the only rule.
const RuleLeftOut = "left-out"

// Bounds of one review (own choices).
const (
	// maxFindings is how many files are named, maxLooked how many are looked for in the head.
	maxFindings, maxLooked = 3, 20
	// maxRules is how many rules one finding names.
	maxRules = 3
	// Patience bounds reading the history.
	Patience = 90 * time.Second
)

// unread is what is said where the history cannot be read.
const unread = "the history could not be read: files that usually change together were not looked for"

// Reviewer is the static reviewer of what usually changes together. Safe for concurrent use.
type Reviewer struct {
	history review.History
}

var _ review.Reviewer = (*Reviewer)(nil)

// New returns a reviewer that asks history.
func New(history review.History) *Reviewer { return &Reviewer{history: history} }

// Name returns the reviewer's name.
func (r *Reviewer) Name() string { return Name }

// Review names the files that the change leaves out although they nearly always changed together with its own. A change of
// more files than a commit of the history may have is not judged, nor one without a history. A history that cannot be read
// is a note of the report and no error: no file is unread for it. One whose forge does not answer is both.
func (r *Reviewer) Review(ctx context.Context, in review.Inspection) (review.Report, error) {
	nothing := review.Report{Looked: []review.Path{}}
	if in.Head == nil || len(in.Change.Files) > review.MaxPastPaths {
		return nothing, nil
	}
	limited, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	past, err := r.history.Past(limited, in.Pinned)
	if ctx.Err() != nil {
		return nothing, context.Cause(ctx)
	}
	if err != nil {
		nothing.Notes = []string{unread}
		if errors.Is(err, review.ErrUnavailable) {
			return nothing, fmt.Errorf("history: %w", err)
		}
		return nothing, nil
	}
	if len(past) < minSupport {
		return nothing, nil
	}
	report := review.Report{Looked: []review.Path{}, Whole: true}
	for i, m := range Misses(past, changed(in.Change)) {
		if i == maxLooked || len(report.Proposals) == maxFindings {
			break
		}
		there, err := exists(ctx, in.Head, m.Path)
		if err != nil {
			return nothing, fmt.Errorf("history: look for %s: %w", diff.QuotePath(m.Path), err)
		}
		if there {
			report.Proposals = append(report.Proposals, propose(m))
		}
	}
	return report, nil
}

func changed(c *review.Change) []string {
	out := make([]string, 0, len(c.Files))
	for i := range c.Files {
		out = append(out, c.Files[i].Path)
		if c.Files[i].OldPath != c.Files[i].Path {
			out = append(out, c.Files[i].OldPath)
		}
	}
	return out
}

// exists says whether the head still has the file, under a name that can be shown.
func exists(ctx context.Context, head review.Tree, path string) (bool, error) {
	if !utf8.ValidString(path) {
		return false, nil
	}
	_, err := head.Read(ctx, path)
	if errors.Is(err, review.ErrNoFile) {
		return false, nil
	}
	if err == nil || errors.Is(err, review.ErrTooLarge) {
		return true, nil
	}
	return false, err
}

// propose words the finding, at the file that is left out: it is not in the diff, so that it is shown beside the change and
// never as a comment on somebody's line. It asks for a confirmation: only a reader can tell whether this time is different.
func propose(m Miss) review.Proposal {
	best := m.Rules[0]
	p := review.Proposal{
		Source: Name, Rule: RuleLeftOut, Category: finding.Maintainability, Severity: finding.SeverityLow,
		Certainty: float64(best.Together) / float64(best.Of), Confirm: true,
		Location: finding.Location{Path: m.Path, OldPath: m.Path, Side: finding.Right, Placement: finding.PlacedFile},
		Claim:    fmt.Sprintf("%s is left as it was, but usually changes together with %s", diff.DisplayPath(m.Path), diff.DisplayPath(best.Changed)),
	}
	var b strings.Builder
	for i, r := range m.Rules[:min(len(m.Rules), maxRules)] {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%d of the last %d commits that changed %s changed it as well.", r.Together, r.Of, diff.DisplayPath(r.Changed))
		p.Related = append(p.Related, finding.Location{Path: r.Changed, OldPath: r.Changed, Side: finding.Right, Placement: finding.PlacedFile})
	}
	p.Reason = b.String()
	return p
}
