package main

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"witan.dev/internal/auth"
	"witan.dev/internal/blob"
	blobsqlite "witan.dev/internal/blob/sqlite"
	"witan.dev/internal/bus"
	"witan.dev/internal/bus/inprocess"
	"witan.dev/internal/config"
	"witan.dev/internal/database/sqlite"
	"witan.dev/internal/datadir"
	"witan.dev/internal/job"
	"witan.dev/internal/job/engine"
	"witan.dev/internal/job/engine/dbos"
	jobsqlite "witan.dev/internal/job/sqlite"
	"witan.dev/internal/lifecycle"
	"witan.dev/internal/secret"
	"witan.dev/services/council"
	councilsqlite "witan.dev/services/council/store/sqlite"
	"witan.dev/services/ingest"
	ingestsqlite "witan.dev/services/ingest/store/sqlite"
	"witan.dev/services/retrieval"
	"witan.dev/services/retrieval/qdrant"
	retrievalsqlite "witan.dev/services/retrieval/store/sqlite"
	"witan.dev/services/review"
	reviewsqlite "witan.dev/services/review/store/sqlite"
)

// backend is where the state lies. Each choice between the embedded system and a cluster is made here, by picking an
// adapter; nothing else asks which of them this is.
type backend struct {
	jobStore job.Store
	engine   engine.Engine
	bus      bus.Bus
	blobs    blob.Store
	councils council.Store
	reviews  reviewStore
	indexes  indexStore
	// search ranks beside the stores; nil: the stores do.
	search retrieval.Rankings
	// deliveries is nil where no database is known, buffer where no webhooks can be taken.
	deliveries ingest.Store
	buffer     deliveryBuffer

	// token is what the services of this process show each other.
	token secret.Text
	// key makes what stands for a secret the same wherever and whenever a job runs.
	key []byte
	// frozen is a folder for git objects of changes under review.
	frozen string
	// mirrors is a folder for repositories that were fetched. It is a cache.
	mirrors string
	// announce tells other commands of the same user where this process listens.
	announce func(address string) error
}

// indexStore is everything that the retrieval service keeps.
type indexStore interface {
	retrieval.Catalog
	retrieval.Builds
	retrieval.Codes
	retrieval.Views
	retrieval.TextIndex
}

// reviewStore keeps all that belongs to reviews.
type reviewStore interface {
	review.Store
	review.Subjects
	review.Ledger
}

// deliveryBuffer is where accepted webhooks wait, from both ends.
type deliveryBuffer interface {
	ingest.Buffer
	ingest.Queue
}

// backendParams are what a backend is opened with.
type backendParams struct {
	config  config.Config
	logger  *slog.Logger
	metrics prometheus.Registerer
	stack   *lifecycle.Stack
}

// openEmbedded takes the data folder: everything lies in one SQLite file, and hints stay in the process.
func openEmbedded(ctx context.Context, p backendParams) (*backend, error) {
	dir, err := datadir.Hold(p.config.Data)
	if err != nil {
		return nil, err
	}
	p.stack.Defer("data folder", func(context.Context) error { return dir.Release() })
	db, err := sqlite.Open(ctx, dir.Database(), p.logger)
	if err != nil {
		return nil, err
	}
	p.stack.Defer("database", func(context.Context) error { return db.Close() })
	key, err := dir.Key()
	if err != nil {
		return nil, err
	}
	e, err := dbos.NewSQLite(ctx, db, p.logger)
	if err != nil {
		return nil, err
	}
	deliveries := ingestsqlite.New(db, ingestsqlite.Options{Lease: p.config.Webhooks.Lease})
	return &backend{
		jobStore: jobsqlite.New(db, nil), engine: e, bus: inprocess.New(), blobs: blobsqlite.New(db, nil),
		councils: councilsqlite.New(db), reviews: reviewsqlite.NewStore(db), indexes: retrievalsqlite.New(db),
		deliveries: deliveries, buffer: deliveries,
		token: dir.Token(), key: key, frozen: dir.Frozen(), mirrors: dir.Mirrors(), announce: dir.Announce,
	}, nil
}

// openStateless is for processes that keep nothing. One that has to do with webhooks knows their buffer and, once somebody
// asks, the database where what became of them is kept.
func openStateless(r roles, p backendParams) (*backend, error) {
	b := &backend{token: auth.NewSecret(), announce: func(string) error { return nil }}
	if !r.serves(serviceIngest) && !r.takesDeliveries() {
		return b, nil
	}
	if !p.config.Database.IsZero() {
		b.deliveries = newLaterDeliveries(p)
	}
	var err error
	b.buffer, err = openBuffer(p)
	return b, err
}

// openBackend picks where the state lies. A process without state has a backend all the same: what its services show
// each other.
func openBackend(ctx context.Context, r roles, p backendParams) (*backend, error) {
	var (
		b   *backend
		err error
	)
	switch {
	case !r.stateful():
		return openStateless(r, p)
	case p.config.Database.IsZero():
		b, err = openEmbedded(ctx, p)
	default:
		b, err = openCluster(ctx, p)
	}
	if err != nil || p.config.Qdrant == "" {
		return b, err
	}
	index, err := qdrant.New(qdrant.Params{URL: p.config.Qdrant, APIKey: p.config.QdrantKey, Codes: b.indexes})
	if err != nil {
		return nil, err
	}
	p.stack.Defer("connection to Qdrant", func(context.Context) error { return index.Close() })
	b.search = index
	return b, nil
}
