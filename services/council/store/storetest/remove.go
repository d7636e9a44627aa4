package storetest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/job"
	"witan.dev/services/council"
)

func say(t *testing.T, s Subject, conversation, id string, by job.ID) {
	t.Helper()
	require.NoError(t, s.InTx(func(ctx context.Context, tx job.Tx) error {
		return s.AddMessage(ctx, tx, council.Message{ID: id, Conversation: conversation, Role: council.RoleUser, Text: "text of " + id, Deliberation: by, CreatedAt: at(1)})
	}))
}

func messageIDs(t *testing.T, s Subject, conversation string) []string {
	t.Helper()
	list, err := s.Messages(t.Context(), conversation, 0, 100)
	require.NoError(t, err)
	var ids []string
	for _, m := range list {
		ids = append(ids, m.ID)
	}
	return ids
}

func deliberationGoes(t *testing.T, s Subject) {
	before := create(t, s, aConversation(1))
	create(t, s, aConversation(2))
	for n, c := range []string{"c1", "c1", "c2"} {
		add(t, s, aDeliberation(n+1, c))
	}
	say(t, s, "c1", "q1", "d1")
	say(t, s, "c1", "q2", "d2")
	say(t, s, "c1", "a1", "d1")
	say(t, s, "c2", "q3", "d3")
	drop := func(id job.ID) {
		t.Helper()
		require.NoError(t, s.InTx(func(ctx context.Context, tx job.Tx) error {
			if err := s.SavePlan(ctx, tx, id, []byte("plan"), council.Estimate{}); err != nil {
				return err
			}
			if err := s.SaveOutcome(ctx, tx, id, 1, "answer", []byte("{}")); err != nil {
				return err
			}
			return s.DeleteDeliberation(ctx, tx, id)
		}))
	}
	drop("d1")
	drop("d9")
	_, err := s.Deliberation(t.Context(), "d1", "", council.ViewFull)
	require.ErrorIs(t, err, council.ErrDeliberationNotFound)
	outcome, err := s.Outcome(t.Context(), "d1", 1, "answer")
	require.NoError(t, err)
	require.Nil(t, outcome)
	require.Equal(t, []string{"q2"}, messageIDs(t, s, "c1"))
	require.Equal(t, []string{"q3"}, messageIDs(t, s, "c2"))
	recent, err := s.Recent(t.Context(), "c1")
	require.NoError(t, err)
	require.Equal(t, []job.ID{"d2"}, recent["c1"])
	say(t, s, "c1", "q4", "d2")
	require.Equal(t, []string{"q2", "q4"}, messageIDs(t, s, "c1"), "the order goes on")
	after, err := s.Conversation(t.Context(), "c1", owner)
	require.NoError(t, err)
	require.Greater(t, after.Revision, before.Revision)
}

func conversationGoes(t *testing.T, s Subject) {
	r := council.Request{ID: "r1", Body: [32]byte{1}}
	_, err := s.CreateConversation(t.Context(), aConversation(1), r)
	require.NoError(t, err)
	create(t, s, aConversation(2))
	say(t, s, "c1", "m", "")
	drop := func(id string) {
		t.Helper()
		require.NoError(t, s.InTx(func(ctx context.Context, tx job.Tx) error { return s.DeleteConversation(ctx, tx, id) }))
	}
	drop("c1")
	drop("c1")
	drop("c2")
	for _, id := range []string{"c1", "c2"} {
		_, err = s.Conversation(t.Context(), id, owner)
		require.ErrorIs(t, err, council.ErrConversationNotFound)
		require.Empty(t, messageIDs(t, s, id))
	}
	_, err = s.CreateConversation(t.Context(), aConversation(3), r)
	require.ErrorIs(t, err, council.ErrConversationDeleted)
	require.ErrorContains(t, err, "deleted")
	r.Body[0]++
	_, err = s.CreateConversation(t.Context(), aConversation(3), r)
	require.ErrorIs(t, err, council.ErrRequestIDReused)
	other := aConversation(4)
	other.Owner = "someone"
	_, err = s.CreateConversation(t.Context(), other, r)
	require.NoError(t, err)
}

func expiredOnes(t *testing.T, s Subject) {
	create(t, s, aConversation(1))
	for n, seconds := range []int{30, 20, 40} {
		c := aConversation(n + 2)
		c.Temporary, c.ExpireAt = true, at(seconds)
		create(t, s, c)
	}
	list, err := s.ExpiredConversations(t.Context(), at(19), council.Expiry{}, 10)
	require.NoError(t, err)
	require.Empty(t, list)
	list, err = s.ExpiredConversations(t.Context(), at(30), council.Expiry{}, 10)
	require.NoError(t, err)
	require.Equal(t, []string{"c3", "c2"}, []string{list[0].ID, list[1].ID})
	require.Len(t, list, 2)
	list, err = s.ExpiredConversations(t.Context(), at(59), council.Expiry{}, 1)
	require.NoError(t, err)
	require.Len(t, list, 1)
	list, err = s.ExpiredConversations(t.Context(), at(59), council.Expiry{At: list[0].ExpireAt, ID: list[0].ID}, 1)
	require.NoError(t, err)
	require.Equal(t, "c2", list[0].ID, "the next page begins behind the last")
}
