package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/google/go-github/v60/github"

	"witan.dev/internal/llm"
	"witan.dev/services/review"
)

const maxMessage = 300

// answerError is a refusal in GitHub's words, without the address that it was about.
type answerError struct {
	what    string
	status  int
	message string
}

// Error implements error.
func (e *answerError) Error() string {
	text := fmt.Sprintf("%s: GitHub answers %d", e.what, e.status)
	if e.message != "" {
		text += ": " + e.message
	}
	return text
}

// errNotFound stands under every answer that says that there is nothing; callers say what of.
var errNotFound = errors.New("not found at the forge")

// errNoInstallation stands under the answer that there is no such installation.
var errNoInstallation = errors.New("no such installation")

// notFound replaces the answer that there is nothing by what the caller knows of it.
func notFound(err, by error) error {
	if errors.Is(err, errNotFound) {
		return by
	}
	return err
}

// incomplete is for an answer that lacks what it must have: one that was cut behind nothing looks like a success to the
// library.
func incomplete(what string) error {
	return fmt.Errorf("read %s: the answer of GitHub is empty or incomplete: %w", what, review.ErrUnavailable)
}

// failed says what an unsuccessful request means. Nothing of the library's own errors remains: they repeat addresses.
func (c *connection) failed(ctx context.Context, what string, res *github.Response, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", what, context.Cause(ctx))
	}
	if locked, ok := errors.AsType[*github.RateLimitError](err); ok && (res == nil || res.Header.Get("X-RateLimit-Remaining") == "") {
		// The library did not even ask.
		now := c.client.p.Clock()
		return fmt.Errorf("%s: %w", what, &review.LimitError{Until: now.Add(clamp(locked.Rate.Reset.Sub(now)))})
	}
	if locked, ok := errors.AsType[*github.AbuseRateLimitError](err); ok && len(locked.Response.Header) == 0 && locked.RetryAfter != nil {
		return fmt.Errorf("%s: %w", what, &review.LimitError{Until: c.client.p.Clock().Add(clamp(*locked.RetryAfter)), Secondary: true})
	}
	if minted, ok := errors.AsType[*ghinstallation.HTTPError](err); ok {
		return c.notMinted(what, minted)
	}
	if res == nil || res.Response == nil || res.StatusCode < 300 {
		return fmt.Errorf("%s: %w: %w", what, lost(err), review.ErrUnavailable)
	}
	message, documentation := said(err)
	return c.refused(what, res.StatusCode, res.Header, message, documentation)
}

// refused says what a status means.
func (c *connection) refused(what string, status int, h http.Header, message, documentation string) error {
	if limit := c.limit(status, h, message, documentation); limit != nil {
		return fmt.Errorf("%s: %w", what, limit)
	}
	answer := &answerError{what: what, status: status, message: line(llm.Redact(message), maxMessage)} // who was shown a token may repeat it
	switch {
	case status >= 500:
		return fmt.Errorf("%w: %w", answer, review.ErrUnavailable)
	case status == http.StatusNotFound || status == http.StatusGone || status == http.StatusUnavailableForLegalReasons:
		return fmt.Errorf("%w: %w", answer, errNotFound)
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return review.ErrForgeRefused.With("detail", answer.Error()).Wrap(answer)
	}
	return answer
}

// notMinted says why there is no token of an installation.
func (c *connection) notMinted(what string, minted *ghinstallation.HTTPError) error {
	const get = "get an installation token"
	if minted.Response == nil {
		return fmt.Errorf("%s: %s: %w: %w", what, get, lost(minted.RootCause), review.ErrUnavailable)
	}
	// The library leaves the body to whoever wants to look.
	defer func() { _ = minted.Response.Body.Close() }()
	err := github.CheckResponse(minted.Response)
	message, documentation := said(err)
	err = c.refused(what+": "+get, minted.Response.StatusCode, minted.Response.Header, message, documentation)
	answer, ok := errors.AsType[*answerError](err)
	switch {
	case ok && errors.Is(err, errNotFound):
		return review.ErrForgeRefused.With("detail", "the App is not installed there any more").Wrap(fmt.Errorf("%w: %w", errNoInstallation, answer))
	case ok && answer.status == http.StatusUnprocessableEntity:
		return review.ErrForgeRefused.With("detail", answer.Error()).Wrap(answer)
	}
	return err
}

// said returns what GitHub wrote, without the addresses that the library adds.
func said(err error) (message, documentation string) {
	if e, ok := errors.AsType[*github.ErrorResponse](err); ok {
		message, documentation = e.Message, e.DocumentationURL
		for i, detail := range e.Errors {
			if i == 3 {
				break
			}
			if detail.Code == "abuse" { // the limit without a word about it
				documentation = "secondary-rate-limits"
			}
			message += "; " + detail.Resource + " " + detail.Field + " " + detail.Code + " " + detail.Message
		}
	}
	if e, ok := errors.AsType[*github.AbuseRateLimitError](err); ok {
		return e.Message, "secondary-rate-limits"
	}
	if e, ok := errors.AsType[*github.RateLimitError](err); ok {
		message = e.Message
	}
	return message, documentation
}

// lost names what happened to a request, without its address.
func lost(err error) error {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		if outer.Timeout() {
			return errTimeout
		}
		return outer.Err
	}
	switch {
	case err == nil:
		return errNoAnswer
	case errors.Is(err, context.DeadlineExceeded): // the limit of a request, which is nobody else's deadline
		return errTimeout
	}
	return err
}

var (
	errTimeout  = errors.New("no answer in time")
	errNoAnswer = errors.New("no answer")
)

// asAnswer returns the refusal under an error when it has that status.
func asAnswer(err error, status int) (*answerError, bool) {
	answer, ok := errors.AsType[*answerError](err)
	return answer, ok && answer.status == status
}
