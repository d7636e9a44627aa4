package ingest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"time"

	"witan.dev/internal/crashpoint"
	"witan.dev/internal/webhook"
)

const (
	// MaxBody bounds a body, in bytes. GitHub sends no larger ones.
	MaxBody = webhook.MaxBody
	// storeTimeout is what the sender waits for at most, storeTimeoutMiB what each MiB of a large delivery adds.
	storeTimeout    = 80 * time.Millisecond
	storeTimeoutMiB = 50 * time.Millisecond
)

// The headers that an Acceptor looks at.
const (
	HeaderSignature   = "X-Hub-Signature-256"
	HeaderEvent       = "X-GitHub-Event"
	HeaderDelivery    = "X-GitHub-Delivery"
	HeaderContentType = "Content-Type"
)

// Request is a webhook as it came in.
type Request struct {
	// Header answers a header's value by its name in the case of the constants above; empty without one.
	Header func(name string) string
	// Body is what was signed. The Acceptor does not change it.
	Body []byte
}

// Acceptor verifies webhooks of GitHub and stores them; nothing else happens before the sender is answered. Safe for
// concurrent use.
type Acceptor struct {
	p AcceptorParams
}

// AcceptorParams are what an Acceptor works with.
type AcceptorParams struct {
	// Secrets verify; nil: every request is ErrSecretMissing.
	Secrets *Secrets
	// Buffer stores.
	Buffer Buffer
	// Timeout is how long storing a delivery of usual size may take; default 80 ms. Each MiB beyond that adds 50 ms.
	Timeout time.Duration
	// Now is the clock of ReceivedAt; default time.Now.
	Now func() time.Time
}

// NewAcceptor returns an Acceptor.
func NewAcceptor(p AcceptorParams) *Acceptor {
	p.Timeout = cmp.Or(p.Timeout, storeTimeout)
	if p.Now == nil {
		p.Now = time.Now
	}
	return &Acceptor{p: p}
}

// Accept verifies a webhook and returns it, without its digest, when it is stored. In this order: ErrContentType, ErrTooLarge,
// ErrSignatureMissing, ErrSignatureInvalid, ErrHeaderMissing, ErrMalformedJSON, ErrStore. Nothing of a body is read before
// its signature is known to be right.
func (a *Acceptor) Accept(ctx context.Context, r Request) (Delivery, error) {
	if a.p.Secrets == nil {
		return Delivery{}, ErrSecretMissing
	}
	if !webhook.IsJSON(r.Header(HeaderContentType)) {
		return Delivery{}, ErrContentType
	}
	if len(r.Body) > MaxBody {
		return Delivery{}, ErrTooLarge
	}
	shown := r.Header(HeaderSignature)
	if shown == "" {
		return Delivery{}, ErrSignatureMissing
	}
	if !a.p.Secrets.Verify(ctx, shown, r.Body) {
		return Delivery{}, ErrSignatureInvalid
	}
	d, err := describe(r)
	if err != nil {
		return Delivery{}, err
	}
	d.ReceivedAt = a.p.Now().UTC().Truncate(time.Microsecond)
	return d, a.store(ctx, Entry{Delivery: d, Body: r.Body})
}

// describe reads what is to be known of a signed request.
func describe(r Request) (Delivery, error) {
	d := Delivery{ID: r.Header(HeaderDelivery), Event: r.Header(HeaderEvent), State: Stored}
	switch {
	case !isEvent(d.Event):
		return Delivery{}, ErrHeaderMissing.With("header", HeaderEvent)
	case !isID(d.ID):
		return Delivery{}, ErrHeaderMissing.With("header", HeaderDelivery)
	}
	action, ok := readEnvelope(r.Body)
	if !ok {
		return Delivery{}, ErrMalformedJSON
	}
	d.Action = actionOf(action)
	return d, nil
}

// actionOf is the action, empty where it is none that GitHub could have sent: it goes into columns and lists.
func actionOf(raw json.RawMessage) string {
	if n := len(raw); n > 2 && isEvent(string(raw[1:n-1])) && raw[0] == '"' {
		return string(raw[1 : n-1])
	}
	var action string
	if json.Unmarshal(raw, &action) != nil || !isEvent(action) {
		return ""
	}
	return action
}

// store gives the buffer its time and no more: whoever waits for longer than that would be told nothing.
func (a *Acceptor) store(ctx context.Context, e Entry) error {
	limit := a.p.Timeout + storeTimeoutMiB*time.Duration(len(e.Body)>>20)
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	crashpoint.Hit(crashpoint.BeforePut)
	err := a.p.Buffer.Put(bounded, e)
	crashpoint.Hit(crashpoint.AfterPut)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil && errors.Is(context.Cause(ctx), context.Canceled):
		return context.Cause(ctx)
	default:
		return ErrStore.Wrap(err)
	}
}
