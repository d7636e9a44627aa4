package server

import (
	"errors"
	"net/http"
	"time"

	reviewv1 "witan.dev/gen/witan/review/v1"
)

// export serves GET /v1/reviews/{id}:export. The first piece decides: an error before it has a status code of its own.
func (s *Server) export(w http.ResponseWriter, r *http.Request, params map[string]string) {
	ctx, cancel, err := s.callContext(r, reviewv1.ReviewService_ExportReview_FullMethodName)
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	defer cancel()
	stream, err := s.reviews.ExportReview(ctx, &reviewv1.ExportReviewRequest{Name: params["name"], Format: r.URL.Query().Get("format")})
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	piece, err := stream.Recv()
	if err != nil && !isEnd(err) {
		s.writeError(w, r, err)
		return
	}
	w.Header().Set("Content-Type", piece.GetContentType())
	control := http.NewResponseController(w)
	for ; err == nil; piece, err = stream.Recv() {
		if derr := control.SetWriteDeadline(time.Now().Add(s.cfg.WriteTimeout)); derr != nil {
			s.deps.Logger.DebugContext(ctx, "no write deadline", "error", derr)
		}
		_, werr := w.Write(piece.GetData())
		if werr = errors.Join(werr, control.Flush()); werr != nil {
			s.deps.Logger.DebugContext(ctx, "caller left", "error", werr)
			return
		}
	}
	if !isEnd(err) {
		s.deps.Logger.WarnContext(ctx, "export broke off", "error", err)
		panic(http.ErrAbortHandler) // cut the connection: a short file must not look whole
	}
}
