// Package server is the gRPC adapter of the parser: it translates messages and calls.
package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	parserv1 "witan.dev/gen/witan/parser/v1"
	"witan.dev/services/parser"
)

// Server implements witan.parser.v1.ParserService. It may be shared by goroutines.
type Server struct {
	parserv1.UnimplementedParserServiceServer
	service *parser.Service
}

var _ parserv1.ParserServiceServer = (*Server)(nil)

// New returns a server over the service.
func New(service *parser.Service) *Server { return &Server{service: service} }

// Register adds the service to a gRPC server.
func (s *Server) Register(registrar grpc.ServiceRegistrar) {
	parserv1.RegisterParserServiceServer(registrar, s)
}

// ListLanguages names the languages with a grammar, sorted by ID.
func (s *Server) ListLanguages(
	context.Context, *parserv1.ListLanguagesRequest,
) (*parserv1.ListLanguagesResponse, error) {
	response := &parserv1.ListLanguagesResponse{}
	for _, l := range s.service.Languages() {
		response.Languages = append(response.Languages, languageToProto(l))
	}
	return response, nil
}

// Parse reads one file.
func (s *Server) Parse(ctx context.Context, request *parserv1.ParseRequest) (*parserv1.ParseResponse, error) {
	result, err := s.service.Parse(ctx, requestFromProto(request))
	if err != nil {
		return nil, fmt.Errorf("parse %q: %w", request.GetId(), err)
	}
	return responseToProto(request, result), nil
}

// ParseMany reads the files of a stream, at most parser.MaxInFlight at a time. After an error the stream ends; files in
// flight are finished first, so that no work goes on behind the caller's back.
func (s *Server) ParseMany(stream parserv1.ParserService_ParseManyServer) error {
	group, ctx := errgroup.WithContext(stream.Context())
	group.SetLimit(parser.MaxInFlight)
	m := &many{server: s, stream: stream, inFlight: make(map[string]bool)}
	err := m.receive(ctx, group)
	return errors.Join(group.Wait(), err)
}

// many is one ParseMany stream.
type many struct {
	server *Server
	stream parserv1.ParserService_ParseManyServer

	mu       sync.Mutex
	inFlight map[string]bool

	sending sync.Mutex // a caller who does not read holds this one for long
}

func (m *many) receive(ctx context.Context, group *errgroup.Group) error {
	for ctx.Err() == nil {
		message, err := m.stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		request := message.GetRequest()
		if err := m.begin(request); err != nil {
			return err
		}
		group.Go(func() error { return m.answer(ctx, request) })
	}
	return nil // the group knows why
}

// begin refuses what would be an error later: then the stream can end here, where nothing waits for the caller.
func (m *many) begin(request *parserv1.ParseRequest) error {
	if err := m.server.service.Check(requestFromProto(request)); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	id := request.GetId()
	if id == "" || m.inFlight[id] {
		return parser.ErrIDInvalid.Field("request.id", "must be set and differ from those in flight")
	}
	m.inFlight[id] = true
	return nil
}

func (m *many) answer(ctx context.Context, request *parserv1.ParseRequest) error {
	response, err := m.server.Parse(ctx, request)
	if err != nil {
		return err
	}
	m.mu.Lock()
	delete(m.inFlight, request.GetId())
	m.mu.Unlock()
	m.sending.Lock()
	defer m.sending.Unlock()
	return m.stream.Send(&parserv1.ParseManyResponse{Response: response})
}
