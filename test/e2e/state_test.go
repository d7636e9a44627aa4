package e2e_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	councilv1 "witan.dev/gen/witan/council/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
)

const (
	idle   = councilv1.Conversation_IDLE
	active = councilv1.Conversation_ACTIVE
	failed = councilv1.Conversation_ERROR
)

func (n *node) newConversation() string {
	n.t.Helper()
	c, err := n.Council.CreateConversation(bounded(n.t), &councilv1.CreateConversationRequest{Conversation: &councilv1.Conversation{}})
	require.NoError(n.t, err)
	require.Equal(n.t, idle, c.GetProcessingState())
	return c.GetName()
}

func (n *node) askIn(conversation, council, text string) (*councilv1.Deliberation, error) {
	d := question(text)
	d.Conversation, d.Council = conversation, council
	return n.Council.CreateDeliberation(bounded(n.t), &councilv1.CreateDeliberationRequest{Deliberation: d})
}

func (n *node) messages(conversation string) []*councilv1.Message {
	n.t.Helper()
	page, err := n.Council.ListMessages(bounded(n.t), &councilv1.ListMessagesRequest{Parent: conversation})
	require.NoError(n.t, err)
	return page.GetMessages()
}

// hanging has the first three calls of the first stage begin to answer and come to no end. Their first words in the log
// say that they are under way.
const hanging = `
timing: {latency: 30ms}
rules:
  - {when: {model: refused}, then: {status: 401, message: the key is wrong}}
  - {when: {stage: answer, call: "1-3"}, then: {first_token: 10ms, latency: 2m, chunk_bytes: 8}}
`

// underway waits until all three members are answering.
func (n *node) underway(job string) []*jobsv1.JobEvent {
	n.t.Helper()
	speaking := map[string]bool{}
	return n.until(job, func(e *jobsv1.JobEvent) bool {
		if d := e.GetCouncil().GetMemberDelta(); d != nil {
			speaking[d.GetMember()] = true
		}
		return len(speaking) == 3
	})
}

func (w *world) withFailingCouncil() *world {
	w.configure(`councils:
  - {name: default, members: [ada, ben, cyd], chairman: {model: chair}}
  - {name: refused, members: [{id: x, model: refused}, {id: y, model: refused}], chairman: {model: refused}}
`, "ada", "ben", "cyd", "chair", "refused")
	return w
}

// TestConversationKnowsWhatItsJobDoes: ACTIVE while a deliberation runs, also across a kill, IDLE with the answer after it,
// ERROR after a failure, and nobody watched any of it.
func TestConversationKnowsWhatItsJobDoes(t *testing.T) {
	t.Parallel()
	n := newWorld(t, hanging).withFailingCouncil().serve()
	conversation := n.newConversation()
	first, err := n.askIn(conversation, "", "What is the capital of France?")
	require.NoError(t, err)
	n.underway(first.GetJob())

	now := n.conversation(conversation)
	require.Equal(t, active, now.GetProcessingState())
	require.Equal(t, first.GetJob(), now.GetActiveJob())
	_, err = n.askIn(conversation, "", "And of Spain?")
	require.Equal(t, codes.FailedPrecondition, status.Code(err))
	require.Equal(t, "CONVERSATION_ACTIVE", info(err).GetReason())
	require.Equal(t, first.GetJob(), info(err).GetMetadata()["job"])
	refused := n.do("POST", "/v1/"+conversation+"/deliberations", `{"question":{"text":"And of Spain?"}}`)
	require.Equal(t, http.StatusBadRequest, refused.Code)
	require.Equal(t, "CONVERSATION_ACTIVE", refused.reason())
	require.Contains(t, string(refused.Body), first.GetJob())
	require.Len(t, n.messages(conversation), 1, "a refused question leaves nothing")

	n = n.restart()
	require.Contains(t, []councilv1.Conversation_ProcessingState{active, idle}, n.conversation(conversation).GetProcessingState())
	ended := n.wait(first.GetJob())
	require.Equal(t, jobsv1.Job_SUCCEEDED, ended.GetState())
	require.Equal(t, int64(1), ended.GetLedger().GetRecoveries())

	holds := func() {
		t.Helper()
		c := n.conversation(conversation)
		require.Equal(t, idle, c.GetProcessingState())
		require.Empty(t, c.GetActiveJob())
		require.Equal(t, "What is the capital of France?", c.GetTitle())
		d, err := n.Council.GetDeliberation(bounded(t), &councilv1.GetDeliberationRequest{Name: first.GetName(), View: councilv1.Deliberation_FULL})
		require.NoError(t, err)
		requireWholeAnswer(t, d.GetResult())
		all := n.messages(conversation)
		require.Len(t, all, 2)
		require.Equal(t, councilv1.Message_USER, all[0].GetRole())
		require.Equal(t, councilv1.Message_COUNCIL, all[1].GetRole())
		require.Equal(t, d.GetResult().GetAnswer(), all[1].GetText())
		require.Equal(t, first.GetName(), all[1].GetDeliberation())
	}
	holds()
	n = n.restart()
	holds()

	second, err := n.askIn(conversation, "councils/refused", "And of Spain?")
	require.NoError(t, err)
	require.Equal(t, jobsv1.Job_FAILED, n.wait(second.GetJob()).GetState())
	require.Equal(t, failed, n.conversation(conversation).GetProcessingState())
	n = n.restart()
	require.Equal(t, failed, n.conversation(conversation).GetProcessingState())

	third, err := n.askIn(conversation, "", "And of Italy?")
	require.NoError(t, err, "a conversation goes on after a failure")
	require.Equal(t, jobsv1.Job_SUCCEEDED, n.wait(third.GetJob()).GetState())
	require.Equal(t, idle, n.conversation(conversation).GetProcessingState())
	require.Len(t, n.messages(conversation), 5, "two questions with an answer, one without")
}

func TestACancelledQuestionLeavesItsConversationIdle(t *testing.T) {
	t.Parallel()
	n := newWorld(t, hanging).serve()
	conversation := n.newConversation()
	d, err := n.askIn(conversation, "", "Why?")
	require.NoError(t, err)
	n.underway(d.GetJob())
	_, err = n.Jobs.CancelJob(bounded(t), &jobsv1.CancelJobRequest{Name: d.GetJob()})
	require.NoError(t, err)
	ended := n.wait(d.GetJob())
	require.Equal(t, jobsv1.Job_CANCELLED, ended.GetState(), "%s %v", ended.GetStateReason(), ended.GetError())
	require.Equal(t, idle, n.conversation(conversation).GetProcessingState())
	requireDense(t, n.events(d.GetJob()))
}
