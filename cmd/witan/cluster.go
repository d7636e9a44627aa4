package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"witan.dev/internal/auth"
	blobpostgres "witan.dev/internal/blob/postgres"
	"witan.dev/internal/bus"
	"witan.dev/internal/bus/inprocess"
	redisbus "witan.dev/internal/bus/redis"
	"witan.dev/internal/database/postgres"
	"witan.dev/internal/job/engine/dbos"
	jobpostgres "witan.dev/internal/job/postgres"
	councilpostgres "witan.dev/services/council/store/postgres"
	ingestredis "witan.dev/services/ingest/buffer/redis"
	ingestpostgres "witan.dev/services/ingest/store/postgres"
	retrievalpostgres "witan.dev/services/retrieval/store/postgres"
	reviewpostgres "witan.dev/services/review/store/postgres"
)

// openCluster joins the processes that share a Postgres. Hints travel through Redis; without one, what happens in another
// process is seen by the polls that cover lost hints, within a second.
func openCluster(ctx context.Context, p backendParams) (*backend, error) {
	db, err := postgres.Open(ctx, postgres.Params{URL: p.config.Database, Logger: p.logger})
	if err != nil {
		return nil, err
	}
	p.stack.Defer("database", func(context.Context) error { db.Close(); return nil })
	key, err := db.PlaceholderKey(ctx)
	if err != nil {
		return nil, err
	}
	// Only work that lies on a machine is frozen, and a cluster takes none, so nobody makes this folder.
	frozen := filepath.Join(os.TempDir(), fmt.Sprintf("witan-frozen-%d", os.Getpid()))
	mirrors := filepath.Join(os.TempDir(), fmt.Sprintf("witan-mirrors-%d", os.Getpid()))
	p.stack.Defer("scratch folders", func(context.Context) error { return errors.Join(os.RemoveAll(frozen), os.RemoveAll(mirrors)) })
	hints, err := openBus(ctx, p)
	if err != nil {
		return nil, err
	}
	l := p.config.Liveness
	e, err := dbos.NewPostgres(ctx, dbos.Params{
		URL: p.config.Database, Liveness: dbos.Liveness{Beat: l.Beat, TTL: l.TTL, Sweep: l.Sweep}, Logger: p.logger,
	})
	if err != nil {
		return nil, err
	}
	var buffer deliveryBuffer
	if !p.config.Redis.IsZero() {
		if buffer, err = openBuffer(p); err != nil {
			return nil, err
		}
	}
	return &backend{
		jobStore: jobpostgres.New(db, nil, e.Identity), engine: e, bus: hints, blobs: blobpostgres.New(db, nil),
		councils: councilpostgres.New(db), reviews: reviewpostgres.NewStore(db), indexes: retrievalpostgres.New(db),
		deliveries: ingestpostgres.New(db), buffer: buffer,
		token: auth.NewSecret(), key: key, frozen: frozen, mirrors: mirrors, announce: func(string) error { return nil },
	}, nil
}

func openBus(ctx context.Context, p backendParams) (bus.Bus, error) {
	if p.config.Redis.IsZero() {
		p.logger.WarnContext(ctx, "no redis is configured: viewers and cancellations learn of other processes by polling")
		return inprocess.New(), nil
	}
	hints, err := redisbus.New(redisbus.Config{URL: p.config.Redis}, p.logger)
	if err != nil {
		return nil, err
	}
	return hints, p.stack.Start(ctx, "bus", hints)
}

// openBuffer is where webhooks wait in a cluster.
func openBuffer(p backendParams) (deliveryBuffer, error) {
	buffer, err := ingestredis.New(ingestredis.Config{URL: p.config.Redis, Lease: p.config.Webhooks.Lease})
	if err != nil {
		return nil, err
	}
	p.stack.Defer("buffer of webhooks", func(context.Context) error { return buffer.Close() })
	return buffer, nil
}
