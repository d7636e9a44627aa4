package peers_test

import (
	"context"
	"testing"
	"time"

	"buf.build/go/protovalidate"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"witan.dev/services/ingest"
	"witan.dev/services/ingest/peers"
)

// checking is a connection to a service that refuses what breaks the rules of its proto, as every one of ours does.
type checking struct{ grpc.ClientConnInterface }

func (checking) Invoke(_ context.Context, _ string, request, _ any, _ ...grpc.CallOption) error {
	message, ok := request.(proto.Message)
	if !ok {
		return context.Canceled
	}
	return protovalidate.Validate(message)
}

// TestChecksOfForksAreTakenByTheReviewService: GitHub names neither their pull requests nor, for a whole suite, a check run.
func TestChecksOfForksAreTakenByTheReviewService(t *testing.T) {
	t.Parallel()
	const commit = "0123456789abcdef0123456789abcdef01234567"
	for event, check := range map[string]string{"check_run": `"check_run":{"id":20,`, "check_suite": `"check_suite":{"id":21,`} {
		body := `{"action":"rerequested",` + check + `"head_sha":"` + commit + `"},"repository":{"id":7,"full_name":"ada/shop"},"sender":{"login":"ben"}}`
		d, err := ingest.Route(event, []byte(body), ingest.Self{})
		require.NoError(t, err)
		require.Len(t, d.Events, 1)
		_, _, err = peers.NewReviews(checking{}).Tell(t.Context(), "0123", time.Now(), d.Events[0], "5e9d6bb8-8e5c-4a3c-9f53-54f9f0d1a111")
		require.NoError(t, err, event)
	}
}
