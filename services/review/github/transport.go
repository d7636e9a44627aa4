package github

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

const (
	// maxAnswer bounds an answer after decompression, in bytes: a page of 100 comments of the longest kind and more.
	maxAnswer = 32 << 20
	// maxErrorAnswer bounds an answer that is an error.
	maxErrorAnswer = 64 << 10
	maxRedirects   = 3
)

// errAnswerTooLarge: an answer is above its limit.
var errAnswerTooLarge = errors.New("the answer is larger than is taken")

// errForeignHost: something led a request to another host than the configured one.
var errForeignHost = errors.New("the forge redirects to another host")

// guard is the outermost transport of every connection. It sends nothing to other hosts than the configured one, since
// the transports below add credentials to whatever passes, and bounds what comes back, in size and in the pause it asks for.
type guard struct {
	next http.RoundTripper
	base *url.URL
}

// RoundTrip implements http.RoundTripper.
func (g guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != g.base.Host || r.URL.Scheme != g.base.Scheme {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, errForeignHost
	}
	res, err := g.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	shorten(res.Header, time.Now()) // of the library, which has this clock
	limit := int64(maxAnswer)
	if res.StatusCode >= 300 {
		limit = maxErrorAnswer
	}
	res.Body = &bounded{body: res.Body, left: limit}
	return res, nil
}

// bounded fails when more than its limit is read.
type bounded struct {
	body io.ReadCloser
	left int64
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, errAnswerTooLarge
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.body.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return n - 1, errAnswerTooLarge
	}
	return n, err
}

// Close implements io.Closer.
func (b *bounded) Close() error { return b.body.Close() }

// redirected follows GitHub to the number of a renamed repository, unless a write would become a read by it. The guard
// sees to the host.
func redirected(r *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	if r.Method != via[0].Method {
		return http.ErrUseLastResponse
	}
	return nil
}

// bearer adds a plain token.
type bearer struct {
	next  http.RoundTripper
	token func() string
}

// RoundTrip implements http.RoundTripper.
func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token())
	return b.next.RoundTrip(r)
}

// conditional asks again only for what has changed: an answer that says "not modified" costs nothing of the rate limit.
// A cached answer bears X-From-Cache, as the library expects it, so that old rate headers are not taken for new ones.
type conditional struct {
	next  http.RoundTripper
	cache *cache
	scope string // whose answers these are
}

// RoundTrip implements http.RoundTripper.
func (c conditional) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet {
		return c.next.RoundTrip(r)
	}
	key := c.scope + "\x00" + r.URL.String() + "\x00" + r.Header.Get("Accept")
	known, found := c.cache.get(key)
	if found {
		r = r.Clone(r.Context())
		r.Header.Set("If-None-Match", known.tag)
	}
	res, err := c.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	switch {
	case res.StatusCode == http.StatusNotModified && found:
		_ = res.Body.Close()
		return known.answer(r), nil
	case res.StatusCode == http.StatusOK && res.Header.Get("ETag") != "":
		res.Body = &recorder{body: res.Body, done: func(content []byte) {
			c.cache.put(key, cached{tag: res.Header.Get("ETag"), kind: res.Header.Get("Content-Type"), link: res.Header.Get("Link"), body: content})
		}}
	}
	return res, nil
}

// recorder keeps what is read, and hands it over when it was read to the end.
type recorder struct {
	body io.ReadCloser
	kept bytes.Buffer
	over bool
	done func([]byte)
}

// Read implements io.Reader.
func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	if r.over = r.over || r.kept.Len()+n > maxCachedAnswer; !r.over {
		r.kept.Write(p[:n])
	}
	if errors.Is(err, io.EOF) && !r.over && r.done != nil {
		r.done(r.kept.Bytes())
		r.done = nil
	}
	return n, err
}

// Close implements io.Closer. What a decoder left unread is no whole answer, unless nothing but the end was left.
func (r *recorder) Close() error {
	if r.done != nil && !r.over {
		var rest [512]byte
		for i := 0; i < 2 && r.done != nil; i++ {
			if _, err := r.Read(rest[:]); err != nil {
				break
			}
		}
	}
	return r.body.Close()
}

func (c cached) answer(r *http.Request) *http.Response {
	h := http.Header{"Content-Type": {c.kind}, "X-From-Cache": {"1"}, "Etag": {c.tag}}
	if c.link != "" {
		h.Set("Link", c.link)
	}
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: h, Body: io.NopCloser(bytes.NewReader(c.body)), ContentLength: int64(len(c.body)),
	}
}

// isLoopback says whether the host of an address stays on this machine by its form.
func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && address.IsLoopback())
}
