package structure

import (
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/services/review"
)

func TestCallsFitParameters(t *testing.T) {
	t.Parallel()
	var (
		a        = review.Parameter{Name: "a"}
		b        = review.Parameter{Name: "b"}
		maybe    = review.Parameter{Name: "b", Optional: true}
		rest     = review.Parameter{Name: "rest", Variadic: true}
		byName   = review.Parameter{Name: "key", KeywordOnly: true}
		anyNamed = review.Parameter{Name: "options", Variadic: true, KeywordOnly: true}
	)
	for name, c := range map[string]struct {
		language  string
		params    []review.Parameter
		arguments int
		names     []string
		content   string
		fits      bool
	}{
		"as many":                 {language: "Go", params: []review.Parameter{a, b}, arguments: 2, fits: true},
		"too few":                 {language: "Go", params: []review.Parameter{a, b}, arguments: 1, content: "f(x)"},
		"one call for two":        {language: "Go", params: []review.Parameter{a, b}, arguments: 1, content: "f(g(x, y))", fits: true},
		"too many":                {language: "Go", params: []review.Parameter{a}, arguments: 2},
		"rest takes more":         {language: "Go", params: []review.Parameter{a, rest}, arguments: 4, fits: true},
		"rest takes none":         {language: "Go", params: []review.Parameter{a, rest}, arguments: 1, fits: true},
		"spread":                  {language: "Go", params: []review.Parameter{a}, arguments: -1, fits: true},
		"optional left out":       {language: "TypeScript", params: []review.Parameter{a, maybe}, arguments: 1, fits: true},
		"by name":                 {language: "Python", params: []review.Parameter{a, b}, arguments: 1, names: []string{"b"}, fits: true},
		"unknown name":            {language: "Python", params: []review.Parameter{a}, arguments: 1, names: []string{"timeout"}},
		"unknown name taken":      {language: "Python", params: []review.Parameter{a, anyNamed}, arguments: 1, names: []string{"timeout"}, fits: true},
		"by name only, by place":  {language: "Python", params: []review.Parameter{a, byName}, arguments: 2},
		"by name only, given":     {language: "Python", params: []review.Parameter{a, byName}, arguments: 1, names: []string{"key"}, fits: true},
		"by name only, missing":   {language: "Python", params: []review.Parameter{a, byName}, arguments: 1},
		"hash of options in Ruby": {language: "Ruby", params: []review.Parameter{a, maybe}, arguments: 1, names: []string{"x"}, fits: true},
		"missing in JavaScript":   {language: "JavaScript", params: []review.Parameter{a, b}, arguments: 1, fits: true},
		"surplus in JavaScript":   {language: "JavaScript", params: []review.Parameter{a}, arguments: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, ok := languageOf(c.language)
			require.True(t, ok)
			r := review.Reference{Kind: review.ReferenceCall, Name: "f", Arguments: c.arguments, ArgumentNames: c.names, Span: review.Span{EndByte: 1}}
			require.Equal(t, c.fits, accepts(c.params, &r, []byte(c.content), l))
		})
	}
}

func TestTokenFindsWholeWords(t *testing.T) {
	t.Parallel()
	require.Equal(t, 8, token("loading load", "load"))
	require.Equal(t, -1, token("loading reload load_", "load"))
	require.Equal(t, -1, token("load", ""))
	require.Equal(t, 0, token("load(", "load"))
}
