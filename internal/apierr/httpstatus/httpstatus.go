// Package httpstatus writes errors to HTTP callers: the status code that fits, and AIP-193's JSON form of a gRPC status.
package httpstatus

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	"witan.dev/internal/apierr"
	"witan.dev/internal/apierr/rpcstatus"
)

// body is AIP-193's JSON form of an error.
type body struct {
	Error payload `json:"error"`
}

type payload struct {
	Code    int               `json:"code"`
	Status  string            `json:"status"`
	Message string            `json:"message"`
	Details []json.RawMessage `json:"details"`
}

// Of is gRPC's usual mapping, except where a reason says more than its code.
func Of(st *status.Status) int {
	switch apierr.Reason(rpcstatus.Info(st).GetReason()) {
	case apierr.ReasonHistoryExpired:
		return http.StatusGone
	case apierr.ReasonBodyTooLarge, apierr.ReasonMaterialTooLarge:
		return http.StatusRequestEntityTooLarge
	case apierr.ReasonContentType:
		return http.StatusUnsupportedMediaType
	case apierr.ReasonMethodNotAllowed:
		return http.StatusMethodNotAllowed
	default:
		return runtime.HTTPStatusFromCode(st.Code())
	}
}

// Write answers with a status. Nothing may have been written before; other headers stay.
func Write(ctx context.Context, w http.ResponseWriter, st *status.Status, code int, logger *slog.Logger) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	if code == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(code)
	if _, err := w.Write(Encode(ctx, st, code, logger)); err != nil {
		logger.DebugContext(ctx, "caller left before its error", "error", err)
	}
}

// Encode is the status as AIP-193's JSON, on one line.
func Encode(ctx context.Context, st *status.Status, code int, logger *slog.Logger) []byte {
	out := body{payload{Code: code, Status: Name(st.Code()), Message: st.Message(), Details: []json.RawMessage{}}}
	for _, detail := range st.Proto().GetDetails() {
		raw, err := protojson.Marshal(detail)
		if err != nil {
			logger.WarnContext(ctx, "error detail left out", "error", err)
			continue
		}
		out.Error.Details = append(out.Error.Details, raw)
	}
	raw, err := json.Marshal(out)
	if err != nil {
		logger.ErrorContext(ctx, "error not encoded", "error", err)
	}
	return raw
}

// Name is the code as the protos spell it.
func Name(c codes.Code) string {
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
