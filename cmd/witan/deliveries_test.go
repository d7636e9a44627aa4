package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	ingestv1 "witan.dev/gen/witan/ingest/v1"
)

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
	require.Equal(t, "deliveries/a~1", deliveryName("a~1"))
	require.Equal(t, "deliveries/a~1", deliveryName("deliveries/a~1"))
}
