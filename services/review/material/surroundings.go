package material

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"witan.dev/internal/diff"
	"witan.dev/services/review"
)

// ContextTokens is the default budget for the code around one part (own choice: published measurements say that more
// makes reviews worse).
const ContextTokens = 2000

// The shares of the budget in percent, in the order in which they are spent; what one leaves goes to the next.
const (
	shareEnclosing = 40
	shareContracts = 20
	shareCallers   = 20
	shareTests     = 10
	shareSimilar   = 10
)

const (
	wholeDefinition = 80 // lines up to which a definition is shown whole
	regionLines     = 5  // around a changed line in a longer one
	callerLines     = 2  // around a call
	callersEach     = 5  // calls of one contract
	relatedEach     = 10 // definitions of one part whose tests and likenesses are looked up (own choice)
	likeLines       = 3  // below it, what resembles a definition says nothing (own choice)
)

// Surroundings gathers code around parts. Index may be nil: then only what the changed files themselves say is shown.
type Surroundings struct {
	Inspection review.Inspection
	Index      review.Index
	Budget     int // tokens of each part
	// Sources are asked, of review.ContextSources; empty: all of them.
	Sources []string
	// Gaps say in words what Add could not look up as usual, each once.
	Gaps []string
}

// A note is one piece of context.
type note struct {
	path       string
	start, end int
	why, text  string
}

func (n note) String() string {
	return fmt.Sprintf("Context %s:%d-%d (%s)\n%s\n", diff.DisplayPath(n.path), n.start, n.end, n.why, strings.TrimRight(n.text, "\n"))
}

// Add appends the context to the text of the part.
func (s *Surroundings) Add(ctx context.Context, p *review.Part) error {
	if s.Budget <= 0 {
		return nil
	}
	contracts := s.contracts(p.Paths)
	changed := s.changed(p.Paths, contracts)
	w := writer{seen: map[string]bool{}}
	if s.asks(review.ContextEnclosing) {
		w.spend(s.Budget*shareEnclosing/100, s.enclosing(p.Paths))
	}
	if s.asks(review.ContextContracts) {
		w.spend(s.Budget*shareContracts/100, contractNotes(contracts))
	}
	for _, source := range []struct {
		name     string
		share    int
		relation review.Relation
		of       []changedDefinition
	}{
		{review.ContextCallers, shareCallers, review.RelationCallers, contracts},
		{review.ContextTests, shareTests, review.RelationTests, changed},
		{review.ContextSimilar, shareSimilar, review.RelationSimilar, slices.DeleteFunc(slices.Clone(changed), changedDefinition.slight)},
	} {
		if !s.asks(source.name) {
			continue
		}
		notes, err := s.related(ctx, source.of, source.relation)
		if err != nil {
			return err
		}
		w.spend(s.Budget*source.share/100, notes)
	}
	if w.text.Len() > 0 {
		p.Text += "\nFor orientation only, not part of the change:\n" + utf8Text(w.text.String())
		p.Tokens = Tokens(p.Text)
	}
	return nil
}

func (s *Surroundings) asks(source string) bool {
	return len(s.Sources) == 0 || slices.Contains(s.Sources, source)
}

// A writer spends budgets: what a source leaves over is for the next.
type writer struct {
	text strings.Builder
	left int
	seen map[string]bool
}

func (w *writer) spend(budget int, notes []note) {
	w.left += budget
	for _, n := range notes {
		text := n.String()
		key := fmt.Sprintf("%s:%d-%d:%s", n.path, n.start, n.end, n.text)
		if cost := Tokens(text); cost <= w.left && !w.seen[key] {
			w.seen[key] = true
			w.text.WriteString(text)
			w.left -= cost
		}
	}
}

// enclosing are the definitions around the changed lines, as far as the diff does not show them.
func (s *Surroundings) enclosing(paths []review.Path) []note {
	var out []note
	for _, p := range paths {
		path := string(p)
		f, code := s.Inspection.Change.File(path), s.Inspection.New[path]
		if f == nil || !code.Usable() || f.Change == review.Added {
			continue
		}
		lines := review.SplitLines(f.New)
		touched, _ := f.TouchedLines()
		done := map[int]bool{}
		for _, n := range touched {
			at := code.Enclosing(n, n)
			if at < 0 || done[at] {
				continue
			}
			done[at] = true
			if text := excerpt(f, lines, &code.Definitions[at], touched); text != "" {
				d := &code.Definitions[at]
				out = append(out, note{path: path, start: d.Span.StartLine, end: d.Span.EndLine, why: "around the change: " + d.Symbol(), text: text})
			}
		}
	}
	return out
}

// excerpt shows a definition: whole when it is short, else its signature and what lies around the changed lines. It is
// empty when the diff shows all of that already.
func excerpt(f *review.File, lines []string, d *review.Definition, touched []int) string {
	first, last := d.Span.StartLine, min(d.Span.EndLine, len(lines))
	long := last-first+1 > wholeDefinition
	var b strings.Builder
	hidden := 0
	for n := first; n <= last; n++ {
		if long && n != first && n != last && !near(n, touched, regionLines) {
			continue
		}
		if !f.InDiff(false, n) {
			hidden++
		}
		b.WriteString(lines[n-1] + "\n")
	}
	if hidden == 0 {
		return ""
	}
	return b.String()
}

func near(n int, lines []int, distance int) bool {
	at, ok := slices.BinarySearch(lines, n)
	return ok || at < len(lines) && lines[at]-n <= distance || at > 0 && n-lines[at-1] <= distance
}

// A changedDefinition is one that the change touches, as it was and as it is.
type changedDefinition struct {
	path     string // new, or old when the definition is gone
	old, new *review.Definition
}

// now is the definition as it is, or as it was when it is gone.
func (c changedDefinition) now() *review.Definition {
	if c.new == nil {
		return c.old
	}
	return c.new
}

// slight says that the definition is too short to resemble anything.
func (c changedDefinition) slight() bool {
	d := c.now()
	return d.Span.EndLine-d.Span.StartLine+1 < likeLines
}

// contracts are the exported definitions whose signature changed or which are gone.
func (s *Surroundings) contracts(paths []review.Path) []changedDefinition {
	var out []changedDefinition
	for _, p := range paths {
		path := string(p)
		f := s.Inspection.Change.File(path)
		if f == nil {
			continue
		}
		old, code := s.Inspection.Old[f.OldPath], s.Inspection.New[path]
		if !old.Usable() || f.Change == review.Added {
			continue
		}
		for i := range old.Definitions {
			d := &old.Definitions[i]
			if !d.Exported || d.Test {
				continue
			}
			switch now := code.Named(d.QualifiedName); {
			case now == nil:
				out = append(out, changedDefinition{path: f.OldPath, old: d})
			case now.Signature != d.Signature:
				out = append(out, changedDefinition{path: path, old: d, new: now})
			}
		}
	}
	return out
}

func contractNotes(contracts []changedDefinition) []note {
	out := make([]note, 0, len(contracts))
	for _, c := range contracts {
		n := note{path: c.path, start: c.old.Span.StartLine, end: c.old.Span.StartLine, why: "removed " + c.old.Symbol(), text: "before: " + c.old.Signature}
		if c.new != nil {
			n.start, n.end, n.why = c.new.Span.StartLine, c.new.Span.StartLine, "changed signature of "+c.new.Symbol()
			n.text += "\nafter: " + c.new.Signature
		}
		out = append(out, n)
	}
	return out
}

// changed are the contracts, and behind them the other definitions around changed lines, in the order of paths and lines;
// a few only. Tests are none: nobody tests them.
func (s *Surroundings) changed(paths []review.Path, contracts []changedDefinition) []changedDefinition {
	out := slices.Clone(contracts)
	for _, p := range paths {
		path := string(p)
		f, code := s.Inspection.Change.File(path), s.Inspection.New[path]
		if f == nil || !code.Usable() || code.Test {
			continue
		}
		touched, _ := f.TouchedLines()
		for _, n := range touched {
			if len(out) >= relatedEach { // a file of thousands of definitions, in each of its parts, takes the square of them
				break
			}
			d := owner(code, n)
			known := func(c changedDefinition) bool { return c.path == path && c.now().QualifiedName == d.QualifiedName }
			if d != nil && !d.Test && !slices.ContainsFunc(out, known) {
				out = append(out, changedDefinition{path: path, new: d})
			}
		}
	}
	return out[:min(len(out), relatedEach)]
}

// owner is the innermost definition around a line that is no mere field, or nil.
func owner(code *review.Code, line int) *review.Definition {
	at := code.Enclosing(line, line)
	for at >= 0 && at < len(code.Definitions) && code.Definitions[at].Kind == review.KindField {
		at = code.Definitions[at].Parent
	}
	if at < 0 || at >= len(code.Definitions) {
		return nil
	}
	return &code.Definitions[at]
}

// related asks the code graph for what uses or resembles changed definitions: the best of each first, so that one does not
// take the budget of all. An index that cannot be asked leaves the source out.
func (s *Surroundings) related(ctx context.Context, of []changedDefinition, relation review.Relation) ([]note, error) {
	if s.Index == nil {
		return nil, nil
	}
	var each [][]note
	for _, c := range of {
		index, d := s.Inspection.HeadIndex, c.now()
		if c.new == nil {
			index = s.Inspection.BaseIndex
		}
		if index == "" {
			continue
		}
		place := review.Place{Path: c.path, StartLine: d.NameSpan.StartLine, EndLine: d.NameSpan.StartLine, Name: d.Name}
		found, err := s.Index.Related(ctx, index, place, 4*callersEach, relation)
		if errors.Is(err, review.ErrUnavailable) {
			s.gap("the index of the code does not answer")
			break
		}
		if err != nil {
			return nil, fmt.Errorf("look up what is related to %s: %w", d.QualifiedName, err)
		}
		if found.Degraded != "" {
			s.gap(found.Degraded)
		}
		notes, err := s.notes(ctx, d, found.Pieces)
		if err != nil {
			return nil, err
		}
		each = append(each, notes)
	}
	return inTurns(each), nil
}

func (s *Surroundings) gap(why string) {
	if !slices.Contains(s.Gaps, why) {
		s.Gaps = append(s.Gaps, why)
	}
}

// inTurns joins lists: the first of each, then the second of each.
func inTurns(lists [][]note) []note {
	var out []note
	for n := range callersEach {
		for _, list := range lists {
			if n < len(list) {
				out = append(out, list[n])
			}
		}
	}
	return out
}

// notes turns the pieces for one contract into notes: those outside of the diff first, a few only.
func (s *Surroundings) notes(ctx context.Context, d *review.Definition, pieces []review.Piece) ([]note, error) {
	pieces = slices.DeleteFunc(pieces, func(p review.Piece) bool {
		return p.Relation != review.RelationSimilar && !p.Grade.Certain() || s.shown(p.Place)
	})
	slices.SortStableFunc(pieces, func(a, b review.Piece) int {
		switch ia, ib := s.inDiff(a.Place), s.inDiff(b.Place); {
		case ia == ib:
			return 0
		case ib:
			return -1
		default:
			return 1
		}
	})
	var out []note
	for _, p := range pieces[:min(len(pieces), callersEach)] {
		text, err := s.read(ctx, p)
		if err != nil {
			return nil, err
		}
		if text == "" {
			continue
		}
		why := strings.ToLower(string(p.Relation)) + " of " + d.Name
		if p.Grade != "" {
			why += ", " + strings.ToLower(string(p.Grade))
		}
		out = append(out, note{path: p.Place.Path, start: p.Place.StartLine, end: p.Place.EndLine, why: why, text: text})
	}
	return out, nil
}

// shown says whether the diff shows all lines of a place already.
func (s *Surroundings) shown(p review.Place) bool {
	f := s.Inspection.Change.File(p.Path)
	if f == nil {
		return false
	}
	for n := p.StartLine; n <= p.EndLine; n++ {
		if !f.InDiff(false, n) {
			return false
		}
	}
	return true
}

func (s *Surroundings) inDiff(p review.Place) bool {
	f := s.Inspection.Change.File(p.Path)
	return f != nil && f.InDiff(false, p.StartLine)
}

// read returns the lines of a piece with a little around them.
func (s *Surroundings) read(ctx context.Context, p review.Piece) (string, error) {
	if s.Inspection.Head == nil {
		return p.Text, nil
	}
	content, err := s.Inspection.Head.Read(ctx, p.Place.Path)
	switch {
	case errors.Is(err, review.ErrNoFile), errors.Is(err, review.ErrTooLarge):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("read %q: %w", p.Place.Path, err)
	}
	lines := review.SplitLines(content)
	from := max(p.Place.StartLine-callerLines, 1)
	to := min(p.Place.EndLine+callerLines, len(lines), from+regionLines*4)
	if from > to {
		return "", nil
	}
	return strings.Join(lines[from-1:to], "\n"), nil
}
