package main

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatGRPCSaysGoesThroughTheProcessesLog(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	g := grpcLog{slog.New(slog.NewTextHandler(&out, nil))}
	g.Infof("connecting to %s", "a:1")
	g.Warningln("slow")
	require.Empty(t, out.String())
	g.Errorf("[transport] %s", "GoAway")
	require.Contains(t, out.String(), `level=WARN msg=grpc text="[transport] GoAway"`)
}
