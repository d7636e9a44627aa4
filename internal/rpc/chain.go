package rpc

import (
	"context"

	"google.golang.org/grpc"
)

// interceptor is one link of the chain, for unary calls and for streams.
type interceptor struct {
	name   string
	unary  grpc.UnaryServerInterceptor
	stream grpc.StreamServerInterceptor
}

// call is what an interceptor may know of a call.
type call struct {
	method string // full name: /package.Service/Method
	stream bool
}

// around is an interceptor that does the same for unary calls and streams: it sees the call's context and its error.
type around func(ctx context.Context, c call, next func(context.Context) error) error

// chain lists the interceptors, outermost first. The order is a promise: a panic, a refused caller and an invalid
// request are all mapped, then logged, then counted, each under a request ID.
func (s *Server) chain() []interceptor {
	return []interceptor{
		both("request_id", s.requestID),
		both("metrics", s.metrics.observe),
		both("log", s.logCall),
		both("errors", s.mapErrors),
		both("recover", recoverPanic),
		both("auth", s.authenticate),
		{name: "deadline", unary: s.setDeadline, stream: s.endAtStop},
		{name: "validation", unary: s.validateUnary, stream: s.validateStream},
	}
}

func both(name string, f around) interceptor {
	return interceptor{
		name: name,
		unary: func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			var resp any
			err := f(ctx, call{method: info.FullMethod}, func(ctx context.Context) error {
				var err error
				resp, err = handler(ctx, req)
				return err
			})
			if err != nil {
				return nil, err
			}
			return resp, nil
		},
		stream: func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			return f(ss.Context(), call{method: info.FullMethod, stream: true}, func(ctx context.Context) error {
				return handler(srv, &contextStream{ServerStream: ss, context: func() context.Context { return ctx }})
			})
		},
	}
}

// contextStream is a stream whose handler sees another context.
type contextStream struct {
	grpc.ServerStream
	context func() context.Context
}

// Context is the context that the interceptors made.
func (s *contextStream) Context() context.Context { return s.context() }

func serverOptions(chain []interceptor) []grpc.ServerOption {
	unary := make([]grpc.UnaryServerInterceptor, len(chain))
	stream := make([]grpc.StreamServerInterceptor, len(chain))
	for i, link := range chain {
		unary[i], stream[i] = link.unary, link.stream
	}
	return []grpc.ServerOption{grpc.ChainUnaryInterceptor(unary...), grpc.ChainStreamInterceptor(stream...)}
}
