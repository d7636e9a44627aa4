package server_test

import (
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/services/gateway/server"
	"witan.dev/web"
)

func (f fixture) page(method, path string, headers ...string) (code int, header http.Header, body string) {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), method, f.base+path, nil)
	require.NoError(f.t, err)
	setHeaders(req, headers)
	resp, err := f.client.Do(req)
	require.NoError(f.t, err)
	raw, err := io.ReadAll(resp.Body)
	require.NoError(f.t, err)
	require.NoError(f.t, resp.Body.Close())
	return resp.StatusCode, resp.Header, string(raw)
}

func TestThePageAndAllThatItLoads(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	code, header, index := f.page(http.MethodGet, "/")
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "text/html; charset=utf-8", header.Get("Content-Type"))
	paths := []string{"/", "/web/events.json"}
	for _, m := range regexp.MustCompile(`(?:href|src)="(web/[^"]+)"`).FindAllStringSubmatch(index, -1) {
		paths = append(paths, "/"+m[1])
	}
	scripts, err := fs.Glob(web.Files, "files/*.js")
	require.NoError(t, err)
	for _, script := range scripts {
		paths = append(paths, "/web/"+strings.TrimPrefix(script, "files/"))
	}
	for _, path := range paths {
		code, header, body := f.page(http.MethodGet, path)
		require.Equal(t, http.StatusOK, code, path)
		require.NotEmpty(t, body, path)
		require.Equal(t, "nosniff", header.Get("X-Content-Type-Options"), path)
		require.Equal(t, "no-referrer", header.Get("Referrer-Policy"), path)
		require.Equal(t, "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; "+
			"form-action 'self'; frame-ancestors 'none'", header.Get("Content-Security-Policy"), path)
		code, _, rest := f.page(http.MethodGet, path, "If-None-Match", header.Get("ETag"))
		require.Equal(t, http.StatusNotModified, code, path)
		require.Empty(t, rest)
		code, _, rest = f.page(http.MethodHead, path)
		require.Equal(t, http.StatusOK, code, path)
		require.Empty(t, rest)
		code, header, _ = f.page(http.MethodPost, path)
		require.Equal(t, http.StatusMethodNotAllowed, code, path)
		require.Equal(t, "GET, HEAD", header.Get("Allow"))
	}
	for _, path := range []string{"/index.html", "/web/", "/web", "/web/index.html", "/web/../web.go", "/web/none.js"} {
		code, _, _ := f.page(http.MethodGet, path)
		require.Equal(t, http.StatusNotFound, code, path)
	}
}

// TestThePageNeedsNothingButItself: no other host, nothing inline that the policy would have to allow, no markup from texts.
func TestThePageNeedsNothingButItself(t *testing.T) {
	t.Parallel()
	forbidden := regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+="|javascript:|<script(?:>| [^>]*[^/]>[^<])|innerHTML|outerHTML|insertAdjacentHTML|` +
		`document\.write|\beval\(|new Function|@import|(?-i:[\s:,]url\()`)
	err := fs.WalkDir(web.Files, ".", func(name string, entry fs.DirEntry, err error) error {
		require.NoError(t, err)
		if entry.IsDir() {
			return nil
		}
		text, err := fs.ReadFile(web.Files, name)
		require.NoError(t, err)
		require.Empty(t, forbidden.FindAllString(string(text), -1), name)
		require.Empty(t, regexp.MustCompile(`https?://[^"'\s]*`).FindAllString(strings.ReplaceAll(string(text), `xmlns="http://www.w3.org/2000/svg"`, ""), -1), name)
		return nil
	})
	require.NoError(t, err)
}

// TestThePageKnowsAllEvents: what a browser was not told it does not hand over, and the page would see a gap.
func TestThePageKnowsAllEvents(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	_, _, body := f.page(http.MethodGet, "/web/events.json")
	var names []string
	require.NoError(t, json.Unmarshal([]byte(body), &names))
	for _, name := range []string{
		"job.state_changed", "job.progress", "job.unknown", "council.planned", "council.usage_updated", "council.unknown",
		"review.resolved", "review.unknown", "index.activated", "index.unknown",
	} {
		require.Contains(t, names, name)
	}
	require.Len(t, slices.Compact(slices.Sorted(slices.Values(names))), len(names))
	require.NotContains(t, names, "error")
}
