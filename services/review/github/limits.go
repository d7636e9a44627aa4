package github

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"witan.dev/services/review"
)

const (
	minPause = time.Second
	maxPause = time.Hour
	// firstPause is what GitHub asks for where it names no time; it doubles.
	firstPause = time.Minute
)

// backoff remembers how often in a row a pause was asked for without saying how long. Safe for concurrent use.
type backoff struct {
	mu    sync.Mutex
	times int
}

func (b *backoff) next() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	pause := firstPause << min(b.times, 6)
	b.times++
	return min(pause, maxPause)
}

func (b *backoff) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.times = 0
}

// limit reads a refusal for the pause that it asks for; nil where it asks for none. The library knows neither 429 nor the
// secondary limits that are told of in the message only, so the answer is read here.
func (c *connection) limit(status int, h http.Header, message, documentation string) *review.LimitError {
	if status != http.StatusForbidden && status != http.StatusTooManyRequests && status != http.StatusUnprocessableEntity {
		return nil
	}
	now := c.client.p.Clock()
	text := strings.ToLower(message)
	secondary := strings.Contains(text, "secondary rate limit") || strings.Contains(text, "abuse detection") ||
		strings.Contains(documentation, "secondary-rate-limits") || strings.HasSuffix(documentation, "#abuse-rate-limits")
	if status == http.StatusUnprocessableEntity { // "was submitted too quickly", "endpoint has been spammed"
		if !secondary && !strings.Contains(text, "submitted too quickly") && !strings.Contains(text, "spammed") {
			return nil
		}
		secondary = true
	}
	if pause, ok := retryAfter(h.Get("Retry-After"), now); ok {
		return &review.LimitError{Until: now.Add(pause), Secondary: true}
	}
	if h.Get("X-RateLimit-Remaining") == "0" && !secondary {
		return &review.LimitError{Until: reset(h, now, c.backoff.next)}
	}
	if secondary || status == http.StatusTooManyRequests {
		return &review.LimitError{Until: now.Add(c.backoff.next()), Secondary: true}
	}
	return nil
}

func reset(h http.Header, now time.Time, unknown func() time.Duration) time.Time {
	seconds, err := strconv.ParseInt(h.Get("X-RateLimit-Reset"), 10, 64)
	if err != nil || seconds <= 0 {
		return now.Add(unknown())
	}
	return now.Add(clamp(time.Unix(seconds, 0).Sub(now)))
}

// retryAfter reads seconds or a date.
func retryAfter(value string, now time.Time) (time.Duration, bool) {
	if value == "" {
		return 0, false
	}
	if seconds, err := strconv.Atoi(value); err == nil {
		return clamp(time.Duration(min(max(seconds, 0), int(maxPause/time.Second))) * time.Second), true
	}
	if at, err := http.ParseTime(value); err == nil {
		return clamp(at.Sub(now)), true
	}
	return 0, false
}

func clamp(pause time.Duration) time.Duration { return min(max(pause, minPause), maxPause) }
