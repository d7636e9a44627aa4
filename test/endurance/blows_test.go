package endurance_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"witan.dev/internal/testserver"
)

// holding is a job that a struck worker had, and the epoch that it was at.
type holding struct {
	job   string
	epoch int64
}

// blow is something that happened to a process.
type blow struct {
	process string
	frozen  bool // it was stopped for a while, not killed
	at, end time.Time
	held    []holding
	blind   bool // the database could not say what it had
}

// outage is a time without Postgres or Redis.
type outage struct {
	server   string
	from, to time.Time
}

// storm strikes processes and servers, and starts again what was killed. Its methods are for one goroutine.
type storm struct {
	*load

	rng   *rand.Rand
	begun time.Time
	// every is the mean pause between blows, down how long what was killed stays away at most.
	every, down time.Duration
	// freeze is how long workers are frozen at most; 0: never.
	freeze time.Duration
	// victims are the processes that may be struck at the moment.
	victims func() []string

	work    sync.WaitGroup
	mu      sync.Mutex
	busy    map[string]bool
	blows   []*blow
	outages []outage
}

// strike strikes until ctx ends, and returns when everything runs again. Ending means the tasks are done: what was struck last
// is still started again under life, which outlives ctx.
func (s *storm) strike(ctx, life context.Context) {
	s.busy, s.begun = map[string]bool{}, time.Now()
	s.work.Go(func() { s.guard(ctx, life) })
	for pause(ctx, s.every/2+time.Duration(s.rng.Int64N(int64(s.every)))) == nil {
		names := s.victims()
		name := names[s.rng.IntN(len(names))]
		frozen := s.freeze > 0 && strings.HasPrefix(name, "worker-") && s.rng.IntN(3) == 0
		away := time.Duration(s.rng.Int64N(int64(s.down)))
		if frozen {
			away = time.Second + time.Duration(s.rng.Int64N(int64(s.freeze-time.Second)))
		}
		if s.take(name) {
			s.work.Go(func() {
				defer s.give(name)
				s.hit(life, &blow{process: name, frozen: frozen}, away)
			})
		}
	}
	s.work.Wait()
}

func (s *storm) take(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy[name] {
		return false
	}
	s.busy[name] = true
	return true
}

func (s *storm) give(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.busy, name)
}

// hit strikes one process, and ends when it is at work again.
func (s *storm) hit(life context.Context, b *blow, away time.Duration) {
	p := s.Process(b.process)
	pid := p.PID()
	b.at = time.Now()
	var err error
	if b.frozen {
		err = p.Signal(syscall.SIGSTOP)
	} else {
		err = p.Kill()
	}
	if err != nil {
		s.fail("strike %s: %s", b.process, err)
		return
	}
	if b.held, err = s.heldBy(life, pid); err != nil {
		b.blind = true
	}
	_ = pause(life, away)
	if b.frozen {
		err = p.Signal(syscall.SIGCONT)
	} else {
		err = s.revive(life, b.process)
	}
	if err != nil {
		s.fail("bring %s back: %s", b.process, err)
	}
	b.end = time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blows = append(s.blows, b)
}

// heldBy lists the jobs that a worker process has, claimed or begun.
func (s *storm) heldBy(ctx context.Context, pid int) ([]holding, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	rows, err := s.db.Query(ctx, `SELECT j.id, j.epoch FROM dbos.workflow_status AS w JOIN jobs AS j ON j.id = split_part(w.workflow_uuid, '~', 1)
		WHERE w.status = 'PENDING' AND w.executor_id LIKE '%-' || $1 || '-%' AND j.end_time IS NULL`, strconv.Itoa(pid))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var held []holding
	for rows.Next() {
		var h holding
		if err := rows.Scan(&h.job, &h.epoch); err != nil {
			return nil, err
		}
		held = append(held, h)
	}
	return held, rows.Err()
}

// revive starts a process until it is at work, as those who run it do: while Postgres is away it may end at once.
func (s *storm) revive(ctx context.Context, name string) error {
	for {
		err := s.Restart(ctx, name)
		if err == nil || ctx.Err() != nil {
			return err
		}
		if err := s.Process(name).Kill(); err != nil {
			return err
		}
		if err := pause(ctx, again); err != nil {
			return err
		}
	}
}

// guard looks for processes that end without having been struck, which none may.
func (s *storm) guard(ctx, life context.Context) {
	for pause(ctx, again) == nil {
		for _, name := range s.Names() {
			if !s.Process(name).Ended() || !s.take(name) {
				continue
			}
			if s.Process(name).Ended() { // not only by a blow that is just over
				lines := strings.Split(s.Process(name).Output(), "\n")
				s.fail("%s ended by itself:\n%s", name, strings.Join(lines[max(0, len(lines)-20):], "\n"))
				if err := s.revive(life, name); err != nil {
					s.fail("bring %s back: %s", name, err)
				}
			}
			s.give(name)
		}
	}
}

// away stops a server hard and starts it after a while.
func (s *storm) away(ctx context.Context, name string, server *testserver.Server, d time.Duration) {
	o := outage{server: name, from: time.Now()}
	err := server.Kill()
	if err == nil {
		_ = pause(ctx, d)
		err = server.Start(ctx)
	}
	if err != nil {
		s.fail("%s: %s", name, err)
	}
	o.to = time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outages = append(s.outages, o)
}

// thawed is how long after the end of a freeze the calls of the frozen worker may still come: it looks at the database every
// two seconds, if not sooner.
const thawed = 3 * time.Second

// explain requires of each call that came after its answer was stored that a worker which had been frozen sent it, and of each
// review that did without its council that this was away meanwhile.
func (s *storm) explain(late []lateCall) {
	for _, t := range s.done {
		away := slices.ContainsFunc(s.outages, func(o outage) bool {
			return o.server == "Postgres" && o.from.Before(t.ended) && o.to.After(t.begun)
		})
		if t.alone && !away && !slices.ContainsFunc(s.blows, func(b *blow) bool {
			return (b.process == "council" || b.process == "jobs") && b.at.Before(t.ended) && b.end.After(t.begun)
		}) {
			s.fail("%s %d (%s) says that the council could not be reached, which was there", t.kind, t.n, t.job)
		}
	}
	for _, c := range late {
		if !slices.ContainsFunc(s.blows, func(b *blow) bool {
			return b.frozen && b.at.Before(c.stored) && c.at.After(b.end.Add(-time.Second)) && c.at.Before(b.end.Add(thawed))
		}) {
			s.fail("%s was asked %s after its answer was stored (%s)", c.model, c.at.Sub(c.stored), c.key)
		}
	}
}

// pickUps says how long the jobs of killed workers lay until somebody went on with them.
type pickUps struct {
	// outside are those of kills that no outage had a part in, within the others.
	outside, within []time.Duration
	// again counts those whose next holder was struck too before it began: that blow counts instead. over are jobs that
	// had come to their end just before the kill.
	again, over int
	// longest is the longest outside, and which it was.
	longest time.Duration
	which   string
}

// measure looks into the logs for who went on with what the killed workers had.
func (s *storm) measure(ctx context.Context) (pickUps, error) {
	var p pickUps
	slices.SortFunc(s.blows, func(a, b *blow) int { return a.at.Compare(b.at) })
	for i, b := range s.blows {
		if b.frozen {
			continue
		}
		for _, h := range b.held {
			var next *time.Time
			err := s.db.QueryRow(ctx, `SELECT min(time) FROM job_events WHERE job_id = $1 AND epoch > $2`, h.job, h.epoch).Scan(&next)
			switch {
			case err != nil:
				return p, fmt.Errorf("read when %s went on: %w", h.job, err)
			case next == nil:
				p.over++
			case slices.ContainsFunc(s.blows[i+1:], func(o *blow) bool { return o.at.Before(*next) && slices.Contains(o.held, h) }):
				p.again++
			case s.disturbed(b.at, *next):
				p.within = append(p.within, next.Sub(b.at))
			default:
				p.outside = append(p.outside, next.Sub(b.at))
				p.slowest(h, b.at.Sub(s.begun), next.Sub(b.at))
			}
		}
	}
	s.timeline()
	slices.Sort(p.outside)
	slices.Sort(p.within)
	return p, nil
}

// slowest keeps the job that lay longest.
func (p *pickUps) slowest(h holding, at, lay time.Duration) {
	if lay > p.longest {
		p.longest, p.which = lay, fmt.Sprintf("%s, whose worker was killed %.1f s after the beginning", h.job, at.Seconds())
	}
}

// timeline writes down what happened when.
func (s *storm) timeline() {
	for _, b := range s.blows {
		what := "killed"
		if b.frozen {
			what = "frozen"
		}
		s.Logf("%6.1f to %6.1f s: %s %s, which had %d jobs", b.at.Sub(s.begun).Seconds(), b.end.Sub(s.begun).Seconds(), b.process, what, len(b.held))
	}
	for _, o := range s.outages {
		s.Logf("%6.1f to %6.1f s: %s away", o.from.Sub(s.begun).Seconds(), o.to.Sub(s.begun).Seconds(), o.server)
	}
}

// settle is how long after the end of an outage its consequences count as its own: workers judge each other only after signs
// of life without a gap for 6 s, and the engine asks again after up to as long as the outage was.
const settle = 6 * time.Second

// disturbed says whether Postgres was away, or had just been, at some time between two.
func (s *storm) disturbed(from, to time.Time) bool {
	return slices.ContainsFunc(s.outages, func(o outage) bool {
		return o.server == "Postgres" && o.from.Before(to) && o.to.Add(settle+o.to.Sub(o.from)).After(from)
	})
}

// quantile is the value below which the part q of sorted values lies (nearest rank).
func quantile[T cmp.Ordered](sorted []T, q float64) T {
	if len(sorted) == 0 {
		var none T
		return none
	}
	return sorted[min(len(sorted)-1, max(0, int(q*float64(len(sorted))+0.999999)-1))]
}
