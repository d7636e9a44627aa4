// Package simulated is a model without a model: deterministic in its script's seed and in the prompt. It answers in the form
// that is asked for, judges by a hidden quality that it gives to its own answers, and fails as its script says. Everything
// that it writes freely is marked as simulated. It is used only where it is named.
package simulated

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"witan.dev/internal/llm"
)

// Model is one simulated model in this process. Safe for concurrent use.
type Model struct {
	info   llm.Info
	engine *Engine
}

var _ llm.Model = (*Model)(nil)

// New makes a model that asks engine; several models may share one.
func New(info llm.Info, engine *Engine) *Model {
	info.JSONSchema, info.JSONObject, info.Streaming, info.IdempotencyKeys = true, true, true, false
	return &Model{info: info, engine: engine}
}

// Adapter makes models. Those with the same script share one engine. Safe for concurrent use.
type Adapter struct {
	mu      sync.Mutex
	engines map[string]*Engine
}

// NewAdapter makes an adapter.
func NewAdapter() *Adapter { return &Adapter{engines: map[string]*Engine{}} }

// Model makes a model; it is an llm.Provider. The script is read when its path is first seen.
func (a *Adapter) Model(cfg llm.Config, info llm.Info) (llm.Model, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	engine := a.engines[cfg.Script]
	if engine == nil {
		script := &Script{}
		if cfg.Script != "" {
			var err error
			if script, err = ReadScript(cfg.Script); err != nil {
				return nil, err
			}
		}
		engine = NewEngine(script)
		a.engines[cfg.Script] = engine
	}
	if info.Source == llm.SourceAssumed { // nothing is to be assumed of a model that is made here
		info.ContextTokens, info.MaxOutputTokens, info.Source = 32_768, 4_096, llm.SourceKnown
	}
	return New(info, engine), nil
}

// Info describes the model.
func (m *Model) Info() llm.Info { return m.info }

// Generate makes one call.
func (m *Model) Generate(ctx context.Context, req llm.Request, sink func(string) error) (llm.Response, error) {
	call := Call{
		Model: m.info.Name, Stage: req.Stage, Member: req.Member,
		System: req.System, Messages: req.Messages, MaxOutputTokens: req.MaxOutputTokens,
	}
	if req.Schema != nil {
		call.SchemaName, call.Schema = req.Schema.Name, req.Schema.JSON
	}
	plan, err := m.engine.Decide(call)
	if err != nil {
		return llm.Response{}, &llm.Error{Class: llm.ClassInvalidRequest, Detail: llm.Redact(err.Error()), Err: err}
	}
	if err := Wait(ctx, plan.FirstToken); err != nil {
		return llm.Response{}, err
	}
	if err := plan.failure(); err != nil {
		return llm.Response{}, err
	}
	if plan.Fault == FaultHang {
		<-ctx.Done()
		return llm.Response{}, llm.Interrupted(ctx)
	}
	return plan.speak(ctx, sink)
}

// Pause is how long to wait before each chunk but the first.
func (p Plan) Pause() time.Duration {
	if len(p.Chunks) < 2 {
		return 0
	}
	return (p.Latency - p.FirstToken) / time.Duration(len(p.Chunks)-1)
}

// speak gives the text in its chunks and ends it as planned.
func (p Plan) speak(ctx context.Context, sink func(string) error) (llm.Response, error) {
	resp := llm.Response{}
	for i, chunk := range p.Chunks {
		if i > 0 {
			if err := Wait(ctx, p.Pause()); err != nil {
				return resp, err
			}
		}
		resp.Text += chunk
		if sink == nil {
			continue
		}
		if err := sink(chunk); err != nil {
			return resp, &llm.Error{Class: llm.ClassCancelled, Detail: llm.Redact("the receiver of the text gave up: " + err.Error()), Err: err}
		}
	}
	if len(p.Chunks) < 2 {
		if err := Wait(ctx, p.Latency-p.FirstToken); err != nil {
			return resp, err
		}
	}
	if p.Fault == FaultCut || p.Fault == FaultNoEnd {
		return resp, llm.Check(resp) // without a finish
	}
	resp.Finish, resp.RawFinish = p.Finish, string(p.Finish)
	if p.Usage != nil {
		resp.Usage = llm.Usage{
			InputTokens: p.Usage.Input, OutputTokens: p.Usage.Output,
			CachedTokens: p.Usage.Cached, ReasoningTokens: p.Usage.Reasoning, Reported: true,
		}
	}
	return resp, llm.Check(resp)
}

// failure is the error of a call that gives no text at all, as an adapter would see it.
func (p Plan) failure() error {
	switch {
	case p.Status != 0:
		e := &llm.Error{Class: llm.ClassProvider, HTTPStatus: p.Status, RetryAfter: p.RetryAfter, Detail: llm.Redact(p.Words())}
		switch {
		case p.Status == http.StatusTooManyRequests:
			e.Class = llm.ClassRateLimit
		case p.Status == http.StatusUnauthorized, p.Status == http.StatusForbidden:
			e.Class = llm.ClassAuth
		case p.Status == http.StatusRequestTimeout:
			e.Class = llm.ClassTimeout
		case p.Status < http.StatusInternalServerError:
			e.Class = llm.ClassInvalidRequest
		}
		return e
	case p.Fault == FaultHTML, p.Fault == FaultMalformed:
		return &llm.Error{Class: llm.ClassProvider, Detail: fmt.Sprintf("[simulated] the answer is not valid JSON (%s)", p.Fault)}
	}
	return nil
}

// Words are what a failure says.
func (p Plan) Words() string {
	if p.Message != "" {
		return p.Message
	}
	return fmt.Sprintf("[simulated] the script asks for status %d", p.Status)
}

// Wait waits for d or for the end of ctx, whose *llm.Error it then returns.
func Wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		if e := llm.Interrupted(ctx); e != nil {
			return e
		}
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return llm.Interrupted(ctx)
	}
}
