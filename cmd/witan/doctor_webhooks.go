package main

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"google.golang.org/grpc"

	ingestv1 "witan.dev/gen/witan/ingest/v1"
	"witan.dev/internal/auth"
	"witan.dev/internal/config"
	"witan.dev/services/ingest"
	ingestredis "witan.dev/services/ingest/buffer/redis"
)

// doctorPage bounds how many deliveries of a state doctor counts.
const doctorPage = 1000

// webhookSecrets says whether webhooks would be taken; false: nothing else about them is worth saying.
func (c *checkup) webhookSecrets(conf config.Config) bool {
	file := conf.Webhooks.GitHub.SecretsFile
	if file == "" {
		c.note("webhooks", "refused: no secret is configured (webhooks.github.secrets_file)")
		return false
	}
	if _, err := ingest.OpenSecrets(file, slog.New(slog.DiscardHandler)); err != nil {
		c.bad("webhooks", "%v", err)
		return false
	}
	c.ok("webhooks", "signed by the secrets of %s; what they start is %s's", file, conf.Webhooks.GitHub.Owner)
	return true
}

// deliveries looks at the webhooks that a system keeps.
func (c *checkup) deliveries(ctx context.Context, conn grpc.ClientConnInterface, conf config.Config) {
	if !c.webhookSecrets(conf) {
		return
	}
	ctx = auth.With(ctx, auth.Principal{Owner: conf.Webhooks.GitHub.Owner})
	for state, report := range map[ingestv1.Delivery_State]func(string, string, ...any){
		ingestv1.Delivery_STORED: c.note, ingestv1.Delivery_DEAD: c.bad, ingestv1.Delivery_UNPARSED: c.bad,
	} {
		page, err := ingestv1.NewIngestServiceClient(conn).ListDeliveries(ctx, &ingestv1.ListDeliveriesRequest{PageSize: doctorPage, State: state})
		if err != nil {
			c.bad("webhooks", "%s", explain(err))
			return
		}
		if n := len(page.GetDeliveries()); n > 0 {
			report("webhooks", "%d are %s, the newest %s (%s); see `witan deliveries list --state %s`", n, state,
				page.GetDeliveries()[0].GetName(), page.GetDeliveries()[0].GetStateReason(), strings.ToLower(state.String()))
		}
	}
}

// webhookBuffer looks at what waits in Redis, and at what Redis keeps.
func (c *checkup) webhookBuffer(ctx context.Context, conf config.Config) {
	if !c.webhookSecrets(conf) {
		return
	}
	if conf.Redis.IsZero() {
		c.bad("webhooks", "they wait in Redis until they are handed over, and none is configured")
		return
	}
	buffer, err := ingestredis.New(ingestredis.Config{URL: conf.Redis, Lease: conf.Webhooks.Lease})
	if err != nil {
		c.bad("webhooks", "%v", err)
		return
	}
	defer func() { _ = buffer.Close() }()
	ctx, cancel := context.WithTimeout(ctx, peerTimeout)
	defer cancel()
	stats, err := buffer.Stats(ctx)
	if err != nil {
		c.bad("webhooks", "%v", err)
		return
	}
	if stats.Takers == 0 {
		c.bad("webhooks", "nobody hands them over, %d wait: start `witan work --queues intake`", stats.Waiting)
	} else {
		c.ok("webhooks", "%s them over, %d wait", counted(stats.Takers, "process hands", "processes hand"), stats.Waiting)
	}
	if stats.Dead > 0 {
		c.bad("webhooks", "%d could not be handed over within the last %s; see `witan deliveries list --state dead`", stats.Dead, conf.Retention.Deliveries.Round(time.Hour))
	}
	gaps, err := buffer.Gaps(ctx)
	if err != nil {
		c.note("webhooks", "whether Redis keeps them is not known: %v", err)
	}
	for _, gap := range gaps {
		c.note("webhooks", "%s", gap)
	}
}
