package endurance_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// sampleEvery is how often processes are measured.
const sampleEvery = 10 * time.Second

// metric is one thing that is measured of a process.
type metric int

const (
	rss metric = iota
	heap
	goroutines
	files
	metrics
)

// of says what a metric is, in which unit it is shown, and how much more of it after a life's warm-up is no growth: a
// twentieth, or this much.
func (m metric) of() (name, unit string, scale, floor float64) {
	switch m {
	case rss:
		return "resident memory", "MiB", 1 << 20, 4 << 20
	case heap:
		return "goal of the garbage collector", "MiB", 1 << 20, 4 << 20
	case goroutines:
		return "goroutines", "", 1, 10
	default:
		return "open files and sockets", "", 1, 10
	}
}

// point is what was measured at a time, in seconds since the beginning.
type point struct {
	at     float64
	values [metrics]float64
}

// life is one run of a process from its start to its end.
type life struct {
	process string
	pid     int
	points  []point
	ticks   float64 // of the processor, at the last measurement
}

// verdict is what became of a metric in a life after its warm-up.
type verdict struct {
	trend // for each second

	median, window float64
	flat           bool
}

// warm is a life after its warm-up: ten minutes, of a short life its first third.
func (v *life) warm() []point {
	if len(v.points) == 0 {
		return nil
	}
	first, last := v.points[0].at, v.points[len(v.points)-1].at
	from := first + min(10*time.Minute.Seconds(), (last-first)/3)
	i := slices.IndexFunc(v.points, func(p point) bool { return p.at >= from })
	return v.points[i:]
}

// window is how long the life is after its warm-up.
func (v *life) window() time.Duration {
	w := v.warm()
	if len(w) == 0 {
		return 0
	}
	return time.Duration((w[len(w)-1].at - w[0].at) * float64(time.Second))
}

// judge says whether a metric stayed flat: what surely grew (the lower end of the trend's interval, over the window) is less
// than a twentieth of the median or than the metric's floor.
func (v *life) judge(m metric) verdict {
	var x, y []float64
	for _, p := range v.warm() {
		x, y = append(x, p.at), append(y, p.values[m])
	}
	r := verdict{trend: theilSen(x, y), median: median(y), window: v.window().Seconds()}
	_, _, _, floor := m.of()
	r.flat = r.low*r.window < max(floor, r.median/20)
	return r
}

// meter measures all processes of a cluster, and what the database holds.
type meter struct {
	*rig

	begun time.Time
	mu    sync.Mutex
	lives []*life
	cores float64 // seconds of a core that were used
	store []point // bytes and events of the database, in the first two values
}

// run measures until ctx ends.
func (m *meter) run(ctx context.Context) {
	m.begun = time.Now()
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		m.sample(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (m *meter) sample(ctx context.Context) {
	at := time.Since(m.begun).Seconds()
	for _, name := range m.Names() {
		p := m.Process(name)
		pid := p.PID()
		values, ticks, err := measure(ctx, pid, p.Operations())
		if err != nil {
			continue // it is down or frozen
		}
		m.add(name, pid, ticks, point{at, values})
	}
	var size, events float64
	err := m.db.QueryRow(ctx, `SELECT pg_database_size(current_database())::float8, (SELECT count(*) FROM job_events)::float8`).Scan(&size, &events)
	if err == nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.store = append(m.store, point{at, [metrics]float64{size, events}})
	}
}

func (m *meter) add(name string, pid int, ticks float64, p point) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.lives, func(v *life) bool { return v.process == name && v.pid == pid })
	if i < 0 {
		m.lives = append(m.lives, &life{process: name, pid: pid})
		i = len(m.lives) - 1
	}
	v := m.lives[i]
	m.cores += (ticks - v.ticks) / 100 // the kernel's ticks for programs are hundredths of a second
	v.ticks, v.points = ticks, append(v.points, p)
}

// measure reads what the kernel and the process itself say.
func measure(ctx context.Context, pid int, operations string) (values [metrics]float64, ticks float64, err error) {
	folder := filepath.Join("/proc", strconv.Itoa(pid))
	statm, err := os.ReadFile(filepath.Join(folder, "statm")) //nolint:gosec // the kernel's own
	if err != nil {
		return values, 0, err
	}
	fields := strings.Fields(string(statm))
	if len(fields) < 2 {
		return values, 0, fmt.Errorf("statm of %d: %q", pid, statm)
	}
	pages, err := strconv.ParseFloat(fields[1], 64)
	if err != nil {
		return values, 0, err
	}
	values[rss] = pages * float64(os.Getpagesize())
	open, err := os.ReadDir(filepath.Join(folder, "fd"))
	if err != nil {
		return values, 0, err
	}
	values[files] = float64(len(open))
	stat, err := os.ReadFile(filepath.Join(folder, "stat")) //nolint:gosec // the kernel's own
	if err != nil {
		return values, 0, err
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // the name before may hold blanks
	fields = strings.Fields(rest)
	for _, i := range []int{11, 12} { // utime and stime: fields 14 and 15 of proc(5)
		if len(fields) <= i {
			return values, 0, fmt.Errorf("stat of %d: %q", pid, stat)
		}
		n, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return values, 0, err
		}
		ticks += n
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, err = get(ctx, operations+"/metrics", "", func(body io.Reader) error { return readMetrics(body, &values) })
	return values, ticks, err
}

// readMetrics reads what is wanted of Prometheus' text.
func readMetrics(body io.Reader, values *[metrics]float64) error {
	lines := bufio.NewScanner(body)
	for lines.Scan() {
		name, text, _ := strings.Cut(lines.Text(), " ")
		into, wanted := map[string]metric{"go_goroutines": goroutines, "go_memstats_next_gc_bytes": heap}[name]
		if !wanted {
			continue
		}
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return err
		}
		values[into] = n
	}
	return lines.Err()
}
