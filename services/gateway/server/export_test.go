package server_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"

	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/apierr"
	"witan.dev/services/gateway/server"
)

// exporter is a ReviewService that can export two pieces of SARIF, and breaks off for rdjson.
type exporter struct {
	reviewv1.UnimplementedReviewServiceServer
}

func (exporter) ExportReview(r *reviewv1.ExportReviewRequest, stream grpc.ServerStreamingServer[httpbody.HttpBody]) error {
	switch r.GetFormat() {
	case "sarif":
	case "rdjson":
		if err := stream.Send(&httpbody.HttpBody{ContentType: "application/json", Data: []byte("{")}); err != nil {
			return err
		}
		return apierr.Internal(apierr.ReasonInternal, "broke")
	default:
		return apierr.Precondition(apierr.ReasonJobNotFinished, "the review still runs")
	}
	if err := stream.Send(&httpbody.HttpBody{ContentType: "application/sarif+json", Data: []byte(`{"version":`)}); err != nil {
		return err
	}
	return stream.Send(&httpbody.HttpBody{Data: []byte(`"2.1.0"}`)})
}

func TestExportIsTheFileItself(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	const path = "/v1/reviews/aaaaaaaaaaaaaaaaaaaaaaaaaa:export"
	resp := f.do("GET", path+"?format=sarif", "")
	require.Equal(t, 200, resp.code)
	require.Equal(t, "application/sarif+json", resp.header.Get("Content-Type"))
	require.JSONEq(t, `{"version":"2.1.0"}`, string(resp.body))

	f.requireError(f.do("GET", path, ""), 400, "FAILED_PRECONDITION", "JOB_NOT_FINISHED")
	f.requireError(f.do("GET", path+"?format=pdf", ""), 400, "INVALID_ARGUMENT", "INVALID_REQUEST")

	require.Error(t, f.do("GET", path+"?format=rdjson", "").err, "a short file must not look whole")
}
