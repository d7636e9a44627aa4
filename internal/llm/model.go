// Package llm is the port to language models: what a council needs of one, in no vendor's words. Adapters translate and
// nothing else; circuit breaker, limiter and clocks are decorators around a Model. Retries are the caller's.
package llm

import (
	"context"
	"encoding/json"
	"math"
	"time"
)

// Model is one configured model of one provider. Safe for concurrent use.
type Model interface {
	// Info describes the model. It does not change.
	Info() Info
	// Generate makes one attempt, without retries. sink gets text as it arrives, in order and from one goroutine, and may
	// be nil; an error that it returns ends the call as CANCELLED. A nil error means a finished, non-empty answer.
	// An error is always *Error; the Response beside it holds what was received and its usage.
	Generate(ctx context.Context, req Request, sink func(text string) error) (Response, error)
}

// Info describes a model.
type Info struct {
	// Name is Witan's name of the model, unique in a configuration. Provider names the adapter, Model is the provider's
	// name of it.
	Name, Provider, Model string
	// Endpoint tells providers apart that one adapter serves: the base URL, without credentials. Limits are shared by it.
	Endpoint string
	// ContextTokens bounds prompt and answer together, MaxOutputTokens the answer.
	ContextTokens, MaxOutputTokens int
	// JSONSchema and JSONObject say what shape of output the model can be held to, Streaming whether text arrives in
	// pieces, IdempotencyKeys whether the provider promises to answer a repeated key without working twice. A key is sent
	// in any case.
	JSONSchema, JSONObject, Streaming, IdempotencyKeys bool
	// FixedTemperature says that the model refuses a temperature; Request.Temperature is then left out.
	FixedTemperature bool
	// Price is nil where it is unknown. Unknown is not free.
	Price *Price
	// Source says where the capabilities come from.
	Source CapabilitySource
}

// CapabilitySource says where a model's capabilities come from.
type CapabilitySource string

// The sources, best first.
const (
	SourceConfig  CapabilitySource = "CONFIG"  // at least one was configured, the rest is known or assumed
	SourceKnown   CapabilitySource = "KNOWN"   // the table of known models
	SourceAssumed CapabilitySource = "ASSUMED" // nothing is known: 8,192 tokens of context, no JSON
)

// Price is what a model costs, in units of Currency (ISO 4217) per million tokens.
type Price struct {
	InputPerMillion, OutputPerMillion float64
	Currency                          string
}

// Cost is the price of a usage in millionths of the currency, rounded up. Cached tokens count as input: the result is an
// upper bound.
func (p Price) Cost(u Usage) int64 {
	return int64(math.Ceil(float64(u.InputTokens)*p.InputPerMillion + float64(u.OutputTokens)*p.OutputPerMillion))
}

// Role says who wrote a message.
type Role string

// The roles of a message. The system's words stand in Request.System.
const (
	RoleUser      Role = "user"
	RoleAssistant Role = "assistant"
)

// Message is one turn of the conversation.
type Message struct {
	Role Role
	Text string
}

// Schema is the form of an answer.
type Schema struct {
	// Name is at most 64 of a-z, A-Z, 0-9, "_" and "-".
	Name string
	// JSON is the JSON schema, an object's.
	JSON json.RawMessage
}

// Request is one prompt.
type Request struct {
	System   string
	Messages []Message
	// MaxOutputTokens bounds the answer; 0: the model's own maximum.
	MaxOutputTokens int
	Temperature     *float64
	Seed            *int64
	// Schema nil asks for free text. A model that cannot be held to a schema gets it in words; what comes back is to be
	// checked in any case.
	Schema *Schema
	// IdempotencyKey is the same for attempts that are to be one call in the provider's eyes.
	IdempotencyKey string

	// FirstToken and Attempt are the two clocks of a call: until the first sign of an answer, and in all. Zero: none. A
	// model that does not stream has only the second. Waiting for the limiter does not count.
	FirstToken, Attempt time.Duration

	// Stage and Member say what the call is for. They never leave the process; the simulator's scripts match them.
	Stage, Member string
}

// Finish says why an answer ended. The zero value is never a success.
type Finish string

// The ways in which an answer ends.
const (
	FinishUnknown Finish = ""
	FinishStop    Finish = "STOP"
	FinishLength  Finish = "LENGTH"
	FinishRefusal Finish = "REFUSAL"
	FinishFilter  Finish = "FILTER"
)

// Usage is what a call took. Reported is false where the provider said nothing: the figures are then unknown, not zero.
type Usage struct {
	// InputTokens contain CachedTokens, OutputTokens contain ReasoningTokens.
	InputTokens, OutputTokens, CachedTokens, ReasoningTokens int64
	Reported                                                 bool
	// CostMicros is what the provider says that it charged, in millionths of CostCurrency; nil: it did not say.
	CostMicros   *int64
	CostCurrency string
}

// Response is what a model answered.
type Response struct {
	Text string
	// RawFinish is the provider's word for Finish, RequestID the provider's name of the call; both for logs, at most
	// 200 bytes.
	RawFinish, RequestID string
	Finish               Finish
	Usage                Usage
}
