package llm_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/llm"
	"witan.dev/internal/secret"
)

func providers(made *[]llm.Info) map[string]llm.Provider {
	return map[string]llm.Provider{"fake": func(cfg llm.Config, info llm.Info) (llm.Model, error) {
		if cfg.Model == "broken" {
			return nil, errors.New("is broken")
		}
		*made = append(*made, info)
		return described{answers(""), info}, nil
	}}
}

type described struct {
	*double
	info llm.Info
}

func (d described) Info() llm.Info { return d.info }

func TestCapabilitiesAreConfiguredKnownOrAssumed(t *testing.T) {
	t.Parallel()
	var made []llm.Info
	no := false
	price := &llm.Price{InputPerMillion: 1, OutputPerMillion: 2, Currency: "USD"}
	r, err := llm.NewRegistry(llm.RegistryParams{Providers: providers(&made), Configs: []llm.Config{
		{Name: "known", Provider: "fake", Model: "openai/gpt-4o-mini"},
		{Name: "assumed", Provider: "fake"},
		{Name: "configured", Provider: "fake", Model: "gpt-4o", ContextTokens: 1000, JSONSchema: &no, Price: price},
	}})
	require.NoError(t, err)
	require.Equal(t, []llm.Info{
		{Name: "known", Provider: "fake", Model: "openai/gpt-4o-mini", ContextTokens: 128_000, MaxOutputTokens: 16_384, JSONSchema: true, JSONObject: true, Streaming: true, Source: llm.SourceKnown},
		{Name: "assumed", Provider: "fake", Model: "assumed", ContextTokens: 8_192, MaxOutputTokens: 2_048, Streaming: true, Source: llm.SourceAssumed},
		{Name: "configured", Provider: "fake", Model: "gpt-4o", ContextTokens: 1000, MaxOutputTokens: 1000, JSONObject: true, Streaming: true, Price: price, Source: llm.SourceConfig},
	}, made)
	require.Len(t, r.Models(), 3)
	m, ok := r.Model("assumed")
	require.True(t, ok)
	require.Equal(t, "assumed", m.Info().Name)
	_, ok = r.Model("none")
	require.False(t, ok)
}

func TestAllProblemsOfTheModelsAreReportedTogether(t *testing.T) {
	t.Parallel()
	var made []llm.Info
	_, err := llm.NewRegistry(llm.RegistryParams{Providers: providers(&made), Configs: []llm.Config{
		{Name: "a", Provider: "fake"},
		{Name: "a", Provider: "fake"},
		{Provider: "fake"},
		{Name: "b", Provider: "none"},
		{Name: "c", Provider: "fake", Model: "broken"},
		{Name: "d", Provider: "fake", ContextTokens: -1},
		{Name: "e", Provider: "fake", Price: &llm.Price{}},
	}})
	for _, says := range []string{`"a": the name is used twice`, "without a name", `"none" is none of fake`, `"c": is broken`, `"d": limits`, `"e": prices`} {
		require.ErrorContains(t, err, says)
	}
}

func TestModelsOfOneEndpointShareItsPauseAndTheSameModelItsCircuit(t *testing.T) {
	t.Parallel()
	d := answers(llm.ClassAuth)
	r, err := llm.NewRegistry(llm.RegistryParams{
		Providers: map[string]llm.Provider{"fake": func(_ llm.Config, info llm.Info) (llm.Model, error) { return described{d, info}, nil }},
		Configs: []llm.Config{
			{Name: "a", Provider: "fake", Model: "m"},
			{Name: "b", Provider: "fake", Model: "m"},
			{Name: "c", Provider: "fake", Model: "n"},
			{Name: "d", Provider: "fake", Model: "m", BaseURL: "http://x"},
		},
	})
	require.NoError(t, err)
	for i, open := range []bool{false, true, false, false} {
		require.Equal(t, open, errors.Is(call(t, r.Models()[i]), llm.ErrCircuitOpen), i)
	}
}

func TestCost(t *testing.T) {
	t.Parallel()
	p := llm.Price{InputPerMillion: 0.15, OutputPerMillion: 0.6, Currency: "USD"}
	require.Equal(t, int64(210_000), p.Cost(llm.Usage{InputTokens: 1_000_000, OutputTokens: 100_000}))
	require.Equal(t, int64(1), p.Cost(llm.Usage{InputTokens: 1}), "rounded up: a cap is kept")
	require.Zero(t, p.Cost(llm.Usage{}))
}

func TestOnlyAFinishedTextIsASuccess(t *testing.T) {
	t.Parallel()
	for want, r := range map[llm.Class]llm.Response{
		"":                 {Text: "x", Finish: llm.FinishStop},
		llm.ClassEmpty:     {Finish: llm.FinishStop},
		llm.ClassTruncated: {Text: "x", Finish: llm.FinishLength},
		llm.ClassRefusal:   {Text: "x", Finish: llm.FinishFilter},
		llm.ClassProvider:  {Text: "x"},
	} {
		require.Equal(t, want, llm.ClassOf(llm.Check(r)))
	}
}

func TestRedact(t *testing.T) {
	t.Parallel()
	for _, hidden := range []string{
		"sk-proj-abcdefgh1234", "Bearer abc.def-ghi", "api_key=hunter22", `"token": "hunter22"`, "https://joe:hunter22@host/", "AKIA" + "ABCDEFGHIJKLMNOP",
		"eyJhbGciOiJI.eyJzdWIiOiIx.abc", "mysecret1",
	} {
		out := llm.Redact("before "+hidden+" after", "mysecret1")
		require.Contains(t, out, "[redacted]", hidden)
		require.NotContains(t, out, "hunter22")
		require.True(t, strings.HasPrefix(out, "before "))
	}
	require.Equal(t, "tokens used: 5 of 6", llm.Redact("tokens\n\tused:\x00 5\u202e of 6"))
	require.Len(t, []rune(llm.Redact(strings.Repeat("ä", 10_000))), llm.MaxDetail)
}

func FuzzRedact(f *testing.F) {
	f.Add("Incorrect API key provided: sk-abc", "sk-abc")
	f.Add("\xff\xfe", "")
	f.Fuzz(func(t *testing.T, text, secret string) {
		out := llm.Redact(text, secret)
		require.LessOrEqual(t, len([]rune(out)), llm.MaxDetail)
		require.NotContains(t, out, "\n")
	})
}

func TestDiscover(t *testing.T) {
	t.Parallel()
	lists := map[string][]string{
		"http://box:9000/v1":        {"text-embedding-3", "one", "two", "three", "four"},
		"http://127.0.0.1:11434/v1": {"qwen3:8b"},
		"http://127.0.0.1:12345/v1": {},
	}
	list := func(_ context.Context, base string, _ secret.Text) ([]string, error) {
		names, ok := lists[base]
		if !ok {
			return nil, errors.New("connection refused")
		}
		return names, nil
	}
	nobody := func(context.Context, string, secret.Text) ([]string, error) {
		return nil, errors.New("connection refused")
	}
	tests := map[string]struct {
		env    map[string]string
		list   llm.Lister
		models []string
		found  []string
	}{
		"nothing":         {nil, nobody, nil, nil},
		"local ollama":    {nil, list, []string{"ollama/qwen3:8b"}, []string{"ollama: models qwen3:8b"}},
		"openai":          {map[string]string{"OPENAI_API_KEY": "k"}, nobody, []string{"openai/gpt-4.1-mini"}, []string{"OPENAI_API_KEY: one model"}},
		"other endpoint":  {map[string]string{"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "http://box:9000/v1", "OLLAMA_HOST": "0.0.0.0:12345"}, list, []string{"openai/one", "openai/two", "openai/three"}, []string{"OPENAI_API_KEY: models", "ollama: the endpoint is there, but"}},
		"endpoint down":   {map[string]string{"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "http://off/v1"}, nobody, nil, []string{"OPENAI_API_KEY: the endpoint does not list"}},
		"wrong addresses": {map[string]string{"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "off", "OLLAMA_HOST": "gopher://c"}, nobody, nil, []string{"OPENAI_API_KEY: OPENAI_BASE_URL is not", "ollama: OLLAMA_HOST is"}},
		"others":          {map[string]string{"OPENROUTER_API_KEY": "k", "ANTHROPIC_API_KEY": "k"}, nobody, []string{"openrouter/openai/gpt-4.1-mini", "openrouter/google/gemini-2.5-flash", "openrouter/anthropic/claude-sonnet-4"}, []string{"OPENROUTER_API_KEY: three", "ANTHROPIC_API_KEY: found, but"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := llm.Discover(t.Context(), func(v string) string { return tt.env[v] }, tt.list)
			var models []string
			for _, m := range d.Models {
				models = append(models, m.Name)
			}
			require.Equal(t, tt.models, models)
			require.Len(t, d.Found, len(tt.found))
			for i, f := range d.Found {
				require.True(t, strings.HasPrefix(f.Source+": "+f.Detail, tt.found[i]), "%s: %s", f.Source, f.Detail)
			}
			require.NotContains(t, fmt.Sprintf("%+v", d), `"k"`)
		})
	}
}
