package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-github/v60/github"

	"witan.dev/services/review"
)

// get reads an answer into a value. The path is relative and escaped.
func (c *connection) get(ctx context.Context, path string, into any) error {
	return c.send(ctx, http.MethodGet, path, nil, into)
}

// get is that of a connection, over a token that is refused.
func (l *link) get(ctx context.Context, path string, into any) error {
	return l.ask(ctx, http.MethodGet, path, nil, into)
}

// ask makes a request that changes nothing. A token that is refused is replaced once: an installation's may have been revoked
// before its time, or with the installation.
func (l *link) ask(ctx context.Context, method, path string, body, into any) error {
	err := l.send(ctx, method, path, body, into)
	if err == nil || l.client.p.AppID == 0 || !unauthorized(err) {
		return err
	}
	l.client.forget(l.connection)
	again, err := l.client.connect(ctx, l.key.purpose, l.repo)
	if err == nil {
		err = again.send(ctx, method, path, body, into)
	}
	return err
}

// headed is a value that wants the headers of its answer too.
type headed interface{ head(h http.Header) }

// send makes one request. The value may be an io.Writer for what is no JSON, or be headed.
func (c *connection) send(ctx context.Context, method, path string, body, into any, options ...github.RequestOption) error {
	limited, cancel := context.WithTimeout(ctx, c.client.p.Timeout)
	defer cancel()
	what := method + " " + endpoint(path)
	req, err := c.api.NewRequest(method, path, body, options...)
	if err != nil {
		return fmt.Errorf("%s: the request cannot be made", what)
	}
	res, err := c.api.Do(limited, req, into)
	if err != nil {
		return c.failed(ctx, what, res, err)
	}
	c.backoff.reset(c.client.p.Clock())
	if h, ok := into.(headed); ok {
		h.head(res.Header)
	}
	return nil
}

func unauthorized(err error) bool {
	answer, ok := errors.AsType[*answerError](err)
	return ok && answer.status == http.StatusUnauthorized && errors.Is(err, review.ErrForgeRefused)
}

// endpoint is a path as it may be shown: without its query, and short.
func endpoint(path string) string {
	path, _, _ = strings.Cut(path, "?")
	return line(path, 200)
}

// raw asks for a content as it is.
func raw(r *http.Request) { r.Header.Set("Accept", "application/vnd.github.raw+json") }
