package review

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"witan.dev/internal/apierr"
	"witan.dev/internal/diff"
)

// DiffError turns the refusal of a diff into an error that callers may see: its reason, its line and what is wrong. Any
// other error comes back as it is.
func DiffError(err error) error {
	refusal, ok := errors.AsType[*diff.Error](err)
	if !ok {
		return err
	}
	var out *apierr.Error
	switch refusal.Reason {
	case diff.EmptyDiff:
		out = ErrNoChanges
	case diff.CombinedDiff:
		out = ErrCombinedDiff
	case diff.SeveralPatches:
		out = ErrSeveralPatches
	case diff.TooLarge:
		out = ErrMaterialTooLarge
	case diff.NotADiff, diff.Malformed, diff.UnsafePath:
		out = ErrNotDiff
	default:
		out = ErrNotDiff
	}
	if refusal.Line > 0 {
		out = out.With("line", strconv.Itoa(refusal.Line))
	}
	return out.With("detail", refusal.Detail).Wrap(err)
}

// Files turns parsed changes into those of a review. What the sides contain is not known yet.
func Files(d *diff.Diff) []File {
	out := make([]File, 0, len(d.Files))
	for _, f := range d.Files {
		out = append(out, newFile(f))
	}
	return out
}

func newFile(f *diff.File) File {
	added, removed := f.Counts()
	out := File{
		Path: f.Path(), OldPath: f.OldPath, Change: ChangeKind(f.Change.String()), OldMode: uint32(f.OldMode),
		NewMode: uint32(f.NewMode), OldBlob: f.OldBlob, NewBlob: f.NewBlob, Added: added, Removed: removed,
	}
	if out.OldPath == "" {
		out.OldPath = out.Path
	}
	for i := range f.Hunks {
		out.Hunks = append(out.Hunks, newHunk(&f.Hunks[i]))
	}
	out.Nature = nature(f)
	out.checkBinary()
	if lockFile(out.Path) && out.Change != TypeChanged && (out.Change == Copied || lockFile(out.OldPath)) && (out.Change != Added || out.pins()) {
		out.Policy = ReasonLockfile
	}
	return out
}

func newHunk(h *diff.Hunk) Hunk {
	out := Hunk{
		OldStart: h.OldStart, OldLines: h.OldLines, NewStart: h.NewStart, NewLines: h.NewLines, Section: h.Section,
		Lines: make([]Line, len(h.Lines)),
	}
	for i, l := range h.Lines {
		line := Line{Op: byte(l.Op), Text: strings.TrimSuffix(l.Text, "\r")}
		if line.Text != l.Text {
			line.End = EndCR
		}
		if l.NoEOL {
			line.End += EndNone
		}
		out.Lines[i] = line
	}
	return out
}

func nature(f *diff.File) Nature {
	mode := f.NewMode
	switch regular := func(m diff.Mode) bool { return m.Type() == diff.ModeFile.Type() }; {
	case f.Change == diff.Deleted:
		mode = f.OldMode
	case f.Change == diff.TypeChanged && (regular(f.OldMode) || regular(f.NewMode)):
		mode = diff.ModeFile // there is code that comes or goes
	}
	switch {
	case mode.Type() == diff.ModeSymlink.Type():
		return NatureSymlink
	case mode.Type() == diff.ModeSubmodule.Type():
		return NatureSubmodule
	case f.Binary:
		return NatureBinary
	case len(f.Hunks) > 0:
		return NatureText
	case f.Change == diff.Added || f.Change == diff.Deleted:
		return NatureEmpty
	default:
		return NatureUnchanged
	}
}

// lockFile says whether a tool wrote the file to pin dependencies: long, and read by nobody.
func lockFile(path string) bool {
	switch path[strings.LastIndexByte(path, '/')+1:] {
	case "go.sum", "go.work.sum", "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock",
		"bun.lockb", "Cargo.lock", "Gemfile.lock", "composer.lock", "poetry.lock", "Pipfile.lock", "uv.lock", "pdm.lock",
		"mix.lock", "pubspec.lock", "Podfile.lock", "flake.lock", "packages.lock.json", "gradle.lockfile", "deno.lock":
		return true
	default:
		return false
	}
}

// pins says whether an added lock file has the form of one. Only JSON and Go's checksums can be told from code for sure;
// the others are read when they are new.
func (f *File) pins() bool {
	text := f.shown()
	switch base := f.Path[strings.LastIndexByte(f.Path, '/')+1:]; base {
	case "go.sum", "go.work.sum":
		for line := range strings.Lines(text) {
			if fields := strings.Fields(line); len(fields) != 3 || !strings.HasPrefix(fields[2], "h1:") {
				return false
			}
		}
		return true
	case "package-lock.json", "npm-shrinkwrap.json", "packages.lock.json", "composer.lock", "Pipfile.lock", "flake.lock", "deno.lock":
		return json.Valid([]byte(text))
	default:
		return false
	}
}

// GeneratedName says whether generators of code name their files so. A file's own words are no proof that it is generated:
// its author wrote them.
func GeneratedName(path string) bool {
	name := strings.ToLower(path[strings.LastIndexByte(path, '/')+1:])
	for _, end := range [...]string{
		".pb.go", ".pb.gw.go", "_pb2.py", "_pb2_grpc.py", ".pb.cc", ".pb.h", ".min.js", ".min.css", ".designer.cs",
	} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}

// shown is what the hunks show, all lines.
func (f *File) shown() string {
	var b strings.Builder
	for i := range f.Hunks {
		b.WriteString(hunkText(&f.Hunks[i]))
	}
	return b.String()
}

// Rebuild fills in the sides that a patch shows in full: the new one of an added file, the old one of a deleted file.
func (f *File) Rebuild() {
	if f.Nature != NatureText || f.Change != Added && f.Change != Deleted {
		return
	}
	if f.Change == Added {
		f.New, f.HasNew = []byte(f.shown()), true
		return
	}
	f.Old, f.HasOld = []byte(f.shown()), true
}

// CheckText notes what keeps the sides that were read from being used as text: too large, in no encoding that can be told,
// or but a pointer to what is kept elsewhere.
func (f *File) CheckText() {
	f.checkPointer()
	for _, side := range [][]byte{f.Old, f.New} {
		if len(side) > MaxText {
			f.Limit(ReasonTooLarge)
		} else if !legible(side) {
			f.Limit(ReasonNotUTF8)
		}
	}
}

// legible says whether content is UTF-8, or some one-byte encoding of text: almost no control bytes.
func legible(content []byte) bool {
	if _, valid := Text(content); valid {
		return true
	}
	control := 0
	for _, c := range content {
		if c < 0x20 && c != '\n' && c != '\r' && c != '\t' && c != '\f' || c == 0x7f {
			control++
		}
	}
	return control*100 <= len(content)
}
