package worker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	councilv1 "witan.dev/gen/witan/council/v1"
	"witan.dev/internal/job"
	"witan.dev/internal/llm"
	"witan.dev/services/council"
	"witan.dev/services/council/draw"
	"witan.dev/services/council/prompt"
	"witan.dev/services/council/wire"
)

const (
	historyTurns = 10
	// historyShare of the smallest context is what the history window may take.
	historyShare   = 4
	titleChars     = 80
	maxMaterial    = 64 << 20
	templateOfPlan = prompt.Version
)

// plan is what is frozen before the first call, beside the deliberation's own row. A change of the configuration never
// alters a running job.
type plan struct {
	Key       draw.Key             `json:"key"`
	Templates string               `json:"templates"`
	Models    map[string]modelFact `json:"models"`
	History   []prompt.Turn        `json:"history,omitempty"`
	Title     string               `json:"title,omitempty"`
	Digest    string               `json:"digest"`
}

// modelFact is what the plan holds of a model.
type modelFact struct {
	ContextTokens   int        `json:"context_tokens"`
	MaxOutputTokens int        `json:"max_output_tokens"`
	Price           *llm.Price `json:"price,omitempty"`
}

// planned looks for a plan in the store.
func (d *deliberation) planned(ctx context.Context) (_ bool, err error) {
	d.storedPlan, err = d.store.Plan(ctx, d.ID)
	return d.storedPlan != nil, err
}

// makePlan draws the job key and freezes what the run rests on.
func (d *deliberation) makePlan(ctx context.Context) (err error) {
	p := plan{Templates: templateOfPlan, Models: map[string]modelFact{}}
	if d.Spec.Seed != nil {
		p.Key = draw.Seeded(*d.Spec.Seed)
	} else if p.Key, err = draw.NewKey(d.random); err != nil {
		return err
	}
	for _, name := range d.Spec.Models() {
		if m, ok := d.models.Model(name); ok {
			i := m.Info()
			p.Models[name] = modelFact{ContextTokens: i.ContextTokens, MaxOutputTokens: i.MaxOutputTokens, Price: i.Price}
		}
	}
	if p.Digest, err = digest(d.Spec); err != nil {
		return err
	}
	if p.History, err = d.history(ctx, p); err != nil {
		return err
	}
	p.Title = d.title()
	raw, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode the plan: %w", err)
	}
	estimate := council.EstimateOf(d.Spec, d.Task, d.models)
	err = d.run.Commit(ctx, job.Update{
		Events: d.planEvents(p, estimate),
		Write: func(ctx context.Context, tx job.Tx) error {
			if err := d.store.SavePlan(ctx, tx, d.ID, raw, estimate); err != nil {
				return err
			}
			if d.Conversation == "" || p.Title == "" {
				return nil
			}
			return d.store.SetTitle(ctx, tx, d.Conversation, p.Title)
		},
	})
	if err == nil {
		d.storedPlan = raw
	}
	return err
}

func (d *deliberation) planEvents(p plan, e council.Estimate) []job.NewEvent {
	events := []job.NewEvent{event("plan/planned", &councilv1.CouncilEvent{Event: &councilv1.CouncilEvent_Planned{Planned: &councilv1.Planned{
		Members: wire.Members(d.Spec.Members), Chairman: wire.Chairman(d.Spec.Chairman), Mode: wire.Mode(d.Spec.Mode),
		Stages: council.Stages(d.Spec, d.Task.Kind()), Estimate: wire.Estimate(&e), SpecDigest: p.Digest,
	}}})}
	for _, c := range d.Spec.Budget.Caps(&e) {
		if c.Cap >= c.Estimate.Expected {
			continue
		}
		key := "plan/budget"
		if c.Kind != "calls" {
			key += "/" + c.Kind
		}
		events = append(events, event(key, &councilv1.CouncilEvent{Event: &councilv1.CouncilEvent_BudgetWarning{BudgetWarning: &councilv1.BudgetWarning{
			Spent: c.Estimate.Expected, Cap: c.Cap, Kind: c.Kind,
		}}}))
	}
	if p.Title != "" {
		events = append(events, event("plan/title", &councilv1.CouncilEvent{Event: &councilv1.CouncilEvent_TitleGenerated{TitleGenerated: &councilv1.TitleGenerated{
			Title: p.Title, Local: true,
		}}}))
	}
	return events
}

func digest(s council.Spec) (string, error) {
	raw, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("encode the spec: %w", err)
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:]), nil
}

// title is the first words of a question in a conversation.
func (d *deliberation) title() string {
	if d.Conversation == "" || d.Task.Question == nil {
		return ""
	}
	words := strings.Fields(strings.ToValidUTF8(d.Task.Question.Text, ""))
	title := ""
	for _, w := range words {
		if len([]rune(title))+len([]rune(w)) >= titleChars {
			if title == "" {
				title = string([]rune(w)[:titleChars-1])
			}
			return title + "…"
		}
		title = strings.TrimSpace(title + " " + w)
	}
	return title
}

// history is the window of earlier turns that all members get: questions and final answers only, the newest that fit,
// whole turns.
func (d *deliberation) history(ctx context.Context, p plan) ([]prompt.Turn, error) {
	if d.Conversation == "" {
		return nil, nil
	}
	var turns []prompt.Turn
	question, turn := map[job.ID]string{}, map[job.ID]int{}
	for after := int64(0); ; {
		page, err := d.store.Messages(ctx, d.Conversation, after, 200)
		if err != nil {
			return nil, err
		}
		for _, m := range page {
			after = m.Ordinal
			switch {
			case m.Deliberation == d.ID:
			case m.Role == council.RoleUser:
				question[m.Deliberation] = m.Text
			case m.Role == council.RoleCouncil:
				at, answered := turn[m.Deliberation]
				if !answered || m.Deliberation == "" {
					at = len(turns)
					turns = append(turns, prompt.Turn{Question: question[m.Deliberation]})
					turn[m.Deliberation] = at
				}
				turns[at].Answer = m.Text // the answer of a retried job replaces that of the attempt before
			}
		}
		if len(page) == 0 {
			break
		}
	}
	return window(turns, smallestContext(p)/historyShare), nil
}

func smallestContext(p plan) int {
	smallest := 0
	for _, m := range p.Models {
		if smallest == 0 || m.ContextTokens < smallest {
			smallest = m.ContextTokens
		}
	}
	return smallest
}

// window keeps the newest turns that fit into so many tokens.
func window(turns []prompt.Turn, tokens int) []prompt.Turn {
	turns = turns[max(0, len(turns)-historyTurns):]
	used := 0
	for i, t := range slices.Backward(turns) {
		used += prompt.Tokens(len(t.Question) + len(t.Answer))
		if used > tokens {
			return slices.Clone(turns[i+1:])
		}
	}
	return slices.Clone(turns)
}

// readPlan takes the frozen plan.
func (d *deliberation) readPlan() error {
	if err := json.Unmarshal(d.storedPlan, &d.plan); err != nil {
		return fmt.Errorf("read the plan of deliberation %s: %w", d.ID, err)
	}
	reserve := amount{}
	if council.PlannedOrigin(d.Spec, d.Task.Kind()) == council.OriginChairman {
		reserve = d.chairmanReserve()
	}
	d.budget = newBudget(d.Spec.Budget, d.spentBefore(d.run.Job()), reserve)
	return nil
}

// material reads what the task names by ID.
func (d *deliberation) material(ctx context.Context) error {
	if q := d.Task.Question; q != nil {
		for i := range q.Evidence {
			if err := d.blob(ctx, q.Evidence[i].Blob, &q.Evidence[i].Text); err != nil {
				return err
			}
		}
	}
	if c := d.Task.CodeReview; c != nil {
		for i := range c.Parts {
			if err := d.blob(ctx, c.Parts[i].Blob, &c.Parts[i].Text); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *deliberation) blob(ctx context.Context, id string, into *string) error {
	if id == "" {
		return nil
	}
	if d.blobs == nil {
		return council.ErrBlobNotFound
	}
	raw, err := d.blobs.Read(ctx, d.Owner, id, maxMaterial)
	if err != nil {
		return fmt.Errorf("read material %s: %w", id, err)
	}
	if sum := sha256.Sum256(raw); hex.EncodeToString(sum[:]) != id {
		return fmt.Errorf("material %s: %w", id, errors.Join(council.ErrBlobNotFound, errors.New("the stored content has another digest")))
	}
	*into = strings.ToValidUTF8(string(raw), "\uFFFD")
	return nil
}
