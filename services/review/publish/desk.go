package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"witan.dev/services/review"
)

// Lags are the pauses between looks for what may have been written: a list may lag behind (own choice).
func Lags() []time.Duration {
	return []time.Duration{2 * time.Second, 5 * time.Second, 15 * time.Second}
}

// tries is how often something is created whose answer was lost and which did not appear.
const tries = 3

// Desk writes for one review. It looks for everything before it creates it, and adopts what is there. Not for several
// goroutines. Its methods return *review.LimitError and review.ErrUnavailable where the whole call is to be made again
// later; everything else that a forge may answer is a part of their results.
type Desk struct {
	Forge  Forge
	Ref    review.PullRef
	Commit string // that was reviewed
	// Begun are the keys of what may have been created without being seen yet: at first what an earlier execution began. The
	// desk keeps it from then on.
	Begun map[string]bool
	// Begin notes what is about to be created. Its error ends the call.
	Begin func(ctx context.Context, keys []string) error
	// Head is the newest commit of the pull request.
	Head func(ctx context.Context) (string, error)
	// Wait pauses.
	Wait   func(ctx context.Context, d time.Duration) error
	Logger *slog.Logger

	seen *seen
	// made is what this desk created, whether a list shows it yet or not.
	made []Comment
	// forbidden: the token may not write here; locked: nor may another one.
	forbidden, locked bool
}

// seen is what a look found.
type seen struct {
	byKey    map[string]Comment
	byID     map[int64]Comment
	answered map[int64]bool // threads in which a person wrote, by their first comments
}

// Placed is what became of an item.
type Placed struct {
	Item

	// Comment is 0 where there is none, or where it was not listed yet.
	Comment int64  `json:"comment,omitempty"`
	URL     string `json:"url,omitempty"`
	Done    bool   `json:"done,omitempty"`
}

// look reads everything that is there.
func (d *Desk) look(ctx context.Context) error {
	d.seen = nil
	comments, err := d.Forge.Comments(ctx, d.Ref)
	if err != nil {
		return fmt.Errorf("list the comments of %s#%d: %w", d.Ref.FullName(), d.Ref.Number, err)
	}
	d.seen = &seen{byKey: map[string]Comment{}, byID: map[int64]Comment{}, answered: map[int64]bool{}}
	for _, c := range slices.Concat(comments, d.made) {
		d.note(c)
	}
	return nil
}

// keep notes what this desk created.
func (d *Desk) keep(made ...Comment) {
	d.made = append(d.made, made...)
	for _, c := range made {
		d.note(c)
	}
}

func (d *Desk) note(c Comment) {
	d.seen.byID[c.ID] = c
	if c.InReplyTo != 0 && !c.Ours && !c.Bot {
		d.seen.answered[c.InReplyTo] = true
	}
	key := Marked(c.Body)
	if !c.Ours || key == "" {
		return
	}
	if first, ok := d.seen.byKey[key]; !ok || c.ID < first.ID {
		d.seen.byKey[key] = c
	}
}

// ensure makes sure that a look was made, and a patient one where something may have been created that is not to be seen.
func (d *Desk) ensure(ctx context.Context, keys ...string) error {
	if d.seen == nil {
		if err := d.look(ctx); err != nil {
			return err
		}
	}
	if slices.ContainsFunc(keys, func(k string) bool { return d.Begun[k] && !d.has(k) }) {
		return d.patient(ctx, keys)
	}
	return nil
}

// begin notes what is about to be created, here as well: whoever makes the call again must look for it patiently.
func (d *Desk) begin(ctx context.Context, keys []string) error {
	if err := d.Begin(ctx, keys); err != nil {
		return err
	}
	for _, k := range keys {
		d.Begun[k] = true
	}
	return nil
}

// answered notes how a write of these keys ended. Only where its answer was lost may there be something that was not seen.
func (d *Desk) answered(ctx context.Context, keys []string, err error) {
	if ctx.Err() == nil && !errors.Is(err, ErrAmbiguous) {
		d.settled(keys)
	}
}

// settled forgets what was begun: it was seen, or is not there.
func (d *Desk) settled(keys []string) {
	for _, k := range keys {
		delete(d.Begun, k)
	}
}

func (d *Desk) has(key string) bool {
	_, ok := d.seen.byKey[key]
	return ok
}

// patient looks again until all of it is there, or a list cannot lag any more.
func (d *Desk) patient(ctx context.Context, keys []string) error {
	if err := d.look(ctx); err != nil {
		return err
	}
	for _, pause := range Lags() {
		if !slices.ContainsFunc(keys, func(k string) bool { return !d.has(k) }) {
			break
		}
		if err := d.Wait(ctx, pause); err != nil {
			return err
		}
		if err := d.look(ctx); err != nil {
			return err
		}
	}
	d.settled(keys)
	return nil
}

// adopt splits items into those that are there and the others.
func (d *Desk) adopt(items []Item) (there []Placed, missing []Item) {
	for _, i := range items {
		if c, ok := d.seen.byKey[i.Key]; ok {
			there = append(there, Placed{Item: i, Comment: c.ID, URL: c.URL, Done: true})
		} else {
			missing = append(missing, i)
		}
	}
	return there, missing
}

func keysOf(items []Item) []string {
	out := make([]string, len(items))
	for i := range items {
		out[i] = items[i].Key
	}
	return out
}

// failed are items for which there is no comment, and why.
func failed(items []Item, reason string) []Placed {
	out := make([]Placed, len(items))
	for i := range items {
		out[i] = Placed{Item: items[i]}
		out[i].Reason = reason
	}
	return out
}

// again says whether the call is to be made again later, and forgets what was seen, since it may be old by then.
func (d *Desk) again(err error) error {
	d.seen = nil
	if errors.Is(err, ErrAmbiguous) {
		return fmt.Errorf("%w: %w", review.ErrUnavailable, err)
	}
	return err
}

// stop remembers that the forge does not take what we write.
func (d *Desk) stop(err error) bool {
	d.forbidden = d.forbidden || mayNot(err)
	d.locked = d.locked || errors.Is(err, ErrLocked)
	return d.forbidden
}

// whyNot is the reason for what is not written any more.
func (d *Desk) whyNot() string {
	if d.locked {
		return ReasonLocked
	}
	return ReasonForbidden
}

// NotPermitted says whether something is not there because nothing may be written.
func NotPermitted(reason string) bool { return reason == ReasonForbidden || reason == ReasonLocked }

func mayNot(err error) bool {
	return errors.Is(err, ErrForbidden) || errors.Is(err, review.ErrForgeRefused)
}

// Inline posts comments on lines as one review. Positions were checked before; where the forge refuses them all the same,
// the batch is split until the one that it means stands alone.
func (d *Desk) Inline(ctx context.Context, items []Item, body func(Item) string) ([]Placed, error) {
	if d.forbidden {
		return failed(items, d.whyNot()), nil
	}
	if err := d.ensure(ctx, keysOf(items)...); err != nil {
		return nil, d.again(err)
	}
	there, missing := d.adopt(items)
	if len(missing) == 0 {
		return there, nil
	}
	made, err := d.inline(ctx, missing, body)
	return append(there, made...), err
}

func (d *Desk) inline(ctx context.Context, items []Item, body func(Item) string) ([]Placed, error) {
	var out []Placed
	for range tries {
		if err := d.begin(ctx, keysOf(items)); err != nil {
			return nil, err
		}
		made, err := d.Forge.CreateReview(ctx, d.Ref, d.Commit, inlines(items, body))
		if err != nil {
			d.answered(ctx, keysOf(items), err)
		}
		switch {
		case err == nil:
			return d.posted(ctx, out, items, made)
		case errors.Is(err, ErrAmbiguous):
			if err := d.patient(ctx, keysOf(items)); err != nil {
				return nil, d.again(err)
			}
			there, missing := d.adopt(items)
			if out, items = append(out, there...), missing; len(items) == 0 {
				return out, nil
			}
		case errors.Is(err, ErrPending): // of all of them, in whatever parts
			return append(out, failed(items, ReasonPending)...), nil
		case errors.Is(err, ErrRefused):
			more, err := d.halve(ctx, items, body, err)
			return append(out, more...), err
		case errors.Is(err, review.ErrHeadGone):
			return append(out, failed(items, ReasonHeadGone)...), nil
		case d.stop(err):
			return append(out, failed(items, d.whyNot())...), nil
		case errors.Is(err, ErrGone):
			return append(out, failed(items, ReasonNotInDiff)...), nil
		default:
			return nil, d.again(err)
		}
	}
	return nil, d.again(fmt.Errorf("%w: %d comments did not appear after %d tries", review.ErrUnavailable, len(items), tries))
}

// posted adopts what a review at the forge created. What is not listed yet is there all the same.
func (d *Desk) posted(ctx context.Context, out []Placed, items []Item, made []Comment) ([]Placed, error) {
	d.keep(made...)
	there, missing := d.adopt(items)
	if len(missing) > 0 {
		if err := d.patient(ctx, keysOf(items)); err != nil {
			return nil, d.again(err)
		}
		there, missing = d.adopt(items)
	}
	d.settled(keysOf(items))
	out = append(out, there...)
	for _, i := range missing {
		out = append(out, Placed{Item: i, Done: true})
	}
	return out, nil
}

func (d *Desk) halve(ctx context.Context, items []Item, body func(Item) string, refusal error) ([]Placed, error) {
	d.Logger.ErrorContext(ctx, "the forge refused comments whose positions had been checked", "comments", len(items), "error", refusal)
	if len(items) == 1 {
		return failed(items, ReasonRefused), nil
	}
	var out []Placed
	for half := range slices.Chunk(items, (len(items)+1)/2) {
		made, err := d.inline(ctx, half, body)
		if err != nil {
			return nil, err
		}
		out = append(out, made...)
	}
	return out, nil
}

func inlines(items []Item, body func(Item) string) []Inline {
	out := make([]Inline, len(items))
	for i := range items {
		p := items[i].Position
		out[i] = Inline{Path: p.Path, Side: p.Side, StartLine: p.StartLine, Line: p.Line, Body: body(items[i])}
	}
	return out
}

// Files posts comments on files, one after the other. Where the reviewed commit is gone, they go to the newest one.
func (d *Desk) Files(ctx context.Context, items []Item, body func(Item) string) ([]Placed, error) {
	if err := d.ensure(ctx, keysOf(items)...); err != nil {
		return nil, d.again(err)
	}
	out, missing := d.adopt(items)
	commit := d.Commit
	for n, i := range missing {
		if d.forbidden {
			return append(out, failed(missing[n:], d.whyNot())...), nil
		}
		p, err := d.file(ctx, i, &commit, body(i))
		if err != nil {
			return nil, err
		}
		if p.Reason == ReasonPending {
			return append(out, failed(missing[n:], ReasonPending)...), nil
		}
		out = append(out, p)
	}
	return out, nil
}

func (d *Desk) file(ctx context.Context, i Item, commit *string, body string) (Placed, error) {
	c, err := d.create(ctx, i.Key, func(ctx context.Context) (Comment, error) {
		return d.Forge.CreateFileComment(ctx, d.Ref, *commit, i.Position.Path, body)
	})
	if errors.Is(err, review.ErrHeadGone) && *commit == d.Commit {
		if *commit, err = d.Head(ctx); err != nil {
			return Placed{}, d.again(err)
		}
		if *commit != d.Commit {
			return d.file(ctx, i, commit, body)
		}
		err = review.ErrHeadGone
	}
	var reason string
	switch {
	case err == nil:
		return Placed{Item: i, Comment: c.ID, URL: c.URL, Done: true}, nil
	case errors.Is(err, ErrPending):
		reason = ReasonPending
	case errors.Is(err, review.ErrHeadGone), *commit != d.Commit && errors.Is(err, ErrRefused):
		reason = ReasonHeadGone
	case errors.Is(err, ErrRefused), errors.Is(err, ErrGone):
		d.Logger.ErrorContext(ctx, "the forge refused a comment on a changed file", "error", err)
		reason = ReasonRefused
	case d.stop(err):
		reason = d.whyNot()
	default:
		return Placed{}, d.again(err)
	}
	return failed([]Item{i}, reason)[0], nil
}

// create creates one comment, or finds it after a lost answer.
func (d *Desk) create(ctx context.Context, key string, post func(ctx context.Context) (Comment, error)) (Comment, error) {
	for range tries {
		if err := d.begin(ctx, []string{key}); err != nil {
			return Comment{}, err
		}
		c, err := post(ctx)
		d.answered(ctx, []string{key}, err)
		if err == nil {
			d.keep(c)
			return c, nil
		}
		if !errors.Is(err, ErrAmbiguous) {
			return c, err
		}
		if err := d.patient(ctx, []string{key}); err != nil {
			return c, err
		}
		if c, ok := d.seen.byKey[key]; ok {
			return c, nil
		}
	}
	return Comment{}, fmt.Errorf("%w: a comment did not appear after %d tries", review.ErrUnavailable, tries)
}

// Answer says in the threads of findings that they are fixed, and resolves those in which nobody else wrote. It returns
// which answers are there, and which are not for now, with ReasonPending.
func (d *Desk) Answer(ctx context.Context, fixed []Fixed, body func(Fixed) string) ([]Placed, error) {
	keys := make([]string, len(fixed))
	for i := range fixed {
		keys[i] = fixed[i].Key
	}
	if err := d.ensure(ctx, keys...); err != nil {
		return nil, d.again(err)
	}
	var out []Placed
	var resolve []int64
	for n, f := range fixed {
		if d.forbidden {
			break
		}
		p := Placed{Item: Item{Key: f.Key, ID: f.ID}}
		c, there := d.seen.byKey[f.Key]
		if !there {
			var err error
			c, err = d.create(ctx, f.Key, func(ctx context.Context) (Comment, error) {
				return d.Forge.Reply(ctx, d.Ref, f.Comment, body(f))
			})
			switch {
			case err == nil:
			case errors.Is(err, ErrGone):
				p.Reason, p.Done = ReasonDeleted, true // nobody is there to be answered, nor will be
				out = append(out, p)
				continue
			case errors.Is(err, ErrPending): // as it will be for the others
				return append(out, unanswered(fixed[n:])...), d.resolve(ctx, resolve)
			case errors.Is(err, ErrRefused):
				p.Reason, p.Done = ReasonRefused, true
				out = append(out, p)
				continue
			case d.stop(err):
				continue
			default:
				return nil, d.again(err)
			}
		}
		p.Comment, p.URL, p.Done = c.ID, c.URL, true
		out = append(out, p)
		if !f.Keep && !d.seen.answered[f.Comment] {
			resolve = append(resolve, f.Comment)
		}
	}
	return out, d.resolve(ctx, resolve)
}

// unanswered are answers that are to be made by a later review.
func unanswered(fixed []Fixed) []Placed {
	out := make([]Placed, len(fixed))
	for i := range fixed {
		out[i] = Placed{Item: Item{Key: fixed[i].Key, ID: fixed[i].ID, Reason: ReasonPending}}
	}
	return out
}

func (d *Desk) resolve(ctx context.Context, roots []int64) error {
	if len(roots) == 0 {
		return nil
	}
	threads, err := d.Forge.Threads(ctx, d.Ref)
	if mayNot(err) {
		return nil // the answers stand there all the same
	}
	if err != nil {
		return d.again(err)
	}
	for _, t := range threads {
		if t.Resolved || !slices.Contains(roots, t.Root) {
			continue
		}
		err := d.Forge.ResolveThread(ctx, d.Ref, t.ID)
		if err != nil && !errors.Is(err, ErrGone) && !errors.Is(err, ErrRefused) && !mayNot(err) {
			return d.again(err)
		}
	}
	return nil
}

// ReasonDeleted: a person deleted what we wrote, and it is not written again.
const ReasonDeleted = "DELETED"

// Walkthrough writes the one comment about all of it: it edits the one that is there. id is the comment that was there
// before, 0 for none.
func (d *Desk) Walkthrough(ctx context.Context, key string, id int64, body string) (Placed, error) {
	p := Placed{Item: Item{Key: key}}
	if d.forbidden {
		p.Reason = d.whyNot()
		return p, nil
	}
	if err := d.ensure(ctx, key); err != nil {
		return p, d.again(err)
	}
	c, there := d.seen.byKey[key]
	var err error
	switch {
	case there && c.Body == body:
	case there:
		c, err = d.Forge.EditComment(ctx, d.Ref, KindConversation, c.ID, body)
	case id != 0:
		c, err = d.Forge.EditComment(ctx, d.Ref, KindConversation, id, body)
	default:
		c, err = d.create(ctx, key, func(ctx context.Context) (Comment, error) { return d.Forge.CreateComment(ctx, d.Ref, body) })
	}
	switch {
	case err == nil:
		p.Comment, p.URL, p.Done = c.ID, c.URL, true
	case errors.Is(err, ErrGone):
		p.Reason = ReasonDeleted
	case errors.Is(err, ErrRefused):
		d.Logger.ErrorContext(ctx, "the forge refused the walkthrough", "error", err)
		p.Reason = ReasonRefused
	case d.stop(err):
		p.Reason = d.whyNot()
	default:
		return p, d.again(err)
	}
	return p, nil
}

// Check writes the check run with that ExternalID: it updates the one that is there. An ID says which one that is, since a
// list may not show it yet.
func (d *Desk) Check(ctx context.Context, c Check) (Placed, error) {
	p := Placed{Item: Item{Key: c.ExternalID}}
	for range tries {
		made, err := d.check(ctx, c)
		switch {
		case err == nil:
			p.Comment, p.URL, p.Done = made.ID, made.URL, true
			return p, nil
		case errors.Is(err, ErrAmbiguous):
			d.Begun[c.ExternalID] = true
			continue
		case mayNot(err):
			p.Reason = ReasonNoCheckRun // comments may be permitted all the same
		case errors.Is(err, review.ErrHeadGone), errors.Is(err, ErrGone):
			p.Reason = ReasonHeadGone
		case errors.Is(err, ErrRefused):
			d.Logger.ErrorContext(ctx, "the forge refused a check run", "error", err)
			p.Reason = ReasonRefused
		default:
			return p, d.again(err)
		}
		return p, nil
	}
	return p, d.again(fmt.Errorf("%w: the check run did not appear after %d tries", review.ErrUnavailable, tries))
}

// Unread writes the check run of a review that read nothing. Where the newest of ours that came to a conclusion at the commit
// failed, this one fails as well, whatever pull request that was of: a check run stands for its commit, and the newest counts.
func (d *Desk) Unread(ctx context.Context, c Check) (Placed, error) {
	if c.Conclusion != Neutral {
		return d.Check(ctx, c)
	}
	there, err := d.Forge.Checks(ctx, d.Ref.Repo, c.Head)
	switch {
	case mayNot(err), errors.Is(err, review.ErrHeadGone), errors.Is(err, ErrGone), errors.Is(err, ErrRefused):
		return d.Check(ctx, c) // says the same
	case err != nil:
		return Placed{Item: Item{Key: c.ExternalID}}, d.again(err)
	}
	last := Check{}
	for _, o := range there {
		if o.concluded() && !SameCheck(o.ExternalID, c.ExternalID) && o.ID > last.ID {
			last = o
		}
	}
	if last.Conclusion == Failure {
		c.Conclusion, c.Title = Failure, failedBefore+c.Title
		c.Summary += "\n\nAn earlier check run of this commit failed, and nothing was read since: it stays so until a review of this commit ends otherwise."
	}
	return d.Check(ctx, c)
}

func (d *Desk) check(ctx context.Context, c Check) (Check, error) {
	if c.Status == CheckCompleted && (c.Conclusion == Success || c.Conclusion == Neutral) {
		there, err := d.Forge.Checks(ctx, d.Ref.Repo, c.Head)
		if err != nil {
			return c, err
		}
		c.besides(there)
	}
	if c.ID != 0 {
		made, err := d.Forge.UpdateCheck(ctx, d.Ref.Repo, c)
		if !errors.Is(err, ErrGone) {
			return made, err
		}
	}
	pauses := Lags()
	if !d.Begun[c.ExternalID] {
		pauses = nil
	}
	for n := 0; ; n++ {
		there, err := d.Forge.Checks(ctx, d.Ref.Repo, c.Head)
		if err != nil {
			return c, err
		}
		at := slices.IndexFunc(there, func(o Check) bool { return SameCheck(o.ExternalID, c.ExternalID) })
		switch {
		case at >= 0:
			c.ID = there[at].ID
			return d.Forge.UpdateCheck(ctx, d.Ref.Repo, c)
		case n < len(pauses):
			if err := d.Wait(ctx, pauses[n]); err != nil {
				return c, err
			}
			continue
		}
		if err := d.begin(ctx, []string{c.ExternalID}); err != nil {
			return c, err
		}
		made, err := d.Forge.CreateCheck(ctx, d.Ref.Repo, c)
		d.answered(ctx, []string{c.ExternalID}, err)
		return made, err
	}
}
