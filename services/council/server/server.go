// Package server is the gRPC side of the council: it translates messages and calls, and decides nothing.
package server

import (
	"context"
	"crypto/sha256"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	councilv1 "witan.dev/gen/witan/council/v1"
	"witan.dev/internal/apierr"
	"witan.dev/internal/auth"
	"witan.dev/services/council"
	"witan.dev/services/council/wire"
)

// What the contract names and this version does not do.
var (
	errNoPresets = apierr.Unimplemented(apierr.ReasonNotImplemented, "this version reads councils from the configuration only")
)

// Server implements witan.council.v1.CouncilService. Safe for concurrent use.
type Server struct {
	councilv1.UnimplementedCouncilServiceServer

	manager *council.Manager
}

// New returns a server.
func New(manager *council.Manager) *Server { return &Server{manager: manager} }

// Register adds the service to a gRPC server.
func (s *Server) Register(r grpc.ServiceRegistrar) { councilv1.RegisterCouncilServiceServer(r, s) }

// request identifies a call for idempotency: the body without the ID, in a form that is the same each time.
func request(id string, body proto.Message) (council.Request, error) {
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(body)
	if err != nil {
		return council.Request{}, apierr.Invalid(apierr.ReasonInvalidRequest, "the request cannot be encoded").Wrap(err)
	}
	return council.Request{ID: id, Body: sha256.Sum256(raw)}, nil
}

// CreateConversation implements councilv1.CouncilServiceServer.
func (s *Server) CreateConversation(ctx context.Context, r *councilv1.CreateConversationRequest) (*councilv1.Conversation, error) {
	asked := r.GetConversation()
	id, err := request(r.GetRequestId(), asked)
	if err != nil {
		return nil, err
	}
	n := council.NewConversation{
		Owner: auth.Owner(ctx), Title: asked.GetTitle(), Council: wire.ID(asked.GetCouncil()), Temporary: asked.GetTemporary(),
		Labels: asked.GetLabels(), Request: id,
	}
	if asked.GetExpireTime() != nil {
		n.ExpireAt = asked.GetExpireTime().AsTime()
	}
	created, err := s.manager.CreateConversation(ctx, n)
	if err != nil {
		return nil, err
	}
	return s.conversation(ctx, created.ID)
}

func (s *Server) conversation(ctx context.Context, id string) (*councilv1.Conversation, error) {
	c, activity, err := s.manager.Conversation(ctx, id, auth.Owner(ctx))
	if err != nil {
		return nil, err
	}
	return wire.Conversation(c, activity), nil
}

// GetConversation implements councilv1.CouncilServiceServer.
func (s *Server) GetConversation(ctx context.Context, r *councilv1.GetConversationRequest) (*councilv1.Conversation, error) {
	return s.conversation(ctx, wire.ID(r.GetName()))
}

// DeleteConversation implements councilv1.CouncilServiceServer.
func (s *Server) DeleteConversation(ctx context.Context, r *councilv1.DeleteConversationRequest) (*emptypb.Empty, error) {
	if err := s.manager.DeleteConversation(ctx, wire.ID(r.GetName()), auth.Owner(ctx)); err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, nil
}

// CreateDeliberation implements councilv1.CouncilServiceServer.
func (s *Server) CreateDeliberation(ctx context.Context, r *councilv1.CreateDeliberationRequest) (*councilv1.Deliberation, error) {
	asked := r.GetDeliberation()
	id, err := request(r.GetRequestId(), asked)
	if err != nil {
		return nil, err
	}
	n := asking(ctx, asked)
	n.Request, n.ValidateOnly = id, r.GetValidateOnly()
	d, err := s.manager.CreateDeliberation(ctx, n)
	if err != nil {
		return nil, err
	}
	return wire.Deliberation(d, false), nil
}

// GetDeliberation implements councilv1.CouncilServiceServer.
func (s *Server) GetDeliberation(ctx context.Context, r *councilv1.GetDeliberationRequest) (*councilv1.Deliberation, error) {
	full := r.GetView() != councilv1.Deliberation_BASIC
	view := council.ViewBasic
	if full {
		view = council.ViewFull
	}
	d, err := s.manager.Deliberation(ctx, wire.JobID(r.GetName()), auth.Owner(ctx), view)
	if err != nil {
		return nil, err
	}
	return wire.Deliberation(d, full), nil
}

// asking translates what a deliberation is asked for.
func asking(ctx context.Context, asked *councilv1.Deliberation) council.NewDeliberation {
	var timeout time.Duration
	if asked.GetTimeout() != nil {
		timeout = asked.GetTimeout().AsDuration()
	}
	return council.NewDeliberation{
		Owner: auth.Owner(ctx), Conversation: wire.ID(asked.GetConversation()), Council: wire.ID(asked.GetCouncil()),
		Overrides: wire.SpecOf(asked.GetSpec()), Task: wire.TaskOf(asked), Timeout: timeout, Labels: asked.GetLabels(),
		ParentJob: wire.JobID(asked.GetParentJob()),
	}
}

// EstimateDeliberation implements councilv1.CouncilServiceServer.
func (s *Server) EstimateDeliberation(ctx context.Context, r *councilv1.EstimateDeliberationRequest) (*councilv1.Estimate, error) {
	e, err := s.manager.EstimateDeliberation(ctx, asking(ctx, r.GetDeliberation()))
	if err != nil {
		return nil, err
	}
	return wire.Estimate(&e), nil
}

// ListModels implements councilv1.CouncilServiceServer.
func (s *Server) ListModels(context.Context, *councilv1.ListModelsRequest) (*councilv1.ListModelsResponse, error) {
	answer := &councilv1.ListModelsResponse{}
	for _, m := range s.manager.Models() {
		answer.Models = append(answer.Models, wire.Model(m))
	}
	return answer, nil
}

// GetCouncil implements councilv1.CouncilServiceServer.
func (s *Server) GetCouncil(_ context.Context, r *councilv1.GetCouncilRequest) (*councilv1.Council, error) {
	p, err := s.manager.Preset(wire.ID(r.GetName()))
	if err != nil {
		return nil, err
	}
	return wire.Preset(p), nil
}

// CreateCouncil is not in this version.
func (s *Server) CreateCouncil(context.Context, *councilv1.CreateCouncilRequest) (*councilv1.Council, error) {
	return nil, errNoPresets
}

// UpdateCouncil is not in this version.
func (s *Server) UpdateCouncil(context.Context, *councilv1.UpdateCouncilRequest) (*councilv1.Council, error) {
	return nil, errNoPresets
}

// DeleteCouncil is not in this version.
func (s *Server) DeleteCouncil(context.Context, *councilv1.DeleteCouncilRequest) (*emptypb.Empty, error) {
	return nil, errNoPresets
}
