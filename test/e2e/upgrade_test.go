package e2e_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	councilv1 "witan.dev/gen/witan/council/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/testserver"
	"witan.dev/test/cluster"
	"witan.dev/test/e2e/process"
)

// TestG17_ADataFolderOfThePreviousSchemaMigratesAndItsJobsFinish writes a folder with the program as it was before the
// newest change of the schema, kills it in the middle of a deliberation and of a review, and opens the folder with this one.
func TestG17_ADataFolderOfThePreviousSchemaMigratesAndItsJobsFinish(t *testing.T) {
	t.Parallel()
	old := process.Before(t, "internal/database/migrations/sqlite")
	w := newWorld(t, slowDispute())
	n := w.serveWith(old)
	ended := n.ask(question("What was here before?"))
	require.Equal(t, jobsv1.Job_SUCCEEDED, n.wait(ended.GetJob()).GetState())
	before := n.pages(ended.GetJob())
	d, r := n.ask(question("What goes on?")), n.reviewDiff()
	seen := n.until(d.GetJob(), nth(1, "council.member_answered"))
	council := child(n.until(r.GetJob(), nth(1, "review.deliberation_started")))
	n.Kill()

	n = w.serve()
	require.Equal(t, before, n.pages(ended.GetJob()), "a log that had ended reads the same")
	n.requireFinished(d, r, council, seen)
}

// TestG17_ADatabaseOfThePreviousSchemaMigratesUnderItsProcesses does the same to a cluster. The schema is brought up to date
// while the processes of the version before work on, as in an upgrade; what they leave goes on under this version.
func TestG17_ADatabaseOfThePreviousSchemaMigratesUnderItsProcesses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, slowDispute())
	p := cluster.Params{
		Binary: process.Before(t, "internal/database/migrations/postgres"), Folder: w.Dir, Database: testserver.StartPostgres(t).URL,
		Redis: testserver.StartRedis(t).URL, Config: readFile(t, w.Config), Workers: 1,
	}
	c := w.joinCluster(p)
	during := c.ask(question("Who is at work while the schema changes?"))
	c.until(during.GetJob(), nth(1, "council.member_started"))
	migrated := process.Run(t, w.Dir, nil, "migrate", "--config", c.Config())
	require.Zero(t, migrated.Code, migrated.Stderr)
	require.Equal(t, jobsv1.Job_SUCCEEDED, c.wait(during.GetJob()).GetState(), "the version before works on the new schema")
	d, r := c.ask(question("What goes on?")), c.reviewDiff()
	seen := c.until(d.GetJob(), nth(1, "council.member_answered"))
	council := child(c.until(r.GetJob(), nth(1, "review.deliberation_started")))
	require.NoError(t, c.Cluster.Kill())

	p.Binary = process.Binary(t)
	w.joinCluster(p).requireFinished(d, r, council, seen)
}

// requireFinished requires that jobs which another program began end as if it had been this one.
func (n *node) requireFinished(d *councilv1.Deliberation, r *reviewv1.Review, council string, seen []*jobsv1.JobEvent) {
	n.t.Helper()
	require.Equal(n.t, jobsv1.Job_SUCCEEDED, n.wait(d.GetJob()).GetState())
	log := n.events(d.GetJob())
	requireDense(n.t, log)
	for i, e := range seen {
		require.Equal(n.t, eventJSON(n.t, e), eventJSON(n.t, log[i]))
	}
	require.Equal(n.t, int64(7), n.job(d.GetJob()).GetLedger().GetCallsCompleted())
	whole, err := n.Council.GetDeliberation(bounded(n.t), &councilv1.GetDeliberationRequest{Name: d.GetName(), View: councilv1.Deliberation_FULL})
	require.NoError(n.t, err)
	requireWholeAnswer(n.t, whole.GetResult())
	require.Equal(n.t, jobsv1.Job_PARTIALLY_SUCCEEDED, n.wait(r.GetJob()).GetState())
	requireDense(n.t, n.events(r.GetJob()))
	require.Equal(n.t, council, child(n.events(r.GetJob())))
	full, err := n.Reviews.GetReview(bounded(n.t), &reviewv1.GetReviewRequest{Name: r.GetName(), View: reviewv1.Review_FULL})
	require.NoError(n.t, err)
	require.Len(n.t, full.GetFindings(), 2)
}
