package postgres_test

import (
	"testing"

	"go.uber.org/goleak"

	"witan.dev/internal/database/postgres/postgrestest"
	"witan.dev/services/ingest"
	"witan.dev/services/ingest/store/postgres"
	"witan.dev/services/ingest/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) ingest.Store {
		t.Helper()
		return postgres.New(postgrestest.Open(t))
	})
}
