// Package llmtest is the conformance suite of llm.Model, with a real HTTP server that replays recorded exchanges.
package llmtest

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/llm"
)

// Situation is something that a provider does.
type Situation string

// The situations that every adapter has to tell apart.
const (
	Answers     Situation = "answers"      // with Text, in several pieces where it streams, and Tokens
	Empty       Situation = "empty"        // finishes without a text
	Refuses     Situation = "refuses"      // says no, in words
	Filtered    Situation = "filtered"     // the content filter stops it
	TooLong     Situation = "too long"     // the length limit stops it within Text
	RateLimited Situation = "rate limited" // 429, asks to wait Wait, says Words
	NoKey       Situation = "no key"       // 401, says Words
	BadRequest  Situation = "bad request"  // 400, says Words
	Down        Situation = "down"         // 500, says Words
	WebPage     Situation = "web page"     // HTML instead of an answer
	Malformed   Situation = "malformed"    // status 200 and invalid JSON
	Cut         Situation = "cut"          // the connection breaks within Text
	NoEnd       Situation = "no end"       // Text comes and the stream ends cleanly, without saying that it is complete
	Hangs       Situation = "hangs"        // nothing comes
)

// What the situations have in common.
const (
	Text  = "[simulated] A text long enough to come in more than one piece, with ünïcödé in it."
	Words = "the provider's own words"
	Wait  = 2 * time.Second
)

// Tokens is the usage that is reported with Text.
func Tokens() llm.Usage {
	return llm.Usage{InputTokens: 42, OutputTokens: 17, CachedTokens: 8, ReasoningTokens: 5, Reported: true}
}

// Subject makes a model whose provider is in a situation. It is asked any number of times.
type Subject func(t *testing.T, s Situation) llm.Model

// Request is what the suite asks.
func Request() llm.Request {
	return llm.Request{
		System: "Be brief.", Messages: []llm.Message{{Role: llm.RoleUser, Text: "Is this a test?"}},
		MaxOutputTokens: 1_000, IdempotencyKey: "key-1",
	}
}

type outcome struct {
	class  llm.Class
	finish llm.Finish
	status int
}

func expected() map[Situation]outcome {
	return map[Situation]outcome{
		Answers:     {"", llm.FinishStop, 0},
		Empty:       {llm.ClassEmpty, llm.FinishStop, 0},
		Refuses:     {llm.ClassRefusal, llm.FinishRefusal, 0},
		Filtered:    {llm.ClassRefusal, llm.FinishFilter, 0},
		TooLong:     {llm.ClassTruncated, llm.FinishLength, 0},
		RateLimited: {llm.ClassRateLimit, llm.FinishUnknown, 429},
		NoKey:       {llm.ClassAuth, llm.FinishUnknown, 401},
		BadRequest:  {llm.ClassInvalidRequest, llm.FinishUnknown, 400},
		Down:        {llm.ClassProvider, llm.FinishUnknown, 500},
		WebPage:     {llm.ClassProvider, llm.FinishUnknown, 0},
		Malformed:   {llm.ClassProvider, llm.FinishUnknown, 0},
		Cut:         {llm.ClassProvider, llm.FinishUnknown, 0},
		NoEnd:       {llm.ClassProvider, llm.FinishUnknown, 0},
	}
}

// Run runs the suite.
func Run(t *testing.T, subject Subject) {
	t.Helper()
	for s, want := range expected() {
		t.Run(string(s), func(t *testing.T) {
			t.Parallel()
			situation(t, subject(t, s), s, want)
		})
	}
	t.Run("describes itself", func(t *testing.T) { t.Parallel(); describes(t, subject(t, Answers)) })
	t.Run("cancelled", func(t *testing.T) { t.Parallel(); cancelled(t, subject(t, Hangs)) })
	t.Run("deadline", func(t *testing.T) { t.Parallel(); deadline(t, subject(t, Hangs)) })
	t.Run("receiver gives up", func(t *testing.T) { t.Parallel(); receiverGivesUp(t, subject(t, Answers)) })
	t.Run("no receiver", func(t *testing.T) { t.Parallel(); noReceiver(t, subject(t, Answers)) })
	t.Run("at once", func(t *testing.T) { t.Parallel(); atOnce(t, subject(t, Answers)) })
}

func situation(t *testing.T, m llm.Model, s Situation, want outcome) {
	t.Helper()
	var heard strings.Builder
	resp, err := m.Generate(t.Context(), Request(), func(text string) error { heard.WriteString(text); return nil })
	CheckError(t, err, want.class)
	require.Equal(t, want.finish, resp.Finish)
	if e, ok := errors.AsType[*llm.Error](err); ok {
		require.Equal(t, want.status, e.HTTPStatus)
		if want.status != 0 {
			require.Contains(t, e.Detail, Words, "the provider's words are kept")
		}
		if s == RateLimited {
			require.Equal(t, Wait, e.RetryAfter)
		}
	}
	switch s {
	case Answers:
		require.Equal(t, Text, resp.Text)
		require.Equal(t, Text, heard.String(), "what is heard is what is answered")
		require.Equal(t, Tokens(), resp.Usage)
	case TooLong:
		require.NotEmpty(t, resp.Text)
		require.True(t, strings.HasPrefix(Text, resp.Text))
		require.Less(t, len(resp.Text), len(Text))
		require.True(t, resp.Usage.Reported, "a truncated answer is paid for")
	case Cut, NoEnd:
		require.True(t, strings.HasPrefix(Text, heard.String()))
	case Refuses:
		require.NotEmpty(t, resp.Text)
	case Empty, Filtered, RateLimited, NoKey, BadRequest, Down, WebPage, Malformed, Hangs:
		require.Empty(t, heard.String())
	}
}

// CheckError requires that err is nil for class "", else an *llm.Error of that class with a detail that says something.
func CheckError(t *testing.T, err error, class llm.Class) {
	t.Helper()
	if class == "" {
		require.NoError(t, err)
		return
	}
	e, ok := errors.AsType[*llm.Error](err)
	require.True(t, ok, "got %v (%T)", err, err)
	require.Equal(t, class, e.Class, e.Detail)
	require.NotEmpty(t, strings.TrimSpace(e.Detail))
	require.LessOrEqual(t, len([]rune(e.Detail)), llm.MaxDetail)
	require.GreaterOrEqual(t, e.RetryAfter, time.Duration(0))
}

func describes(t *testing.T, m llm.Model) {
	t.Helper()
	info := m.Info()
	require.NotEmpty(t, info.Name)
	require.NotEmpty(t, info.Provider)
	require.NotEmpty(t, info.Model)
	require.Positive(t, info.ContextTokens)
	require.Positive(t, info.MaxOutputTokens)
}

func cancelled(t *testing.T, m llm.Model) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	_, err := m.Generate(ctx, Request(), nil)
	CheckError(t, err, llm.ClassCancelled)
}

func deadline(t *testing.T, m llm.Model) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := m.Generate(ctx, Request(), nil)
	CheckError(t, err, llm.ClassTimeout)

	req := Request()
	req.Attempt = 20 * time.Millisecond
	_, err = llm.WithClocks(m).Generate(t.Context(), req, nil)
	CheckError(t, err, llm.ClassTimeout)
}

func receiverGivesUp(t *testing.T, m llm.Model) {
	t.Helper()
	enough := errors.New("enough")
	_, err := m.Generate(t.Context(), Request(), func(text string) error {
		if text == "" {
			return nil
		}
		return enough
	})
	CheckError(t, err, llm.ClassCancelled)
	require.ErrorIs(t, err, enough)
}

func noReceiver(t *testing.T, m llm.Model) {
	t.Helper()
	resp, err := m.Generate(t.Context(), Request(), nil)
	CheckError(t, err, "")
	require.Equal(t, Text, resp.Text)
}

func atOnce(t *testing.T, m llm.Model) {
	t.Helper()
	var group sync.WaitGroup
	errs := make([]error, 16)
	for i := range errs {
		group.Go(func() {
			resp, err := m.Generate(t.Context(), Request(), nil)
			if err == nil && resp.Text != Text {
				err = errors.New("another text: " + resp.Text)
			}
			errs[i] = err
		})
	}
	group.Wait()
	require.NoError(t, errors.Join(errs...))
}

// Ballot is a schema such as a council sends, for labels.
func Ballot(labels ...string) *llm.Schema {
	list, err := json.Marshal(labels)
	if err != nil {
		panic(err) // texts always encode
	}
	label := `{"type":"string","enum":` + string(list) + `}`
	return &llm.Schema{Name: "rank", JSON: json.RawMessage(`{"type":"object","additionalProperties":false,"required":["ranking","critiques"],"properties":{
		"ranking":{"type":"array","items":` + label + `},
		"critiques":{"type":"array","items":{"type":"object","additionalProperties":false,"required":["label","text"],"properties":{
			"label":` + label + `,"text":{"type":"string","maxLength":4000}}}}}}`)}
}
