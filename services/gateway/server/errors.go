package server

import (
	"context"
	"net/http"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/status"

	"witan.dev/internal/apierr"
	"witan.dev/internal/apierr/httpstatus"
	"witan.dev/internal/apierr/rpcstatus"
)

var (
	errRouteUnknown = apierr.Unimplemented(apierr.ReasonRPCUnknown, "there is no such route; /openapi.json lists them")
	errMethod       = apierr.Unimplemented(apierr.ReasonMethodNotAllowed, "the route does not know this method")
	errBodyTooLarge = apierr.ResourceExhausted(apierr.ReasonBodyTooLarge,
		"the body is larger than the server takes; upload the material and name it by ID")
	errBodyMalformed = apierr.Invalid(apierr.ReasonMalformedBody, "the body is not JSON")
	errBodyUnfit     = apierr.Invalid(apierr.ReasonInvalidRequest, "the body is not what the route expects")
	errUTF8          = apierr.Invalid(apierr.ReasonInvalidUTF8, "the request is not UTF-8; send bytes as base64")
	errQueryUnknown  = apierr.Invalid(apierr.ReasonQueryUnknown, "the route has no such query parameter")
	errQueryInvalid  = apierr.Invalid(apierr.ReasonQueryInvalid, "a query parameter cannot be read")
	errStopping      = apierr.Unavailable(apierr.ReasonServerStopping, "the server is stopping; ask again with the same request_id")
	errCrossOrigin   = apierr.PermissionDenied(apierr.ReasonCrossOrigin, "requests of other sites' pages are refused")
)

// errorHandler is the mux's way to say that a call failed.
func (s *Server) errorHandler(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error) {
	s.writeError(w, r, err)
}

// routingError says that no route fits: 404, or 405 where another method would.
func (s *Server) routingError(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, code int) {
	if code != http.StatusMethodNotAllowed {
		s.writeStatus(w, r, rpcstatus.From(errRouteUnknown), http.StatusNotFound)
		return
	}
	w.Header().Set("Allow", strings.Join(s.routes.methods(r.URL.Path), ", "))
	s.writeStatus(w, r, rpcstatus.From(errMethod), code)
}

// writeError answers with any error. Nothing may have been written before.
func (s *Server) writeError(w http.ResponseWriter, r *http.Request, err error) {
	st := rpcstatus.From(err)
	s.writeStatus(w, r, st, httpstatus.Of(st))
}

func (s *Server) writeStatus(w http.ResponseWriter, r *http.Request, st *status.Status, code int) {
	w.Header().Del("Transfer-Encoding") // the mux sets it before it knows that a stream fails
	if code == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	httpstatus.Write(r.Context(), w, st, code, s.deps.Logger)
}
