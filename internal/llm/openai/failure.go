package openai

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/openai/openai-go/v3/option"

	"witan.dev/internal/llm"
	"witan.dev/internal/secret"
)

// maxRetryAfter bounds what a provider may ask for.
const maxRetryAfter = 24 * time.Hour

var (
	errTooLong = &llm.Error{Class: llm.ClassProvider, Detail: fmt.Sprintf("the answer is longer than %d bytes", maxText)}
	errTooBig  = &llm.Error{Class: llm.ClassProvider, Detail: fmt.Sprintf("the response is larger than %d bytes", maxBody)}
)

// answer is the SDK's middleware: it bounds the body and turns a status that is no success into the port's error, with
// the provider's own words, which the SDK drops when they are not JSON.
func (m *Model) answer(req *http.Request, next option.MiddlewareNext) (*http.Response, error) {
	resp, err := next(req)
	if err != nil {
		return resp, err
	}
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		resp.Body = &bounded{ReadCloser: resp.Body, left: maxBody}
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, maxError)) // what arrived is enough to say what is wrong
	return nil, statusError(resp, raw, m.key)
}

// bounded ends a body that is too large with an error, not with an end.
type bounded struct {
	io.ReadCloser
	left int
}

// Read reads.
func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= n; b.left < 0 {
		return 0, errTooBig
	}
	return n, err
}

// wireError is the body of an error, with the variations that are seen.
type wireError struct {
	Message string          `json:"message"`
	Type    string          `json:"type"`
	Code    json.RawMessage `json:"code"`
}

// parse reads {"error": {…}}, {"error": "…"} and {"message": "…"}; ok is false for anything else.
func parse(raw []byte) (e wireError, ok bool) {
	var body struct {
		Error   json.RawMessage `json:"error"`
		Message string          `json:"message"`
		Detail  json.RawMessage `json:"detail"`
	}
	if json.Unmarshal(raw, &body) != nil {
		return e, false
	}
	if len(body.Error) > 0 && !bytes.Equal(body.Error, []byte("null")) {
		if json.Unmarshal(body.Error, &e) != nil && json.Unmarshal(body.Error, &e.Message) != nil {
			e.Message = string(body.Error)
		}
		return e, true
	}
	if e.Message = body.Message; e.Message == "" {
		e.Message = string(body.Detail)
	}
	return e, e.Message != ""
}

func (e wireError) code() string { return strings.Trim(string(e.Code), `"`) }

func (e wireError) words(key secret.Text) string {
	var parts []string
	for _, s := range []string{e.Message, e.Type, e.code()} {
		if s != "" && s != "null" && !strings.Contains(strings.Join(parts, " "), s) {
			parts = append(parts, s)
		}
	}
	return llm.Redact(strings.Join(parts, "; "), key.Reveal())
}

func statusError(resp *http.Response, raw []byte, key secret.Text) *llm.Error {
	e := &llm.Error{HTTPStatus: resp.StatusCode, RetryAfter: retryAfter(resp.Header, time.Now())}
	w, ok := parse(raw)
	e.Class = classOf(resp.StatusCode, w)
	if e.Detail = w.words(key); !ok || e.Detail == "" {
		e.Detail = malformed(fmt.Sprintf("%s, answered with %s", http.StatusText(resp.StatusCode), shown(mediaType(resp.Header))), raw, key).Detail
	}
	return e
}

func classOf(status int, w wireError) llm.Class {
	if w.code() == "content_filter" || w.code() == "content_policy_violation" {
		return llm.ClassRefusal
	}
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusPaymentRequired:
		return llm.ClassAuth
	case status == http.StatusTooManyRequests:
		return llm.ClassRateLimit
	case status == http.StatusRequestTimeout:
		return llm.ClassTimeout
	case status == http.StatusConflict, status == http.StatusTooEarly, status == http.StatusMisdirectedRequest:
		return llm.ClassProvider
	case status >= 400 && status < 500:
		return llm.ClassInvalidRequest
	}
	return llm.ClassProvider
}

// embedded finds an error that was answered as a success.
func embedded(raw []byte, key secret.Text) *llm.Error {
	if w, ok := parse(raw); ok {
		return inBody(w, key)
	}
	return nil
}

// inStream is an error that came as an event.
func inStream(raw []byte, key secret.Text) *llm.Error {
	w, ok := parse(raw)
	if !ok {
		return malformed("an error in the stream", raw, key)
	}
	return inBody(w, key)
}

func inBody(w wireError, key secret.Text) *llm.Error {
	e := &llm.Error{Class: llm.ClassProvider, Detail: "the provider broke off: " + w.words(key)}
	e.Detail = llm.Redact(e.Detail)
	if status, err := strconv.Atoi(w.code()); err == nil && status >= 400 && status < 600 {
		e.Class, e.HTTPStatus = classOf(status, w), status
	} else if strings.Contains(w.code()+w.Type, "rate_limit") {
		e.Class = llm.ClassRateLimit
	}
	return e
}

// malformed quotes the beginning of something that cannot be read.
func malformed(what string, raw []byte, key secret.Text) *llm.Error {
	raw = raw[:min(len(raw), 2*llm.MaxDetail)]
	return &llm.Error{Class: llm.ClassProvider, Detail: llm.Redact(fmt.Sprintf("%s: %q", what, raw), key.Reveal())}
}

// unreachable is a failure below HTTP, or of the reading itself.
func unreachable(err error, begun bool, key secret.Text) *llm.Error {
	if errors.Is(err, bufio.ErrTooLong) {
		return errTooBig
	}
	e := &llm.Error{Class: llm.ClassProvider, Err: err, Detail: llm.Redact("the endpoint cannot be reached: "+err.Error(), key.Reveal())}
	if begun || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		e.Detail = llm.Redact("the stream was cut: "+err.Error(), key.Reveal())
	}
	if _, ok := errors.AsType[*json.SyntaxError](err); ok {
		e.Detail = llm.Redact("the answer is not valid JSON: "+err.Error(), key.Reveal())
	}
	if t, ok := errors.AsType[net.Error](err); ok && t.Timeout() {
		e.Class = llm.ClassTimeout
	}
	return e
}

// retryAfter reads the header in its three forms: milliseconds, seconds, date.
func retryAfter(h http.Header, now time.Time) time.Duration {
	var d time.Duration
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil && ms >= 0 && ms < 1e9 {
		d = time.Duration(ms * float64(time.Millisecond))
	} else if s, err := strconv.ParseFloat(h.Get("Retry-After"), 64); err == nil && s >= 0 && s < 1e8 {
		d = time.Duration(s * float64(time.Second))
	} else if at, err := http.ParseTime(h.Get("Retry-After")); err == nil {
		d = at.Sub(now)
	}
	return min(max(d, 0), maxRetryAfter)
}

func mediaType(h http.Header) string {
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return kind
}

func shown(kind string) string {
	switch kind {
	case "":
		return "something without a type"
	case "text/html":
		return "HTML"
	}
	return kind
}

func first(h http.Header, names ...string) string {
	for _, name := range names {
		if v := h.Get(name); v != "" {
			return v
		}
	}
	return ""
}
