package simulator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"

	"witan.dev/internal/llm/simulated"
)

const page = "<!doctype html><html><head><title>[simulated] Bad gateway</title></head><body>This is no answer of a model.</body></html>"

// errCut ends a handler whose connection is to break.
var errCut = errors.New("cut")

// complete answers one call and logs it.
func (s *Server) complete(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		writeError(w, http.StatusRequestEntityTooLarge, "invalid_request_error", err.Error())
		return
	}
	req, err := decode(raw)
	if err != nil {
		writeError(w, http.StatusBadRequest, "invalid_request_error", err.Error())
		return
	}
	call := req.call()
	entry := Entry{
		Time: start.UTC(), Model: req.Model, MessagesSHA256: hash(req.RawMessages), Schema: call.SchemaName,
		IdempotencyKey: r.Header.Get("Idempotency-Key"), Stream: req.Stream, N: s.log.count(req.Model, call.SchemaName),
	}
	if s.params.LogMessages {
		entry.Messages = req.RawMessages
	}
	x := &exchange{w: w, ctx: r.Context(), req: req, id: "chatcmpl-sim-" + call.Hash()[:16], created: start.Unix()}
	x.log = func(outcome string, status int) {
		entry.Outcome, entry.Status, entry.DurationMS = outcome, status, time.Since(start).Milliseconds()
		if err := s.log.write(entry); err != nil {
			s.params.Logger.ErrorContext(r.Context(), "call log not written", slog.Any("error", err))
		}
	}
	plan, err := s.engine.Decide(call)
	if err != nil {
		x.end(OutcomeFailed, http.StatusBadRequest)
		writeError(w, http.StatusBadRequest, "simulator_script_error", "[simulated] "+err.Error())
		return
	}
	if x.run(plan) != nil {
		x.end(OutcomeCut, 0)
		panic(http.ErrAbortHandler) // the way to break a connection; the server does not log it
	}
}

// exchange is one call being answered.
type exchange struct {
	w       http.ResponseWriter
	ctx     context.Context //nolint:containedctx // lives as long as one request
	req     request
	id      string
	created int64
	log     func(outcome string, status int)
	logged  bool
}

// end logs the call, once. It comes before the last bytes of an answer: who has read an answer finds it in the log.
func (x *exchange) end(outcome string, status int) {
	if !x.logged {
		x.logged = true
		x.log(outcome, status)
	}
}

// run answers; an error breaks the connection.
func (x *exchange) run(p simulated.Plan) error {
	if err := simulated.Wait(x.ctx, p.FirstToken); err != nil {
		return err
	}
	switch {
	case p.Fault == simulated.FaultHang:
		<-x.ctx.Done()
		return x.ctx.Err()
	case p.Status != 0 || p.Fault == simulated.FaultHTML:
		x.refuse(p)
		return nil
	case p.Fault == simulated.FaultMalformed:
		x.malformed()
		return nil
	case x.req.Stream:
		return x.stream(p)
	}
	return x.whole(p)
}

func (x *exchange) malformed() {
	x.header()
	x.end(OutcomeFailed, http.StatusOK)
	body := `{"choices": [{"message": ]`
	if x.req.Stream {
		body = "data: {\"choices\": [{\"delta\": {]\n\n"
	}
	_, _ = io.WriteString(x.w, body)
}

// refuse answers with a status of failure, or with a web page.
func (x *exchange) refuse(p simulated.Plan) {
	if p.RetryAfter > 0 {
		x.w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(p.RetryAfter.Seconds()))))
		x.w.Header().Set("Retry-After-Ms", strconv.FormatInt(p.RetryAfter.Milliseconds(), 10))
	}
	status := p.Status
	if status == 0 {
		status = http.StatusOK
	}
	x.end(OutcomeFailed, status)
	if p.Fault != simulated.FaultHTML {
		writeError(x.w, status, "simulated_error", p.Words())
		return
	}
	x.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	x.w.WriteHeader(status)
	_, _ = io.WriteString(x.w, page)
}

func (x *exchange) header() {
	kind := "application/json"
	if x.req.Stream {
		kind = "text/event-stream; charset=utf-8"
		x.w.Header().Set("Cache-Control", "no-store")
	}
	x.w.Header().Set("Content-Type", kind)
	x.w.Header().Set("X-Request-Id", x.id)
}

// whole answers in one piece, after the whole latency.
func (x *exchange) whole(p simulated.Plan) error {
	if err := simulated.Wait(x.ctx, p.Latency-p.FirstToken); err != nil {
		return err
	}
	a := x.answer("chat.completion")
	message := said(p.Finish, p.Text)
	message.Role = "assistant"
	a.Choices = []choice{{Message: message, FinishReason: finishOf(p.Finish)}}
	outcome := OutcomeAnswered
	if p.Fault == simulated.FaultNoEnd {
		a.Choices[0].FinishReason, outcome = nil, OutcomeCut
	}
	a.Usage = usageOf(p.Usage)
	body, err := json.Marshal(a)
	if err != nil {
		return err
	}
	x.header()
	if p.Fault == simulated.FaultCut {
		x.end(OutcomeCut, http.StatusOK)
		_, _ = x.w.Write(body[:len(body)/2])
		return x.flushed(errCut)
	}
	x.end(outcome, http.StatusOK)
	_, err = x.w.Write(body)
	return err
}

// stream answers in chunks.
func (x *exchange) stream(p simulated.Plan) error {
	x.header()
	if err := x.event(x.delta(&text{Role: "assistant"}, nil)); err != nil {
		return err
	}
	for i, chunk := range p.Chunks {
		if i > 0 {
			if err := simulated.Wait(x.ctx, p.Pause()); err != nil {
				return err
			}
		}
		if err := x.event(x.delta(said(p.Finish, chunk), nil)); err != nil {
			return err
		}
	}
	if len(p.Chunks) < 2 {
		if err := simulated.Wait(x.ctx, p.Latency-p.FirstToken); err != nil {
			return err
		}
	}
	switch p.Fault { //nolint:exhaustive // the others were dealt with or are in the text
	case simulated.FaultCut:
		x.end(OutcomeCut, http.StatusOK)
		_, _ = io.WriteString(x.w, `data: {"id":"`) // in the middle of an event
		return x.flushed(errCut)
	case simulated.FaultNoEnd:
		x.end(OutcomeCut, http.StatusOK)
		return nil
	}
	return x.finish(p)
}

func (x *exchange) finish(p simulated.Plan) error {
	if err := x.event(x.delta(&text{}, finishOf(p.Finish))); err != nil {
		return err
	}
	if x.req.StreamOptions.IncludeUsage && p.Usage != nil {
		a := x.answer("chat.completion.chunk")
		a.Choices, a.Usage = []choice{}, usageOf(p.Usage)
		if err := x.event(a); err != nil {
			return err
		}
	}
	x.end(OutcomeAnswered, http.StatusOK)
	_, err := io.WriteString(x.w, "data: [DONE]\n\n")
	return x.flushed(err)
}

func (x *exchange) answer(object string) answer {
	return answer{ID: x.id, Object: object, Created: x.created, Model: x.req.Model, SystemFingerprint: fingerprint}
}

func (x *exchange) delta(t *text, finish *string) answer {
	a := x.answer("chat.completion.chunk")
	a.Choices = []choice{{Delta: t, FinishReason: finish}}
	return a
}

func (x *exchange) event(a answer) error {
	body, err := json.Marshal(a)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(x.w, "data: %s\n\n", body); err != nil {
		return err
	}
	return x.flushed(nil)
}

func (x *exchange) flushed(err error) error {
	if flushErr := http.NewResponseController(x.w).Flush(); err == nil {
		err = flushErr
	}
	return err
}
