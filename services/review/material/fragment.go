package material

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"

	"witan.dev/internal/diff"
	"witan.dev/internal/finding"
	"witan.dev/services/review"
)

const (
	// bytesPerToken is a cautious estimate for source code in any tokenizer (own choice).
	bytesPerToken = 3
	// maxLine cuts single lines: minified code tells nobody anything.
	maxLine = 2000
	// maxSection cuts what stands behind the line numbers of a hunk, in bytes (own choice): git writes 80 at most, who uploads a
	// diff anything, and each piece of the hunk bears it.
	maxSection = 200
)

// Tokens estimates how many tokens a model makes of text. It errs on the high side.
func Tokens(text string) int { return (len(text) + bytesPerToken - 1) / bytesPerToken }

// A fragment is a file's change or a part of it.
type fragment struct {
	file    int // index in the change
	path    string
	text    string
	tokens  int
	anchors []review.Anchor
}

// fragments cuts the change of one file into pieces of at most room tokens. cut says that a single line was too long to
// be shown whole.
func fragments(index int, f *review.File, code *review.Code, room int) (out []fragment, cut bool) {
	head := header(f)
	var b strings.Builder
	var shown []review.Hunk
	flush := func() {
		if b.Len() == 0 {
			return
		}
		text := head + b.String()
		out = append(out, fragment{
			file: index, path: f.Path, text: text, tokens: Tokens(text), anchors: anchors(f, code, shown),
		})
		b.Reset()
		shown = nil
	}
	for _, h := range pieces(f.Hunks, code, room-Tokens(head)) {
		text, short := hunkText(h)
		cut = cut || short
		if b.Len() > 0 && Tokens(head)+Tokens(b.String())+Tokens(text) > room {
			flush()
		}
		b.WriteString(text)
		shown = append(shown, h)
	}
	flush()
	return out, cut
}

func header(f *review.File) string {
	what := map[review.ChangeKind]string{
		review.Added: "added", review.Modified: "modified", review.Deleted: "deleted", review.Copied: "copied",
		review.Renamed: "renamed", review.TypeChanged: "type changed",
	}[f.Change]
	if f.Change == review.TypeChanged {
		what += ": " + kind(f.OldMode) + " becomes " + kind(f.NewMode)
	}
	if f.OldPath != f.Path {
		what += " from " + diff.DisplayPath(f.OldPath)
	}
	return fmt.Sprintf("File %s (%s)\n", diff.DisplayPath(f.Path), what)
}

// kind is what a mode says of a path.
func kind(mode uint32) string {
	switch diff.Mode(mode).Type() {
	case diff.ModeSymlink.Type():
		return "a symbolic link to the path shown"
	case diff.ModeSubmodule.Type():
		return "a submodule"
	default:
		return "a regular file"
	}
}

func hunkText(h review.Hunk) (text string, cut bool) {
	var b strings.Builder
	fmt.Fprintf(&b, "@@ -%d,%d +%d,%d @@ %s\n", h.OldStart, h.OldLines, h.NewStart, h.NewLines, h.Section)
	for _, l := range h.Lines {
		t := utf8Text(l.Text)
		if len(t) > maxLine {
			t, cut = strings.ToValidUTF8(t[:maxLine], "")+" …", true
		}
		b.WriteByte(l.Op)
		b.WriteString(t)
		b.WriteByte('\n')
	}
	return b.String(), cut
}

// utf8Text shows a line that is not UTF-8 as Windows-1252, which has a letter for almost every byte.
func utf8Text(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	decoded, err := charmap.Windows1252.NewDecoder().String(s)
	if err != nil {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	return decoded
}

// pieces cuts hunks that are larger than room, at the beginning of definitions where there are some.
func pieces(hunks []review.Hunk, code *review.Code, room int) []review.Hunk {
	starts := map[int]bool{}
	if code != nil {
		for i := range code.Definitions {
			if code.Definitions[i].Parent < 0 {
				starts[code.Definitions[i].FullSpan.StartLine] = true
			}
		}
	}
	out := make([]review.Hunk, 0, len(hunks))
	for _, h := range hunks {
		if h.Section = utf8Text(h.Section); len(h.Section) > maxSection {
			h.Section = strings.ToValidUTF8(h.Section[:maxSection], "") + " …"
		}
		out = append(out, split(h, starts, room)...)
	}
	return out
}

func split(h review.Hunk, starts map[int]bool, room int) []review.Hunk {
	const hunkHead = 40
	var out []review.Hunk
	current := review.Hunk{OldStart: h.OldStart, NewStart: h.NewStart, Section: h.Section}
	size := hunkHead + len(h.Section)
	for _, l := range h.Lines {
		n := min(len(l.Text), maxLine) + 2
		full := size+n > room*bytesPerToken
		early := starts[current.NewStart+current.NewLines] && l.Op != '-' && size > room*bytesPerToken/2
		if len(current.Lines) > 0 && (full || early) {
			out = append(out, current)
			current = review.Hunk{
				OldStart: current.OldStart + current.OldLines, NewStart: current.NewStart + current.NewLines, Section: h.Section,
			}
			size = hunkHead + len(h.Section)
		}
		current.Lines = append(current.Lines, l)
		size += n
		if l.Op != '+' {
			current.OldLines++
		}
		if l.Op != '-' {
			current.NewLines++
		}
	}
	if len(current.Lines) > 0 {
		out = append(out, current)
	}
	return out
}

// anchors are the definitions of the new side that the hunks touch.
func anchors(f *review.File, code *review.Code, hunks []review.Hunk) []review.Anchor {
	if !code.Usable() {
		return nil
	}
	const most = 200
	var out []review.Anchor
	for i := range code.Definitions {
		d := &code.Definitions[i]
		for _, h := range hunks {
			if h.NewLines == 0 || d.Span.StartLine >= h.NewStart+h.NewLines || d.Span.EndLine < h.NewStart {
				continue
			}
			out = append(out, review.Anchor{
				Path: review.Path(f.Path), Side: finding.Right, Symbol: d.Symbol(), StartLine: d.Span.StartLine, EndLine: d.Span.EndLine,
			})
			break
		}
		if len(out) == most {
			break
		}
	}
	return out
}
