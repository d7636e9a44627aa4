package events

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"witan.dev/internal/apierr"
	"witan.dev/internal/diff"
	"witan.dev/internal/finding"
	"witan.dev/internal/job/engine"
	"witan.dev/services/review"
	"witan.dev/services/review/reviewers/secrets"
)

// maxEvidence bounds the change that a question is asked about, in bytes (own choice): about 15,000 tokens.
const maxEvidence = 60_000

// ask puts the question to the council and answers with what it says.
func (o *order) ask() (*engine.Failure, error) {
	if o.Text == "" {
		return o.say("empty", "Ask something: `/witan ask QUESTION`.")
	}
	var q review.Question
	// It is kept as it is asked: the pull request may change before it is known that the council heard it, and in other words it
	// would be another question.
	f, err := step(o.session, o.step("question"), &q, o.question)
	if err != nil || f != nil && f.Class != classRefused {
		return f, err
	}
	if f != nil {
		return o.refused(held{}, f)
	}
	h, f, err := o.afford(q)
	if err != nil || f != nil && f.Class != classRefused {
		return f, err
	}
	if f == nil && h.Left != "" {
		return o.say("spent", "The council was not asked: "+h.Left+".")
	}
	var d review.Deliberation
	if f == nil {
		q.Budget = h.Budget
		f, err = step(o.session, o.step("ask"), &d, func(ctx context.Context) (review.Deliberation, error) { return o.p.Advisor.Ask(ctx, q) })
	}
	if err != nil {
		return f, err
	}
	if f != nil && f.Class == classRefused {
		return o.refused(h, f)
	}
	if f != nil {
		return f, nil
	}
	return o.answer(h, d)
}

// refused gives back what was held for a question that is not answered, and says why. Where another delivery of the comment
// asks it, that one answers. Where an earlier execution asked it under other terms the hold stays, since that is charged.
func (o *order) refused(h held, why *engine.Failure) (*engine.Failure, error) {
	asked := why.Reason == string(apierr.ReasonRequestIDReused)
	if !asked || o.session.run.Epoch() == 1 {
		if f, err := o.settle(h, review.Budget{}); f != nil || err != nil || asked {
			return f, err
		}
	}
	return o.reply("cannot", "The council cannot answer:", why.Message, nil)
}

// answered is what became of a question. Nobody knows what an answer took that never came.
type answered struct {
	review.Advice

	Seen bool `json:"seen"`
}

// answer waits for what the council says, counts it, and passes it on.
func (o *order) answer(h held, d review.Deliberation) (*engine.Failure, error) {
	var a answered
	f, err := step(o.session, o.step("answer"), &a, func(ctx context.Context) (a answered, err error) {
		waiting, stop := o.session.run.UntilDraining(ctx)
		defer stop()
		state, err := o.p.Jobs.Wait(waiting, d.Job)
		if err != nil || !state.Done() {
			return a, err
		}
		a.Advice, err = o.p.Advisor.Advice(ctx, d.Name)
		o.p.Secrets.Clean(ctx, &a.Text)
		a.Seen = err == nil
		return a, err
	})
	if f != nil || err != nil {
		return f, err
	}
	if a.Seen {
		if f, err := o.settle(h, review.Took(&a.Usage)); f != nil || err != nil {
			return f, err
		}
	}
	if strings.TrimSpace(a.Text) == "" {
		return o.say("none", "The council came to no answer; its deliberation is "+finding.CodeSpan(d.Name)+".")
	}
	return o.reply("say", "The council's answer:", a.Text, nil)
}

// question gathers what the council is to know. Secrets are taken out of all of it; what cannot be scanned is not sent.
func (o *order) question(ctx context.Context) (review.Question, error) {
	q := review.Question{ParentJob: o.job(), RequestID: o.requestID("ask")}
	pull, err := o.p.Forge.PullRequest(ctx, o.pull.PullRef)
	if err != nil {
		return q, err
	}
	thread, path, err := o.thread(ctx)
	if err != nil {
		return q, err
	}
	change, err := o.read(ctx, &pull)
	if err != nil {
		return q, err
	}
	words := strings.ToValidUTF8(strings.TrimSpace(pull.Title+"\n\n"+pull.Body), "\uFFFD")
	redactor, err := o.learn(ctx, change, secrets.Text{Text: words}, secrets.Text{Path: path, Text: thread}, secrets.Text{Text: o.Text})
	if err != nil {
		return q, err
	}
	hunks, err := excerpt(ctx, redactor, change, path)
	if err != nil {
		return q, err
	}
	q.Evidence = []review.Evidence{
		{Title: "The author's words on the pull request", Text: redactor.Apply(words)},
		{Title: "The finding that is talked about", Text: redactor.Apply(thread)},
		{Title: "The change", Text: hunks},
	}
	q.Text = redactor.Apply(o.Text)
	set, _, err := o.settings(ctx, &pull)
	q.Council = set.Council
	return q, err
}

// learn returns a redactor that knows the secrets of all texts and of the whole change: what one text gives away may stand
// bare in another.
func (o *order) learn(ctx context.Context, change *review.Change, texts ...secrets.Text) (*secrets.Redactor, error) {
	redactor := o.p.Secrets.NewRedactor()
	var paths []string
	for i := range change.Files {
		f := &change.Files[i]
		paths = append(paths, f.Path, f.OldPath)
		if f.Metadata() {
			continue
		}
		for _, text := range f.Texts() {
			texts = append(texts, secrets.Text{Path: f.Path, Text: text})
		}
	}
	err := redactor.LearnNames(ctx, paths...)
	if err == nil {
		err = redactor.Learn(ctx, texts...)
	}
	if err != nil {
		return nil, fmt.Errorf("look for secrets before asking: %w", err)
	}
	return redactor, nil
}

// excerpt is as much of the change as there is room for, of one file where path is set. Secrets are taken out before it is
// cut, since half of one would not be known again.
func excerpt(ctx context.Context, redactor *secrets.Redactor, change *review.Change, path string) (string, error) {
	text, whole := hunks(change, path)
	text, err := redactor.Redact(ctx, secrets.Text{Path: path, Text: strings.ToValidUTF8(text, "\uFFFD")})
	if err != nil {
		return "", fmt.Errorf("look for secrets before asking: %w", err)
	}
	if whole && len(text) <= maxEvidence {
		return text, nil
	}
	text = text[:min(len(text), maxEvidence)]
	return redactor.ApplyCut(text[:strings.LastIndexByte(text, '\n')+1]) + "(the change goes on)\n", nil
}

// thread is the finding of the thread that the comment stands in, and its file; empty where there is none of ours.
func (o *order) thread(ctx context.Context) (text, path string, err error) {
	known, err := o.p.Ledger.KnownByComment(ctx, o.pull.Subject(), o.root())
	if errors.Is(err, review.ErrNotFound) || o.root() == 0 {
		return "", "", nil
	}
	if err != nil {
		return "", "", err
	}
	f := &known.Finding
	return strings.TrimSpace(f.Title + "\n\n" + f.Reason + "\n\n" + f.Location.Code), f.Location.Path, nil
}

// read reads the change; it is empty where it cannot be read.
func (o *order) read(ctx context.Context, pull *review.PullRequest) (*review.Change, error) {
	id, none := o.session.run.Job().ID, &review.Change{}
	source := review.Source{Kind: review.SourcePull, Pull: pull.PullRef, Base: pull.BaseTip, Head: pull.Head}
	pinned, err := o.p.Repository.Pin(ctx, id, source)
	if err != nil {
		return none, o.without(ctx, err)
	}
	defer func() {
		if err := o.p.Repository.Release(context.WithoutCancel(ctx), id); err != nil {
			o.p.Logger.WarnContext(ctx, "what was fetched for a question was not removed", "job_id", string(id), "error", err)
		}
	}()
	change, err := o.p.Repository.Load(ctx, pinned)
	if err != nil {
		return none, o.without(ctx, err)
	}
	return change, nil
}

// hunks is the change as text, in whole lines: of one file where path is set, else of all. It ends with the line that
// exceeds maxEvidence; whole is false then.
func hunks(change *review.Change, path string) (text string, whole bool) {
	var b strings.Builder
	for i := range change.Files {
		f := &change.Files[i]
		if path != "" && f.Path != path && f.OldPath != path {
			continue
		}
		if writeFile(&b, f); b.Len() > maxEvidence {
			return b.String(), false
		}
	}
	return b.String(), true
}

// without lets a question be asked without the change that cannot be read. What passes is waited for.
func (o *order) without(ctx context.Context, err error) error {
	if waits(err) || ctx.Err() != nil || engine.Interrupted(err) {
		return err
	}
	o.p.Logger.WarnContext(ctx, "a question is asked without the change", "pull", o.pull.Subject(), "error", err)
	return nil
}

func writeFile(b *strings.Builder, f *review.File) {
	fmt.Fprintf(b, "--- %s\n+++ %s\n", diff.DisplayPath(f.OldPath), diff.DisplayPath(f.Path))
	for i := range f.Hunks {
		h := &f.Hunks[i]
		fmt.Fprintf(b, "@@ -%d,%d +%d,%d @@\n", h.OldStart, h.OldLines, h.NewStart, h.NewLines)
		for _, l := range h.Lines {
			b.WriteByte(l.Op)
			b.WriteString(l.Text)
			b.WriteByte('\n')
			if b.Len() > maxEvidence {
				return
			}
		}
	}
}
