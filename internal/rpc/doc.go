// Package rpc builds the gRPC server of a process: every service of the process, behind one chain of interceptors, with
// health, limits and an in-memory listener, so that calls between services of one process take the same way as calls
// from outside.
package rpc
