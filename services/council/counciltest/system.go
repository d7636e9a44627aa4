// Package counciltest gives tests a whole council: a real database, the real job engine, scripted models in this process
// and a log of the calls that reached them.
package counciltest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	councilv1 "witan.dev/gen/witan/council/v1"
	"witan.dev/internal/bus/inprocess"
	"witan.dev/internal/database/sqlite"
	"witan.dev/internal/job"
	"witan.dev/internal/job/engine/dbos"
	jobsqlite "witan.dev/internal/job/sqlite"
	"witan.dev/internal/llm"
	"witan.dev/internal/llm/simulated"
	"witan.dev/services/council"
	councilsqlite "witan.dev/services/council/store/sqlite"
	"witan.dev/services/council/worker"
)

// Owner owns everything in a System.
const Owner = "local"

// Config is what a System is made of.
type Config struct {
	// Folder holds the database; empty: a folder of the test's own.
	Folder string
	// Script is the simulated models' script (YAML).
	Script string
	// Models are the models' names; each may be changed by Change before it is used.
	Models []string
	Change func(*llm.Info)
	// Presets are the configured councils.
	Presets []council.Preset
	// Calls takes the log of calls that reached a model; nil: a new one.
	Calls *Calls
}

// System is one life of a council in a database.
type System struct {
	*council.Manager

	Jobs  *job.Manager
	Store *councilsqlite.Store
	Calls *Calls

	db   *sqlite.DB
	once sync.Once
}

// Open opens a system that works until the test ends or Stop is called.
func Open(t testing.TB, c Config) *System {
	t.Helper()
	if c.Folder == "" {
		c.Folder = t.TempDir()
	}
	if c.Calls == nil {
		c.Calls = &Calls{}
	}
	logger := slog.New(slog.DiscardHandler)
	path := filepath.Join(c.Folder, "witan.db")
	prepare(t, path)
	db, err := sqlite.Open(t.Context(), path, logger)
	require.NoError(t, err)
	eng, err := dbos.NewSQLite(t.Context(), db, logger)
	require.NoError(t, err)
	s := &System{db: db, Calls: c.Calls, Store: councilsqlite.New(db)}
	s.Jobs = job.NewManager(jobsqlite.New(db, nil), eng, inprocess.New(), logger, job.Config{
		Backoff: time.Millisecond, CancelPoll: 20 * time.Millisecond, Sweep: 200 * time.Millisecond,
	})
	models := registry(t, c)
	s.Manager, err = council.NewManager(council.Params{Store: s.Store, Jobs: s.Jobs, Models: models, Presets: c.Presets})
	require.NoError(t, err)
	s.Jobs.OnDelete(job.KindCouncil, job.Remover{Tx: s.Remove})
	s.Jobs.OnRetry(job.KindCouncil, s.CheckRetry)
	s.Jobs.OnHousekeeping(s.RemoveExpired)
	w := worker.New(worker.Params{Store: s.Store, Models: models, Logger: logger})
	s.Jobs.Handle(job.KindCouncil, 8, w.Body)
	require.NoError(t, s.Jobs.Start(t.Context()))
	t.Cleanup(func() { s.Stop(t) })
	return s
}

// migrated is an empty database file with all schemas, the engine's too. Migrating takes seconds under the race detector,
// copying nothing.
//
//nolint:gochecknoglobals // made once a process, by whichever test comes first
var migrated = sync.OnceValues(func() (content []byte, err error) {
	folder, err := os.MkdirTemp("", "witan-council-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	ctx, logger, path := context.Background(), slog.New(slog.DiscardHandler), filepath.Join(folder, "witan.db")
	db, err := sqlite.Open(ctx, path, logger)
	if err != nil {
		return nil, err
	}
	eng, err := dbos.NewSQLite(ctx, db, logger)
	if err == nil {
		err = errors.Join(eng.Start(ctx), eng.Stop(ctx))
	}
	if err = errors.Join(err, db.Close()); err != nil {
		return nil, err
	}
	return os.ReadFile(path) //nolint:gosec // written above
})

// prepare puts a migrated file where there is none.
func prepare(t testing.TB, path string) {
	t.Helper()
	if _, err := os.Stat(path); err == nil {
		return
	}
	content, err := migrated()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, content, 0o600))
}

// Stop ends the system as a process ends in good order; unfinished jobs stay claimable. It may be called twice.
func (s *System) Stop(t testing.TB) {
	t.Helper()
	s.stop(t, context.WithoutCancel(t.Context()))
}

// Drain is Stop with a time for the calls that are under way.
func (s *System) Drain(t testing.TB, limit time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), limit)
	defer cancel()
	s.stop(t, ctx)
}

func (s *System) stop(t testing.TB, ctx context.Context) {
	t.Helper()
	s.once.Do(func() {
		require.NoError(t, s.Jobs.Stop(ctx))
		require.NoError(t, s.db.Close())
	})
}

func registry(t testing.TB, c Config) *llm.Registry {
	t.Helper()
	script, err := simulated.ParseScript([]byte(c.Script))
	require.NoError(t, err)
	engine := simulated.NewEngine(script)
	var configs []llm.Config
	for _, name := range c.Models {
		configs = append(configs, llm.Config{Name: name, Provider: "simulated"})
	}
	r, err := llm.NewRegistry(llm.RegistryParams{Configs: configs, Providers: map[string]llm.Provider{
		"simulated": func(_ llm.Config, info llm.Info) (llm.Model, error) {
			info.ContextTokens, info.MaxOutputTokens = 100_000, 8_000
			info.Endpoint = info.Name // a circuit of its own
			if c.Change != nil {
				c.Change(&info)
			}
			return &logged{Model: simulated.New(info, engine), calls: c.Calls}, nil
		},
	}})
	require.NoError(t, err)
	return r
}

// Calls is the log of calls that reached a model. Safe for concurrent use.
type Calls struct {
	// Note is told of each call that begins; may be nil.
	Note func(Call)

	mu   sync.Mutex
	list []Call
	wake chan struct{}
}

// Call is one of them.
type Call struct {
	Model, Stage, Member, Prompt, Key string
	Schema                            bool
	// Answered says that the model finished; Err is how it failed.
	Answered bool
	Err      error
}

func (c *Calls) add(call Call) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, call)
	if c.Note != nil {
		c.Note(call)
	}
	c.signal()
	return len(c.list) - 1
}

func (c *Calls) end(at int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list[at].Answered, c.list[at].Err = err == nil, err
	c.signal()
}

func (c *Calls) signal() {
	if c.wake != nil {
		close(c.wake)
		c.wake = nil
	}
}

// List returns the calls so far.
func (c *Calls) List() []Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Call(nil), c.list...)
}

// Await waits until the calls so far satisfy ok.
func (c *Calls) Await(t testing.TB, ok func([]Call) bool) {
	t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	for {
		c.mu.Lock()
		if c.wake == nil {
			c.wake = make(chan struct{})
		}
		wake, list := c.wake, append([]Call(nil), c.list...)
		c.mu.Unlock()
		if ok(list) {
			return
		}
		select {
		case <-wake:
		case <-deadline.C:
			require.FailNow(t, "the calls that were waited for did not come", "%+v", list)
		}
	}
}

// logged notes what reaches a model.
type logged struct {
	llm.Model

	calls *Calls
}

// Generate asks the model.
func (l *logged) Generate(ctx context.Context, req llm.Request, sink func(string) error) (llm.Response, error) {
	prompt := []string{req.System}
	for _, m := range req.Messages {
		prompt = append(prompt, m.Text)
	}
	at := l.calls.add(Call{
		Model: l.Info().Name, Stage: req.Stage, Member: req.Member, Prompt: strings.Join(prompt, "\n"), Key: req.IdempotencyKey, Schema: req.Schema != nil,
	})
	resp, err := l.Model.Generate(ctx, req, sink)
	l.calls.end(at, err)
	return resp, err
}

// Await waits for the end of a job.
func (s *System) Await(t testing.TB, id job.ID) job.Job {
	t.Helper()
	var j job.Job
	require.Eventually(t, func() bool {
		var err error
		j, err = s.Jobs.Get(t.Context(), id, Owner)
		require.NoError(t, err)
		return j.State.Terminal()
	}, 30*time.Second, 3*time.Millisecond)
	return j
}

// Event is one entry of a deliberation's log.
type Event struct {
	job.Event
	*councilv1.CouncilEvent
}

// Events reads the council's entries of a job's log and requires that the log is dense, and final at the end of each
// attempt only.
func (s *System) Events(t testing.TB, id job.ID) []Event {
	t.Helper()
	j, err := s.Jobs.Get(t.Context(), id, Owner)
	require.NoError(t, err)
	var out []Event
	var seq int64
	ended := false
	for seq < j.LastSeq {
		page, err := s.Jobs.Events(t.Context(), id, seq, 1000)
		require.NoError(t, err)
		require.NotEmpty(t, page)
		for _, e := range page {
			seq++
			require.Equal(t, seq, e.Seq)
			ended = ended || e.Final
			if e.Key == job.KeyRetry(e.Attempt) {
				require.True(t, ended, "an attempt begins when the one before has ended")
				ended = false
			}
			require.Equal(t, ended, e.Final, "nothing follows the final event")
			if !strings.HasPrefix(e.Type, "council.") {
				continue
			}
			m := &councilv1.CouncilEvent{}
			require.NoError(t, proto.Unmarshal(e.Payload, m))
			out = append(out, Event{Event: e, CouncilEvent: m})
		}
	}
	require.Equal(t, j.State.Terminal(), ended)
	return out
}

// Types counts the council's events by type.
func Types(events []Event) map[string]int {
	out := map[string]int{}
	for _, e := range events {
		out[e.Type]++
	}
	return out
}

// Seats are members with one model each, named m1, m2 ….
func Seats(models ...string) []council.Member {
	out := make([]council.Member, len(models))
	for i, model := range models {
		out[i] = council.Member{ID: fmt.Sprintf("m%d", i+1), Model: model}
	}
	return out
}
