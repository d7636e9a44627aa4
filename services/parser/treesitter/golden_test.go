package treesitter

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/services/parser"
	"witan.dev/services/parser/enry"
)

var update = flag.Bool("update", false, "write the golden files anew") //nolint:gochecknoglobals // a flag of the test

// Each case below languages/<name>/golden is a source with ".txt" behind its name, and beside it what is read from it.
func TestGoldenCases(t *testing.T) {
	t.Parallel()
	cases, err := filepath.Glob("../languages/*/golden/*.txt")
	require.NoError(t, err)
	e := newExtractor(t)
	seen := make(map[string]bool)
	for _, file := range cases {
		path := strings.TrimSuffix(filepath.Base(file), ".txt")
		content, err := os.ReadFile(file) //nolint:gosec // a case of this repository
		require.NoError(t, err)
		language := enry.Detector{}.Detect(path, content).Language
		seen[language] = true
		t.Run(language+"/"+path, func(t *testing.T) {
			t.Parallel()
			got, err := e.Extract(t.Context(), parser.Source{
				Language: language, Path: path, Content: content, Lines: parser.NewLines(content), References: true,
			})
			require.NoError(t, err)
			requireInvariants(t, content, got)
			golden := strings.TrimSuffix(file, ".txt") + ".golden"
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(describe(got)), 0o600))
			}
			want, err := os.ReadFile(golden) //nolint:gosec // a case of this repository
			require.NoError(t, err)
			require.Equal(t, string(want), describe(got))
		})
	}
	for _, l := range e.Languages() {
		require.True(t, seen[l.Name], "%s has no golden case", l.Name)
	}
}

// describe writes an extraction so that a person can check it against the source.
func describe(e parser.Extraction) string {
	var b strings.Builder
	for i, d := range e.Definitions {
		fmt.Fprintf(&b, "definition %d in %d: %s %s, lines %d-%d (full %d-%d)%s\n", i, d.Parent, kindName(d.Kind),
			d.QualifiedName, d.Range.StartLine, d.Range.EndLine, d.FullRange.StartLine, d.FullRange.EndLine, flags(d))
		fmt.Fprintf(&b, "  %s\n", d.Signature)
		for _, p := range d.Parameters {
			fmt.Fprintf(&b, "  - %s\n", parameterText(p))
		}
		if d.Doc != "" {
			fmt.Fprintf(&b, "  doc %q\n", d.Doc)
		}
	}
	for _, i := range e.Imports {
		fmt.Fprintf(&b, "import line %d: %q as %q, all %v:", i.Range.StartLine, i.Path, i.Alias, i.Wildcard)
		for _, n := range i.Names {
			fmt.Fprintf(&b, " %s as %q", n.Name, n.Alias)
		}
		b.WriteString("\n")
	}
	for _, r := range e.References {
		fmt.Fprintf(&b, "%s line %d in %d: %s%s\n", referenceName(r.Kind), r.Range.StartLine, r.Enclosing, usage(r),
			argumentText(r.Arguments))
	}
	for _, r := range e.Errors {
		fmt.Fprintf(&b, "error lines %d-%d\n", r.StartLine, r.EndLine)
	}
	return b.String()
}

func flags(d parser.Definition) string {
	text := ""
	if d.Exported {
		text += " exported"
	}
	if d.Test {
		text += " test"
	}
	return text
}

func parameterText(p parser.Parameter) string {
	kinds := map[parser.ParameterKind]string{
		parser.ParameterRequired: "required", parser.ParameterOptional: "optional",
		parser.ParameterVariadic: "variadic", parser.ParameterKeywordVariadic: "keyword variadic",
	}
	text := fmt.Sprintf("%q %s %s", p.Name, p.Type, kinds[p.Kind])
	if p.KeywordOnly {
		text += ", by name only"
	}
	if p.PositionalOnly {
		text += ", by place only"
	}
	return text
}

func usage(r parser.Reference) string {
	switch {
	case r.Qualifier == "":
		return r.Name
	case r.QualifierLocal:
		return "[local " + r.Qualifier + "] " + r.Name
	default:
		return "[" + r.Qualifier + "] " + r.Name
	}
}

func argumentText(a *parser.Arguments) string {
	if a == nil {
		return ""
	}
	return fmt.Sprintf(" (%d %v spread %v)", a.Positional, a.Keywords, a.Spread)
}

func referenceName(k parser.ReferenceKind) string {
	return map[parser.ReferenceKind]string{
		parser.ReferenceName: "name", parser.ReferenceType: "type", parser.ReferenceCall: "call",
		parser.ReferenceImport: "imported",
	}[k]
}

func kindName(k parser.Kind) string {
	return map[parser.Kind]string{
		parser.KindFunction: "function", parser.KindMethod: "method", parser.KindClass: "class",
		parser.KindStruct: "struct", parser.KindInterface: "interface", parser.KindTrait: "trait",
		parser.KindEnum: "enum", parser.KindType: "type", parser.KindConstant: "constant",
		parser.KindVariable: "variable", parser.KindField: "field", parser.KindModule: "module", parser.KindMacro: "macro",
	}[k]
}
