package graph

import (
	"encoding/json"
	"path"
	"regexp"
	"slices"
	"strings"
)

// manifests is what the files of IsManifest say, keyed by names and prefixes.
type manifests struct {
	// goModules: module path to folder.
	goModules map[string]string
	// scriptPackages: package name to folder; scriptPaths: alias prefix to folders.
	scriptPackages map[string]string
	scriptPaths    []alias
	// crates: name to folder.
	crates map[string]string
	// namespaces of PHP: prefix to folders.
	namespaces []alias
}

// alias maps what begins with prefix to folders, inside of one folder of the repository.
type alias struct {
	within, prefix string
	dirs           []string
}

func readManifests(sources []Source) manifests {
	m := manifests{goModules: map[string]string{}, scriptPackages: map[string]string{}, crates: map[string]string{}}
	for _, s := range sources {
		if s.Text == "" {
			continue
		}
		dir := dirOf(s.Path)
		switch path.Base(s.Path) {
		case "go.mod":
			if name := goModuleLine(s.Text); name != "" {
				m.goModules[name] = dir
			}
		case "package.json":
			m.readPackage(dir, s.Text)
		case "tsconfig.json", "jsconfig.json":
			m.readScriptConfig(dir, s.Text)
		case "Cargo.toml":
			if name := crateName(s.Text); name != "" {
				m.crates[strings.ReplaceAll(name, "-", "_")] = dir
			}
		case "composer.json":
			m.readComposer(dir, s.Text)
		}
	}
	longestFirst := func(a, b alias) int { return len(b.prefix) - len(a.prefix) }
	slices.SortStableFunc(m.scriptPaths, longestFirst)
	slices.SortStableFunc(m.namespaces, longestFirst)
	return m
}

// goDir returns the folder of a package of the repository: that of the longest module path before it.
func (m manifests) goDir(importPath string) (string, bool) {
	for module := importPath; module != "." && module != "/"; module = path.Dir(module) {
		if dir, known := m.goModules[module]; known {
			return join(dir, strings.TrimPrefix(importPath[len(module):], "/")), true
		}
	}
	return "", false
}

func (m *manifests) readPackage(dir, text string) {
	var p struct {
		Name string `json:"name"`
	}
	if json.Unmarshal([]byte(text), &p) == nil && p.Name != "" {
		m.scriptPackages[p.Name] = dir
	}
}

func (m *manifests) readScriptConfig(dir, text string) {
	var c struct {
		CompilerOptions struct {
			BaseURL string              `json:"baseUrl"`
			Paths   map[string][]string `json:"paths"`
		} `json:"compilerOptions"`
	}
	if json.Unmarshal(withoutComments(text), &c) != nil {
		return
	}
	base := join(dir, c.CompilerOptions.BaseURL)
	for prefix, targets := range c.CompilerOptions.Paths {
		a := alias{within: dir, prefix: strings.TrimSuffix(prefix, "*")}
		for _, t := range targets {
			a.dirs = append(a.dirs, join(base, strings.TrimSuffix(t, "*")))
		}
		m.scriptPaths = append(m.scriptPaths, a)
	}
	if c.CompilerOptions.BaseURL != "" {
		m.scriptPaths = append(m.scriptPaths, alias{within: dir, dirs: []string{base}})
	}
	slices.SortFunc(m.scriptPaths, func(a, b alias) int { return strings.Compare(a.within+" "+a.prefix, b.within+" "+b.prefix) })
}

func (m *manifests) readComposer(dir, text string) {
	type autoload struct {
		PSR4 map[string]any `json:"psr-4"`
	}
	var c struct {
		Autoload    autoload `json:"autoload"`
		AutoloadDev autoload `json:"autoload-dev"`
	}
	if json.Unmarshal([]byte(text), &c) != nil {
		return
	}
	for _, psr := range []map[string]any{c.Autoload.PSR4, c.AutoloadDev.PSR4} {
		for prefix, value := range psr {
			a := alias{within: dir, prefix: prefix}
			switch v := value.(type) {
			case string:
				a.dirs = []string{join(dir, v)}
			case []any:
				for _, d := range v {
					if s, isText := d.(string); isText {
						a.dirs = append(a.dirs, join(dir, s))
					}
				}
			}
			m.namespaces = append(m.namespaces, a)
		}
	}
	slices.SortFunc(m.namespaces, func(a, b alias) int { return strings.Compare(a.prefix, b.prefix) })
}

// crateName reads the name of the [package] section of a Cargo.toml.
func crateName(text string) string {
	m := regexp.MustCompile(`(?ms)^\[package\][^\[]*?^\s*name\s*=\s*"([\w-]+)"`).FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	return m[1]
}

// withoutComments takes // and /* */ comments and trailing commas out of JSON, as TypeScript's configuration has them.
func withoutComments(text string) []byte {
	var out []byte
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '"':
			end := i + 1
			for end < len(text) && text[end] != '"' {
				if text[end] == '\\' {
					end++
				}
				end++
			}
			end = min(end, len(text)-1)
			out = append(out, text[i:end+1]...)
			i = end
		case strings.HasPrefix(text[i:], "//"):
			for i < len(text) && text[i] != '\n' {
				i++
			}
		case strings.HasPrefix(text[i:], "/*"):
			end := strings.Index(text[i+2:], "*/")
			if end < 0 {
				return out
			}
			i += end + 3
		case text[i] == '}' || text[i] == ']':
			for len(out) > 0 && strings.IndexByte(" \t\r\n,", out[len(out)-1]) >= 0 {
				out = out[:len(out)-1]
			}
			out = append(out, text[i])
		default:
			out = append(out, text[i])
		}
	}
	return out
}
