// Package config reads Witan's configuration: defaults, one YAML file, the environment and flags, in this order, into one
// struct. Keys that nobody knows and values that nothing can use are reported together, each with its key.
package config

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"witan.dev/internal/auth"
	"witan.dev/internal/secret"
)

// Config is what a process was told. It is read at start and passed down; a running job keeps what it was planned with.
type Config struct {
	// Data is the folder of the embedded system. Empty: the user's data directory.
	Data string `koanf:"data"`
	// Database, Redis and Qdrant are URLs, each of which replaces what is embedded. The first two may hold a password, but
	// not in the YAML file: it comes from the variable, or from the file that DatabaseFile or RedisFile names.
	Database     secret.Text `koanf:"database"`
	DatabaseFile string      `koanf:"database_file"`
	Redis        secret.Text `koanf:"redis"`
	RedisFile    string      `koanf:"redis_file"`
	Qdrant       string      `koanf:"qdrant"`
	// QdrantKey is what Qdrant asks for. It comes from the variable or from QdrantKeyFile.
	QdrantKey     secret.Text `koanf:"qdrant_key"`
	QdrantKeyFile string      `koanf:"qdrant_key_file"`
	// Services says where to find the services that this process does not serve itself: addresses (host:port) by name.
	Services map[string][]string `koanf:"services"`
	// GRPCAddr and HTTPAddr are where `witan serve` listens (host:port, loopback only while Auth knows no tokens).
	GRPCAddr string `koanf:"grpc_addr"`
	HTTPAddr string `koanf:"http_addr"`
	// PublicURL is how people reach the gateway's page, for links in what is shown elsewhere. Empty: there are no links.
	PublicURL string `koanf:"public_url"`
	// OperationsAddr is where this process shows /healthz, /readyz and /metrics beside what else it serves; workers and
	// services without a gateway have no other place for them. Empty: nowhere.
	OperationsAddr string `koanf:"operations_addr"`
	// TLS secures connections to this process and from it.
	TLS TLS `koanf:"tls"`
	// Auth says which callers there are.
	Auth Auth `koanf:"auth"`
	// Token is what commands show to the server that --server names. It comes from the variable or from TokenFile.
	Token     secret.Text `koanf:"token"`
	TokenFile string      `koanf:"token_file"`
	// Webhooks says which webhooks are taken, and where.
	Webhooks Webhooks `koanf:"webhooks"`
	// Log says what goes to standard error.
	Log Log `koanf:"log"`
	// Models are the models that councils may seat. Empty: what the environment offers is looked for.
	Models []Model `koanf:"models"`
	// Councils are presets. A member is a model's name or an object with the fields of council.v1.Member; a council has
	// the fields of council.v1.CouncilSpec and a name.
	Councils []map[string]any `koanf:"councils"`
	// Workers says how many jobs of a kind run at once in this process.
	Workers Workers `koanf:"workers"`
	// Context says how much code beside the change a review shows its members.
	Context Context `koanf:"context"`
	// GitHub says how GitHub is reached; without credentials there are no reviews of pull requests.
	GitHub GitHub `koanf:"github"`
	// Reviews holds the times of reviews of pull requests.
	Reviews Reviews `koanf:"reviews"`
	// Reflection switches gRPC server reflection.
	Reflection bool `koanf:"reflection"`
	// Drain is how long a stopping process lets running steps go on before it hands their jobs over.
	Drain time.Duration `koanf:"drain"`
	// MaxBody bounds a request's body in bytes, in gRPC and in REST.
	MaxBody int `koanf:"max_body"`
	// Liveness says when a worker of a cluster counts as dead.
	Liveness Liveness `koanf:"liveness"`
	// Retention says how long things are kept.
	Retention Retention `koanf:"retention"`
	// Streams holds the times of streams.
	Streams Streams `koanf:"streams"`
}

// TLS names files in PEM format. They are followed while they change.
type TLS struct {
	// CertFile and KeyFile are what this process shows: as a server, and as a client where a server asks for it.
	CertFile string `koanf:"cert_file"`
	KeyFile  string `koanf:"key_file"`
	// ClientCAFile makes the gRPC server refuse clients without a certificate of these authorities.
	ClientCAFile string `koanf:"client_ca_file"`
	// CAFile makes the clients of this process use TLS, and lists the authorities that they trust.
	CAFile string `koanf:"ca_file"`
}

// Auth says which callers there are. Without any of it, whoever reaches the process is the local owner.
type Auth struct {
	// TokensFile lists owners and the hashes of their tokens, see `witan token new`. It is followed while it changes.
	TokensFile string `koanf:"tokens_file"`
	// Tokens are entries beside those of the file.
	Tokens []Token `koanf:"tokens"`
	// ServiceTokenFile holds the secret with which the processes of a cluster call each other.
	ServiceTokenFile string `koanf:"service_token_file"`
}

// Required says whether callers without credentials are refused.
func (a Auth) Required() bool {
	return a.TokensFile != "" || len(a.Tokens) > 0 || a.ServiceTokenFile != ""
}

// Token is one token: its owner and its SHA-256 in hexadecimal digits, never the token itself.
type Token struct {
	Owner  string `koanf:"owner"`
	SHA256 string `koanf:"sha256"`
}

// Liveness says when a worker of a cluster counts as dead.
type Liveness struct {
	// Beat is how often a worker says that it lives.
	Beat time.Duration `koanf:"beat"`
	// TTL is the silence after which it counts as dead.
	TTL time.Duration `koanf:"ttl"`
	// Sweep is how often the others look for dead ones.
	Sweep time.Duration `koanf:"sweep"`
}

// Retention says how long things are kept.
type Retention struct {
	// History is how long a finished job's log stays, Kinds the same for some kinds (review, council, index, delivery).
	History time.Duration            `koanf:"history"`
	Kinds   map[string]time.Duration `koanf:"kinds"`
	// Temporary is how long a temporary conversation stays.
	Temporary time.Duration `koanf:"temporary"`
	// Deliveries is how long a webhook and what became of it stay; until then its ID is known again.
	Deliveries time.Duration `koanf:"deliveries"`
}

// Streams holds the times of streams.
type Streams struct {
	// Heartbeat is the longest silence.
	Heartbeat time.Duration `koanf:"heartbeat"`
	// MaxAge ends a stream so that proxies can drain.
	MaxAge time.Duration `koanf:"max_age"`
	// Grace is how long a viewer may not read.
	Grace time.Duration `koanf:"grace"`
}

// Webhooks says which webhooks are taken, and where.
type Webhooks struct {
	// Addr is a port of the ingest service for webhooks alone (host:port), beside the gateway's route; empty: none. It may
	// be reachable from outside without Auth: each webhook shows a signature.
	Addr string `koanf:"addr"`
	// Lease is how long a webhook stays with a process that took it and is silent.
	Lease time.Duration `koanf:"lease"`
	// GitHub are those of GitHub.
	GitHub GitHubWebhooks `koanf:"github"`
}

// GitHubWebhooks says how webhooks of GitHub are known and whose they are.
type GitHubWebhooks struct {
	// SecretsFile holds the webhook secrets, one a line, two while they are exchanged. It is followed while it changes.
	// Empty: webhooks are refused.
	SecretsFile string `koanf:"secrets_file"`
	// Owner owns what webhooks start.
	Owner string `koanf:"owner"`
}

// Log is the configuration of the process's own log.
type Log struct {
	// Level is debug, info, warn or error.
	Level string `koanf:"level"`
	// Format is text or json.
	Format string `koanf:"format"`
}

// Model is one configured model.
type Model struct {
	Name     string `koanf:"name"`
	Provider string `koanf:"provider"` // openai (any compatible base URL) or simulated
	BaseURL  string `koanf:"base_url"`
	Model    string `koanf:"model"` // the provider's name of it; default: Name
	// APIKeyFile and APIKeyEnv name where the key is; a key itself never stands in the file.
	APIKeyFile string `koanf:"api_key_file"`
	APIKeyEnv  string `koanf:"api_key_env"`
	// ContextTokens and MaxOutputTokens override what is known of the model.
	ContextTokens   int    `koanf:"context_tokens"`
	MaxOutputTokens int    `koanf:"max_output_tokens"`
	Price           *Price `koanf:"price"`
	// JSONSchema says whether the endpoint takes a JSON schema; nil: as known of the model.
	JSONSchema *bool `koanf:"json_schema"`
	// Script is the simulator's script file (provider simulated only).
	Script string `koanf:"script"`

	// APIKey is what APIKeyFile or APIKeyEnv held. Load fills it.
	APIKey secret.Text `koanf:"-"`
}

// Price is what a model costs.
type Price struct {
	InputPerMillion  float64 `koanf:"input_per_million"`
	OutputPerMillion float64 `koanf:"output_per_million"`
	Currency         string  `koanf:"currency"`
}

// Workers bounds the jobs that run at once, by kind.
type Workers struct {
	Review  int `koanf:"review"`
	Council int `koanf:"council"`
	Index   int `koanf:"index"`
	// Intake is how many deliveries are handed over at once.
	Intake int `koanf:"intake"`
}

// Context is the budget of the code that is shown beside a change.
type Context struct {
	Enabled bool `koanf:"enabled"`
	// Tokens per part of the change.
	Tokens int `koanf:"tokens"`
}

// Reviews holds the times of reviews of pull requests.
type Reviews struct {
	// Debounce is how long a review waits after a push for another one, DebounceMax how long after the first.
	Debounce    time.Duration `koanf:"debounce"`
	DebounceMax time.Duration `koanf:"debounce_max"`
	// Patience bounds how long a review waits in all for a forge that does not answer or asks for a pause.
	Patience time.Duration `koanf:"patience"`
	// CouncilPause is how long a review waits before it asks a council again that did not answer, or not in whole; the second
	// time 5 times as long, the third time 15 times.
	CouncilPause time.Duration `koanf:"council_pause"`
	// Budget caps what the council of one review takes, DayBudget those of a pull request in a day, MonthBudget those of a
	// repository in a month. A repository may set the first lower.
	Budget      Budget `koanf:"budget"`
	DayBudget   Budget `koanf:"day_budget"`
	MonthBudget Budget `koanf:"month_budget"`
}

// Budget caps tokens sent and received, and cost in millionths of the currency of the models' prices; 0: no cap.
type Budget struct {
	Tokens     int64 `koanf:"tokens"`
	CostMicros int64 `koanf:"cost_micros"`
}

// GitHub says how GitHub is reached: as an App, or with tokens. Keys and tokens come from variables or files.
type GitHub struct {
	// BaseURL is the address of an Enterprise server; empty: the public GitHub.
	BaseURL string `koanf:"base_url"`
	// AppID and PrivateKey (PEM) are the App's. Installation is for a server with a single one; 0: looked up.
	AppID          int64       `koanf:"app_id"`
	PrivateKey     secret.Text `koanf:"private_key"`
	PrivateKeyFile string      `koanf:"private_key_file"`
	Installation   int64       `koanf:"installation"`
	// Token reads, and writes where there is no WriteToken. User is the login that it writes as, where it may not ask.
	Token          secret.Text `koanf:"token"`
	TokenFile      string      `koanf:"token_file"`
	WriteToken     secret.Text `koanf:"write_token"`
	WriteTokenFile string      `koanf:"write_token_file"`
	User           string      `koanf:"user"`
	// Name is what people call us by in comments (@name), beside /witan.
	Name string `koanf:"name"`
	// Fetch is how code is fetched: git, or auto, which is the same in this version.
	Fetch string `koanf:"fetch"`
	// Cache is the folder of fetched repositories; empty: in the data folder, or a temporary one in a cluster.
	Cache string `koanf:"cache"`
	// WritePace is the shortest time between two writes of an installation, by one process.
	WritePace time.Duration `koanf:"write_pace"`
	// ListLag is how far GitHub's lists may lag behind what was written: so long is looked for what a killed process may have
	// written.
	ListLag time.Duration `koanf:"list_lag"`
}

func (r Reviews) validate(bad func(key, format string, args ...any)) {
	for key, b := range map[string]Budget{"budget": r.Budget, "day_budget": r.DayBudget, "month_budget": r.MonthBudget} {
		if b.Tokens < 0 || b.CostMicros < 0 {
			bad("reviews."+key, "a cap is below 0")
		}
	}
}

// Configured says whether there are credentials.
func (g GitHub) Configured() bool { return g.AppID != 0 || !g.Token.IsZero() }

func (g GitHub) validate(bad func(key, format string, args ...any)) {
	if g.BaseURL != "" {
		if err := webURL(g.BaseURL); err != nil {
			bad("github.base_url", "%v", err)
		}
	}
	app := g.AppID != 0 || !g.PrivateKey.IsZero()
	switch {
	case g.AppID < 0:
		bad("github.app_id", "%d is no App's number", g.AppID)
	case app && !g.Token.IsZero():
		bad("github.token", "excludes app_id: name an App or a token")
	case app && g.AppID == 0:
		bad("github.app_id", "is missing beside private_key_file")
	case app && g.PrivateKey.IsZero() && g.PrivateKeyFile == "":
		bad("github.private_key_file", "is missing beside app_id")
	case g.Token.IsZero() && !g.WriteToken.IsZero():
		bad("github.write_token", "is for use beside a token that reads")
	}
	if g.Installation < 0 || g.Installation > 0 && g.AppID == 0 {
		bad("github.installation", "%d is no installation of an App", g.Installation)
	}
	if g.Fetch != "auto" && g.Fetch != "git" {
		bad("github.fetch", "%q is neither auto nor git; fetching by the API is not supported in this version", g.Fetch)
	}
	if g.WritePace < 0 || g.WritePace > time.Minute {
		bad("github.write_pace", "%s is not between 0s and 1m", g.WritePace)
	}
}

// Default is the configuration without any file, variable or flag.
func Default() Config {
	return Config{
		GRPCAddr:  "127.0.0.1:7400",
		HTTPAddr:  "127.0.0.1:7480",
		Log:       Log{Level: "info", Format: "text"},
		Workers:   Workers{Review: 4, Council: 32, Index: 2, Intake: 16},
		Context:   Context{Enabled: true, Tokens: 2000},
		GitHub:    GitHub{Name: "witan", Fetch: "auto", WritePace: time.Second, ListLag: 15 * time.Second},
		Reviews:   Reviews{Debounce: 20 * time.Second, DebounceMax: 2 * time.Minute, Patience: 2 * time.Hour, CouncilPause: time.Minute},
		Drain:     20 * time.Second,
		MaxBody:   8 << 20,
		Liveness:  Liveness{Beat: 2 * time.Second, TTL: 6 * time.Second, Sweep: 2 * time.Second},
		Retention: Retention{History: 30 * 24 * time.Hour, Temporary: 24 * time.Hour, Deliveries: 30 * 24 * time.Hour},
		Webhooks:  Webhooks{Lease: 10 * time.Second, GitHub: GitHubWebhooks{Owner: auth.LocalOwner}},
		Streams:   Streams{Heartbeat: 15 * time.Second, MaxAge: 15 * time.Minute, Grace: 30 * time.Second},
	}
}

// Validate reports everything that is wrong, each with its key.
func (c *Config) Validate() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
	}
	c.validateNetwork(bad)
	c.validateTimes(bad)
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Log.Level)); err != nil {
		bad("log.level", "%q is none of debug, info, warn, error", c.Log.Level)
	}
	if c.Log.Format != "text" && c.Log.Format != "json" {
		bad("log.format", "%q is neither text nor json", c.Log.Format)
	}
	for key, n := range map[string]int{"review": c.Workers.Review, "council": c.Workers.Council, "index": c.Workers.Index, "intake": c.Workers.Intake} {
		if n < 1 || n > 256 {
			bad("workers."+key, "%d is not between 1 and 256", n)
		}
	}
	if c.Context.Tokens < 0 || c.Context.Tokens > 200_000 {
		bad("context.tokens", "%d is not between 0 and 200000", c.Context.Tokens)
	}
	if c.Drain < 0 || c.Drain > 10*time.Minute {
		bad("drain", "%s is not between 0s and 10m", c.Drain)
	}
	if c.MaxBody < 64<<10 || c.MaxBody > 64<<20 {
		bad("max_body", "%d is not between 64 KiB and 64 MiB", c.MaxBody)
	}
	c.GitHub.validate(bad)
	c.Reviews.validate(bad)
	c.validateModels(bad)
	c.validateCouncils(bad)
	return errors.Join(errs...)
}

func (c *Config) validateModels(bad func(key, format string, args ...any)) {
	seen := map[string]bool{}
	for i, m := range c.Models {
		key := fmt.Sprintf("models[%d]", i)
		if m.Name == "" {
			bad(key+".name", "is missing")
		}
		if seen[m.Name] {
			bad(key+".name", "%q is used twice", m.Name)
		}
		seen[m.Name] = true
		switch m.Provider {
		case "openai":
			if err := webURL(m.BaseURL); m.BaseURL != "" && err != nil {
				bad(key+".base_url", "%v", err)
			}
			if m.Script != "" {
				bad(key+".script", "is for provider simulated only")
			}
		case "simulated":
			if m.BaseURL != "" || m.APIKeyFile != "" || m.APIKeyEnv != "" {
				bad(key, "provider simulated takes neither base_url nor a key")
			}
		case "anthropic":
			bad(key+".provider", "anthropic is not supported in this version; use an OpenAI-compatible endpoint")
		default:
			bad(key+".provider", "%q is neither openai nor simulated", m.Provider)
		}
		if m.APIKeyFile != "" && m.APIKeyEnv != "" {
			bad(key, "api_key_file and api_key_env exclude each other")
		}
		if m.ContextTokens < 0 || m.MaxOutputTokens < 0 {
			bad(key, "context_tokens and max_output_tokens are not negative")
		}
		if p := m.Price; p != nil && (p.InputPerMillion < 0 || p.OutputPerMillion < 0 || len(p.Currency) != 3) {
			bad(key+".price", "prices are not negative and currency is an ISO 4217 code")
		}
	}
}

func (c *Config) validateCouncils(bad func(key, format string, args ...any)) {
	seen := map[string]bool{}
	for i, spec := range c.Councils {
		key := fmt.Sprintf("councils[%d].name", i)
		name, ok := spec["name"].(string)
		if !ok || name == "" {
			bad(key, "is missing")
			continue
		}
		if seen[name] {
			bad(key, "%q is used twice", name)
		}
		seen[name] = true
	}
}
