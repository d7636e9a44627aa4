package llm_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"witan.dev/internal/llm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// double is a model whose answers a test decides.
type double struct {
	calls    int
	generate func(ctx context.Context, sink func(string) error) (llm.Response, error)
}

func (d *double) Info() llm.Info { return llm.Info{Name: "a", Model: "a", Streaming: true} }

func (d *double) Generate(ctx context.Context, _ llm.Request, sink func(string) error) (llm.Response, error) {
	d.calls++
	return d.generate(ctx, sink)
}

// answers gives one outcome a call, the last one for ever: "" is a success.
func answers(classes ...llm.Class) *double {
	d := &double{}
	d.generate = func(context.Context, func(string) error) (llm.Response, error) {
		class := classes[min(d.calls, len(classes))-1]
		if class == "" {
			return llm.Response{Text: "x", Finish: llm.FinishStop}, nil
		}
		return llm.Response{}, &llm.Error{Class: class, Detail: "the reason"}
	}
	return d
}

func call(t *testing.T, m llm.Model) error {
	t.Helper()
	_, err := m.Generate(t.Context(), llm.Request{}, nil)
	return err
}

func TestTheCircuitOpensAfterFiveFailuresInARow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, to := llm.ClassProvider, llm.ClassTimeout
		d := answers(p, to, p, p, "", p, p, llm.ClassRateLimit, p, p, p, p, to, p, p, "")
		m := llm.NewBreaker(time.Now).Wrap(d)
		for range 13 {
			require.NotErrorIs(t, call(t, m), llm.ErrCircuitOpen)
		}
		err := call(t, m)
		require.ErrorIs(t, err, llm.ErrCircuitOpen)
		require.Equal(t, to, llm.ClassOf(err))
		require.ErrorContains(t, err, "the reason")
		require.Equal(t, 13, d.calls, "an open circuit makes no call")

		time.Sleep(30 * time.Second) //nolint:forbidigo // time is the bubble's
		require.NotErrorIs(t, call(t, m), llm.ErrCircuitOpen, "one trial")
		require.ErrorIs(t, call(t, m), llm.ErrCircuitOpen, "which failed")
		time.Sleep(30 * time.Second) //nolint:forbidigo // time is the bubble's
		require.NotErrorIs(t, call(t, m), llm.ErrCircuitOpen)
		time.Sleep(30 * time.Second) //nolint:forbidigo // time is the bubble's
		require.NoError(t, call(t, m), "the third succeeds")
		require.NoError(t, call(t, m))
	})
}

func TestAuthOpensTheCircuitAtOnceAndCancellingDoesNothing(t *testing.T) {
	t.Parallel()
	m := llm.NewBreaker(time.Now).Wrap(answers(llm.ClassAuth))
	require.NotErrorIs(t, call(t, m), llm.ErrCircuitOpen)
	err := call(t, m)
	require.ErrorIs(t, err, llm.ErrCircuitOpen)
	require.Equal(t, llm.ClassAuth, llm.ClassOf(err))

	m = llm.NewBreaker(time.Now).Wrap(answers(llm.ClassCancelled))
	for range 20 {
		require.NotErrorIs(t, call(t, m), llm.ErrCircuitOpen)
	}
}

func TestOneTrialAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := answers(llm.ClassAuth)
		m := llm.NewBreaker(time.Now).Wrap(d)
		require.Error(t, call(t, m))
		time.Sleep(30 * time.Second) //nolint:forbidigo // time is the bubble's
		hold := make(chan struct{})
		d.generate = func(context.Context, func(string) error) (llm.Response, error) {
			<-hold
			return llm.Response{}, &llm.Error{Class: llm.ClassCancelled, Detail: "x"}
		}
		go func() { _ = call(t, m) }()
		synctest.Wait()
		require.ErrorIs(t, call(t, m), llm.ErrCircuitOpen, "a trial is under way")
		close(hold)
		synctest.Wait()
		d.generate = answers("").generate
		d.calls = 0
		d.generate = func(context.Context, func(string) error) (llm.Response, error) { return llm.Response{}, nil }
		require.NoError(t, call(t, m), "a cancelled trial leaves room for the next")
	})
}

func TestAPauseHoldsAllCallsOfTheProvider(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limiter := llm.NewLimiter(time.Now)
		limited := &double{generate: func(context.Context, func(string) error) (llm.Response, error) {
			return llm.Response{}, &llm.Error{Class: llm.ClassRateLimit, RetryAfter: 10 * time.Second, Detail: "x"}
		}}
		free := answers("")
		start := time.Now()
		require.Error(t, call(t, limiter.Wrap(limited)))

		short, cancel := context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		_, err := limiter.Wrap(free).Generate(short, llm.Request{}, nil)
		require.Equal(t, llm.ClassRateLimit, llm.ClassOf(err), "the pause ends after the deadline: fails at once")
		require.Zero(t, time.Since(start))
		require.Zero(t, free.calls)

		gone, leave := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, leave)
		_, err = limiter.Wrap(free).Generate(gone, llm.Request{}, nil)
		require.Equal(t, llm.ClassCancelled, llm.ClassOf(err))
		require.Equal(t, time.Second, time.Since(start))

		require.NoError(t, call(t, limiter.Wrap(free)))
		require.Equal(t, 10*time.Second, time.Since(start))
	})
}

func TestAnAbsurdPauseIsCut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limiter := llm.NewLimiter(time.Now)
		d := &double{generate: func(context.Context, func(string) error) (llm.Response, error) {
			return llm.Response{}, &llm.Error{Class: llm.ClassRateLimit, RetryAfter: 1e6 * time.Hour, Detail: "x"}
		}}
		start := time.Now()
		require.Error(t, call(t, limiter.Wrap(d)))
		require.NoError(t, call(t, limiter.Wrap(answers(""))))
		require.Equal(t, 15*time.Minute, time.Since(start))
	})
}

// slow speaks after each of the pauses.
func slow(pauses ...time.Duration) *double {
	return &double{generate: func(ctx context.Context, sink func(string) error) (llm.Response, error) {
		for i, pause := range pauses {
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return llm.Response{}, llm.Interrupted(ctx)
			}
			text := "x"
			if i == 0 {
				text = "" // a sign of life
			}
			if err := sink(text); err != nil {
				return llm.Response{}, err
			}
		}
		return llm.Response{Text: "x", Finish: llm.FinishStop}, nil
	}}
}

func TestTheTwoClocks(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		model *double
		want  llm.Class
		says  string
	}{
		"in time":            {slow(4*time.Second, 20*time.Second), "", ""},
		"no first token":     {slow(6 * time.Second), llm.ClassTimeout, "no sign of an answer within 5s"},
		"the whole too slow": {slow(4*time.Second, 30*time.Second), llm.ClassTimeout, "no complete answer within 30s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var heard string
				_, err := llm.WithClocks(tt.model).Generate(t.Context(), llm.Request{FirstToken: 5 * time.Second, Attempt: 30 * time.Second},
					func(s string) error { heard += "<" + s + ">"; return nil })
				require.Equal(t, tt.want, llm.ClassOf(err))
				if err != nil {
					require.ErrorContains(t, err, tt.says)
					return
				}
				require.Equal(t, "<x>", heard, "a sign of life goes no further")
			})
		})
	}
}

func TestOthersErrorsAreProviderErrors(t *testing.T) {
	t.Parallel()
	m := llm.NewBreaker(time.Now).Wrap(&double{generate: func(context.Context, func(string) error) (llm.Response, error) {
		return llm.Response{}, errors.New("odd, with key sk-abcdefghijklmnop")
	}})
	for range 5 {
		require.Equal(t, llm.ClassProvider, llm.ClassOf(call(t, m)))
	}
	err := call(t, m)
	require.ErrorIs(t, err, llm.ErrCircuitOpen)
	require.NotContains(t, err.Error(), "sk-abc")
}
