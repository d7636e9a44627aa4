package e2e_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	councilv1 "witan.dev/gen/witan/council/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/llm/simulator"
	"witan.dev/test/e2e/process"
)

// call names a call as the endpoint's log does: by model and schema. In these tests each is asked once, unless a process
// was killed before the answer was stored.
type call struct{ model, schema string }

// stored lists the calls whose results were committed with these events.
func stored(events []*jobsv1.JobEvent) []call {
	var out []call
	for _, e := range events {
		switch c := e.GetCouncil(); name(e) {
		case "council.member_answered":
			out = append(out, call{c.GetMemberAnswered().GetAnswer().GetMember(), ""})
		case "council.member_proposed":
			out = append(out, call{c.GetMemberProposed().GetMember(), "findings"})
		case "council.ballot_cast":
			out = append(out, call{c.GetBallotCast().GetBallot().GetReviewer(), "ballot"})
		case "council.votes_cast":
			out = append(out, call{c.GetVotesCast().GetReviewer(), "votes"})
		case "council.synthesis_completed":
			out = append(out, call{"chair", ""})
		}
	}
	return out
}

func started(events []*jobsv1.JobEvent) int {
	n := 0
	for _, e := range events {
		if c := e.GetCouncil(); c.GetMemberStarted() != nil || c.GetSynthesisStarted() != nil {
			n++
		}
	}
	return n
}

// before are the events of executions before the last one: they were committed when the process was killed.
func before(log []*jobsv1.JobEvent) []*jobsv1.JobEvent {
	last := log[len(log)-1].GetEpoch()
	for i, e := range log {
		if e.GetEpoch() == last {
			return log[:i]
		}
	}
	return log
}

// requireResumed holds a council job that was killed against what it may cost: the log is dense and begins with what was
// seen, no stored result was asked for again, and at most the calls in flight were paid twice. It returns the log.
func (n *node) requireResumed(job string, seen []*jobsv1.JobEvent, calls []simulator.Entry) {
	n.t.Helper()
	log := n.events(job)
	requireDense(n.t, log)
	require.GreaterOrEqual(n.t, len(log), len(seen))
	for i, e := range seen {
		require.True(n.t, proto.Equal(e, log[i]), "event %d was seen before the kill as\n%v\nand is now\n%v", i+1, e, log[i])
	}
	asked := map[call]int{}
	for _, c := range calls {
		asked[call{c.Model, c.Schema}]++
	}
	done := before(log)
	for _, c := range stored(done) {
		require.Equal(n.t, 1, asked[c], "%v was stored and asked again", c)
	}
	inFlight := int64(started(done) - len(stored(done)))
	ledger := n.job(job).GetLedger()
	require.LessOrEqual(n.t, ledger.GetCallsRepaid(), inFlight)
	require.LessOrEqual(n.t, int64(len(calls)), int64(len(asked))+ledger.GetCallsRepaid(), "more calls than the ledger admits")
	require.Equal(n.t, int64(len(asked)), ledger.GetCallsCompleted())
	require.Len(n.t, asked, len(unique(stored(log))))
}

func unique(calls []call) map[call]bool {
	out := map[call]bool{}
	for _, c := range calls {
		out[c] = true
	}
	return out
}

// TestKilledDeliberationIsFinishedByTheNextServer kills the server with SIGKILL at moments of each stage, one deliberation
// after the other on one data folder.
func TestKilledDeliberationIsFinishedByTheNextServer(t *testing.T) {
	t.Parallel()
	n := newWorld(t, quick).serve()
	for _, moment := range []struct {
		kind string
		nth  int
	}{
		{"job.state_changed", 1},
		{"council.planned", 1},
		{"council.member_started", 3},
		{"council.member_answered", 1},
		{"council.member_answered", 3},
		{"council.stage_completed", 1},
		{"council.ballot_cast", 1},
		{"council.synthesis_started", 1},
		{"council.synthesis_delta", 1},
		{"council.synthesis_completed", 1},
	} {
		first := len(n.log())
		d := n.ask(question(fmt.Sprintf("What happens at %s %d?", moment.kind, moment.nth)))
		seen := n.until(d.GetJob(), nth(moment.nth, moment.kind))
		n = n.restart()
		ended := n.wait(d.GetJob())
		require.Equal(t, jobsv1.Job_SUCCEEDED, ended.GetState(), "%v: %s %v", moment, ended.GetStateReason(), ended.GetError())
		n.requireResumed(d.GetJob(), seen, n.log()[first:])
		whole, err := n.Council.GetDeliberation(bounded(t), &councilv1.GetDeliberationRequest{Name: d.GetName(), View: councilv1.Deliberation_FULL})
		require.NoError(t, err)
		requireWholeAnswer(t, whole.GetResult())
	}
}

// TestKilledAgainAndAgain kills the server of one deliberation at every few events of its log.
func TestKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	n := newWorld(t, quick).serve()
	d := n.ask(question("How often can one begin?"))
	kills := int64(0)
	for at := int64(4); n.job(d.GetJob()).GetEndTime() == nil && at < 40; at += 9 {
		seen := n.until(d.GetJob(), func(e *jobsv1.JobEvent) bool { return e.GetSeq() >= at || e.GetFinal() })
		n = n.restart()
		if !seen[len(seen)-1].GetFinal() {
			kills++
		}
	}
	require.Equal(t, jobsv1.Job_SUCCEEDED, n.wait(d.GetJob()).GetState())
	log := n.events(d.GetJob())
	requireDense(t, log)
	ledger := n.job(d.GetJob()).GetLedger()
	require.LessOrEqual(t, ledger.GetRecoveries(), kills)
	require.Equal(t, int64(7), ledger.GetCallsCompleted())
	require.LessOrEqual(t, int64(len(n.log())), 7+ledger.GetCallsRepaid())
	for c := range unique(stored(log)) {
		count := 0
		for _, s := range stored(log) {
			if s == c {
				count++
			}
		}
		require.Equal(t, 1, count, "%v was answered twice in the log", c)
	}
}

// TestKilledReviewIsFinishedByTheNextServer kills the server in the steps of a review, and while its council sits.
func TestKilledReviewIsFinishedByTheNextServer(t *testing.T) {
	t.Parallel()
	n := newWorld(t, disputed).serve()
	repo := storeRepository(t)
	reviews := 0
	for _, moment := range []struct {
		own, council string // kinds of the review's events, and of its council's
		nth          int
	}{
		{own: "job.state_changed", nth: 2},
		{own: "review.resolved", nth: 1},
		{own: "review.planned", nth: 1},
		{own: "review.deliberation_started", nth: 1},
		{council: "council.member_proposed", nth: 2},
		{council: "council.votes_cast", nth: 1},
		{council: "council.synthesis_started", nth: 1},
		{own: "review.finding_located", nth: 1},
	} {
		first := len(n.log())
		made := n.reviewCommit(repo)
		reviews++
		var seen, seenOfCouncil []*jobsv1.JobEvent
		if moment.own != "" {
			seen = n.until(made.GetJob(), nth(moment.nth, moment.own))
		} else {
			seen = n.until(made.GetJob(), nth(1, "review.deliberation_started"))
			seenOfCouncil = n.until(child(seen), nth(moment.nth, moment.council))
		}
		n = n.restart()
		ended := n.wait(made.GetJob())
		require.Equal(t, jobsv1.Job_SUCCEEDED, ended.GetState(), "%v: %s %v", moment, ended.GetStateReason(), ended.GetError())
		log := n.events(made.GetJob())
		requireDense(t, log)
		for i, e := range seen {
			require.True(t, proto.Equal(e, log[i]), "%v: event %d changed", moment, i+1)
		}
		n.requireResumed(child(log), seenOfCouncil, n.log()[first:])
		full, err := n.Reviews.GetReview(bounded(t), &reviewv1.GetReviewRequest{Name: made.GetName(), View: reviewv1.Review_FULL})
		require.NoError(t, err)
		requireDisputed(t, full)
	}
	list, err := n.Council.ListDeliberations(bounded(t), &councilv1.ListDeliberationsRequest{PageSize: 100})
	require.NoError(t, err)
	require.Len(t, list.GetDeliberations(), reviews, "one deliberation a review, however often it began")
}

// child is the job of the deliberation that a review started.
func child(events []*jobsv1.JobEvent) string {
	for _, e := range events {
		if started := e.GetReview().GetDeliberationStarted(); started != nil {
			return started.GetJob()
		}
	}
	return ""
}

// TestStoppedGracefullyGoesOnAtTheNextStart sends SIGTERM while calls are under way: one server waits for them within its
// drain limit, another one gives them up.
func TestStoppedGracefullyGoesOnAtTheNextStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hanging)
	w.write("witan.yaml", readFile(t, w.Config)+"drain: 300ms\n")
	n := w.serve()
	d := n.ask(question("Are we done?"))
	seen := n.underway(d.GetJob())
	n.Stop()
	require.NotContains(t, n.Output(), "level=ERROR")
	n = w.serve()
	require.Equal(t, jobsv1.Job_SUCCEEDED, n.wait(d.GetJob()).GetState())
	n.requireResumed(d.GetJob(), seen, n.log())
	require.Equal(t, int64(3), n.job(d.GetJob()).GetLedger().GetCallsRepaid())

	d = n.ask(question("And again?"))
	n.until(d.GetJob(), nth(1, "council.member_delta"))
	n.Stop()
	n = w.serve()
	require.Equal(t, jobsv1.Job_SUCCEEDED, n.wait(d.GetJob()).GetState())
	requireDense(t, n.events(d.GetJob()))
	n.Stop()
}

// TestAskOutlivesAKilledServer: the command goes on with the next holder of the data folder, which has another address and
// another token.
func TestAskOutlivesAKilledServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, slowDispute())
	n := w.serve()
	ask := process.Start(t, w.Dir, nil, "ask", "Who answers in the end?", "--config", w.Config, "--data", w.Data)
	ask.Expect(`council: 3 members`)
	n.restart()
	require.Zero(t, ask.Wait(), ask.Output())
	require.Contains(t, ask.Output(), "written by chair")
}
