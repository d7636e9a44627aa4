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

// get reads an answer into a value. The path is relative and escaped. A token that is refused is replaced once: an
// installation's may have been revoked before its time.
func (c *connection) get(ctx context.Context, path string, into any) error {
	err := c.send(ctx, http.MethodGet, path, nil, into)
	if err == nil || c.client.p.AppID == 0 || c.key.purpose == asApp || !unauthorized(err) {
		return err
	}
	c.client.forget(c)
	again, err := c.client.connection(c.key)
	if err == nil {
		err = again.send(ctx, http.MethodGet, path, nil, into)
	}
	return err
}

// send makes one request. The value may be an io.Writer for what is no JSON.
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
