package main

import (
	"bytes"
	"context"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	ingestv1 "witan.dev/gen/witan/ingest/v1"
)

// pages answers lists of deliveries.
type pages struct {
	ingestv1.IngestServiceClient

	list [][]*ingestv1.Delivery
}

func (p *pages) ListDeliveries(_ context.Context, req *ingestv1.ListDeliveriesRequest, _ ...grpc.CallOption) (*ingestv1.ListDeliveriesResponse, error) {
	at, _ := strconv.Atoi(req.GetPageToken())
	out := &ingestv1.ListDeliveriesResponse{Deliveries: p.list[at]}
	if at+1 < len(p.list) {
		out.NextPageToken = strconv.Itoa(at + 1)
	}
	return out, nil
}

func TestDeliveriesAreListedByEventAndWithoutTheIgnoredOnes(t *testing.T) {
	t.Parallel()
	of := func(id, event string, state ingestv1.Delivery_State) *ingestv1.Delivery {
		return &ingestv1.Delivery{Name: "deliveries/" + id, Event: event, Action: "did-" + id, State: state}
	}
	client := &pages{list: [][]*ingestv1.Delivery{
		{of("a", "push", ingestv1.Delivery_IGNORED), of("b", "pull_request", ingestv1.Delivery_HANDLED)},
		{of("c", "push", ingestv1.Delivery_HANDLED), of("d", "pull_request", ingestv1.Delivery_IGNORED), of("e", "pull_request", ingestv1.Delivery_DEAD)},
	}}
	for _, c := range []struct {
		filter deliveryFilter
		limit  int
		want   []string
	}{
		{deliveryFilter{}, 9, []string{"a", "b", "c", "d", "e"}},
		{deliveryFilter{event: "pull_request"}, 9, []string{"b", "d", "e"}},
		{deliveryFilter{event: "pull_request", hideIgnored: true}, 9, []string{"b", "e"}},
		{deliveryFilter{hideIgnored: true}, 2, []string{"b", "c"}},
		{deliveryFilter{}, 1, []string{"a"}},
	} {
		var out bytes.Buffer
		a := newApp(nil, nil, &out, io.Discard, nil, false, false)
		require.NoError(t, a.listDeliveries(t.Context(), client, c.filter, c.limit))
		var got []string
		for line := range strings.Lines(out.String()) {
			if id, ok := strings.CutPrefix(line, "deliveries/"); ok {
				got = append(got, id[:1])
				require.Contains(t, line, "did-"+id[:1])
			}
		}
		require.Equal(t, c.want, got)
	}
}

func TestStatesOfDeliveriesAreNamedInAnyCase(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]ingestv1.Delivery_State{
		"": ingestv1.Delivery_STATE_UNSPECIFIED, "dead": ingestv1.Delivery_DEAD, "Stored": ingestv1.Delivery_STORED,
	} {
		state, err := parseDeliveryState(name)
		require.NoError(t, err)
		require.Equal(t, want, state)
	}
	for _, wrong := range []string{"lost", "state_unspecified", "5"} {
		_, err := parseDeliveryState(wrong)
		require.ErrorContains(t, err, "stored, handled, ignored, unparsed, dead", wrong)
	}
	require.ErrorContains(t, someDeliveries(nil, nil), "name the deliveries to handle again")
	require.Equal(t, "deliveries/a~1", deliveryName("a~1"))
	require.Equal(t, "deliveries/a~1", deliveryName("deliveries/a~1"))
}
