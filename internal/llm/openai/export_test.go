package openai

import "net/http"

// NewAdapterOver makes an adapter over a transport of a test's own.
func NewAdapterOver(transport http.RoundTripper) *Adapter { return newAdapter(transport) }
