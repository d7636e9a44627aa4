package lifecycle

import (
	"slices"

	"witan.dev/internal/finding"
	"witan.dev/services/review"
)

// standing is what became of the code that a known finding quotes.
type standing struct {
	// path is where its file is now.
	path string
	// places are where the quoted code still stands; none: it is gone or changed.
	places []place
	// removed says that the file is gone with it.
	removed bool
	// unknown: nothing can be said. moved: the same definition stands in another file, which path and places name.
	unknown bool
	moved   bool
}

// gone says whether the quoted code certainly does not stand there any more.
func (s *standing) gone() bool { return !s.unknown && !s.moved && len(s.places) == 0 }

const (
	// telling is how many tokens a quote has that says by itself that it is the same code (own choice).
	telling = 8
)

// stands are the standings of the known findings. What is fixed is looked for only where one of the review's findings may be
// it again, as the rules of matching have it: by its category, or its symbol.
func (v *view) stands(known []review.Known, findings []finding.Finding) ([]standing, error) {
	categories, symbols := map[finding.Category]bool{}, map[string]bool{}
	for i := range findings {
		categories[findings[i].Category], symbols[findings[i].Location.Symbol] = true, true
	}
	out := make([]standing, 0, len(known))
	for k := range known {
		f := &known[k].Finding
		if f.Status == finding.Fixed && !categories[f.Category] && !symbols[f.Location.Symbol] {
			out = append(out, standing{path: append(v.paths(&f.Location), "")[0], unknown: true})
			continue
		}
		s, err := v.stand(&known[k])
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// stand looks for the code of a known finding in the head.
func (v *view) stand(k *review.Known) (standing, error) {
	l := &k.Finding.Location
	paths := v.paths(l)
	q := quoteOf(l)
	if l.Side == finding.Left {
		return v.standLeft(k, paths, q), nil
	}
	var first *standing
	for _, path := range paths {
		f, err := v.file(path)
		if err != nil {
			return standing{}, err
		}
		s := standing{path: path, unknown: f.presence == Unknown, removed: f.presence == Absent}
		if f.presence == Present {
			s.places = v.placesIn(f, path, q, k)
			s.unknown = q.empty()
		}
		if len(s.places) > 0 {
			return s, nil
		}
		if first == nil || first.removed && !s.removed {
			first = &s
		}
	}
	if first == nil {
		return standing{path: l.Path, unknown: true}, nil
	}
	if !first.unknown && k.Finding.Status != finding.Fixed { // what is fixed does not become so
		path, places, unsure, err := v.movedElsewhere(l, first.path, q)
		if err != nil {
			return standing{}, err
		}
		if len(places) > 0 {
			first = &standing{path: path, places: places, moved: true}
		}
		first.unknown = unsure
	}
	return *first, nil
}

// standLeft looks whether the change still takes the quoted code away.
func (v *view) standLeft(k *review.Known, paths []string, q *quote) standing {
	l := &k.Finding.Location
	old := l.OldPath
	if old == "" {
		old = l.Path
	}
	s := standing{path: paths[0]}
	f := v.head.Change.OldFile(old)
	switch {
	case f == nil:
		return s
	case q.empty() || len(f.Hunks) == 0:
		s.path, s.unknown = f.Path, true
	default:
		s.path, s.places = f.Path, v.removed(old, q, k.Before, k.After)
	}
	return s
}

// placesIn are the places of the quote within the finding's symbol, or in the whole file where it has none. Where the file
// has no such symbol any more, only a quote that tells something by itself counts.
func (v *view) placesIn(f *file, path string, q *quote, k *review.Known) []place {
	l := &k.Finding.Location
	all := f.find(q, k.Before, k.After)
	if l.Symbol == "" {
		return all
	}
	start, end, found, known := v.definition(path, l.Symbol)
	switch {
	case !known:
		return all
	case found:
		return slices.DeleteFunc(all, func(p place) bool { return p.end < start || p.start > end })
	case len(q.plain) < telling:
		return nil
	}
	return all
}

// movedElsewhere returns the other changed file that has the definition with the quoted code now, and where it stands there: it
// was moved, and is not gone. Where other findings stand with the same code it did not go, unless there are more such places. It is
// unsure where it was not found, and may stand in a file that there was no room to search.
func (v *view) movedElsewhere(l *finding.Location, here string, q *quote) (path string, places []place, unsure bool, err error) {
	if q.empty() || l.Symbol == "" && len(q.plain) < telling {
		return "", nil, false, nil
	}
	m, err := v.movable()
	if err != nil {
		return "", nil, false, err
	}
	for _, c := range m.holding(q) {
		if c.Path == here {
			continue
		}
		f, err := v.file(c.Path)
		if err != nil {
			return "", nil, false, err
		}
		places := f.find(q, "", "")
		if len(places) <= v.taken(c.Path, q) {
			continue
		}
		if l.Symbol == "" || len(q.plain) >= telling || v.defines(c.Path, l.Symbol) {
			return c.Path, places, false, nil
		}
	}
	return "", nil, m.mayHold(q, here), nil
}

// defines says whether a file defines something of the symbol's bare name.
func (v *view) defines(path, symbol string) bool {
	code := v.head.Code[path]
	if !code.Usable() {
		return false
	}
	name := bareName(symbol)
	return slices.ContainsFunc(code.Definitions, func(d review.Definition) bool { return d.Name == name })
}
