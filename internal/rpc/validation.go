package rpc

import (
	"context"
	"errors"
	"fmt"

	"buf.build/go/protovalidate"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

func (s *Server) validateUnary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if err := s.validate(req); err != nil {
		return nil, err
	}
	return handler(ctx, req)
}

func (s *Server) validateStream(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	return handler(srv, &validatedStream{ServerStream: ss, validate: s.validate})
}

// validatedStream hands out valid messages only.
type validatedStream struct {
	grpc.ServerStream
	validate func(any) error
}

// RecvMsg receives the next message and checks it against the rules of its proto. What comes after the stream's context
// has ended, because the server stops or the caller's token was withdrawn, is refused.
func (s *validatedStream) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	if ended := context.Cause(s.Context()); ended != nil {
		return ended
	}
	return s.validate(m)
}

// validate checks a request against the rules of its proto; the error names each bad field.
func (s *Server) validate(req any) error {
	message, ok := req.(proto.Message)
	if !ok {
		return fmt.Errorf("validate: %T is no message", req)
	}
	if err := s.fits(message); err != nil {
		return err
	}
	err := s.validator.Validate(message)
	if err == nil {
		return nil
	}
	violated, ok := errors.AsType[*protovalidate.ValidationError](err)
	if !ok {
		return fmt.Errorf("validate %T: %w", req, err) // a rule that does not compile: a bug of ours
	}
	invalid := errInvalidRequest
	for _, v := range violated.Violations {
		invalid = invalid.Field(protovalidate.FieldPathString(v.Proto.GetField()), violation(v))
	}
	return invalid
}

// fits holds messages to MaxReceive where the transport lets larger ones in for the sake of some.
func (s *Server) fits(message proto.Message) error {
	if len(s.cfg.Large) == 0 {
		return nil
	}
	if _, large := s.cfg.Large[string(message.ProtoReflect().Descriptor().FullName())]; large {
		return nil
	}
	if proto.Size(message) > s.cfg.MaxReceive {
		return errMessageTooLarge
	}
	return nil
}

func violation(v *protovalidate.Violation) string {
	if text := v.Proto.GetMessage(); text != "" {
		return text
	}
	return "breaks the rule " + v.Proto.GetRuleId()
}
