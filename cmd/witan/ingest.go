package main

import (
	"context"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	ingestv1 "witan.dev/gen/witan/ingest/v1"
	"witan.dev/internal/auth"
	"witan.dev/internal/database/postgres"
	"witan.dev/internal/lifecycle"
	"witan.dev/internal/webhook"
	webhookmetrics "witan.dev/internal/webhook/metrics"
	"witan.dev/services/ingest"
	ingestmetrics "witan.dev/services/ingest/metrics"
	"witan.dev/services/ingest/peers"
	ingestserver "witan.dev/services/ingest/server"
	ingestpostgres "witan.dev/services/ingest/store/postgres"
	ingestworker "witan.dev/services/ingest/worker"
)

const (
	// deliveryOverhead is what headers and framing add to a body in a message.
	deliveryOverhead = 1 << 20
	// forwardTimeout bounds what the gateway waits for the ingest service: GitHub waits for 10 s. Storing is bounded there.
	forwardTimeout = 9 * time.Second
	// laterConns bounds the connections of a process that only looks deliveries up, or hands them over.
	laterConns = 8
)

// newIngest makes the ingest service. Alone it does not start without a secret: nothing else would be left to serve. As a
// part of the whole system it refuses webhooks then, with the same reason.
func newIngest(ctx context.Context, p parts) (service, error) {
	secrets, err := ingest.OpenSecrets(p.config.Webhooks.GitHub.SecretsFile, p.logger)
	switch {
	case err == nil:
		p.sayGaps(ctx)
	case p.roles.whole() && p.config.Webhooks.GitHub.SecretsFile == "":
		secrets = nil
	default:
		return service{}, err
	}
	if !p.roles.whole() {
		collectLess(p.environ)
	}
	deliveries := p.deliveries
	if p.buffer == nil {
		deliveries = nil
	}
	server := ingestserver.New(ingestserver.Params{
		Acceptor: ingest.NewAcceptor(ingest.AcceptorParams{Secrets: secrets, Buffer: p.buffer}),
		Store:    deliveries, Buffer: p.buffer, Owner: p.config.Webhooks.GitHub.Owner,
	})
	made := service{register: func(r grpc.ServiceRegistrar) { ingestv1.RegisterIngestServiceServer(r, server) }}
	if p.config.Webhooks.Addr != "" {
		handler := webhook.NewHandler(webhook.Params{Accept: server.Accept, Observe: p.webhooks.Observe, Logger: p.logger})
		made.edge = ingestserver.NewEdge(p.config.Webhooks.Addr, p.certs.Web(), handler, p.logger)
	}
	return made, nil
}

// collectLess lets garbage grow to five times what lives before it is collected, unless GOGC says otherwise: a process that
// takes webhooks holds little and throws away all that it reads, so collecting took a seventh of its processor time.
func collectLess(environ []string) {
	const percent = 400
	if !slices.ContainsFunc(environ, func(v string) bool { return strings.HasPrefix(v, "GOGC=") }) {
		debug.SetGCPercent(percent)
	}
}

// sayGaps says what a sender cannot rely on although its webhooks are accepted.
func (p parts) sayGaps(ctx context.Context) {
	lasting, ok := p.buffer.(interface {
		Gaps(ctx context.Context) ([]string, error)
	})
	if !ok {
		return // the database of the data folder loses nothing
	}
	gaps, err := lasting.Gaps(ctx)
	if err != nil {
		p.logger.WarnContext(ctx, "whether Redis keeps accepted webhooks is not known", "error", err)
	}
	for _, gap := range gaps {
		p.logger.WarnContext(ctx, "not every accepted webhook is sure to be kept", "cause", gap)
	}
}

// largeDeliveries lets whole webhooks through to AcceptDelivery, whatever other messages are bounded by.
func largeDeliveries() map[string]int {
	return map[string]int{
		string((&ingestv1.AcceptDeliveryRequest{}).ProtoReflect().Descriptor().FullName()): ingest.MaxBody + deliveryOverhead,
	}
}

// forwardDeliveries is the gateway's route: it calls the ingest service with this process's own credentials, since a forge
// has none that are ours.
func forwardDeliveries(conn grpc.ClientConnInterface, p systemParams, observe func(string, time.Duration)) http.Handler {
	client := ingestv1.NewIngestServiceClient(conn)
	owner := p.Config.Webhooks.GitHub.Owner
	return webhook.NewHandler(webhook.Params{
		Accept: func(ctx context.Context, header http.Header, body []byte) (string, error) {
			req := &ingestv1.AcceptDeliveryRequest{Sender: "github", Body: body}
			for name, values := range header {
				req.Headers = append(req.Headers, &ingestv1.AcceptDeliveryRequest_Header{Name: name, Value: values[0]})
			}
			ctx, cancel := context.WithTimeout(auth.With(ctx, auth.Principal{Owner: owner}), forwardTimeout)
			defer cancel()
			d, err := client.AcceptDelivery(ctx, req, grpc.MaxCallSendMsgSize(ingest.MaxBody+deliveryOverhead))
			return strings.TrimPrefix(d.GetName(), "deliveries/"), err
		},
		Observe: observe, Logger: p.Logger,
	})
}

// newWebhookMetrics counts webhooks in processes that senders reach.
func newWebhookMetrics(r roles, registry prometheus.Registerer) (*webhookmetrics.Metrics, error) {
	if !r.serves(serviceIngest) && !r.serves(serviceGateway) {
		return nil, nil //nolint:nilnil // documented at parts.webhooks
	}
	return webhookmetrics.New(registry)
}

// takeDeliveries starts the intake where this process has it, and counts what waits for one where there is a buffer.
func (s *system) takeDeliveries(ctx context.Context, p parts) error {
	if p.buffer == nil {
		return nil
	}
	if err := ingestmetrics.RegisterQueue(p.metrics, p.buffer, p.logger); err != nil {
		return err
	}
	if !p.roles.takesDeliveries() {
		return nil
	}
	settled, err := ingestmetrics.NewIntake(p.metrics)
	if err != nil {
		return err
	}
	w := p.config.Webhooks.GitHub
	return s.stack.Start(ctx, "intake", ingestworker.New(ingestworker.Params{
		Queue: p.buffer, Lease: p.config.Webhooks.Lease, Store: p.deliveries, Reviews: peers.NewReviews(p.conn), Owner: w.Owner,
		Self:        ingest.Self{Login: p.config.GitHub.User, AppID: p.config.GitHub.AppID},
		Concurrency: p.roles.works(queueIntake, p.config.Workers), Keep: p.config.Retention.Deliveries, Observe: settled.Observe, Logger: p.logger,
	}))
}

// laterDeliveries opens the database when somebody needs it, and tries again each time until then: webhooks are taken
// whether or not it is there.
type laterDeliveries struct {
	open func(ctx context.Context) (ingest.Store, error)

	mu    sync.Mutex
	store ingest.Store
}

func newLaterDeliveries(p backendParams) *laterDeliveries {
	var opened lifecycle.Stack
	p.stack.Defer("database of deliveries", opened.Close)
	return &laterDeliveries{open: func(ctx context.Context) (ingest.Store, error) {
		db, err := postgres.Open(ctx, postgres.Params{URL: p.config.Database, MaxConns: laterConns, Logger: p.logger})
		if err != nil {
			return nil, err
		}
		opened.Defer("database", func(context.Context) error { db.Close(); return nil })
		return ingestpostgres.New(db), nil
	}}
}

func (l *laterDeliveries) get(ctx context.Context) (ingest.Store, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.store != nil {
		return l.store, nil
	}
	var err error
	l.store, err = l.open(ctx)
	return l.store, err
}

// Keep implements ingest.Store.
func (l *laterDeliveries) Keep(ctx context.Context, e ingest.Entry) (ingest.Delivery, error) {
	store, err := l.get(ctx)
	if err != nil {
		return ingest.Delivery{}, err
	}
	return store.Keep(ctx, e)
}

// Settle implements ingest.Store.
func (l *laterDeliveries) Settle(ctx context.Context, id string, o ingest.Outcome) error {
	store, err := l.get(ctx)
	if err != nil {
		return err
	}
	return store.Settle(ctx, id, o)
}

// Get implements ingest.Store.
func (l *laterDeliveries) Get(ctx context.Context, id string) (ingest.Delivery, error) {
	store, err := l.get(ctx)
	if err != nil {
		return ingest.Delivery{}, err
	}
	return store.Get(ctx, id)
}

// List implements ingest.Store.
func (l *laterDeliveries) List(ctx context.Context, q ingest.ListQuery) ([]ingest.Delivery, error) {
	store, err := l.get(ctx)
	if err != nil {
		return nil, err
	}
	return store.List(ctx, q)
}

// Redeliver implements ingest.Store.
func (l *laterDeliveries) Redeliver(ctx context.Context, id, requestID string, at time.Time) (ingest.Entry, error) {
	store, err := l.get(ctx)
	if err != nil {
		return ingest.Entry{}, err
	}
	return store.Redeliver(ctx, id, requestID, at)
}

// Expire implements ingest.Store.
func (l *laterDeliveries) Expire(ctx context.Context, before time.Time, n int) (int, error) {
	store, err := l.get(ctx)
	if err != nil {
		return 0, err
	}
	return store.Expire(ctx, before, n)
}

// History implements ingest.Store.
func (l *laterDeliveries) History(ctx context.Context) (ingest.History, error) {
	store, err := l.get(ctx)
	if err != nil {
		return ingest.History{}, err
	}
	return store.History(ctx)
}
