package server

import "time"

// ShortenReadTimeout makes the bound of a whole request shorter, where there is one. Before Start.
func (e *Edge) ShortenReadTimeout(d time.Duration) { e.http.ReadTimeout = min(e.http.ReadTimeout, d) }
