package worker_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/job"
	"witan.dev/services/council"
	"witan.dev/services/council/counciltest"
)

// retry starts the job's next attempt and waits for its end.
func retry(t *testing.T, s *counciltest.System, id job.ID) job.Job {
	t.Helper()
	_, err := s.Jobs.Retry(t.Context(), job.Retrial{ID: id, Owner: counciltest.Owner})
	require.NoError(t, err)
	return s.Await(t, id)
}

// calls counts those that reached a model, by stage and member.
func calls(s *counciltest.System) map[string]int {
	out := map[string]int{}
	for _, c := range s.Calls.List() {
		out[c.Stage+" "+c.Member]++
	}
	return out
}

// once makes the first call of a stage's member fail for good.
func once(stage, member string) string {
	return "rules: [{when: {stage: " + stage + ", member: " + member + ", call: '1'}, then: {fault: refusal}}]"
}

func TestG10_ARetryAfterOneMemberFailedAsksThatMemberOnly(t *testing.T) {
	t.Parallel()
	s := open(t, once("answer", "m3"), "a", "b", "c")
	n := question("What is a mutex?")
	n.Overrides.Quorum = council.QuorumPolicy{MinAnswers: 3, OnPartial: council.PartialFail}
	d := start(t, s, n)
	j := s.Await(t, d.ID)
	require.Equal(t, []any{job.StateFailed, council.EndQuorumNotReached}, []any{j.State, j.StateReason})
	require.Equal(t, map[string]int{"answer m1": 1, "answer m2": 1, "answer m3": 1}, calls(s))
	last := j.LastSeq
	first := result(t, s, d.ID)

	j = retry(t, s, d.ID)
	require.Equal(t, job.StateSucceeded, j.State, j.StateReason)
	require.Equal(t, int32(2), j.Attempt)
	require.Equal(t, map[string]int{
		"answer m1": 1, "answer m2": 1, "answer m3": 2, "rank m1": 1, "rank m2": 1, "rank m3": 1, "synthesise chairman": 1,
	}, calls(s))
	require.Equal(t, job.Ledger{CallsStarted: 8, CallsCompleted: 7, CallsReused: 2}, j.Ledger)
	r := result(t, s, d.ID)
	require.Len(t, r.Answers, 3)
	require.Equal(t, first.Answers, r.Answers[:2], "what was answered stays word for word")
	for _, e := range s.Events(t, d.ID) {
		require.Equal(t, e.Seq > last, e.Attempt == 2)
	}
}

func TestG10_ARetryKeepsWholeStagesAndHoldsTheFirstThatLacksSomething(t *testing.T) {
	t.Parallel()
	s := open(t, once("rank", "m2"), "a", "b", "c")
	d := start(t, s, question("What is a mutex?"))
	j := s.Await(t, d.ID)
	require.Equal(t, []any{job.StatePartiallySucceeded, council.EndMemberMissing}, []any{j.State, j.StateReason})
	j = retry(t, s, d.ID)
	require.Equal(t, job.StateSucceeded, j.State, j.StateReason)
	require.Equal(t, map[string]int{
		"answer m1": 1, "answer m2": 1, "answer m3": 1, "rank m1": 1, "rank m2": 2, "rank m3": 1, "synthesise chairman": 2,
	}, calls(s), "one ballot more, and the text that rests on it")
	require.Equal(t, int64(2), j.Ledger.CallsReused, "the answers' stage was whole and was not held again")
	require.Len(t, result(t, s, d.ID).Ballots, 3)
}

func TestG10_ARetryThatMeetsTheSameFailureChangesNothing(t *testing.T) {
	t.Parallel()
	s := open(t, "rules: [{when: {stage: answer, member: m3}, then: {fault: refusal}}]", "a", "b", "c")
	d := start(t, s, question("What is a mutex?"))
	j := s.Await(t, d.ID)
	require.Equal(t, []any{job.StatePartiallySucceeded, council.EndMemberMissing}, []any{j.State, j.StateReason})
	before, asked := result(t, s, d.ID), calls(s)
	for attempt := range 2 {
		j = retry(t, s, d.ID)
		require.Equal(t, []any{job.StatePartiallySucceeded, council.EndMemberMissing}, []any{j.State, j.StateReason})
		asked["answer m3"]++
		require.Equal(t, asked, calls(s), "attempt %d", attempt+2)
		require.Equal(t, before.Answer, result(t, s, d.ID).Answer)
	}
}

func TestG10_AnAnswerThatNobodyCouldReadIsAskedForAnewByARetry(t *testing.T) {
	t.Parallel()
	s := open(t, "rules: [{when: {stage: rank, member: m2, call: '1'}, then: {fault: invalid_json}},"+
		" {when: {stage: rank_repair, member: m2, call: '1'}, then: {fault: invalid_json}}]", "a", "b", "c")
	d := start(t, s, question("What is a mutex?"))
	j := s.Await(t, d.ID)
	require.Equal(t, []any{job.StatePartiallySucceeded, council.EndBallotInvalid}, []any{j.State, j.StateReason})
	j = retry(t, s, d.ID)
	require.Equal(t, job.StateSucceeded, j.State, j.StateReason)
	got := calls(s)
	require.Equal(t, []int{1, 2, 1}, []int{got["rank m1"], got["rank m2"], got["rank m3"]})
	for _, b := range result(t, s, d.ID).Ballots {
		require.Equal(t, council.ParseOK, b.Parse, b.Reviewer)
	}
}

func TestG12_ACancelledDeliberationGoesOnWhereItWasStopped(t *testing.T) {
	t.Parallel()
	s := open(t, "rules: [{when: {stage: rank, call: '1-3'}, then: {fault: hang}}]", "a", "b", "c")
	d := start(t, s, question("What is a mutex?"))
	s.Calls.Await(t, func(list []counciltest.Call) bool { return len(list) == 6 })
	_, err := s.Jobs.Cancel(t.Context(), d.ID, counciltest.Owner)
	require.NoError(t, err)
	require.Equal(t, job.StateCancelled, s.Await(t, d.ID).State)
	j := retry(t, s, d.ID)
	require.Equal(t, job.StateSucceeded, j.State, j.StateReason)
	require.True(t, j.CancelAskedAt.IsZero())
	got := calls(s)
	require.Equal(t, []int{1, 1, 1, 2}, []int{got["answer m1"], got["answer m2"], got["answer m3"], got["rank m1"]})
}

func TestHistoryHoldsOneTurnOfARetriedDeliberation(t *testing.T) {
	t.Parallel()
	s := open(t, "rules: [{when: {stage: answer, member: m3, call: '1'}, then: {fault: refusal}},"+
		" {when: {stage: synthesise, call: '1'}, then: {text: FIRST-TEXT}}, {when: {stage: synthesise, call: '2'}, then: {text: SECOND-TEXT}}]", "a", "b", "c")
	c := conversation(t, s)
	n := question("TURN-ONE")
	n.Conversation = c.ID
	d := start(t, s, n)
	require.Equal(t, job.StatePartiallySucceeded, s.Await(t, d.ID).State)
	require.Equal(t, job.StateSucceeded, retry(t, s, d.ID).State)
	n = question("TURN-TWO")
	n.Conversation = c.ID
	d = start(t, s, n)
	s.Await(t, d.ID)
	for _, call := range s.Calls.List() {
		if call.Stage == council.StageAnswer && containsAll(call.Prompt, "TURN-TWO") {
			require.Contains(t, call.Prompt, "SECOND-TEXT")
			require.NotContains(t, call.Prompt, "FIRST-TEXT")
		}
	}
}

func TestG08_ARetryWaitsForItsTurnInTheConversation(t *testing.T) {
	t.Parallel()
	s := open(t, "rules: [{when: {prompt: FAIL}, then: {status: 500}}, {when: {prompt: WAIT}, then: {fault: hang}}]", "a", "b", "c")
	c := conversation(t, s)
	ask := func(text string) job.ID {
		n := question(text)
		n.Conversation = c.ID
		n.Overrides.Members = counciltest.Seats("a", "b", "c")
		for i := range n.Overrides.Members {
			n.Overrides.Members[i].MaxAttempts = 1
		}
		return start(t, s, n).ID
	}
	failed := ask("FAIL")
	require.Equal(t, job.StateFailed, s.Await(t, failed).State)
	running := ask("WAIT")
	_, err := s.Jobs.Retry(t.Context(), job.Retrial{ID: failed})
	require.ErrorIs(t, err, council.ErrConversationActive)
	_, err = s.Jobs.Cancel(t.Context(), running, "")
	require.NoError(t, err)
	s.Await(t, running)
	require.Equal(t, job.StateFailed, retry(t, s, failed).State)
	_, err = s.Jobs.Get(t.Context(), running, "")
	require.NoError(t, err)
}

func TestG15_ATemporaryConversationGoesWithItsJobs(t *testing.T) {
	t.Parallel()
	s := open(t, "rules: [{when: {prompt: WAIT}, then: {fault: hang}}]", "a", "b", "c")
	kept := conversation(t, s)
	c, err := s.CreateConversation(t.Context(), council.NewConversation{
		Owner: counciltest.Owner, Temporary: true, ExpireAt: time.Now().Add(time.Hour),
	})
	require.NoError(t, err)
	ids := map[string]job.ID{}
	for _, text := range []string{"What is a mutex?", "WAIT"} {
		n := question(text)
		n.Conversation = c.ID
		ids[text] = start(t, s, n).ID
		if text != "WAIT" {
			require.Equal(t, job.StateSucceeded, s.Await(t, ids[text]).State)
		}
	}
	j, err := s.Jobs.Get(t.Context(), ids["WAIT"], "")
	require.NoError(t, err)
	require.Equal(t, c.ExpireAt.UnixMicro(), j.ExpireAt.UnixMicro())
	require.NoError(t, s.RemoveExpired(t.Context(), c.ExpireAt.Add(-time.Second)))
	require.Equal(t, council.StateActive, state(t, s, c.ID).State, "its time has not come")
	require.Eventually(t, func() bool {
		require.NoError(t, s.RemoveExpired(t.Context(), c.ExpireAt))
		states, err := s.Jobs.States(t.Context(), ids["What is a mutex?"], ids["WAIT"])
		require.NoError(t, err)
		_, err = s.Store.Conversation(t.Context(), c.ID, counciltest.Owner)
		return len(states) == 0 && err != nil
	}, 30*time.Second, 5*time.Millisecond, "what had ended, and what was cancelled then")
	_, _, err = s.Conversation(t.Context(), c.ID, counciltest.Owner)
	require.ErrorIs(t, err, council.ErrConversationNotFound)
	messages, err := s.Store.Messages(t.Context(), c.ID, 0, 10)
	require.NoError(t, err)
	require.Empty(t, messages)
	for _, id := range ids {
		_, err = s.Deliberation(t.Context(), id, counciltest.Owner, council.ViewFull)
		require.ErrorIs(t, err, council.ErrDeliberationNotFound)
	}
	_, _, err = s.Conversation(t.Context(), kept.ID, counciltest.Owner)
	require.NoError(t, err)
}
