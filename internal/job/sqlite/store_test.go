package sqlite_test

import (
	"testing"

	"go.uber.org/goleak"

	"witan.dev/internal/database/sqlite/sqlitetest"
	"witan.dev/internal/job"
	"witan.dev/internal/job/jobtest"
	"witan.dev/internal/job/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	t.Parallel()
	jobtest.Run(t, func(t *testing.T) job.Store { return sqlite.New(sqlitetest.Open(t), nil) })
}

func TestRaces(t *testing.T) {
	t.Parallel()
	jobtest.Races(t, func(t *testing.T) job.Store { return sqlite.New(sqlitetest.Open(t), nil) }, jobtest.Rounds)
}
