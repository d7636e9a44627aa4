// Package peers reaches the review service through its generated gRPC client. Nothing else of the ingest service knows that
// contract.
package peers
