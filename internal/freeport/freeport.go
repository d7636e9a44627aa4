// Package freeport finds addresses for servers that have to be named before they start, or that come back at the same address:
// those of test clusters and test servers.
package freeport

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
)

const (
	// least leaves the ports of well-known services alone.
	least = 10_000
	// usual is where the kernel's own range begins where it does not say (Linux).
	usual = 32_768
	// tries bounds the search.
	tries = 1000
)

// ErrNone means that no port was found.
var ErrNone = errors.New("no free port")

// Addresses are n different loopback addresses (127.0.0.1:port) that nobody listens on at the moment. Their ports lie below
// those that the kernel gives to connections, so that none is taken by a connection before the server starts, or while it is
// down. Another process that searches at the same time may find the same one; they are chosen at random. Safe for concurrent
// use.
func Addresses(ctx context.Context, n int) ([]string, error) {
	limit := usual
	if raw, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		_, _ = fmt.Sscan(string(raw), &limit) // of two numbers the first; what cannot be read leaves the usual one
	}
	if limit <= least {
		return nil, fmt.Errorf("%w below %d, where the ports of connections begin", ErrNone, limit)
	}
	var (
		listen    net.ListenConfig
		addresses []string
	)
	for tried := 0; len(addresses) < n; tried++ {
		if tried == tries {
			return nil, fmt.Errorf("%w in %d tries", ErrNone, tries)
		}
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(least+rand.IntN(limit-least))) //nolint:gosec // nobody's secret
		l, err := listen.Listen(ctx, "tcp", address)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil {
			continue
		}
		defer func() { _ = l.Close() }() // all at the end, so that each is another one
		addresses = append(addresses, address)
	}
	return addresses, nil
}
