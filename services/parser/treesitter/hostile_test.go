package treesitter

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	sitter "github.com/smacker/go-tree-sitter"
	"github.com/stretchr/testify/require"

	"witan.dev/services/parser"
	"witan.dev/services/parser/enry"
)

// parseAll asks for everything about a content in one language and checks every promise.
func parseAll(t testing.TB, service *parser.Service, language string, content []byte) parser.Result {
	t.Helper()
	got, err := service.Parse(t.Context(), parser.Request{
		Path: "a", Content: content, Language: language, Enclosing: []parser.LineRange{{Start: 1, End: 3}, {Start: 2, End: 9}},
		Want: parser.Want{Definitions: true, References: true, Imports: true, Chunks: true},
	})
	require.NoError(t, err)
	require.NotEqual(t, parser.StatusCrashed, got.Status)
	requireInvariants(t, content, parser.Extraction{
		Definitions: got.Definitions, References: got.References, Imports: got.Imports, Errors: got.Errors,
	})
	at := 0
	for _, c := range got.Chunks {
		require.Equal(t, at, c.Range.StartByte)
		require.Greater(t, c.Range.EndByte, at)
		require.Less(t, c.Definition, len(got.Definitions))
		at = c.Range.EndByte
	}
	if got.Status != parser.StatusBinary {
		require.Equal(t, len(content), at, "chunks cover the content")
	}
	for _, e := range got.Enclosing {
		share := 0.0
		for _, d := range e.Definitions {
			share += d.Share
		}
		require.InDelta(t, 1, share, 1e-9)
	}
	return got
}

func newService(t testing.TB) *parser.Service {
	t.Helper()
	return parser.NewService(enry.Detector{}, newExtractor(t), slog.New(slog.DiscardHandler))
}

// hostileLimit is far above what any of these takes; without the guards of walks.go two of them take minutes.
const hostileLimit = 30 * time.Second

func TestHostileContentIsBounded(t *testing.T) {
	t.Parallel()
	service := newService(t)
	deep := func(open, close string, n int) string { return strings.Repeat(open, n) + strings.Repeat(close, n) }
	var python strings.Builder
	for i := range 1_000 {
		python.WriteString(strings.Repeat(" ", i) + "def f():\n")
	}
	for name, c := range map[string]struct{ language, content string }{
		"brackets":          {"go", "package p\nvar x = " + deep("(", ")", 100_000)},
		"brackets of php":   {"php", "<?php " + deep("[", "]", 250_000)},
		"open brackets":     {"typescript", strings.Repeat("{", 450_000)},
		"deep python":       {"python", python.String()},
		"deep classes":      {"java", deep("class A{", "}", 12_000)},
		"deep modules":      {"rust", deep("mod a{", "}", 20_000)},
		"deep methods":      {"ruby", deep("class A;def a;", "end;end;", 8_000)},
		"flat array":        {"javascript", "x = [" + strings.Repeat("1,", 120_000) + "]"},
		"long line":         {"javascript", strings.Repeat("a=b(c);", 35_000)},
		"calls in a chain":  {"javascript", "a" + strings.Repeat(".b()", 60_000)},
		"functions":         {"go", "package p\n" + strings.Repeat("func f() {}\n", 25_000)},
		"comments":          {"go", "package p\n" + strings.Repeat("// a\n", 50_000) + "func f() {}\n"},
		"shadowing":         {"go", "package p\nfunc f() {\n" + strings.Repeat("x := x\n", 35_000) + "}\n"},
		"one name":          {"python", "def f():\n" + strings.Repeat(" x = x\n", 35_000)},
		"decorators":        {"python", strings.Repeat("@a\n", 70_000) + "def f(): pass\n"},
		"annotations":       {"java", strings.Repeat("@A ", 70_000) + "class B {}"},
		"strings":           {"rust", "const A: &str = r#\"" + strings.Repeat("a\n", 400_000) + "\"#;"},
		"template":          {"typescript", "`" + strings.Repeat("${a}", 50_000) + "`"},
		"NUL":               {"python", strings.Repeat("\x00def f(): pass\n", 10_000)},
		"invalid UTF-8":     {"ruby", strings.Repeat("def \xff\xfe; end\n", 10_000)},
		"carriage returns":  {"go", strings.Repeat("var a = 1\r", 20_000)},
		"jsx":               {"tsx", deep("<a>", "</a>", 25_000)},
		"parameters":        {"go", "package p\nfunc f(" + strings.Repeat("a int,", 40_000) + ") {}"},
		"arguments":         {"python", "f(" + strings.Repeat("a=1,", 50_000) + ")"},
		"nested signatures": {"typescript", deep("function a(b = () => {", "}){}", 5_000)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			content := []byte(c.content)
			require.LessOrEqual(t, len(content), parser.MaxContent)
			start := time.Now()
			got := parseAll(t, service, c.language, content)
			require.Less(t, time.Since(start), hostileLimit)
			t.Logf("%v: %v, %d definitions, %d references, %d chunks", time.Since(start).Round(time.Millisecond), got.Status,
				len(got.Definitions), len(got.References), len(got.Chunks))
		})
	}
}

// Real files that were damaged in the middle keep all promises, and two parses of the same content are equal.
func TestDamagedCasesKeepThePromises(t *testing.T) {
	t.Parallel()
	service := newService(t)
	for _, c := range goldenCases(t) {
		for cut := range 40 {
			at, width := len(c.content)*cut/40, 1+cut*3
			damaged := append(bytes.Clone(c.content[:at]), c.content[min(at+width, len(c.content)):]...)
			first := parseAll(t, service, c.language, damaged)
			require.Equal(t, first, parseAll(t, service, c.language, damaged))
		}
	}
}

type languageCase struct {
	language string
	content  []byte
}

func goldenCases(t testing.TB) []languageCase {
	t.Helper()
	files, err := filepath.Glob("../languages/*/golden/*.txt")
	require.NoError(t, err)
	var cases []languageCase
	for _, file := range files {
		content, err := os.ReadFile(file) //nolint:gosec // a case of this repository
		require.NoError(t, err)
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		cases = append(cases, languageCase{enry.Detector{}.Detect(name, content).Language, content})
	}
	return cases
}

// A parse that timed out must not leak into the next one, which is what the library does when its parser is kept.
func TestTimeoutLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	p := newPool(1, time.Microsecond)
	t.Cleanup(p.close)
	grammar := newExtractor(t).languages["go"].grammar
	large := []byte("package p\n" + strings.Repeat("func f() { x(1, 2, 3) }\n", 20_000))

	for range 20 {
		err := p.parse(t.Context(), grammar, large, func(*sitter.Tree) error { return nil })
		require.ErrorIs(t, err, parser.ErrTimeout)
		small := []byte("package p\n")
		err = p.parse(t.Context(), grammar, small, func(tree *sitter.Tree) error {
			require.Equal(t, uint32(len(small)), tree.RootNode().EndByte()) //nolint:gosec // ten bytes
			return nil
		})
		if err != nil { // a microsecond may be too short for it as well
			require.ErrorIs(t, err, parser.ErrTimeout)
		}
	}
}

func TestPoolSurvivesAPanicInUse(t *testing.T) {
	t.Parallel()
	p := newPool(1, time.Second)
	t.Cleanup(p.close)
	grammar := newExtractor(t).languages["go"].grammar
	require.Panics(t, func() {
		_ = p.parse(t.Context(), grammar, []byte("package p"), func(*sitter.Tree) error { panic("broken") })
	})
	require.NoError(t, p.parse(t.Context(), grammar, []byte("package p"), func(*sitter.Tree) error { return nil }))
}

func TestPoolWaitsNoLongerThanItsCaller(t *testing.T) {
	t.Parallel()
	p := newPool(1, time.Second)
	t.Cleanup(p.close)
	grammar := newExtractor(t).languages["go"].grammar
	ctx, cancel := context.WithCancel(t.Context())
	err := p.parse(t.Context(), grammar, []byte("package p"), func(*sitter.Tree) error {
		cancel()
		err := p.parse(ctx, grammar, nil, nil) // the only parser is lent
		require.ErrorIs(t, err, context.Canceled)
		return nil
	})
	require.NoError(t, err)
}

// Many goroutines on all languages at once give what one gives alone.
func TestConcurrentParsesAgree(t *testing.T) {
	t.Parallel()
	service := newService(t)
	var wg sync.WaitGroup
	for _, c := range goldenCases(t) {
		want := parseAll(t, service, c.language, c.content)
		for range 8 {
			wg.Go(func() {
				got, err := service.Parse(t.Context(), parser.Request{
					Path: "a", Content: c.content, Language: c.language,
					Want: parser.Want{Definitions: true, References: true, Imports: true, Chunks: true},
				})
				if err != nil || len(got.References) != len(want.References) || len(got.Definitions) != len(want.Definitions) {
					t.Errorf("%s: %v, %d references, want %d", c.language, err, len(got.References), len(want.References))
				}
			})
		}
	}
	wg.Wait()
}

func FuzzParse(f *testing.F) {
	service := newService(f)
	var names []string
	for _, l := range service.Languages() {
		names = append(names, l.Name)
	}
	for i, c := range goldenCases(f) {
		f.Add(c.content, uint8(i))
	}
	f.Add([]byte("\x00\xff{[("), uint8(0))
	f.Fuzz(func(t *testing.T, content []byte, language uint8) {
		if len(content) > 64<<10 {
			t.Skip("larger contents have tests of their own")
		}
		parseAll(t, service, names[int(language)%len(names)], content)
	})
}
