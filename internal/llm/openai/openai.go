// Package openai speaks to every provider that answers OpenAI's chat completions, by the vendor's SDK with its retries off.
// It translates and nothing else.
package openai

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/ssestream"

	"witan.dev/internal/llm"
	"witan.dev/internal/secret"
)

const (
	// DefaultBaseURL is asked where none is configured.
	DefaultBaseURL = "https://api.openai.com/v1"

	maxText  = 1 << 20  // an answer; a council takes 128 KiB of it
	maxBody  = 32 << 20 // of the wire: a stream spends a few hundred bytes on each token
	maxError = 64 << 10
)

// Model is one model behind an OpenAI-compatible endpoint. Safe for concurrent use.
type Model struct {
	info   llm.Info
	key    secret.Text
	quirks quirks
	chat   sdk.ChatCompletionService
}

var _ llm.Model = (*Model)(nil)

// Adapter makes models that share their connections. Safe for concurrent use.
type Adapter struct{ client *http.Client }

// NewAdapter makes an adapter.
func NewAdapter() *Adapter {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return newAdapter(&http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, ForceAttemptHTTP2: true,
		TLSHandshakeTimeout: 10 * time.Second, MaxIdleConnsPerHost: 64, IdleConnTimeout: 30 * time.Second,
		MaxResponseHeaderBytes: 1 << 20,
	})
}

// newAdapter follows no redirect: a prompt goes where it was sent to, or nowhere.
func newAdapter(transport http.RoundTripper) *Adapter {
	return &Adapter{&http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close gives idle connections up. Calls under way go on.
func (a *Adapter) Close() { a.client.CloseIdleConnections() }

// Model makes a model; it is an llm.Provider. It reads no environment and makes no call. A missing key is allowed where a
// base URL is named, for endpoints on this machine.
func (a *Adapter) Model(cfg llm.Config, info llm.Info) (llm.Model, error) {
	base := cfg.BaseURL
	if base == "" {
		base = DefaultBaseURL
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil {
		return nil, errors.New("the base URL is not an http or https URL without credentials")
	}
	if cfg.APIKey.IsZero() && cfg.BaseURL == "" {
		return nil, errors.New("no API key")
	}
	info.Endpoint = base
	m := &Model{info: info, key: cfg.APIKey, quirks: quirksOf(u.Hostname())}
	// The service is made without the SDK's client, which would let OPENAI_* variables add keys, organisations and
	// headers to calls that are meant for another endpoint.
	options := []option.RequestOption{
		option.WithBaseURL(base), option.WithMaxRetries(0), option.WithMiddleware(m.answer),
		option.WithHTTPClient(a.client),
	}
	if !cfg.APIKey.IsZero() {
		options = append(options, option.WithAPIKey(cfg.APIKey.Reveal()))
	}
	m.chat = sdk.NewChatCompletionService(options...)
	return m, nil
}

// Info describes the model.
func (m *Model) Info() llm.Info { return m.info }

// Generate makes one call.
func (m *Model) Generate(ctx context.Context, req llm.Request, sink func(string) error) (llm.Response, error) {
	params, err := m.params(req)
	if err != nil {
		return llm.Response{}, err
	}
	if sink == nil {
		sink = func(string) error { return nil }
	}
	a := &answer{key: m.key, sink: sink}
	if err := m.exchange(ctx, req, params, a); err != nil {
		return a.response(), a.failure(ctx, err)
	}
	resp := a.response()
	return resp, llm.Check(resp)
}

func (m *Model) exchange(ctx context.Context, req llm.Request, params sdk.ChatCompletionNewParams, a *answer) error {
	var raw *http.Response
	options := []option.RequestOption{option.WithResponseBodyInto(&raw)}
	if req.IdempotencyKey != "" {
		options = append(options, option.WithHeader("Idempotency-Key", req.IdempotencyKey))
	}
	if m.info.Streaming {
		options = append(options, option.WithJSONSet("stream", true), option.WithHeader("Accept", "text/event-stream"))
	}
	if _, err := m.chat.New(ctx, params, options...); err != nil {
		return err
	}
	a.begun = true
	a.requestID = first(raw.Header, "X-Request-Id", "Request-Id", "Apim-Request-Id")
	switch kind := mediaType(raw.Header); {
	case kind == "application/json" || strings.HasSuffix(kind, "+json"):
		return a.whole(raw.Body) // also where a stream was asked for: some servers cannot
	case m.info.Streaming && (kind == "text/event-stream" || kind == ""):
		end := &endMark{Decoder: ssestream.NewDecoder(raw)}
		return a.stream(ssestream.NewStream[sdk.ChatCompletionChunk](end, nil), end)
	default:
		return a.unexpected(raw.Body, kind)
	}
}

// endMark notices the mark that ends a stream; the SDK takes a stream without one for complete.
type endMark struct {
	ssestream.Decoder
	seen bool
}

// Next reads the next event.
func (e *endMark) Next() bool {
	ok := e.Decoder.Next()
	if ok && bytes.HasPrefix(e.Event().Data, []byte("[DONE]")) {
		e.seen = true
	}
	return ok
}
