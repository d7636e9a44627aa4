package client_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"witan.dev/client"
	councilv1 "witan.dev/gen/witan/council/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
)

func ask(id string) *jobsv1.RunJobRequest {
	return &jobsv1.RunJobRequest{Create: &jobsv1.RunJobRequest_Deliberation{Deliberation: &councilv1.CreateDeliberationRequest{
		Deliberation: &councilv1.Deliberation{Task: &councilv1.Deliberation_Question{Question: &councilv1.Question{Text: "why?"}}},
		RequestId:    id,
	}}}
}

// twiceAway fails the first two calls of a method as a broken connection would.
func twiceAway(_ string, n int) error {
	if n < 2 {
		return unavailable()
	}
	return nil
}

// TestG11_ARepeatedCreateIsTheSameJob: the answers of the first tries are lost, what they started is not.
func TestG11_ARepeatedCreateIsTheSameJob(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := finished(4)
		f.failing = twiceAway
		c := client.New(memory{f}, client.Config{})
		req := ask("")
		follower, err := c.Run(t.Context(), req)
		require.NoError(t, err)
		require.Equal(t, jobName, follower.Name())
		require.Len(t, f.created, 1)
		for id := range f.created {
			parsed, err := uuid.Parse(id)
			require.NoError(t, err)
			require.Equal(t, uuid.Version(4), parsed.Version())
			require.Equal(t, uuid.RFC4122, parsed.Variant())
		}
		require.Empty(t, req.GetDeliberation().GetRequestId(), "the caller's request stays its own")
		got, err := collect(follower.Events(t.Context()))
		require.NoError(t, err)
		requireSame(t, f.events(), got)

		own := uuid.NewString()
		_, err = c.Run(t.Context(), ask(own))
		require.NoError(t, err)
		require.Contains(t, f.created, own)
	})
}

func TestRunRefusesWhatItCannotKeep(t *testing.T) {
	t.Parallel()
	c := client.New(memory{newFake()}, client.Config{})
	filtered, typed, checked := ask(""), ask(""), ask("")
	filtered.OmitDeltas = true
	typed.Types = []string{"council.planned"}
	checked.GetDeliberation().ValidateOnly = true
	for _, req := range []*jobsv1.RunJobRequest{filtered, typed, checked, {}, nil} {
		_, err := c.Run(t.Context(), req)
		require.Error(t, err)
	}
}

func TestCallsAreRepeatedUntilTheServerAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.failing = twiceAway
		c := client.New(memory{f}, client.Config{})
		job, err := c.Get(t.Context(), jobName)
		require.NoError(t, err)
		require.Equal(t, jobsv1.Job_RUNNING, job.GetState())
		job, err = c.Cancel(t.Context(), jobName)
		require.NoError(t, err)
		require.Equal(t, jobsv1.Job_CANCELLING, job.GetState())
		job, err = c.Retry(t.Context(), jobName)
		require.NoError(t, err)
		require.EqualValues(t, 2, job.GetAttempt())
		require.Len(t, f.retries, 1, "one request_id, one attempt")
		require.NotContains(t, f.retries, "")

		var names []string
		for j, err := range c.List(t.Context(), &jobsv1.ListJobsRequest{Kind: "council"}) {
			require.NoError(t, err)
			names = append(names, j.GetName())
		}
		require.Equal(t, []string{"jobs/3", "jobs/2", "jobs/1"}, names)
		require.NoError(t, c.Delete(t.Context(), jobName), "the first try did it, though its answer was lost")
		require.Equal(t, "JOB_NOT_FOUND", client.Reason(c.Delete(t.Context(), jobName)))
	})
}

func TestListEndsWithItsError(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.failing = func(_ string, n int) error {
		if n == 1 {
			return refusal(codes.Unauthenticated, "TOKEN_INVALID")
		}
		return nil
	}
	var names []string
	var last error
	for j, err := range client.New(memory{f}, client.Config{}).List(t.Context(), nil) {
		names, last = append(names, j.GetName()), err
	}
	require.Equal(t, []string{"jobs/3", "jobs/2", ""}, names)
	require.Equal(t, codes.Unauthenticated, status.Code(last))
}

func TestWaitTakesManyTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.failing = twiceAway
		time.AfterFunc(10*time.Minute, func() { f.finish(jobsv1.Job_FAILED) })
		began := time.Now()
		job, err := client.New(memory{f}, client.Config{}).Wait(t.Context(), jobName)
		require.NoError(t, err)
		require.Equal(t, jobsv1.Job_FAILED, job.GetState())
		require.InDelta(t, 600, time.Since(began).Seconds(), 1)
	})
}

func TestTokensDoNotShow(t *testing.T) {
	t.Parallel()
	cfg := client.Config{Addresses: []string{"127.0.0.1:1"}, Token: "geheim"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		require.NotContains(t, fmt.Sprintf(verb, cfg), "geheim", verb)
		require.NotContains(t, fmt.Sprintf(verb, cfg.Token), "67656865696d", verb)
	}
	text, err := cfg.Token.MarshalText()
	require.NoError(t, err)
	require.NotContains(t, string(text), "geheim")
}

func TestDialRefusesToSendATokenInClear(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"witan.example:7400", "192.0.2.1:7400", "[2001:db8::1]:7400"} {
		_, err := client.Dial(client.Config{Addresses: []string{"127.0.0.1:7400", address}, Token: "t"})
		require.ErrorContains(t, err, "clear")
		c, err := client.Dial(client.Config{Addresses: []string{address}, Token: "t", TokenInClear: true})
		require.NoError(t, err)
		require.NoError(t, c.Close())
	}
	for _, address := range []string{"localhost:7400", "127.0.0.9:7400", "[::1]:7400", "unix:/run/witan.sock"} {
		c, err := client.Dial(client.Config{Addresses: []string{address}, Token: "t"})
		require.NoError(t, err)
		require.NoError(t, c.Close())
	}
	for _, none := range [][]string{nil, {""}} {
		_, err := client.Dial(client.Config{Addresses: none})
		require.Error(t, err)
	}
}
