package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"witan.dev/gen/sql/councilsql"
	"witan.dev/internal/database/postgres"
	"witan.dev/internal/job"
	"witan.dev/services/council"
)

// recent is how many deliberations of a conversation Recent looks at.
const recent = 50

func conversation(row councilsql.Conversation, err error) (council.Conversation, error) {
	if errors.Is(err, pgx.ErrNoRows) {
		return council.Conversation{}, council.ErrConversationNotFound
	}
	if err != nil {
		return council.Conversation{}, fmt.Errorf("read a conversation: %w", err)
	}
	c := council.Conversation{
		ID: row.ID, Owner: row.Owner, Title: string(row.Title), Council: row.Council, Temporary: row.Temporary,
		CreatedAt: row.CreateTime.UTC(), UpdatedAt: row.UpdateTime.UTC(), ExpireAt: utc(row.ExpireTime), Revision: row.Revision,
	}
	return c, decode([]byte(row.Labels), &c.Labels)
}

func conversations(rows []councilsql.Conversation, err error) ([]council.Conversation, error) {
	if err != nil {
		return nil, fmt.Errorf("list conversations: %w", postgres.Error(err))
	}
	list := make([]council.Conversation, len(rows))
	for i, row := range rows {
		if list[i], err = conversation(row, nil); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// CreateConversation implements council.ConversationStore.
func (s *Store) CreateConversation(ctx context.Context, c council.Conversation, r council.Request) (council.Conversation, error) {
	labels, err := encode(c.Labels)
	if err != nil {
		return council.Conversation{}, err
	}
	var made council.Conversation
	err = s.db.Write(ctx, func(ctx context.Context, tx pgx.Tx) error {
		q := councilsql.New(tx)
		fresh, err := q.InsertConversation(ctx, councilsql.InsertConversationParams{
			ID: c.ID, Owner: c.Owner, Title: []byte(c.Title), Council: c.Council, Temporary: c.Temporary, Labels: string(labels),
			RequestID: r.ID, BodySha256: r.Body[:], Revision: c.Revision,
			CreateTime: c.CreatedAt, UpdateTime: c.UpdatedAt, ExpireTime: null(c.ExpireAt),
		})
		switch {
		case err != nil:
			return err
		case fresh == 0:
			made, err = earlier(ctx, q, c.Owner, r)
			return err
		}
		made = c
		return deleted(ctx, q, c.Owner, r) // after the insert, so that no deletion comes between
	})
	if err != nil {
		return council.Conversation{}, fmt.Errorf("create a conversation: %w", err)
	}
	return made, nil
}

// earlier returns the conversation that the same request made before.
func earlier(ctx context.Context, q *councilsql.Queries, owner string, r council.Request) (council.Conversation, error) {
	row, err := q.ConversationOfRequest(ctx, councilsql.ConversationOfRequestParams{Owner: owner, RequestID: r.ID})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return council.Conversation{}, postgres.Again(err) // it was deleted in between
	case err != nil:
		return council.Conversation{}, fmt.Errorf("look for request %s: %w", r.ID, err)
	case !bytes.Equal(row.BodySha256, r.Body[:]):
		return council.Conversation{}, council.ErrRequestIDReused
	}
	return conversation(row, nil)
}

// deleted is an error for a request whose conversation has been deleted.
func deleted(ctx context.Context, q *councilsql.Queries, owner string, r council.Request) error {
	if r.ID == "" {
		return nil
	}
	body, err := q.DeletedConversation(ctx, councilsql.DeletedConversationParams{Owner: owner, RequestID: r.ID})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err != nil:
		return fmt.Errorf("look for request %s: %w", r.ID, err)
	case !bytes.Equal(body, r.Body[:]):
		return council.ErrRequestIDReused
	}
	return council.ErrConversationDeleted
}

// Conversation implements council.ConversationStore.
func (s *Store) Conversation(ctx context.Context, id, owner string) (council.Conversation, error) {
	row, err := s.read().GetConversation(ctx, councilsql.GetConversationParams{ID: id, Owner: owner})
	return conversation(row, postgres.Error(err))
}

// Conversations implements council.ConversationStore.
func (s *Store) Conversations(ctx context.Context, owner string, after council.Position, most int) ([]council.Conversation, error) {
	at, id := place(after)
	return conversations(s.read().ListConversations(ctx, councilsql.ListConversationsParams{
		Owner: owner, BeforeTime: at, BeforeID: id, N: limit(most),
	}))
}

// ExpiredConversations implements council.ConversationStore.
func (s *Store) ExpiredConversations(ctx context.Context, now time.Time, after council.Expiry, most int) ([]council.Conversation, error) {
	return conversations(s.read().ExpiredConversations(ctx, councilsql.ExpiredConversationsParams{
		Now: &now, AfterTime: after.At, AfterID: after.ID, N: limit(most),
	}))
}

// DeleteConversation implements council.ConversationStore.
func (s *Store) DeleteConversation(ctx context.Context, tx job.Tx, id string) error {
	q := in(tx)
	for _, statement := range []func(context.Context, string) error{
		q.HoldConversation, q.NoteDeletedRequest, q.DeleteMessages, q.DeleteConversation,
	} {
		if err := statement(ctx, id); err != nil {
			return fmt.Errorf("delete conversation %s: %w", id, err)
		}
	}
	return nil
}

// Messages implements council.ConversationStore.
func (s *Store) Messages(ctx context.Context, conversation string, after int64, most int) ([]council.Message, error) {
	rows, err := s.read().ListMessages(ctx, councilsql.ListMessagesParams{Conversation: conversation, After: after, N: limit(most)})
	if err != nil {
		return nil, fmt.Errorf("list the messages of conversation %s: %w", conversation, postgres.Error(err))
	}
	list := make([]council.Message, len(rows))
	for i, r := range rows {
		list[i] = council.Message{
			ID: r.ID, Conversation: r.Conversation, Ordinal: r.Ordinal, Role: council.Role(r.Role), Text: string(r.Text),
			Deliberation: job.ID(r.Deliberation), Origin: council.Origin(r.Origin), Partial: r.Partial, CreatedAt: r.CreateTime.UTC(),
		}
	}
	return list, nil
}

// Recent implements council.ConversationStore.
func (s *Store) Recent(ctx context.Context, conversations ...string) (map[string][]job.ID, error) {
	if len(conversations) == 0 {
		return map[string][]job.ID{}, nil
	}
	out, err := newest(ctx, s.read(), recent, conversations...)
	return out, postgres.Error(err)
}

func newest(ctx context.Context, q *councilsql.Queries, n int64, conversations ...string) (map[string][]job.ID, error) {
	rows, err := q.Recent(ctx, councilsql.RecentParams{Conversations: conversations, N: n})
	if err != nil {
		return nil, fmt.Errorf("list the deliberations of conversations: %w", err)
	}
	out := make(map[string][]job.ID, len(conversations))
	for _, r := range rows {
		out[r.Conversation] = append(out[r.Conversation], job.ID(r.ID))
	}
	return out, nil
}

// SetTitle implements council.ConversationStore.
func (s *Store) SetTitle(ctx context.Context, tx job.Tx, conversation, title string) error {
	if err := in(tx).SetTitle(ctx, councilsql.SetTitleParams{ID: conversation, Title: []byte(title)}); err != nil {
		return fmt.Errorf("name conversation %s: %w", conversation, err)
	}
	return nil
}

// LockConversation implements council.DeliberationStore. Its row is the lock; what others wrote before it was released is
// seen by the look for deliberations.
func (s *Store) LockConversation(ctx context.Context, tx job.Tx, id, owner string) (council.Conversation, []job.ID, error) {
	q := in(tx)
	row, err := q.LockConversation(ctx, councilsql.LockConversationParams{ID: id, Owner: owner})
	c, err := conversation(row, err)
	if err != nil {
		return council.Conversation{}, nil, err
	}
	ids, err := newest(ctx, q, math.MaxInt64, id)
	return c, ids[id], err
}

// AddMessage implements council.DeliberationStore. It locks the conversation, since messages are numbered in it.
func (s *Store) AddMessage(ctx context.Context, tx job.Tx, m council.Message) error {
	q := in(tx)
	if err := q.HoldConversation(ctx, m.Conversation); err != nil {
		return fmt.Errorf("lock conversation %s: %w", m.Conversation, err)
	}
	fresh, err := q.InsertMessage(ctx, councilsql.InsertMessageParams{
		Conversation: m.Conversation, ID: m.ID, Role: string(m.Role), Text: []byte(m.Text), Deliberation: string(m.Deliberation),
		Origin: string(m.Origin), Partial: m.Partial, CreateTime: m.CreatedAt,
	})
	if err != nil {
		return fmt.Errorf("write a message of conversation %s: %w", m.Conversation, err)
	}
	if fresh == 0 {
		return nil
	}
	if err := q.TouchConversation(ctx, councilsql.TouchConversationParams{ID: m.Conversation, At: m.CreatedAt}); err != nil {
		return fmt.Errorf("touch conversation %s: %w", m.Conversation, err)
	}
	return nil
}
