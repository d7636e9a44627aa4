package publish

import (
	"context"
	"errors"
)

// Say writes a comment once: in the thread whose first comment is root, or in the conversation where root is 0 or the thread
// takes no answer as long as a review is pending. What is there already stays as it is.
func (d *Desk) Say(ctx context.Context, key string, root int64, body string) (Placed, error) {
	p := Placed{Item: Item{Key: key}}
	if err := d.ensure(ctx, key); err != nil {
		return p, d.again(err)
	}
	c, there := d.seen.byKey[key]
	var err error
	if !there {
		c, err = d.create(ctx, key, func(ctx context.Context) (Comment, error) {
			if root != 0 {
				if c, err := d.Forge.Reply(ctx, d.Ref, root, body); !errors.Is(err, ErrPending) {
					return c, err
				}
			}
			return d.Forge.CreateComment(ctx, d.Ref, body)
		})
	}
	switch {
	case err == nil:
		p.Comment, p.URL, p.Done = c.ID, c.URL, true
	case errors.Is(err, ErrGone):
		p.Reason = ReasonDeleted
	case errors.Is(err, ErrRefused):
		d.Logger.ErrorContext(ctx, "the forge refused an answer", "error", err)
		p.Reason = ReasonRefused
	case d.stop(err):
		p.Reason = d.whyNot()
	default:
		return p, d.again(err)
	}
	return p, nil
}
