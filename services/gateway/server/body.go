package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
)

// bodyTimeout is how long a body may take to arrive.
const bodyTimeout = time.Minute

func isUTF8(text string) bool { return utf8.ValidString(text) }

// checked wraps every handler of the mux: it refuses what the mux would let pass or misname, before a call is made.
func (s *Server) checked(next runtime.HandlerFunc) runtime.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request, params map[string]string) {
		if isForeignVerb(r) {
			code := http.StatusNotFound
			if len(s.routes.methods(r.URL.Path)) > 0 {
				code = http.StatusMethodNotAllowed
			}
			s.routingError(r.Context(), s.mux, nil, w, r, code)
			return
		}
		if err := s.routes.checkQuery(r); err != nil {
			s.writeError(w, r, err)
			return
		}
		for name, value := range params {
			if !isUTF8(value) {
				s.writeError(w, r, errUTF8.Field(name, "is not UTF-8"))
				return
			}
		}
		if err := s.readBody(w, r); err != nil {
			s.writeError(w, r, err)
			return
		}
		next(w, r, params)
	}
}

// isForeignVerb says whether the mux took "jobs/x:verb" for the name of a resource. No ID holds a colon.
func isForeignVerb(r *http.Request) bool {
	pattern, ok := runtime.HTTPPattern(r.Context())
	return ok && pattern.Verb() == "" && strings.Contains(path.Base(r.URL.Path), ":")
}

// readBody reads the whole body into memory, bounded in size and time, and puts it back. A body is one JSON value.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request) error {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	if r.ContentLength > s.cfg.MaxBody {
		return errBodyTooLarge
	}
	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Now().Add(bodyTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.cfg.MaxBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return errBodyTooLarge
	}
	if err != nil {
		return errBodyMalformed.Wrap(err)
	}
	// The connection goes on to be read while a stream is written: no deadline may be left behind.
	if err := control.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(raw))
	return checkJSON(raw)
}

// checkJSON accepts nothing, or exactly one JSON value in UTF-8.
func checkJSON(raw []byte) error {
	if len(raw) == 0 {
		return nil
	}
	if !utf8.Valid(raw) {
		return errUTF8.Field("body", "is not UTF-8")
	}
	var value json.RawMessage
	if err := json.Unmarshal(raw, &value); err != nil {
		return errBodyMalformed.Field("body", err.Error())
	}
	return nil
}
