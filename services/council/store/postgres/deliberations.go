package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"witan.dev/gen/sql/councilsql"
	"witan.dev/internal/database/postgres"
	"witan.dev/internal/job"
	"witan.dev/services/council"
)

// AddDeliberation implements council.DeliberationStore.
func (s *Store) AddDeliberation(ctx context.Context, tx job.Tx, d council.Deliberation) error {
	task, texts := council.SplitMaterial(d.Task)
	var columns [5][]byte
	for i, v := range []any{task, texts, d.Spec, d.Labels, d.Estimate} {
		var err error
		if columns[i], err = encode(v); err != nil {
			return err
		}
	}
	err := in(tx).InsertDeliberation(ctx, councilsql.InsertDeliberationParams{
		ID: string(d.ID), Owner: d.Owner, Conversation: d.Conversation, Council: d.Council,
		Task: columns[0], Material: columns[1], Spec: columns[2], Timeout: d.Timeout.Microseconds(), Labels: string(columns[3]),
		ParentJob: string(d.ParentJob), Estimate: columns[4], Revision: d.Revision, CreateTime: d.CreatedAt, ExpireTime: null(d.ExpireAt),
	})
	if err != nil {
		return fmt.Errorf("store deliberation %s: %w", d.ID, err)
	}
	return nil
}

func deliberation(row councilsql.GetDeliberationRow) (council.Deliberation, error) {
	d := council.Deliberation{
		ID: job.ID(row.ID), Owner: row.Owner, Conversation: row.Conversation, Council: row.Council,
		Timeout: time.Duration(row.Timeout) * time.Microsecond, ParentJob: job.ID(row.ParentJob), Revision: row.Revision,
		CreatedAt: row.CreateTime.UTC(), ExpireAt: utc(row.ExpireTime),
	}
	errs := []error{decode(row.Task, &d.Task), decode(row.Spec, &d.Spec), decode([]byte(row.Labels), &d.Labels)}
	if row.Estimate != nil {
		errs = append(errs, decode(row.Estimate, &d.Estimate))
	}
	if row.Result != nil {
		errs = append(errs, decode(row.Result, &d.Result))
	}
	if row.Material != nil {
		var m council.Material
		errs = append(errs, decode(row.Material, &m))
		m.Into(&d.Task)
	}
	return d, errors.Join(errs...)
}

// Deliberation implements council.DeliberationStore.
func (s *Store) Deliberation(ctx context.Context, id job.ID, owner string, v council.View) (council.Deliberation, error) {
	row, err := s.read().GetDeliberation(ctx, councilsql.GetDeliberationParams{ID: string(id), Owner: owner, WithMaterial: v == council.ViewFull})
	if errors.Is(err, pgx.ErrNoRows) {
		return council.Deliberation{}, council.ErrDeliberationNotFound
	}
	if err != nil {
		return council.Deliberation{}, fmt.Errorf("read a deliberation: %w", postgres.Error(err))
	}
	return deliberation(row)
}

// ConversationOf implements council.DeliberationStore.
func (s *Store) ConversationOf(ctx context.Context, tx job.Tx, id job.ID) (string, error) {
	c, err := in(tx).ConversationOf(ctx, string(id))
	if errors.Is(err, pgx.ErrNoRows) {
		return "", council.ErrDeliberationNotFound
	}
	if err != nil {
		return "", fmt.Errorf("look at deliberation %s: %w", id, err)
	}
	return c, nil
}

// Deliberations implements council.DeliberationStore.
func (s *Store) Deliberations(ctx context.Context, owner, conversation string, after council.Position, most int) ([]council.Deliberation, error) {
	rows, err := s.list(ctx, owner, conversation, after, limit(most))
	if err != nil {
		return nil, fmt.Errorf("list deliberations: %w", postgres.Error(err))
	}
	list := make([]council.Deliberation, len(rows))
	for i, row := range rows {
		if list[i], err = deliberation(row); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (s *Store) list(ctx context.Context, owner, conversation string, after council.Position, n int32) ([]councilsql.GetDeliberationRow, error) {
	at, id := place(after)
	var out []councilsql.GetDeliberationRow
	if conversation == "" {
		rows, err := s.read().ListDeliberations(ctx, councilsql.ListDeliberationsParams{Owner: owner, BeforeTime: at, BeforeID: id, N: n})
		for _, r := range rows {
			out = append(out, councilsql.GetDeliberationRow(r))
		}
		return out, err
	}
	rows, err := s.read().ListDeliberationsOfConversation(ctx, councilsql.ListDeliberationsOfConversationParams{
		Conversation: conversation, Owner: owner, BeforeTime: at, BeforeID: id, N: n,
	})
	for _, r := range rows {
		out = append(out, councilsql.GetDeliberationRow(r))
	}
	return out, err
}

// DeleteDeliberation implements council.DeliberationStore.
func (s *Store) DeleteDeliberation(ctx context.Context, tx job.Tx, id job.ID) error {
	q := in(tx)
	for _, statement := range []func(context.Context, string) error{
		q.TouchConversationOf, q.DeleteMessagesOf, q.DeleteOutcomes, q.DeleteDeliberation,
	} {
		if err := statement(ctx, string(id)); err != nil {
			return fmt.Errorf("delete deliberation %s: %w", id, err)
		}
	}
	return nil
}

// Plan implements council.RunStore.
func (s *Store) Plan(ctx context.Context, id job.ID) ([]byte, error) {
	plan, err := s.read().GetPlan(ctx, string(id))
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, council.ErrDeliberationNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read the plan of deliberation %s: %w", id, postgres.Error(err))
	}
	return plan, nil
}

// SavePlan implements council.RunStore.
func (s *Store) SavePlan(ctx context.Context, tx job.Tx, id job.ID, plan []byte, e council.Estimate) error {
	estimate, err := encode(e)
	if err != nil {
		return err
	}
	if err := in(tx).SavePlan(ctx, councilsql.SavePlanParams{ID: string(id), Plan: plan, Estimate: estimate}); err != nil {
		return fmt.Errorf("store the plan of deliberation %s: %w", id, err)
	}
	return nil
}

// Outcome implements council.RunStore.
func (s *Store) Outcome(ctx context.Context, id job.ID, attempt int32, stage string) ([]byte, error) {
	outcome, err := s.read().GetOutcome(ctx, councilsql.GetOutcomeParams{Deliberation: string(id), Attempt: attempt, Stage: stage})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read stage %s of deliberation %s: %w", stage, id, postgres.Error(err))
	}
	return outcome, nil
}

// SaveOutcome implements council.RunStore.
func (s *Store) SaveOutcome(ctx context.Context, tx job.Tx, id job.ID, attempt int32, stage string, outcome []byte) error {
	if err := in(tx).SaveOutcome(ctx, councilsql.SaveOutcomeParams{
		Deliberation: string(id), Attempt: attempt, Stage: stage, Outcome: outcome,
	}); err != nil {
		return fmt.Errorf("store stage %s of deliberation %s: %w", stage, id, err)
	}
	return nil
}

// SaveResult implements council.RunStore.
func (s *Store) SaveResult(ctx context.Context, tx job.Tx, id job.ID, r council.Result) error {
	result, err := encode(r)
	if err != nil {
		return err
	}
	if err := in(tx).SaveResult(ctx, councilsql.SaveResultParams{ID: string(id), Result: result}); err != nil {
		return fmt.Errorf("store the result of deliberation %s: %w", id, err)
	}
	return nil
}
