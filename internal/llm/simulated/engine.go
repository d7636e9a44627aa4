package simulated

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"witan.dev/internal/llm"
)

const defaultChunk = 24

// Call is one call as a simulator sees it.
type Call struct {
	Model, Stage, Member string
	System               string
	Messages             []llm.Message
	// SchemaName and Schema are empty for free text.
	SchemaName      string
	Schema          json.RawMessage
	MaxOutputTokens int
}

// Hash identifies a prompt: SHA-256 over all that the model is shown, in hex.
func (c Call) Hash() string {
	h := sha256.New()
	part := func(s string) { _, _ = fmt.Fprintf(h, "%d:%s", len(s), s) }
	part(c.System)
	for _, m := range c.Messages {
		part(string(m.Role))
		part(m.Text)
	}
	part(c.SchemaName)
	part(string(c.Schema))
	return hex.EncodeToString(h.Sum(nil))
}

// Plan is what happens to a call.
type Plan struct {
	// Status other than 0 is answered instead of a text.
	Status     int
	RetryAfter time.Duration
	Message    string

	FirstToken, Latency time.Duration
	// Text is the answer up to where it ends, in Chunks of whole characters.
	Text   string
	Chunks []string
	Finish llm.Finish
	// Usage is nil where the provider does not tell.
	Usage *Usage
	// Fault is what goes wrong on the way; faults of the text itself are in Text and Finish already.
	Fault Fault
}

// Engine decides what happens to calls. Its choices depend on the script, the prompt and, where a rule counts calls, on the
// calls before. Safe for concurrent use.
type Engine struct {
	script *Script

	mu    sync.Mutex
	calls []int // of each rule
}

// NewEngine makes an engine; a nil script is the one without rules.
func NewEngine(s *Script) *Engine {
	if s == nil {
		s = &Script{}
	}
	return &Engine{script: s, calls: make([]int, len(s.Rules))}
}

// Decide plans one call. An error means that the script does not fit the prompt, or that the schema is none.
func (e *Engine) Decide(c Call) (Plan, error) {
	prompt := promptOf(c)
	stages := e.stages(c, prompt)
	then := e.rule(c, prompt, stages)
	p := e.timing(then)
	if p.Status = then.Status; p.Status != 0 {
		p.RetryAfter, p.Message, p.Fault = then.RetryAfter, then.Message, then.Fault
		return p, nil
	}
	text, err := e.answer(c, prompt, stages, then)
	if err != nil {
		return Plan{}, fmt.Errorf("simulate %s, stage %q: %w", c.Model, stages, err)
	}
	p.end(text, then, c.MaxOutputTokens)
	p.Chunks = split(p.Text, e.chunkBytes(then))
	if !then.NoUsage {
		p.Usage = usage(then, prompt, p.Text)
	}
	return p, nil
}

// rule finds the rule of a call, and counts the call in every rule that it fits, also behind the one that decides.
func (e *Engine) rule(c Call, prompt string, stages []string) *Then {
	e.mu.Lock()
	defer e.mu.Unlock()
	var found *Then
	for i := range e.script.Rules {
		w := &e.script.Rules[i].When
		if w.Model != "" && w.Model != c.Model || w.Stage != "" && !slices.Contains(stages, w.Stage) || w.Member != "" && w.Member != c.Member {
			continue
		}
		if w.prompt != nil && !w.prompt.MatchString(prompt) {
			continue
		}
		e.calls[i]++
		if n := e.calls[i]; found == nil && n >= w.from && n <= w.to {
			found = &e.script.Rules[i].Then
		}
	}
	if found == nil {
		found = &Then{}
	}
	return found
}

func (e *Engine) timing(t *Then) Plan {
	p := Plan{FirstToken: e.script.Timing.FirstToken, Latency: e.script.Timing.Latency}
	if t.FirstToken != nil {
		p.FirstToken = *t.FirstToken
	}
	if t.Latency != nil {
		p.Latency = *t.Latency
	}
	p.Latency = max(p.Latency, p.FirstToken)
	return p
}

func (e *Engine) chunkBytes(t *Then) int {
	n := e.script.Timing.ChunkBytes
	if t.ChunkBytes != nil {
		n = *t.ChunkBytes
	}
	if n <= 0 {
		n = defaultChunk
	}
	return n
}

// answer is the whole text that the model would give.
func (e *Engine) answer(c Call, prompt string, stages []string, t *Then) (string, error) {
	f := filler{prompt: prompt}
	if len(c.Schema) > 0 || t.Text != nil || t.JSON != nil {
		f.labels = labelled(prompt, c.Schema)
	}
	switch {
	case t.Text != nil:
		return f.text(*t.Text)
	case t.JSON != nil:
		tree, err := f.tree(t.JSON)
		if err != nil {
			return "", err
		}
		return encode(tree)
	case len(c.Schema) > 0:
		return e.fromSchema(c, f, t)
	}
	return e.prose(c, stages), nil
}

// end applies what goes wrong with the text.
func (p *Plan) end(text string, t *Then, maxTokens int) {
	p.Text, p.Finish, p.Fault = text, llm.FinishStop, t.Fault
	if maxTokens > 0 && len(text) > 4*maxTokens && t.Fault == FaultNone {
		p.Text, p.Finish = head(text, 4*maxTokens), llm.FinishLength
	}
	switch t.Fault {
	case FaultEmpty:
		p.Text = ""
	case FaultRefusal:
		p.Finish, p.Text = llm.FinishRefusal, "[simulated] I cannot help with that."
		if t.Text != nil {
			p.Text = text
		}
	case FaultFilter:
		p.Finish, p.Text = llm.FinishFilter, ""
	case FaultInvalidJSON:
		p.Text = "Sure! Here it is:\n{\"oops\": " + head(text, len(text)/2)
	case FaultLength:
		p.Finish, p.Text = llm.FinishLength, head(text, after(t, text))
	case FaultCut:
		p.Text = head(text, after(t, text))
	case FaultNone, FaultNoEnd, FaultMalformed, FaultHTML, FaultHang:
	}
}

func after(t *Then, text string) int {
	if t.After > 0 {
		return t.After
	}
	return len(text) / 2
}

func usage(t *Then, prompt, text string) *Usage {
	if t.Usage != nil {
		return t.Usage
	}
	return &Usage{Input: int64(len(prompt)/4 + 1), Output: int64(len(text)/4 + 1)}
}

// head is the beginning of text, at most n bytes of whole characters.
func head(text string, n int) string {
	if n >= len(text) {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

func split(text string, size int) []string {
	var out []string
	for len(text) > 0 {
		piece := head(text, size)
		if piece == "" {
			_, width := utf8.DecodeRuneInString(text)
			piece = text[:width]
		}
		out = append(out, piece)
		text = text[len(piece):]
	}
	return out
}

func encode(tree any) (string, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(tree); err != nil {
		return "", err
	}
	return strings.TrimSpace(b.String()), nil
}
