package council

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"witan.dev/internal/apierr"
	"witan.dev/internal/job"
)

// temporaryFor is how long a temporary conversation stays whose creator did not say (own choice).
const temporaryFor = 24 * time.Hour

// removalPage bounds how many deliberations one transaction removes.
const removalPage = 100

// lifetime checks what a new conversation says of its end, and gives a temporary one an end where it has none.
func lifetime(n NewConversation, now time.Time, otherwise time.Duration) (time.Time, error) {
	refuse := func(field, why string) (time.Time, error) {
		return time.Time{}, apierr.Invalid(apierr.ReasonInvalidRequest, "the conversation cannot be made as it is").Field(field, why)
	}
	switch {
	case !n.Temporary && !n.ExpireAt.IsZero():
		return refuse("conversation.expire_time", "only a temporary conversation ends by itself")
	case !n.Temporary:
		return time.Time{}, nil
	case n.Title != "":
		return refuse("conversation.title", "a temporary conversation has none")
	case n.ExpireAt.IsZero():
		return now.Add(otherwise), nil
	case !n.ExpireAt.After(now):
		return refuse("conversation.expire_time", "must be in the future")
	}
	return n.ExpireAt, nil
}

// over says that a temporary conversation's time has come; it is as good as gone.
func (c Conversation) over(now time.Time) bool { return !c.ExpireAt.IsZero() && !c.ExpireAt.After(now) }

// over says the same of what lies in one.
func (d *Deliberation) over(now time.Time) bool {
	return !d.ExpireAt.IsZero() && !d.ExpireAt.After(now)
}

// Keeper removes what the council keeps, and answers for it in the transactions of the job layer. It needs no models, so
// that every process that serves jobs has one. Safe for concurrent use.
type Keeper struct {
	store Store
	jobs  Jobs
	blobs Blobs
	now   func() time.Time
}

// NewKeeper takes what it needs of a Manager's params: everything but models and presets.
func NewKeeper(p Params) *Keeper {
	k := &Keeper{store: p.Store, jobs: p.Jobs, blobs: p.Blobs, now: p.Now}
	if k.now == nil {
		k.now = time.Now
	}
	return k
}

// DeleteConversation removes a conversation of owner with its messages, deliberations and jobs. ErrConversationNotFound,
// ErrConversationActive. It goes page by page: after an error some deliberations may be gone, and a repetition goes on.
func (k *Keeper) DeleteConversation(ctx context.Context, id, owner string) error {
	if _, err := k.store.Conversation(ctx, id, owner); err != nil {
		return err
	}
	activities, err := k.activities(ctx, id)
	if err != nil {
		return err
	}
	if a := activities[id]; a.State == StateActive {
		return ErrConversationActive.With("job", "jobs/"+string(a.Active))
	}
	for {
		page, err := k.store.Deliberations(ctx, owner, id, Position{}, removalPage)
		if err != nil {
			return err
		}
		d := job.Deletion{Owner: owner}
		for i := range page {
			d.IDs = append(d.IDs, page[i].ID)
		}
		if len(page) < removalPage {
			d.Write = func(ctx context.Context, tx job.Tx) error { return k.deleteConversation(ctx, tx, id, owner) }
		}
		err = k.jobs.Delete(ctx, d)
		switch {
		case errors.Is(err, job.ErrNotFinished):
			return ErrConversationActive
		case err != nil:
			return fmt.Errorf("delete conversation %s: %w", id, err)
		case len(page) < removalPage:
			return nil
		}
	}
}

// deleteConversation removes what is left when the deliberations are gone. One that was begun meanwhile keeps it.
func (k *Keeper) deleteConversation(ctx context.Context, tx job.Tx, id, owner string) error {
	_, left, err := k.store.LockConversation(ctx, tx, id, owner)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return ErrConversationActive.With("job", "jobs/"+string(left[0]))
	}
	return k.store.DeleteConversation(ctx, tx, id)
}

// RemoveExpired removes temporary conversations whose time is over. What still runs in them is cancelled, and the
// conversation is removed by a later call.
func (k *Keeper) RemoveExpired(ctx context.Context, now time.Time) error {
	var (
		failed error
		last   Expiry
	)
	for {
		page, err := k.store.ExpiredConversations(ctx, now, last, removalPage)
		if err != nil {
			return errors.Join(failed, err)
		}
		for _, c := range page {
			last = Expiry{At: c.ExpireAt, ID: c.ID}
			if err := k.removeOne(ctx, c); err != nil && failed == nil {
				failed = err // one tells enough
			}
		}
		if len(page) < removalPage || ctx.Err() != nil {
			return failed
		}
	}
}

func (k *Keeper) removeOne(ctx context.Context, c Conversation) error {
	err := k.DeleteConversation(ctx, c.ID, c.Owner)
	if errors.Is(err, ErrConversationActive) {
		err = k.cancelAll(ctx, c)
	}
	if err != nil && !errors.Is(err, ErrConversationNotFound) {
		return fmt.Errorf("remove conversation %s, whose time is over: %w", c.ID, err)
	}
	return nil
}

func (k *Keeper) cancelAll(ctx context.Context, c Conversation) error {
	var after Position
	for {
		page, err := k.store.Deliberations(ctx, c.Owner, c.ID, after, removalPage)
		if err != nil {
			return err
		}
		ids := make([]job.ID, len(page))
		for i := range page {
			ids[i] = page[i].ID
			after = Position{CreatedAt: page[i].CreatedAt, ID: string(page[i].ID)}
		}
		states, err := k.jobs.States(ctx, ids...)
		if err != nil {
			return err
		}
		for id, state := range states {
			if state.Terminal() {
				continue
			}
			if _, err := k.jobs.Cancel(ctx, id, ""); err != nil {
				return err
			}
		}
		if len(page) < removalPage {
			return nil
		}
	}
}

// Remove takes away what the council keeps of a job; it is the job.Remover of the kind council. The messages of the
// deliberation go with it, the conversation stays.
func (k *Keeper) Remove(ctx context.Context, tx job.Tx, j job.Job) error {
	if k.blobs != nil {
		if err := k.blobs.Release(ctx, tx, "deliberations/"+string(j.ID)); err != nil {
			return err
		}
	}
	return k.store.DeleteDeliberation(ctx, tx, j.ID)
}

// CheckRetry is the job.Check of the kind council: in a conversation one deliberation runs at a time.
func (k *Keeper) CheckRetry(ctx context.Context, tx job.Tx, j job.Job) error {
	conversation, err := k.store.ConversationOf(ctx, tx, j.ID)
	if err != nil || conversation == "" {
		return err
	}
	_, err = k.lockIdle(ctx, tx, conversation, j.Owner, j.ID)
	return err
}

// lockIdle locks a conversation in which nothing runs but what is about to, and whose time is not over. All is read in tx:
// one that waited for another connection while it holds its own would block everybody once the pool is empty.
func (k *Keeper) lockIdle(ctx context.Context, tx job.Tx, id, owner string, next job.ID) (Conversation, error) {
	c, ids, err := k.store.LockConversation(ctx, tx, id, owner)
	if err != nil {
		return Conversation{}, err
	}
	if c.over(k.now()) {
		return Conversation{}, ErrConversationNotFound
	}
	ids = slices.DeleteFunc(ids, func(id job.ID) bool { return id == next })
	states, err := k.jobs.StatesTx(ctx, tx, ids...)
	if err != nil {
		return Conversation{}, err
	}
	if a := activityOf(ids, states); a.State == StateActive {
		return Conversation{}, ErrConversationActive.With("job", "jobs/"+string(a.Active))
	}
	return c, nil
}
