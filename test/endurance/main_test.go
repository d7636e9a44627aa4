// Package endurance_test runs a whole cluster of processes under load while processes, Postgres and Redis are killed, and holds
// every job, log, call and comment to what it should have been: for minutes with many blows (`make chaos`), and for hours with
// few, measuring memory and file descriptors (`make soak`).
package endurance_test

import (
	"os"
	"testing"

	"witan.dev/test/e2e/process"
)

func TestMain(m *testing.M) {
	code := m.Run()
	process.Cleanup()
	os.Exit(code) //nolint:forbidigo // the only way out of a TestMain with what it started removed
}
