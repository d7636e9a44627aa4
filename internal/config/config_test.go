package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"witan.dev/internal/config"
)

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "witan.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestDefaultsAreValid(t *testing.T) {
	t.Parallel()
	c, err := config.Load(config.Source{})
	require.NoError(t, err)
	require.Equal(t, config.Default(), c)
}

func TestFlagsBeatTheEnvironmentAndThatTheFile(t *testing.T) {
	t.Parallel()
	set := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	set.String("http-addr", "127.0.0.1:1", "")
	set.String("grpc-addr", "127.0.0.1:2", "")
	set.String("unrelated", "x", "")
	require.NoError(t, set.Parse([]string{"--http-addr", "127.0.0.1:30"}))
	c, err := config.Load(config.Source{
		File:    file(t, "http_addr: 127.0.0.1:10\ngrpc_addr: 127.0.0.1:11\ndrain: 3s\nlog: {level: debug}\n"),
		Environ: []string{"WITAN_HTTP_ADDR=127.0.0.1:20", "WITAN_GRPC_ADDR=127.0.0.1:21", "WITAN_WORKERS_COUNCIL=7", "OTHER=1"},
		Flags:   set,
	})
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:30", c.HTTPAddr)
	require.Equal(t, "127.0.0.1:21", c.GRPCAddr)
	require.Equal(t, 3*time.Second, c.Drain)
	require.Equal(t, "debug", c.Log.Level)
	require.Equal(t, 7, c.Workers.Council)
}

func TestUnknownKeysAndWrongValuesAreReportedTogether(t *testing.T) {
	t.Parallel()
	_, err := config.Load(config.Source{
		File:    file(t, "datta: x\nlog: {lvl: info, format: loud}\nmodels: [{name: a, provider: openai, modell: b}]\n"),
		Environ: []string{"WITAN_HTP_ADDR=127.0.0.1:20"},
	})
	for _, key := range []string{"datta", "log.lvl", "log.format", "models[0].modell", "WITAN_HTP_ADDR"} {
		require.ErrorContains(t, err, key)
	}
	_, err = config.Load(config.Source{File: file(t, "drain: soon\n")})
	require.ErrorContains(t, err, "drain")

	_, err = config.Load(config.Source{File: file(t, `
http_addr: 0.0.0.0:80
log: {level: loud}
workers: {council: 0}
models:
  - {name: a, provider: openai, base_url: "ftp://x"}
  - {name: a, provider: nobody}
councils:
  - {members: [a]}
`)})
	for _, key := range []string{"http_addr", "log.level", "workers.council", "models[0].base_url", "models[1].name", "models[1].provider", "councils[0].name"} {
		require.ErrorContains(t, err, key)
	}
}

func TestKeysComeFromFilesAndVariablesAndNeverShow(t *testing.T) {
	t.Parallel()
	key := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(key, []byte("from-the-file\n"), 0o600))
	c, err := config.Load(config.Source{
		File:    file(t, fmt.Sprintf("models:\n  - {name: a, provider: openai, api_key_file: %q}\n  - {name: b, provider: openai, api_key_env: SOME_KEY}\n", key)),
		Environ: []string{"SOME_KEY=from-the-environment"},
	})
	require.NoError(t, err)
	require.Equal(t, "from-the-file", c.Models[0].APIKey.Reveal())
	require.Equal(t, "from-the-environment", c.Models[1].APIKey.Reveal())
	require.Equal(t, "a", c.Models[0].Model, "without a provider's name, the own one is used")
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", c, c, c), "from-the")

	_, err = config.Load(config.Source{File: file(t, "models:\n  - {name: b, provider: openai, api_key_env: SOME_KEY}\n")})
	require.ErrorContains(t, err, "SOME_KEY")
}

func TestTheExampleFileListsEveryKey(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "..", "docs", "witan.example.yaml")
	raw, err := os.ReadFile(path) //nolint:gosec // a fixed path of this project
	require.NoError(t, err)
	for _, name := range config.Variables() {
		require.Contains(t, string(raw), name, "docs/witan.example.yaml names the variable of each key")
	}
	environ := []string{"EXAMPLE_API_KEY=k"}
	c, err := config.Load(config.Source{File: path, Environ: environ})
	require.NoError(t, err)
	want := config.Default()
	want.Models, want.Councils, want.Data = c.Models, c.Councils, c.Data
	require.Equal(t, want, c, "the example shows the defaults")
}

func FuzzLoad(f *testing.F) {
	f.Add("models: [{name: a, provider: simulated}]")
	f.Add("a: &a [*a]")
	f.Add(strings.Repeat("[", 300))
	f.Fuzz(func(t *testing.T, text string) {
		path := file(t, text)
		if c, err := config.Load(config.Source{File: path}); err == nil {
			require.NoError(t, c.Validate())
		}
	})
}
