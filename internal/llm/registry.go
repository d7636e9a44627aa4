package llm

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Provider makes a model of an adapter. info is resolved from cfg and from what is known of the model.
type Provider func(cfg Config, info Info) (Model, error)

// RegistryParams is what a registry is built from.
type RegistryParams struct {
	Configs []Config
	// Providers are the adapters by the name that Config.Provider uses.
	Providers map[string]Provider
	// Wrap is put around each model, outside of breaker, limiter and clocks; for metrics. May be nil.
	Wrap func(Model) Model
	// Now is the clock of breaker and limiter; nil: time.Now.
	Now func() time.Time
}

// Registry holds the configured models, in the order of the configuration. It does not change. Safe for concurrent use.
type Registry struct {
	models []Model
	byName map[string]Model
}

// NewRegistry makes all models, each within its clocks, its provider's limiter and its circuit breaker. All problems are
// reported together.
func NewRegistry(p RegistryParams) (*Registry, error) {
	if p.Now == nil {
		p.Now = time.Now
	}
	r := &Registry{byName: map[string]Model{}}
	limiters := map[string]*Limiter{}
	breakers := map[string]*Breaker{}
	var errs []error
	for _, cfg := range p.Configs {
		m, err := p.build(cfg, r.byName)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		info := m.Info()
		provider := info.Provider + " " + info.Endpoint
		if limiters[provider] == nil {
			limiters[provider] = NewLimiter(p.Now)
		}
		if breakers[provider+" "+info.Model] == nil {
			breakers[provider+" "+info.Model] = NewBreaker(p.Now)
		}
		m = breakers[provider+" "+info.Model].Wrap(limiters[provider].Wrap(WithClocks(m)))
		if p.Wrap != nil {
			m = p.Wrap(m)
		}
		r.models = append(r.models, m)
		r.byName[cfg.Name] = m
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("models: %w", err)
	}
	return r, nil
}

func (p RegistryParams) build(cfg Config, taken map[string]Model) (Model, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if taken[cfg.Name] != nil {
		return nil, fmt.Errorf("model %q: the name is used twice", cfg.Name)
	}
	provider, ok := p.Providers[cfg.Provider]
	if !ok {
		return nil, fmt.Errorf("model %q: provider %q is none of %s", cfg.Name, cfg.Provider,
			strings.Join(slices.Sorted(maps.Keys(p.Providers)), ", "))
	}
	m, err := provider(cfg, cfg.info())
	if err != nil {
		return nil, fmt.Errorf("model %q: %w", cfg.Name, err)
	}
	return m, nil
}

// Model finds a model by its configured name.
func (r *Registry) Model(name string) (Model, bool) {
	m, ok := r.byName[name]
	return m, ok
}

// Models lists the models in the order of the configuration.
func (r *Registry) Models() []Model { return slices.Clone(r.models) }
