package material

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"witan.dev/internal/finding"
	"witan.dev/services/review"
)

const (
	// MinRoom is the smallest part that is worth asking about, in tokens.
	MinRoom = 500
	// maxParts bounds the parts of one review (own choice); the files of later ones get static reviewers only.
	maxParts = 64
	// What the council takes of one part at most. Its text, of at most 2 MiB, is bounded by the room.
	maxPaths   = 1000
	maxAnchors = 5000
	// Above these, the council reads contracts and signatures only (own choice).
	manyFiles = 1000
	manyLines = 200_000
)

// Plan is the material of one review.
type Plan struct {
	Parts []review.Part
	// Limits names the files that the council will not read in full, and why.
	Limits map[review.Path][]review.Reason
}

// Build cuts the change into parts of at most room tokens each. code holds the parsed new sides, and old the old ones.
func Build(c *review.Change, old, code map[string]*review.Code, room int) Plan {
	p := Plan{Limits: map[review.Path][]review.Reason{}}
	all := make([][]fragment, len(c.Files))
	big := len(c.Files) > manyFiles || c.Lines() > manyLines
	for i := range c.Files {
		f := &c.Files[i]
		if f.Policy != "" || f.Metadata() || len(f.Hunks) == 0 {
			continue
		}
		var cut bool
		if big {
			all[i] = contract(i, f, old[f.OldPath], code[f.Path], room)
			p.limit(f.Path, finding.ReasonBudget)
			continue
		}
		if all[i], cut = fragments(i, f, code[f.Path], room); cut {
			p.limit(f.Path, finding.ReasonPartTooBig)
		}
	}
	units := bundle(c, code, all, classes(c, old, code), room)
	p.pack(units, room)
	return p
}

func (p *Plan) limit(path string, r review.Reason) {
	at := review.Path(path)
	if !slices.Contains(p.Limits[at], r) {
		p.Limits[at] = append(p.Limits[at], r)
	}
}

// load is what fragments take of a part. Each counts as a path, since units that share one are not worth telling apart.
type load struct{ tokens, paths, anchors int }

func (l load) plus(o load) load {
	return load{tokens: l.tokens + o.tokens, paths: l.paths + o.paths, anchors: l.anchors + o.anchors}
}

func (l load) fits(room int) bool {
	return l.tokens <= room && l.paths <= maxPaths && l.anchors <= maxAnchors
}

func (f *fragment) load() load { return load{tokens: f.tokens, paths: 1, anchors: len(f.anchors)} }

// A unit is what must stand in one part together.
type unit struct {
	load

	fragments []fragment
	class     int
	lines     int
	first     int // index of its first file, for ties
}

// bundle joins the files that belong together: those that use each other's definitions, then those of one folder.
func bundle(c *review.Change, code map[string]*review.Code, all [][]fragment, classes []int, room int) []unit {
	sets := newSets(len(c.Files))
	for _, e := range edges(c, code) {
		sets.join(e[0], e[1])
	}
	folders := map[string]int{}
	for i := range c.Files {
		dir := path.Dir(c.Files[i].Path)
		if first, ok := folders[dir]; ok && weight(all, sets.members(first)).plus(weight(all, sets.members(i))).fits(room) {
			sets.join(first, i)
		} else if !ok {
			folders[dir] = i
		}
	}
	var units []unit
	for i := range c.Files {
		if sets.root(i) != i {
			continue
		}
		members := sets.members(i)
		if weight(all, members).fits(room) {
			units = append(units, newUnit(c, all, classes, members))
			continue
		}
		for _, m := range members {
			units = append(units, single(c, all, classes, m)...)
		}
	}
	return slices.DeleteFunc(units, func(u unit) bool { return len(u.fragments) == 0 })
}

func weight(all [][]fragment, files []int) (l load) {
	for _, f := range files {
		for i := range all[f] {
			l = l.plus(all[f][i].load())
		}
	}
	return l
}

func newUnit(c *review.Change, all [][]fragment, classes, files []int) unit {
	u := unit{first: files[0], class: classOther}
	for _, f := range files {
		for _, fr := range all[f] {
			u.fragments = append(u.fragments, fr)
			u.load = u.plus(fr.load())
		}
		u.class = min(u.class, classes[f])
		u.lines += c.Files[f].Lines()
	}
	return u
}

// single makes one unit of each fragment of a file.
func single(c *review.Change, all [][]fragment, classes []int, file int) []unit {
	out := make([]unit, 0, len(all[file]))
	for _, fr := range all[file] {
		out = append(out, unit{
			load: fr.load(), fragments: []fragment{fr}, first: file, class: classes[file], lines: c.Files[file].Lines(),
		})
	}
	return out
}

// pack fills parts by first fit decreasing and keeps the most important ones where there are too many.
func (p *Plan) pack(units []unit, room int) {
	slices.SortStableFunc(units, func(a, b unit) int {
		return cmp.Or(cmp.Compare(a.class, b.class), cmp.Compare(b.lines, a.lines), cmp.Compare(b.tokens, a.tokens), cmp.Compare(a.first, b.first))
	})
	var parts [][]unit
	var loads []load
next:
	for _, u := range units {
		for i := range parts {
			if sum := loads[i].plus(u.load); sum.fits(room) {
				parts[i], loads[i] = append(parts[i], u), sum
				continue next
			}
		}
		parts, loads = append(parts, []unit{u}), append(loads, u.load)
	}
	for i, units := range parts {
		if i >= maxParts {
			for _, u := range units {
				for _, f := range u.fragments {
					p.limit(f.path, finding.ReasonBudget)
				}
			}
			continue
		}
		p.Parts = append(p.Parts, newPart(i, units))
	}
}

func newPart(index int, units []unit) review.Part {
	var fragments []fragment
	for _, u := range units {
		fragments = append(fragments, u.fragments...)
	}
	slices.SortStableFunc(fragments, func(a, b fragment) int { return cmp.Compare(a.file, b.file) })
	part := review.Part{ID: fmt.Sprintf("part-%d", index+1)}
	texts := make([]string, 0, len(fragments))
	for _, f := range fragments {
		texts = append(texts, f.text)
		part.Anchors = append(part.Anchors, f.anchors...)
		if path := review.Path(f.path); !slices.Contains(part.Paths, path) {
			part.Paths = append(part.Paths, path)
		}
	}
	part.Text = strings.Join(texts, "\n")
	part.Tokens = Tokens(part.Text)
	return part
}

// The classes of files by how much they matter when the budget is short, most first.
const (
	classContract = iota // others rely on what changed
	classSource
	classLoose // source whose changes lie outside of definitions
	classTest
	classConfiguration
	classDocumentation
	classOther
)

func classes(c *review.Change, old, code map[string]*review.Code) []int {
	out := make([]int, len(c.Files))
	for i := range c.Files {
		f := &c.Files[i]
		before, now := old[f.OldPath], code[f.Path]
		switch out[i] = class(f); {
		case out[i] != classSource:
		case contractChanged(before, now):
			out[i] = classContract
		case (before.Usable() || now.Usable()) && !inDefinition(f, before, now):
			out[i] = classLoose
		}
	}
	return out
}

// contractChanged says whether an exported definition is gone or has another signature.
func contractChanged(old, code *review.Code) bool {
	if !old.Usable() {
		return false
	}
	for i := range old.Definitions {
		d := &old.Definitions[i]
		if !d.Exported || d.Test {
			continue
		}
		if now := code.Named(d.QualifiedName); now == nil || now.Signature != d.Signature {
			return true
		}
	}
	return false
}

func inDefinition(f *review.File, old, code *review.Code) bool {
	added, removed := f.TouchedLines()
	within := func(code *review.Code, lines []int) bool {
		return code.Usable() && slices.ContainsFunc(lines, func(n int) bool { return code.Enclosing(n, n) >= 0 })
	}
	return within(code, added) || within(old, removed)
}

func class(f *review.File) int {
	name := strings.ToLower(f.Path)
	switch {
	case strings.Contains(name, "test") || strings.Contains(name, "spec"):
		return classTest
	case slices.Contains([]string{".md", ".rst", ".txt", ".adoc"}, path.Ext(name)):
		return classDocumentation
	case slices.Contains([]string{".json", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".xml", ".properties"}, path.Ext(name)):
		return classConfiguration
	default:
		return classSource
	}
}

// edges joins changed files of which one uses a name that only the other defines.
func edges(c *review.Change, code map[string]*review.Code) [][2]int {
	owners := map[string]int{}
	for i := range c.Files {
		cd := code[c.Files[i].Path]
		if !cd.Usable() {
			continue
		}
		for d := range cd.Definitions {
			name := cd.Definitions[d].Name
			if owner, ok := owners[name]; ok && owner != i {
				owners[name] = -1 // several define it: it joins nothing
			} else if !ok {
				owners[name] = i
			}
		}
	}
	var out [][2]int
	for i := range c.Files {
		cd := code[c.Files[i].Path]
		if !cd.Usable() {
			continue
		}
		for r := range cd.References {
			if owner, ok := owners[cd.References[r].Name]; ok && owner >= 0 && owner != i {
				out = append(out, [2]int{owner, i})
			}
		}
	}
	return out
}

// sets is a union-find in which the smallest index of a set is its root.
type sets struct{ parent []int }

func newSets(n int) *sets {
	s := &sets{parent: make([]int, n)}
	for i := range s.parent {
		s.parent[i] = i
	}
	return s
}

func (s *sets) root(i int) int {
	for s.parent[i] != i {
		s.parent[i] = s.parent[s.parent[i]]
		i = s.parent[i]
	}
	return i
}

func (s *sets) join(a, b int) {
	a, b = s.root(a), s.root(b)
	s.parent[max(a, b)] = min(a, b)
}

func (s *sets) members(i int) []int {
	root := s.root(i)
	var out []int
	for j := range s.parent {
		if s.root(j) == root {
			out = append(out, j)
		}
	}
	return out
}

// contract is the fragment of a file of which only signatures are shown, since the change is too large to be read.
func contract(index int, f *review.File, old, code *review.Code, room int) []fragment {
	before := signatures(old)
	var b strings.Builder
	for _, s := range signatures(code) {
		if !slices.Contains(before, s) {
			fmt.Fprintf(&b, "+%s\n", s)
		}
	}
	after := signatures(code)
	for _, s := range before {
		if !slices.Contains(after, s) {
			fmt.Fprintf(&b, "-%s\n", s)
		}
	}
	if b.Len() == 0 {
		return nil
	}
	text := header(f) + utf8Text(b.String())
	if limit := room * bytesPerToken; len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "")
	}
	return []fragment{{file: index, path: f.Path, text: text, tokens: Tokens(text)}}
}

func signatures(code *review.Code) []string {
	if !code.Usable() {
		return nil
	}
	var out []string
	for i := range code.Definitions {
		if d := &code.Definitions[i]; d.Exported {
			out = append(out, cmp.Or(d.Signature, d.QualifiedName))
		}
	}
	return out
}
