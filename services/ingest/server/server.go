// Package server is the gRPC side of the ingest service. This version takes no webhooks: every RPC answers UNIMPLEMENTED
// with a reason.
package server

import (
	"context"

	ingestv1 "witan.dev/gen/witan/ingest/v1"
	"witan.dev/internal/apierr"
)

// ErrNotImplemented says that this version takes no webhooks.
var ErrNotImplemented = apierr.Unimplemented(apierr.ReasonNotImplemented, "this version takes no webhooks")

// Server implements ingestv1.IngestServiceServer. The zero value is ready and safe for concurrent use.
type Server struct {
	ingestv1.UnimplementedIngestServiceServer
}

var _ ingestv1.IngestServiceServer = (*Server)(nil)

// New makes the service.
func New() *Server { return &Server{} }

// AcceptDelivery is ErrNotImplemented.
func (*Server) AcceptDelivery(context.Context, *ingestv1.AcceptDeliveryRequest) (*ingestv1.Delivery, error) {
	return nil, ErrNotImplemented
}

// GetDelivery is ErrNotImplemented.
func (*Server) GetDelivery(context.Context, *ingestv1.GetDeliveryRequest) (*ingestv1.Delivery, error) {
	return nil, ErrNotImplemented
}

// ListDeliveries is ErrNotImplemented.
func (*Server) ListDeliveries(context.Context, *ingestv1.ListDeliveriesRequest) (*ingestv1.ListDeliveriesResponse, error) {
	return nil, ErrNotImplemented
}

// Redeliver is ErrNotImplemented.
func (*Server) Redeliver(context.Context, *ingestv1.RedeliverRequest) (*ingestv1.Delivery, error) {
	return nil, ErrNotImplemented
}
