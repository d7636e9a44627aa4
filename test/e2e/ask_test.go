package e2e_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	councilv1 "witan.dev/gen/witan/council/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
)

// requireWholeAnswer holds a result of three members against what a council is: every member answered, judged the others
// and never itself, and the chairman wrote the answer.
func requireWholeAnswer(t testing.TB, r *councilv1.DeliberationResult) {
	t.Helper()
	require.Equal(t, councilv1.DeliberationResult_CHAIRMAN, r.GetOrigin())
	require.Equal(t, "chair", r.GetChairman())
	require.Contains(t, r.GetAnswer(), "[simulated]")
	author := map[string]string{}
	for _, a := range r.GetAnswers() {
		require.Contains(t, a.GetText(), "[simulated]")
		author[a.GetId()] = a.GetMember()
	}
	require.Len(t, author, 3)
	reviewers := map[string]bool{}
	for _, b := range r.GetBallots() {
		reviewers[b.GetReviewer()] = true
		require.Len(t, b.GetRanking(), 2, "a ballot orders the answers of the other two")
		require.ElementsMatch(t, b.GetShownOrder(), b.GetRanking())
		for _, id := range b.GetRanking() {
			require.NotEmpty(t, author[id])
			require.NotEqual(t, b.GetReviewer(), author[id], "nobody judges its own answer")
		}
	}
	require.Len(t, reviewers, 3)
	require.Len(t, r.GetAggregate().GetRanked(), 3)
	require.Equal(t, int32(3), r.GetAggregate().GetBallotsCast())
	require.Equal(t, int32(1), r.GetAggregate().GetRanked()[0].GetRank())
	require.Equal(t, r.GetAggregate().GetRanked()[0].GetAnswer(), r.GetTopRanked())
}

func TestAskAnswersOnAPipe(t *testing.T) {
	t.Parallel()
	w := newWorld(t, quick)

	text := w.run("ask", "Tabs or spaces?")
	require.Zero(t, text.Code, text.Stderr)
	require.Contains(t, text.Stdout, "[simulated]")
	require.Contains(t, text.Stdout, "origin: CHAIRMAN, written by chair")
	for _, member := range []string{"ada", "ben", "cyd"} {
		require.Contains(t, text.Stdout, "ballot of "+member)
		require.Contains(t, text.Stderr, member+" answered")
		require.NotContains(t, text.Stdout, member+" answered", "progress has no place among the data")
		require.NotContains(t, text.Stdout, "ballot of "+member+": "+member, "nobody votes for itself")
	}
	for _, stage := range []string{"answer: ada, ben, cyd", "rank: ada, ben, cyd", "synthesise: chair"} {
		require.Contains(t, text.Stderr, stage)
	}
	require.NotContains(t, text.Stderr, "level=ERROR")

	data := w.run("ask", "Tabs or spaces?", "--format", "json")
	require.Zero(t, data.Code, data.Stderr)
	var d councilv1.Deliberation
	require.NoError(t, protojson.Unmarshal([]byte(data.Stdout), &d), "standard output holds one JSON and nothing else")
	require.Equal(t, "Tabs or spaces?", d.GetQuestion().GetText())
	requireWholeAnswer(t, d.GetResult())

	require.Len(t, w.log(), 14, "seven calls a question")

	listed := w.run("jobs", "list")
	require.Zero(t, listed.Code, listed.Stderr)
	require.Equal(t, 2, strings.Count(listed.Stdout, "SUCCEEDED"), listed.Stdout)
}

func TestAskStreamsWhileItRuns(t *testing.T) {
	t.Parallel()
	n := newWorld(t, quick).serve()
	d := n.ask(question("Is water wet?"))

	// The chairman's text begins to arrive while the job runs.
	seen := n.until(d.GetJob(), nth(1, "council.synthesis_delta"))
	require.NotEmpty(t, seen[len(seen)-1].GetCouncil().GetSynthesisDelta().GetText())
	require.Equal(t, jobsv1.Job_SUCCEEDED, n.wait(d.GetJob()).GetState())

	log := n.events(d.GetJob())
	requireDense(t, log)
	var stages []string
	var said strings.Builder
	texts, answered, judged := map[string]*strings.Builder{"ada": {}, "ben": {}, "cyd": {}}, map[string]string{}, 0
	for _, e := range log {
		c := e.GetCouncil()
		switch name(e) {
		case "council.stage_started":
			stages = append(stages, c.GetStageStarted().GetStage())
		case "council.member_delta":
			delta := c.GetMemberDelta()
			require.Equal(t, int64(texts[delta.GetMember()].Len()), delta.GetOffset())
			_, _ = texts[delta.GetMember()].WriteString(delta.GetText())
		case "council.member_answered":
			answered[c.GetMemberAnswered().GetAnswer().GetMember()] = c.GetMemberAnswered().GetAnswer().GetText()
		case "council.ballot_cast":
			judged++
		case "council.synthesis_delta":
			said.WriteString(c.GetSynthesisDelta().GetText())
		case "council.synthesis_completed":
			require.Equal(t, c.GetSynthesisCompleted().GetText(), said.String())
		}
	}
	require.Equal(t, []string{"answer", "rank", "synthesise"}, stages)
	require.Len(t, answered, 3)
	require.Equal(t, 3, judged)
	for member, text := range texts {
		require.Equal(t, answered[member], text.String())
	}
	whole, err := n.Council.GetDeliberation(bounded(t), &councilv1.GetDeliberationRequest{Name: d.GetName(), View: councilv1.Deliberation_FULL})
	require.NoError(t, err)
	requireWholeAnswer(t, whole.GetResult())
	require.Equal(t, said.String(), whole.GetResult().GetAnswer())
	require.Equal(t, whole.GetResult().GetAnswer(), n.job(d.GetJob()).GetDeliberation().GetAnswer(), "the job froze the same result")
}

func TestAskDetachedAndAttachedFromElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, quick)

	alone := w.run("ask", "Who would run this?", "--detach")
	require.Equal(t, 2, alone.Code)
	require.Empty(t, alone.Stdout)
	require.Contains(t, alone.Stderr, "needs a running server")

	n := w.serve()
	left := w.run("ask", "Why?", "--detach")
	require.Zero(t, left.Code, left.Stderr)
	job := strings.TrimSuffix(left.Stdout, "\n")
	require.Regexp(t, `^jobs/[a-z0-9]{26}$`, job, "standard output is the job's name alone")

	attached := w.run("attach", job)
	require.Zero(t, attached.Code, attached.Stderr)
	require.Contains(t, attached.Stdout, "origin: CHAIRMAN")
	require.Contains(t, attached.Stderr, "succeeded")

	lines := w.run("attach", strings.TrimPrefix(job, "jobs/"), "--format", "jsonl")
	require.Zero(t, lines.Code, lines.Stderr)
	pages := n.pages(job)
	require.Equal(t, strings.Join(pages, "\n")+"\n", lines.Stdout)

	rest := w.run("attach", job, "--format", "jsonl", "--after-seq", "5")
	require.Equal(t, strings.Join(pages[5:], "\n")+"\n", rest.Stdout)

	remote := w.run("ask", "From afar?", "--format", "json", "--server", n.GRPC)
	require.Zero(t, remote.Code, remote.Stderr)
	require.True(t, json.Valid([]byte(remote.Stdout)))

	got := w.run("jobs", "get", job)
	require.Zero(t, got.Code, got.Stderr)
	require.True(t, json.Valid([]byte(got.Stdout)))
}

// TestExitCodesSayHowAQuestionEnded: 5 where a member was missing, 3 where nobody answered, 4 where it was cancelled.
func TestExitCodesSayHowAQuestionEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
rules:
  - {when: {model: refused}, then: {status: 401, message: the key is wrong}}
  - {when: {model: silent}, then: {fault: hang}}
`)
	w.configure(`councils:
  - {name: default, members: [ada, ben, {id: away, model: refused}], chairman: {model: ada}}
  - {name: nobody, members: [{id: x, model: refused}, {id: y, model: refused}], chairman: {model: refused}}
  - {name: quiet, members: [ada, silent], chairman: {model: ada}}
`, "ada", "ben", "refused", "silent")
	n := w.serve()

	partial := w.run("ask", "Who is there?", "--format", "json")
	require.Equal(t, 5, partial.Code, partial.Stderr)
	var d councilv1.Deliberation
	require.NoError(t, protojson.Unmarshal([]byte(partial.Stdout), &d))
	require.Equal(t, councilv1.DeliberationResult_CHAIRMAN, d.GetResult().GetOrigin())
	missing := d.GetResult().GetCoverage().GetStages()[0].GetMissing()
	require.Len(t, missing, 1)
	require.Equal(t, "away", missing[0].GetSubject())
	require.Equal(t, councilv1.Failure_AUTH, missing[0].GetClass())

	failed := w.run("ask", "Who is there?", "--council", "nobody")
	require.Equal(t, 3, failed.Code, failed.Stderr)
	require.Empty(t, failed.Stdout)
	require.Contains(t, failed.Stderr, "NO_ANSWER")
	require.Contains(t, failed.Stderr, "the key is wrong")

	left := w.run("ask", "Who is there?", "--council", "quiet", "--detach")
	job := strings.TrimSpace(left.Stdout)
	n.until(job, func(e *jobsv1.JobEvent) bool { return e.GetCouncil().GetMemberAnswered() != nil })
	cancelled := w.run("jobs", "cancel", job)
	require.Zero(t, cancelled.Code, cancelled.Stderr)
	require.Equal(t, jobsv1.Job_CANCELLED, n.wait(job).GetState())
	require.Equal(t, 4, w.run("attach", job).Code)
	require.True(t, slices.Contains(names(n.events(job)), "council.member_answered"), "what was there is kept")
}
