package llmtest

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/testdata"
)

// Exchange is what a provider answered.
type Exchange struct {
	Status int
	Header map[string]string
	Body   string
	// Break breaks the connection after the body, instead of ending it.
	Break bool
}

// Replay serves one exchange to every request, and gives the base URL. seen, which may be nil, gets each request first.
func Replay(t testing.TB, x Exchange, seen func(*http.Request)) string {
	t.Helper()
	return ReplayFunc(t, func(w http.ResponseWriter, r *http.Request) {
		if seen != nil {
			seen(r)
		}
		for name, value := range x.Header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(x.Status)
		_, _ = w.Write([]byte(x.Body))
		if x.Break {
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
	})
}

// ReplayFunc serves handler until the test ends, and gives the base URL.
func ReplayFunc(t testing.TB, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL + "/v1"
}

// Fixture is one recorded exchange of the shared data.
type Fixture struct {
	Name, API string
	Exchange  Exchange
	Streamed  bool
	Expected  Expected
}

// Expected is what a program in another language read in a recorded body.
type Expected struct {
	API, Text, Refusal string
	Stop, Error        *string
	Usage              map[string]int64
	ToolCalls          []json.RawMessage `json:"tool_calls"`
	SawTerminal        bool              `json:"saw_terminal"`
}

// Fixtures reads the recorded exchanges.
func Fixtures(t *testing.T) []Fixture {
	t.Helper()
	dir := testdata.Path(t, "llm-wire")
	bodies, err := filepath.Glob(filepath.Join(dir, "*.body.*"))
	require.NoError(t, err)
	require.NotEmpty(t, bodies)
	var out []Fixture
	for _, path := range bodies {
		name, kind, _ := strings.Cut(filepath.Base(path), ".body.")
		f := Fixture{Name: name, Streamed: kind != "json"}
		var meta struct {
			Status  int
			Headers map[string]string
		}
		decode(t, filepath.Join(dir, name+".meta.json"), &meta)
		decode(t, filepath.Join(dir, name+".expected.json"), &f.Expected)
		raw, err := os.ReadFile(path) //nolint:gosec // a fixture
		require.NoError(t, err)
		f.API, f.Exchange = f.Expected.API, Exchange{Status: meta.Status, Header: map[string]string{}, Body: string(raw)}
		maps.Copy(f.Exchange.Header, meta.Headers)
		if kind == "jsonl" {
			f.Exchange.Body = frame(f.Exchange.Body, f.Expected.Stop != nil)
		}
		if f.Exchange.Header["content-type"] == "" {
			f.Exchange.Header["content-type"] = map[bool]string{true: "text/event-stream", false: "application/json"}[f.Streamed]
		}
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b Fixture) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// frame puts the SSE framing back that was stripped from a recording.
func frame(lines string, ended bool) string {
	var b strings.Builder
	for line := range strings.Lines(lines) {
		b.WriteString("data: " + strings.TrimSpace(line) + "\n\n")
	}
	if ended {
		b.WriteString("data: [DONE]\n\n")
	}
	return b.String()
}

func decode(t *testing.T, path string, into any) {
	t.Helper()
	raw, err := os.ReadFile(path) //nolint:gosec // a fixture
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, into), path)
}
