package github_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"witan.dev/internal/secret"
	"witan.dev/services/review"
	"witan.dev/services/review/github"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	head = "1111111111111111111111111111111111111111"
	tip  = "2222222222222222222222222222222222222222"
	old  = "3333333333333333333333333333333333333333"
)

// hub is a server that answers what a test tells it to, below /api/v3 as an Enterprise server does.
type hub struct {
	*httptest.Server

	t *testing.T

	mu       sync.Mutex
	routes   map[string]http.HandlerFunc
	seen     []string // method, path and query
	minted   []map[string]string
	narrowed [][]int64
	lifetime time.Duration
}

func newHub(t *testing.T, routes map[string]http.HandlerFunc) *hub {
	t.Helper()
	h := &hub{t: t, routes: maps.Clone(routes), lifetime: time.Hour}
	h.Server = httptest.NewServer(h)
	t.Cleanup(h.Close)
	return h
}

func (h *hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, ok := strings.CutPrefix(r.URL.EscapedPath(), "/api/v3")
	if !ok {
		path = r.URL.EscapedPath()
	}
	h.mu.Lock()
	h.seen = append(h.seen, r.Method+" "+path+"?"+r.URL.RawQuery)
	handler := h.routes[r.Method+" "+path]
	h.mu.Unlock()
	switch {
	case handler != nil:
		handler(w, r)
	case r.Method == http.MethodPost && strings.HasSuffix(path, "/access_tokens"):
		h.mint(w, r)
	default:
		answer(http.StatusNotFound, `{"message":"Not Found"}`)(w, r)
	}
}

func (h *hub) mint(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Permissions  map[string]string `json:"permissions"`
		Repositories []int64           `json:"repository_ids"`
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	h.mu.Lock()
	h.minted, h.narrowed = append(h.minted, asked.Permissions), append(h.narrowed, asked.Repositories)
	n, lifetime := len(h.minted), h.lifetime
	h.mu.Unlock()
	w.WriteHeader(http.StatusCreated)
	_, _ = fmt.Fprintf(w, `{"token":"ghs_minted%d","expires_at":%q}`, n, time.Now().Add(lifetime).UTC().Format(time.RFC3339))
}

func (h *hub) on(route string, handler http.HandlerFunc) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.routes[route] = handler
}

func (h *hub) requests(prefix string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, s := range h.seen {
		if strings.HasPrefix(s, prefix) {
			n++
		}
	}
	return n
}

// client reads with a plain token.
func (h *hub) client(change ...func(*github.Params)) *github.Client {
	h.t.Helper()
	p := github.Params{BaseURL: h.URL, Token: secret.New("ghp_planted"), Transport: h.Client().Transport, WritePace: -1}
	for _, c := range change {
		c(&p)
	}
	c, err := github.NewClient(p)
	require.NoError(h.t, err)
	return c
}

func (h *hub) repo() review.Repo {
	return review.Repo{Host: strings.TrimPrefix(h.URL, "http://"), Owner: "octo", Name: "site"}
}

func (h *hub) pull() review.PullRef { return review.PullRef{Repo: h.repo(), Number: 5} }

func asApp(t *testing.T) func(*github.Params) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // signs for a test, quickly
	require.NoError(t, err)
	encoded := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	return func(p *github.Params) {
		p.Token = secret.Text{}
		p.AppID, p.PrivateKey = 7, secret.New(string(encoded))
	}
}

// answer is a handler with a fixed answer; headers are pairs.
func answer(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// inOrder answers one request after the other; the last handler stays.
func inOrder(handlers ...http.HandlerFunc) http.HandlerFunc {
	var mu sync.Mutex
	return func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		handler := handlers[0]
		if len(handlers) > 1 {
			handlers = handlers[1:]
		}
		mu.Unlock()
		handler(w, r)
	}
}

// pullJSON is a pull request; further is put into its object.
func pullJSON(headRepo, further string) string {
	return fmt.Sprintf(`{"number":5,"state":"open","title":"Add\na thing","body":"text","user":{"login":"ann","type":"User"},
		"labels":[{"name":"bug"}],"changed_files":3,"html_url":"https://x/pull/5",
		"base":{"ref":"main","sha":%q,"repo":{"id":42,"name":"site","owner":{"login":"octo"},"default_branch":"main"}},
		"head":{"ref":"topic","sha":%q,"repo":%s}%s}`, old, head, headRepo, further)
}

func refJSON(branch string) string {
	return fmt.Sprintf(`{"name":%q,"commit":{"sha":%q}}`, branch, tip)
}

const (
	routePull = "GET /repos/octo/site/pulls/5"
	routeTip  = "GET /repos/octo/site/branches/main"
	ownRepo   = `{"id":42,"name":"site","owner":{"login":"octo"}}`
)

func pullRoutes() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		routePull: answer(http.StatusOK, pullJSON(ownRepo, "")),
		routeTip:  answer(http.StatusOK, refJSON("main")),
	}
}
