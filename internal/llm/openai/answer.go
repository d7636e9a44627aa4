package openai

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/packages/ssestream"

	"witan.dev/internal/llm"
	"witan.dev/internal/secret"
)

// answer gathers one response.
type answer struct {
	key  secret.Text
	sink func(string) error

	text, refusal strings.Builder
	finish        string
	usage         llm.Usage
	requestID     string
	begun         bool // a response is there
	chunks        int
	errSink       error
}

// response is what has been received so far.
func (a *answer) response() llm.Response {
	r := llm.Response{
		Text: a.text.String(), RawFinish: cut(a.finish), RequestID: cut(a.requestID),
		Finish: finishOf(a.finish), Usage: a.usage,
	}
	if r.Finish == llm.FinishStop && a.refusal.Len() > 0 {
		r.Finish = llm.FinishRefusal
		if r.Text == "" {
			r.Text = a.refusal.String()
		}
	}
	return r
}

// whole reads an answer that comes in one piece.
func (a *answer) whole(body io.ReadCloser) error {
	defer func() { _ = body.Close() }()
	raw, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	var c sdk.ChatCompletion
	if err := json.Unmarshal(raw, &c); err != nil {
		return malformed("the answer is not valid JSON", raw, a.key)
	}
	if len(c.Choices) == 0 {
		if e := embedded(raw, a.key); e != nil {
			return e
		}
		return malformed("the answer holds no choice", raw, a.key)
	}
	choice := c.Choices[0]
	a.finish = choice.FinishReason
	a.count(c.Usage)
	a.refusal.WriteString(choice.Message.Refusal)
	return a.add(choice.Message.Content)
}

// stream reads an answer that comes in pieces, up to its end mark.
func (a *answer) stream(s *ssestream.Stream[sdk.ChatCompletionChunk], end *endMark) error {
	defer func() { _ = s.Close() }()
	for s.Next() {
		if err := a.chunk(s.Current()); err != nil {
			return err
		}
	}
	if err := s.Err(); err != nil {
		return err
	}
	switch {
	case a.chunks == 0:
		return &llm.Error{Class: llm.ClassProvider, Detail: "the stream held no event"}
	case a.finish == "" || !end.seen:
		return &llm.Error{Class: llm.ClassProvider, Detail: fmt.Sprintf("the stream was cut after %d bytes of text: it ended without its end mark", a.text.Len())}
	}
	return nil
}

func (a *answer) chunk(c sdk.ChatCompletionChunk) error {
	if !c.JSON.Choices.Valid() && !c.JSON.Usage.Valid() {
		return malformed("an event of the stream is no chunk of an answer", []byte(c.RawJSON()), a.key)
	}
	a.chunks++
	if c.JSON.Usage.Valid() {
		a.count(c.Usage)
	}
	if len(c.Choices) == 0 {
		return nil
	}
	choice := c.Choices[0]
	if choice.FinishReason != "" {
		a.finish = choice.FinishReason
	}
	a.refusal.WriteString(choice.Delta.Refusal)
	if a.refusal.Len() > maxText {
		return errTooLong
	}
	return a.add(choice.Delta.Content)
}

// add takes a piece of text; an empty one is a sign of life.
func (a *answer) add(text string) error {
	if a.text.Len()+len(text) > maxText {
		return errTooLong
	}
	text = strings.ToValidUTF8(text, "\uFFFD")
	a.text.WriteString(text)
	a.errSink = a.sink(text)
	return a.errSink
}

func (a *answer) count(u sdk.CompletionUsage) {
	if !u.JSON.PromptTokens.Valid() && !u.JSON.CompletionTokens.Valid() {
		return
	}
	a.usage = llm.Usage{
		InputTokens: max(u.PromptTokens, 0), OutputTokens: max(u.CompletionTokens, 0),
		CachedTokens: max(u.PromptTokensDetails.CachedTokens, 0), ReasoningTokens: max(u.CompletionTokensDetails.ReasoningTokens, 0),
		Reported: true,
	}
	var cost float64
	if field, ok := u.JSON.ExtraFields["cost"]; ok && json.Unmarshal([]byte(field.Raw()), &cost) == nil && cost >= 0 && cost < 1e6 {
		micros := int64(cost*1e6 + 0.5)
		a.usage.CostMicros, a.usage.CostCurrency = &micros, "USD" // OpenRouter's extension
	}
}

// unexpected reads the beginning of a body that is neither JSON nor a stream.
func (a *answer) unexpected(body io.ReadCloser, kind string) error {
	defer func() { _ = body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(body, maxError))
	if err != nil {
		return err
	}
	return malformed(fmt.Sprintf("the answer is %s and not JSON", shown(kind)), raw, a.key)
}

// failure makes an error of the exchange one of the port.
func (a *answer) failure(ctx context.Context, err error) error {
	if e := llm.Interrupted(ctx); e != nil {
		return e
	}
	if a.errSink != nil {
		return &llm.Error{Class: llm.ClassCancelled, Detail: llm.Redact("the receiver of the text gave up: " + a.errSink.Error()), Err: a.errSink}
	}
	if e, ok := errors.AsType[*llm.Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*ssestream.StreamError](err); ok {
		return inStream(e.Event.Data, a.key)
	}
	return unreachable(err, a.begun, a.key)
}

func finishOf(raw string) llm.Finish {
	switch strings.ToLower(raw) {
	case "":
		return llm.FinishUnknown
	case "stop", "eos", "end_turn", "stop_sequence":
		return llm.FinishStop
	case "length", "max_tokens", "model_length":
		return llm.FinishLength
	case "content_filter", "safety":
		return llm.FinishFilter
	case "refusal":
		return llm.FinishRefusal
	}
	return llm.Finish("OTHER") // tool calls were not offered; llm.Check says PROVIDER
}

func cut(s string) string {
	s = llm.Redact(s)
	return s[:min(len(s), 200)]
}
