package worker

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"witan.dev/internal/job"
	"witan.dev/internal/job/engine"
	"witan.dev/internal/llm"
	"witan.dev/services/council"
	"witan.dev/services/council/prompt"
)

// Classes of failure beside those of internal/llm.
const (
	classCircuitOpen = "CIRCUIT_OPEN"
	classUnreadable  = "UNREADABLE"
	classStageClosed = "STAGE_CLOSED"
)

const (
	backoff    = 500 * time.Millisecond // before the second attempt, doubling
	maxBackoff = 30 * time.Second
)

// Causes of a call's end that are ours.
var (
	errStageClosed = errors.New("the stage was closed")
	errMemberTime  = errors.New("the member's time is over")
)

// failure is the end of a call that gave nothing.
type failure struct {
	Class, Message string
}

// record is what the journal keeps of an answered call.
type record struct {
	Text    string        `json:"text"`
	Finish  string        `json:"finish"`
	Model   string        `json:"model"`
	Usage   council.Usage `json:"usage"`
	Latency time.Duration `json:"latency"`
	// Attempt is the journal's and not stored in the record itself.
	Attempt int32 `json:"-"`
}

// voice builds the events of a call.
type voice struct {
	started  func(attempt int32) job.NewEvent                                         // nil: nothing is logged
	delta    func(attempt int32, ordinal int, offset int64, text string) job.NewEvent // nil: not streamed
	failed   func(attempt int32, f failure, retry bool, at time.Time) job.NewEvent
	answered func(r record) []job.NewEvent // what commits with the result
}

// ask is one call of the journal, with all its attempts.
type ask struct {
	key         job.CallKey
	member      string
	model       string
	prompt      prompt.Prompt
	temperature *float64
	maxOutput   int
	maxAttempts int
	// firstToken and attempt are the clocks of one try, total that of all.
	firstToken, attempt, total time.Duration
	chairman                   bool
	// round tells a call that is made anew although it was answered from the one that was: 0 at first.
	round int32
	// wantsWhole refuses a text that was cut at its length, after the one retry with more room.
	wantsWhole bool
	voice      voice
}

func (a ask) request(maxOutput int) llm.Request {
	r := llm.Request{
		System: a.prompt.System, MaxOutputTokens: maxOutput, Temperature: a.temperature,
		FirstToken: a.firstToken, Attempt: a.attempt, Stage: a.key.Stage, Member: a.member,
	}
	for _, t := range a.prompt.History {
		r.Messages = append(r.Messages, llm.Message{Role: llm.RoleUser, Text: t.Question}, llm.Message{Role: llm.RoleAssistant, Text: t.Answer})
	}
	r.Messages = append(r.Messages, llm.Message{Role: llm.RoleUser, Text: a.prompt.User})
	if s := a.prompt.Schema; s != nil {
		r.Schema = &llm.Schema{Name: s.Name, JSON: s.JSON}
	}
	return r
}

// intent is what the journal is told before the call. The hash covers everything that makes another answer likely. The
// output limit is not among it: a try with more room after a cut one asks for the same answer.
func (a ask) intent(maxOutput int) (job.CallIntent, error) {
	r := a.request(maxOutput)
	raw, err := json.Marshal(struct {
		Model, System string
		Messages      []llm.Message
		Temperature   *float64
		Schema        *llm.Schema
		Round         int32 `json:",omitempty"`
	}{a.model, r.System, r.Messages, a.temperature, r.Schema, a.round})
	if err != nil {
		return job.CallIntent{}, fmt.Errorf("encode a prompt: %w", err)
	}
	in := job.CallIntent{
		Key: a.key, PromptSHA256: sha256.Sum256(raw), Template: a.prompt.Template,
		MaxAttempts:    a.maxAttempts,
		ReservedTokens: int64(a.inputTokens() + maxOutput),
	}
	if a.voice.started != nil {
		in.EventsFor = func(attempt int32) []job.NewEvent { return []job.NewEvent{a.voice.started(attempt)} }
	}
	return in, nil
}

// inputTokens is an upper estimate of what is sent.
func (a ask) inputTokens() int { return prompt.Tokens(a.prompt.Bytes()) }

// open asks the journal for a try of each call, in one transaction. A call that the budget does not allow has no grant,
// unless it was answered before: what was paid for costs nothing again.
func (d *deliberation) open(ctx context.Context, asks []ask, maxOutput []int) ([]*job.CallGrant, error) {
	intents := make([]job.CallIntent, len(asks))
	short, needs := make([]string, len(asks)), make([]amount, len(asks))
	for i, a := range asks {
		var err error
		if intents[i], err = a.intent(maxOutput[i]); err != nil {
			return nil, err
		}
		needs[i] = d.most(a, maxOutput[i])
		short[i] = d.budget.take(needs[i], a.chairman)
		intents[i].ReuseOnly = short[i] != ""
	}
	given, err := d.run.OpenCalls(ctx, intents)
	if err != nil {
		return nil, err
	}
	grants := make([]*job.CallGrant, len(asks))
	for i, g := range given {
		switch {
		case g.Refused:
			d.budget.refuse(short[i])
			continue
		case (g.Reused != nil || g.Exhausted) && !intents[i].ReuseOnly:
			d.budget.settle(needs[i], amount{})
		}
		grants[i] = &given[i]
	}
	return grants, nil
}

// spent sums what the tries of a call took.
type spent struct {
	Usage council.Usage
	Calls int64
}

// call takes the journal's answer where there is one, else asks until it is answered or must not be asked
// again. A failure is a result; an error means that the run cannot go on here.
func (d *deliberation) call(ctx context.Context, a ask, granted *job.CallGrant, opened bool) (record, *failure, spent, error) {
	ctx, stop := context.WithTimeoutCause(ctx, a.total, errMemberTime)
	defer stop()
	var sum spent
	maxOutput, grown, emptied := a.maxOutput, false, false
	for try := 1; ; try++ {
		if !opened {
			g, err := d.open(ctx, []ask{a}, []int{maxOutput})
			if err != nil {
				return record{}, nil, sum, err
			}
			granted = g[0]
		}
		opened = false
		switch {
		case granted == nil:
			return record{}, &failure{Class: string(llm.ClassBudget), Message: "the budget does not allow another call"}, sum, nil
		case granted.Reused != nil:
			r, err := reuse(*granted)
			sum.Usage, sum.Calls = sum.Usage.Add(r.Usage), sum.Calls+1
			return r, nil, sum, err
		case granted.Exhausted:
			return record{}, &failure{Class: granted.LastFailure, Message: "all attempts failed"}, sum, nil
		}
		r, failed, rest, err := d.generate(ctx, a, *granted, maxOutput)
		if err != nil {
			return record{}, nil, sum, err
		}
		d.settle(ctx, a, maxOutput, failed, r)
		sum.Usage, sum.Calls = sum.Usage.Add(r.Usage), sum.Calls+1
		room := 0
		if failed != nil && failed.Class == llm.ClassTruncated && !grown && !errors.Is(failed, errTooLong) {
			room = d.room(a.model, maxOutput)
		}
		if failed != nil && failed.Class == llm.ClassTruncated && room == 0 && !a.wantsWhole && r.Text != "" {
			failed, r.Finish = nil, string(llm.FinishLength) // kept and marked
		}
		if failed == nil {
			return r, nil, sum, d.closeAnswered(ctx, a, *granted, r, rest)
		}
		again, pause := d.again(ctx, a, failed, try, emptied)
		switch failed.Class { //nolint:exhaustive // only these two are retried once
		case llm.ClassTruncated:
			again = again && room > 0
			if again {
				maxOutput, grown = room, true
			}
		case llm.ClassEmpty:
			emptied = true
		}
		f, err := d.closeFailed(ctx, a, *granted, failed, r, again, pause)
		if err != nil || !again {
			return record{}, f, sum, err
		}
		if over := wait(ctx, d.run.Draining(), pause); over != nil {
			f, err := ended(over)
			return record{}, f, sum, err
		}
	}
}

// settle gives back what a try did not take. One that was given up may have been charged: it keeps its reservation.
func (d *deliberation) settle(ctx context.Context, a ask, maxOutput int, failed *llm.Error, r record) {
	if failed != nil && context.Cause(ctx) != nil {
		return
	}
	d.budget.settle(d.most(a, maxOutput), took(r.Usage))
}

func reuse(g job.CallGrant) (record, error) {
	var r record
	if err := json.Unmarshal(g.Reused, &r); err != nil {
		return record{}, fmt.Errorf("read a journaled answer: %w", err)
	}
	r.Attempt = g.Attempt
	return r, nil
}

// room is a larger output limit for one more try of a cut answer, 0 where the model has none.
func (d *deliberation) room(model string, maxOutput int) int {
	limit := d.plan.Models[model].MaxOutputTokens
	if maxOutput == 0 || limit <= maxOutput {
		return 0
	}
	return min(2*maxOutput, limit)
}

// generate makes one try. What was received and took usage is in the record even when the try failed.
func (d *deliberation) generate(ctx context.Context, a ask, g job.CallGrant, maxOutput int) (record, *llm.Error, last, error) {
	model, ok := d.models.Model(a.model)
	if !ok {
		return record{}, &llm.Error{Class: llm.ClassInvalidRequest, Detail: "the model is not configured any more"}, last{}, nil
	}
	stream := &deltas{}
	if a.voice.delta != nil {
		stream.emit = func(ordinal int, offset int64, text string) error {
			return d.run.Append(ctx, a.voice.delta(g.Attempt, ordinal, offset, text))
		}
	}
	req := a.request(maxOutput)
	req.IdempotencyKey = g.IdempotencyKey
	start := time.Now()
	resp, err := model.Generate(ctx, req, stream.write)
	r := record{Model: a.model, Latency: time.Since(start), Finish: string(resp.Finish), Usage: d.usage(a, resp, err), Attempt: g.Attempt}
	if stream.text.Len() == 0 && err == nil {
		_ = stream.write(resp.Text) // a model that does not stream; the error is found by close
	}
	text, rest, broken := stream.close()
	r.Text = text
	if broken != nil {
		return record{}, nil, last{}, broken
	}
	if err == nil {
		return r, nil, rest, nil
	}
	if errors.Is(stream.err, errTooLong) {
		return r, &llm.Error{Class: llm.ClassTruncated, Detail: "the answer is longer than 128 KiB", Err: errTooLong}, rest, nil
	}
	if _, err := ended(context.Cause(ctx)); err != nil {
		return record{}, nil, last{}, err // the process stops: the intent stays open
	}
	e, ok := errors.AsType[*llm.Error](err)
	if !ok {
		e = &llm.Error{Class: llm.ClassProvider, Detail: llm.Redact(err.Error()), Err: err}
	}
	return r, e, rest, nil
}

// usage is what a try took; where the provider says nothing, tokens are counted by us.
func (d *deliberation) usage(a ask, resp llm.Response, err error) council.Usage {
	u := council.Usage{
		InputTokens: resp.Usage.InputTokens, OutputTokens: resp.Usage.OutputTokens,
		CachedTokens: resp.Usage.CachedTokens, ReasoningTokens: resp.Usage.ReasoningTokens,
	}
	if !resp.Usage.Reported {
		if err != nil && resp.Text == "" {
			return council.Usage{}
		}
		u = council.Usage{InputTokens: int64(prompt.Tokens(a.prompt.Bytes())), OutputTokens: int64(prompt.Tokens(len(resp.Text))), Estimated: true}
	}
	price := d.plan.Models[a.model].Price
	switch {
	case resp.Usage.CostMicros != nil:
		u.CostMicros, u.Currency = resp.Usage.CostMicros, resp.Usage.CostCurrency
	case price != nil:
		cost := price.Cost(llm.Usage{InputTokens: u.InputTokens, OutputTokens: u.OutputTokens})
		u.CostMicros, u.Currency = &cost, price.Currency
	default:
		u.Unpriced = true
	}
	return u
}

func jobUsage(u council.Usage) job.Usage {
	return job.Usage{
		InputTokens: u.InputTokens, OutputTokens: u.OutputTokens, CachedTokens: u.CachedTokens, ReasoningTokens: u.ReasoningTokens,
		CostMicros: u.CostMicros, Currency: u.Currency,
	}
}

func (d *deliberation) closeAnswered(ctx context.Context, a ask, g job.CallGrant, r record, rest last) error {
	raw, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode an answer: %w", err)
	}
	var events []job.NewEvent
	if a.voice.delta != nil && rest.text != "" {
		events = append(events, a.voice.delta(g.Attempt, rest.ordinal, rest.offset, rest.text))
	}
	return d.run.CloseCall(ctx, job.CallDone{
		Key: a.key, Attempt: g.Attempt, State: job.CallResult, Result: raw, Usage: jobUsage(r.Usage),
		Events: append(events, a.voice.answered(r)...),
	})
}

// closeFailed journals a failed try, or one that was given up because the stage or the job ended.
func (d *deliberation) closeFailed(ctx context.Context, a ask, g job.CallGrant, e *llm.Error, r record, again bool, pause time.Duration) (*failure, error) {
	f, state := failure{Class: string(e.Class), Message: e.Detail}, job.CallFailed
	if errors.Is(e, llm.ErrCircuitOpen) {
		f.Class = classCircuitOpen
	}
	if over, err := ended(context.Cause(ctx)); err != nil {
		return nil, err
	} else if over != nil {
		f, state = *over, job.CallAbandoned
	}
	var at time.Time
	if again {
		at = d.now().Add(pause)
	}
	return &f, d.run.CloseCall(ctx, job.CallDone{
		Key: a.key, Attempt: g.Attempt, State: state, ErrorClass: f.Class, Usage: jobUsage(r.Usage),
		Events: []job.NewEvent{a.voice.failed(g.Attempt, f, again, at)},
	})
}

// again decides by class whether another try may help, and when. SDK retries are off; this table is the only one.
func (d *deliberation) again(ctx context.Context, a ask, e *llm.Error, try int, emptied bool) (bool, time.Duration) {
	if try >= a.maxAttempts || ctx.Err() != nil || errors.Is(e, llm.ErrCircuitOpen) {
		return false, 0
	}
	pause := time.Duration(0)
	switch e.Class {
	case llm.ClassTimeout, llm.ClassTruncated:
	case llm.ClassEmpty:
		if emptied {
			return false, 0
		}
	case llm.ClassRateLimit:
		if pause = e.RetryAfter; pause <= 0 {
			pause = jitter(try)
		}
	case llm.ClassProvider:
		pause = jitter(try)
	case llm.ClassAuth, llm.ClassRefusal, llm.ClassInvalidRequest, llm.ClassBudget, llm.ClassCancelled:
		return false, 0
	default:
		return false, 0
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= pause {
		return false, 0
	}
	return true, pause
}

// jitter doubles with each try and varies by half, so that seats that failed together do not return together.
func jitter(try int) time.Duration {
	d := min(backoff<<min(try-1, 10), maxBackoff)
	return d/2 + rand.N(d/2+1) //nolint:gosec // spreads load, decides nothing
}

// wait pauses; it returns the cause when ctx ended first, or the process is about to stop.
func wait(ctx context.Context, draining <-chan struct{}, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-draining:
		return engine.ErrDraining
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// ended says what the end of a context means for a call: a failure when the stage, the member's time or the job ended, an
// error when the run cannot go on here. Both are nil while the context goes on.
func ended(cause error) (*failure, error) {
	switch {
	case cause == nil:
		return nil, nil //nolint:nilnil // both mean something
	case errors.Is(cause, errMemberTime):
		return &failure{Class: string(llm.ClassTimeout), Message: "the member's time is over"}, nil
	case errors.Is(cause, errStageClosed):
		return &failure{Class: classStageClosed, Message: "the stage was closed before the answer came"}, nil
	case errors.Is(cause, job.ErrCancelAsked):
		return &failure{Class: string(llm.ClassCancelled), Message: "the job was cancelled"}, nil
	case errors.Is(cause, job.ErrDeadlinePassed):
		return &failure{Class: string(llm.ClassTimeout), Message: "the job's deadline has passed"}, nil
	default:
		return nil, cause
	}
}
