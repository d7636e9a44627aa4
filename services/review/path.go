package review

import (
	"encoding/hex"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"witan.dev/internal/finding"
)

// Path is a repository path, any bytes, that survives JSON: one that is not UTF-8 travels as a NUL and its hex digits.
// No path of git holds a NUL.
type Path string

// MarshalText implements encoding.TextMarshaler.
func (p Path) MarshalText() ([]byte, error) { return []byte(portable(string(p))), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Path) UnmarshalText(text []byte) error {
	*p = Path(original(string(text)))
	return nil
}

// ByPath is a map by path that survives JSON: encoding/json does not ask the keys of a map how they are written.
type ByPath[V any] map[Path]V

// MarshalJSON implements json.Marshaler.
func (m ByPath[V]) MarshalJSON() ([]byte, error) {
	out := make(map[string]V, len(m))
	for path, v := range m {
		out[portable(string(path))] = v
	}
	return json.Marshal(out)
}

func portable(path string) string {
	if utf8.ValidString(path) {
		return path
	}
	return "\x00" + hex.EncodeToString([]byte(path))
}

func original(path string) string {
	digits, ok := strings.CutPrefix(path, "\x00")
	if !ok {
		return path
	}
	raw, err := hex.DecodeString(digits)
	if err != nil {
		return path
	}
	return string(raw)
}

// PortableFindings returns a copy whose paths survive JSON, OriginalFindings turns it back.
func PortableFindings(in []finding.Finding) []finding.Finding { return mapFindings(in, portable) }

// OriginalFindings undoes PortableFindings.
func OriginalFindings(in []finding.Finding) []finding.Finding { return mapFindings(in, original) }

// PortableFinding returns a copy whose paths survive JSON, OriginalFinding turns it back.
func PortableFinding(f finding.Finding) finding.Finding {
	return mapFindings([]finding.Finding{f}, portable)[0]
}

// OriginalFinding undoes PortableFinding.
func OriginalFinding(f finding.Finding) finding.Finding {
	return mapFindings([]finding.Finding{f}, original)[0]
}

// PortableCoverage returns a copy whose paths survive JSON, OriginalCoverage turns it back.
func PortableCoverage(in finding.Coverage) finding.Coverage { return mapCoverage(in, portable) }

// OriginalCoverage undoes PortableCoverage.
func OriginalCoverage(in finding.Coverage) finding.Coverage { return mapCoverage(in, original) }

// PortableProposals returns a copy whose paths survive JSON, OriginalProposals turns it back.
func PortableProposals(in []Proposal) []Proposal { return mapProposals(in, portable) }

// OriginalProposals undoes PortableProposals.
func OriginalProposals(in []Proposal) []Proposal { return mapProposals(in, original) }

func mapLocation(l finding.Location, f func(string) string) finding.Location {
	l.Path, l.OldPath = f(l.Path), f(l.OldPath)
	return l
}

func mapLocations(in []finding.Location, f func(string) string) []finding.Location {
	if in == nil {
		return nil
	}
	out := make([]finding.Location, len(in))
	for i := range in {
		out[i] = mapLocation(in[i], f)
	}
	return out
}

func mapFindings(in []finding.Finding, f func(string) string) []finding.Finding {
	out := make([]finding.Finding, len(in))
	for i := range in {
		out[i] = in[i]
		out[i].Location, out[i].Related = mapLocation(in[i].Location, f), mapLocations(in[i].Related, f)
	}
	return out
}

func mapProposals(in []Proposal, f func(string) string) []Proposal {
	out := make([]Proposal, len(in))
	for i := range in {
		out[i] = in[i]
		out[i].Location, out[i].Related = mapLocation(in[i].Location, f), mapLocations(in[i].Related, f)
	}
	return out
}

func mapCoverage(in finding.Coverage, f func(string) string) finding.Coverage {
	files := make([]finding.FileCoverage, len(in.Files))
	for i := range in.Files {
		files[i] = in.Files[i]
		files[i].Path, files[i].OldPath = f(in.Files[i].Path), f(in.Files[i].OldPath)
	}
	in.Files = files
	return in
}
