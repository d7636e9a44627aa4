package githubtest

import (
	"context"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// FaultKind is a way in which a request goes wrong.
type FaultKind string

// The kinds of faults.
const (
	// FailBefore answers Status (502 where it is 0) and does nothing.
	FailBefore FaultKind = "fail before"
	// FailAfter does what was asked and answers Status (502 where it is 0).
	FailAfter FaultKind = "fail after"
	// CutBefore closes the connection without an answer and does nothing.
	CutBefore FaultKind = "cut before"
	// CutAfter does what was asked and closes the connection in the middle of the answer.
	CutAfter FaultKind = "cut after"
	// Slow waits for Delay and then does what was asked.
	Slow FaultKind = "slow"
	// SecondaryLimit answers 403 (or Status 429) with Retry-After, as when too much was written in a short time.
	SecondaryLimit FaultKind = "secondary limit"
	// Spammed answers 422 with the words of the other form of the secondary limit.
	Spammed FaultKind = "spammed"
	// Abuse answers 422 with the third form of it: an error of the code "abuse" and no words.
	Abuse FaultKind = "abuse"
	// PrimaryLimit answers 403 (or Status 429) with nothing remaining and a reset after RetryAfter.
	PrimaryLimit FaultKind = "primary limit"
	// Forbidden answers 403 as for a token that may not.
	Forbidden FaultKind = "forbidden"
)

// Fault is a script for what goes wrong. It hits the requests that match until it has hit Times of them, until its time
// is over, or until it is removed. Of several faults the first that was injected and matches hits a request.
type Fault struct {
	Kind FaultKind
	// Method is GET, POST, …; "write" is every request that asks for a change, also over GraphQL; empty is any.
	Method string
	// Path is a pattern of path.Match for the path below the API's base, such as /repos/*/*/pulls/*/reviews; empty is any.
	Path string
	// Skip lets so many matching requests through first: 2 hits the third.
	Skip int
	// Times is how many requests are hit; 0 is no bound.
	Times int
	// For is how long the fault lasts after its injection; 0 is no bound.
	For time.Duration

	Status     int
	RetryAfter time.Duration
	Delay      time.Duration

	server *Server
	until  time.Time
	seen   int
	hits   int
}

// Inject starts a fault.
func (s *Server) Inject(f Fault) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.server = s
	if f.For > 0 {
		f.until = s.now().Add(f.For)
	}
	if f.Status == 0 && (f.Kind == FailBefore || f.Kind == FailAfter) {
		f.Status = http.StatusBadGateway
	}
	s.faults = append(s.faults, &f)
	return &f
}

// Remove ends the fault.
func (f *Fault) Remove() {
	f.server.mu.Lock()
	defer f.server.mu.Unlock()
	f.server.faults = slices.DeleteFunc(f.server.faults, func(other *Fault) bool { return other == f })
}

// Hits is how many requests the fault has hit.
func (f *Fault) Hits() int {
	f.server.mu.Lock()
	defer f.server.mu.Unlock()
	return f.hits
}

// LagLists hides whatever is written from now on from the next reads of the list that it belongs to, so many times each.
// Single reads by ID are never behind. 0 ends it for what is written later.
func (s *Server) LagLists(reads int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lag = reads
}

// StaleFiles makes pulls/{n}/files answer with the files of the head before the last push, as it did at GitHub after a
// rebase.
func (p *PullRequest) StaleFiles(stale bool) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	p.p.staleFiles = stale
}

// LagHead lets the next reads of the pull request still show the head before the last push.
func (p *PullRequest) LagHead(reads int) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	p.p.lagging = reads
}

// take returns the fault that hits the request, if any.
func (s *Server) take(r *Request, who identity) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		if !f.matches(r) || f.Times > 0 && f.hits >= f.Times || !f.until.IsZero() && !s.now().Before(f.until) {
			continue
		}
		f.seen++
		if f.seen <= f.Skip {
			continue
		}
		f.hits++
		if f.Kind == PrimaryLimit {
			m := s.meter(who)
			m.used, m.reset = m.limit, s.now().Add(f.RetryAfter)
		}
		return f
	}
	return nil
}

func (f *Fault) matches(r *Request) bool {
	if f.Method == write && !r.Write() || f.Method != "" && f.Method != write && f.Method != r.Method {
		return false
	}
	if f.Path == "" {
		return true
	}
	matched, err := path.Match(f.Path, r.Path)
	return err == nil && matched
}

// before says that the request is not handled at all.
func (f *Fault) before() bool {
	switch f.Kind {
	case FailAfter, CutAfter, Slow:
		return false
	default:
		return true
	}
}

// wait lets the time of a slow answer pass; false: the client or the server went away meanwhile.
func (s *Server) wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-s.closing.Done():
	}
	return false
}

func (s *Server) faultAnswer(f *Fault) answer {
	switch f.Kind {
	case SecondaryLimit:
		return secondary(f.Status, f.RetryAfter)
	case PrimaryLimit:
		return primary(f.Status)
	case Spammed:
		return refusal(http.StatusUnprocessableEntity, "Validation Failed", object{
			"resource": "PullRequestReview", "code": "unprocessable", "field": "data", "message": "was submitted too quickly",
		})
	case Abuse:
		return refusal(http.StatusUnprocessableEntity, "Validation Failed", object{"resource": "PullRequestReviewComment", "code": "abuse", "field": "base"})
	case Forbidden:
		return refusal(http.StatusForbidden, "Resource not accessible by integration")
	default:
		return broken(f.Status)
	}
}

func secondary(status int, after time.Duration) answer {
	a := refusal(max(status, http.StatusForbidden), "You have exceeded a secondary rate limit and have been temporarily blocked from content creation. Please retry your request again later.")
	a.value.(object)["documentation_url"] = "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits" //nolint:errcheck,forcetypeassert // made above
	if after > 0 {
		a.header = map[string]string{"Retry-After": strconv.Itoa(int(after.Round(time.Second) / time.Second))}
	}
	return a
}

func primary(status int) answer {
	return refusal(max(status, http.StatusForbidden), "API rate limit exceeded for installation.")
}

// Limits are the rate limits that the server keeps by itself, for each token's owner; 0 is no limit.
type Limits struct {
	// Primary is requests an hour, 5,000 where it is 0. Answers of 304 do not count.
	Primary int
	// Points a minute: a read is 1, a write 5.
	Points int
	// Content is how many things may be written in a minute.
	Content int
	// Concurrent is how many requests may be under way at once.
	Concurrent int
}

// DocumentedLimits are those that GitHub documents: 5,000 requests an hour, 900 points and 80 contents a minute, 100 at once.
func DocumentedLimits() Limits {
	return Limits{Primary: 5000, Points: 900, Content: 80, Concurrent: 100}
}

// meter counts the requests of one owner of tokens.
type meter struct {
	limit, used    int
	reset          time.Time
	window         time.Time
	points, writes int
	running        int
}

// meter finds the meter of a caller. The caller holds the lock.
func (s *Server) meter(who identity) *meter {
	m := s.meters[who.meter]
	if m == nil {
		m = &meter{limit: max(s.options.Limits.Primary, 0)}
		if m.limit == 0 {
			m.limit = 5000
		}
		if who.account == nil && !who.jwt {
			m.limit = 60
		}
		s.meters[who.meter] = m
	}
	now := s.now()
	if !now.Before(m.reset) {
		m.used, m.reset = 0, now.Add(time.Hour)
	}
	if now.Sub(m.window) >= time.Minute {
		m.window, m.points, m.writes = now, 0, 0
	}
	return m
}

// limited counts the request and answers instead of its handler when a limit is reached; else the answer is empty.
func (s *Server) limited(c *call, requestPath string) answer {
	if requestPath == "/rate_limit" {
		return answer{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.meter(c.who)
	if m.used >= m.limit {
		return primary(0)
	}
	m.used++
	limits := s.options.Limits
	m.running++
	c.counted = m
	points := 1
	if c.Method != http.MethodGet && c.Method != http.MethodHead {
		points = 5
		m.writes++
	}
	m.points += points
	if limits.Points > 0 && m.points > limits.Points || limits.Content > 0 && m.writes > limits.Content ||
		limits.Concurrent > 0 && m.running > limits.Concurrent {
		return secondary(0, m.window.Add(time.Minute).Sub(s.now())+time.Second)
	}
	return answer{}
}

// done ends what limited counts as under way.
func (s *Server) done(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.counted != nil {
		c.counted.running--
	}
}

// refund takes back a request that turned out to be 304.
func (s *Server) refund(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.meter(c.who); m.used > 0 {
		m.used--
	}
}

func (s *Server) limitHeaders(h http.Header, c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.meter(c.who)
	resource := "core"
	if strings.HasSuffix(c.URL.Path, "/graphql") {
		resource = "graphql"
	}
	for name, v := range map[string]string{
		"Limit": strconv.Itoa(m.limit), "Remaining": strconv.Itoa(max(m.limit-m.used, 0)), "Used": strconv.Itoa(m.used),
		"Reset": strconv.FormatInt(m.reset.Unix(), 10), "Resource": resource,
	} {
		h.Set("X-RateLimit-"+name, v)
	}
}

func (s *Server) getRateLimit(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.meter(c.who)
	one := object{"limit": m.limit, "used": m.used, "remaining": max(m.limit-m.used, 0), "reset": m.reset.Unix()}
	return ok(object{"resources": object{"core": one, "graphql": one, "search": one}, "rate": one})
}
