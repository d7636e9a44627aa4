package githubtest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// Options says how a server starts; the zero value is a usable one.
type Options struct {
	// Addr is the address to listen on; by default a free port of 127.0.0.1.
	Addr string
	// Dir is where the bare repositories are put; by default a new temporary folder, which Close removes.
	Dir string
	// Now is the clock of the server: dates of objects, expiry of tokens, windows of limits; by default time.Now.
	Now func() time.Time
	// TokenLife is how long an installation token is good; by default an hour, as at GitHub.
	TokenLife time.Duration
	// Limits are the rate limits; by default the primary one only.
	Limits Limits
	// AppPermissions is what the App was granted when it was installed; by default DefaultPermissions.
	AppPermissions map[string]string
}

// Server is a simulated GitHub. Its methods are safe for concurrent use.
type Server struct {
	// URL is the server's address, as https://github.com would be: pages and git transport.
	URL string
	// APIURL is the base of the REST API as on GitHub Enterprise, <URL>/api/v3; the routes stand below <URL> as well.
	APIURL string
	// GraphQLURL is where the three GraphQL documents go.
	GraphQLURL string

	options Options
	dir     string
	ownDir  bool
	http    *http.Server
	table   []route
	served  chan struct{}
	closing context.Context //nolint:containedctx // the life of the server's own deliveries
	close   context.CancelFunc

	mu       sync.Mutex
	ids      int64
	accounts map[string]*account
	repos    map[int64]*repository
	names    map[string]int64 // lower-case owner/name, also former ones
	app      *app
	tokens   map[[sha256.Size]byte]*token
	requests []Request
	posts    []*post
	faults   []*Fault
	meters   map[string]*meter
	lag      int
	hooks    hooks
}

// requestsVariable names a folder where New leaves the requests of each test, a JSON object a line, so that they can be
// checked against GitHub's schemas (test/clients).
const requestsVariable = "WITAN_TEST_GITHUB_REQUESTS"

// New starts a server for a test and closes it at the test's end.
func New(t testing.TB, options Options) *Server {
	t.Helper()
	if options.Dir == "" {
		options.Dir = t.TempDir()
	}
	s, err := Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close the simulated GitHub: %v", err)
		}
		if dir := os.Getenv(requestsVariable); dir != "" {
			if err := s.leaveRequests(dir); err != nil {
				t.Errorf("leave the requests: %v", err)
			}
		}
	})
	return s
}

// Start starts a server, which ends by Close and not with ctx.
func Start(ctx context.Context, options Options) (*Server, error) {
	s := &Server{
		options: options, dir: options.Dir, ids: 1_000_000,
		accounts: map[string]*account{}, repos: map[int64]*repository{}, names: map[string]int64{},
		tokens: map[[sha256.Size]byte]*token{}, meters: map[string]*meter{}, served: make(chan struct{}),
	}
	if s.options.Now == nil {
		s.options.Now = time.Now
	}
	if s.options.TokenLife == 0 {
		s.options.TokenLife = time.Hour
	}
	if s.options.AppPermissions == nil {
		s.options.AppPermissions = DefaultPermissions()
	}
	if s.options.Addr == "" {
		s.options.Addr = "127.0.0.1:0"
	}
	if s.dir == "" {
		dir, err := os.MkdirTemp("", "githubtest-")
		if err != nil {
			return nil, err
		}
		s.dir, s.ownDir = dir, true
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.options.Addr)
	if err != nil {
		return nil, errors.Join(err, s.removeDir())
	}
	s.URL = "http://" + listener.Addr().String()
	s.APIURL, s.GraphQLURL = s.URL+"/api/v3", s.URL+"/api/graphql"
	s.closing, s.close = context.WithCancel(context.WithoutCancel(ctx))
	s.table = s.routes()
	s.http = &http.Server{Handler: http.HandlerFunc(s.serve), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(s.served)
		_ = s.http.Serve(listener)
	}()
	return s, nil
}

// Close ends the server: connections are cut, deliveries under way are given up.
func (s *Server) Close() error {
	s.close()
	err := s.http.Close()
	<-s.served
	s.hooks.wait()
	return errors.Join(err, s.removeDir())
}

// leaveRequests writes the requests that were accepted into a new file of the folder.
func (s *Server) leaveRequests(dir string) error {
	f, err := os.CreateTemp(dir, "*.jsonl")
	if err != nil {
		return err
	}
	e := json.NewEncoder(f)
	for _, r := range s.Requests() {
		if r.Status >= 200 && r.Status < 300 && !isGit(r.Path) {
			err = errors.Join(err, e.Encode(object{"method": r.Method, "path": r.Path, "query": r.Query, "body": string(r.Body), "status": r.Status}))
		}
	}
	return errors.Join(err, f.Close())
}

func (s *Server) removeDir() error {
	if !s.ownDir {
		return nil
	}
	return os.RemoveAll(s.dir)
}

func (s *Server) now() time.Time { return s.options.Now().UTC() }

// next returns a new ID, unique over all kinds of objects.
func (s *Server) next() int64 {
	s.ids += 7
	return s.ids
}

// maxBody bounds what a request may bring: GitHub's own limits of single fields are far below.
const maxBody = 32 << 20

// call is one request on its way.
type call struct {
	*http.Request
	body   []byte
	who    identity
	repo   *repository
	answer answer
	// counted is the meter on which the request is under way.
	counted *meter
}

// answer is what goes back: a JSON value, or bytes of another type.
type answer struct {
	status int
	header map[string]string
	value  any
	bytes  []byte
}

func ok(value any) answer      { return answer{status: http.StatusOK, value: value} }
func created(value any) answer { return answer{status: http.StatusCreated, value: value} }

// refusal is an error of the API in GitHub's shape.
func refusal(status int, message string, errs ...any) answer {
	body := object{"message": message, "documentation_url": "https://docs.github.com/rest", "status": fmt.Sprint(status)}
	if len(errs) > 0 {
		body["errors"] = errs
	}
	return answer{status: status, value: body}
}

func notFound() answer { return refusal(http.StatusNotFound, "Not Found") }

// broken is the page that GitHub's front serves when what lies behind it fails.
func broken(status int) answer {
	return answer{
		status: status, header: map[string]string{"Content-Type": "text/html; charset=utf-8"},
		bytes: fmt.Appendf(nil, "<!DOCTYPE html><html><head><title>Unicorn! &middot; GitHub</title></head><body>%d: this page is taking too long to load.</body></html>", status),
	}
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	for _, prefix := range []string{"/api/v3", "/api/graphql"} {
		if rest, found := strings.CutPrefix(path, prefix); found && (rest == "" || rest[0] == '/') {
			if path = rest; prefix == "/api/graphql" {
				path = "/graphql" + rest
			}
			break
		}
	}
	record := Request{Time: s.now(), Method: r.Method, Path: path, Query: r.URL.RawQuery}
	defer func() { s.record(record) }()
	if isGit(path) {
		s.serveGit(w, r, &record)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		record.Status = http.StatusRequestEntityTooLarge
		http.Error(w, "body too large or cut", record.Status)
		return
	}
	record.Body = body
	c := &call{Request: r, body: body}
	defer s.done(c)
	if path == "/graphql" {
		record.Operation = operationOf(body)
	}
	who, problem := s.authenticate(r)
	c.who, record.Token, record.Permissions = who, who.kind(), who.permissions
	fault := s.take(&record, who)
	if fault != nil && !s.wait(r.Context(), fault.Delay) {
		return
	}
	switch {
	case fault != nil && fault.Kind == CutBefore:
		record.Fault = fault.Kind
		panic(http.ErrAbortHandler)
	case fault != nil && fault.before():
		record.Fault = fault.Kind
		c.answer = s.faultAnswer(fault)
	case problem != nil:
		c.answer = *problem
	default:
		if c.answer = s.limited(c, path); c.answer.status == 0 {
			s.dispatch(c, path)
		}
		if fault != nil && (fault.Kind == FailAfter || fault.Kind == CutAfter) {
			record.Fault, record.Done = fault.Kind, c.answer.status
			if fault.Kind == FailAfter {
				c.answer = broken(fault.Status)
			}
		}
	}
	if fault == nil || fault.Kind != CutAfter {
		record.Status = c.answer.status
	}
	s.write(w, c, fault)
}

// dispatch answers by the route of the path; a renamed repository is where it is now.
func (s *Server) dispatch(c *call, path string) {
	if c.UserAgent() == "" {
		c.answer = refusal(http.StatusForbidden, "Request forbidden by administrative rules. Please make sure your request has a User-Agent header.")
		return
	}
	if rest, found := strings.CutPrefix(path, "/repositories/"); found {
		id, tail, _ := strings.Cut(rest, "/")
		name, known := s.nameOf(id)
		if !known {
			c.answer = notFound()
			return
		}
		path = strings.TrimSuffix("/repos/"+name+"/"+tail, "/")
	}
	c.URL.Path, c.URL.RawPath = path, ""
	for _, r := range s.table {
		if r.match(c, path) {
			c.answer = r.handle(c)
			return
		}
	}
	c.answer = notFound()
}

// write sends the answer with the headers that every one of GitHub's has, 304 where the caller has it already.
func (s *Server) write(w http.ResponseWriter, c *call, fault *Fault) {
	a := c.answer
	h := w.Header()
	h.Set("X-GitHub-Request-Id", strings.ToUpper(randomHex(8)))
	h.Set("X-GitHub-Media-Type", "github.v3; format=json")
	h.Set("Content-Type", "application/json; charset=utf-8")
	s.limitHeaders(h, c)
	for k, v := range a.header {
		h.Set(k, v)
	}
	if a.value != nil {
		encoded, err := json.Marshal(a.value)
		if err != nil {
			a.status, encoded = http.StatusInternalServerError, []byte(err.Error())
		}
		a.bytes = encoded
	}
	if c.Method == http.MethodGet && a.status == http.StatusOK {
		sum := sha256.Sum256(append([]byte(h.Get("Content-Type")), a.bytes...))
		tag := `W/"` + hex.EncodeToString(sum[:]) + `"`
		h.Set("ETag", tag)
		if sent := c.Header.Get("If-None-Match"); sent != "" && (sent == tag || "W/"+sent == tag) {
			s.refund(c)
			s.limitHeaders(h, c)
			a.status, a.bytes = http.StatusNotModified, nil
		}
	}
	if fault != nil && fault.Kind == CutAfter {
		h.Set("Content-Length", fmt.Sprint(len(a.bytes)))
		w.WriteHeader(a.status)
		_, _ = w.Write(a.bytes[:len(a.bytes)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.bytes)
}

// decode reads the body into v: unknown keys and wrong types are refused as GitHub's schema check does.
func (c *call) decode(v any) *answer {
	d := json.NewDecoder(strings.NewReader(string(c.body)))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil && d.More() {
		err = errors.New("more than one value")
	}
	if err == nil {
		return nil
	}
	a := refusal(http.StatusBadRequest, "Problems parsing JSON")
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong):
		a = refusal(http.StatusUnprocessableEntity, fmt.Sprintf("Invalid request.\n\nFor 'properties/%s', %s is not of type %s.", wrong.Field, wrong.Value, wrong.Type))
	case strings.HasPrefix(err.Error(), "json: unknown field"):
		a = refusal(http.StatusUnprocessableEntity, fmt.Sprintf("Invalid request.\n\n%s is not a permitted key.", strings.TrimPrefix(err.Error(), "json: unknown field ")))
	}
	return &a
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}
