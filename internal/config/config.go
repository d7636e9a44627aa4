// Package config reads Witan's configuration: defaults, one YAML file, the environment and flags, in this order, into one
// struct. Keys that nobody knows and values that nothing can use are reported together, each with its key.
package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"time"

	"witan.dev/internal/secret"
)

// Config is what a process was told. It is read at start and passed down; a running job keeps what it was planned with.
type Config struct {
	// Data is the folder of the embedded system. Empty: the user's data directory.
	Data string `koanf:"data"`
	// GRPCAddr and HTTPAddr are where `witan serve` listens (host:port, loopback only while there is no authentication).
	GRPCAddr string `koanf:"grpc_addr"`
	HTTPAddr string `koanf:"http_addr"`
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
	// Reflection switches gRPC server reflection.
	Reflection bool `koanf:"reflection"`
	// Drain is how long a stopping process lets running steps go on before it hands their jobs over.
	Drain time.Duration `koanf:"drain"`
	// MaxBody bounds a request's body in bytes, in gRPC and in REST.
	MaxBody int `koanf:"max_body"`
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
}

// Context is the budget of the code that is shown beside a change.
type Context struct {
	Enabled bool `koanf:"enabled"`
	// Tokens per part of the change.
	Tokens int `koanf:"tokens"`
}

// Default is the configuration without any file, variable or flag.
func Default() Config {
	return Config{
		GRPCAddr: "127.0.0.1:7400",
		HTTPAddr: "127.0.0.1:7480",
		Log:      Log{Level: "info", Format: "text"},
		Workers:  Workers{Review: 4, Council: 32, Index: 2},
		Context:  Context{Enabled: true, Tokens: 2000},
		Drain:    20 * time.Second,
		MaxBody:  8 << 20,
	}
}

// Validate reports everything that is wrong, each with its key.
func (c *Config) Validate() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
	}
	for key, addr := range map[string]string{"grpc_addr": c.GRPCAddr, "http_addr": c.HTTPAddr} {
		if err := loopback(addr); err != nil {
			bad(key, "%v", err)
		}
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Log.Level)); err != nil {
		bad("log.level", "%q is none of debug, info, warn, error", c.Log.Level)
	}
	if c.Log.Format != "text" && c.Log.Format != "json" {
		bad("log.format", "%q is neither text nor json", c.Log.Format)
	}
	for key, n := range map[string]int{"review": c.Workers.Review, "council": c.Workers.Council, "index": c.Workers.Index} {
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

func loopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%q is not host:port", addr)
	}
	if host == "localhost" {
		return nil
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("%q is not a loopback address, and without authentication nothing else is served", addr)
	}
	return nil
}

func webURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return errors.New("is not an http or https URL")
	}
	if u.User != nil || strings.Contains(raw, "@") {
		return errors.New("holds credentials: put the key into a file or a variable")
	}
	return nil
}
