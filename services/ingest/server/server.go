// Package server is the ingest service to its callers: gRPC, and the webhook route on a port of its own.
package server

import (
	"context"
	"net/http"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	ingestv1 "witan.dev/gen/witan/ingest/v1"
	"witan.dev/internal/auth"
	"witan.dev/internal/pagetoken"
	"witan.dev/services/ingest"
)

const (
	defaultPage = 50
	prefix      = "deliveries/"
)

// Params are what a Server works with.
type Params struct {
	// Acceptor verifies and stores. Needed.
	Acceptor *ingest.Acceptor
	// Store keeps what became of deliveries; nil: this process does not know (ingest.ErrNoHistory).
	Store ingest.Store
	// Buffer takes what is to be handled again.
	Buffer ingest.Buffer
	// Owner is whose deliveries they are; others see none.
	Owner string
	// Now is the clock of redeliveries; default time.Now.
	Now func() time.Time
}

// Server implements ingestv1.IngestServiceServer. Safe for concurrent use.
type Server struct {
	ingestv1.UnimplementedIngestServiceServer

	p Params
}

var _ ingestv1.IngestServiceServer = (*Server)(nil)

// New makes the service.
func New(p Params) *Server {
	if p.Now == nil {
		p.Now = time.Now
	}
	return &Server{p: p}
}

// AcceptDelivery implements ingestv1.IngestServiceServer. The signature says who the sender is; whoever passes it on need
// only be a caller of this server.
func (s *Server) AcceptDelivery(ctx context.Context, req *ingestv1.AcceptDeliveryRequest) (*ingestv1.Delivery, error) {
	d, err := s.p.Acceptor.Accept(ctx, ingest.Request{
		Header: func(name string) string {
			for _, h := range req.GetHeaders() {
				if strings.EqualFold(h.GetName(), name) {
					return h.GetValue()
				}
			}
			return ""
		},
		Body: req.GetBody(),
	})
	if err != nil {
		return nil, err
	}
	d.SHA256 = ingest.Digest(req.GetBody())
	return message(d), nil
}

// Accept is AcceptDelivery for the route on a port of this process.
func (s *Server) Accept(ctx context.Context, header http.Header, body []byte) (string, error) {
	d, err := s.p.Acceptor.Accept(ctx, ingest.Request{Header: header.Get, Body: body})
	return d.ID, err
}

// GetDelivery implements ingestv1.IngestServiceServer.
func (s *Server) GetDelivery(ctx context.Context, req *ingestv1.GetDeliveryRequest) (*ingestv1.Delivery, error) {
	if err := s.known(ctx); err != nil {
		return nil, err
	}
	d, err := s.p.Store.Get(ctx, strings.TrimPrefix(req.GetName(), prefix))
	if err != nil {
		return nil, err
	}
	return message(d), nil
}

// known refuses what this process does not know, and what is not the caller's.
func (s *Server) known(ctx context.Context) error {
	switch {
	case s.p.Store == nil:
		return ingest.ErrNoHistory
	case auth.Owner(ctx) != s.p.Owner:
		return ingest.ErrNotFound
	}
	return nil
}

// place is where a page begins.
type place struct {
	Received int64  `json:"t"` // microseconds
	ID       string `json:"i"`
}

// ListDeliveries implements ingestv1.IngestServiceServer.
func (s *Server) ListDeliveries(ctx context.Context, req *ingestv1.ListDeliveriesRequest) (*ingestv1.ListDeliveriesResponse, error) {
	list := "deliveries " + auth.Owner(ctx) + " " + req.GetState().String()
	var after place
	if err := pagetoken.Read(req.GetPageToken(), list, &after); err != nil {
		return nil, err
	}
	if s.p.Store == nil {
		return nil, ingest.ErrNoHistory
	}
	if auth.Owner(ctx) != s.p.Owner {
		return &ingestv1.ListDeliveriesResponse{}, nil
	}
	size := int(req.GetPageSize())
	if size == 0 {
		size = defaultPage
	}
	q := ingest.ListQuery{State: states()[req.GetState()], Limit: size + 1}
	if after.ID != "" {
		q.Before, q.BeforeID = time.UnixMicro(after.Received).UTC(), after.ID
	}
	found, err := s.p.Store.List(ctx, q)
	if err != nil {
		return nil, err
	}
	out := &ingestv1.ListDeliveriesResponse{}
	for _, d := range found[:min(len(found), size)] {
		out.Deliveries = append(out.Deliveries, message(d))
	}
	if len(found) > size {
		last := found[size-1]
		out.NextPageToken, err = pagetoken.Write(list, place{Received: last.ReceivedAt.UnixMicro(), ID: last.ID})
	}
	return out, err
}

// Redeliver implements ingestv1.IngestServiceServer: the row first, then the buffer, so that a call that was cut is made
// whole by the same one again.
func (s *Server) Redeliver(ctx context.Context, req *ingestv1.RedeliverRequest) (*ingestv1.Delivery, error) {
	if err := s.known(ctx); err != nil {
		return nil, err
	}
	e, err := s.p.Store.Redeliver(ctx, strings.TrimPrefix(req.GetName(), prefix), req.GetRequestId(), s.p.Now())
	if err != nil {
		return nil, err
	}
	if e.State == ingest.Stored {
		if err := s.p.Buffer.Put(ctx, e); err != nil {
			return nil, ingest.ErrStore.Wrap(err)
		}
	}
	return message(e.Delivery), nil
}

func states() map[ingestv1.Delivery_State]ingest.State {
	return map[ingestv1.Delivery_State]ingest.State{
		ingestv1.Delivery_STORED: ingest.Stored, ingestv1.Delivery_HANDLED: ingest.Handled, ingestv1.Delivery_IGNORED: ingest.Ignored,
		ingestv1.Delivery_UNPARSED: ingest.Unparsed, ingestv1.Delivery_DEAD: ingest.Dead,
	}
}

func message(d ingest.Delivery) *ingestv1.Delivery {
	out := &ingestv1.Delivery{
		Name: prefix + d.ID, Event: d.Event, Action: d.Action, Sha256: d.SHA256, ReceiveTime: timestamppb.New(d.ReceivedAt),
		StateReason: d.Reason, Resource: d.Resource,
	}
	for of, state := range states() {
		if state == d.State {
			out.State = of
		}
	}
	return out
}
