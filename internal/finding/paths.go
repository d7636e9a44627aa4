package finding

import "slices"

// EachPath replaces every path of the report by what fn makes of it. What else shares the report's findings and files keeps
// them as they are.
func (r *Report) EachPath(fn func(path string) string) {
	r.Findings = slices.Clone(r.Findings)
	for i := range r.Findings {
		r.Findings[i].EachPath(fn)
	}
	r.Coverage.Files = slices.Clone(r.Coverage.Files)
	for i := range r.Coverage.Files {
		f := &r.Coverage.Files[i]
		f.Path, f.OldPath = fn(f.Path), fn(f.OldPath)
	}
}

// EachPath replaces every path of the finding likewise.
func (f *Finding) EachPath(fn func(path string) string) {
	f.Location.Path, f.Location.OldPath = fn(f.Location.Path), fn(f.Location.OldPath)
	f.Related = slices.Clone(f.Related)
	for i := range f.Related {
		f.Related[i].Path, f.Related[i].OldPath = fn(f.Related[i].Path), fn(f.Related[i].OldPath)
	}
}
