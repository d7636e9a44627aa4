package qdrant

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	api "github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"witan.dev/internal/secret"
	"witan.dev/services/retrieval"
)

// How long one request may take, retries included.
const (
	searchTimeout = 2 * time.Second
	readTimeout   = 5 * time.Second
	writeTimeout  = 30 * time.Second
)

// retries says which requests are sent again by themselves: all of them have the same effect twice.
const retries = `{"methodConfig": [{"name": [{}], "retryPolicy": {
	"maxAttempts": 4, "initialBackoff": "0.1s", "maxBackoff": "1s", "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"]
}}]}`

// defaultPort is that of Qdrant's gRPC.
const defaultPort = 6334

// Index is the search index of a cluster. Safe for concurrent use by any number of processes.
type Index struct {
	client *api.Client
	codes  retrieval.Codes
	alias  string

	// preparing is held while the collection is looked for or made.
	preparing chan struct{}
	ready     atomic.Bool
}

var _ retrieval.Rankings = (*Index)(nil)

// Params say where Qdrant is.
type Params struct {
	// URL of its gRPC, http or https; without a port: 6334.
	URL string
	// APIKey is shown with every request, unless it is empty.
	APIKey secret.Text
	// Codes are read for what is written.
	Codes retrieval.Codes
	// Prefix begins the names of collections; empty: witan. Systems that share a Qdrant have different ones.
	Prefix string
}

// New returns an index. Qdrant need not be there yet. The caller closes it.
func New(p Params) (*Index, error) {
	u, err := url.Parse(p.URL)
	if err != nil {
		return nil, fmt.Errorf("qdrant: %w", err)
	}
	port := defaultPort
	if u.Port() != "" {
		if port, err = strconv.Atoi(u.Port()); err != nil {
			return nil, fmt.Errorf("qdrant: %w", err)
		}
	}
	client, err := api.NewClient(&api.Config{
		Host: u.Hostname(), Port: port, UseTLS: u.Scheme == "https",
		SkipCompatibilityCheck: true, // it asks the server, which may be away, and logs past our logger
		GrpcOptions:            []grpc.DialOption{grpc.WithDefaultServiceConfig(retries), grpc.WithChainUnaryInterceptor(showing(p.APIKey))},
	})
	if err != nil {
		return nil, fmt.Errorf("qdrant: %w", err)
	}
	return &Index{client: client, codes: p.Codes, alias: aliasName(cmp.Or(p.Prefix, "witan")), preparing: make(chan struct{}, 1)}, nil
}

// showing adds the key to every request. The client's own way warns on the default logger where there is no TLS.
func showing(key secret.Text) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		if !key.IsZero() {
			ctx = metadata.AppendToOutgoingContext(ctx, "api-key", key.Reveal())
		}
		return invoke(ctx, method, req, reply, conn, opts...)
	}
}

// Close ends the connections.
func (x *Index) Close() error { return x.client.Close() }

// Status is what an operator wants to know.
type Status struct {
	// Version of the server.
	Version string
	// Collection is what the alias names; empty before the first use.
	Collection string
	// Points of all repositories.
	Points uint64
}

// Status asks the server how it is. It changes nothing.
func (x *Index) Status(ctx context.Context) (Status, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	reply, err := x.client.HealthCheck(ctx)
	if err != nil {
		return Status{}, err
	}
	s := Status{Version: reply.GetVersion()}
	if s.Collection, err = x.behindAlias(ctx); err != nil || s.Collection == "" {
		return s, err
	}
	info, err := x.client.GetCollectionInfo(ctx, s.Collection)
	s.Points = info.GetPointsCount()
	return s, err
}

// call makes one request within its time, on a collection that is there.
func (x *Index) call(ctx context.Context, timeout time.Duration, what string, request func(ctx context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := x.ensure(limited); err != nil {
		return x.away(ctx, "prepare the collection", err)
	}
	if err := request(limited); err != nil {
		return x.away(ctx, what, err)
	}
	return nil
}

// away makes an error of Qdrant one that callers know. A collection that is gone is made again by the next request.
func (x *Index) away(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("qdrant: %s: %w", what, context.Cause(ctx))
	}
	if status.Code(cause(err)) == codes.NotFound {
		x.ready.Store(false)
	}
	return fmt.Errorf("qdrant: %s: %w: %w", what, retrieval.ErrRankingsAway, err)
}

// cause is the error below the client's own.
func cause(err error) error {
	if wrapped, ok := errors.AsType[*api.QdrantError](err); ok {
		return wrapped.Unwrap()
	}
	return err
}
