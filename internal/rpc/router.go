package rpc

import (
	"context"
	"strings"

	"google.golang.org/grpc"

	"witan.dev/internal/apierr"
	"witan.dev/internal/apierr/rpcstatus"
)

// errServiceUnknown is the answer for a service that this process neither serves nor knows an address of.
var errServiceUnknown = apierr.Unavailable(apierr.ReasonUnavailable, "this process knows no address of the service; name one below `services` in its configuration")

// Router is a connection to many services: each call goes to the connection of its service. It is immutable and safe for
// concurrent use. The connections are closed by whoever made them.
type Router struct {
	peers map[string]grpc.ClientConnInterface
}

var _ grpc.ClientConnInterface = (*Router)(nil)

// NewRouter takes connections by the short name of their service, such as "council" for witan.council.v1.CouncilService;
// that of "" takes the calls of all services that are not Witan's, such as health checks.
func NewRouter(peers map[string]grpc.ClientConnInterface) *Router { return &Router{peers: peers} }

// Invoke implements grpc.ClientConnInterface.
func (r *Router) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	peer, err := r.peer(method)
	if err != nil {
		return err
	}
	return peer.Invoke(ctx, method, args, reply, opts...)
}

// NewStream implements grpc.ClientConnInterface.
func (r *Router) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	peer, err := r.peer(method)
	if err != nil {
		return nil, err
	}
	return peer.NewStream(ctx, desc, method, opts...)
}

// peer is the connection of the service that a full method name begins with: /witan.<service>.v1.<Service>/<Method>.
func (r *Router) peer(method string) (grpc.ClientConnInterface, error) {
	rest, ours := strings.CutPrefix(method, "/witan.")
	service := ""
	if ours {
		service, _, _ = strings.Cut(rest, ".")
	}
	peer, known := r.peers[service]
	if !known {
		return nil, rpcstatus.From(errServiceUnknown.With("service", service)).Err()
	}
	return peer, nil
}
