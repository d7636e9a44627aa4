package e2e_test

import (
	"context"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	jobsv1 "witan.dev/gen/witan/jobs/v1"
	"witan.dev/services/review/github/githubtest"
)

// outage is how long others are away in the middle of a review: for moments, or for the promised minute with WITAN_TEST_LONG.
func outage() time.Duration {
	if os.Getenv("WITAN_TEST_LONG") == "" {
		return 3 * time.Second
	}
	return time.Minute
}

// outlasting is longer than any of these outages and the pauses that follow from it.
const outlasting = 5 * time.Minute

// failing makes the forge answer everything with 502 for a while; 0: until the fault is removed.
func (h *hub) failing(d time.Duration) *githubtest.Fault {
	return h.Inject(githubtest.Fault{Kind: githubtest.FailBefore, For: d})
}

// modelsAway kills the endpoint of the models, and starts it again at the same address after a while.
func (w *world) modelsAway(d time.Duration) {
	w.t.Helper()
	at, err := url.Parse(w.endpoint)
	require.NoError(w.t, err)
	w.simulator.Kill()
	<-time.After(d) // nothing but time ends an outage
	w.simulate(at.Host)
}

// waitLong is wait for a job that others keep waiting.
func (n *node) waitLong(name string) *jobsv1.Job {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), outlasting)
	defer cancel()
	for {
		j, err := n.Jobs.WaitJob(ctx, &jobsv1.WaitJobRequest{Name: name})
		if status.Code(err) == codes.Unavailable && ctx.Err() == nil {
			continue
		}
		require.NoError(n.t, err)
		if j.GetEndTime() != nil {
			return j
		}
	}
}

// TestP01_AReviewOutlivesAForgeThatFailsAndModelsThatAreAway has GitHub answer 502 to everything when the review has just
// begun and when it has posted its first comment, and takes the models away while they are asked: nobody does anything, and
// the same comments stand there, once. So it is on one server, and where each service is a process of its own.
func TestP01_AReviewOutlivesAForgeThatFailsAndModelsThatAreAway(t *testing.T) {
	t.Parallel()
	calm := newWorld(t, doubly)
	h := calm.startHub()
	n := calm.serve()
	h.deliver(n.HTTP, 0)
	whole := n.publishes(h, "calm")
	n.Stop()
	t.Run("alone", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, doubly)
		h := w.startHub()
		w.asksAgainSoon()
		n := w.serve()
		h.deliver(n.HTTP, 0)
		n.outlives(h, whole)
		require.Contains(t, n.run("attach", n.reviewOf(h).GetJob()).Stderr, "waits, the forge does not answer: next try at ")
	})
	t.Run("in a cluster", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, doubly)
		c, h, _ := w.inCluster(w.asksAgainSoon)
		c.outlives(h, whole)
	})
}

// asksAgainSoon shortens the pause before a council is asked again as the outages of the sample are shortened.
func (w *world) asksAgainSoon() {
	w.t.Helper()
	if os.Getenv("WITAN_TEST_LONG") == "" {
		w.write("witan.yaml", strings.Replace(readFile(w.t, w.Config), "reviews: {", "reviews: {council_pause: 3s, ", 1))
	}
}

// outlives takes others away in the middle of the only review, which must show the same as in calm.
func (n *node) outlives(h *hub, whole []string) {
	n.t.Helper()
	made := n.reviewOf(h)
	n.until(made.GetJob(), nth(1, "review.resolved"))
	begun := h.failing(outage())
	n.untilWithin(outlasting, made.GetJob(), nth(1, "review.deliberation_started"))
	n.modelsAway(outage())
	answered := len(n.log())
	n.untilWithin(outlasting, made.GetJob(), nth(1, "review.comment_published"))
	posted := h.failing(outage())
	ended := n.waitLong(made.GetJob())
	require.Equal(n.t, jobsv1.Job_SUCCEEDED, ended.GetState(), "%s %v", ended.GetStateReason(), ended.GetError())
	require.Positive(n.t, begun.Hits(), "it failed in its beginning")
	require.Positive(n.t, posted.Hits(), "it failed in its end")
	require.Greater(n.t, len(n.log()), answered, "members were asked after the outage")
	require.Equal(n.t, whole, n.publishes(h, "over outages"))
	require.Contains(n.t, names(n.events(made.GetJob())), "review.waiting", "who watched saw what it waited for")
}

// checkRuns are those at the pull request.
func (h *hub) checkRuns() []githubtest.Post {
	return slices.DeleteFunc(h.PostedBy(h.app.Bot), func(p githubtest.Post) bool { return p.Kind != githubtest.KindCheckRun })
}

// TestP07_AForgeThatStaysAwayIsSaidByTheJobAndThenByTheCheckRun has GitHub answer 502 for longer than the review has patience,
// before the check run is there and when only the comments are missing: the job has failed and says why, the check run says
// the same when GitHub answers again and is not green, and whoever retries gets the comments, once.
func TestP07_AForgeThatStaysAwayIsSaidByTheJobAndThenByTheCheckRun(t *testing.T) {
	t.Parallel()
	for _, event := range []string{"review.resolved", "review.deliberation_started"} {
		w := newWorld(t, doubly)
		h := w.startHub()
		w.write("witan.yaml", strings.Replace(readFile(t, w.Config), "reviews: {", "reviews: {patience: 3s, ", 1))
		n := w.serve()
		h.deliver(n.HTTP, 0)
		made := n.reviewOf(h)
		n.until(made.GetJob(), nth(1, event))
		fault := h.failing(0)
		ended := n.wait(made.GetJob())
		require.Equal(t, jobsv1.Job_FAILED, ended.GetState(), event)
		require.Equal(t, "FORGE_UNAVAILABLE", ended.GetStateReason(), event)
		require.Contains(t, ended.GetError().GetMessage(), "the forge did not answer")
		n.requireDeadLetter(made.GetJob())
		for _, run := range h.checkRuns() {
			require.Equal(t, "in_progress", run.Status, "nobody could say anything yet")
		}
		n = n.restart()
		fault.Remove()
		require.Eventually(t, func() bool {
			runs := h.checkRuns()
			return len(runs) == 1 && runs[0].Status == "completed"
		}, patience, 50*time.Millisecond, "%s: the check run does not end", event)
		run := h.checkRuns()[0]
		require.Equal(t, "neutral", run.Conclusion, event)
		require.Contains(t, run.Body, "the forge did not answer", event)

		_, err := n.Jobs.RetryJob(bounded(t), &jobsv1.RetryJobRequest{Name: made.GetJob()})
		require.NoError(t, err)
		n.publishes(h, "retried after "+event)
		require.NotContains(t, n.run("doctor").Stdout, "given up")
		n.Stop()
	}
}

// requireDeadLetter requires that the only job that was given up is shown where operators look for such.
func (n *node) requireDeadLetter(name string) {
	n.t.Helper()
	require.Contains(n.t, n.run("doctor").Stdout, "1 were given up")
	listed := n.run("jobs", "list", "--state", "FAILED").Stdout
	require.Contains(n.t, listed, strings.TrimPrefix(name, "jobs/"))
	require.Contains(n.t, listed, "FORGE_UNAVAILABLE")
}

// TestP07_ModelsThatStayAwayAreSaidByTheCheckRunAndWhereOperatorsLook has the models go away for longer than a review asks for
// them: what static reviewers and the change itself tell is shown, the check run is neutral and says what is missing, operators
// find the review where they look for jobs that were given up, and whoever retries it when the models are back gets all of it.
func TestP07_ModelsThatStayAwayAreSaidByTheCheckRunAndWhereOperatorsLook(t *testing.T) {
	t.Parallel()
	w := newWorld(t, doubly)
	h := w.startHub()
	w.write("witan.yaml", strings.Replace(readFile(t, w.Config), "reviews: {", "reviews: {council_pause: 1s, ", 1))
	n := w.serve()
	at, err := url.Parse(w.endpoint)
	require.NoError(t, err)
	w.simulator.Kill()
	h.deliver(n.HTTP, 0)
	made := n.reviewOf(h)
	ended := n.wait(made.GetJob())
	require.Equal(t, jobsv1.Job_PARTIALLY_SUCCEEDED, ended.GetState())
	require.Equal(t, "COUNCIL_UNAVAILABLE", ended.GetStateReason())
	runs := h.checkRuns()
	require.Len(t, runs, 1)
	require.Equal(t, "completed", runs[0].Status)
	require.Equal(t, "neutral", runs[0].Conclusion)
	require.Contains(t, strings.ReplaceAll(runs[0].Body, `\`, ""), "The council did not take part: neither it nor any of its models answered")
	require.Contains(t, n.run("doctor").Stdout, "1 were given up")
	require.Contains(t, n.run("jobs", "list", "--state", "PARTIALLY_SUCCEEDED").Stdout, strings.TrimPrefix(made.GetJob(), "jobs/"))

	w.simulate(at.Host)
	n = n.restart() // a process waits half a minute before it asks models again that were away
	_, err = n.Jobs.RetryJob(bounded(t), &jobsv1.RetryJobRequest{Name: made.GetJob()})
	require.NoError(t, err)
	n.publishes(h, "retried")
	require.NotContains(t, n.run("doctor").Stdout, "given up")
}
