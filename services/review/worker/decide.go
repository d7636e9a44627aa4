package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"

	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/finding"
	"witan.dev/internal/job"
	"witan.dev/internal/job/engine"
	"witan.dev/services/review"
	"witan.dev/services/review/lifecycle"
	"witan.dev/services/review/publish"
	"witan.dev/services/review/publish/render"
	"witan.dev/services/review/wire"
)

const (
	stepDecide = stepPublish + "/decide"
	// rereads is how often the ledger is read anew because somebody changed it meanwhile.
	rereads = 20
)

// decided is what became of the findings, and what is written at the forge of it.
type decided struct {
	Findings string `json:"findings"` // blob
	Plan     string `json:"plan,omitempty"`

	findings []finding.Finding
	plan     publish.Plan
}

// decide compares the findings with those of the subject, and stores in one transaction what became of all of them and
// everything that is to be written at the forge.
func (s *session) decide(in *review.Inspection, findings []finding.Finding, result *review.Result) (decided, *engine.Failure, error) {
	var d decided
	f, err := lastStep(s, stepDecide, &d, func(ctx context.Context) (decided, error) {
		if !s.lasting() {
			return s.keepDecision(ctx, findings, publish.Plan{})
		}
		for range rereads {
			res, plan, err := s.apply(ctx, in, findings, result)
			if errors.Is(err, review.ErrChanged) {
				continue
			}
			if err != nil {
				return decided{}, err
			}
			return s.keepDecision(ctx, res.Findings, plan)
		}
		return decided{}, fmt.Errorf("the findings of %s are changed all the time: %w", s.review.Pinned.Subject, review.ErrChanged)
	})
	if f != nil || err != nil {
		return d, f, err
	}
	ctx := context.WithoutCancel(s.run.Context())
	var stored []finding.Finding
	if err := s.get(ctx, d.Findings, &stored); err != nil {
		return d, nil, err
	}
	d.findings = review.OriginalFindings(stored)
	return d, nil, s.get(ctx, d.Plan, &d.plan)
}

// lasting says whether findings have a life beyond the review: a patch is a subject of its own.
func (s *session) lasting() bool {
	return s.p.Ledger != nil && s.review.Pinned.Subject != "" && s.review.Pinned.HasTree()
}

func (s *session) keepDecision(ctx context.Context, findings []finding.Finding, plan publish.Plan) (d decided, err error) {
	if d.Findings, err = s.put(ctx, review.PortableFindings(findings)); err != nil {
		return d, err
	}
	d.Plan, err = s.put(ctx, plan)
	return d, err
}

func (s *session) apply(
	ctx context.Context, in *review.Inspection, findings []finding.Finding, result *review.Result,
) (lifecycle.Result, publish.Plan, error) {
	subject := s.review.Pinned.Subject
	known, err := s.p.Ledger.Known(ctx, subject)
	if err != nil {
		return lifecycle.Result{}, publish.Plan{}, err
	}
	head, err := s.head(ctx, in)
	if err != nil {
		return lifecycle.Result{}, publish.Plan{}, err
	}
	res, err := lifecycle.Apply(lifecycle.Input{
		Review: wire.ReviewName(s.review.ID), Subject: subject, Findings: findings, Known: known, Coverage: result.Coverage, Head: head,
		Whole: whole(result.Reviewers), Base: s.comparedWith(),
		Part: s.review.Pinned.Source.Kind == review.SourceStaged,
	})
	if err != nil {
		return res, publish.Plan{}, err
	}
	plan, err := s.writePlan(ctx, in, &res, merged(known, res.Known))
	if err != nil {
		return res, plan, err
	}
	events, err := statusEvents(res.Changes)
	if err != nil {
		return res, plan, err
	}
	return res, plan, s.run.Commit(ctx, job.Update{Events: events, Write: func(ctx context.Context, tx job.Tx) error {
		for _, k := range res.Known {
			if err := s.p.Ledger.PutKnown(ctx, tx, k); err != nil {
				return err
			}
		}
		for _, p := range plan.Intents(subject, s.review.ID) {
			if err := s.p.Ledger.PutPublication(ctx, tx, p); err != nil {
				return err
			}
		}
		return nil
	}})
}

// comparedWith tells the changes of one local branch from each other; a pull request is one change. What is staged is a part
// of what is not committed.
func (s *session) comparedWith() string {
	switch p := &s.review.Pinned; p.Source.Kind {
	case review.SourcePull:
		return ""
	case review.SourceStaged:
		return "staged:" + p.OldTree
	default:
		return p.OldTree
	}
}

// merged is what is known after the changes.
func merged(known, changed []review.Known) []review.Known {
	at := make(map[string]int, len(known))
	out := append([]review.Known(nil), known...)
	for i := range out {
		at[out[i].ID] = i
	}
	for _, k := range changed {
		if i, ok := at[k.ID]; ok {
			out[i] = k
		} else {
			out = append(out, k)
		}
	}
	return out
}

// whole are the reviewers that judged the whole change.
func whole(reviewers []review.ReviewerSummary) []string {
	var out []string
	for _, r := range reviewers {
		if r.Whole && r.Status == review.ReviewerDone {
			out = append(out, r.Name)
		}
	}
	return out
}

func statusEvents(changes []lifecycle.Change) ([]job.NewEvent, error) {
	var out []job.NewEvent
	for i, c := range changes {
		if i == maxAnnounced {
			break
		}
		event, err := newEvent(fmt.Sprintf("%s/status/%s/%s", stepPublish, c.ID, c.To), &reviewv1.ReviewEvent{
			Event: &reviewv1.ReviewEvent_FindingStatusChanged{FindingStatusChanged: &reviewv1.FindingStatusChanged{
				Finding: c.Finding, From: wire.Status(c.From), To: wire.Status(c.To), Reason: wire.StatusReason(c.Reason),
			}},
		})
		if err != nil {
			return nil, err
		}
		out = append(out, event)
	}
	return out, nil
}

// head is the reviewed state as the life of findings needs it.
func (s *session) head(ctx context.Context, in *review.Inspection) (lifecycle.Head, error) {
	redactor, err := s.redact(ctx, in)
	if err != nil {
		if fatal(ctx, err) {
			return lifecycle.Head{}, err
		}
		s.p.Logger.WarnContext(ctx, "the change could not be scanned for secrets: no finding is called fixed", "review", string(s.review.ID), "error", err)
	}
	h := lifecycle.Head{Commit: s.review.Pinned.Head, Change: in.Change, Code: in.New}
	h.Read = func(path string) (string, lifecycle.Presence, error) {
		if redactor == nil {
			return "", lifecycle.Unknown, nil
		}
		text, presence, err := s.headText(ctx, in, path)
		return redactor.Apply(text), presence, err
	}
	return h, nil
}

func (s *session) headText(ctx context.Context, in *review.Inspection, path string) (string, lifecycle.Presence, error) {
	if f := in.Change.File(path); f != nil {
		switch {
		case f.Change == review.Deleted:
			return "", lifecycle.Absent, nil
		case f.HasNew:
			return string(f.New), lifecycle.Present, nil
		case f.Nature != review.NatureUnchanged:
			return "", lifecycle.Unknown, nil
		}
	} else if in.Change.OldFile(path) != nil {
		return "", lifecycle.Absent, nil // renamed
	}
	if in.Head == nil {
		return "", lifecycle.Unknown, nil
	}
	text, err := in.Head.Read(ctx, path)
	switch {
	case errors.Is(err, review.ErrNoFile):
		return "", lifecycle.Absent, nil
	case errors.Is(err, review.ErrTooLarge):
		return "", lifecycle.Unknown, nil
	case err != nil:
		return "", lifecycle.Unknown, err
	}
	if _, valid := review.Text(text); !valid {
		return "", lifecycle.Unknown, nil
	}
	return string(text), lifecycle.Present, nil
}

// writePlan says what is written at the forge; nothing for a review that is not shown there.
func (s *session) writePlan(ctx context.Context, in *review.Inspection, res *lifecycle.Result, known []review.Known) (publish.Plan, error) {
	if !s.showing() {
		return publish.Plan{}, nil
	}
	written, err := s.p.Ledger.Publications(ctx, s.review.Pinned.Subject)
	if err != nil {
		return publish.Plan{}, err
	}
	applies, err := s.applicable(ctx, in, res.Findings)
	if err != nil {
		return publish.Plan{}, err
	}
	return publish.Compute(publish.PlanInput{
		Keys: s.p.PublishKeys, Subject: s.review.Pinned.Subject, Review: string(s.review.ID), Findings: res.Findings, Known: known,
		Written: written, Change: in.Change, Applies: applies, Settings: s.resolution.Settings,
	}), nil
}

// maxSuggestions bounds the suggestions that are tried.
const maxSuggestions = 2 * review.MaxInline

// applicable tries which suggestions can be applied: with its lines replaced the file parses with no more errors.
func (s *session) applicable(ctx context.Context, in *review.Inspection, findings []finding.Finding) (map[string]bool, error) {
	var (
		inputs []review.ParseInput
		ids    []string
		errs   []int
	)
	for i := range findings {
		f := &findings[i]
		file, now := in.Change.File(f.Location.Path), in.New[f.Location.Path]
		if len(inputs) == maxSuggestions || file == nil || !file.HasNew || !now.Usable() || !publish.Replaceable(f) || !render.Applicable(f.Suggestion) {
			continue
		}
		if text, ok := replaced(string(file.New), f); ok {
			inputs = append(inputs, review.ParseInput{Path: f.Location.Path, Content: []byte(text)})
			ids, errs = append(ids, lifecycle.KnownID(f.Name)), append(errs, len(now.Errors))
		}
	}
	out := map[string]bool{}
	if len(inputs) == 0 {
		return out, nil
	}
	var code []review.Code
	err := s.patiently(ctx, func(ctx context.Context) (err error) {
		code, err = s.p.Parser.Parse(ctx, inputs)
		return err
	})
	if err != nil {
		if fatal(ctx, err) {
			return nil, err
		}
		s.p.Logger.WarnContext(ctx, "suggestions are shown as code, since the parser is away", "review", string(s.review.ID), "error", err)
		return out, nil
	}
	for i := range code {
		out[ids[i]] = code[i].Usable() && len(code[i].Errors) <= errs[i]
	}
	return out, nil
}

// replaced is the file with the suggestion applied.
func replaced(text string, f *finding.Finding) (string, bool) {
	lines := strings.SplitAfter(text, "\n")
	start, end := f.Location.StartLine, f.Location.EndLine
	if start < 1 || end > len(lines) {
		return "", false
	}
	suggestion := strings.TrimSuffix(f.Suggestion, "\n") + "\n"
	return strings.Join(lines[:start-1], "") + suggestion + strings.Join(lines[end:], ""), true
}
