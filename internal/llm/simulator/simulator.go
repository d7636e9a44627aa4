// Package simulator serves simulated models over OpenAI's wire format, so that whole systems can be tried and tested without
// a key: with latency, failures, cut streams, and a log of the calls. Its answers say that they are simulated.
package simulator

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"witan.dev/internal/llm/simulated"
)

const (
	maxRequest  = 16 << 20
	maxMessages = 1_000
	fingerprint = "simulated"
)

// Params is what a simulator needs.
type Params struct {
	// Addr is host:port; port 0 picks a free one. Empty: 127.0.0.1:7490.
	Addr string
	// Script says how it behaves; nil: without rules.
	Script *simulated.Script
	// Models are listed by /v1/models; any other name is answered as well. Empty: simulated-a to simulated-c.
	Models []string
	// CallLog gets one line of JSON a call, just before the last bytes of its answer; nil: none.
	CallLog io.Writer
	// LogMessages adds to each line what was sent. It may hold whatever the callers send.
	LogMessages bool
	// Logger is the process's own log.
	Logger *slog.Logger
}

// Server is the simulator. Stop before Start and Stop twice do nothing.
type Server struct {
	params Params
	engine *simulated.Engine
	log    callLog

	mu       sync.Mutex
	server   *http.Server
	listener net.Listener
	served   chan struct{}
	end      context.CancelFunc
}

// New makes a simulator that is not serving yet.
func New(p Params) *Server {
	if p.Addr == "" {
		p.Addr = "127.0.0.1:7490"
	}
	if len(p.Models) == 0 {
		p.Models = []string{"simulated-a", "simulated-b", "simulated-c"}
	}
	if p.Logger == nil {
		p.Logger = slog.New(slog.DiscardHandler)
	}
	return &Server{params: p, engine: simulated.NewEngine(p.Script), log: callLog{out: p.CallLog, counts: map[[2]string]int{}}}
}

// Start listens and serves until Stop.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server != nil {
		return errors.New("the simulator is started already")
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.params.Addr)
	if err != nil {
		return fmt.Errorf("simulator: %w", err)
	}
	base, end := context.WithCancel(context.WithoutCancel(ctx))
	s.listener, s.end, s.served = listener, end, make(chan struct{})
	s.server = &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		BaseContext: func(net.Listener) context.Context { return base },
		ErrorLog:    slog.NewLogLogger(s.params.Logger.Handler(), slog.LevelDebug),
	}
	go func() {
		defer close(s.served)
		if err := s.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.params.Logger.ErrorContext(base, "simulator stopped", slog.Any("error", err))
		}
	}()
	return nil
}

// Stop breaks calls under way off and waits for their handlers, at most until ctx ends.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server == nil {
		return nil
	}
	s.end()
	err := s.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.server.Close())
	}
	<-s.served
	s.server = nil
	return err
}

// URL is the base URL for clients, for example http://127.0.0.1:7490/v1; empty before Start.
func (s *Server) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return ""
	}
	return "http://" + s.listener.Addr().String() + "/v1"
}

// Handler is the simulator as an HTTP handler.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", s.listModels)
	mux.HandleFunc("POST /v1/chat/completions", s.complete)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, http.StatusNotFound, "not_found", "[simulated] "+r.Method+" "+r.URL.Path+" is not served; /v1/chat/completions and /v1/models are")
	})
	return mux
}

func (s *Server) listModels(w http.ResponseWriter, _ *http.Request) {
	type model struct {
		ID      string `json:"id"`
		Object  string `json:"object"`
		Created int64  `json:"created"`
		OwnedBy string `json:"owned_by"`
	}
	list := struct {
		Object string  `json:"object"`
		Data   []model `json:"data"`
	}{Object: "list", Data: []model{}}
	for _, name := range s.params.Models {
		list.Data = append(list.Data, model{ID: name, Object: "model", OwnedBy: fingerprint})
	}
	writeJSON(w, http.StatusOK, list)
}

// Entry is one line of the call log.
type Entry struct {
	// Time is when the call came in.
	Time  time.Time `json:"time"`
	Model string    `json:"model"`
	// MessagesSHA256 is over the messages as they stand in the request.
	MessagesSHA256 string `json:"messages_sha256"`
	// Messages are they themselves, where they are logged.
	Messages       json.RawMessage `json:"messages,omitempty"`
	IdempotencyKey string          `json:"idempotency_key,omitempty"`
	Schema         string          `json:"schema,omitempty"`
	// N counts the calls of this model and schema, from 1.
	N      int  `json:"n"`
	Stream bool `json:"stream"`
	// Outcome is "answered" (to its end), "cut" (the answer did not come to its end, by the script or by the caller) or "failed" (a
	// status of 400 or more, or a body that is no answer).
	Outcome    string `json:"outcome"`
	Status     int    `json:"status"`
	DurationMS int64  `json:"duration_ms"`
}

// Outcomes of a call.
const (
	OutcomeAnswered = "answered"
	OutcomeCut      = "cut"
	OutcomeFailed   = "failed"
)

type callLog struct {
	mu     sync.Mutex
	out    io.Writer
	counts map[[2]string]int
}

const maxCounts = 10_000 // names come from outside

func (l *callLog) count(model, schema string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := [2]string{model, schema}
	if len(l.counts) >= maxCounts && l.counts[key] == 0 {
		return 0
	}
	l.counts[key]++
	return l.counts[key]
}

func (l *callLog) write(e Entry) error {
	if l.out == nil {
		return nil
	}
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err = l.out.Write(append(line, '\n'))
	return err
}

func hash(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}
