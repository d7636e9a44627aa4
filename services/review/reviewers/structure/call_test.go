package structure

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/services/review"
)

func TestCallsFitSignatures(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		language, signature, call string
		fits                      bool
	}{
		{"Go", "func f(a, b int) error", "f(1, 2)", true},
		{"Go", "func f(a, b int) error", "f(1)", false},
		{"Go", "func f(a, b int) error", "f(g())", true},
		{"Go", "func f(a int, b ...string)", "f(1)", true},
		{"Go", "func f(a int, b ...string)", "f(1, xs...)", true},
		{"Go", "func (s *T) f(cb func(a, b int) error)", "x.f(func(a, b int) error { return g(a, b) })", true},
		{"Go", "func f[T any](a T)", "f[map[string]int](m)", true},
		{"Go", "func f[T any](a T)", "f[int](1, \"a,b\")", false},
		{"Go", "func f()", "f('(')", false},
		{"Go", "func f(a rune, b string)", "f('\\'', `a\\`)", true},
		{"Python", "def f(self, url, timeout)", "c.f(u, timeout=3)", true},
		{"Python", "def f(self, url)", "c.f(u, timeout=3)", false},
		{"Python", "def f(self, url)", "c.f(u, 3)", false},
		{"Python", "def f(url, *, timeout=None)", "f(u, 3)", false},
		{"Python", "def f(url, *, timeout)", "f(u)", false},
		{"Python", "def f(url, **options)", "f(u, timeout=3)", true},
		{"Python", "def f(url, /)", "f(url=1)", false},
		{"Python", "def f(a: dict[str, int] = {}, b=(1, 2))", "f()", true},
		{"Python", "def f(a)", "f(\"\"\"a, (b\"\"\", # c, d\n)", true},
		{"Python", "def f(a)", "f(*args)", true},
		{"Python", "def f(a)", "f([x for x in y if x == 1])", true},
		{"TypeScript", "export function f(a: string, b?: number): void", "f('x')", true},
		{"TypeScript", "export function f<T>(a: Map<string, T>, b = 1)", "f<number>(new Map<string, number>())", true},
		{"TypeScript", "function f(a: string)", "f('x', 2)", false},
		{"TypeScript", "const f = async (a: string, cb: (x: number, y: number) => void) =>", "f(a, (x, y) => x < y)", true},
		{"TypeScript", "function f({a, b}: Props)", "f({ a, b })", true},
		{"JavaScript", "function f(a, b)", "f(1)", true},
		{"JavaScript", "function f(a)", "f(1, `x, ${y}`)", false},
		{"Java", "public <T> int f(Map<String, T> m, int... n)", "f(new HashMap<String, Integer>())", true},
		{"Java", "int f(String a)", "f(\"a\", 2)", false},
		{"Rust", "pub fn f<'a>(&'a self, b: u32) -> u32", "x.f(1)", true},
		{"Rust", "pub fn f(&self, b: u32)", "T::f(&x, 1)", true},
		{"Rust", "fn f(a: char)", "f('a', 'b')", false},
		{"Ruby", "def f(a, b = 1, *rest, key:, other: 2, &block)", "f(1, key: 2)", true},
		{"Ruby", "def f(a, key:)", "f(1)", false},
		{"PHP", "public function f(int $a, ?string $b = null)", "$x->f(1)", true},
		{"PHP", "function f(int $a, $b)", "f(1)", false},
		{"PHP", "function f(int $a)", "f(a: 1)", true},
	} {
		t.Run(c.language+" "+c.call, func(t *testing.T) {
			t.Parallel()
			l, ok := languageOf(c.language)
			require.True(t, ok)
			s, ok := parameters(&review.Definition{Name: "f", Signature: c.signature}, l)
			require.True(t, ok, c.signature)
			at := token(c.call, "f", 0)
			got, ok := arguments([]byte(c.call), &review.Reference{Name: "f", Span: review.Span{StartByte: at}}, l)
			require.True(t, ok, c.call)
			require.Equal(t, c.fits, s.accepts(got, l), "%+v against %+v", got, s)
		})
	}
}

func TestUncertainCallsAreNotCounted(t *testing.T) {
	t.Parallel()
	for language, text := range map[string]string{
		"Go":         "f(a, b",
		"Ruby":       "f a, b",
		"Rust":       "f(|a, b| a + b)",
		"TypeScript": "f(a <",
		"Python":     "f(lambda a, b: a)",
	} {
		l, _ := languageOf(language)
		_, ok := arguments([]byte(text), &review.Reference{Name: "f"}, l)
		require.False(t, ok, "%s: %s", language, text)
	}
}

func FuzzArguments(f *testing.F) {
	f.Add("Go", "func f(a, b int)", "f(1, \"x\")")
	f.Add("TypeScript", "const f = <T,>(a: T) =>", "f<Map<string, number>>(x)")
	f.Add("Python", "def f(self, *, a=1)", "f(**{'a': 1})")
	f.Add("Rust", "fn f<'a>(x: &'a str)", "f('\\'')")
	f.Fuzz(func(t *testing.T, name, definition, text string) {
		l, ok := languageOf(name)
		if !ok {
			return
		}
		s, known := parameters(&review.Definition{Name: "f", Signature: definition}, l)
		c, counted := arguments([]byte(text), &review.Reference{Name: "f"}, l)
		if known && counted {
			s.accepts(c, l)
			require.LessOrEqual(t, c.positional, strings.Count(text, ",")+1)
		}
	})
}
