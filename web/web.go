// Package web holds the page that the gateway serves at /: plain files, no build step, nothing from elsewhere.
package web

import "embed"

// Files are the page: index.html and, beside it, everything that it loads. It must not be changed.
//
//go:embed files
var Files embed.FS
