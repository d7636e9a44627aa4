package llm

import (
	"context"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"witan.dev/internal/secret"
)

const (
	localDeadline  = 300 * time.Millisecond // a local server answers at once or is not there
	remoteDeadline = 3 * time.Second
	maxDiscovered  = 3 // models of one endpoint
	ollamaContext  = 4_096
)

// Lister lists the models of an OpenAI-compatible endpoint.
type Lister func(ctx context.Context, baseURL string, key secret.Text) ([]string, error)

// Found is one place where models were looked for.
type Found struct {
	// Source is a variable's name or "ollama".
	Source string
	// Detail says what was found, or what is missing and how to mend it.
	Detail string
	// Models are usable as they are; empty where the source was found and cannot be used.
	Models []Config
}

// Discovery is what the environment offers.
type Discovery struct {
	// Models of all sources, in the order of the sources.
	Models []Config
	Found  []Found
}

// Discover looks for models where none are configured: OPENAI_API_KEY (with OPENAI_BASE_URL), OPENROUTER_API_KEY, an Ollama
// on this machine (OLLAMA_HOST), and ANTHROPIC_API_KEY, which is reported but not supported yet. env looks variables up.
// Endpoints that are not the vendors' own are asked for their models, within 3 seconds, a local Ollama within 0.3.
func Discover(ctx context.Context, env func(string) string, list Lister) Discovery {
	var d Discovery
	for _, look := range []func(context.Context, func(string) string, Lister) (Found, bool){openAI, openRouter, ollama, anthropic} {
		found, ok := look(ctx, env, list)
		if !ok {
			continue
		}
		d.Found = append(d.Found, found)
		d.Models = append(d.Models, found.Models...)
	}
	return d
}

func openAI(ctx context.Context, env func(string) string, list Lister) (Found, bool) {
	f := Found{Source: "OPENAI_API_KEY"}
	key := secret.New(strings.TrimSpace(env("OPENAI_API_KEY")))
	base := strings.TrimSpace(env("OPENAI_BASE_URL"))
	if key.IsZero() {
		return f, false
	}
	if base == "" {
		f.Models = []Config{{Name: "openai/gpt-4.1-mini", Provider: "openai", Model: "gpt-4.1-mini", APIKey: key}}
		f.Detail = "one model, gpt-4.1-mini, in several seats"
		return f, true
	}
	if !webURL(base) {
		f.Detail = "OPENAI_BASE_URL is not an http or https URL without credentials"
		return f, true
	}
	ctx, cancel := context.WithTimeout(ctx, remoteDeadline)
	defer cancel()
	names, err := list(ctx, base, key)
	f.Detail, f.Models = listed(names, err, func(name string) Config {
		return Config{Name: "openai/" + name, Provider: "openai", BaseURL: base, Model: name, APIKey: key}
	})
	return f, true
}

func openRouter(_ context.Context, env func(string) string, _ Lister) (Found, bool) {
	f := Found{Source: "OPENROUTER_API_KEY"}
	key := secret.New(strings.TrimSpace(env("OPENROUTER_API_KEY")))
	if key.IsZero() {
		return f, false
	}
	for _, name := range []string{"openai/gpt-4.1-mini", "google/gemini-2.5-flash", "anthropic/claude-sonnet-4"} {
		f.Models = append(f.Models, Config{
			Name: "openrouter/" + name, Provider: "openai", BaseURL: "https://openrouter.ai/api/v1", Model: name, APIKey: key,
		})
	}
	f.Detail = "three models of three vendors"
	return f, true
}

func ollama(ctx context.Context, env func(string) string, list Lister) (Found, bool) {
	base, ok := ollamaURL(strings.TrimSpace(env("OLLAMA_HOST")))
	if !ok {
		return Found{Source: "ollama", Detail: "OLLAMA_HOST is neither host:port nor a URL"}, true
	}
	ctx, cancel := context.WithTimeout(ctx, localDeadline)
	defer cancel()
	names, err := list(ctx, base, secret.Text{})
	if err != nil && env("OLLAMA_HOST") == "" {
		return Found{}, false // nobody spoke of it
	}
	window, yes := ollamaContext, true
	if n, err := strconv.Atoi(env("OLLAMA_CONTEXT_LENGTH")); err == nil && n > 0 {
		window = n
	}
	f := Found{Source: "ollama"}
	f.Detail, f.Models = listed(names, err, func(name string) Config {
		return Config{Name: "ollama/" + name, Provider: "openai", BaseURL: base, Model: name, ContextTokens: window, JSONSchema: &yes}
	})
	return f, true
}

func anthropic(_ context.Context, env func(string) string, _ Lister) (Found, bool) {
	return Found{
		Source: "ANTHROPIC_API_KEY",
		Detail: "found, but this version does not speak Anthropic's API; OPENROUTER_API_KEY reaches the same models",
	}, strings.TrimSpace(env("ANTHROPIC_API_KEY")) != ""
}

// notChat are names of models that do something else than answer.
var notChat = regexp.MustCompile(`(?i)embed|whisper|tts|dall-e|image|moderation|rerank|transcribe|audio|realtime|sora|clip|davinci|babbage`)

func listed(names []string, err error, config func(name string) Config) (detail string, models []Config) {
	if err != nil {
		return Redact("the endpoint does not list its models: " + err.Error()), nil
	}
	for _, name := range names {
		if name != "" && len(name) <= 200 && !notChat.MatchString(name) && len(models) < maxDiscovered {
			models = append(models, config(name))
		}
	}
	if len(models) == 0 {
		return "the endpoint is there, but offers no model that answers", nil
	}
	offered := make([]string, len(models))
	for i, m := range models {
		offered[i] = m.Model
	}
	return Redact("models " + strings.Join(offered, ", ")), models
}

func ollamaURL(host string) (base string, ok bool) {
	if host == "" {
		return "http://127.0.0.1:11434/v1", true
	}
	if !strings.Contains(host, "://") {
		host = "http://" + host
	}
	u, err := url.Parse(host)
	if err != nil || !webURL(host) {
		return "", false
	}
	name, port := u.Hostname(), u.Port()
	if name == "0.0.0.0" || name == "::" {
		name = "127.0.0.1" // where it listens is not where it is asked
	}
	if port == "" {
		port = "11434"
	}
	return u.Scheme + "://" + net.JoinHostPort(name, port) + "/v1", true
}

func webURL(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && u.Hostname() != "" && (u.Scheme == "http" || u.Scheme == "https") && u.User == nil
}
