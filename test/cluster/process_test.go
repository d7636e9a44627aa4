package cluster

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAProcessThatEndsUnaskedIsTold(t *testing.T) {
	t.Parallel()
	ended := make(chan string, 2)
	start := func() *Process {
		p := newProcess("worker-review-1", &Params{Binary: "sh", Folder: t.TempDir()}, []string{"-c", "echo up; exec sleep 600"})
		p.ended = func(name, how string) { ended <- name + " ended: " + how }
		require.NoError(t, p.Start())
		return p
	}
	asked := start()
	require.NoError(t, asked.Kill())
	require.Empty(t, ended)
	require.NoError(t, syscall.Kill(start().PID(), syscall.SIGKILL))
	require.Equal(t, "worker-review-1 ended: killed", <-ended)
}
