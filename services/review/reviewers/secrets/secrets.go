package secrets

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/zricethezav/gitleaks/v8/detect"

	"witan.dev/internal/finding"
	"witan.dev/services/review"
)

// Name is the source under which the reviewer's findings are shown.
const Name = "secrets"

// minKey is the shortest key in bytes.
const minKey = 16

// Reviewer finds secrets. Safe for concurrent use; all reviewers of a process share one detector.
type Reviewer struct {
	detector *detect.Detector
	key      []byte
}

var _ review.Reviewer = (*Reviewer)(nil)

// New returns a reviewer. The key makes the replacements of secrets unguessable; the same key gives the same ones, so it
// has to outlive a restart, and with it fingerprints of findings stay the same from review to review. It has at least
// 16 bytes.
func New(key []byte) (*Reviewer, error) {
	if len(key) < minKey {
		return nil, errors.New("secrets: the key for redaction has fewer than 16 bytes")
	}
	detector, err := build()
	if err != nil {
		return nil, err
	}
	return &Reviewer{detector: detector, key: key}, nil
}

// Name returns the reviewer's name.
func (r *Reviewer) Name() string { return Name }

// Bounds of one report (own choices): values of one side of a file, and of all files. Looking whether the other side of the
// change has a value reads all of that side.
const (
	maxValues    = 200
	maxAllValues = 1000
)

// Review scans the added lines of every file, and the removed ones, which stay in history. A value that the other side
// of the change holds as well is neither new nor gone, and not reported. Of binaries the strings are scanned. Of files
// that the rules leave out by their path only secrets whose form is known are reported; they are not among those looked at but
// among those left out. So are paths that the
// change brings. Of very many values some are reported, and the limits name the
// files that have others. A scan that ends early is an error.
func (r *Reviewer) Review(ctx context.Context, in review.Inspection) (review.Report, error) {
	report := review.Report{Looked: []review.Path{}}
	before, after := side(in.Change, finding.Left), side(in.Change, finding.Right)
	left := maxAllValues
	for i := range in.Change.Files {
		f := &in.Change.Files[i]
		switch leftOut := r.allowed(f.Path); {
		case leftOut && f.Metadata():
			continue
		case leftOut:
			report.LeftOut = append(report.LeftOut, review.Path(f.Path))
		case !f.Metadata():
			report.Looked = append(report.Looked, review.Path(f.Path))
		}
		for _, s := range []*scanned{newScanned(f, finding.Right, in), newScanned(f, finding.Left, in)} {
			other := before
			if s.side == finding.Left {
				other = after
			}
			path := s.path()
			if s.formsOnly = r.allowed(path); s.formsOnly {
				path = ""
			}
			hits, err := r.scan(ctx, path, s.text)
			if err != nil {
				return review.Report{}, err
			}
			s.hits = specificFirst(hits)
			looked, more, err := s.compare(ctx, other, min(maxValues, left))
			if err != nil {
				return review.Report{}, err
			}
			left -= looked
			proposals, err := r.propose(ctx, s)
			if err != nil {
				return review.Report{}, err
			}
			report.Proposals = append(report.Proposals, proposals...)
			if more {
				short(&report, review.Path(f.Path))
			}
		}
	}
	named, err := r.proposeNames(ctx, in.Change)
	if err != nil {
		return review.Report{}, err
	}
	report.Proposals = append(report.Proposals, named...)
	if n := len(report.Limits); n > 0 {
		report.Notes = append(report.Notes, fmt.Sprintf("%d files have more values that look like secrets than are reported", n))
	}
	return report, nil
}

// short notes that not all of a file's values were reported.
func short(report *review.Report, path review.Path) {
	if report.Limits == nil {
		report.Limits = make(map[review.Path][]review.Reason)
	}
	report.Limits[path] = []review.Reason{finding.ReasonBudget}
}

// compare looks whether the other side of the change has the values of the hits too, of so many values as there is room
// for. The hits of others are dropped: nothing can be said of them, and more says that there are some.
func (s *scanned) compare(ctx context.Context, other sideText, room int) (looked int, more bool, err error) {
	s.known = make(map[string]bool)
	kept := make([]hit, 0, len(s.hits))
	for _, h := range s.hits {
		if s.formsOnly && h.rule == RuleGeneric {
			continue
		}
		if _, done := s.known[h.secret]; h.secret != "" && !done {
			if looked == room {
				more = true
				continue
			}
			if s.known[h.secret], err = other.holds(ctx, h.secret); err != nil {
				return looked, more, err
			}
			looked++
		}
		kept = append(kept, h)
	}
	s.compared = kept
	return looked, more, nil
}

// sideText is everything that is known of one side of a change.
type sideText [][]byte

// side collects whole files where they are known, else what the hunks show.
func side(c *review.Change, which finding.Side) sideText {
	var texts sideText
	for i := range c.Files {
		f := &c.Files[i]
		whole, has, skip, inside := f.Old, f.HasOld, byte('+'), f.OldStrings
		if which == finding.Right {
			whole, has, skip, inside = f.New, f.HasNew, '-', f.NewStrings
		}
		if inside != "" {
			texts = append(texts, []byte(inside))
		}
		if has {
			texts = append(texts, whole)
			continue
		}
		var b bytes.Buffer
		for h := range f.Hunks {
			for _, l := range f.Hunks[h].Lines {
				if l.Op != skip {
					b.WriteString(l.Text)
					b.WriteByte('\n')
				}
			}
		}
		texts = append(texts, b.Bytes())
	}
	return texts
}

// holds reports whether the side has the value. Of a value over several lines its longest one decides, whatever the
// line ends.
func (t sideText) holds(ctx context.Context, secret string) (bool, error) {
	longest := ""
	for line := range strings.SplitSeq(secret, "\n") {
		if line = strings.TrimSpace(line); len(line) > len(longest) {
			longest = line
		}
	}
	if longest == "" {
		return false, nil
	}
	for _, text := range t {
		if ctx.Err() != nil {
			return false, fmt.Errorf("look for secrets on the other side: %w", context.Cause(ctx))
		}
		if bytes.Contains(text, []byte(longest)) {
			return true, nil
		}
	}
	return false, nil
}
