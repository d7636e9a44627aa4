package review

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"witan.dev/internal/finding"
	"witan.dev/internal/gitignore"
)

// The sources of context, in the order in which they are asked. Their names are those of the configuration.
const (
	ContextEnclosing = "enclosing" // the definitions around the change
	ContextContracts = "contracts" // old and new signatures of what changed for others
	ContextCallers   = "callers"   // who uses them
	ContextTests     = "tests"     // tests of what changed
	ContextSimilar   = "similar"   // code that resembles it
)

// ContextSources lists all sources of context in their order.
func ContextSources() []string {
	return []string{ContextEnclosing, ContextContracts, ContextCallers, ContextTests, ContextSimilar}
}

// PathRules say which files are read. The zero value reads all.
type PathRules struct {
	include, exclude, generated gitignore.Patterns
}

// Paths compiles the patterns of the settings.
func (s *Settings) Paths() (PathRules, error) {
	var r PathRules
	var errs []error
	for key, list := range map[string]struct {
		patterns []string
		into     *gitignore.Patterns
	}{
		"paths.include": {s.Include, &r.include}, "paths.exclude": {s.Exclude, &r.exclude}, "paths.generated": {s.Generated, &r.generated},
	} {
		var err error
		if *list.into, err = gitignore.Compile(list.patterns); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
	}
	return r, errors.Join(errs...)
}

// Excluded says whether findings in the file are not wanted.
func (r PathRules) Excluded(path string) bool {
	return r.exclude.Match(path) || !r.include.Empty() && !r.include.Match(path)
}

// Apply gives the files that are not to be read their policy. A renamed file is judged by both of its names, so that a
// change cannot carry code out of its own review; nor can one carry in what no review has read: all of it is read then.
func (r PathRules) Apply(c *Change) {
	for i := range c.Files {
		f := &c.Files[i]
		both := func(match func(string) bool) bool {
			return match(f.Path) && (f.OldPath == f.Path || f.Change == Copied || match(f.OldPath))
		}
		switch {
		case f.Policy != "":
		case both(r.Excluded):
			f.Policy = finding.ReasonExcluded
		case !f.Metadata() && both(r.generated.Match):
			f.Policy = finding.ReasonGenerated
		case f.Change == Renamed && r.movedIn(f.OldPath, f.Path):
			f.readWhole()
		}
	}
}

// For says whether the instruction is about any of the paths. One without patterns is about all.
func (i *Instruction) For(paths []Path) (bool, error) {
	if len(i.Paths) == 0 {
		return true, nil
	}
	patterns, err := gitignore.Compile(i.Paths)
	if err != nil {
		return false, fmt.Errorf("instructions: paths: %w", err)
	}
	return slices.ContainsFunc(paths, func(p Path) bool { return patterns.Match(string(p)) }), nil
}

// Stricter returns the confirmations that are asked for: the larger number of both by severity.
func Stricter(server, repository map[finding.Severity]int) map[finding.Severity]int {
	out := make(map[finding.Severity]int, len(server))
	maps.Copy(out, server)
	for s, n := range repository {
		out[s] = max(out[s], n)
	}
	return out
}
