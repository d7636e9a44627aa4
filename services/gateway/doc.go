// Package gateway is the HTTP side of Witan: REST for every unary RPC, newline-delimited JSON and server-sent events for
// what streams. It holds no state; every call goes through the gRPC server like any other caller's.
//
// This package reads the position from which a viewer resumes; package server does the rest.
package gateway
