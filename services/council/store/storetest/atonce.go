package storetest

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/job"
	"witan.dev/services/council"
)

const callers = 12

// lockExcludes lets many look whether a conversation is free and start a deliberation where it is.
func lockExcludes(t *testing.T, s Subject) {
	create(t, s, aConversation(1))
	var wg sync.WaitGroup
	for n := range callers {
		wg.Go(func() {
			err := s.InTx(func(ctx context.Context, tx job.Tx) error {
				_, there, err := s.LockConversation(ctx, tx, "c1", owner)
				if err != nil || len(there) > 0 {
					return err
				}
				return s.AddDeliberation(ctx, tx, aDeliberation(n, "c1"))
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := s.Recent(t.Context(), "c1")
	require.NoError(t, err)
	require.Len(t, got["c1"], 1)
}

func messagesAtOnce(t *testing.T, s Subject) {
	create(t, s, aConversation(1))
	var wg sync.WaitGroup
	for n := range callers {
		for range 2 { // the second one is a repetition
			wg.Go(func() {
				if err := s.InTx(func(ctx context.Context, tx job.Tx) error { return s.AddMessage(ctx, tx, message(n)) }); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	all, err := s.Messages(t.Context(), "c1", 0, 100)
	require.NoError(t, err)
	require.Len(t, all, callers)
	for i, m := range all {
		require.Equal(t, int64(i+1), m.Ordinal)
	}
	c, err := s.Conversation(t.Context(), "c1", owner)
	require.NoError(t, err)
	require.Equal(t, int64(1+callers), c.Revision)
}

func requestsAtOnce(t *testing.T, s Subject) {
	r := council.Request{ID: "r1", Body: [32]byte{1}}
	made := make(chan council.Conversation, callers)
	var wg sync.WaitGroup
	for n := range callers {
		wg.Go(func() {
			c, err := s.CreateConversation(t.Context(), aConversation(n), r)
			if err != nil {
				t.Error(err)
			}
			made <- c
		})
	}
	wg.Wait()
	first := <-made
	for range callers - 1 {
		require.Equal(t, first, <-made)
	}
	list, err := s.Conversations(t.Context(), owner, council.Position{}, 100)
	require.NoError(t, err)
	require.Equal(t, []council.Conversation{first}, list)
}

// anyText holds what databases are known to refuse in texts.
func anyText(t *testing.T, s Subject) {
	const text = "a\x00b \U0001F980 \\u0000"
	c := aConversation(1)
	c.Title, c.Labels = text, map[string]string{"k": text}
	create(t, s, c)
	got, err := s.Conversation(t.Context(), "c1", owner)
	require.NoError(t, err)
	require.Equal(t, c, got)
	d := aDeliberation(1, "c1")
	d.Task.CodeReview.Parts[0].Text, d.Task.CodeReview.Title, d.Labels = text, text, map[string]string{"k": text}
	add(t, s, d)
	full, err := s.Deliberation(t.Context(), "d1", owner, council.ViewFull)
	require.NoError(t, err)
	require.Equal(t, d, full)
	m := message(1)
	m.Text = text
	untitled := aConversation(2)
	untitled.Title = ""
	create(t, s, untitled)
	require.NoError(t, s.InTx(func(ctx context.Context, tx job.Tx) error {
		if err := s.SetTitle(ctx, tx, "c2", text); err != nil {
			return err
		}
		return s.AddMessage(ctx, tx, m)
	}))
	all, err := s.Messages(t.Context(), "c1", 0, 10)
	require.NoError(t, err)
	require.Equal(t, text, all[0].Text)
	got, err = s.Conversation(t.Context(), "c2", owner)
	require.NoError(t, err)
	require.Equal(t, text, got.Title)
	require.NoError(t, s.InTx(func(ctx context.Context, tx job.Tx) error {
		return s.SaveResult(ctx, tx, "d1", council.Result{Answer: text})
	}))
	full, err = s.Deliberation(t.Context(), "d1", owner, council.ViewBasic)
	require.NoError(t, err)
	require.Equal(t, text, full.Result.Answer)
}
