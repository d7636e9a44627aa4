package inprocess_test

import (
	"testing"

	"go.uber.org/goleak"

	"witan.dev/internal/bus"
	"witan.dev/internal/bus/bustest"
	"witan.dev/internal/bus/inprocess"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	t.Parallel()
	bustest.Run(t, func(*testing.T) bus.Bus { return inprocess.New() })
}
