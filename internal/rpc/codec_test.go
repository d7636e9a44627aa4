package rpc_test

import (
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	jobsv1 "witan.dev/gen/witan/jobs/v1"
	"witan.dev/internal/rpc"
)

// The server sends what was encoded as it is, beside messages; callers take either as messages or as bytes.
func TestEncodedMessagesGoThroughAsTheyAre(t *testing.T) {
	t.Parallel()
	event := &jobsv1.JobEvent{Seq: 7, Final: true}
	raw, err := proto.Marshal(event)
	require.NoError(t, err)
	padded := append(raw, 0xf8, 0x7f, 1) // a field that no version knows, in a place that no encoder chooses
	f := setup(t, rpc.Config{}, &jobs{watch: func(stream grpc.ServerStreamingServer[jobsv1.JobEvent]) error {
		for _, m := range []any{event, rpc.Encoded(padded), rpc.Encoded(nil), event} {
			if err := stream.SendMsg(m); err != nil {
				return err
			}
		}
		return nil
	}}, "")
	stream, err := f.client.WatchJob(t.Context(), &jobsv1.WatchJobRequest{Name: jobName})
	require.NoError(t, err)
	for _, want := range []int64{7, 7, 0, 7} {
		m, err := stream.Recv()
		require.NoError(t, err)
		require.Equal(t, want, m.GetSeq())
	}
	stream, err = f.client.WatchJob(t.Context(), &jobsv1.WatchJobRequest{Name: jobName}, rpc.EncodedMessages())
	require.NoError(t, err)
	var got rpc.Encoded
	for _, want := range [][]byte{raw, padded, {}} {
		require.NoError(t, stream.RecvMsg(&got))
		require.Equal(t, want, []byte(got))
	}
	var m jobsv1.JobEvent
	require.NoError(t, stream.RecvMsg(&m), "messages are as ever")
	require.Empty(t, cmp.Diff(event, &m, protocmp.Transform()))
	require.ErrorIs(t, stream.RecvMsg(&got), io.EOF)
}
