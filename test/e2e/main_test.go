package e2e_test

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
