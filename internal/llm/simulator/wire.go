package simulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"witan.dev/internal/llm"
	"witan.dev/internal/llm/simulated"
)

// request is what is read of a request; other fields are the provider's business and ours to ignore.
type request struct {
	Model         string          `json:"model"`
	RawMessages   json.RawMessage `json:"messages"`
	Stream        bool            `json:"stream"`
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	MaxTokens           int `json:"max_tokens"`
	MaxCompletionTokens int `json:"max_completion_tokens"`
	ResponseFormat      struct {
		Type       string `json:"type"`
		JSONSchema struct {
			Name   string          `json:"name"`
			Schema json.RawMessage `json:"schema"`
		} `json:"json_schema"`
	} `json:"response_format"`

	messages []message
}

type message struct {
	Role    string  `json:"role"`
	Content content `json:"content"`
}

// content is a text, or parts of which the texts count.
type content string

// UnmarshalJSON reads both forms.
func (c *content) UnmarshalJSON(raw []byte) error {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		*c = content(text)
		return nil
	}
	var parts []struct {
		Text string `json:"text"`
	}
	if err := json.Unmarshal(raw, &parts); err != nil {
		return errors.New("content is neither a text nor a list of parts")
	}
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(p.Text)
	}
	*c = content(b.String())
	return nil
}

func decode(raw []byte) (request, error) {
	var r request
	if err := json.Unmarshal(raw, &r); err != nil {
		return r, fmt.Errorf("the body is not a request: %w", err)
	}
	if r.Model == "" || len(r.Model) > 200 {
		return r, errors.New("model is missing or longer than 200 bytes")
	}
	if err := json.Unmarshal(r.RawMessages, &r.messages); err != nil || len(r.messages) == 0 || len(r.messages) > maxMessages {
		return r, fmt.Errorf("messages are missing, malformed or more than %d", maxMessages)
	}
	for i, m := range r.messages {
		switch m.Role {
		case "system", "developer", "user", "assistant":
		default:
			return r, fmt.Errorf("messages[%d].role: %q is not known", i, m.Role)
		}
	}
	f := &r.ResponseFormat
	if f.Type == "json_schema" && (f.JSONSchema.Name == "" || !bytes.HasPrefix(bytes.TrimSpace(f.JSONSchema.Schema), []byte("{"))) {
		return r, errors.New("response_format.json_schema needs a name and a schema")
	}
	if r.MaxTokens < 0 || r.MaxCompletionTokens < 0 {
		return r, errors.New("max_tokens is negative")
	}
	return r, nil
}

// inWords is how a schema is told to models that cannot be held to one.
var inWords = regexp.MustCompile(`conforms to the JSON schema "([\w-]{1,64})": (\{)`)

func (r request) call() simulated.Call {
	c := simulated.Call{Model: r.Model, MaxOutputTokens: max(r.MaxTokens, r.MaxCompletionTokens)}
	if f := r.ResponseFormat; f.Type == "json_schema" {
		c.SchemaName, c.Schema = f.JSONSchema.Name, f.JSONSchema.Schema
	}
	for _, m := range r.messages {
		if m.Role == "system" || m.Role == "developer" {
			c.System = strings.TrimPrefix(c.System+"\n"+string(m.Content), "\n")
			continue
		}
		c.Messages = append(c.Messages, llm.Message{Role: llm.Role(m.Role), Text: string(m.Content)})
	}
	if at := inWords.FindStringSubmatchIndex(c.System); c.SchemaName == "" && at != nil {
		var schema json.RawMessage
		if json.NewDecoder(strings.NewReader(c.System[at[4]:])).Decode(&schema) == nil {
			c.SchemaName, c.Schema = c.System[at[2]:at[3]], schema
		}
	}
	return c
}

// answer is a completion or, with Delta, a chunk of one.
type answer struct {
	ID                string   `json:"id"`
	Object            string   `json:"object"`
	Created           int64    `json:"created"`
	Model             string   `json:"model"`
	SystemFingerprint string   `json:"system_fingerprint"`
	Choices           []choice `json:"choices"`
	Usage             *usage   `json:"usage,omitempty"`
}

type choice struct {
	Index        int     `json:"index"`
	Message      *text   `json:"message,omitempty"`
	Delta        *text   `json:"delta,omitempty"`
	FinishReason *string `json:"finish_reason"`
}

type text struct {
	Role    string  `json:"role,omitempty"`
	Content *string `json:"content,omitempty"`
	Refusal *string `json:"refusal,omitempty"`
}

type usage struct {
	PromptTokens        int64 `json:"prompt_tokens"`
	CompletionTokens    int64 `json:"completion_tokens"`
	TotalTokens         int64 `json:"total_tokens"`
	PromptTokensDetails struct {
		CachedTokens int64 `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
	CompletionTokensDetails struct {
		ReasoningTokens int64 `json:"reasoning_tokens"`
	} `json:"completion_tokens_details"`
}

func usageOf(u *simulated.Usage) *usage {
	if u == nil {
		return nil
	}
	out := &usage{PromptTokens: u.Input, CompletionTokens: u.Output, TotalTokens: u.Input + u.Output}
	out.PromptTokensDetails.CachedTokens = u.Cached
	out.CompletionTokensDetails.ReasoningTokens = u.Reasoning
	return out
}

// finishOf gives the wire's word; a refusal ends like any other text.
func finishOf(f llm.Finish) *string {
	word := "stop"
	switch f {
	case llm.FinishLength:
		word = "length"
	case llm.FinishFilter:
		word = "content_filter"
	case llm.FinishStop, llm.FinishRefusal, llm.FinishUnknown:
	}
	return &word
}

func said(f llm.Finish, words string) *text {
	if f == llm.FinishRefusal {
		return &text{Refusal: &words}
	}
	return &text{Content: &words}
}

func writeError(w http.ResponseWriter, status int, code, words string) {
	writeJSON(w, status, map[string]any{"error": map[string]any{"message": words, "type": code, "param": nil, "code": code}})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client went away: there is nobody to tell
}
