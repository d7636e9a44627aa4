// Package peers reaches the other services through their generated gRPC clients, and translates between their messages
// and the review's own types. Nothing else of the review service knows their contracts.
package peers
