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
	until time.Time
}

// next is the pause from now on. Answers during a pause are to requests that were under way: they belong to it.
func (b *backoff) next(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Before(b.until) {
		return b.until.Sub(now)
	}
	pause := min(firstPause<<min(b.times, 6), maxPause)
	b.times++
	b.until = now.Add(pause)
	return pause
}

// reset forgets the pauses, since an answer came that is none to a request from before the last one.
func (b *backoff) reset(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !now.Before(b.until) {
		b.times = 0
	}
}

// shorten cuts the pauses that an answer asks for. The library keeps them as they are, and asks nothing until their end.
func shorten(h http.Header, now time.Time) {
	const resetHeader, retryHeader = "X-RateLimit-Reset", "Retry-After"
	if value := h.Get(resetHeader); value != "" {
		latest := now.Add(maxPause).Unix()
		if seconds, err := strconv.ParseInt(value, 10, 64); err != nil {
			h.Del(resetHeader)
		} else if seconds > latest {
			h.Set(resetHeader, strconv.FormatInt(latest, 10))
		}
	}
	const longest = int64(maxPause / time.Second)
	if seconds, _ := strconv.ParseInt(h.Get(retryHeader), 10, 64); seconds > longest { // out of range, it is the largest
		h.Set(retryHeader, strconv.FormatInt(longest, 10))
	}
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
		return &review.LimitError{Until: reset(h, now, func() time.Duration { return c.backoff.next(now) })}
	}
	if secondary || status == http.StatusTooManyRequests {
		return &review.LimitError{Until: now.Add(c.backoff.next(now)), Secondary: true}
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
