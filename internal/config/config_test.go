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

func TestADurationHasAUnit(t *testing.T) {
	t.Parallel()
	for key, s := range map[string]config.Source{
		"reviews.debounce":          {File: file(t, "reviews: {debounce: 20}\n")},
		"liveness.beat":             {File: file(t, "liveness: {beat: 2.5}\n")},
		"retention.kinds[delivery]": {File: file(t, "retention: {kinds: {delivery: 3600000000000}}\n")},
		"reviews.patience":          {Environ: []string{"WITAN_REVIEWS_PATIENCE=7200"}},
	} {
		_, err := config.Load(s)
		require.ErrorContains(t, err, key)
		require.ErrorContains(t, err, "needs a unit, such as")
	}
	c, err := config.Load(config.Source{File: file(t, "reviews: {debounce: 0, debounce_max: 1m30s, patience: }\n")})
	require.NoError(t, err)
	require.Equal(t, []time.Duration{0, 90 * time.Second, 2 * time.Hour},
		[]time.Duration{c.Reviews.Debounce, c.Reviews.DebounceMax, c.Reviews.Patience})
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

func TestAServerWithoutAuthenticationServesLoopbackOnly(t *testing.T) {
	t.Parallel()
	hash := strings.Repeat("ab", 32)
	for _, address := range []string{"0.0.0.0:7400", ":7400", "10.0.0.1:7400", "[::]:7400", "example.org:7400"} {
		open := fmt.Sprintf("grpc_addr: %q\nhttp_addr: %q\n", address, address)
		_, err := config.Load(config.Source{File: file(t, open)})
		for _, text := range []string{"grpc_addr", "http_addr", "auth.tokens_file", "witan token new"} {
			require.ErrorContains(t, err, text)
		}
		for _, known := range []string{"auth: {tokens_file: t}", "auth: {service_token_file: t}", "auth: {tokens: [{owner: ada, sha256: " + hash + "}]}"} {
			_, err := config.Load(config.Source{File: file(t, open+known+"\n")})
			require.NoError(t, err, known)
		}
	}
	for _, address := range []string{"127.0.0.1:0", "localhost:0", "[::1]:0"} {
		_, err := config.Load(config.Source{File: file(t, fmt.Sprintf("grpc_addr: %q\n", address))})
		require.NoError(t, err)
	}
}

func TestURLsComeFromFilesAndVariablesAndNeverShow(t *testing.T) {
	t.Parallel()
	const database, redis = "postgres://ada:sesame@db/witan", "redis://:sesame@redis:6379/0" //nolint:gosec // what must not show
	stored := filepath.Join(t.TempDir(), "redis")
	require.NoError(t, os.WriteFile(stored, []byte(redis+"\n"), 0o600))
	c, err := config.Load(config.Source{
		File: file(t, fmt.Sprintf("redis_file: %q\nqdrant: http://q:6334\nservices: {council: [\"a:1\", \"b:2\"]}\n", stored)), Environ: []string{"WITAN_DATABASE=" + database},
	})
	require.NoError(t, err)
	require.Equal(t, database, c.Database.Reveal())
	require.Equal(t, redis, c.Redis.Reveal())
	require.Equal(t, map[string][]string{"council": {"a:1", "b:2"}}, c.Services)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", c, c, c), "sesame")

	for name, source := range map[string]config.Source{
		"database":      {File: file(t, "database: "+database+"\n")},
		"redis":         {File: file(t, "redis: "+redis+"\n"), Environ: []string{"WITAN_REDIS=redis://x"}},
		"redis_file":    {File: file(t, "redis_file: /nowhere/at-all\n")},
		"excludes":      {File: file(t, fmt.Sprintf("redis: redis://x\nredis_file: %q\n", stored))},
		"postgres":      {Environ: []string{"WITAN_DATABASE=mysql://ada:sesame@db/witan"}},
		"database: is":  {Environ: []string{"WITAN_DATABASE=postgres://ada:sesame@%zz/witan"}},
		"token_file":    {File: file(t, "token: sesame\n")},
		"redis: is not": {Environ: []string{"WITAN_REDIS=sesame"}},
	} {
		_, err := config.Load(source)
		require.ErrorContains(t, err, name)
		require.NotContains(t, err.Error(), "sesame")
	}
}

func TestPathsOfAFileAreRelativeToItsFolder(t *testing.T) {
	t.Parallel()
	path := file(t, `
data: ./kept
tls: {ca_file: ca.pem}
webhooks: {github: {secrets_file: below/hook.secret}}
github: {cache: /srv/cache}
models: [{name: a, provider: simulated, script: script.json}]
councils: [{name: default, data: x}]
`)
	folder := filepath.Dir(path)
	c, err := config.Load(config.Source{File: path, Environ: []string{"WITAN_AUTH_TOKENS_FILE=tokens"}})
	require.NoError(t, err)
	require.Equal(t, filepath.Join(folder, "kept"), c.Data)
	require.Equal(t, filepath.Join(folder, "ca.pem"), c.TLS.CAFile)
	require.Equal(t, filepath.Join(folder, "below", "hook.secret"), c.Webhooks.GitHub.SecretsFile)
	require.Equal(t, "/srv/cache", c.GitHub.Cache)
	require.Equal(t, filepath.Join(folder, "script.json"), c.Models[0].Script)
	require.Equal(t, "x", c.Councils[0]["data"])
	here, err := filepath.Abs("tokens")
	require.NoError(t, err)
	require.Equal(t, here, c.Auth.TokensFile, "what a variable names is relative to the working directory")
}

func TestAKeyThatIsMissingIsNamedWithItsWholePathToThoseWhoNeedIt(t *testing.T) {
	t.Parallel()
	path := file(t, "github: {app_id: 7, private_key_file: keys/app.pem, token_file: \"\"}\n")
	_, err := config.Load(config.Source{File: path})
	require.ErrorContains(t, err, "github.private_key_file: open "+filepath.Join(filepath.Dir(path), "keys", "app.pem"))
	c, err := config.Load(config.Source{File: path, NoGitHub: true})
	require.NoError(t, err, "who asks GitHub for nothing needs no key")
	require.Equal(t, int64(7), c.GitHub.AppID)
}

func TestNetworkAndTimesAreCheckedTogether(t *testing.T) {
	t.Parallel()
	_, err := config.Load(config.Source{File: file(t, `
qdrant: http://key@q:6334
services: {councils: ["a:1"], review: [], jobs: ["a", "a:0", "http://a:1"]}
tls: {cert_file: c, client_ca_file: d}
auth: {tokens: [{owner: Ada, sha256: ab}, {owner: ada, sha256: sesame}]}
liveness: {beat: 3s, sweep: 0s}
retention: {history: 0s}
streams: {heartbeat: 20s, max_age: 0s, grace: 1h}
`)})
	for _, key := range []string{
		"qdrant", "services.councils", "services.review", "services.jobs[0]", "services.jobs[1]", "services.jobs[2]", "tls: ",
		"auth.tokens[0]", "auth.tokens[1]", "liveness.ttl", "liveness.sweep", "retention.history",
		"streams.heartbeat", "streams.max_age", "streams.grace",
	} {
		require.ErrorContains(t, err, key)
	}
	require.NotContains(t, err.Error(), "sesame")
	_, err = config.Load(config.Source{File: file(t, "tls: {client_ca_file: d}\n")})
	require.ErrorContains(t, err, "tls.client_ca_file")
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

func TestHistoriesOfSomeKindsAreKeptForOtherTimes(t *testing.T) {
	t.Parallel()
	c, err := config.Load(config.Source{File: file(t, "retention: {history: 1h, kinds: {review: 2160h}}\n")})
	require.NoError(t, err)
	require.Equal(t, time.Hour, c.Retention.History)
	require.Equal(t, map[string]time.Duration{"review": 2160 * time.Hour}, c.Retention.Kinds)
	_, err = config.Load(config.Source{File: file(t, "retention: {kinds: {reviews: 1h, index: 1ms}}\n")})
	require.ErrorContains(t, err, "retention.kinds.reviews: is none of")
	require.ErrorContains(t, err, "retention.kinds.index: 1ms is not between")
}
