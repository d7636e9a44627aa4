package e2e_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	councilv1 "witan.dev/gen/witan/council/v1"
	reviewv1 "witan.dev/gen/witan/review/v1"
)

// table is the rows of a table, each column as text.
type table [][]string

// left is what is stored while no process runs.
type left struct {
	jobs, events, calls, deliveries table
}

// read reads the stores. Nobody else has them open.
func (p *play) read() left {
	p.t.Helper()
	ctx := bounded(p.t)
	ask, done := p.query(ctx)
	defer done()
	return left{
		jobs:       ask(`SELECT id, kind, state, state_reason, stage, attempt, last_seq, calls_completed, calls_repaid, calls_started FROM jobs ORDER BY id`),
		events:     ask(`SELECT job_id, seq, key, epoch, attempt, type, time, final, payload FROM job_events ORDER BY job_id, seq`),
		calls:      ask(`SELECT job_id, stage, subject, part, attempt, state, idempotency_key FROM calls ORDER BY job_id, stage, subject, part, attempt`),
		deliveries: ask(`SELECT id, event, state, reason, resource FROM deliveries ORDER BY id`),
	}
}

// query opens the database for reading.
func (p *play) query(ctx context.Context) (ask func(statement string) table, done func()) {
	p.t.Helper()
	if p.database == "" {
		db, err := sql.Open("sqlite", filepath.Join(p.w.Data, "witan.db"))
		require.NoError(p.t, err)
		done = func() { require.NoError(p.t, db.Close()) }
		return func(statement string) (all table) {
			found, err := db.QueryContext(ctx, statement)
			if err != nil && strings.Contains(err.Error(), "no such table") {
				return nil // it was killed before it made them
			}
			require.NoError(p.t, err)
			defer func() { _ = found.Close() }()
			columns, err := found.Columns()
			require.NoError(p.t, err)
			for found.Next() {
				values, into := make([]any, len(columns)), make([]any, len(columns))
				for i := range values {
					into[i] = &values[i]
				}
				require.NoError(p.t, found.Scan(into...))
				all = append(all, texts(values))
			}
			require.NoError(p.t, found.Err())
			return all
		}, done
	}
	conn, err := pgx.Connect(ctx, p.database)
	require.NoError(p.t, err)
	done = func() { require.NoError(p.t, conn.Close(context.WithoutCancel(ctx))) }
	require.Eventually(p.t, func() bool { // Postgres finishes what a process sent before it died
		others := 0
		err := conn.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`).Scan(&others)
		return err == nil && others == 0
	}, patience, 5*time.Millisecond)
	return func(statement string) (all table) {
		found, err := conn.Query(ctx, statement)
		require.NoError(p.t, err)
		defer found.Close()
		for found.Next() {
			values, err := found.Values()
			require.NoError(p.t, err)
			all = append(all, texts(values))
		}
		require.NoError(p.t, found.Err())
		return all
	}, done
}

func texts(values []any) []string {
	out := make([]string, len(values))
	for i, v := range values {
		if raw, ok := v.([]byte); ok {
			out[i] = fmt.Sprintf("%x", raw)
			continue
		}
		out[i] = fmt.Sprint(v)
	}
	return out
}

// end is how a performance ended.
type end struct {
	left

	// jobs, log, deliveries, resources and posts are what does not depend on the names, times and tries of one system.
	outcomes, log, handed, resources, posts []string
	// sent are the calls that models got, by model and schema.
	sent map[call]int
	// frames are the logs as a viewer gets them who comes when all is over.
	frames map[string][]string
}

// gather collects the end: what servers say first, then what is stored when they are gone.
func (p *play) gather() end {
	p.t.Helper()
	e := end{sent: map[call]int{}, frames: map[string][]string{}, resources: p.resources()}
	for job, v := range p.viewers {
		e.frames[job] = v.whole(p.t)
	}
	if p.h != nil {
		e.posts = p.h.shown()
		require.Empty(p.t, p.h.Rejected(), "no position is refused")
	}
	p.proc.Kill()
	e.left = p.read()
	kinds := map[string]string{}
	for _, j := range e.jobs {
		kinds[j[0]] = j[1]
		e.outcomes = append(e.outcomes, strings.Join([]string{j[1], j[2], j[3], j[4], j[5], "calls " + j[7]}, " "))
	}
	for _, v := range e.events {
		if v[5] == "job.state_changed" || v[5] == "job.progress" || strings.Contains(v[2], "/started/") || strings.Contains(v[2], "/delta/") {
			continue // as often as it began and was asked, and as two indexes share the work
		}
		e.log = append(e.log, kinds[v[0]]+" "+ownName.ReplaceAllString(v[2], "…")+" "+v[5])
	}
	for _, d := range e.deliveries {
		e.handed = append(e.handed, strings.Join([]string{d[1], d[2], d[3], ownName.ReplaceAllString(d[4], "…")}, " "))
	}
	for _, c := range p.w.log() {
		e.sent[call{c.Model, c.Schema}]++
	}
	for _, list := range [][]string{e.outcomes, e.log, e.handed} {
		slices.Sort(list)
	}
	return e
}

// ownName is the name of a thing in one system.
var ownName = regexp.MustCompile(`\b[a-z0-9]{26}\b|\b[0-9a-f]{16,}\b`)

// resources are the deliberations and reviews, without what differs from one system to the next.
func (p *play) resources() (all []string) {
	p.t.Helper()
	p.call(func(ctx context.Context) error {
		all = nil
		list, err := p.n.Council.ListDeliberations(ctx, &councilv1.ListDeliberationsRequest{PageSize: 100})
		if err != nil {
			return err
		}
		for _, d := range list.GetDeliberations() {
			full, err := p.n.Council.GetDeliberation(ctx, &councilv1.GetDeliberationRequest{Name: d.GetName(), View: councilv1.Deliberation_FULL})
			if err != nil {
				return err
			}
			all = append(all, neutral(p.t, full))
		}
		reviews, err := p.n.Reviews.ListReviews(ctx, &reviewv1.ListReviewsRequest{PageSize: 100})
		if err != nil {
			return err
		}
		for _, r := range reviews.GetReviews() {
			full, err := p.n.Reviews.GetReview(ctx, &reviewv1.GetReviewRequest{Name: r.GetName(), View: reviewv1.Review_FULL})
			if err != nil {
				return err
			}
			all = append(all, neutral(p.t, full))
		}
		return nil
	})
	slices.Sort(all)
	return all
}

// neutral is a resource as JSON without names, times and what is counted or drawn in one system, its lists sorted.
func neutral(t *testing.T, m proto.Message) string {
	t.Helper()
	raw, err := protojson.Marshal(m)
	require.NoError(t, err)
	var tree any
	require.NoError(t, json.Unmarshal(raw, &tree))
	text, err := json.MarshalIndent(without(tree), "", " ")
	require.NoError(t, err)
	return own.ReplaceAllString(ownName.ReplaceAllString(string(text), "…"), "…")
}

func without(tree any) any {
	switch v := tree.(type) {
	case map[string]any:
		for key, below := range v {
			if strings.HasSuffix(key, "Time") || strings.HasSuffix(key, "uration") || slices.Contains([]string{"etag", "usage", "url", "attempt", "latency", "shownOrder", "positionEffect", "critiques", "summary", "ledger"}, key) {
				delete(v, key)
				continue
			}
			v[key] = without(below)
		}
	case []any:
		for i := range v {
			v[i] = without(v[i])
		}
		slices.SortFunc(v, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	}
	return tree
}

// as holds an end against that of a run that nobody disturbed.
func (e end) as(t *testing.T, undisturbed end) {
	t.Helper()
	require.Equal(t, undisturbed.outcomes, e.outcomes, "every job ends as it would have")
	require.Equal(t, undisturbed.log, e.log, "every log says the same")
	require.Equal(t, undisturbed.handed, e.handed, "every webhook comes to the same")
	require.Equal(t, undisturbed.posts, e.posts, "the same stands at the forge, once")
	require.Equal(t, undisturbed.resources, e.resources, "every result is the same")
	seq := map[string]int{}
	for _, v := range e.events {
		seq[v[0]]++
		require.Equal(t, fmt.Sprint(seq[v[0]]), v[1], "the log of %s has no gap", v[0])
	}
	for _, j := range e.jobs {
		require.Equal(t, fmt.Sprint(seq[j[0]]), j[6], "the log of %s is whole", j[0])
	}
	for c, n := range undisturbed.sent {
		require.GreaterOrEqual(t, e.sent[c], n, "%v", c)
	}
}

// requireKept holds the end against what was stored, and seen, when the process was killed.
func (p *play) requireKept(e end) {
	p.t.Helper()
	logs := func(all table) map[string]table {
		by := map[string]table{}
		for _, v := range all {
			by[v[0]] = append(by[v[0]], v)
		}
		return by
	}
	after := logs(e.events)
	for job, log := range logs(p.atKill.events) {
		require.GreaterOrEqual(p.t, len(after[job]), len(log))
		require.Equal(p.t, log, after[job][:len(log)], "what was stored is the beginning of what is there")
	}
	for job, v := range p.viewers {
		require.Equal(p.t, e.frames[job], v.received(), "a viewer of %s that was there throughout has the log, byte for byte", job)
	}
	p.requirePaidOnce(e)
}

// requirePaidOnce allows no call to be made again whose answer was committed, and those that were in flight once more each.
func (p *play) requirePaidOnce(e end) {
	p.t.Helper()
	inFlight, answered := map[string]bool{}, map[string]bool{}
	for _, c := range p.atKill.calls {
		require.NotEmpty(p.t, c[6], "every call has a key")
		switch c[5] {
		case "INTENT":
			inFlight[c[6]] = true
		case "RESULT":
			answered[c[6]] = true
		}
	}
	known, again := map[string]bool{}, 0
	for _, c := range e.calls {
		known[c[6]] = true
	}
	sent := map[string]int{}
	for i, c := range p.w.log() {
		require.True(p.t, known[c.IdempotencyKey], "no call was sent without its intent")
		require.False(p.t, i >= p.sent && answered[c.IdempotencyKey], "a call of %s was sent again whose answer was committed", c.Model)
		if sent[c.IdempotencyKey]++; sent[c.IdempotencyKey] > 1 {
			require.True(p.t, inFlight[c.IdempotencyKey], "a call of %s was sent again that was not in flight", c.Model)
			again++
		}
	}
	repaid := number(p.t, e.jobs, 8) - number(p.t, p.atKill.jobs, 8)
	require.LessOrEqual(p.t, repaid, len(inFlight), "calls_repaid is at most what was in flight")
	require.LessOrEqual(p.t, again, repaid, "the ledger knows of every call that was sent again")
}

// number sums a column.
func number(t *testing.T, all table, column int) (sum int) {
	t.Helper()
	for _, row := range all {
		n := 0
		_, err := fmt.Sscan(row[column], &n)
		require.NoError(t, err)
		sum += n
	}
	return sum
}
