package freeport_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/freeport"
)

func TestAddressesAreFreeAndNoConnectionsGetThem(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	require.NoError(t, err)
	var connections int
	_, err = fmt.Sscan(string(raw), &connections)
	require.NoError(t, err)
	addresses, err := freeport.Addresses(t.Context(), 50)
	require.NoError(t, err)
	require.Len(t, addresses, 50)
	seen := map[string]bool{}
	for _, a := range addresses {
		require.False(t, seen[a], a)
		seen[a] = true
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", a)
		require.NoError(t, err)
		defer func() { require.NoError(t, l.Close()) }()
		_, text, err := net.SplitHostPort(a)
		require.NoError(t, err)
		port, err := strconv.Atoi(text)
		require.NoError(t, err)
		require.Less(t, port, connections)
		require.GreaterOrEqual(t, port, 10_000)
	}
}

func TestSearchEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := freeport.Addresses(ctx, 1)
	require.ErrorIs(t, err, context.Canceled)
}
