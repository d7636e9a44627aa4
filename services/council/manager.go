package council

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"witan.dev/internal/job"
	"witan.dev/internal/llm"
)

// DefaultCouncil is the preset that is taken where none is named.
const DefaultCouncil = "default"

// Jobs is what the Manager needs of internal/job.
type Jobs interface {
	Create(ctx context.Context, c job.Creation) (job.Job, bool, error)
	States(ctx context.Context, ids ...job.ID) (map[job.ID]job.State, error)
	StatesTx(ctx context.Context, tx job.Tx, ids ...job.ID) (map[job.ID]job.State, error)
	Cancel(ctx context.Context, id job.ID, owner string) (job.Job, error)
	Delete(ctx context.Context, d job.Deletion) error
}

// Models are the configured models. *llm.Registry is one.
type Models interface {
	Model(name string) (llm.Model, bool)
	Models() []llm.Model
}

// Params are what a Manager works with.
type Params struct {
	Store  Store
	Jobs   Jobs
	Models Models
	// Presets are the configured councils. Where none is named "default", one is made of all models.
	Presets []Preset
	// Blobs may be nil: then material that is named by ID is refused.
	Blobs Blobs
	// Temporary is how long a temporary conversation stays whose creator did not say; 0: a day.
	Temporary time.Duration
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Manager is the one place that starts conversations and deliberations. Safe for concurrent use.
type Manager struct {
	*Keeper

	models    Models
	presets   map[string]Preset
	temporary time.Duration
}

// NewManager checks the presets against the models and reports everything that is wrong with them.
func NewManager(p Params) (*Manager, error) {
	m := &Manager{Keeper: NewKeeper(p), models: p.Models, presets: map[string]Preset{}, temporary: cmp.Or(p.Temporary, temporaryFor)}
	var errs []error
	for _, preset := range p.Presets {
		if _, twice := m.presets[preset.Name]; twice {
			errs = append(errs, fmt.Errorf("council %q: the name is used twice", preset.Name))
		}
		m.presets[preset.Name] = preset
		if err := m.check(preset.Spec.WithDefaults(TaskQuestion)); err != nil {
			errs = append(errs, fmt.Errorf("council %q: %w", preset.Name, err))
		}
	}
	if _, there := m.presets[DefaultCouncil]; !there {
		m.presets[DefaultCouncil] = Preset{Name: DefaultCouncil, DisplayName: "All configured models", Spec: DefaultSpec(m.modelNames())}
	}
	return m, errors.Join(errs...)
}

func (m *Manager) modelNames() []string {
	var names []string
	for _, model := range m.models.Models() {
		names = append(names, model.Info().Name)
	}
	return names
}

// Models lists the configured models, sorted by name.
func (m *Manager) Models() []llm.Info {
	var infos []llm.Info
	for _, model := range m.models.Models() {
		infos = append(infos, model.Info())
	}
	slices.SortFunc(infos, func(a, b llm.Info) int { return strings.Compare(a.Name, b.Name) })
	return infos
}

// Presets lists the councils that have members, sorted by name. Their specs are as configured, without defaults.
func (m *Manager) Presets() []Preset {
	var out []Preset
	for _, p := range m.presets {
		if len(p.Spec.Members) > 0 {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b Preset) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Preset finds a council by its name. ErrCouncilNotFound.
func (m *Manager) Preset(name string) (Preset, error) {
	p, ok := m.presets[name]
	if !ok {
		return Preset{}, ErrCouncilNotFound.With("council", name)
	}
	return p, nil
}

// NewConversation asks for a conversation.
type NewConversation struct {
	Owner, Title, Council string
	// Temporary conversations have no title and are removed after ExpireAt; zero: a day from now.
	Temporary bool
	ExpireAt  time.Time
	Labels    map[string]string
	Request   Request
}

// CreateConversation makes an empty conversation.
func (m *Manager) CreateConversation(ctx context.Context, n NewConversation) (Conversation, error) {
	now := m.now()
	c := Conversation{
		ID: string(job.NewID()), Owner: n.Owner, Title: n.Title, Council: n.Council, Labels: n.Labels,
		Temporary: n.Temporary, CreatedAt: now, UpdatedAt: now, Revision: 1,
	}
	var err error
	if c.ExpireAt, err = lifetime(n, now, m.temporary); err != nil {
		return Conversation{}, err
	}
	if n.Council != "" {
		if _, err := m.Preset(n.Council); err != nil {
			return Conversation{}, err
		}
	}
	return m.store.CreateConversation(ctx, c, n.Request)
}

// Conversation reads a conversation and what its jobs say of it.
func (m *Manager) Conversation(ctx context.Context, id, owner string) (Conversation, Activity, error) {
	c, err := m.store.Conversation(ctx, id, owner)
	if err == nil && c.over(m.now()) {
		err = ErrConversationNotFound
	}
	if err != nil {
		return Conversation{}, Activity{}, err
	}
	activities, err := m.activities(ctx, id)
	return c, activities[id], err
}

// Conversations lists conversations, newest first, each with what its jobs say of it.
func (m *Manager) Conversations(ctx context.Context, owner string, after Position, limit int) ([]Conversation, map[string]Activity, error) {
	list, err := living(limit, after, func(after Position, n int) ([]Conversation, error) {
		return m.store.Conversations(ctx, owner, after, n)
	}, func(c *Conversation) (Position, bool) {
		return Position{CreatedAt: c.CreatedAt, ID: c.ID}, c.over(m.now())
	})
	if err != nil {
		return nil, nil, err
	}
	ids := make([]string, len(list))
	for i, c := range list {
		ids[i] = c.ID
	}
	activities, err := m.activities(ctx, ids...)
	return list, activities, err
}

func (k *Keeper) activities(ctx context.Context, conversations ...string) (map[string]Activity, error) {
	recent, err := k.store.Recent(ctx, conversations...)
	if err != nil {
		return nil, err
	}
	var all []job.ID
	for _, ids := range recent {
		all = append(all, ids...)
	}
	states, err := k.jobs.States(ctx, all...)
	if err != nil {
		return nil, err
	}
	out := map[string]Activity{}
	for _, c := range conversations {
		out[c] = activityOf(recent[c], states)
	}
	return out, nil
}

// Messages lists the messages of a conversation of owner, oldest first.
func (m *Manager) Messages(ctx context.Context, conversation, owner string, after int64, limit int) ([]Message, error) {
	c, err := m.store.Conversation(ctx, conversation, owner)
	if err == nil && c.over(m.now()) {
		err = ErrConversationNotFound
	}
	if err != nil {
		return nil, err
	}
	return m.store.Messages(ctx, conversation, after, limit)
}

// NewDeliberation asks for a deliberation.
type NewDeliberation struct {
	Owner, Conversation string
	// Council is a preset's name; empty: the conversation's, else default.
	Council string
	// Overrides replace the preset's fields where they are set.
	Overrides Spec
	Task      Task
	// Timeout from creation to end; 0: DefaultDeadline.
	Timeout   time.Duration
	Labels    map[string]string
	ParentJob job.ID
	Request   Request
	// ValidateOnly checks and resolves everything and starts nothing.
	ValidateOnly bool
}

// CreateDeliberation starts a deliberation. Everything that rests on the configuration is checked in the creating
// transaction, and so only for a request that is not known yet: repeating a request gives the first deliberation again
// whatever has changed since.
func (m *Manager) CreateDeliberation(ctx context.Context, n NewDeliberation) (Deliberation, error) {
	if err := n.Task.Validate(); err != nil {
		return Deliberation{}, invalid(ErrTaskInvalid, "deliberation", err)
	}
	if n.ValidateOnly {
		return m.validateOnly(ctx, n)
	}
	now, id := m.now(), job.NewID()
	timeout := cmp.Or(n.Timeout, DefaultDeadline)
	var made Deliberation
	expire, err := m.expiry(ctx, n)
	if err != nil {
		return Deliberation{}, err
	}
	created, reused, err := m.jobs.Create(ctx, job.Creation{
		ID: id, Kind: job.KindCouncil, Owner: n.Owner, Parent: n.ParentJob,
		Method: "CreateDeliberation", RequestID: n.Request.ID, BodySHA256: n.Request.Body,
		Resource: "deliberations/" + string(id), Labels: n.Labels, Timeout: timeout, ExpireAt: expire,
		Write: func(ctx context.Context, tx job.Tx) error {
			var err error
			made, err = m.write(ctx, tx, n, Deliberation{
				ID: id, Owner: n.Owner, Conversation: n.Conversation, Task: n.Task, Timeout: timeout,
				Labels: n.Labels, ParentJob: n.ParentJob, CreatedAt: now, Revision: 1,
			})
			return err
		},
	})
	if err != nil {
		return Deliberation{}, err
	}
	if reused {
		return m.store.Deliberation(ctx, created.ID, n.Owner, ViewBasic)
	}
	return made, nil
}

// expiry is when a deliberation goes with its temporary conversation. Whether there is such a conversation, the creating
// transaction says.
func (m *Manager) expiry(ctx context.Context, n NewDeliberation) (time.Time, error) {
	if n.Conversation == "" {
		return time.Time{}, nil
	}
	c, err := m.store.Conversation(ctx, n.Conversation, n.Owner)
	if errors.Is(err, ErrConversationNotFound) {
		return time.Time{}, nil
	}
	return c.ExpireAt, err
}

func (m *Manager) validateOnly(ctx context.Context, n NewDeliberation) (Deliberation, error) {
	d := Deliberation{
		Owner: n.Owner, Conversation: n.Conversation, Task: n.Task, Timeout: cmp.Or(n.Timeout, DefaultDeadline), Labels: n.Labels,
	}
	var c Conversation
	if n.Conversation != "" {
		var activity Activity
		var err error
		if c, activity, err = m.Conversation(ctx, n.Conversation, n.Owner); err != nil {
			return Deliberation{}, err
		}
		if activity.State == StateActive {
			return Deliberation{}, ErrConversationActive.With("job", "jobs/"+string(activity.Active))
		}
	}
	return d, m.resolve(n, c, &d)
}

// write runs in the creating transaction. It may be run again and has no effect but on tx.
func (m *Manager) write(ctx context.Context, tx job.Tx, n NewDeliberation, d Deliberation) (Deliberation, error) {
	var c Conversation
	if n.Conversation != "" {
		var err error
		if c, err = m.lockIdle(ctx, tx, n.Conversation, n.Owner, d.ID); err != nil {
			return Deliberation{}, err
		}
		d.ExpireAt = c.ExpireAt
	}
	if err := m.resolve(n, c, &d); err != nil {
		return Deliberation{}, err
	}
	if err := m.keepBlobs(ctx, tx, d); err != nil {
		return Deliberation{}, err
	}
	if err := m.store.AddDeliberation(ctx, tx, d); err != nil {
		return Deliberation{}, err
	}
	if n.Conversation == "" || n.Task.Question == nil {
		return d, nil
	}
	return d, m.store.AddMessage(ctx, tx, Message{
		ID: string(d.ID) + "q", Conversation: n.Conversation, Role: RoleUser, Text: n.Task.Question.Text,
		Deliberation: d.ID, CreatedAt: d.CreatedAt,
	})
}

// resolve finds the spec in force and refuses what cannot be held to its end.
func (m *Manager) resolve(n NewDeliberation, c Conversation, d *Deliberation) error {
	d.Council = cmp.Or(n.Council, c.Council, DefaultCouncil)
	preset, err := m.Preset(d.Council)
	if err != nil {
		return err
	}
	kind := n.Task.Kind()
	d.Spec = preset.Spec.Merge(n.Overrides).WithDefaults(kind)
	if kind == TaskQuestion && len(d.Spec.Members) == 0 {
		return ErrNoModelConfigured
	}
	if err := m.check(d.Spec); err != nil {
		return err
	}
	if err := supported(d.Spec, kind); err != nil {
		return err
	}
	estimate := EstimateOf(d.Spec, n.Task, m.models)
	d.Estimate = &estimate
	if err := priced(d.Spec.Budget, &estimate, len(d.Spec.Members)); err != nil {
		return err
	}
	for _, c := range d.Spec.Budget.Caps(&estimate) {
		if c.Cap < c.Estimate.Low {
			return ErrBudgetTooSmall.With("max_"+c.Kind, fmt.Sprint(c.Cap)).With("least", fmt.Sprint(c.Estimate.Low))
		}
	}
	return nil
}

// priced refuses a cap on money that cannot be kept: a price is unknown, or they are in other currencies.
func priced(b BudgetPolicy, e *Estimate, members int) error {
	switch {
	case b.MaxCostMicros == 0 || members == 0:
		return nil
	case e.Cost == nil:
		return ErrPriceUnknown
	case b.CurrencyCode != "" && b.CurrencyCode != e.Currency:
		return ErrPriceUnknown.With("currency_code", b.CurrencyCode).With("prices", e.Currency)
	}
	return nil
}

// EstimateDeliberation says what a deliberation would take. Errors are those of CreateDeliberation.
func (m *Manager) EstimateDeliberation(ctx context.Context, n NewDeliberation) (Estimate, error) {
	if err := n.Task.Validate(); err != nil {
		return Estimate{}, invalid(ErrTaskInvalid, "deliberation", err)
	}
	d, err := m.validateOnly(ctx, n)
	if err != nil {
		return Estimate{}, err
	}
	return *d.Estimate, nil
}

// check validates a spec and finds its models.
func (m *Manager) check(s Spec) error {
	if err := s.Validate(); err != nil {
		return invalid(ErrCouncilInvalid, "deliberation.spec", err)
	}
	for _, name := range s.Models() {
		if _, ok := m.models.Model(name); !ok {
			return ErrModelUnknown.With("model", name)
		}
	}
	return nil
}

// supported refuses what this version cannot keep: a cap that is not kept is worse than none.
func supported(s Spec, kind TaskKind) error {
	switch {
	case s.Mode == ModeVerdict && kind == TaskQuestion:
		return unsupported("the mode VERDICT is not supported for questions yet; take FULL")
	case s.Quorum.OnPartial == PartialWait:
		return unsupported("quorum.on_partial WAIT is not supported yet; take RETURN or FAIL and retry the job")
	}
	return nil
}

// keepBlobs keeps the stored material that a task names alive as long as the deliberation.
func (m *Manager) keepBlobs(ctx context.Context, tx job.Tx, d Deliberation) error {
	ids := d.Task.blobs()
	if len(ids) == 0 {
		return nil
	}
	if m.blobs == nil {
		return unsupported("material that is named by a blob's ID is not supported here; send it inline")
	}
	return m.blobs.Keep(ctx, tx, d.Owner, "deliberations/"+string(d.ID), ids)
}

// blobs lists the stored material that a task names.
func (t Task) blobs() []string {
	var ids []string
	if t.Question != nil {
		for _, e := range t.Question.Evidence {
			ids = append(ids, e.Blob)
		}
	}
	if t.CodeReview != nil {
		for _, p := range t.CodeReview.Parts {
			ids = append(ids, p.Blob)
		}
	}
	return slices.DeleteFunc(ids, func(id string) bool { return id == "" })
}

// Deliberation reads a deliberation of owner.
func (m *Manager) Deliberation(ctx context.Context, id job.ID, owner string, v View) (Deliberation, error) {
	d, err := m.store.Deliberation(ctx, id, owner, v)
	if err == nil && d.over(m.now()) {
		err = ErrDeliberationNotFound
	}
	if err != nil {
		return Deliberation{}, err
	}
	return d, nil
}

// Deliberations lists deliberations, newest first; conversation "" means all.
func (m *Manager) Deliberations(ctx context.Context, owner, conversation string, after Position, limit int) ([]Deliberation, error) {
	return living(limit, after, func(after Position, n int) ([]Deliberation, error) {
		return m.store.Deliberations(ctx, owner, conversation, after, n)
	}, func(d *Deliberation) (Position, bool) {
		return Position{CreatedAt: d.CreatedAt, ID: string(d.ID)}, d.over(m.now())
	})
}

// living reads a list until it has as many as were asked for whose time is not over, or there are no more.
func living[T any](limit int, after Position, read func(after Position, n int) ([]T, error), at func(*T) (Position, bool)) ([]T, error) {
	var list []T
	for len(list) < limit {
		n := limit - len(list)
		page, err := read(after, n)
		if err != nil {
			return nil, err
		}
		for i := range page {
			var over bool
			if after, over = at(&page[i]); !over {
				list = append(list, page[i])
			}
		}
		if len(page) < n {
			break
		}
	}
	return list, nil
}
