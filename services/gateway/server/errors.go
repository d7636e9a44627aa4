package server

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	"witan.dev/internal/apierr"
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

// errorBody is AIP-193's JSON form of an error.
type errorBody struct {
	Error errorStatus `json:"error"`
}

type errorStatus struct {
	Code    int               `json:"code"`
	Status  string            `json:"status"`
	Message string            `json:"message"`
	Details []json.RawMessage `json:"details"`
}

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
	s.writeStatus(w, r, st, httpStatus(st))
}

func (s *Server) writeStatus(w http.ResponseWriter, r *http.Request, st *status.Status, code int) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Del("Transfer-Encoding") // the mux sets it before it knows that a stream fails
	switch code {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", "Bearer")
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(code)
	if _, err := w.Write(s.encodeError(r.Context(), st, code)); err != nil { //nolint:gosec // JSON, typed as such, never sniffed
		s.deps.Logger.DebugContext(r.Context(), "caller left before its error", "error", err)
	}
}

// encodeError is the status as AIP-193's JSON, on one line.
func (s *Server) encodeError(ctx context.Context, st *status.Status, code int) []byte {
	body := errorBody{errorStatus{
		Code: code, Status: codeName(st.Code()), Message: st.Message(), Details: []json.RawMessage{},
	}}
	for _, detail := range st.Proto().GetDetails() {
		raw, err := protojson.Marshal(detail)
		if err != nil {
			s.deps.Logger.WarnContext(ctx, "error detail left out", "error", err)
			continue
		}
		body.Error.Details = append(body.Error.Details, raw)
	}
	raw, err := json.Marshal(body)
	if err != nil {
		s.deps.Logger.ErrorContext(ctx, "error not encoded", "error", err)
	}
	return raw
}

// httpStatus is gRPC's usual mapping, except where a reason says more than its code.
func httpStatus(st *status.Status) int {
	switch apierr.Reason(rpcstatus.Info(st).GetReason()) {
	case apierr.ReasonHistoryExpired:
		return http.StatusGone
	case apierr.ReasonBodyTooLarge, apierr.ReasonMaterialTooLarge:
		return http.StatusRequestEntityTooLarge
	default:
		return runtime.HTTPStatusFromCode(st.Code())
	}
}

// codeName is the code as the protos spell it.
func codeName(c codes.Code) string {
	if c == codes.Canceled {
		return "CANCELLED"
	}
	var name strings.Builder
	for i, r := range c.String() {
		if i > 0 && r >= 'A' && r <= 'Z' {
			name.WriteByte('_')
		}
		name.WriteRune(r)
	}
	return strings.ToUpper(name.String())
}
