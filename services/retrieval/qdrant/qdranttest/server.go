// Package qdranttest stands in for Qdrant where none can run: it serves the part of Qdrant's gRPC that Witan uses, over the
// server stubs of Qdrant's own client, from memory. It ranks as Qdrant does (cosine, sparse vectors with the IDF modifier,
// filters; make test-clients compares it with Qdrant's own engine) but exactly, one point after the other.
//
// It is strict. What Qdrant refuses, it refuses with the same code, and beyond that: a filter by a field without an index, a
// request that reads or deletes points of a collection with tenants without naming one, a write that is not waited for,
// and everything that it does not know.
package qdranttest

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"sync"
	"time"

	api "github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
)

// maxRequest is Qdrant's own limit on a request.
const maxRequest = 32 << 20

// Call is one request that was served, and what it was about.
type Call struct {
	Method     string `json:"method"`
	Collection string `json:"collection,omitempty"`
	// Tenant and Repository are those of the filter.
	Tenant     string `json:"tenant,omitempty"`
	Repository string `json:"repository,omitempty"`
	// Using is the vector that ranked.
	Using string `json:"using,omitempty"`
	// Points were written, read, deleted or found.
	Points int `json:"points,omitempty"`
	// Found are the paths of the points that a query found, best first, each once.
	Found []string `json:"found,omitempty"`
	// Detail is all of it, where the log is verbose: see detail.go.
	Detail any `json:"detail,omitempty"`
	// Code is that of a refusal, Error its message.
	Code  string `json:"code,omitempty"`
	Error string `json:"error,omitempty"`
}

// Server is such a server. Safe for concurrent use.
type Server struct {
	api.UnimplementedCollectionsServer
	api.UnimplementedQdrantServer

	points *points // PointsServer has methods of the same names

	mu          sync.Mutex
	collections map[string]*collection
	aliases     map[string]string
	away        bool
	calls       []Call
	log         io.Writer
	verbose     bool
}

// points serves PointsServer.
type points struct {
	api.UnimplementedPointsServer

	*Server
}

// New returns a server without any collection. log takes each call as a line of JSON; nil: nobody does.
func New(log io.Writer) *Server {
	s := &Server{collections: map[string]*collection{}, aliases: map[string]string{}, log: log}
	s.points = &points{Server: s}
	return s
}

// Serve serves on a listener until ctx ends, and closes it. Requests under way are cut off.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	server := grpc.NewServer(grpc.MaxRecvMsgSize(maxRequest), grpc.UnaryInterceptor(s.intercept), grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
		MinTime: time.Second, PermitWithoutStream: true, // Qdrant itself enforces nothing, and its client pings every ten seconds
	}))
	api.RegisterCollectionsServer(server, s)
	api.RegisterQdrantServer(server, s)
	api.RegisterPointsServer(server, s.points)
	stop := context.AfterFunc(ctx, server.Stop)
	defer stop()
	err := server.Serve(listener)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// SetAway makes the server refuse everything as unavailable, or serve again.
func (s *Server) SetAway(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
}

// Forget drops all collections and aliases, as a server that lost its disk.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.collections)
	clear(s.aliases)
}

// SetVerbose makes the log hold every point that is written, and every query with its answer, so that somebody else can
// put the same points into another engine and ask it the same.
func (s *Server) SetVerbose() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.verbose = true
}

// Calls returns what was asked so far.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Call(nil), s.calls...)
}

type callKey struct{}

// intercept writes every request down, one after the other.
func (s *Server) intercept(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	call := Call{Method: info.FullMethod}
	reply, err := any(nil), status.Error(codes.Unavailable, "the test says that it is away")
	if !s.away {
		reply, err = handle(context.WithValue(ctx, callKey{}, &call), request)
	}
	if err != nil {
		call.Code, call.Error = status.Code(err).String(), status.Convert(err).Message()
	}
	if s.log != nil {
		if line, encodeErr := json.Marshal(call); encodeErr == nil {
			_, _ = s.log.Write(append(line, '\n')) // who reads it misses a line
		}
	}
	call.Detail = nil
	s.calls = append(s.calls, call)
	return reply, err
}

// of is the call that is being served.
func of(ctx context.Context) *Call {
	call, _ := ctx.Value(callKey{}).(*Call)
	if call == nil {
		return &Call{}
	}
	return call
}

// HealthCheck says that this is no Qdrant.
func (s *Server) HealthCheck(context.Context, *api.HealthCheckRequest) (*api.HealthCheckReply, error) {
	return &api.HealthCheckReply{Title: "qdranttest", Version: "1.17.1-test"}, nil
}

func invalid(format string, args ...any) error {
	return status.Errorf(codes.InvalidArgument, format, args...)
}
