package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"witan.dev/internal/database/sqlite"
	"witan.dev/internal/job"
	"witan.dev/services/council"
)

// recent is how many deliberations of a conversation Recent looks at.
const recent = 50

const conversationColumns = `id, owner, title, council, temporary, labels, revision, create_time, update_time, expire_time`

func scanConversation(row scanner) (council.Conversation, error) {
	var c council.Conversation
	var labels string
	var create, update, expire sql.NullInt64
	err := row.Scan(&c.ID, &c.Owner, &c.Title, &c.Council, &c.Temporary, &labels, &c.Revision, &create, &update, &expire)
	if errors.Is(err, sql.ErrNoRows) {
		return council.Conversation{}, council.ErrConversationNotFound
	}
	if err != nil {
		return council.Conversation{}, fmt.Errorf("read a conversation: %w", err)
	}
	c.CreatedAt, c.UpdatedAt, c.ExpireAt = fromMicros(create), fromMicros(update), fromMicros(expire)
	return c, decode(labels, &c.Labels)
}

// CreateConversation implements council.ConversationStore.
func (s *Store) CreateConversation(ctx context.Context, c council.Conversation, r council.Request) (council.Conversation, error) {
	labels, err := encode(c.Labels)
	if err != nil {
		return council.Conversation{}, err
	}
	var made council.Conversation
	err = s.db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		var err error
		var body []byte
		made = c
		if r.ID != "" {
			var id string
			err = tx.QueryRowContext(ctx, `SELECT id, body_sha256 FROM conversations WHERE owner = ? AND request_id = ?`, c.Owner, r.ID).Scan(&id, &body)
			switch {
			case err == nil && !bytes.Equal(body, r.Body[:]):
				return council.ErrRequestIDReused
			case err == nil:
				made, err = conversation(ctx, tx, id, c.Owner)
				return err
			case !errors.Is(err, sql.ErrNoRows):
				return fmt.Errorf("look for request %s: %w", r.ID, err)
			}
			if err := deleted(ctx, tx, c.Owner, r); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO conversations (id, owner, title, council, temporary, labels, request_id, body_sha256,
			revision, create_time, update_time, expire_time) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			c.ID, c.Owner, c.Title, c.Council, c.Temporary, labels, r.ID, r.Body[:],
			c.Revision, micros(c.CreatedAt), micros(c.UpdatedAt), micros(c.ExpireAt))
		return err
	})
	if err != nil {
		return council.Conversation{}, fmt.Errorf("create a conversation: %w", err)
	}
	return made, nil
}

// deleted is an error for a request whose conversation has been deleted.
func deleted(ctx context.Context, tx *sql.Tx, owner string, r council.Request) error {
	var body []byte
	err := tx.QueryRowContext(ctx, `SELECT body_sha256 FROM deleted_conversations WHERE owner = ? AND request_id = ?`, owner, r.ID).Scan(&body)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return fmt.Errorf("look for request %s: %w", r.ID, err)
	case !bytes.Equal(body, r.Body[:]):
		return council.ErrRequestIDReused
	}
	return council.ErrConversationDeleted
}

// ExpiredConversations implements council.ConversationStore.
func (s *Store) ExpiredConversations(ctx context.Context, now time.Time, after council.Expiry, limit int) ([]council.Conversation, error) {
	var list []council.Conversation
	err := each(ctx, s.db.Reader(), func(row scanner) error {
		c, err := scanConversation(row)
		list = append(list, c)
		return err
	}, `SELECT `+conversationColumns+` FROM conversations WHERE expire_time <= ? AND (expire_time, id) > (?, ?)
		ORDER BY expire_time, id LIMIT ?`, now.UnixMicro(), after.At.UnixMicro(), after.ID, limit)
	if err != nil {
		return nil, fmt.Errorf("list expired conversations: %w", err)
	}
	return list, nil
}

// DeleteConversation implements council.ConversationStore.
func (s *Store) DeleteConversation(ctx context.Context, tx job.Tx, id string) error {
	for _, statement := range []string{
		`INSERT INTO deleted_conversations (owner, request_id, body_sha256)
			SELECT owner, request_id, body_sha256 FROM conversations WHERE id = ? AND request_id <> ''`,
		`DELETE FROM messages WHERE conversation = ?`,
		`DELETE FROM conversations WHERE id = ?`,
	} {
		if _, err := sqlite.Unwrap(tx).ExecContext(ctx, statement, id); err != nil {
			return fmt.Errorf("delete conversation %s: %w", id, err)
		}
	}
	return nil
}

func conversation(ctx context.Context, q querier, id, owner string) (council.Conversation, error) {
	return scanConversation(q.QueryRowContext(ctx, `SELECT `+conversationColumns+` FROM conversations WHERE id = ? AND owner = ?`, id, owner))
}

// Conversation implements council.ConversationStore.
func (s *Store) Conversation(ctx context.Context, id, owner string) (council.Conversation, error) {
	return conversation(ctx, s.db.Reader(), id, owner)
}

// Conversations implements council.ConversationStore.
func (s *Store) Conversations(ctx context.Context, owner string, after council.Position, limit int) ([]council.Conversation, error) {
	var list []council.Conversation
	condition, args := before(after)
	args = append(append([]any{owner}, args...), limit)
	err := each(ctx, s.db.Reader(), func(row scanner) error {
		c, err := scanConversation(row)
		list = append(list, c)
		return err
	}, `SELECT `+conversationColumns+` FROM conversations WHERE owner = ?`+condition+` ORDER BY create_time DESC, id DESC LIMIT ?`, args...)
	if err != nil {
		return nil, fmt.Errorf("list conversations: %w", err)
	}
	return list, nil
}

// Messages implements council.ConversationStore.
func (s *Store) Messages(ctx context.Context, conversation string, after int64, limit int) ([]council.Message, error) {
	var list []council.Message
	err := each(ctx, s.db.Reader(), func(row scanner) error {
		m := council.Message{Conversation: conversation}
		var create sql.NullInt64
		err := row.Scan(&m.Ordinal, &m.ID, &m.Role, &m.Text, &m.Deliberation, &m.Origin, &m.Partial, &create)
		m.CreatedAt = fromMicros(create)
		list = append(list, m)
		return err
	}, `SELECT ordinal, id, role, text, deliberation, origin, partial, create_time FROM messages
		WHERE conversation = ? AND ordinal > ? ORDER BY ordinal LIMIT ?`, conversation, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list the messages of conversation %s: %w", conversation, err)
	}
	return list, nil
}

// Recent implements council.ConversationStore.
func (s *Store) Recent(ctx context.Context, conversations ...string) (map[string][]job.ID, error) {
	return newest(ctx, s.db.Reader(), recent, conversations...)
}

func newest(ctx context.Context, q querier, n int64, conversations ...string) (map[string][]job.ID, error) {
	out := make(map[string][]job.ID, len(conversations))
	if len(conversations) == 0 {
		return out, nil
	}
	args := make([]any, 0, len(conversations)+1)
	for _, c := range conversations {
		args = append(args, c)
	}
	marks := strings.TrimSuffix(strings.Repeat("?,", len(conversations)), ",")
	err := each(ctx, q, func(row scanner) error {
		var c string
		var id job.ID
		err := row.Scan(&c, &id)
		out[c] = append(out[c], id)
		return err
	}, `SELECT conversation, id FROM (SELECT conversation, id, create_time,
			row_number() OVER (PARTITION BY conversation ORDER BY create_time DESC, id DESC) AS place
		FROM deliberations WHERE conversation <> '' AND conversation IN (`+marks+`))
		WHERE place <= ? ORDER BY conversation, place`, append(args, n)...)
	if err != nil {
		return nil, fmt.Errorf("list the deliberations of conversations: %w", err)
	}
	return out, nil
}

// SetTitle implements council.ConversationStore.
func (s *Store) SetTitle(ctx context.Context, tx job.Tx, conversation, title string) error {
	_, err := sqlite.Unwrap(tx).ExecContext(ctx, `UPDATE conversations SET title = ?, revision = revision + 1
		WHERE id = ? AND title = '' AND temporary = 0`, title, conversation)
	if err != nil {
		return fmt.Errorf("name conversation %s: %w", conversation, err)
	}
	return nil
}

// LockConversation implements council.DeliberationStore. SQLite has one writer, so the transaction is the lock.
func (s *Store) LockConversation(ctx context.Context, tx job.Tx, id, owner string) (council.Conversation, []job.ID, error) {
	c, err := conversation(ctx, sqlite.Unwrap(tx), id, owner)
	if err != nil {
		return council.Conversation{}, nil, err
	}
	ids, err := newest(ctx, sqlite.Unwrap(tx), math.MaxInt64, id)
	return c, ids[id], err
}

// AddMessage implements council.DeliberationStore.
func (s *Store) AddMessage(ctx context.Context, tx job.Tx, m council.Message) error {
	t := sqlite.Unwrap(tx)
	done, err := t.ExecContext(ctx, `INSERT INTO messages (conversation, ordinal, id, role, text, deliberation, origin, partial, create_time)
		SELECT ?, coalesce(max(m.ordinal), 0) + 1, ?, ?, ?, ?, ?, ?, ? FROM messages AS m WHERE m.conversation = ?
		ON CONFLICT (conversation, id) DO NOTHING`,
		m.Conversation, m.ID, m.Role, m.Text, m.Deliberation, m.Origin, m.Partial, micros(m.CreatedAt), m.Conversation)
	if err != nil {
		return fmt.Errorf("write a message of conversation %s: %w", m.Conversation, err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return err
	}
	return touch(ctx, t, m.Conversation, m.CreatedAt)
}

func touch(ctx context.Context, tx *sql.Tx, conversation string, at time.Time) error {
	_, err := tx.ExecContext(ctx, `UPDATE conversations SET update_time = max(update_time, ?), revision = revision + 1 WHERE id = ?`, micros(at), conversation)
	if err != nil {
		return fmt.Errorf("touch conversation %s: %w", conversation, err)
	}
	return nil
}
