package dbos

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"witan.dev/internal/database/postgres"
)

// Worker is a worker process of the cluster that counts as alive.
type Worker struct {
	// Identity names this life of the process.
	Identity string
	// Queues says for each queue whose jobs it runs how many run at once.
	Queues map[string]int
	// AtWork says for queues some of whose jobs only wait how many of them do something at once; a worker of an older build
	// does not tell.
	AtWork map[string]int
	// Silent is how long ago its last sign of life was, by the database's clock.
	Silent time.Duration
}

// Workers lists the living workers of a cluster, in the order of their identities.
func Workers(ctx context.Context, db *postgres.DB) ([]Worker, error) {
	rows, err := db.Pool().Query(ctx, `SELECT id, queues, extract(epoch FROM clock_timestamp() - beat_time)::float8
		FROM executors WHERE dead_time IS NULL ORDER BY id LIMIT 1000`)
	if err != nil {
		return nil, postgres.Error(fmt.Errorf("list workers: %w", err))
	}
	workers, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Worker, error) {
		var (
			w       Worker
			queues  string
			seconds float64
		)
		if err := row.Scan(&w.Identity, &queues, &seconds); err != nil {
			return w, err
		}
		w.Queues, w.AtWork, w.Silent = limits(queues), make(map[string]int), time.Duration(seconds*float64(time.Second))
		for entry, n := range w.Queues {
			if queue, ok := strings.CutSuffix(entry, atWork); ok {
				w.AtWork[queue] = n
				delete(w.Queues, entry)
			}
		}
		return w, nil
	})
	return workers, postgres.Error(err)
}
