package linters

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strings"

	"witan.dev/services/review"
)

// maxFolders is how many folders of an absolute path may lie above and in the repository.
const maxFolders = 64

// paths finds the file of the change that a report means.
type paths struct {
	files map[string]*review.File
	roots []string
}

// newPaths takes the roots that the caller and the report name. Where an absolute path lies below none of them, the
// root is the folder under which most of the report's paths are files of the change; a file at the repository's root
// alone is no evidence for one.
func newPaths(c *review.Change, t *Tool, root string) *paths {
	p := &paths{files: make(map[string]*review.File, len(c.Files))}
	for i := range c.Files {
		if f := &c.Files[i]; f.Change != review.Deleted {
			p.files[f.Path] = f
		}
	}
	for _, r := range append([]string{root}, t.roots...) {
		if r = normal(r); absolute(r) {
			p.roots = append(p.roots, strings.TrimSuffix(r, "/"))
		}
	}
	if inferred := p.infer(t); inferred != "" {
		p.roots = append(p.roots, inferred)
	}
	return p
}

func (p *paths) infer(t *Tool) string {
	all := slices.Clone(t.files)
	for i := range t.results {
		all = append(all, t.results[i].path)
	}
	slices.Sort(all)
	votes := make(map[string]int)
	for _, file := range slices.Compact(all) {
		file = normal(file)
		if !absolute(file) {
			continue
		}
		rest := file
		for range maxFolders {
			at := strings.IndexByte(rest, '/')
			if at < 0 {
				break
			}
			rest = rest[at+1:]
			if p.files[rest] != nil && strings.Contains(rest, "/") {
				votes[strings.TrimSuffix(file, "/"+rest)]++
			}
		}
	}
	best := ""
	for _, root := range slices.Sorted(maps.Keys(votes)) {
		if best == "" || cmp.Compare(votes[root], votes[best]) > 0 {
			best = root
		}
	}
	return best
}

// file returns the changed file, or nil.
func (p *paths) file(name string) *review.File {
	if f := p.files[name]; f != nil {
		return f
	}
	name = normal(name)
	if !absolute(name) {
		return p.files[name]
	}
	for _, root := range p.roots {
		if rest, ok := strings.CutPrefix(name, root+"/"); ok && p.files[rest] != nil {
			return p.files[rest]
		}
	}
	return nil
}

// normal is a path with slashes and without "." and "..".
func normal(name string) string {
	if name == "" {
		return ""
	}
	return path.Clean(strings.ReplaceAll(name, `\`, "/"))
}

func absolute(name string) bool {
	return strings.HasPrefix(name, "/") || len(name) > 2 && name[1] == ':' && name[2] == '/'
}
