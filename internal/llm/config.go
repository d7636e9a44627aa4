package llm

import (
	"errors"
	"fmt"

	"witan.dev/internal/secret"
)

// Config is one configured model.
type Config struct {
	// Name is unique. Provider is the name of an adapter.
	Name, Provider string
	// BaseURL is where the provider answers; empty: its own address.
	BaseURL string
	// Model is the provider's name of it; empty: Name.
	Model  string
	APIKey secret.Text
	// ContextTokens and MaxOutputTokens override what is known of the model; 0: known or assumed.
	ContextTokens, MaxOutputTokens int
	// JSONSchema, JSONObject and Streaming override what is known of the model; nil: known or assumed. Streaming is assumed.
	JSONSchema, JSONObject, Streaming *bool
	Price                             *Price
	// Script is the path of the simulator's script; for provider simulated only.
	Script string
}

// info resolves the capabilities: configured, else known, else assumed.
func (c Config) info() Info {
	name := c.Model
	if name == "" {
		name = c.Name
	}
	k, ok := lookup(name)
	source := SourceAssumed
	if ok {
		source = SourceKnown
	}
	if c.ContextTokens > 0 || c.MaxOutputTokens > 0 || c.JSONSchema != nil || c.JSONObject != nil || c.Streaming != nil {
		source = SourceConfig
	}
	window := positive(c.ContextTokens, k.context)
	return Info{
		Name: c.Name, Provider: c.Provider, Model: name, Endpoint: c.BaseURL,
		ContextTokens: window, MaxOutputTokens: min(positive(c.MaxOutputTokens, k.output), window),
		JSONSchema: either(c.JSONSchema, k.schema), JSONObject: either(c.JSONObject, k.object), Streaming: either(c.Streaming, true),
		FixedTemperature: k.fixedTemperature, Price: c.Price, Source: source,
	}
}

// validate reports everything that is wrong with one model.
func (c Config) validate() error {
	var errs []error
	if c.Name == "" {
		errs = append(errs, errors.New("a model without a name"))
	}
	if c.ContextTokens < 0 || c.MaxOutputTokens < 0 {
		errs = append(errs, fmt.Errorf("model %q: limits are not negative", c.Name))
	}
	if p := c.Price; p != nil && (p.InputPerMillion < 0 || p.OutputPerMillion < 0 || len(p.Currency) != 3) {
		errs = append(errs, fmt.Errorf("model %q: prices are not negative and the currency is an ISO 4217 code", c.Name))
	}
	return errors.Join(errs...)
}

func positive(n, otherwise int) int {
	if n > 0 {
		return n
	}
	return otherwise
}

func either(set *bool, otherwise bool) bool {
	if set != nil {
		return *set
	}
	return otherwise
}
