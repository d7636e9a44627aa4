package server_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	ingestv1 "witan.dev/gen/witan/ingest/v1"
	"witan.dev/services/ingest/server"
)

func TestEveryRPCSaysThatItIsNotImplemented(t *testing.T) {
	t.Parallel()
	s := server.New()
	_, accept := s.AcceptDelivery(t.Context(), &ingestv1.AcceptDeliveryRequest{})
	_, get := s.GetDelivery(t.Context(), &ingestv1.GetDeliveryRequest{})
	_, list := s.ListDeliveries(t.Context(), &ingestv1.ListDeliveriesRequest{})
	_, redeliver := s.Redeliver(t.Context(), &ingestv1.RedeliverRequest{})
	for _, err := range []error{accept, get, list, redeliver} {
		require.ErrorIs(t, err, server.ErrNotImplemented)
	}
}
