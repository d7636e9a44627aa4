package job

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"witan.dev/internal/bus"
	"witan.dev/internal/crashpoint"
	"witan.dev/internal/job/engine"
)

// Config holds the limits of a Manager. The zero value is what production uses.
type Config struct {
	// MaxStalled is how many executions in a row may begin without a new step or call result; one more ends the job.
	// 0 means 10.
	MaxStalled int
	// ErrorRetries is how often a body that returned an error runs again without progress. 0 means 5.
	ErrorRetries int
	// Backoff is the pause before the first of these; it doubles up to a minute. 0 means 500 ms.
	Backoff time.Duration
	// CancelPoll is how often cancellations are looked up in the store, should a hint have been lost. 0 means 500 ms.
	CancelPoll time.Duration
	// Sweep is how often jobs are looked for that the engine has given up. 0 means 30 s.
	Sweep time.Duration
	// QueueTimeout ends a job that no worker has taken until then, where its creation says nothing. 0 means 7 days.
	QueueTimeout time.Duration
	// HistoryKept is how long the log of a finished job stays, by kind; 0 means DefaultHistoryKept.
	HistoryKept map[Kind]time.Duration
	// EngineKeep is how long the engine's record of finished executions stays. 0 means 7 days.
	EngineKeep time.Duration
}

func (c Config) withDefaults() Config {
	return Config{
		MaxStalled: cmp.Or(c.MaxStalled, 10), ErrorRetries: cmp.Or(c.ErrorRetries, 5),
		Backoff: cmp.Or(c.Backoff, 500*time.Millisecond), CancelPoll: cmp.Or(c.CancelPoll, 500*time.Millisecond),
		Sweep: cmp.Or(c.Sweep, 30*time.Second), EngineKeep: cmp.Or(c.EngineKeep, 7*24*time.Hour),
		QueueTimeout: cmp.Or(c.QueueTimeout, 7*24*time.Hour), HistoryKept: c.HistoryKept,
	}
}

// DefaultPriority is that of work that a person waits for.
const DefaultPriority uint = 10

// Manager creates jobs and has them computed. Safe for concurrent use; Handle before Start only.
type Manager struct {
	store  Store
	engine engine.Engine
	bus    bus.Bus
	logger *slog.Logger
	cfg    Config

	removers map[Kind]Remover
	checks   map[Kind]Check
	chores   []Chore
	givenUp  map[Kind]func(ctx context.Context, j Job) error

	mu      sync.Mutex
	running map[*Run]context.CancelCauseFunc
	// halt ends the housekeeping, which is work; blind the watch over cancellations, which bodies need to their end.
	halt, blind context.CancelFunc
	work, watch sync.WaitGroup
}

// NewManager joins a store and an engine that lie in the same database.
func NewManager(store Store, eng engine.Engine, b bus.Bus, logger *slog.Logger, cfg Config) *Manager {
	return &Manager{
		store: store, engine: eng, bus: b, logger: logger, cfg: cfg.withDefaults(),
		removers: make(map[Kind]Remover), checks: make(map[Kind]Check), givenUp: make(map[Kind]func(context.Context, Job) error), running: make(map[*Run]context.CancelCauseFunc),
	}
}

// Handle registers the body of a kind; workers is how many of its jobs run at once in this process, 0 means 32.
func (m *Manager) Handle(kind Kind, workers int, body Body) { m.HandleWaiting(kind, workers, 0, body) }

// HandleWaiting is Handle for a kind of whose jobs only atWork do something at once while the others wait; 0 means all.
func (m *Manager) HandleWaiting(kind Kind, workers, atWork int, body Body) {
	q := engine.Queue{Name: QueueOf(kind), WorkerConcurrency: workers, AtWork: atWork}
	m.engine.Handle(kind, q, func(er engine.Run) error { return m.execute(er, body) })
}

// A Remover takes away what a service keeps of the jobs of a kind outside of the job layer.
type Remover struct {
	// Tx runs in the transaction that deletes the job, and again when that is run again.
	Tx func(ctx context.Context, tx Tx, j Job) error
	// After runs when the job is gone, for what is in no database; it may not run when the process ends then. nil is
	// nothing.
	After func(ctx context.Context, j Job) error
}

// OnDelete registers what belongs to the jobs of a kind, before Start only. Every process that deletes jobs registers
// it for every kind.
func (m *Manager) OnDelete(kind Kind, r Remover) { m.removers[kind] = r }

// A Check says whether a job of its kind may be retried now. It runs in the transaction that retries the job, and again
// when that is run again.
type Check func(ctx context.Context, tx Tx, j Job) error

// OnRetry registers the check of a kind, before Start only.
func (m *Manager) OnRetry(kind Kind, c Check) { m.checks[kind] = c }

// OnGivenUp registers what is to follow where an attempt ends otherwise than by its body, or may have: after a panic, too
// many errors or starts, or when the engine has lost it. Before Start only, and in every process. fn may be called again for
// the same attempt, just before it ends, and after an end by the body that a crash followed. Where it fails, it is called
// again.
func (m *Manager) OnGivenUp(kind Kind, fn func(ctx context.Context, j Job) error) {
	m.givenUp[kind] = fn
}

// A Chore is a service's part of the housekeeping: it runs at start and then regularly, and must be quick when there is
// nothing to do.
type Chore func(ctx context.Context, now time.Time) error

// OnHousekeeping registers a chore, before Start only.
func (m *Manager) OnHousekeeping(c Chore) { m.chores = append(m.chores, c) }

// Start starts the engine, which first takes up what an earlier process left, and the watch over cancellations and lost
// jobs.
func (m *Manager) Start(ctx context.Context) error {
	background, halt := context.WithCancel(context.WithoutCancel(ctx))
	watched, blind := context.WithCancel(context.WithoutCancel(ctx))
	m.mu.Lock()
	if m.halt != nil {
		m.mu.Unlock()
		halt()
		blind()
		return errors.New("job: the manager was started before")
	}
	m.halt, m.blind = halt, blind
	m.mu.Unlock()
	if err := m.engine.Start(ctx); err != nil {
		return fmt.Errorf("start the job engine: %w", err)
	}
	m.watch.Go(func() { m.watchCancellations(watched) })
	m.work.Go(func() { m.sweepRegularly(background) })
	return nil
}

// Stop lets steps that run end until ctx's deadline, at once without one, and hands unfinished jobs over: to other
// processes, or to the next start. Cancellations are heard until the end. Stop closes the engine's handle of the
// database, so nothing is written afterwards.
func (m *Manager) Stop(ctx context.Context) error {
	m.mu.Lock()
	halt, blind := m.halt, m.blind
	m.mu.Unlock()
	if halt == nil {
		return m.engine.Stop(ctx)
	}
	halt()
	m.work.Wait()
	err := m.engine.Stop(ctx)
	blind()
	m.watch.Wait()
	return err
}

// Create stores a job with its resource and puts it into its queue, in one transaction. The same owner, method, request
// ID and body get the first job again, at any later time and when both calls run at once; another body is
// ErrRequestIDReused. A request that c.Existing answers gets that job from then on. A parent that is not the owner's is
// ErrNotFound: what a job has started is cancelled, retried and deleted with it.
func (m *Manager) Create(ctx context.Context, c Creation) (Job, bool, error) {
	c.Priority, c.QueueTimeout = cmp.Or(c.Priority, DefaultPriority), cmp.Or(c.QueueTimeout, m.cfg.QueueTimeout)
	c.HistoryKept = cmp.Or(c.HistoryKept, m.cfg.HistoryKept[c.Kind], DefaultHistoryKept)
	crashpoint.Hit(crashpoint.BeforeCreate)
	j, reused, err := m.store.Create(ctx, c, func(ctx context.Context, tx Tx) error {
		return m.enqueue(ctx, tx, Attempt{ID: c.ID, Number: 1}, c.Kind, c.Priority)
	})
	if err != nil {
		return Job{}, false, fmt.Errorf("create %s job: %w", c.Kind, err)
	}
	crashpoint.Hit(crashpoint.AfterCreate)
	if !reused {
		m.announce(ctx, Written{ID: j.ID, LastSeq: j.LastSeq})
	}
	return j, reused, nil
}

// enqueue puts an attempt into its queue. The engine learns its ID and nothing else.
func (m *Manager) enqueue(ctx context.Context, tx Tx, a Attempt, kind Kind, priority uint) error {
	return m.engine.EnqueueTx(ctx, tx, engine.Request{ID: a.execution(), Kind: kind, Queue: QueueOf(kind), Priority: priority})
}

// Retry starts the next attempt of a job that ended FAILED, CANCELLED, PARTIALLY_SUCCEEDED or EXPIRED, in the same log and
// with what its journal holds. Errors: ErrNotFound, ErrRequestIDReused, ErrETagMismatch, ErrNotFinished, ErrNotRetryable.
// The same request starts one attempt only and gets the job as it is.
func (m *Manager) Retry(ctx context.Context, r Retrial) (Job, error) {
	crashpoint.Hit(crashpoint.BeforeRetry)
	j, reused, err := m.store.Retry(ctx, r, func(ctx context.Context, tx Tx, j Job) error {
		if check := m.checks[j.Kind]; check != nil {
			if err := check(ctx, tx, j); err != nil {
				return err
			}
		}
		return m.enqueue(ctx, tx, Attempt{ID: j.ID, Number: j.Attempt}, j.Kind, j.Priority)
	})
	if err != nil {
		return Job{}, fmt.Errorf("retry job %s: %w", r.ID, err)
	}
	crashpoint.Hit(crashpoint.AfterRetry)
	if !reused {
		m.announce(ctx, Written{ID: j.ID, LastSeq: j.LastSeq})
	}
	return j, nil
}

// Delete removes jobs that have ended with all that they started and all that belongs to them, which OnDelete says. An
// index stays when the review that had it built goes: others use it too. Errors: ErrNotFound, ErrETagMismatch,
// ErrNotFinished.
func (m *Manager) Delete(ctx context.Context, d Deletion) error {
	d.Keep, d.Remove = []Kind{KindIndex}, m.removeTx
	crashpoint.Hit(crashpoint.BeforeDelete)
	gone, err := m.store.Delete(ctx, d)
	if err != nil {
		return fmt.Errorf("delete jobs: %w", err)
	}
	crashpoint.Hit(crashpoint.AfterDelete)
	var ids []engine.ID
	for _, j := range gone {
		for n := range j.Attempt {
			ids = append(ids, Attempt{ID: j.ID, Number: n + 1}.execution())
		}
		if after := m.removers[j.Kind].After; after != nil {
			if err := after(ctx, j); err != nil {
				m.logger.WarnContext(ctx, "something of a deleted job is left", "job_id", j.ID, "kind", j.Kind, "error", err)
			}
		}
	}
	if err := m.engine.Remove(ctx, ids); err != nil {
		m.logger.WarnContext(ctx, "the engine keeps its record of deleted jobs until it is purged", "error", err)
	}
	return nil
}

func (m *Manager) removeTx(ctx context.Context, tx Tx, j Job) error {
	remove := m.removers[j.Kind].Tx
	if remove == nil {
		return nil
	}
	if err := remove(ctx, tx, j); err != nil {
		return fmt.Errorf("remove what belongs to %s job %s: %w", j.Kind, j.ID, err)
	}
	return nil
}

// DeadLetters counts the jobs that were given up and wait for a retry or their deletion.
func (m *Manager) DeadLetters(ctx context.Context) (int64, error) { return m.store.DeadLetters(ctx) }

// Get returns a job of owner, and ErrNotFound for every other one. Owner "" is for internal callers and sees all.
func (m *Manager) Get(ctx context.Context, id ID, owner string) (Job, error) {
	j, err := m.store.Get(ctx, id)
	if err != nil {
		return Job{}, fmt.Errorf("get job %s: %w", id, err)
	}
	if owner != "" && j.Owner != owner {
		return Job{}, fmt.Errorf("get job %s: %w", id, ErrNotFound)
	}
	return j, nil
}

// States returns the states of those of ids that exist.
func (m *Manager) States(ctx context.Context, ids ...ID) (map[ID]State, error) {
	if len(ids) == 0 {
		return map[ID]State{}, nil
	}
	return m.store.States(ctx, ids)
}

// StatesTx is States as tx sees it, for what is decided in a transaction.
func (m *Manager) StatesTx(ctx context.Context, tx Tx, ids ...ID) (map[ID]State, error) {
	if len(ids) == 0 {
		return map[ID]State{}, nil
	}
	return m.store.StatesTx(ctx, tx, ids)
}

// List returns jobs without their specs and results, newest first, and the position of the next page; a zero position says that there is none.
func (m *Manager) List(ctx context.Context, q ListQuery) ([]Job, ListPosition, error) {
	limit := min(max(cmp.Or(q.Limit, 50), 1), 1000)
	q.Limit = limit + 1
	jobs, err := m.store.List(ctx, q)
	if err != nil {
		return nil, ListPosition{}, fmt.Errorf("list jobs: %w", err)
	}
	if len(jobs) <= limit {
		return jobs, ListPosition{}, nil
	}
	last := jobs[limit-1]
	return jobs[:limit], ListPosition{CreatedAt: last.CreatedAt, ID: last.ID}, nil
}

// Events returns the log after a position, at most limit entries (1,000 at the most) and about EventsBytes of
// payloads; none means that nothing follows.
func (m *Manager) Events(ctx context.Context, id ID, after int64, limit int) ([]Event, error) {
	return m.store.Events(ctx, id, after, min(max(limit, 1), 1000))
}

// Cancel asks for the end of a job of owner and of all jobs that it started. It is durable when it returns; a finished
// job is left as it is. The job is returned as it is then.
func (m *Manager) Cancel(ctx context.Context, id ID, owner string) (Job, error) {
	if _, err := m.Get(ctx, id, owner); err != nil {
		return Job{}, err
	}
	crashpoint.Hit(crashpoint.BeforeCancel)
	endings, err := m.store.Cancel(ctx, id)
	if err != nil {
		return Job{}, fmt.Errorf("cancel job %s: %w", id, err)
	}
	crashpoint.Hit(crashpoint.AfterCancel)
	m.ended(ctx, endings)
	return m.Get(ctx, id, owner)
}

// ended tells viewers, bodies and the engine what became of jobs.
func (m *Manager) ended(ctx context.Context, endings []Ending) {
	var gone []Attempt
	for _, e := range endings {
		if !e.State.Terminal() {
			m.announce(ctx, e.Written)
			m.bus.Publish(ctx, cancelTopic(e.ID), 1)
			continue
		}
		m.announceEnd(ctx, e.Written)
		gone = append(gone, Attempt{ID: e.ID, Number: e.Attempt})
	}
	if err := m.engine.Forget(ctx, executions(gone)); err != nil {
		m.logger.WarnContext(ctx, "jobs that ended stay in their queue until a worker drops them", "error", err)
	}
}

// announce tells viewers that a job's log has grown.
func (m *Manager) announce(ctx context.Context, w Written) {
	if w.LastSeq > 0 {
		crashpoint.Hit(crashpoint.BeforePublish)
		m.bus.Publish(ctx, SeqTopic(w.ID), w.LastSeq)
		crashpoint.Hit(crashpoint.AfterPublish)
	}
}

// announceEnd tells those who wait for the job's end as well. One that was ended by nobody's write just now has none.
func (m *Manager) announceEnd(ctx context.Context, w Written) {
	m.announce(ctx, w)
	if w.LastSeq > 0 {
		m.bus.Publish(ctx, EndTopic(w.ID), w.LastSeq)
	}
}

// SeqTopic is the bus topic on which the last sequence number of a job is published after each commit.
func SeqTopic(id ID) string { return "job/" + string(id) + "/seq" }

// EndTopic is the bus topic on which that number is published when an attempt of the job has ended.
func EndTopic(id ID) string { return "job/" + string(id) + "/end" }

func cancelTopic(id ID) string { return "job/" + string(id) + "/cancel" }
