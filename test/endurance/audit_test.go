package endurance_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"witan.dev/internal/llm/simulator"
	"witan.dev/services/review/github/githubtest"
)

// audit is what stands in the database, in the log of the models and at the forge when all is done.
type audit struct {
	jobs, events, recoveries       int
	calls, asked, repaid, inFlight int
	comments, pulls, rounds        int
	late                           []lateCall
}

// lateCall is one that a model got after its answer was stored: a worker that was frozen between its intent and its call sends
// that when it thaws, before it knows that others have gone on.
type lateCall struct {
	model, key string
	at, stored time.Time
}

// rounds are the later rounds of the councils of pull requests. They have one after a pause, where the council could not be
// reached for longer than a step tries; the one before is stopped, or ends unread.
const rounds = `SELECT split_part(workflow_uuid, '~', 1) AS job FROM dbos.operation_outputs WHERE function_name LIKE 'deliberate/round/%'`

// examine holds all of it to what it must be, the jobs that others started included. Each fault is noted as a failure.
func (l *load) examine(ctx context.Context) audit {
	var a audit
	for _, check := range []struct {
		what, query string
	}{
		{"jobs that have not ended", `SELECT id || ' ' || kind || ' ' || state FROM jobs WHERE end_time IS NULL`},
		{"jobs that ended as they should not", `SELECT id || ' ' || kind || ' ' || state || ' ' || state_reason || coalesce(error, '') FROM jobs
			WHERE state NOT IN ('SUCCEEDED', 'PARTIALLY_SUCCEEDED') AND NOT (state = 'CANCELLED' AND (
				parent_job = ANY(string_to_array('` + l.alone() + `', ',')) OR parent_job IN (SELECT job FROM (` + rounds + `) AS r)))`},
		{"reviews that convened their council more often than it had been away for too long", `SELECT parent_job FROM jobs WHERE kind = 'council' AND parent_job <> ''
			GROUP BY parent_job HAVING count(*) > 1 + (SELECT count(*) FROM (` + rounds + `) AS r WHERE r.job = parent_job)`},
		{"logs with gaps, doubles, or another number of ends than one", `SELECT j.id FROM jobs AS j JOIN job_events AS e ON e.job_id = j.id
			GROUP BY j.id HAVING count(*) <> j.last_seq - j.first_available_seq + 1 OR max(e.seq) <> j.last_seq OR min(e.seq) <> j.first_available_seq
				OR count(*) FILTER (WHERE e.final) <> 1 OR max(e.seq) FILTER (WHERE e.final) <> j.last_seq`},
		{"logs in which an execution wrote that had lost its job", `SELECT DISTINCT job_id FROM (
			SELECT job_id, epoch < lag(epoch) OVER (PARTITION BY job_id ORDER BY seq) AS late FROM job_events) AS e WHERE late`},
		{"calls that were made again although their answer was stored", `SELECT a.job_id || ' ' || a.stage || ' ' || a.subject || ' ' || a.part FROM calls AS a JOIN calls AS b
			USING (job_id, stage, subject, part) WHERE a.state = 'RESULT' AND b.attempt > a.attempt`},
		{"jobs that paid more than was in flight", `SELECT j.id || ' repaid ' || calls_repaid FROM jobs AS j
			WHERE calls_repaid > 3 * recoveries OR calls_repaid > (SELECT count(*) FROM calls WHERE job_id = j.id AND state = 'ABANDONED')`},
		{"jobs whose ledger is not that of their calls", `SELECT j.id FROM jobs AS j WHERE calls_completed <> (SELECT count(*) FROM calls WHERE job_id = j.id AND state = 'RESULT')`},
		{"webhooks that were not handled", `SELECT id || ' ' || state || ' ' || reason FROM deliveries WHERE resource = ''`},
		{"webhooks with the same review", `SELECT resource FROM deliveries GROUP BY resource HAVING count(DISTINCT origin) > 1`},
	} {
		for _, found := range l.rows(ctx, check.query) {
			l.fail("%s: %s", check.what, found)
		}
	}
	err := l.db.QueryRow(ctx, `SELECT count(*), coalesce(sum(last_seq), 0), coalesce(sum(recoveries), 0), coalesce(sum(calls_repaid), 0),
		(SELECT count(*) FROM calls), (SELECT count(*) FROM calls WHERE state = 'ABANDONED') FROM jobs`).
		Scan(&a.jobs, &a.events, &a.recoveries, &a.repaid, &a.calls, &a.inFlight)
	if err != nil {
		l.fail("count: %s", err)
	}
	if err := l.db.QueryRow(ctx, `SELECT count(*) FROM (`+rounds+`) AS r`).Scan(&a.rounds); err != nil {
		l.fail("count the rounds of councils: %s", err)
	}
	l.resources(ctx, a.rounds)
	a.asked, a.late = l.askedOnce(ctx)
	a.comments, a.pulls = l.comments(ctx)
	return a
}

// alone are the IDs of the jobs of reviews that had to do without a council.
func (l *load) alone() string {
	var ids []string
	for _, t := range l.done {
		if t.alone {
			ids = append(ids, strings.TrimPrefix(t.job, "jobs/"))
		}
	}
	return strings.Join(ids, ",")
}

// rows are the texts that a query finds.
func (l *load) rows(ctx context.Context, query string) []string {
	found, err := l.db.Query(ctx, query)
	if err != nil {
		return []string{err.Error()}
	}
	list, err := pgx.CollectRows(found, pgx.RowTo[string])
	if err != nil {
		return append(list, err.Error())
	}
	return list[:min(len(list), 10)]
}

// resources requires that nothing was made but what was asked for: one deliberation or review a task, and one council a review
// and later round.
func (l *load) resources(ctx context.Context, rounds int) {
	asked := map[kind]int{}
	for _, t := range l.done {
		asked[t.kind]++
	}
	for table, want := range map[string]int{
		"deliberations": asked[deliberation] + asked[diffReview] + asked[pullReview], "reviews": asked[diffReview] + asked[pullReview],
	} {
		var got int
		least, most := want, want
		if table == "deliberations" {
			most += rounds
			least -= l.without() // whose council may have been convened by a call that was not answered, and is stopped then
		}
		if err := l.db.QueryRow(ctx, `SELECT count(*) FROM `+table).Scan(&got); err != nil || got > most || got < least {
			l.fail("there are %d %s instead of %d (%v)", got, table, want, err)
		}
	}
}

// askedOnce reads the log of the models: each call was sent at most as often as the journal has intents of it. Those that came
// after the answer was stored are listed.
func (l *load) askedOnce(ctx context.Context) (asked int, late []lateCall) {
	type journal struct {
		intents int
		stored  *time.Time
	}
	book := map[string]journal{}
	found, err := l.db.Query(ctx, `SELECT idempotency_key, count(*), max(end_time) FILTER (WHERE state = 'RESULT') FROM calls GROUP BY idempotency_key`)
	if err != nil {
		l.fail("read the journal of calls: %s", err)
		return 0, nil
	}
	var key string
	var j journal
	if _, err := pgx.ForEachRow(found, []any{&key, &j.intents, &j.stored}, func() error { book[key] = j; return nil }); err != nil {
		l.fail("read the journal of calls: %s", err)
		return 0, nil
	}
	sent := map[string]int{}
	for e, err := range l.asked() {
		asked++
		if err != nil {
			l.fail("read the log of the models: %s", err)
			break
		}
		j, known := book[e.IdempotencyKey]
		switch sent[e.IdempotencyKey]++; {
		case !known:
			l.fail("%s was asked by a call that is in no journal", e.Model)
		case sent[e.IdempotencyKey] > j.intents:
			l.fail("%s was asked %d times for %d intents (%s)", e.Model, sent[e.IdempotencyKey], j.intents, e.IdempotencyKey)
		case j.stored != nil && e.Time.After(*j.stored):
			late = append(late, lateCall{e.Model, e.IdempotencyKey, e.Time, *j.stored})
		}
	}
	return asked, late
}

// asked are the calls that the models got.
func (l *load) asked() func(yield func(simulator.Entry, error) bool) {
	return func(yield func(simulator.Entry, error) bool) {
		f, err := os.Open(l.calls)
		if err != nil {
			yield(simulator.Entry{}, err)
			return
		}
		defer func() { _ = f.Close() }()
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			var e simulator.Entry
			if err := json.Unmarshal(lines.Bytes(), &e); !yield(e, err) {
				return
			}
		}
		if lines.Err() != nil {
			yield(simulator.Entry{}, lines.Err())
		}
	}
}

// comments holds each pull request to one comment of the finding that was agreed upon, one walkthrough, and one check run.
func (l *load) comments(ctx context.Context) (comments, pulls int) {
	if rejected := l.forge.Rejected(); len(rejected) > 0 {
		l.fail("the forge refused %d requests, the first: %s %s: %s", len(rejected), rejected[0].Method, rejected[0].Path, rejected[0].Body)
	}
	if err := l.forge.CheckPositions(ctx); err != nil {
		l.fail("%s", err)
	}
	posts := l.forge.PostedBy(l.app.Bot)
	for _, t := range l.done {
		if t.pull == nil {
			continue
		}
		pulls++
		count := map[githubtest.Kind]int{}
		for _, p := range posts {
			if p.Repository == t.pull.Repository().Name() && p.Number == t.pull.Number() || p.Kind == githubtest.KindCheckRun && p.Commit == t.pull.Head() {
				count[p.Kind]++
				if p.Kind == githubtest.KindCheckRun && p.Status != "completed" {
					l.fail("%s#%d: the check run is %s", p.Repository, t.pull.Number(), p.Status)
				}
			}
		}
		for _, kind := range []githubtest.Kind{githubtest.KindReviewComment, githubtest.KindIssueComment, githubtest.KindCheckRun} {
			comments += count[kind]
			if count[kind] != 1 {
				l.fail("%s#%d (%s) has %d of %s instead of 1", t.pull.Repository().Name(), t.pull.Number(), t.resource, count[kind], kind)
			}
		}
	}
	return comments, pulls
}

// took are the times from being asked for to being checked, sorted.
func (l *load) took(of kind) []time.Duration {
	var list []time.Duration
	for _, t := range l.done {
		if t.kind == of {
			list = append(list, t.ended.Sub(t.begun))
		}
	}
	slices.Sort(list)
	return list
}

// viewers is how often viewers attached, and how many events they got and were held to.
func (l *load) viewers() (attached, events int) {
	for _, t := range l.done {
		attached, events = attached+t.attached, events+2*t.events
	}
	return attached, events
}

// machine describes what runs, and where.
func (r *rig) machine(ctx context.Context) string {
	version := "?"
	_ = r.db.QueryRow(ctx, `SHOW server_version`).Scan(&version)
	return fmt.Sprintf("%s, %s, Postgres %s (fsync on), Redis with appendfsync always", r.stamp, host(), version)
}
