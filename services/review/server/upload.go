package server

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"

	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/apierr"
	"witan.dev/internal/auth"
	"witan.dev/internal/diff"
	"witan.dev/services/review"
)

// ErrUpload refuses an upload whose order, size or digest does not fit.
var ErrUpload = apierr.Invalid(apierr.ReasonUploadMalformed, "the upload does not fit its header")

// UploadMaterial implements reviewv1.ReviewServiceServer. What is uploaded is a diff, so its limit holds.
func (s *Server) UploadMaterial(stream grpc.ClientStreamingServer[reviewv1.UploadMaterialRequest, reviewv1.UploadMaterialResponse]) error {
	first, err := stream.Recv()
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	header := first.GetHeader()
	if header == nil {
		return ErrUpload.With("detail", "the first message is not a header")
	}
	if header.GetSize() > diff.MaxBytes {
		return review.ErrMaterialTooLarge.With("detail", "a diff has at most 50 MB")
	}
	content, err := receive(stream, header)
	if err != nil {
		return err
	}
	ctx := stream.Context()
	ref, err := s.p.Blobs.Upload(ctx, auth.Owner(ctx), bytes.NewReader(content), s.p.Clock().Add(uploadKeep))
	if err != nil {
		return fmt.Errorf("keep the upload: %w", err)
	}
	return stream.SendAndClose(&reviewv1.UploadMaterialResponse{Blob: &reviewv1.Blob{Id: ref.SHA256.String(), Size: ref.Size}})
}

func receive(
	stream grpc.ClientStreamingServer[reviewv1.UploadMaterialRequest, reviewv1.UploadMaterialResponse], header *reviewv1.UploadHeader,
) ([]byte, error) {
	var content bytes.Buffer
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if message.GetHeader() != nil {
			return nil, ErrUpload.With("detail", "a second header")
		}
		if int64(content.Len()+len(message.GetChunk())) > header.GetSize() {
			return nil, ErrUpload.With("detail", "more bytes than the header says")
		}
		content.Write(message.GetChunk())
	}
	if int64(content.Len()) != header.GetSize() {
		return nil, ErrUpload.With("detail", "fewer bytes than the header says")
	}
	if sum := sha256.Sum256(content.Bytes()); hex.EncodeToString(sum[:]) != header.GetSha256() {
		return nil, ErrUpload.With("detail", "the content has another SHA-256")
	}
	return content.Bytes(), nil
}
