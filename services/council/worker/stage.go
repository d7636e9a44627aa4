package worker

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	councilv1 "witan.dev/gen/witan/council/v1"
	"witan.dev/internal/job"
	"witan.dev/internal/job/engine"
	"witan.dev/services/council"
	"witan.dev/services/council/wire"
)

// concurrency bounds the calls of one stage that are made at once.
const concurrency = 32

// unit is one piece of a stage's work: one member and one part.
type unit[T any] struct {
	member string
	part   string
	ask    ask
	// parse reads what was answered. Where it fails the model is shown its output and the error once.
	parse func(text string) (T, error)
	// report builds the event of a readable answer, which commits with it; repaired after the repair call. unreadable
	// builds that of an answer which the repair did not mend.
	report     func(r record, v T, repaired bool) job.NewEvent
	unreadable func(r record, problem error) job.NewEvent
	// nonce is for the fence around the output that is to be repaired.
	nonce string
}

// delivery is what came of a unit: a value, or a failure.
type delivery[T any] struct {
	member, part string
	value        T
	record       record
	repaired     bool
	failed       *failure
	spent        spent
}

// stagePlan is how a stage is held.
type stagePlan[T any] struct {
	name string
	// want is how many members make the quorum.
	want int
	// watch sees each delivery with those before it and may close the stage; nil: nobody watches.
	watch func(ctx context.Context, so []delivery[T]) (council.ClosedBy, error)
}

// held is a stage after its end. Deliveries are in the order of the units.
type held[T any] struct {
	deliveries []delivery[T]
	coverage   council.StageCoverage
	// delivered are the members of whom something came.
	delivered []string
	quorum    bool
	spent     spent
}

// result is a unit's end, or what keeps the run from going on here.
type result[T any] struct {
	at       int
	delivery delivery[T]
	err      error
}

// hold holds a stage: all units at once (at most concurrency calls in flight), until all have delivered or failed, the
// grace after the quorum or the stage's time is over, watch closes it, or the job is stopped. It waits for every call that
// it made. An error means that the run cannot go on here; then nothing is recorded.
func hold[T any](ctx context.Context, d *deliberation, s stagePlan[T], units []unit[T]) (held[T], error) {
	waves := max(1, (len(units)+concurrency-1)/concurrency)
	limit := d.Spec.Timeouts.Stage * time.Duration(waves)
	members := membersOf(units)
	for i := range units {
		units[i].ask.round = d.rounds[place(units[i].member, units[i].part)]
	}
	if err := d.begin(ctx, s.name, members, limit); err != nil {
		return held[T]{}, err
	}
	first := units[:min(len(units), concurrency)]
	asks, limits := make([]ask, len(first)), make([]int, len(first))
	for i, u := range first {
		asks[i], limits[i] = u.ask, u.ask.maxOutput
	}
	grants, err := d.open(ctx, asks, limits)
	if err != nil {
		return held[T]{}, err
	}
	stageCtx, closeStage := context.WithCancelCause(ctx)
	defer closeStage(nil)
	results := make(chan result[T])
	slots := make(chan struct{}, concurrency)
	for i, u := range units {
		go func() {
			r := result[T]{at: i}
			defer func() { results <- r }()
			defer func() { // a fault over one answer must not end the process with all its jobs
				if v := recover(); v != nil {
					r.err = fmt.Errorf("panic over %s in stage %s: %v\n%s", u.member, s.name, v, debug.Stack())
				}
			}()
			if i < len(first) {
				r.delivery, r.err = attend(stageCtx, d, u, grants[i], true, slots)
			} else {
				r.delivery, r.err = attend(stageCtx, d, u, nil, false, slots)
			}
		}()
	}
	c := collector[T]{
		deliberation: d, plan: s, units: units, members: members, closeStage: closeStage,
		came: make([]*delivery[T], len(units)), closed: council.ClosedAll, open: map[string]int{}, good: map[string]int{},
	}
	for _, u := range units {
		c.open[u.member]++
	}
	return c.collect(ctx, results, limit)
}

func membersOf[T any](units []unit[T]) []string {
	var members []string
	for _, u := range units {
		if !slices.Contains(members, u.member) {
			members = append(members, u.member)
		}
	}
	return members
}

// begin logs the start of a stage and moves the job's progress.
func (d *deliberation) begin(ctx context.Context, name string, subjects []string, limit time.Duration) error {
	stages := council.Stages(d.Spec, d.Task.Kind())
	return d.run.Commit(ctx, job.Update{
		Stage:    name,
		Progress: &job.Progress{Done: int64(max(0, slices.Index(stages, name))), Total: int64(len(stages)), Unit: "stages"},
		Events: []job.NewEvent{event(key(name, "stage"), &councilv1.CouncilEvent{Event: &councilv1.CouncilEvent_StageStarted{StageStarted: &councilv1.StageStarted{
			Stage: name, Subjects: subjects, DeadlineTime: wire.Time(d.now().Add(limit)),
		}}})},
	})
}

// attend does one unit.
func attend[T any](ctx context.Context, d *deliberation, u unit[T], granted *job.CallGrant, opened bool, slots chan struct{}) (delivery[T], error) {
	out := delivery[T]{member: u.member, part: u.part}
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
	case <-ctx.Done():
		var err error
		out.failed, err = ended(context.Cause(ctx))
		return out, err
	}
	u.ask.voice.answered = func(r record) []job.NewEvent {
		v, err := u.parse(r.Text)
		if err != nil {
			return nil
		}
		return []job.NewEvent{u.report(r, v, false)}
	}
	var err error
	out.record, out.failed, out.spent, err = d.call(ctx, u.ask, granted, opened)
	if err != nil || out.failed != nil {
		return out, err
	}
	var problem error
	if out.value, problem = u.parse(out.record.Text); problem != nil {
		return repair(ctx, d, u, out, problem)
	}
	return out, nil
}

// collector waits for the units of a stage and decides when it closes.
type collector[T any] struct {
	*deliberation

	plan       stagePlan[T]
	units      []unit[T]
	members    []string
	closeStage context.CancelCauseFunc
	came       []*delivery[T]
	open, good map[string]int // units of a member that have not ended, and that have succeeded
	closed     council.ClosedBy
	quorum     bool
	stopped    bool // closing has begun
}

func (c *collector[T]) collect(ctx context.Context, results <-chan result[T], limit time.Duration) (held[T], error) {
	clock := time.NewTimer(limit)
	defer clock.Stop()
	grace := time.NewTimer(limit + c.Spec.Quorum.Grace)
	defer grace.Stop()
	var failed error
	for left := len(c.units); left > 0; {
		select {
		case r := <-results:
			left--
			c.came[r.at] = &r.delivery
			c.open[r.delivery.member]--
			if r.err == nil && r.delivery.failed == nil {
				c.good[r.delivery.member]++
			}
			err := r.err
			if err == nil && failed == nil {
				err = c.took(ctx, grace, left)
			}
			if err != nil && failed == nil {
				failed = err
				if !errors.Is(err, engine.ErrDraining) { // then the calls in flight may end, and their answers are kept
					c.closeStage(err) // the others end without a record
				}
			}
		case <-clock.C:
			c.close(council.ClosedTimeout)
		case <-grace.C:
			c.close(council.ClosedGrace)
		}
	}
	if failed != nil {
		return held[T]{}, failed
	}
	return c.held(ctx)
}

func (c *collector[T]) close(by council.ClosedBy) {
	if !c.stopped {
		c.stopped, c.closed = true, by
		c.closeStage(errStageClosed)
	}
}

// took looks at the stage after a unit has ended: the quorum starts the grace, watch may close.
func (c *collector[T]) took(ctx context.Context, grace *time.Timer, left int) error {
	have := len(c.delivered(false))
	if !c.quorum && c.plan.want > 0 && have >= c.plan.want {
		c.quorum = true
		until := c.now().Add(c.Spec.Quorum.Grace)
		if left > 0 {
			grace.Reset(c.Spec.Quorum.Grace)
		}
		if err := c.run.Append(ctx, event(key(c.plan.name, "quorum"), &councilv1.CouncilEvent{Event: &councilv1.CouncilEvent_QuorumReached{QuorumReached: &councilv1.QuorumReached{
			Stage: c.plan.name, Have: int32(have), Want: int32(c.plan.want), Planned: int32(len(c.members)), GraceUntilTime: wire.Time(until), //nolint:gosec // at most 16
		}}})); err != nil {
			return err
		}
	}
	if c.plan.watch == nil || c.stopped || left == 0 {
		return nil
	}
	var so []delivery[T]
	for _, d := range c.came {
		if d != nil {
			so = append(so, *d)
		}
	}
	by, err := c.plan.watch(ctx, so)
	if err == nil && by != "" {
		c.close(by)
	}
	return err
}

// delivered are the members all of whose units have ended and of whom at least one succeeded; at the end of the stage the
// first condition holds for all.
func (c *collector[T]) delivered(end bool) []string {
	var out []string
	for _, m := range c.members {
		if c.good[m] > 0 && (end || c.open[m] == 0) {
			out = append(out, m)
		}
	}
	return out
}

func (c *collector[T]) held(ctx context.Context) (held[T], error) {
	out := held[T]{delivered: c.delivered(true)}
	cov := council.StageCoverage{Stage: c.plan.name, Planned: len(c.members), ClosedBy: c.closed}
	budget := false
	for _, came := range c.came {
		out.deliveries = append(out.deliveries, *came)
		out.spent.Usage, out.spent.Calls = out.spent.Usage.Add(came.spent.Usage), out.spent.Calls+came.spent.Calls
		if f := came.failed; f != nil {
			cov.Missing = append(cov.Missing, council.Missing{Subject: came.member, Part: came.part, Class: f.Class, Message: f.Message})
			budget = budget || f.Class == "BUDGET"
		}
	}
	stopped, err := ended(context.Cause(ctx))
	if err != nil {
		return held[T]{}, err
	}
	switch {
	case stopped != nil && stopped.Class == "CANCELLED":
		cov.ClosedBy = council.ClosedCancelled
	case stopped != nil:
		cov.ClosedBy = council.ClosedDeadline
	case budget:
		cov.ClosedBy = council.ClosedBudget
	}
	cov.Delivered = len(out.delivered)
	out.coverage, out.quorum = cov, len(out.delivered) >= c.plan.want
	return out, nil
}
