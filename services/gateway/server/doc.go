// Package server serves HTTP over the process's own gRPC server.
package server
