package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	jobsv1 "witan.dev/gen/witan/jobs/v1"
)

// readGRPC follows a job over gRPC; its events are given as JSON in the form that REST has.
func readGRPC(t testing.TB, n *node, job, last string, limit int) (events []string, next string, ended bool) {
	t.Helper()
	ctx, cut := context.WithTimeout(t.Context(), patience)
	defer cut()
	after := int64(seqOf(last))
	stream, err := n.Jobs.WatchJob(ctx, &jobsv1.WatchJobRequest{Name: job, AfterSeq: &after})
	require.NoError(t, err)
	for next = last; ; {
		e, err := stream.Recv()
		if err != nil {
			return events, next, errors.Is(err, io.EOF)
		}
		if e.GetSeq() == 0 {
			continue // a heartbeat
		}
		events, next = append(events, eventJSON(t, e)), fmt.Sprint(e.GetSeq())
		if len(events) == limit {
			return events, next, false
		}
	}
}

// eventJSON is an event as the gateway writes it.
func eventJSON(t testing.TB, e *jobsv1.JobEvent) string {
	t.Helper()
	raw, err := protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(e)
	require.NoError(t, err)
	return compact(t, raw)
}

// info is what an error of gRPC says of its reason; nil where it says nothing.
func info(err error) *errdetails.ErrorInfo {
	for _, d := range status.Convert(err).Details() {
		if i, ok := d.(*errdetails.ErrorInfo); ok {
			return i
		}
	}
	return nil
}
