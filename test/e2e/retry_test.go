package e2e_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	jobsv1 "witan.dev/gen/witan/jobs/v1"
	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/job"
	"witan.dev/services/review"
	reviewworker "witan.dev/services/review/worker"
	"witan.dev/test/e2e/gittest"
)

// refusing is disputed with a cyd who refuses its first report.
func refusing() string {
	return strings.Replace(disputed, "rules:\n", `rules:
  - {when: {model: cyd, stage: propose, call: "1"}, then: {fault: refusal}}
`, 1)
}

// TestG10_ARetriedReviewRetriesItsDeliberation: the review finds the deliberation of its first attempt, which asks only
// the member that had failed and what rests on its report.
func TestG10_ARetriedReviewRetriesItsDeliberation(t *testing.T) {
	t.Parallel()
	n := newWorld(t, refusing()).serve()
	made := n.reviewCommit(storeRepository(t))
	first := n.wait(made.GetJob())
	require.Equal(t, jobsv1.Job_PARTIALLY_SUCCEEDED, first.GetState())
	deliberation := n.review(made.GetName()).GetDeliberation()
	before := n.asked()

	retried, err := n.Jobs.RetryJob(bounded(t), &jobsv1.RetryJobRequest{Name: made.GetJob(), RequestId: uuid.NewString(), Etag: first.GetEtag()})
	require.NoError(t, err)
	require.Equal(t, int32(2), retried.GetAttempt())
	require.Equal(t, jobsv1.Job_SUCCEEDED, n.wait(made.GetJob()).GetState())
	r := n.review(made.GetName())
	require.Equal(t, deliberation, r.GetDeliberation())
	requireDisputed(t, r)

	after := n.asked()
	require.Equal(t, 1, after["ada findings"])
	require.Equal(t, 1, after["ben findings"])
	require.Equal(t, before["cyd findings"]+1, after["cyd findings"])
	children, err := n.Jobs.ListJobs(bounded(t), &jobsv1.ListJobsRequest{ParentJob: made.GetJob(), Kind: "council"})
	require.NoError(t, err)
	require.Len(t, children.GetJobs(), 1)
	council := children.GetJobs()[0]
	require.Equal(t, int32(2), council.GetAttempt())
	require.Equal(t, jobsv1.Job_SUCCEEDED, council.GetState())
	require.GreaterOrEqual(t, council.GetLedger().GetCallsReused(), int64(2))
	requireAttempts(t, n.events(made.GetJob()), 2)
	requireAttempts(t, n.events(council.GetName()), 2)
}

// requireAttempts holds a log against how attempts follow each other: dense, each with one final event at its end.
func requireAttempts(t *testing.T, log []*jobsv1.JobEvent, attempts int) {
	t.Helper()
	finals := 0
	for i, e := range log {
		require.Equal(t, int64(i+1), e.GetSeq())
		if e.GetFinal() {
			finals++
			continue
		}
		if i > 0 && log[i-1].GetFinal() {
			require.Equal(t, jobsv1.Job_QUEUED, e.GetStateChanged().GetState())
			require.Equal(t, int32(finals+1), e.GetStateChanged().GetAttempt())
		}
	}
	require.True(t, log[len(log)-1].GetFinal())
	require.Equal(t, attempts, finals)
}

// asked counts the endpoint's calls by model and stage.
func (n *node) asked() map[string]int {
	n.t.Helper()
	out := map[string]int{}
	for _, e := range n.log() {
		out[e.Model+" "+e.Schema]++
	}
	return out
}

func (n *node) review(name string) *reviewv1.Review {
	n.t.Helper()
	r, err := n.Reviews.GetReview(bounded(n.t), &reviewv1.GetReviewRequest{Name: name, View: reviewv1.Review_FULL})
	require.NoError(n.t, err)
	return r
}

// TestG15_ADeletedReviewTakesItsDeliberationAlong and leaves an answer for whoever asks for it again.
func TestG15_ADeletedReviewTakesItsDeliberationAlong(t *testing.T) {
	t.Parallel()
	n := newWorld(t, disputed).serve()
	_, credentials := n.owner()
	request := &reviewv1.CreateReviewRequest{
		Review: &reviewv1.Review{Source: gitRange(storeRepository(t).Dir, "HEAD~1", "HEAD")}, RequestId: uuid.NewString(),
	}
	made, err := n.Reviews.CreateReview(bounded(t), request, credentials)
	require.NoError(t, err)
	require.Equal(t, jobsv1.Job_SUCCEEDED, n.wait(made.GetJob()).GetState())
	deliberation := n.review(made.GetName()).GetDeliberation()
	_, err = n.Jobs.DeleteJob(bounded(t), &jobsv1.DeleteJobRequest{Name: made.GetJob()})
	require.NoError(t, err)
	for _, name := range []string{made.GetJob(), "jobs/" + strings.TrimPrefix(deliberation, "deliberations/")} {
		_, err := n.Jobs.GetJob(bounded(t), &jobsv1.GetJobRequest{Name: name})
		code, reason := refusal(t, err)
		require.Equal(t, codes.NotFound, code)
		require.Equal(t, "JOB_NOT_FOUND", reason)
	}
	_, err = n.Reviews.GetReview(bounded(t), &reviewv1.GetReviewRequest{Name: made.GetName()})
	code, reason := refusal(t, err)
	require.Equal(t, codes.NotFound, code)
	require.Equal(t, "REVIEW_NOT_FOUND", reason)

	n = n.restart() // blobs that nothing names are collected at a start, and every hour
	require.Eventually(t, func() bool { return !strings.Contains(n.database("blobs"), "local") }, patience, 10*time.Millisecond)
	ids := []string{strings.TrimPrefix(made.GetName(), "reviews/"), strings.TrimPrefix(deliberation, "deliberations/")}
	for table := range strings.FieldsSeq(n.database("sqlite_master")) {
		for _, left := range append(ids, "past the end", "A matter of taste", "[simulated]") {
			require.NotContains(t, n.database(table), left, "table %s", table)
		}
	}
	require.Contains(t, n.database("requests"), "CreateReview", "the hash of the request stays")
	_, credentials = n.owner()
	_, err = n.Reviews.CreateReview(bounded(t), request, credentials)
	code, reason = refusal(t, err)
	require.Equal(t, codes.NotFound, code, "what the request made is gone, and it makes nothing else")
	require.Equal(t, "JOB_NOT_FOUND", reason)
}

// database reads all that a table of the data folder holds; of sqlite_master, the names of the tables.
func (n *node) database(table string) string {
	n.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(n.Data, "witan.db")+"?mode=ro&_pragma=busy_timeout(10000)")
	require.NoError(n.t, err)
	defer func() { require.NoError(n.t, db.Close()) }()
	query := fmt.Sprintf(`SELECT * FROM %q`, table) //nolint:gosec // the database's own names
	if table == "sqlite_master" {
		query = `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`
	}
	rows, err := db.QueryContext(bounded(n.t), query)
	require.NoError(n.t, err)
	defer func() { require.NoError(n.t, rows.Close()) }()
	columns, err := rows.Columns()
	require.NoError(n.t, err)
	var text strings.Builder
	for rows.Next() {
		values, into := make([]sql.RawBytes, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		require.NoError(n.t, rows.Scan(into...))
		for _, v := range values {
			text.Write(v)
			text.WriteByte('\n')
		}
	}
	require.NoError(n.t, rows.Err())
	return text.String()
}

// flaky is a reviewer that fails the first time.
type flaky struct {
	finder

	calls *atomic.Int32
}

func (f flaky) Review(ctx context.Context, in review.Inspection) (review.Report, error) {
	if f.calls.Add(1) == 1 {
		return review.Report{}, errors.New("not today")
	}
	return f.finder.Review(ctx, in)
}

// TestG10_ARetryReviewsTheFrozenWork, whatever the work tree holds by then. It goes with the review's success.
func TestG10_ARetryReviewsTheFrozenWork(t *testing.T) {
	t.Parallel()
	s := startReviews(t, &scriptedCouncil{}, func(p *reviewworker.Params) {
		p.Reviewers = []review.Reviewer{p.Secrets, flaky{calls: &atomic.Int32{}}}
	})
	repo := gittest.New(t)
	repo.Commit("base", map[string]string{"a.txt": "one\n"})
	repo.Write(map[string]string{"a.txt": "two\n"})
	r, j := s.review(t, localChange(repo.Dir, reviewv1.LocalChange_UNCOMMITTED))
	require.Equal(t, []any{job.StatePartiallySucceeded, "REVIEWER_FAILED"}, []any{j.State, j.StateReason})
	repo.Write(map[string]string{"a.txt": "three\n", "b.txt": "b\n"})
	_, err := s.Jobs.Retry(t.Context(), job.Retrial{ID: j.ID, Owner: j.Owner})
	require.NoError(t, err)
	j = s.ended(t, j.ID)
	require.Equal(t, job.StateSucceeded, j.State, j.StateReason)
	r, err = s.Client.GetReview(t.Context(), &reviewv1.GetReviewRequest{Name: r.GetName(), View: reviewv1.Review_FULL})
	require.NoError(t, err)
	require.Equal(t, []string{"a.txt"}, coveredPaths(r))
	require.Len(t, r.GetFindings(), 1)
	require.Eventually(t, func() bool {
		left, err := os.ReadDir(filepath.Join(s.Data, "frozen"))
		return err == nil && len(left) == 0
	}, patience, time.Millisecond, "what nobody retries goes")
}

// ended waits for the end of the job's newest attempt.
func (s *reviewSystem) ended(t *testing.T, id job.ID) job.Job {
	t.Helper()
	viewer, err := s.hub.Open(bounded(t), id, 0)
	require.NoError(t, err)
	defer viewer.Close()
	for {
		if _, err := viewer.Next(bounded(t)); err != nil {
			break
		}
	}
	j, err := s.Jobs.Get(t.Context(), id, "")
	require.NoError(t, err)
	require.True(t, j.State.Terminal())
	return j
}
