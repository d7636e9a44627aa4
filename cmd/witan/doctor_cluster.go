package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"

	redisbus "witan.dev/internal/bus/redis"
	"witan.dev/internal/config"
	"witan.dev/internal/database/postgres"
	"witan.dev/internal/job/engine/dbos"
	jobpostgres "witan.dev/internal/job/postgres"
	"witan.dev/internal/secret"
	"witan.dev/services/retrieval/qdrant"
)

const peerTimeout = 3 * time.Second

// cluster looks at what the processes of a cluster share, and asks each address of each service whether it serves.
func (c *checkup) cluster(ctx context.Context, conf config.Config) {
	c.database(ctx, conf)
	c.redis(ctx, conf)
	c.webhookBuffer(ctx, conf)
	c.qdrant(ctx, conf)
	if conf.Auth.ServiceTokenFile == "" && len(conf.Services[serviceReview]) > 0 {
		c.bad("auth", "%s", lacksServiceToken)
	}
	own, err := newNetwork(conf, secret.Text{}, slog.New(slog.DiscardHandler))
	if err != nil {
		c.bad("services", "%v", err)
		return
	}
	for _, service := range services() {
		for _, address := range conf.Services[service] {
			if err := own.serves(ctx, address); err != nil {
				c.bad("services", "%s at %s: %s", service, address, explain(err))
				continue
			}
			c.ok("services", "%s serves at %s", service, address)
		}
	}
}

// serves asks one address for its health.
func (n network) serves(ctx context.Context, address string) error {
	conn, err := n.dial([]string{address}, true)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(ctx, peerTimeout)
	defer cancel()
	_, err = healthgrpc.NewHealthClient(conn).Check(ctx, &healthgrpc.HealthCheckRequest{})
	return err
}

func (c *checkup) redis(ctx context.Context, conf config.Config) {
	if conf.Redis.IsZero() {
		c.note("redis", "none: what happens in other processes is seen by polls, within a second")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, peerTimeout)
	defer cancel()
	if err := redisbus.Ping(ctx, conf.Redis); err != nil {
		c.bad("redis", "%v. Hints between processes are lost meanwhile; polls cover them within a second", err)
		return
	}
	c.ok("redis", "answers")
}

// qdrant asks the search index how it is.
func (c *checkup) qdrant(ctx context.Context, conf config.Config) {
	if conf.Qdrant == "" {
		c.note("qdrant", "none: searches are ranked by the database")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, peerTimeout)
	defer cancel()
	index, err := qdrant.New(qdrant.Params{URL: conf.Qdrant, APIKey: conf.QdrantKey})
	if err != nil {
		c.bad("qdrant", "%v", err)
		return
	}
	defer func() { _ = index.Close() }()
	switch s, err := index.Status(ctx); {
	case err != nil:
		c.bad("qdrant", "%s. Searches are ranked by the database meanwhile and say so, indexes wait", explain(err))
	case s.Collection == "":
		c.ok("qdrant", "version %s answers; nothing is indexed yet", s.Version)
	default:
		c.ok("qdrant", "version %s answers; collection %s has %d chunks", s.Version, s.Collection, s.Points)
	}
}

// capacity says how many jobs of a queue a worker has at once.
func capacity(w dbos.Worker, queue string) string {
	if n := w.AtWork[queue]; n > 0 {
		return fmt.Sprintf("jobs of queue %s: %d at work, %d with those that wait", queue, n, w.Queues[queue])
	}
	return fmt.Sprintf("up to %d jobs of queue %s", w.Queues[queue], queue)
}

// database looks at the schema, the workers and the jobs.
func (c *checkup) database(ctx context.Context, conf config.Config) {
	db, err := postgres.Open(ctx, postgres.Params{URL: conf.Database, MaxConns: 2, Name: "witan doctor", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		c.bad("database", "%s", explain(err))
		return
	}
	defer db.Close()
	c.ok("database", "answers, its schema is current")
	workers, err := dbos.Workers(ctx, db)
	if err != nil {
		c.bad("workers", "%s", explain(err))
		return
	}
	for _, w := range workers {
		for _, queue := range slices.Sorted(maps.Keys(w.Queues)) {
			c.ok("workers", "%s runs %s, last sign of life %s ago", w.Identity, capacity(w, queue), w.Silent.Round(100*time.Millisecond))
		}
	}
	for _, queue := range jobQueues() {
		if !slices.ContainsFunc(workers, func(w dbos.Worker) bool { return w.Queues[queue] > 0 }) {
			c.bad("workers", "nobody runs the jobs of queue %s: start `witan work --queues %s`", queue, queue)
		}
	}
	dead, err := jobpostgres.New(db, nil, nil).DeadLetters(ctx)
	switch {
	case err != nil:
		c.bad("jobs", "%s", explain(err))
	case dead > 0:
		c.bad("jobs", "%d were given up, after ten recoveries without progress or because the forge or the models did not answer for too long; see `witan jobs list --state FAILED` and `--state PARTIALLY_SUCCEEDED`, then `witan jobs retry`", dead)
	default:
		c.ok("jobs", "none was given up")
	}
}
