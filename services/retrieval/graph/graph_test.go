package graph

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/services/retrieval"
)

// file makes a source; its ID is its place.
func file(id int, path, language string, definitions []retrieval.Definition, imports ...retrieval.Import) Source {
	return Source{File: retrieval.File{ID: int64(id), Path: path, Language: language}, Definitions: definitions, Imports: imports}
}

func function(name string) retrieval.Definition {
	return retrieval.Definition{Kind: retrieval.KindFunction, Name: name, Qualified: name, Parent: retrieval.NoDefinition, Exported: true}
}

func method(owner, name string) retrieval.Definition {
	return retrieval.Definition{Kind: retrieval.KindMethod, Name: name, Qualified: owner + "." + name, Parent: retrieval.NoDefinition, Exported: true}
}

func call(qualifier, name string) retrieval.Reference {
	return retrieval.Reference{Name: name, Qualifier: qualifier, Usage: retrieval.UsageCall, Enclosing: retrieval.NoDefinition}
}

func definitions(d ...retrieval.Definition) []retrieval.Definition { return d }

// edges writes the edges of one reference as file:definition GRADE.
func edges(g *Graph, from int64, ref retrieval.Reference) []string {
	var out []string
	for _, e := range g.Edges(from, []retrieval.Reference{ref}) {
		out = append(out, fmt.Sprintf("%d:%d %s", e.File, e.To, e.Grade))
	}
	return out
}

func TestANameThatAnImportBindsOutsideHasNoEdge(t *testing.T) {
	t.Parallel()
	g := New([]Source{
		file(1, "a.go", "go", definitions(function("Println"), method("T", "Marshal"))),
		file(2, "b/b.go", "go", nil, retrieval.Import{Path: "fmt"}, retrieval.Import{Path: "gopkg.in/yaml.v3"}),
	})
	require.Empty(t, edges(g, 2, call("fmt", "Println")))
	require.Empty(t, edges(g, 2, call("yaml", "Marshal")))
	require.Equal(t, []string{"1:1 AMBIGUOUS"}, edges(g, 2, call("value", "Marshal")), "common names are never unique")
}

func TestALocalQualifierIsNoImport(t *testing.T) {
	t.Parallel()
	g := New([]Source{
		{File: retrieval.File{ID: 9, Path: "go.mod"}, Text: "module example.org/m // the module\n"},
		file(1, "price/p.go", "go", definitions(function("Subtotal"), method("Order", "Subtotal"))),
		file(2, "b.go", "go", nil, retrieval.Import{Path: "example.org/m/price"}),
	})
	require.Equal(t, []string{"1:0 IMPORTED"}, edges(g, 2, call("price", "Subtotal")))
	local := call("price", "Subtotal")
	local.QualifierLocal = true
	require.Equal(t, []string{"1:1 UNIQUE"}, edges(g, 2, local))
}

func TestSmallNamesOfGoStayInTheirPackage(t *testing.T) {
	t.Parallel()
	hidden := method("T", "compute")
	hidden.Exported = false
	g := New([]Source{file(1, "a/a.go", "go", definitions(hidden)), file(2, "b/b.go", "go", nil), file(3, "a/c.go", "go", nil)})
	require.Empty(t, edges(g, 2, call("x", "compute")))
	require.Equal(t, []string{"1:0 UNIQUE"}, edges(g, 3, call("x", "compute")))
}

func TestAmbiguousNamesHaveTheNearestTwentyEdges(t *testing.T) {
	t.Parallel()
	var sources []Source
	for i := range 30 {
		sources = append(sources, file(i, fmt.Sprintf("d%02d/x.py", i), "python", definitions(method("C", "execute_plan"))))
	}
	g := New(sources)
	got := edges(g, 25, call("thing", "execute_plan"))
	require.Len(t, got, retrieval.MaxCandidates)
	require.Equal(t, "25:0 AMBIGUOUS", got[0])
	require.Equal(t, "0:0 AMBIGUOUS", got[1], "then by path")
}

func TestReexportsInACircleEnd(t *testing.T) {
	t.Parallel()
	star := []retrieval.ImportedName{{Name: "*"}}
	g := New([]Source{
		file(1, "a.ts", "typescript", nil, retrieval.Import{Path: "./b", Names: star}),
		file(2, "b.ts", "typescript", nil, retrieval.Import{Path: "./a", Names: star}, retrieval.Import{Path: "./a", Names: []retrieval.ImportedName{{Name: "x"}}}),
	})
	require.Empty(t, edges(g, 1, call("", "x")))
	require.Empty(t, edges(g, 1, retrieval.Reference{Name: "x", Qualifier: "./b", Usage: retrieval.UsageImport}))
}

func TestNestedScopesHideOuterOnes(t *testing.T) {
	t.Parallel()
	inner := retrieval.Definition{Kind: retrieval.KindFunction, Name: "helper", Qualified: "outer.helper", Parent: 1}
	g := New([]Source{file(1, "a.py", "python", definitions(function("helper"), function("outer"), inner))})
	inside := call("", "helper")
	inside.Enclosing = 1
	require.Equal(t, []string{"1:2 SAME_FILE"}, edges(g, 1, inside))
	require.Equal(t, []string{"1:0 SAME_FILE"}, edges(g, 1, call("", "helper")))
}

func TestManifestsAreReadAsTheyAre(t *testing.T) {
	t.Parallel()
	m := readManifests([]Source{
		{File: retrieval.File{Path: "go.mod"}, Text: "// a comment\nmodule \"example.org/root\"\n\ngo 1.26\n"},
		{File: retrieval.File{Path: "sub/go.mod"}, Text: "module example.org/root/sub // nested\n"},
		{File: retrieval.File{Path: "web/package.json"}, Text: `{"name": "@x/web"}`},
		{File: retrieval.File{Path: "broken/package.json"}, Text: `{"name": `},
		{File: retrieval.File{Path: "c/Cargo.toml"}, Text: "[dependencies]\nname = \"no\"\n\n[package]\nversion = \"1\"\nname = \"my-crate\"\n"},
		{File: retrieval.File{Path: "composer.json"}, Text: `{"autoload": {"psr-4": {"A\\": "src/", "A\\B\\": ["lib/b", "more"]}}}`},
	})
	for path, want := range map[string]string{"example.org/root/a/b": "a/b", "example.org/root": "", "example.org/root/sub/x": "sub/x"} {
		dir, found := m.goDir(path)
		require.True(t, found, path)
		require.Equal(t, want, dir)
	}
	_, found := m.goDir("example.org/rootless")
	require.False(t, found)
	require.Equal(t, map[string]string{"@x/web": "web"}, m.scriptPackages)
	require.Equal(t, map[string]string{"my_crate": "c"}, m.crates)
	require.Equal(t, []alias{{within: "", prefix: `A\B\`, dirs: []string{"lib/b", "more"}}, {within: "", prefix: `A\`, dirs: []string{"src"}}}, m.namespaces)
}

func TestPackagesOfGoAreGuessedFromTheirPaths(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"fmt": "fmt", "net/http": "http", "example.org/x/v2": "x", "gopkg.in/yaml.v3": "yaml", "example.org/go-git": "git",
		"example.org/parser-go": "parser", "example.org/some-thing": "thing", "v2": "v2",
	} {
		require.Equal(t, want, goPackageName(path), path)
	}
}

func TestQualifiersAreSplit(t *testing.T) {
	t.Parallel()
	for qualifier, want := range map[string]string{
		"a.b": "a b true", "a::b": "a b true", "$this->x": "$this x true", "a?.b": "a b true", `\A\B`: "A B true", "f(x).y": "f false",
		"a[0]": "a false", "": " true", "&x": "x true", "a.b().c": "a b false",
	} {
		names, pure := splitQualifier(qualifier)
		require.Equal(t, want, strings.TrimSpace(strings.Join(names, " "))+fmt.Sprintf(" %t", pure), qualifier)
	}
}

// FuzzGraph builds a graph of hostile paths, imports and manifests and resolves references in it.
func FuzzGraph(f *testing.F) {
	f.Add("a/b.go", "go", "example.org/x", "x", "module example.org\n")
	f.Add("a/b.ts", "typescript", "../../..//./x", "default", `{"compilerOptions": {"paths": {"*": ["*", 3]}, /* */}}`)
	f.Add("../b.py", "python", ".......x", "x", "{")
	f.Add("/x.rs", "rust", "super::super::super::super", "*", "[package]\nname = \"x\"")
	f.Add("x.php", "php", `\\\A\`, `B\C`, `{"autoload": {"psr-4": {"": ""}}}`)
	f.Add("", "java", "a..b.*", "", "/*")
	f.Fuzz(func(t *testing.T, path, language, importPath, name, text string) {
		definitions := definitions(function(name), method(name, name), retrieval.Definition{Kind: retrieval.KindClass, Name: name, Qualified: importPath, Parent: 5})
		imports := []retrieval.Import{{Path: importPath, Alias: name}, {Path: importPath, Names: []retrieval.ImportedName{{Name: name}, {Name: "*"}}}}
		var sources []Source
		for i, manifest := range []string{"go.mod", "package.json", "tsconfig.json", "composer.json", "Cargo.toml"} {
			sources = append(sources, Source{File: retrieval.File{ID: int64(10 + i), Path: path + "/" + manifest}, Text: text})
		}
		g := New(append(sources, file(1, path, language, definitions, imports...), file(2, importPath, language, definitions, imports...)))
		for _, usage := range []retrieval.Usage{retrieval.UsageCall, retrieval.UsageType, retrieval.UsageImport, retrieval.UsageName, retrieval.UsageUnknown} {
			for _, qualifier := range []string{"", importPath, name, "self", path + "." + name} {
				for _, e := range g.Edges(1, []retrieval.Reference{{Name: name, Qualifier: qualifier, Usage: usage, Enclosing: 2}}) {
					require.True(t, e.File == 1 || e.File == 2)
					require.Less(t, e.To, len(definitions))
				}
			}
		}
	})
}
