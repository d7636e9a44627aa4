package rpc

import (
	"context"
	"crypto/rand"
	"regexp"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// RequestIDHeader carries a call's ID, in requests and in answers (of streams and failed calls: in the trailer). A caller
// may choose it: 1 to 64 letters, digits, dots, dashes and underscores; anything else is replaced.
const RequestIDHeader = "x-request-id"

type requestIDKey struct{}

// RequestID is the ID of the call that the context belongs to; empty outside of calls.
func RequestID(ctx context.Context) string {
	id, ok := ctx.Value(requestIDKey{}).(string)
	if !ok {
		return ""
	}
	return id
}

// requestID gives a call its ID. Streams and failed calls answer with it in their trailer: headers tell a client that the
// call was accepted, so that it would not try a refused one elsewhere.
func (s *Server) requestID(ctx context.Context, c call, next func(context.Context) error) error {
	id := header(ctx, RequestIDHeader)
	if !s.requestIDs.MatchString(id) {
		id = rand.Text()
	}
	err := next(context.WithValue(ctx, requestIDKey{}, id))
	set := grpc.SetHeader
	if c.stream || err != nil {
		set = grpc.SetTrailer
	}
	if failed := set(ctx, metadata.Pairs(RequestIDHeader, id)); err == nil {
		err = failed
	}
	return err
}

func requestIDPattern() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`) }

// header is the first value of a metadata key, empty without one.
func header(ctx context.Context, key string) string {
	values := metadata.ValueFromIncomingContext(ctx, key)
	if len(values) == 0 {
		return ""
	}
	return values[0]
}
