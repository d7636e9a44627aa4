package server_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	councilv1 "witan.dev/gen/witan/council/v1"
	"witan.dev/internal/auth"
	"witan.dev/internal/job"
	"witan.dev/internal/rpc"
	"witan.dev/internal/secret"
	"witan.dev/services/council"
	"witan.dev/services/council/counciltest"
	"witan.dev/services/council/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// setup serves a council in memory behind all interceptors.
func setup(t *testing.T, c counciltest.Config) (*counciltest.System, councilv1.CouncilServiceClient) {
	t.Helper()
	s := counciltest.Open(t, c)
	srv, err := rpc.NewServer(rpc.Config{}, rpc.Deps{
		Logger: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), Auth: auth.NewFolder(secret.Text{}),
	})
	require.NoError(t, err)
	require.NoError(t, srv.Register(server.New(s.Manager).Register))
	require.NoError(t, srv.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, srv.Stop(context.WithoutCancel(t.Context()))) })
	conn, err := srv.InProcess(secret.Text{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return s, councilv1.NewCouncilServiceClient(conn)
}

func three(script string) counciltest.Config {
	return counciltest.Config{Script: script, Models: []string{"a", "b", "c"}}
}

func ask(text string) *councilv1.Deliberation {
	return &councilv1.Deliberation{Task: &councilv1.Deliberation_Question{Question: &councilv1.Question{Text: text}}}
}

// reason requires an error with a code and gives its ErrorInfo.
func reason(t *testing.T, err error, code codes.Code) *errdetails.ErrorInfo {
	t.Helper()
	require.Equal(t, code, status.Code(err), "%v", err)
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info
		}
	}
	require.FailNow(t, "no ErrorInfo", "%v", err)
	return nil
}

func TestQuestionInAConversation(t *testing.T) {
	t.Parallel()
	s, client := setup(t, three(""))
	c, err := client.CreateConversation(t.Context(), &councilv1.CreateConversationRequest{})
	require.NoError(t, err)
	require.Equal(t, councilv1.Conversation_IDLE, c.GetProcessingState())

	asked := ask("What is a lock?")
	asked.Conversation = c.GetName()
	d, err := client.CreateDeliberation(t.Context(), &councilv1.CreateDeliberationRequest{Deliberation: asked})
	require.NoError(t, err)
	require.Equal(t, "jobs/"+d.GetName()[len("deliberations/"):], d.GetJob())
	require.Len(t, d.GetSpec().GetMembers(), 4, "three models make a default council of four")
	s.Await(t, job.ID(d.GetJob()[len("jobs/"):]))

	full, err := client.GetDeliberation(t.Context(), &councilv1.GetDeliberationRequest{Name: d.GetName()})
	require.NoError(t, err)
	require.Len(t, full.GetResult().GetAnswers(), 4)
	require.Len(t, full.GetResult().GetBallots(), 4)
	require.Equal(t, councilv1.DeliberationResult_CHAIRMAN, full.GetResult().GetOrigin())
	basic, err := client.GetDeliberation(t.Context(), &councilv1.GetDeliberationRequest{Name: d.GetName(), View: councilv1.Deliberation_BASIC})
	require.NoError(t, err)
	require.Empty(t, basic.GetResult().GetAnswers())
	require.Equal(t, full.GetResult().GetAnswer(), basic.GetResult().GetAnswer())

	messages, err := client.ListMessages(t.Context(), &councilv1.ListMessagesRequest{Parent: c.GetName(), PageSize: 1})
	require.NoError(t, err)
	require.Equal(t, councilv1.Message_USER, messages.GetMessages()[0].GetRole())
	messages, err = client.ListMessages(t.Context(), &councilv1.ListMessagesRequest{Parent: c.GetName(), PageSize: 1, PageToken: messages.GetNextPageToken()})
	require.NoError(t, err)
	require.Equal(t, full.GetResult().GetAnswer(), messages.GetMessages()[0].GetText())
	require.Empty(t, messages.GetNextPageToken())
	c, err = client.GetConversation(t.Context(), &councilv1.GetConversationRequest{Name: c.GetName()})
	require.NoError(t, err)
	require.Equal(t, "What is a lock?", c.GetTitle())
	require.Equal(t, d.GetJob(), c.GetLastJob())
}

func TestErrorsNameWhatCanBeDone(t *testing.T) {
	t.Parallel()
	s, client := setup(t, three("rules: [{then: {fault: hang}}]"))
	ctx := t.Context()
	create := func(d *councilv1.Deliberation) error {
		_, err := client.CreateDeliberation(ctx, &councilv1.CreateDeliberationRequest{Deliberation: d})
		return err
	}
	c, err := client.CreateConversation(ctx, &councilv1.CreateConversationRequest{})
	require.NoError(t, err)
	asked := ask("?")
	asked.Conversation = c.GetName()
	running, err := client.CreateDeliberation(ctx, &councilv1.CreateDeliberationRequest{Deliberation: asked})
	require.NoError(t, err)
	info := reason(t, create(asked), codes.FailedPrecondition)
	require.Equal(t, "CONVERSATION_ACTIVE", info.GetReason())
	require.Equal(t, running.GetJob(), info.GetMetadata()["job"])

	unknown := ask("?")
	unknown.Conversation = "conversations/aaaaaaaaaaaaaaaaaaaaaaaaaa"
	require.Equal(t, "CONVERSATION_NOT_FOUND", reason(t, create(unknown), codes.NotFound).GetReason())
	unknown = ask("?")
	unknown.Council = "councils/nope"
	require.Equal(t, "COUNCIL_NOT_FOUND", reason(t, create(unknown), codes.NotFound).GetReason())
	unknown = ask("?")
	unknown.Spec = &councilv1.CouncilSpec{Members: []*councilv1.Member{{Model: "nope"}}}
	info = reason(t, create(unknown), codes.InvalidArgument)
	require.Equal(t, "MODEL_UNKNOWN", info.GetReason())
	require.Equal(t, "nope", info.GetMetadata()["model"])
	small := ask("?")
	small.Spec = &councilv1.CouncilSpec{Budget: &councilv1.BudgetPolicy{MaxCalls: 2}}
	require.Equal(t, "BUDGET_TOO_SMALL", reason(t, create(small), codes.FailedPrecondition).GetReason())
	verdict := ask("?")
	verdict.Spec = &councilv1.CouncilSpec{Mode: councilv1.CouncilSpec_VERDICT}
	require.Equal(t, "NOT_IMPLEMENTED", reason(t, create(verdict), codes.Unimplemented).GetReason())
	capped := ask("?")
	capped.Spec = &councilv1.CouncilSpec{Budget: &councilv1.BudgetPolicy{MaxCostMicros: 5}}
	require.Equal(t, "PRICE_UNKNOWN", reason(t, create(capped), codes.FailedPrecondition).GetReason())
	capped.Spec.Budget = &councilv1.BudgetPolicy{MaxTotalTokens: 1}
	_, err = client.EstimateDeliberation(ctx, &councilv1.EstimateDeliberationRequest{Deliberation: unknown})
	require.Equal(t, "MODEL_UNKNOWN", reason(t, err, codes.InvalidArgument).GetReason(), "what cannot be started is not estimated")
	estimate, err := client.EstimateDeliberation(ctx, &councilv1.EstimateDeliberationRequest{Deliberation: ask("?")})
	require.NoError(t, err)
	require.Equal(t, int64(4), estimate.GetCalls().GetLow(), "four seats of three models")
	require.Greater(t, estimate.GetTokens().GetHigh(), estimate.GetTokens().GetExpected())
	require.Nil(t, estimate.GetCostMicros(), "no model has a price")
	require.Equal(t, codes.InvalidArgument, status.Code(create(&councilv1.Deliberation{})), "no task")
	_, err = client.GetDeliberation(ctx, &councilv1.GetDeliberationRequest{Name: "deliberations/aaaaaaaaaaaaaaaaaaaaaaaaaa"})
	require.Equal(t, "DELIBERATION_NOT_FOUND", reason(t, err, codes.NotFound).GetReason())
	_, err = client.DeleteConversation(ctx, &councilv1.DeleteConversationRequest{Name: c.GetName()})
	require.Equal(t, "CONVERSATION_ACTIVE", reason(t, err, codes.FailedPrecondition).GetReason())
	_, err = s.Jobs.Cancel(ctx, job.ID(running.GetJob()[len("jobs/"):]), counciltest.Owner)
	require.NoError(t, err)
}

func TestTemporaryConversationsEnd(t *testing.T) {
	t.Parallel()
	_, client := setup(t, three(""))
	now := time.Now()
	for name, asked := range map[string]*councilv1.Conversation{
		"not temporary": {ExpireTime: timestamppb.New(now.Add(time.Hour))},
		"past":          {Temporary: true, ExpireTime: timestamppb.New(now.Add(-time.Hour))},
		"titled":        {Temporary: true, Title: "title"},
	} {
		_, err := client.CreateConversation(t.Context(), &councilv1.CreateConversationRequest{Conversation: asked})
		require.Equal(t, "INVALID_REQUEST", reason(t, err, codes.InvalidArgument).GetReason(), name)
	}
	list, err := client.ListConversations(t.Context(), &councilv1.ListConversationsRequest{})
	require.NoError(t, err)
	require.Empty(t, list.GetConversations(), "nothing was made")
	c, err := client.CreateConversation(t.Context(), &councilv1.CreateConversationRequest{Conversation: &councilv1.Conversation{Temporary: true}})
	require.NoError(t, err)
	require.True(t, c.GetTemporary())
	require.Equal(t, c.GetCreateTime().AsTime().Add(24*time.Hour), c.GetExpireTime().AsTime())
}

func TestDeletingAConversation(t *testing.T) {
	t.Parallel()
	s, client := setup(t, three(""))
	ctx := t.Context()
	request := &councilv1.CreateConversationRequest{Conversation: &councilv1.Conversation{}, RequestId: "7b0c3c4e-5a51-4d3c-9d55-0f8a3b7a2f11"}
	c, err := client.CreateConversation(ctx, request)
	require.NoError(t, err)
	asked := ask("What is a mutex?")
	asked.Conversation = c.GetName()
	d, err := client.CreateDeliberation(ctx, &councilv1.CreateDeliberationRequest{Deliberation: asked})
	require.NoError(t, err)
	id := job.ID(d.GetJob()[len("jobs/"):])
	require.Equal(t, job.StateSucceeded, s.Await(t, id).State)
	_, err = client.DeleteConversation(ctx, &councilv1.DeleteConversationRequest{Name: c.GetName()})
	require.NoError(t, err)
	_, err = client.GetConversation(ctx, &councilv1.GetConversationRequest{Name: c.GetName()})
	require.Equal(t, "CONVERSATION_NOT_FOUND", reason(t, err, codes.NotFound).GetReason())
	_, err = client.GetDeliberation(ctx, &councilv1.GetDeliberationRequest{Name: d.GetName()})
	require.Equal(t, "DELIBERATION_NOT_FOUND", reason(t, err, codes.NotFound).GetReason())
	_, err = s.Jobs.Get(ctx, id, "")
	require.ErrorIs(t, err, job.ErrNotFound)
	_, err = client.DeleteConversation(ctx, &councilv1.DeleteConversationRequest{Name: c.GetName()})
	require.Equal(t, "CONVERSATION_NOT_FOUND", reason(t, err, codes.NotFound).GetReason())
	_, err = client.CreateConversation(ctx, request)
	require.Equal(t, "CONVERSATION_NOT_FOUND", reason(t, err, codes.NotFound).GetReason(), "what the request made is gone")
}

func TestNoModelConfigured(t *testing.T) {
	t.Parallel()
	s, client := setup(t, counciltest.Config{})
	_, err := client.CreateDeliberation(t.Context(), &councilv1.CreateDeliberationRequest{Deliberation: ask("?")})
	require.Equal(t, "NO_MODEL_CONFIGURED", reason(t, err, codes.FailedPrecondition).GetReason())
	jobs, _, err := s.Jobs.List(t.Context(), job.ListQuery{})
	require.NoError(t, err)
	require.Empty(t, jobs, "no job was made")
	models, err := client.ListModels(t.Context(), &councilv1.ListModelsRequest{})
	require.NoError(t, err)
	require.Empty(t, models.GetModels())
}

func TestCodeReviewOverTheWire(t *testing.T) {
	t.Parallel()
	s, client := setup(t, counciltest.Config{})
	d, err := client.CreateDeliberation(t.Context(), &councilv1.CreateDeliberationRequest{Deliberation: &councilv1.Deliberation{
		Task: &councilv1.Deliberation_CodeReview{CodeReview: &councilv1.CodeReview{
			Parts:            []*councilv1.MaterialPart{{Id: "p1", Paths: []string{"a.go"}, Content: &councilv1.MaterialPart_Text{Text: "+x"}}},
			OutsideProposals: []*councilv1.Proposal{{Id: "s1", Source: "secrets", Outside: true, Path: "a.go", Claim: "a key", Certain: true, Severity: 3}},
		}},
	}})
	require.NoError(t, err)
	s.Await(t, job.ID(d.GetJob()[len("jobs/"):]))
	full, err := client.GetDeliberation(t.Context(), &councilv1.GetDeliberationRequest{Name: d.GetName(), View: councilv1.Deliberation_FULL})
	require.NoError(t, err)
	require.Equal(t, "+x", full.GetCodeReview().GetParts()[0].GetText())
	f := full.GetResult().GetReview().GetFindings()[0]
	require.Equal(t, councilv1.Finding_PUBLISHED, f.GetOutcome())
	require.Equal(t, council.ReasonCertain, f.GetOutcomeReason())
	require.Equal(t, "s1", f.GetRepresentative())
}

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	s, client := setup(t, three(""))
	r := &councilv1.CreateDeliberationRequest{Deliberation: ask("?"), RequestId: "0b8f3a7e-6a0e-4a69-8b52-0f5c7a1f2d3e"}
	first, err := client.CreateDeliberation(t.Context(), r)
	require.NoError(t, err)
	again, err := client.CreateDeliberation(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, first.GetName(), again.GetName())
	r.Deliberation = ask("another")
	_, err = client.CreateDeliberation(t.Context(), r)
	require.Equal(t, "REQUEST_ID_REUSED", reason(t, err, codes.AlreadyExists).GetReason())
	s.Await(t, job.ID(first.GetJob()[len("jobs/"):]))
}

func TestListsAndPresets(t *testing.T) {
	t.Parallel()
	c := three("")
	c.Presets = []council.Preset{{Name: "small", DisplayName: "Small", Spec: council.Spec{Members: counciltest.Seats("a")}}}
	s, client := setup(t, c)
	for range 3 {
		d, err := client.CreateDeliberation(t.Context(), &councilv1.CreateDeliberationRequest{Deliberation: &councilv1.Deliberation{
			Task: ask("?").GetTask(), Council: "councils/small",
		}})
		require.NoError(t, err)
		s.Await(t, job.ID(d.GetJob()[len("jobs/"):]))
	}
	var names []string
	token := ""
	for {
		page, err := client.ListDeliberations(t.Context(), &councilv1.ListDeliberationsRequest{PageSize: 2, PageToken: token})
		require.NoError(t, err)
		for _, d := range page.GetDeliberations() {
			names = append(names, d.GetName())
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	require.Len(t, names, 3)
	_, err := client.ListConversations(t.Context(), &councilv1.ListConversationsRequest{PageToken: "nonsense"})
	require.Equal(t, "PAGE_TOKEN_INVALID", reason(t, err, codes.InvalidArgument).GetReason())
	councils, err := client.ListCouncils(t.Context(), &councilv1.ListCouncilsRequest{})
	require.NoError(t, err)
	require.Equal(t, "councils/default", councils.GetCouncils()[0].GetName())
	require.Equal(t, "councils/small", councils.GetCouncils()[1].GetName())
	require.True(t, councils.GetCouncils()[1].GetReadOnly())
	one, err := client.GetCouncil(t.Context(), &councilv1.GetCouncilRequest{Name: "councils/small"})
	require.NoError(t, err)
	require.Equal(t, "m1", one.GetSpec().GetMembers()[0].GetId())
	models, err := client.ListModels(t.Context(), &councilv1.ListModelsRequest{})
	require.NoError(t, err)
	require.Len(t, models.GetModels(), 3)
	validated, err := client.CreateDeliberation(t.Context(), &councilv1.CreateDeliberationRequest{Deliberation: ask("?"), ValidateOnly: true})
	require.NoError(t, err)
	require.Empty(t, validated.GetName())
	require.Equal(t, int64(9), validated.GetEstimate().GetCalls().GetExpected())
}
