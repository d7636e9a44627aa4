// Package storetest is the suite that each store of the council passes.
package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/finding"
	"witan.dev/internal/job"
	"witan.dev/services/council"
)

// Subject is an empty store, and a way to run something in one transaction with it.
type Subject struct {
	council.Store

	InTx func(fn func(ctx context.Context, tx job.Tx) error) error
}

const owner = "local"

// Run runs the suite.
func Run(t *testing.T, open func(t *testing.T) Subject) {
	t.Helper()
	for name, test := range map[string]func(t *testing.T, s Subject){
		"a conversation is read as it was made":               conversationIsKept,
		"the same request gives the same conversation":        requestIsIdempotent,
		"foreign and unknown things are not found":            foreignIsNotFound,
		"lists are paged newest first":                        listsArePaged,
		"messages have an order and are written once":         messagesInOrder,
		"a deliberation is read as it was made":               deliberationIsKept,
		"recent deliberations come newest first":              recentOnes,
		"the first plan and the first outcome stay":           firstOnesStay,
		"a title is given once and not to temporary ones":     titleOnce,
		"what a failed transaction wrote is not there":        rolledBack,
		"the result replaces an earlier one":                  resultReplaces,
		"the lock lists what its own transaction has written": lockSeesOwn,
		"a deleted deliberation takes its messages along":     deliberationGoes,
		"a deleted conversation leaves the hash of a request": conversationGoes,
		"conversations whose time is over are found":          expiredOnes,
		"one at a time looks into a locked conversation":      lockExcludes,
		"messages at once are numbered":                       messagesAtOnce,
		"one request at once makes one conversation":          requestsAtOnce,
		"any text comes back":                                 anyText,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func at(n int) time.Time { return time.Date(2026, 1, 2, 3, 4, n, 0, time.UTC) }

func aConversation(n int) council.Conversation {
	return council.Conversation{
		ID: fmt.Sprintf("c%d", n), Owner: owner, Title: "t", Council: "default", Labels: map[string]string{"a": "b"},
		CreatedAt: at(n), UpdatedAt: at(n), Revision: 1,
	}
}

func create(t *testing.T, s Subject, c council.Conversation) council.Conversation {
	t.Helper()
	made, err := s.CreateConversation(t.Context(), c, council.Request{})
	require.NoError(t, err)
	return made
}

func aDeliberation(n int, conversation string) council.Deliberation {
	temperature := 0.5
	return council.Deliberation{
		ID: job.ID(fmt.Sprintf("d%d", n)), Owner: owner, Conversation: conversation, Council: "default", Timeout: time.Minute,
		Task: council.Task{CodeReview: &council.CodeReview{
			Title: "x", Parts: []council.MaterialPart{{ID: "p1", Text: "one", Paths: []string{"a.go"}}, {ID: "p2", Text: "two"}},
			Outside: []council.Proposal{{ID: "o1", Source: "lint", Path: "a.go", Claim: "c", Severity: finding.SeverityHigh}},
		}},
		Spec:      council.Spec{Members: []council.Member{{ID: "m1", Model: "alpha", Temperature: &temperature}}},
		Labels:    map[string]string{"k": "v"},
		Estimate:  &council.Estimate{Calls: council.Range{Low: 1, Expected: 2, High: 3}},
		CreatedAt: at(n), Revision: 1,
	}
}

func add(t *testing.T, s Subject, d council.Deliberation) {
	t.Helper()
	require.NoError(t, s.InTx(func(ctx context.Context, tx job.Tx) error { return s.AddDeliberation(ctx, tx, d) }))
}

func conversationIsKept(t *testing.T, s Subject) {
	c := aConversation(1)
	c.Temporary, c.ExpireAt = true, at(59)
	create(t, s, c)
	got, err := s.Conversation(t.Context(), "c1", owner)
	require.NoError(t, err)
	require.Equal(t, c, got)
}

func requestIsIdempotent(t *testing.T, s Subject) {
	r := council.Request{ID: "r1", Body: [32]byte{1}}
	first, err := s.CreateConversation(t.Context(), aConversation(1), r)
	require.NoError(t, err)
	again, err := s.CreateConversation(t.Context(), aConversation(2), r)
	require.NoError(t, err)
	require.Equal(t, first, again)
	r.Body[0]++
	_, err = s.CreateConversation(t.Context(), aConversation(3), r)
	require.ErrorIs(t, err, council.ErrRequestIDReused)
	other := aConversation(4)
	other.Owner = "someone"
	made, err := s.CreateConversation(t.Context(), other, council.Request{ID: "r1"})
	require.NoError(t, err)
	require.Equal(t, "c4", made.ID)
}

func foreignIsNotFound(t *testing.T, s Subject) {
	create(t, s, aConversation(1))
	add(t, s, aDeliberation(1, "c1"))
	for _, id := range []string{"c1", "c9"} {
		_, err := s.Conversation(t.Context(), id, "someone")
		require.ErrorIs(t, err, council.ErrConversationNotFound)
		err = s.InTx(func(ctx context.Context, tx job.Tx) error {
			_, _, err := s.LockConversation(ctx, tx, id, "someone")
			return err
		})
		require.ErrorIs(t, err, council.ErrConversationNotFound)
	}
	for _, id := range []job.ID{"d1", "d9"} {
		_, err := s.Deliberation(t.Context(), id, "someone", council.ViewFull)
		require.ErrorIs(t, err, council.ErrDeliberationNotFound)
	}
	_, err := s.Deliberation(t.Context(), "d1", "", council.ViewBasic)
	require.NoError(t, err)
	_, err = s.Plan(t.Context(), "d9")
	require.ErrorIs(t, err, council.ErrDeliberationNotFound)
}

func listsArePaged(t *testing.T, s Subject) {
	for n := range 5 {
		c := aConversation(n)
		c.CreatedAt = at(n / 2) // two share a time
		create(t, s, c)
		d := aDeliberation(n, "")
		d.CreatedAt = at(n / 2)
		add(t, s, d)
	}
	var conversations, deliberations []string
	var cAfter, dAfter council.Position
	for range 3 {
		page, err := s.Conversations(t.Context(), owner, cAfter, 2)
		require.NoError(t, err)
		for _, c := range page {
			conversations = append(conversations, c.ID)
			cAfter = council.Position{CreatedAt: c.CreatedAt, ID: c.ID}
		}
		ds, err := s.Deliberations(t.Context(), owner, "", dAfter, 2)
		require.NoError(t, err)
		for _, d := range ds {
			deliberations = append(deliberations, string(d.ID))
			dAfter = council.Position{CreatedAt: d.CreatedAt, ID: string(d.ID)}
			require.Empty(t, d.Task.CodeReview.Parts[0].Text)
		}
	}
	require.Equal(t, []string{"c4", "c3", "c2", "c1", "c0"}, conversations)
	require.Equal(t, []string{"d4", "d3", "d2", "d1", "d0"}, deliberations)
	none, err := s.Deliberations(t.Context(), owner, "c1", council.Position{}, 10)
	require.NoError(t, err)
	require.Empty(t, none)
}

func message(n int) council.Message {
	return council.Message{
		ID: fmt.Sprintf("m%d", n), Conversation: "c1", Role: council.RoleUser, Text: fmt.Sprint("text ", n), Deliberation: "d1",
		Origin: council.OriginChairman, Partial: n%2 == 0, CreatedAt: at(10 + n),
	}
}

func messagesInOrder(t *testing.T, s Subject) {
	create(t, s, aConversation(1))
	for _, n := range []int{1, 2, 2, 3} {
		require.NoError(t, s.InTx(func(ctx context.Context, tx job.Tx) error { return s.AddMessage(ctx, tx, message(n)) }))
	}
	all, err := s.Messages(t.Context(), "c1", 0, 10)
	require.NoError(t, err)
	require.Len(t, all, 3)
	for i, m := range all {
		want := message(i + 1)
		want.Ordinal = int64(i + 1)
		require.Equal(t, want, m)
	}
	rest, err := s.Messages(t.Context(), "c1", 1, 1)
	require.NoError(t, err)
	require.Equal(t, all[1:2], rest)
	c, err := s.Conversation(t.Context(), "c1", owner)
	require.NoError(t, err)
	require.Equal(t, at(13), c.UpdatedAt)
	require.Equal(t, int64(4), c.Revision)
}

func deliberationIsKept(t *testing.T, s Subject) {
	d := aDeliberation(1, "c1")
	d.ParentJob, d.ExpireAt = "j1", at(50)
	add(t, s, d)
	full, err := s.Deliberation(t.Context(), d.ID, owner, council.ViewFull)
	require.NoError(t, err)
	require.Equal(t, d, full)
	basic, err := s.Deliberation(t.Context(), d.ID, owner, council.ViewBasic)
	require.NoError(t, err)
	require.Empty(t, basic.Task.CodeReview.Parts[0].Text)
	require.Equal(t, "one", d.Task.CodeReview.Parts[0].Text, "the caller's task is left as it is")
	q := aDeliberation(2, "")
	q.Task = council.Task{Question: &council.Question{Text: "?", Evidence: []council.Evidence{{Title: "e", Text: "long"}}}}
	add(t, s, q)
	full, err = s.Deliberation(t.Context(), q.ID, owner, council.ViewFull)
	require.NoError(t, err)
	require.Equal(t, q, full)
}

func recentOnes(t *testing.T, s Subject) {
	for n := range 4 {
		add(t, s, aDeliberation(n, fmt.Sprintf("c%d", n%2)))
	}
	add(t, s, aDeliberation(9, ""))
	got, err := s.Recent(t.Context(), "c0", "c1", "c7")
	require.NoError(t, err)
	require.Equal(t, map[string][]job.ID{"c0": {"d2", "d0"}, "c1": {"d3", "d1"}}, got)
	got, err = s.Recent(t.Context())
	require.NoError(t, err)
	require.Empty(t, got)
}

func firstOnesStay(t *testing.T, s Subject) {
	add(t, s, aDeliberation(1, ""))
	plan, err := s.Plan(t.Context(), "d1")
	require.NoError(t, err)
	require.Nil(t, plan)
	outcome, err := s.Outcome(t.Context(), "d1", 1, "answer")
	require.NoError(t, err)
	require.Nil(t, outcome)
	for _, content := range []string{"first", "second"} {
		require.NoError(t, s.InTx(func(ctx context.Context, tx job.Tx) error {
			if err := s.SavePlan(ctx, tx, "d1", []byte(content), council.Estimate{Calls: council.Range{High: 9}}); err != nil {
				return err
			}
			return s.SaveOutcome(ctx, tx, "d1", 1, "answer", []byte(content))
		}))
	}
	plan, err = s.Plan(t.Context(), "d1")
	require.NoError(t, err)
	require.Equal(t, "first", string(plan))
	outcome, err = s.Outcome(t.Context(), "d1", 1, "answer")
	require.NoError(t, err)
	require.Equal(t, "first", string(outcome))
	outcome, err = s.Outcome(t.Context(), "d1", 2, "answer")
	require.NoError(t, err)
	require.Nil(t, outcome, "another attempt of the job opens its stages anew")
	d, err := s.Deliberation(t.Context(), "d1", owner, council.ViewBasic)
	require.NoError(t, err)
	require.Equal(t, int64(9), d.Estimate.Calls.High)
}

func titleOnce(t *testing.T, s Subject) {
	plain, temporary := aConversation(1), aConversation(2)
	plain.Title, temporary.Title, temporary.Temporary = "", "", true
	create(t, s, plain)
	create(t, s, temporary)
	for _, title := range []string{"one", "two"} {
		for _, id := range []string{"c1", "c2"} {
			require.NoError(t, s.InTx(func(ctx context.Context, tx job.Tx) error { return s.SetTitle(ctx, tx, id, title) }))
		}
	}
	got, err := s.Conversation(t.Context(), "c1", owner)
	require.NoError(t, err)
	require.Equal(t, "one", got.Title)
	got, err = s.Conversation(t.Context(), "c2", owner)
	require.NoError(t, err)
	require.Empty(t, got.Title)
}

func rolledBack(t *testing.T, s Subject) {
	create(t, s, aConversation(1))
	err := s.InTx(func(ctx context.Context, tx job.Tx) error {
		if err := s.AddDeliberation(ctx, tx, aDeliberation(1, "c1")); err != nil {
			return err
		}
		if err := s.AddMessage(ctx, tx, message(1)); err != nil {
			return err
		}
		return council.ErrConversationActive
	})
	require.ErrorIs(t, err, council.ErrConversationActive)
	_, err = s.Deliberation(t.Context(), "d1", owner, council.ViewBasic)
	require.ErrorIs(t, err, council.ErrDeliberationNotFound)
	messages, err := s.Messages(t.Context(), "c1", 0, 10)
	require.NoError(t, err)
	require.Empty(t, messages)
}

func resultReplaces(t *testing.T, s Subject) {
	add(t, s, aDeliberation(1, ""))
	cost := int64(5)
	for _, answer := range []string{"partial", "whole"} {
		r := council.Result{Origin: council.OriginChairman, Answer: answer, Usage: council.Usage{InputTokens: 3, CostMicros: &cost}}
		require.NoError(t, s.InTx(func(ctx context.Context, tx job.Tx) error { return s.SaveResult(ctx, tx, "d1", r) }))
		d, err := s.Deliberation(t.Context(), "d1", owner, council.ViewBasic)
		require.NoError(t, err)
		require.Equal(t, &r, d.Result)
	}
}

func lockSeesOwn(t *testing.T, s Subject) {
	create(t, s, aConversation(1))
	var c council.Conversation
	var ids []job.ID
	require.NoError(t, s.InTx(func(ctx context.Context, tx job.Tx) error {
		err := s.AddDeliberation(ctx, tx, aDeliberation(1, "c1"))
		if err != nil {
			return err
		}
		c, ids, err = s.LockConversation(ctx, tx, "c1", owner)
		return err
	}))
	require.Equal(t, "c1", c.ID)
	require.Equal(t, []job.ID{"d1"}, ids)
}
