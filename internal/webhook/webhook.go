// Package webhook takes webhooks by HTTP, at the edge and in the gateway alike: it reads a body within bounds and answers.
// Who may send and what becomes of a body is decided behind it.
package webhook

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"witan.dev/internal/apierr"
	"witan.dev/internal/apierr/httpstatus"
	"witan.dev/internal/apierr/rpcstatus"
)

const (
	// Path is where GitHub's webhooks arrive.
	Path = "/webhooks/github"
	// MaxBody bounds a body, in bytes.
	MaxBody = 25 << 20
	// uncounted is what a body may have before it is counted: more than nearly all webhooks need (the largest of the shared
	// ones has 27 kB). All beyond is counted as it arrives: what a sender only announces takes no room from others.
	uncounted = 32 << 10
	room      = 8 * MaxBody
	// first is the memory that a body has before any of it is there, piece that by which it grows once it is counted. What one
	// that stands still holds is less than a piece larger than what was sent of it.
	first = 16 << 10
	piece = 64 << 10
	// spare is room for noticing the end of a body whose length is known.
	spare = 512
	// complaints is between two lines of the log about requests that are refused.
	complaints = time.Minute
	// turn is how long a large body waits for room.
	turn = 2 * time.Second
	// BodyTimeout is how long a body may take to arrive. GitHub waits 10 s for an answer.
	BodyTimeout = 10 * time.Second
)

// Refusals that need no body. Whoever accepts refuses with the same.
var (
	// ErrContentType refuses what is not JSON.
	ErrContentType = apierr.Invalid(apierr.ReasonContentType, "webhooks are taken as application/json only: choose that content type in the hook's settings")
	// ErrTooLarge refuses a body of more than MaxBody bytes.
	ErrTooLarge = apierr.ResourceExhausted(apierr.ReasonBodyTooLarge, "the body is larger than 25 MiB")
	// ErrSignatureMissing refuses a request without X-Hub-Signature-256. One of SHA-1 alone counts as none.
	ErrSignatureMissing = apierr.Unauthenticated(apierr.ReasonSignatureMissing, "the request has no signature X-Hub-Signature-256; the hook needs a secret")
)

var (
	errMethod = apierr.Unimplemented(apierr.ReasonMethodNotAllowed, "webhooks are sent by POST")
	errBusy   = apierr.Unavailable(apierr.ReasonIngestBusy, "too many large webhooks arrive at once; deliver it again after a moment")
	errCut    = apierr.Invalid(apierr.ReasonMalformedBody, "the body did not arrive whole, or not in time")
)

// Params are what a Handler works with.
type Params struct {
	// Accept verifies and stores a webhook and names it. Header holds what Wanted chose; body is not used afterwards.
	Accept func(ctx context.Context, header http.Header, body []byte) (delivery string, err error)
	// Observe is told the reason why a request was refused, empty where it was accepted, and what it took; nil: nobody is.
	Observe func(reason string, took time.Duration)
	// Room is how many bytes of bodies may be in memory at once, beyond the first 32 KiB of each; default 200 MiB.
	Room   int64
	Logger *slog.Logger
}

// Handler answers 202 to what was accepted and AIP-193's JSON of an error to everything else. Safe for concurrent use.
type Handler struct {
	p     Params
	large *semaphore.Weighted

	mu         sync.Mutex
	refused    int // since complained
	complained time.Time
}

// NewHandler makes a handler.
func NewHandler(p Params) *Handler {
	if p.Observe == nil {
		p.Observe = func(string, time.Duration) {}
	}
	return &Handler{p: p, large: semaphore.NewWeighted(cmp.Or(p.Room, room))}
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	w.Header().Set("X-Content-Type-Options", "nosniff")
	delivery, err := h.take(w, r)
	if err != nil {
		reason := h.refuse(w, r, err)
		h.p.Observe(reason, time.Since(start))
		return
	}
	h.accepted(w, r, delivery)
	h.p.Observe("", time.Since(start))
}

// refuse answers an error and says its reason.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) string {
	if errors.Is(err, errMethod) {
		w.Header().Set("Allow", http.MethodPost)
	}
	st := rpcstatus.From(err)
	code := httpstatus.Of(st)
	if code >= http.StatusInternalServerError {
		h.p.Logger.WarnContext(r.Context(), "a webhook was not accepted; have it delivered again", "code", code, "error", err,
			"delivery", clip(r.Header.Get("X-Github-Delivery")), "event", clip(r.Header.Get("X-Github-Event")))
	} else {
		h.complain(r, rpcstatus.Info(st).GetReason(), st.Message())
	}
	httpstatus.Write(r.Context(), w, st, code, h.p.Logger)
	return rpcstatus.Info(st).GetReason()
}

// clip bounds what a header adds to a line of the log.
func clip(text string) string { return text[:min(len(text), 100)] }

// complain says now and then that requests are refused: a secret that is not the sender's shows nowhere else.
func (h *Handler) complain(r *http.Request, reason, newest string) {
	h.mu.Lock()
	h.refused++
	count, due := h.refused, time.Since(h.complained) >= complaints
	if due {
		h.refused, h.complained = 0, time.Now()
	}
	h.mu.Unlock()
	if due {
		h.p.Logger.WarnContext(r.Context(), "requests to the route of webhooks are refused", "since_last_told", count,
			"reason", reason, "newest", newest,
			"delivery", clip(r.Header.Get("X-Github-Delivery")), "event", clip(r.Header.Get("X-Github-Event")))
	}
}

// answer is what a sender is told.
type answer struct {
	Delivery string `json:"delivery"`
}

func (h *Handler) accepted(w http.ResponseWriter, r *http.Request, delivery string) {
	text, err := json.Marshal(answer{delivery})
	if err != nil {
		h.p.Logger.ErrorContext(r.Context(), "answer not encoded", "error", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusAccepted)
	if _, err := w.Write(text); err != nil {
		h.p.Logger.DebugContext(r.Context(), "sender left before its answer", "error", err)
	}
}

// take checks what needs no body, reads it and has it accepted. A large body has its room until then. The deadline comes
// first: a server waits for the body of what is refused, too.
func (h *Handler) take(w http.ResponseWriter, r *http.Request) (string, error) {
	if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(BodyTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return "", err
	}
	switch {
	case r.Method != http.MethodPost:
		return "", errMethod
	case !IsJSON(r.Header.Get("Content-Type")):
		return "", ErrContentType
	case r.ContentLength > MaxBody:
		return "", ErrTooLarge
	case r.Header.Get("X-Hub-Signature-256") == "":
		return "", ErrSignatureMissing
	}
	body, done, err := h.read(r)
	defer done()
	if err != nil {
		return "", err
	}
	return h.p.Accept(r.Context(), Wanted(r.Header), body)
}

// IsJSON says whether a Content-Type is that of JSON, with whatever parameters.
func IsJSON(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(media), "application/json")
}

// read reads the body, whose length nobody need have said. done gives the room of a large one back.
func (h *Handler) read(r *http.Request) (body []byte, done func(), err error) {
	var pieces [][]byte
	size, held := 0, int64(0)
	done = func() { h.large.Release(held) }
	for size <= MaxBody {
		length := first
		if size >= uncounted {
			length = piece
		}
		if r.ContentLength >= 0 {
			length = min(length, max(int(r.ContentLength)-size, 0)+spare)
		}
		if size >= uncounted {
			if err := h.wait(r.Context(), int64(length)); err != nil {
				return nil, done, err
			}
			held += int64(length)
		}
		next := make([]byte, length)
		n, err := fill(next, r.Body)
		pieces, size = append(pieces, next[:n]), size+n
		switch {
		case errors.Is(err, io.EOF) && size <= MaxBody:
			return whole(pieces), done, nil
		case err != nil && !errors.Is(err, io.EOF):
			return nil, done, errCut.Wrap(err)
		}
	}
	return nil, done, ErrTooLarge
}

// fill reads until there is no space left, or no more to read. Unlike io.ReadFull it tells an end from a body that was cut off.
func fill(space []byte, from io.Reader) (n int, err error) {
	for n < len(space) && err == nil {
		var more int
		more, err = from.Read(space[n:])
		n += more
	}
	return n, err
}

func whole(pieces [][]byte) []byte {
	if len(pieces) == 1 {
		return pieces[0]
	}
	return slices.Concat(pieces...)
}

// wait waits for room for so many more bytes of a large body.
func (h *Handler) wait(ctx context.Context, n int64) error {
	if h.large.TryAcquire(n) {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, turn)
	defer cancel()
	switch err := h.large.Acquire(bounded, n); {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return errBusy
}

// Wanted are the headers that say what a webhook is and who signed it.
func Wanted(header http.Header) http.Header {
	wanted := http.Header{}
	for name, values := range header {
		if name == "Content-Type" || strings.HasPrefix(name, "X-Github-") || strings.HasPrefix(name, "X-Hub-Signature") {
			wanted[name] = values[:1]
		}
	}
	return wanted
}
