package secrets

import (
	"context"
	"errors"
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

// Review scans the added lines of every file, and the removed ones, which stay in history. A value that the other side
// of the change holds as well is neither new nor gone, and not reported. Of binaries the strings are scanned. Files that the rules leave out by their path
// are not among those looked at but among those left out. A scan that ends early is an error.
func (r *Reviewer) Review(ctx context.Context, in review.Inspection) (review.Report, error) {
	report := review.Report{Looked: []review.Path{}}
	before, after := side(in.Change, finding.Left), side(in.Change, finding.Right)
	for i := range in.Change.Files {
		f := &in.Change.Files[i]
		if r.allowed(f.Path) {
			if !f.Metadata() {
				report.LeftOut = append(report.LeftOut, review.Path(f.Path))
			}
			continue
		}
		if !f.Metadata() {
			report.Looked = append(report.Looked, review.Path(f.Path))
		}
		for _, s := range []*scanned{newScanned(f, finding.Right, in), newScanned(f, finding.Left, in)} {
			other := before
			if s.side == finding.Left {
				other = after
			}
			hits, err := r.scan(ctx, s.path(), s.text)
			if err != nil {
				return review.Report{}, err
			}
			report.Proposals = append(report.Proposals, r.propose(s, fresh(hits, other))...)
		}
	}
	return report, nil
}

// sideText is everything that is known of one side of a change.
type sideText []string

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
			texts = append(texts, inside)
		}
		if has {
			texts = append(texts, string(whole))
			continue
		}
		var b strings.Builder
		for h := range f.Hunks {
			for _, l := range f.Hunks[h].Lines {
				if l.Op != skip {
					b.WriteString(l.Text)
					b.WriteByte('\n')
				}
			}
		}
		texts = append(texts, b.String())
	}
	return texts
}

// holds reports whether the side has the value. Of a value over several lines its longest one decides, whatever the
// line ends.
func (t sideText) holds(secret string) bool {
	longest := ""
	for line := range strings.SplitSeq(secret, "\n") {
		if line = strings.TrimSpace(line); len(line) > len(longest) {
			longest = line
		}
	}
	for _, text := range t {
		if longest != "" && strings.Contains(text, longest) {
			return true
		}
	}
	return false
}

func fresh(hits []hit, other sideText) []hit {
	kept := hits[:0]
	for _, h := range hits {
		if h.secret == "" || !other.holds(h.secret) {
			kept = append(kept, h)
		}
	}
	return kept
}
