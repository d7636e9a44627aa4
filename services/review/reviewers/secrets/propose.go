package secrets

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"witan.dev/internal/finding"
	"witan.dev/services/review"
)

const (
	// shownPart is how many characters of a secret are shown, of one that is long enough not to suffer from it.
	shownPart, longEnough = 4, 16
	// maxLines bounds a finding's range.
	maxLines = 30
	// maxPlaces bounds the places that one finding lists.
	maxPlaces = 20
)

// scanned is one side of a file's change: its changed lines, one under the other, with their numbers. Between stretches
// that do not touch stands an empty line with number 0, so that no rule reads over the gap. Of a binary it is the side's strings,
// which have no lines.
type scanned struct {
	file    *review.File
	code    *review.Code
	side    finding.Side
	text    string
	starts  []int
	numbers []int
	// formsOnly says that the generic rule reports nothing.
	formsOnly bool
	// hits are those of the text, and compared those whose values were looked for on the other side of the change; known says
	// which of these values it holds as well.
	hits, compared []hit
	known          map[string]bool
}

func newScanned(f *review.File, side finding.Side, in review.Inspection) *scanned {
	s := &scanned{file: f, side: side, code: in.New[f.Path]}
	op, inside := byte('+'), f.NewStrings
	if side == finding.Left {
		op, inside, s.code = '-', f.OldStrings, in.Old[f.OldPath]
	}
	if f.Nature == review.NatureBinary {
		s.text = inside
		return s
	}
	var b strings.Builder
	add := func(text string, number int) {
		s.starts = append(s.starts, b.Len())
		s.numbers = append(s.numbers, number)
		b.WriteString(text)
		b.WriteByte('\n')
	}
	last := 0
	for i := range f.Hunks {
		oldLine, newLine := f.Hunks[i].OldStart, f.Hunks[i].NewStart
		for _, l := range f.Hunks[i].Lines {
			number := newLine
			if side == finding.Left {
				number = oldLine
			}
			if l.Op == op {
				if last > 0 && number != last+1 {
					add("", 0)
				}
				add(l.Text, number)
				last = number
			}
			if l.Op != '+' {
				oldLine++
			}
			if l.Op != '-' {
				newLine++
			}
		}
	}
	s.text = b.String()
	return s
}

func (s *scanned) path() string {
	if s.side == finding.Left {
		return s.file.OldPath
	}
	return s.file.Path
}

// lineAt returns the index of the line that holds the offset.
func (s *scanned) lineAt(offset int) int {
	at, found := slices.BinarySearch(s.starts, offset)
	if !found {
		at--
	}
	return max(at, 0)
}

// propose makes one proposal of each value in a file that was compared, with the further places of the same value.
func (r *Reviewer) propose(ctx context.Context, s *scanned) ([]review.Proposal, error) {
	var out []review.Proposal
	redactor := r.NewRedactor()
	if err := redactor.remember(ctx, s.hits); errors.Is(err, ErrTooMany) {
		redactor = nil // what cannot be taken out is not quoted
	} else if err != nil {
		return nil, err
	}
	var kept intervals
	bySecret := make(map[string]int)
	for i, h := range s.compared {
		if i%checkEvery == 0 && ctx.Err() != nil {
			return nil, fmt.Errorf("report secrets: %w", context.Cause(ctx))
		}
		if h.secret == "" {
			if s.side == finding.Right && s.file.Change == review.Added {
				out = append(out, byName(s, h))
			}
			continue
		}
		if h.elided() || s.known[h.secret] || kept.overlap(h.offset, h.offset+len(h.secret)) {
			continue
		}
		at, seen := bySecret[h.secret]
		kept.add(h.offset, h.offset+len(h.secret))
		if !seen {
			bySecret[h.secret] = len(out)
			out = append(out, r.proposal(s, h, redactor))
			continue
		}
		p := &out[at]
		if len(p.Related) == maxPlaces {
			continue
		}
		if loc := s.location(h, redactor); loc.StartLine != p.Location.StartLine {
			p.Related = append(p.Related, loc)
		}
	}
	return out, nil
}

// intervals are stretches of a text that share no byte, in their order.
type intervals [][2]int

// after is the place of the first interval that ends after the offset.
func (v intervals) after(offset int) int {
	at, _ := slices.BinarySearchFunc(v, offset, func(i [2]int, offset int) int {
		if i[1] <= offset {
			return -1
		}
		return 1
	})
	return at
}

// overlap reports whether the stretch shares bytes with one of the intervals: two rules know the same thing.
func (v intervals) overlap(from, to int) bool {
	at := v.after(from)
	return at < len(v) && v[at][0] < to
}

func (v *intervals) add(from, to int) { *v = slices.Insert(*v, v.after(from), [2]int{from, to}) }

// specificFirst orders hits: those of specific rules before those of the generic one, then by place, the longer first.
// The detector's own order is that of a map.
func specificFirst(hits []hit) []hit {
	sorted := slices.Clone(hits)
	slices.SortFunc(sorted, func(a, b hit) int {
		return cmp.Or(
			cmp.Compare(generality(a), generality(b)), cmp.Compare(a.offset, b.offset),
			cmp.Compare(len(b.secret), len(a.secret)), cmp.Compare(a.rule, b.rule),
		)
	})
	return sorted
}

func generality(h hit) int {
	if h.rule == RuleGeneric {
		return 1
	}
	return 0
}

// elided reports whether the value is written with a part left out, as documentation shows one. The generic rule only: a key
// whose form is known is none then. It is still masked.
func (h hit) elided() bool { return h.rule == RuleGeneric && strings.Contains(h.secret, "...") }

func (r *Reviewer) proposal(s *scanned, h hit, redactor *Redactor) review.Proposal {
	p := review.Proposal{
		Source: Name, Location: s.location(h, redactor), Category: finding.Security, Severity: finding.SeverityHigh,
		Certainty: 0.95, Rule: h.rule, Certain: true, // members see the replacement only: they cannot judge it
	}
	what := fmt.Sprintf("a secret of the kind %s%s", h.rule, beginning(h.secret))
	if h.rule == RuleGeneric {
		p.Severity, p.Certainty, p.Certain, p.Confirm = finding.SeverityMedium, 0.5, false, true
		what = "what looks like a secret, by the name it is given" + beginning(h.secret)
	}
	if s.side == finding.Right {
		p.Claim = "The change adds " + what + "."
		p.Reason = "Whoever can read the repository can use it. Revoke it and issue a new one, and load it from the environment " +
			"or a secret store; taking it out in a later commit leaves it in history."
		return p
	}
	p.Severity-- // it was there before: the change makes nothing worse
	p.Claim = "The change removes " + what + ", which stays in the repository's history."
	p.Reason = "Removing the line takes it from no clone. Revoke it, if that has not been done."
	return p
}

func beginning(secret string) string {
	if len(secret) < longEnough || strings.ContainsAny(secret[:shownPart], "-\n\r\t ") {
		return ""
	}
	return fmt.Sprintf(" that begins with %q", secret[:shownPart])
}

// location is where the secret stands, with the lines' text as it may be shown; without it where there is no redactor.
func (s *scanned) location(h hit, redactor *Redactor) finding.Location {
	if len(s.starts) == 0 {
		return finding.Location{Path: s.file.Path, OldPath: s.file.OldPath, Side: s.side, Placement: finding.PlacedFile}
	}
	first := s.lineAt(h.offset)
	last := min(s.lineAt(h.offset+len(strings.TrimRight(h.secret, "\n"))-1), first+maxLines-1)
	for last > first && s.numbers[last] == 0 {
		last--
	}
	end := len(s.text)
	if last+1 < len(s.starts) {
		end = s.starts[last+1]
	}
	loc := finding.Location{
		Path: s.file.Path, OldPath: s.file.OldPath, Side: s.side, StartLine: s.numbers[first], EndLine: s.numbers[last],
		Placement: finding.PlacedExact, InDiff: true,
	}
	if redactor != nil {
		loc.Code = strings.TrimSuffix(redactor.Apply(s.text[s.starts[first]:end]), "\n")
	}
	if s.code.Usable() {
		if i := s.code.Enclosing(loc.StartLine, loc.EndLine); i >= 0 {
			loc.Symbol = s.code.Definitions[i].Symbol()
		}
	}
	return loc
}

// byName is a file that its name alone gives away, such as a key store.
func byName(s *scanned, h hit) review.Proposal {
	return review.Proposal{
		Source: Name, Category: finding.Security, Severity: finding.SeverityHigh, Certainty: 0.8, Rule: h.rule,
		Location: finding.Location{
			Path: s.file.Path, OldPath: s.file.OldPath, Side: finding.Right, Placement: finding.PlacedFile,
		},
		Claim:  "The change adds a file that holds secrets, by its name.",
		Reason: "Key stores belong into a secret store and not into a repository.",
	}
}
