package worker_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/apierr"
	"witan.dev/internal/job"
	"witan.dev/services/council"
	"witan.dev/services/council/counciltest"
)

func conversation(t *testing.T, s *counciltest.System) council.Conversation {
	t.Helper()
	c, err := s.CreateConversation(t.Context(), council.NewConversation{Owner: counciltest.Owner})
	require.NoError(t, err)
	return c
}

func state(t *testing.T, s *counciltest.System, id string) council.Activity {
	t.Helper()
	_, a, err := s.Conversation(t.Context(), id, counciltest.Owner)
	require.NoError(t, err)
	return a
}

func TestConversationState(t *testing.T) {
	t.Parallel()
	s := open(t, "rules: [{when: {prompt: WAIT}, then: {fault: hang}}, {when: {prompt: FAIL}, then: {status: 401}}]", "a", "b", "c")
	c := conversation(t, s)
	require.Equal(t, council.Activity{State: council.StateIdle}, state(t, s, c.ID))

	ask := func(text string) (council.Deliberation, error) {
		n := question(text)
		n.Conversation = c.ID
		return s.CreateDeliberation(t.Context(), n)
	}
	first, err := ask("What is the first question about?")
	require.NoError(t, err)
	s.Await(t, first.ID)
	require.Equal(t, council.Activity{State: council.StateIdle, Last: first.ID}, state(t, s, c.ID))

	waiting, err := ask("WAIT for me")
	require.NoError(t, err)
	require.Equal(t, council.Activity{State: council.StateActive, Active: waiting.ID, Last: waiting.ID}, state(t, s, c.ID))
	_, err = ask("meanwhile?")
	require.ErrorIs(t, err, council.ErrConversationActive)
	var e *apierr.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, "jobs/"+string(waiting.ID), e.Metadata()["job"])
	_, err = s.Jobs.Cancel(t.Context(), waiting.ID, counciltest.Owner)
	require.NoError(t, err)
	require.Equal(t, job.StateCancelled, s.Await(t, waiting.ID).State)
	require.Equal(t, council.StateIdle, state(t, s, c.ID).State)

	failing, err := ask("FAIL")
	require.NoError(t, err)
	require.Equal(t, job.StateFailed, s.Await(t, failing.ID).State)
	require.Equal(t, council.StateError, state(t, s, c.ID).State)

	last, err := ask("And now?")
	require.NoError(t, err)
	require.Equal(t, job.StateFailed, s.Await(t, last.ID).State, "the circuit of a refused key is open")
	messages, err := s.Messages(t.Context(), c.ID, counciltest.Owner, 0, 100)
	require.NoError(t, err)
	require.Equal(t, council.RoleUser, messages[0].Role)
	require.Equal(t, council.RoleCouncil, messages[1].Role)
	require.Equal(t, result(t, s, first.ID).Answer, messages[1].Text)
	require.Len(t, messages, 5, "no answer was written for what was cancelled or failed")
	named, _, err := s.Conversation(t.Context(), c.ID, counciltest.Owner)
	require.NoError(t, err)
	require.Equal(t, "What is the first question about?", named.Title)
}

func TestHistoryIsShownToAllMembersAlike(t *testing.T) {
	t.Parallel()
	s := open(t, "rules: [{when: {stage: synthesise, prompt: TURN-ONE}, then: {text: FINAL-ONE}}]", "a", "b", "c")
	c := conversation(t, s)
	for _, text := range []string{"TURN-ONE", "TURN-TWO"} {
		n := question(text)
		n.Conversation = c.ID
		require.Equal(t, job.StateSucceeded, s.Await(t, start(t, s, n).ID).State)
	}
	shown := 0
	for _, call := range s.Calls.List() {
		if call.Stage == council.StageAnswer && len(call.Prompt) > 0 && containsAll(call.Prompt, "TURN-TWO", "TURN-ONE", "FINAL-ONE") {
			shown++
		}
	}
	require.Equal(t, 3, shown)
}

func containsAll(text string, parts ...string) bool {
	for _, p := range parts {
		if !strings.Contains(text, p) {
			return false
		}
	}
	return true
}

func TestTwoAtOncePassTheLockOnce(t *testing.T) {
	t.Parallel()
	s := open(t, "rules: [{then: {fault: hang}}]", "a", "b", "c")
	c := conversation(t, s)
	var work sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		work.Go(func() {
			n := question("?")
			n.Conversation = c.ID
			_, errs[i] = s.CreateDeliberation(t.Context(), n)
		})
	}
	work.Wait()
	made := 0
	for _, err := range errs {
		if err == nil {
			made++
			continue
		}
		require.ErrorIs(t, err, council.ErrConversationActive)
	}
	require.Equal(t, 1, made)
}

func TestSameRequestGivesTheSameDeliberation(t *testing.T) {
	t.Parallel()
	s := open(t, "", "a", "b", "c")
	c := conversation(t, s)
	n := question("?")
	n.Conversation = c.ID
	n.Request = council.Request{ID: "11111111-1111-1111-1111-111111111111", Body: [32]byte{1}}
	first := start(t, s, n)
	require.Equal(t, first.ID, start(t, s, n).ID, "also while it runs")
	s.Await(t, first.ID)
	require.Equal(t, first.ID, start(t, s, n).ID)
	n.Request.Body[0]++
	_, err := s.CreateDeliberation(t.Context(), n)
	require.ErrorIs(t, err, council.ErrRequestIDReused)
}

func TestCancelKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	s := open(t, "rules: [{when: {stage: answer, member: m3}, then: {fault: hang}}]", "a", "b", "c")
	d := start(t, s, question("?"))
	s.Calls.Await(t, func(calls []counciltest.Call) bool {
		return answered(calls, council.StageAnswer) == 2 && len(calls) == 3
	})
	require.Eventually(t, func() bool { return counciltest.Types(s.Events(t, d.ID))["council.member_answered"] == 2 }, 10*time.Second, time.Millisecond)
	_, err := s.Jobs.Cancel(t.Context(), d.ID, counciltest.Owner)
	require.NoError(t, err)
	j := s.Await(t, d.ID) // the call hangs: without being aborted it would last for minutes
	require.Equal(t, job.StateCancelled, j.State)
	r := result(t, s, d.ID)
	require.Len(t, r.Answers, 2)
	require.Equal(t, council.ClosedCancelled, r.Coverage.Stages[0].ClosedBy)
	require.Equal(t, "CANCELLED", r.Coverage.Stages[0].Missing[0].Class)
	require.Empty(t, r.Answer)
	require.Len(t, s.Calls.List(), 3, "nothing is asked after a cancellation")
}

func answered(calls []counciltest.Call, stage string) int {
	n := 0
	for _, c := range calls {
		if c.Stage == stage && c.Answered {
			n++
		}
	}
	return n
}

func TestDeadlineConcludesWithWhatIsThere(t *testing.T) {
	t.Parallel()
	s := open(t, "rules: [{when: {stage: rank}, then: {fault: hang}}]", "a", "b", "c")
	n := question("?")
	n.Timeout = 6 * time.Second // ample for the answers, which take milliseconds
	d := start(t, s, n)
	j := s.Await(t, d.ID)
	require.Equal(t, job.StatePartiallySucceeded, j.State)
	require.Equal(t, council.EndDeadline, j.StateReason)
	r := result(t, s, d.ID)
	require.Equal(t, council.OriginTopRanked, r.Origin)
	require.NotEmpty(t, r.Answer)
}

// TestRestartAsksNothingTwice stops the system at several moments of a deliberation and goes on with another one on the
// same folder. The call log shows that no call whose result was committed was made again, and that a repeated one bears
// the same idempotency key.
func TestRestartAsksNothingTwice(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		hang  string
		calls int // until everything but the one that hangs has ended
	}{
		"in the first stage": {"{stage: answer, member: m3}", 4},
		"while judging":      {"{stage: rank, member: m2}", 8},
		"at the chairman":    {"{stage: synthesise}", 9},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder, calls := t.TempDir(), &counciltest.Calls{}
			life := func(script string) *counciltest.System {
				return counciltest.Open(t, counciltest.Config{
					Folder: folder, Script: script, Calls: calls, Models: []string{"a", "b", "c", "d"}, Presets: []council.Preset{preset("a", "b", "c", "d")},
				})
			}
			s := life("rules: [{when: " + tc.hang + ", then: {fault: hang}}]")
			d := start(t, s, question("?"))
			calls.Await(t, func(list []counciltest.Call) bool { return len(list) == tc.calls && hanging(list) == 1 })
			require.Eventually(t, func() bool {
				j, err := s.Jobs.Get(t.Context(), d.ID, counciltest.Owner)
				require.NoError(t, err)
				return j.Ledger.CallsCompleted == int64(len(calls.List()))-1
			}, 10*time.Second, time.Millisecond)
			before := s.Events(t, d.ID)
			first := calls.List()
			s.Stop(t)

			s = life("")
			j := s.Await(t, d.ID)
			require.Equal(t, job.StateSucceeded, j.State, j.StateReason)
			require.Equal(t, job.Ledger{CallsStarted: 10, CallsCompleted: 9, CallsReused: j.Ledger.CallsReused, CallsRepaid: 1, Recoveries: 1}, j.Ledger)
			after := s.Events(t, d.ID)
			for i, e := range before {
				require.Equal(t, e.Payload, after[i].Payload, "what viewers saw is a prefix of what they see")
			}
			deltasAreTheText(t, after, result(t, s, d.ID))
			onceEach(t, first, calls.List()[len(first):])
		})
	}
}

// A stop in the middle of a stage: one member answers slowly, another one is to be asked again after half an hour.
func TestG10_AStopKeepsTheAnswersUnderWayAndMakesNoFurtherCall(t *testing.T) {
	t.Parallel()
	folder, calls := t.TempDir(), &counciltest.Calls{}
	life := func(script string) *counciltest.System {
		return counciltest.Open(t, counciltest.Config{
			Folder: folder, Script: script, Calls: calls, Models: []string{"a", "b", "c", "d"}, Presets: []council.Preset{preset("a", "b", "c", "d")},
		})
	}
	s := life(`rules:
  - {when: {stage: answer, member: m1}, then: {latency: 1s}}
  - {when: {stage: answer, member: m2}, then: {status: 429, retry_after: 2m}}`)
	n := question("?")
	n.Overrides.Timeouts.Member = 10 * time.Minute
	n.Overrides.Timeouts.Stage = 20 * time.Minute
	d := start(t, s, n)
	calls.Await(t, func(list []counciltest.Call) bool { return len(list) == 4 && hanging(list) == 1 })
	began := time.Now()
	s.Drain(t, time.Minute)
	require.Less(t, time.Since(began), 30*time.Second, "the stop waits for the answer, not for the pause")
	first := calls.List()
	require.Len(t, first, 4, "nothing was asked after the stop had begun")
	require.Zero(t, hanging(first), "m1 was let answer")

	s = life("")
	j := s.Await(t, d.ID)
	require.Equal(t, job.StateSucceeded, j.State, j.StateReason)
	require.Zero(t, j.Ledger.CallsRepaid)
	again := map[string]int{}
	for _, c := range calls.List()[len(first):] {
		if c.Stage == council.StageAnswer {
			again[c.Member]++
		}
	}
	require.Equal(t, map[string]int{"m2": 1}, again)
}

func TestRestartKeepsStoredAnswersUnderABudget(t *testing.T) {
	t.Parallel()
	first, then := restarted(t, "{when: {stage: answer, member: m4}, then: {fault: hang}}", 3, 4, func(n *council.NewDeliberation) {
		n.Overrides.Budget = council.BudgetPolicy{MaxCalls: 5, OnExceed: council.ExceedConclude}
	})
	require.Equal(t, job.StatePartiallySucceeded, then.job.State)
	require.Equal(t, council.EndBudget, then.job.StateReason)
	require.Len(t, then.result.Answers, 3, "what was paid for is used although nothing is left to spend")
	require.Equal(t, council.OriginChairman, then.result.Origin, "the reserve is the chairman's")
	require.Len(t, first, 4)
	require.Len(t, then.calls, 1)
	require.Equal(t, council.StageSynthesise, then.calls[0].Stage)
}

func TestRestartKeepsAnAnswerThatNeededMoreRoom(t *testing.T) {
	t.Parallel()
	first, then := restarted(t, `{when: {stage: answer, member: m2, call: "1"}, then: {text: 'a long answer that is cut', fault: length, after: 10}}
  - {when: {stage: answer, member: m4}, then: {fault: hang}}`, 3, 5, func(n *council.NewDeliberation) {
		n.Overrides.Members = counciltest.Seats("a", "b", "c", "d")
		n.Overrides.Members[1].MaxOutputTokens = 100
	})
	require.Equal(t, job.StateSucceeded, then.job.State, then.job.StateReason)
	require.Len(t, first, 5)
	for _, c := range then.calls {
		require.False(t, c.Stage == council.StageAnswer && c.Member != "m4", "%s was asked again", c.Member)
	}
}

// second is what became of a deliberation in its second life.
type second struct {
	job    job.Job
	result *council.Result
	calls  []counciltest.Call
}

// restarted asks four members under a rule, stops the system when so many calls were answered and made, and goes on with
// another one that has no rules. It returns the calls of the first life, and what came of it in the second.
func restarted(t *testing.T, rule string, answered, made int, change func(*council.NewDeliberation)) ([]counciltest.Call, second) {
	t.Helper()
	folder, calls := t.TempDir(), &counciltest.Calls{}
	life := func(script string) *counciltest.System {
		return counciltest.Open(t, counciltest.Config{
			Folder: folder, Script: script, Calls: calls, Models: []string{"a", "b", "c", "d"}, Presets: []council.Preset{preset("a", "b", "c", "d")},
		})
	}
	s := life("rules:\n  - " + rule)
	n := question("?")
	change(&n)
	d := start(t, s, n)
	calls.Await(t, func(list []counciltest.Call) bool { return len(list) == made && hanging(list) == 1 })
	require.Eventually(t, func() bool {
		j, err := s.Jobs.Get(t.Context(), d.ID, counciltest.Owner)
		require.NoError(t, err)
		return j.Ledger.CallsCompleted == int64(answered)
	}, 10*time.Second, time.Millisecond)
	first := calls.List()
	s.Stop(t)
	s = life("")
	out := second{job: s.Await(t, d.ID)}
	out.result, out.calls = result(t, s, d.ID), calls.List()[len(first):]
	return first, out
}

func TestAPanicInACallEndsTheJobAndNotTheProcess(t *testing.T) {
	t.Parallel()
	calls := &counciltest.Calls{Note: func(c counciltest.Call) {
		if c.Member == "m2" {
			panic("a fault of ours")
		}
	}}
	s := counciltest.Open(t, counciltest.Config{Calls: calls, Models: []string{"a", "b", "c"}, Presets: []council.Preset{preset("a", "b", "c")}})
	j := s.Await(t, start(t, s, question("?")).ID)
	require.Equal(t, job.StateFailed, j.State)
	require.Equal(t, job.ReasonInternal, j.Error.Reason)
	require.NotContains(t, j.Error.Message, "a fault of ours", "the log has the cause")
}

// onceEach requires that of the calls of an earlier life only the unanswered one came again, word for word.
func onceEach(t *testing.T, first, then []counciltest.Call) {
	t.Helper()
	for _, c := range first {
		again := 0
		for _, x := range then {
			if x.Prompt == c.Prompt && x.Stage == c.Stage && x.Member == c.Member {
				again++
				require.Equal(t, c.Key, x.Key)
			}
		}
		want := 1
		if c.Answered {
			want = 0
		}
		require.Equal(t, want, again, "%s %s", c.Stage, c.Member)
	}
}

// hanging counts calls that have not ended.
func hanging(list []counciltest.Call) int {
	n := 0
	for _, c := range list {
		if !c.Answered && c.Err == nil {
			n++
		}
	}
	return n
}
