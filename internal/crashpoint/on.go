//go:build crashpoints

package crashpoint

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// Enabled says whether this build has the points.
const Enabled = true

// plan is what the environment asked for, read once.
var plan = sync.OnceValue(func() *script { //nolint:gochecknoglobals // one process, one plan
	s := &script{seen: make(map[Point]int)}
	if where := os.Getenv(Variable); where != "" {
		parts := strings.Split(where, ":")
		s.at = Point(parts[0])
		n, err := strconv.Atoi(parts[1])
		if err != nil {
			panic(err)
		}
		s.n, s.signal = n, syscall.SIGKILL
		if len(parts) > 2 {
			s.signal = syscall.SIGSTOP
		}
	}
	if name := os.Getenv(CountVariable); name != "" {
		f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600) //nolint:gosec // the test's own file
		if err != nil {
			panic(err)
		}
		s.count = f
	}
	return s
})

type script struct {
	mu     sync.Mutex
	seen   map[Point]int
	at     Point
	n      int
	signal syscall.Signal
	count  *os.File
}

// Hit says that the process comes by a point. It does not return where a test wants the process to end there.
func Hit(p Point) {
	s := plan()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count != nil {
		_, _ = fmt.Fprintln(s.count, p)
	}
	s.seen[p]++
	if p == s.at && s.seen[p] == s.n {
		_ = syscall.Kill(os.Getpid(), s.signal)
		if s.signal == syscall.SIGKILL {
			select {} // the signal is on its way
		}
	}
}
