package server

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	jobsv1 "witan.dev/gen/witan/jobs/v1"
	"witan.dev/internal/apierr/rpcstatus"
	"witan.dev/web"
)

// pagePolicy lets the page load what lies beside it and call this server, and nothing else.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// page holds the files of the web page by their paths, with what is sent about each. Immutable.
type page map[string]pageFile

type pageFile struct {
	content []byte
	media   string
	etag    string
}

// newPage reads the embedded files. index.html is at /, the others are below /web/.
func newPage() (page, error) {
	files, err := fs.Sub(web.Files, "files")
	if err != nil {
		return nil, err
	}
	p := page{}
	err = fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		at := "/web/" + name
		if name == "index.html" {
			at = "/"
		}
		return p.add(at, content)
	})
	if err != nil {
		return nil, fmt.Errorf("read the web page: %w", err)
	}
	names, err := json.Marshal(eventNames())
	if err != nil {
		return nil, err
	}
	return p, p.add("/web/events.json", names)
}

func (p page) add(at string, content []byte) error {
	media := map[string]string{
		"": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
		".json": "application/json", ".svg": "image/svg+xml",
	}[path.Ext(at)]
	if media == "" {
		return errors.New("no media type is known of " + at)
	}
	sum := sha256.Sum256(content)
	p[at] = pageFile{content: content, media: media, etag: `"` + hex.EncodeToString(sum[:16]) + `"`}
	return nil
}

// register puts the page beside the API.
func (p page) register(mux *http.ServeMux, s *Server) {
	for at, file := range p {
		pattern := at
		if at == "/" {
			pattern = "/{$}"
		}
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.servePage(w, r, at, file) })
	}
}

func (s *Server) servePage(w http.ResponseWriter, r *http.Request, at string, file pageFile) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		s.writeStatus(w, r, rpcstatus.From(errMethod), http.StatusMethodNotAllowed)
		return
	}
	h := w.Header()
	h.Set("Content-Type", file.media)
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-cache") // after an upgrade the files must fit each other
	h.Set("ETag", file.etag)
	http.ServeContent(w, r, at, time.Time{}, bytes.NewReader(file.content))
}

// eventNames are the names of all events that a stream can carry: a browser hands over only those that it was told.
func eventNames() []string {
	var names []string
	fields := (&jobsv1.JobEvent{}).ProtoReflect().Descriptor().Oneofs().ByName("event").Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		inner := innerEvents(field)
		if inner == nil {
			names = append(names, "job."+string(field.Name()))
			continue
		}
		for j := range inner.Len() {
			names = append(names, string(field.Name())+"."+string(inner.Get(j).Name()))
		}
		names = append(names, string(field.Name())+".unknown")
	}
	return append(names, "job.unknown")
}

// innerEvents are the events of a service that a field of JobEvent wraps; nil where it is one of the job itself.
func innerEvents(field protoreflect.FieldDescriptor) protoreflect.FieldDescriptors {
	switch field.Name() {
	case "council", "review", "index":
		return field.Message().Oneofs().ByName("event").Fields()
	default:
		return nil
	}
}
