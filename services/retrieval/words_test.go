package retrieval

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestIdentifiersAreSplitAtCaseDigitsAndUnderscores(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"parseHTTPRequest":        "parse http request parsehttprequest",
		"parse_http_request":      "parse http request parsehttprequest",
		"HTTPServer":              "http server httpserver",
		"utf8Decode":              "utf 8 decode utf8decode",
		"__init__":                "init",
		"_private":                "private",
		"simple":                  "simple",
		"a.b->c":                  "a b c",
		"größeÄndern":             "größe ändern größeändern",
		"Ω_x":                     "ω x ωx",
		"x1":                      "x 1 x1",
		"":                        "",
		"+++ ___ ---":             "",
		"\xff\xfeok\xff":          "ok",
		strings.Repeat("a", 81):   "",
		strings.Repeat("ab1", 26): strings.TrimSpace(strings.Repeat("ab 1 ", 26)) + " " + strings.Repeat("ab1", 26),
	} {
		require.Equal(t, want, SplitText(text), text)
	}
}

func TestQueriesLoseStopWordsAndRepeats(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"parse", "http", "parsehttp", "request"}, QueryTerms("how do I parse the parseHTTP request?"))
	require.Equal(t, []string{"what", "is", "this"}, QueryTerms("What is this"), "stop words are better than nothing")
	require.Empty(t, QueryTerms("?!"))
	require.Len(t, QueryTerms(strings.Repeat("x", 10)+manyWords(1000)), maxQueryTerms)
}

func manyWords(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(" " + string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676)))
	}
	return b.String()
}

func FuzzWords(f *testing.F) {
	for _, seed := range []string{"parseHTTPRequest", "a__b9C", "\xff_é1A", strings.Repeat("_", 200), "ǅx", "İstanbul", "\u0300a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		size := 0
		Words(text, func(word string, whole bool) {
			require.NotEmpty(t, word)
			require.True(t, utf8.ValidString(word))
			require.NotContains(t, word, "_")
			require.LessOrEqual(t, len(word), 3*maxWord, "small letters may need more bytes than capitals")
			if !whole {
				size += len(word)
			}
		})
		require.LessOrEqual(t, size, 3*len(text))
		for _, term := range QueryTerms(text) {
			require.NotEmpty(t, term)
		}
	})
}
