package review

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"witan.dev/internal/finding"
	"witan.dev/internal/job"
)

// Digest tells whether a file's change is one that was seen before: it covers what happened to the path and the hunks with
// the lines around them and what they stand in, without their numbers, so that it survives a rebase that moves them. It is
// empty for a change that has no text to read.
func (f *File) Digest() string {
	if f.Metadata() || len(f.Hunks) == 0 {
		return ""
	}
	h := sha256.New()
	field := func(s string) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	field(string(f.Change))
	field(f.Path)
	field(f.OldPath)
	var modes [8]byte
	binary.BigEndian.PutUint32(modes[:4], f.OldMode)
	binary.BigEndian.PutUint32(modes[4:], f.NewMode)
	h.Write(modes[:])
	old, now := newSideIndex(f.Old, f.HasOld), newSideIndex(f.New, f.HasNew)
	for i := range f.Hunks {
		hunk := &f.Hunks[i]
		field("@@")
		if f.Change != Added && f.Change != Deleted { // else it is the whole file
			field(hunk.Section)
			field(old.place(hunk, '+', hunk.OldStart))
			field(now.place(hunk, '-', hunk.NewStart))
		}
		for _, l := range hunk.Lines {
			field(string(l.Op) + l.Text + l.End)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// maxAlike is how many places of a side are compared with a hunk (own choice).
const maxAlike = 64

// sideIndex finds lines of one side of a file.
type sideIndex struct {
	lines []string
	at    map[string][]int // by line; nil for a side that was not read
	above []string         // by line
}

func newSideIndex(content []byte, has bool) sideIndex {
	if !has {
		return sideIndex{}
	}
	x := sideIndex{lines: SplitLines(content), at: make(map[string][]int)}
	for i, l := range x.lines {
		x.at[l] = append(x.at[l], i)
	}
	x.above = above(x.lines)
	return x
}

// place tells a hunk from another one with the same lines: by the lines that it is indented below, such as a method's
// and its class's, and by its number among the stretches of the side that look the same. Where that cannot be told, and
// would take too long, it is the number of its first line. The lines with the operator skip are not on the side.
func (x sideIndex) place(h *Hunk, skip byte, start int) string {
	var want []string
	rarest := 0
	for _, l := range h.Lines {
		if l.Op == skip {
			continue
		}
		if want = append(want, l.Text); len(x.at[l.Text]) < len(x.at[want[rarest]]) {
			rarest = len(want) - 1
		}
	}
	if len(want) == 0 || len(x.at[want[rarest]]) > maxAlike || start < 1 || start > len(x.lines) {
		return strconv.Itoa(start)
	}
	number, all := 0, 0
	for _, n := range x.at[want[rarest]] {
		from := n - rarest
		if from < 0 || from+len(want) > len(x.lines) || !slices.Equal(x.lines[from:from+len(want)], want) {
			continue
		}
		all++
		if from < start {
			number++
		}
	}
	first := start - 1 + max(slices.IndexFunc(h.Lines, func(l Line) bool { return l.Op != ' ' }), 0)
	return fmt.Sprintf("%d of %d\n%s", number, all, x.above[min(first, len(x.lines)-1)])
}

// above tells for each line the lines that it is indented below, by a digest of them; empty: there are none. An empty line stands
// where the last one that is not empty stands. Each line is looked at once for all hunks: a file may have a hunk every few lines,
// and all of them far below the lines that they are indented under.
func above(lines []string) []string {
	type level struct {
		depth     int
		line      string
		up, under string // what it is indented below, and what those are that are indented below it
	}
	out := make([]string, len(lines))
	var open []level // each indented below the one before
	for i, l := range lines {
		depth := indent(l)
		if depth < 0 {
			if len(open) > 0 {
				out[i] = open[len(open)-1].up
			}
			continue
		}
		for len(open) > 0 && open[len(open)-1].depth >= depth {
			open = open[:len(open)-1]
		}
		if len(open) > 0 {
			last := &open[len(open)-1]
			if last.under == "" {
				sum := sha256.Sum256([]byte(last.up + "\n" + last.line))
				last.under = string(sum[:])
			}
			out[i] = last.under
		}
		open = append(open, level{depth: depth, line: l, up: out[i]})
	}
	return out
}

// indent is how far a line is indented, -1 for an empty one.
func indent(line string) int {
	text := strings.TrimLeft(line, " \t")
	if text == "" {
		return -1
	}
	return len(line) - len(text)
}

// Basis is what a reading of a file rests on beside the change: where it differs, nothing is carried over.
type Basis struct {
	Config  string // digest of the repository's configuration
	Branch  string // that the change goes into
	Council string // its name, with a digest of its members
}

// Reasons for which all of a change is looked at, in words.
const (
	WholeAsked   = "all of it was asked for"
	WholeFirst   = "it is the first review of this change"
	WholeConfig  = "the repository's configuration has changed"
	WholeBranch  = "the base branch has changed"
	WholeCouncil = "the council has changed"
)

// Continue says whether a review goes on from the newest one of the subject that was published; else it is ScopeWhole,
// for the reason returned.
func (s *Subject) Continue(asked Scope, now Basis) (Scope, string) {
	switch {
	case asked == ScopeWhole:
		return ScopeWhole, WholeAsked
	case s.Done == "":
		return ScopeWhole, WholeFirst
	case s.DoneConfig != now.Config:
		return ScopeWhole, WholeConfig
	case s.DoneBase != now.Branch:
		return ScopeWhole, WholeBranch
	case s.DoneCouncil != now.Council:
		return ScopeWhole, WholeCouncil
	}
	return ScopeSinceLast, ""
}

// Unchanged returns the files of the change whose hunks are those under which they were last reviewed in full.
func (s *Subject) Unchanged(c *Change) map[Path]CoveredFile {
	out := make(map[Path]CoveredFile)
	for i := range c.Files {
		f := &c.Files[i]
		last, ok := s.Files[Path(f.Path)]
		if ok && f.Policy == "" && len(f.Limits) == 0 && last.Digest != "" && last.Digest == f.Digest() {
			out[Path(f.Path)] = last
		}
	}
	return out
}

// Covered returns the files that the review read in full, or took over from the one that did.
func Covered(id job.ID, c *Change, coverage []finding.FileCoverage, carried map[Path]CoveredFile) map[Path]CoveredFile {
	out := make(map[Path]CoveredFile)
	for i := range coverage {
		row := &coverage[i]
		f := c.File(row.Path)
		if row.Status != finding.Reviewed || f == nil {
			continue
		}
		digest := f.Digest()
		if digest == "" {
			continue
		}
		file := CoveredFile{Digest: digest, Review: id}
		if last, ok := carried[Path(row.Path)]; ok {
			file = last
		}
		out[Path(row.Path)] = file
	}
	return out
}

// A Reading is what a published review leaves to the next one of its subject.
type Reading struct {
	Review    job.ID
	CreatedAt time.Time
	Head      string
	Basis
	Files map[Path]CoveredFile
}

// Finish notes a published review. One that was created before the newest one noted changes nothing and gives false: it
// ended late.
func (s *Subject) Finish(r Reading) bool {
	if s.Done != "" && s.Done != r.Review && r.CreatedAt.Before(s.DoneCreated) {
		return false
	}
	s.Done, s.DoneCreated, s.DoneHead = r.Review, r.CreatedAt, r.Head
	s.DoneConfig, s.DoneBase, s.DoneCouncil, s.Files = r.Config, r.Branch, r.Council, r.Files
	return true
}
