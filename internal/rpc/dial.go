package rpc

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // lets clients watch whether a server serves
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"witan.dev/internal/secret"
)

// Peers are the processes that serve a service, all alike.
type Peers struct {
	// Addresses (host:port) share the calls among them. One DNS name stands for all of its addresses.
	Addresses []string
	// TLS makes the configuration of each connection, as certs.Certs.Client does; nil: nothing is encrypted.
	TLS func(context.Context) *tls.Config
	// Token is what calls show, with the owner of their context, such as auth.ServiceToken.Current; nil: they show what
	// the metadata of their context holds, as the gateway's do.
	Token func(context.Context) secret.Text
	// MaxReceive and MaxSend bound a message, in bytes; default 16 MiB and 8 MiB.
	MaxReceive, MaxSend int
	// Timeout is the deadline of unary calls whose context has none; default 1 min. Timeouts are others, by full method
	// name; nil: DefaultTimeouts.
	Timeout  time.Duration
	Timeouts map[string]time.Duration
}

// Dial prepares a connection to peers, whether or not any of them is there yet. Calls go round those that say that they
// serve; a call fails with UNAVAILABLE where none does. A call that reads, and one that creates something under a request
// ID, is tried up to three times when its peer is UNAVAILABLE; a create without a request ID gets one for that. No other
// call is repeated. The caller closes the connection.
func Dial(p Peers) (*grpc.ClientConn, error) {
	if len(p.Addresses) == 0 {
		return nil, errors.New("rpc: peers have no address")
	}
	cfg := Config{MaxSend: p.MaxReceive, MaxReceive: p.MaxSend, Timeout: p.Timeout, Timeouts: p.Timeouts}.withDefaults()
	safe := safeMethods()
	serviceConfig, err := safe.serviceConfig()
	if err != nil {
		return nil, err
	}
	transport := insecure.NewCredentials()
	if p.TLS != nil {
		transport = &clientCredentials{config: p.TLS}
	}
	target, options := resolve(p.Addresses)
	options = append(append(options, passOn()...), FixedWindows()...)
	options = append(options,
		grpc.WithChainUnaryInterceptor(cfg.limit, safe.identify),
		grpc.WithTransportCredentials(transport),
		grpc.WithNoProxy(), // what the environment says of the way out to model providers is not for peers
		grpc.WithDisableServiceConfig(), grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(cfg.MaxSend), grpc.MaxCallSendMsgSize(cfg.MaxReceive)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 15 * time.Second, Timeout: 5 * time.Second, PermitWithoutStream: true}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
			MinConnectTimeout: 2 * time.Second,
		}),
	)
	if p.Token != nil {
		options = append(options, grpc.WithPerRPCCredentials(BearerCredentials{p.Token}))
	}
	return grpc.NewClient(target, options...)
}

// resolve is how grpc finds the addresses: by DNS where there is one, which may be a name of many, as they are otherwise.
func resolve(addresses []string) (string, []grpc.DialOption) {
	if len(addresses) == 1 {
		return "dns:///" + addresses[0], nil
	}
	state := resolver.State{}
	for _, address := range addresses {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			host = address
		}
		state.Addresses = append(state.Addresses, resolver.Address{Addr: address, ServerName: host})
	}
	peers := manual.NewBuilderWithScheme("peers")
	peers.InitialState(state)
	return "peers:///" + addresses[0], []grpc.DialOption{grpc.WithResolvers(peers)}
}

// passOn makes calls of a handler bear the request ID of the call that it answers.
func passOn() []grpc.DialOption {
	with := func(ctx context.Context) context.Context {
		id := RequestID(ctx)
		if md, _ := metadata.FromOutgoingContext(ctx); id == "" || len(md.Get(RequestIDHeader)) > 0 {
			return ctx
		}
		return metadata.AppendToOutgoingContext(ctx, RequestIDHeader, id)
	}
	return []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			return invoke(with(ctx), method, req, reply, cc, opts...)
		}),
		grpc.WithChainStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, stream grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			return stream(with(ctx), desc, cc, method, opts...)
		}),
	}
}

// limit gives a call without a deadline one.
func (c Config) limit(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if _, ok := ctx.Deadline(); !ok {
		timeout, found := c.Timeouts[method]
		if !found {
			timeout = c.Timeout
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	return invoke(ctx, method, req, reply, cc, opts...)
}

// methods are those that may be called again when nobody knows what became of the first call, by full name. The value is
// the request's field for a request ID, nil where reading needs none.
type methods map[string]protoreflect.FieldDescriptor

// safeMethods looks through the contracts that this process knows. What its name does not show to be a read, or a create
// under a request ID, is not safe.
func safeMethods() methods {
	found := methods{}
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(file.Package()), "witan.") {
			return true
		}
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				found.note(service.Methods().Get(j))
			}
		}
		return true
	})
	return found
}

func (m methods) note(method protoreflect.MethodDescriptor) {
	if method.IsStreamingClient() || method.IsStreamingServer() {
		return
	}
	name := "/" + string(method.Parent().FullName()) + "/" + string(method.Name())
	if strings.HasPrefix(string(method.Name()), "Create") {
		if id := method.Input().Fields().ByName("request_id"); id != nil && id.Kind() == protoreflect.StringKind {
			m[name] = id
		}
		return
	}
	for _, verb := range []string{"Get", "List", "Search", "Estimate", "Wait", "Parse"} {
		if strings.HasPrefix(string(method.Name()), verb) {
			m[name] = nil
		}
	}
}

// identify gives a create without a request ID one, so that it may be tried again. The caller's message stays as it is.
func (m methods) identify(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	message, ok := req.(proto.Message)
	if field := m[method]; ok && field != nil && !message.ProtoReflect().Has(field) {
		message = proto.Clone(message)
		message.ProtoReflect().Set(field, protoreflect.ValueOfString(uuid.NewString()))
		req = message
	}
	return invoke(ctx, method, req, reply, cc, opts...)
}

// serviceConfig says to grpc how calls go round and which are repeated.
func (m methods) serviceConfig() (string, error) {
	type name struct {
		Service string `json:"service"`
		Method  string `json:"method"`
	}
	var names []name
	for full := range m {
		service, method, _ := strings.Cut(strings.TrimPrefix(full, "/"), "/")
		names = append(names, name{service, method})
	}
	slices.SortFunc(names, func(a, b name) int { return strings.Compare(a.Service+"/"+a.Method, b.Service+"/"+b.Method) })
	config := map[string]any{
		"loadBalancingConfig": []any{map[string]any{"round_robin": map[string]any{}}},
		"healthCheckConfig":   map[string]any{"serviceName": ""},
		"retryThrottling":     map[string]any{"maxTokens": 100, "tokenRatio": 0.1},
	}
	if len(names) > 0 {
		config["methodConfig"] = []any{map[string]any{"name": names, "retryPolicy": map[string]any{
			"maxAttempts": 3, "initialBackoff": "0.1s", "maxBackoff": "1s", "backoffMultiplier": 2,
			"retryableStatusCodes": []string{"UNAVAILABLE"},
		}}}
	}
	raw, err := json.Marshal(config)
	if err != nil {
		return "", fmt.Errorf("describe the service: %w", err)
	}
	return string(raw), nil
}

var _ credentials.PerRPCCredentials = BearerCredentials{}
