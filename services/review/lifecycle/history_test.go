package lifecycle_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/finding"
	"witan.dev/services/review"
	"witan.dev/services/review/lifecycle"
)

// world is a pull request of made-up Go files. Each fault is a line that calls danger with a number of its own.
type world struct {
	rng   *rand.Rand
	base  map[string]string
	head  map[string]string
	next  int
	moves map[string]string // new path: path in the base
}

func newWorld(seed uint64) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 6)), base: map[string]string{}, head: map[string]string{}, moves: map[string]string{}} //nolint:gosec // repeatable
	for f := range 4 {
		var b strings.Builder
		b.WriteString("package p\n\n")
		for n := range 4 {
			b.WriteString(w.function(fmt.Sprintf("F%d%c", f, 'a'+n), -1))
		}
		w.base[fmt.Sprintf("f%d.go", f)] = b.String()
	}
	w.head = maps.Clone(w.base)
	return w
}

// function is a definition, with a fault where fault is not negative.
func (w *world) function(name string, fault int) string {
	w.next++
	lines := []string{
		"\tx := load(" + fmt.Sprint(w.next) + ")", "\tif x == nil {", "\t\treturn nil", "\t}", "\ty := convert(x, options)",
		"\treturn store(y)",
	}
	if fault >= 0 {
		lines = slices.Insert(lines, 4, fmt.Sprintf("\tdanger(%d, x, &config) // careful", fault))
	}
	return "func " + name + "(in Input) error {\n" + strings.Join(lines, "\n") + "\n}\n\n"
}

func (w *world) paths() []string { return slices.Sorted(maps.Keys(w.head)) }

func (w *world) pick() string { return w.paths()[w.rng.IntN(len(w.head))] }

var (
	functions = regexp.MustCompile(`(?s)func (\w+)\(in Input\) error \{\n.*?\n\}\n\n?`)
	faults    = regexp.MustCompile(`danger\((\d+),\s*x, &config\)`)
)

// push changes the head by one step of a kind, and says which.
func (w *world) push(old []map[string]string) string {
	path := w.pick()
	text := w.head[path]
	defs := functions.FindAllStringIndex(text, -1)
	def := ""
	if len(defs) > 0 {
		at := defs[w.rng.IntN(len(defs))]
		def = text[at[0]:at[1]]
	}
	switch kind := w.rng.IntN(11); kind {
	case 0, 1, 2:
		w.next++
		w.head[path] = text + w.function(fmt.Sprintf("N%d", w.next), w.next)
		return "new fault"
	case 3:
		w.head[path] = strings.Replace(text, "package p\n", "package p\n\n// A line more.\n// And another one.\n", 1)
		return "drift"
	case 4:
		to := fmt.Sprintf("r%d.go", w.rng.IntN(1000))
		if _, exists := w.head[to]; exists || len(w.head) < 2 {
			return "nothing"
		}
		w.head[to] = text
		delete(w.head, path)
		from, ok := w.moves[path]
		if !ok {
			from = path
		}
		delete(w.moves, path)
		w.moves[to] = from
		return "rename"
	case 5:
		to := w.pick()
		if def == "" || to == path {
			return "nothing"
		}
		w.head[path] = strings.Replace(text, def, "", 1)
		w.head[to] += def
		return "move"
	case 6:
		w.head[path] = strings.NewReplacer("\t", "    ", ", x, &config)", ",\n\t\tx, &config)").Replace(text)
		return "reformat"
	case 7:
		at := faults.FindStringIndex(text)
		if at == nil {
			return "nothing"
		}
		fixed := "safe(x)"
		if w.rng.IntN(3) == 0 {
			fixed = "" // taken out
		}
		w.head[path] = text[:at[0]] + fixed + text[at[1]:]
		return "fix"
	case 8:
		if len(old) == 0 {
			return "nothing"
		}
		w.head = maps.Clone(old[w.rng.IntN(len(old))])
		for to := range w.moves {
			if _, ok := w.head[to]; !ok {
				delete(w.moves, to)
			}
		}
		return "revert"
	case 9:
		for _, side := range []map[string]string{w.base, w.head} { // what the base branch got meanwhile
			for p := range side {
				if strings.HasSuffix(p, ".go") {
					side[p] = strings.Replace(side[p], "package p\n", "package p\n\n// From the base.\n", 1)
				}
			}
		}
		return "rebase"
	default:
		if def == "" {
			return "nothing"
		}
		w.head[path] = strings.Replace(text, def, "", 1)
		return "delete"
	}
}

// change is what a diff of base and head says.
func (w *world) change() *review.Change {
	c := &review.Change{}
	from := map[string]bool{}
	for _, path := range w.paths() {
		f := review.File{Path: path, OldPath: path, Change: review.Added, Nature: review.NatureText, New: []byte(w.head[path]), HasNew: true}
		old, modified := w.base[path]
		if origin, ok := w.moves[path]; ok && !modified {
			if _, still := w.head[origin]; !still && !from[origin] && w.base[origin] != "" {
				old, modified, f.OldPath, f.Change = w.base[origin], true, origin, review.Renamed
				from[origin] = true
			}
		} else if modified {
			f.Change = review.Modified
		}
		if modified {
			if f.Change == review.Modified && old == w.head[path] {
				continue
			}
			f.Old, f.HasOld = []byte(old), true
		}
		whole(&f)
		c.Files = append(c.Files, f)
	}
	for _, path := range slices.Sorted(maps.Keys(w.base)) {
		if _, ok := w.head[path]; !ok && !from[path] {
			f := review.File{Path: path, OldPath: path, Change: review.Deleted, Nature: review.NatureText, Old: []byte(w.base[path]), HasOld: true}
			whole(&f)
			c.Files = append(c.Files, f)
		}
	}
	return c
}

// whole makes one hunk of all lines.
func whole(f *review.File) {
	old, now := review.SplitLines(f.Old), review.SplitLines(f.New)
	h := review.Hunk{OldStart: min(1, len(old)), OldLines: len(old), NewStart: min(1, len(now)), NewLines: len(now)}
	for _, l := range old {
		h.Lines = append(h.Lines, review.Line{Op: '-', Text: l})
	}
	for _, l := range now {
		h.Lines = append(h.Lines, review.Line{Op: '+', Text: l})
	}
	f.Hunks, f.Added, f.Removed = []review.Hunk{h}, len(now), len(old)
}

// code is what a parser says of a file.
func code(path, text string) *review.Code {
	out := &review.Code{Path: path, Status: review.ParseOK}
	for _, at := range functions.FindAllStringSubmatchIndex(text, -1) {
		span := review.Span{
			StartByte: at[0], EndByte: at[1], StartLine: 1 + strings.Count(text[:at[0]], "\n"),
			EndLine: strings.Count(strings.TrimRight(text[:at[1]], "\n"), "\n") + 1,
		}
		name := text[at[2]:at[3]]
		out.Definitions = append(out.Definitions, review.Definition{
			Kind: review.KindFunction, Name: name, QualifiedName: name, Span: span, FullSpan: span, Parent: -1,
		})
	}
	return out
}

// input is the review of the head by a reviewer that reports every fault in a changed file, but for those left out.
func (w *world) input(n int, known []review.Known, leaveOut func(fault string) bool) (in lifecycle.Input, reported map[string]bool) {
	c := w.change()
	in = lifecycle.Input{
		Review: fmt.Sprintf("reviews/r%d", n), Subject: "github:h/1#1", Known: known,
		Head: lifecycle.Head{Commit: fmt.Sprintf("c%d", n), Change: c, Code: map[string]*review.Code{}, Read: func(path string) (string, lifecycle.Presence, error) {
			if text, ok := w.head[path]; ok {
				return text, lifecycle.Present, nil
			}
			return "", lifecycle.Absent, nil
		}},
	}
	reported = map[string]bool{}
	var proposals []review.Proposal
	for i := range c.Files {
		f := &c.Files[i]
		in.Coverage.Files = append(in.Coverage.Files, finding.FileCoverage{
			Path: f.Path, Change: string(f.Change), Status: finding.Reviewed, Reviewers: []string{"probe"},
		})
		if f.Change == review.Deleted {
			continue
		}
		text := string(f.New)
		parsed := code(f.Path, text)
		in.Head.Code[f.Path] = parsed
		for _, at := range faults.FindAllStringSubmatchIndex(text, -1) {
			fault := text[at[2]:at[3]]
			if leaveOut(fault) {
				continue
			}
			reported[fault] = true
			proposals = append(proposals, proposal(f, parsed, text, at[0], at[1], w.rng.IntN(6)))
		}
	}
	in.Findings = review.Unvoted(proposals, 0, in.Review)
	return in, reported
}

// proposal quotes the fault and, once in a while, a line more before or behind it.
func proposal(f *review.File, parsed *review.Code, text string, from, to, more int) review.Proposal {
	start, end := 1+strings.Count(text[:from], "\n"), 1+strings.Count(text[:to], "\n")
	switch more {
	case 0:
		start--
	case 1:
		end++
	}
	lines := strings.Split(text, "\n")[start-1 : end]
	l := finding.Location{
		Path: f.Path, OldPath: f.OldPath, Side: finding.Right, StartLine: start, EndLine: end, Code: strings.Join(lines, "\n"), InDiff: true,
	}
	if d := parsed.Enclosing(start, end); d >= 0 {
		l.Symbol = parsed.Definitions[d].Symbol()
	}
	return review.Proposal{
		Source: "probe", Rule: "danger", Location: l, Category: finding.Correctness, Severity: finding.SeverityHigh, Claim: "danger is called",
	}
}

// faultOf is the number of the fault that a finding is about.
func faultOf(t *testing.T, f *finding.Finding) string {
	t.Helper()
	found := faults.FindStringSubmatch(f.Location.Code)
	require.NotEmpty(t, found, "%q", f.Location.Code)
	return found[1]
}

// alive are the faults in the head.
func (w *world) alive() map[string]bool {
	out := map[string]bool{}
	for _, text := range w.head {
		for _, found := range faults.FindAllStringSubmatch(text, -1) {
			out[found[1]] = true
		}
	}
	return out
}

// ledger keeps rows as a store does.
type ledger map[string]review.Known

func (l ledger) rows() []review.Known {
	out := make([]review.Known, 0, len(l))
	for _, id := range slices.Sorted(maps.Keys(l)) {
		out = append(out, l[id])
	}
	return out
}

func (l ledger) put(t *testing.T, rows []review.Known) {
	t.Helper()
	for _, k := range rows {
		raw, err := json.Marshal(k)
		require.NoError(t, err)
		var stored review.Known
		require.NoError(t, json.Unmarshal(raw, &stored))
		l[k.ID] = stored
	}
}

// TestP06_GeneratedHistories pushes random steps and looks after each review: one known finding for each fault, fixed when
// and only when its code is gone, back when it is, and dismissed for good.
func TestP06_GeneratedHistories(t *testing.T) {
	t.Parallel()
	fixed, reappeared, dismissed := 0, 0, 0
	for seed := range seeds() {
		w := newWorld(uint64(seed))
		l := ledger{}
		var old []map[string]string
		var steps []string
		for n := range 50 {
			step := w.push(old)
			steps = append(steps, step)
			old = append(old, maps.Clone(w.head))
			at := fmt.Sprintf("seed %d, push %d: %v", seed, n, steps)
			silent := func(string) bool { return w.rng.IntN(8) == 0 }
			in, reported := w.input(n, l.rows(), silent)
			before := l.rows()
			out, err := lifecycle.Apply(in)
			require.NoError(t, err)
			l.put(t, out.Known)
			judge(t, at, w, before, l, reported)
			shown(t, at, out, l)

			in.Known = l.rows()
			again, err := lifecycle.Apply(in)
			require.NoError(t, err)
			require.Equal(t, out.Findings, again.Findings, at)
			require.Equal(t, out.Changes, again.Changes, at)
			for _, c := range out.Changes {
				switch c.To {
				case finding.Fixed:
					fixed++
				case finding.Reappeared:
					reappeared++
				default:
					t.Fatalf("%s: %v", at, c)
				}
			}
			for _, k := range l.rows() {
				if k.Finding.Status == finding.Open && w.rng.IntN(15) == 0 {
					l[k.ID] = lifecycle.Dismiss(k, "as intended")
					dismissed++
				}
			}
		}
	}
	require.Positive(t, fixed)
	require.Positive(t, reappeared)
	require.Positive(t, dismissed)
	t.Logf("%d fixed, %d reappeared, %d dismissed", fixed, reappeared, dismissed)
}

// seeds is how many histories are made: some, or many with WITAN_TEST_LONG.
func seeds() int {
	if os.Getenv("WITAN_TEST_LONG") == "" {
		return 12
	}
	return 400
}

// judge compares the ledger with the truth.
func judge(t *testing.T, at string, w *world, before []review.Known, l ledger, reported map[string]bool) {
	t.Helper()
	alive := w.alive()
	seen := map[string]bool{}
	was := map[string]finding.Status{}
	for i := range before {
		was[before[i].ID] = before[i].Finding.Status
	}
	for _, k := range l.rows() {
		fault := faultOf(t, &k.Finding)
		require.False(t, seen[fault], "%s: fault %s is known twice", at, fault)
		seen[fault] = true
		switch k.Finding.Status {
		case finding.Fixed:
			require.False(t, alive[fault] && reported[fault], "%s: fault %s is called fixed and was reported", at, fault)
			require.False(t, alive[fault] && was[k.ID] != finding.Fixed, "%s: fault %s is called fixed and stands there", at, fault)
		case finding.Open, finding.Reappeared:
			require.True(t, alive[fault], "%s: fault %s is gone and called %s", at, fault, k.Finding.Status)
			require.NotEqual(t, finding.Dismissed, was[k.ID], at)
		default:
		}
		require.False(t, was[k.ID] == finding.Dismissed && k.Finding.Status != finding.Dismissed, "%s: fault %s was dismissed", at, fault)
	}
	for fault := range reported {
		require.True(t, seen[fault], "%s: fault %s is not known", at, fault)
	}
}

// shown checks that each finding is shown once and under its own name.
func shown(t *testing.T, at string, out lifecycle.Result, l ledger) {
	t.Helper()
	names, about := map[string]bool{}, map[string]bool{}
	for i := range out.Findings {
		f := &out.Findings[i]
		require.False(t, names[f.Name], at)
		names[f.Name] = true
		fault := faultOf(t, f)
		require.False(t, about[fault], "%s: fault %s is shown twice", at, fault)
		about[fault] = true
		_, id, _ := strings.Cut(f.Name, "/findings/")
		require.Equal(t, l[id].Finding.Status, f.Status, at)
	}
}
