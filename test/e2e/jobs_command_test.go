package e2e_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	jobsv1 "witan.dev/gen/witan/jobs/v1"
)

// TestJobsAreListedByStateRetriedAndDeleted goes through a job's life by commands: cancelled, retried to its end, removed.
func TestP02_JobsAreListedByStateRetriedAndDeleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "rules:\n  - {when: {model: cyd, call: \"1\"}, then: {fault: hang}}\n")
	n := w.serve()
	left := w.run("ask", "Who waits for cyd?", "--detach")
	require.Zero(t, left.Code, left.Stderr)
	job := strings.TrimSpace(left.Stdout)
	n.until(job, nth(2, "council.member_answered"))

	running := w.run("jobs", "list", "--state", "running,queued", "--kind", "council")
	require.Contains(t, running.Stdout, job)
	require.Contains(t, running.Stdout, "Who waits for cyd?", "a list says what its jobs are about")
	unfinished := w.run("jobs", "delete", job)
	require.Equal(t, 2, unfinished.Code)
	require.Contains(t, unfinished.Stderr, "JOB_NOT_FINISHED")

	require.Zero(t, w.run("jobs", "cancel", job).Code)
	require.Equal(t, jobsv1.Job_CANCELLED, n.wait(job).GetState())
	caughtUp := w.run("attach", job, "--after-seq", "1000000")
	require.Equal(t, 2, caughtUp.Code)
	require.Contains(t, caughtUp.Stderr, "SEQUENCE_AHEAD")
	first := len(n.events(job))

	retried := w.run("jobs", "retry", job)
	require.Zero(t, retried.Code, retried.Stderr)
	require.Regexp(t, `^`+job+`\t(QUEUED|RUNNING)\n$`, retried.Stdout)
	attached := w.run("attach", job)
	require.Zero(t, attached.Code, attached.Stderr)
	require.Contains(t, attached.Stderr, "cancelled", "the whole log is told, the attempt before included")
	require.Contains(t, attached.Stderr, "succeeded")
	require.Greater(t, len(n.events(job)), first)
	again := w.run("jobs", "retry", job)
	require.Equal(t, 2, again.Code)
	require.Contains(t, again.Stderr, "JOB_NOT_RETRYABLE")

	require.NotContains(t, w.run("jobs", "list", "--state", "cancelled").Stdout, job)
	require.Contains(t, w.run("jobs", "list", "--state", "SUCCEEDED").Stdout, job)
	wrong := w.run("jobs", "list", "--state", "done")
	require.Equal(t, 2, wrong.Code)
	require.Contains(t, wrong.Stderr, "partially_succeeded")

	gone := w.run("jobs", "delete", job)
	require.Zero(t, gone.Code, gone.Stderr)
	require.Empty(t, gone.Stdout)
	require.Contains(t, w.run("jobs", "get", job).Stderr, "JOB_NOT_FOUND")
	require.Equal(t, 2, w.run("jobs", "delete", job).Code)
}

// TestAttachBehindTheEndEndsAtOnce: nothing is left to come, and the command says how the job ended.
func TestAttachBehindTheEndEndsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, quick)
	n := w.serve()
	d := n.ask(question("Is that all?"))
	n.wait(d.GetJob())
	end := len(n.events(d.GetJob()))
	attached := w.run("attach", d.GetJob(), "--format", "jsonl", "--after-seq", strconv.Itoa(end))
	require.Zero(t, attached.Code, attached.Stderr)
	require.Empty(t, attached.Stdout)
}
