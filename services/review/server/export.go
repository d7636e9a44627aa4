package server

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"

	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"

	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/apierr"
	"witan.dev/internal/auth"
	"witan.dev/internal/finding"
	"witan.dev/services/review"
	"witan.dev/services/review/wire"
)

// exportPiece is how much of an export one message holds.
const exportPiece = 1 << 20

// What is refused when exporting.
var (
	// ErrNotFinished: there is nothing to export before the review's job has published it.
	ErrNotFinished = apierr.Precondition(apierr.ReasonJobNotFinished, "the review is not finished; wait for its job")
	// ErrFormat: this version cannot write the format.
	ErrFormat = apierr.Unimplemented(apierr.ReasonFormatNotSupported, "this version cannot write the format; take json, sarif, rdjson, markdown or text")
)

// ExportReview implements reviewv1.ReviewServiceServer.
func (s *Server) ExportReview(req *reviewv1.ExportReviewRequest, stream grpc.ServerStreamingServer[httpbody.HttpBody]) error {
	ctx := stream.Context()
	r, err := s.p.Store.Get(ctx, id(req.GetName()), auth.Owner(ctx))
	if err != nil {
		return err
	}
	if r.Disposition == "" {
		return ErrNotFinished.With("job", wire.JobName(r.ID))
	}
	content, kind, err := s.export(ctx, &r, cmp.Or(req.GetFormat(), "json"))
	if err != nil {
		return err
	}
	for first := true; first || len(content) > 0; first = false {
		n := min(len(content), exportPiece)
		piece := &httpbody.HttpBody{Data: content[:n]}
		if first {
			piece.ContentType = kind
		}
		if err := stream.Send(piece); err != nil {
			return err
		}
		content = content[n:]
	}
	return nil
}

// export writes the whole review in a format.
func (s *Server) export(ctx context.Context, r *review.Review, format string) (content []byte, kind string, err error) {
	if format == "json" {
		content, err = s.exportJSON(ctx, r)
		return content, "application/json", err
	}
	report, err := s.report(ctx, r)
	if err != nil {
		return nil, "", err
	}
	var out bytes.Buffer
	switch format {
	case "sarif":
		kind, err = "application/sarif+json", finding.EncodeSARIF(&out, report)
	case "rdjson":
		kind, err = "application/json", finding.EncodeRDJSON(&out, report)
	case "markdown":
		kind, err = "text/markdown; charset=utf-8", finding.EncodeMarkdown(&out, report)
	case "text":
		kind, err = "text/plain; charset=utf-8", finding.EncodeText(&out, report, finding.TextOptions{})
	default:
		return nil, "", ErrFormat.With("format", format)
	}
	if err != nil {
		return nil, "", fmt.Errorf("export review %s as %s: %w", r.ID, format, err)
	}
	return out.Bytes(), kind, nil
}

// exportJSON is the review in full, whatever its size. Its blanks are always the same: protojson's are not.
func (s *Server) exportJSON(ctx context.Context, r *review.Review) ([]byte, error) {
	full, err := s.full(ctx, r)
	if err != nil {
		return nil, err
	}
	raw, err := protojson.MarshalOptions{EmitDefaultValues: false}.Marshal(full)
	if err != nil {
		return nil, fmt.Errorf("export review %s as json: %w", r.ID, err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return nil, fmt.Errorf("export review %s as json: %w", r.ID, err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

func (s *Server) report(ctx context.Context, r *review.Review) (*finding.Report, error) {
	out := wire.Report(r, s.p.Version)
	err := s.each(ctx, r, func(f *review.NumberedFinding) { out.Findings = append(out.Findings, f.Finding) })
	return out, err
}
