package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/finding"
	"witan.dev/internal/job/engine"
	"witan.dev/services/review"
	"witan.dev/services/review/material"
	"witan.dev/services/review/reviewers/secrets"
	"witan.dev/services/review/wire"
)

const (
	// smallContext is assumed of a model that does not say how much fits.
	smallContext = 8192
	// promptTokens are kept free for rules, categories and the request (own choice).
	promptTokens = 2000
	// maxPart bounds a part whatever fits: attention is thinner than context (own choice).
	maxPart = 24_000
	// inlineBytes is up to where parts travel inside the request; its limit is 2 MiB.
	inlineBytes = 1 << 20
)

// planned is what the context step stores.
type planned struct {
	Members int    `json:"members"`
	Parts   string `json:"parts,omitempty"` // blob
	// Ready says that the indexes can be asked.
	Ready bool `json:"ready"`
	// Away is the reason for which no council can be convened, empty otherwise.
	Away   string                         `json:"away,omitempty"`
	Limits review.ByPath[[]review.Reason] `json:"limits,omitempty"`
	Notes  []string                       `json:"notes,omitempty"`
	// Redactions counts the places of secrets in the parts.
	Redactions int `json:"redactions,omitempty"`
	// Council is the one that is convened, empty for the default one. Terms and MinVotes are its own and stricter ones.
	Council  string                   `json:"council,omitempty"`
	Terms    []byte                   `json:"terms,omitempty"`
	MinVotes map[finding.Severity]int `json:"min_votes,omitempty"`
	Budget   review.Budget            `json:"budget,omitzero"`
	// Held says that the budget is held in those of the day and the month.
	Held     bool             `json:"held,omitempty"`
	Estimate *review.Estimate `json:"estimate,omitempty"`
	Rules    string           `json:"rules,omitempty"` // blob
	// Basis is what this reading rests on; Carried are the files whose earlier reading still holds.
	Basis   review.Basis                      `json:"basis,omitzero"`
	Carried review.ByPath[review.CoveredFile] `json:"carried,omitempty"`
}

// context waits for the indexes and makes the council's material. Without a model there is none to make.
func (s *session) context(got *progress) (*engine.Failure, error) {
	return s.plans(got, stepContext)
}

func (s *session) plans(got *progress, name string) (*engine.Failure, error) {
	return step(s, name, &got.planned, func(ctx context.Context) (planned, error) {
		in, err := s.load(ctx)
		if err != nil {
			return planned{}, err
		}
		var p planned
		if p.Ready, err = s.awaitIndexes(ctx, &got.fetched, &p); err != nil {
			return p, err
		}
		info, err := s.describe(ctx, &p)
		if err != nil {
			return p, err
		}
		if err := s.carry(ctx, in, &info, &p); err != nil {
			return p, err
		}
		plan := material.Plan{}
		switch {
		case p.Away != "":
			p.missed(unread(in.Change, p.Carried), finding.ReasonCouncilUnavailable)
		case info.Members > 0:
			if plan, err = s.plan(ctx, got, in, info, &p); err != nil {
				return p, err
			}
		}
		return p, s.announcePlan(ctx, name, plan.Parts, &p)
	})
}

// awaitIndexes says whether both indexes can be asked.
func (s *session) awaitIndexes(ctx context.Context, f *fetched, p *planned) (bool, error) {
	if f.Index == "" {
		return false, nil
	}
	limited, cancel := context.WithTimeout(ctx, s.p.Limits.Index)
	defer cancel()
	for _, b := range []struct{ job, step string }{{f.BaseIndexJob, stepBase}, {f.IndexJob, stepHead}} {
		state, err := s.await(limited, b.job, b.step)
		switch {
		case err != nil && fatal(ctx, err):
			return false, err
		case err != nil || !state.Done():
			s.p.Logger.WarnContext(ctx, "the review goes on without an index", "job", b.job, "state", state.State, "error", err)
			p.Notes = append(p.Notes, "the code could not be indexed: structure was not checked, the material has less context")
			return false, nil
		}
	}
	return true, nil
}

func (s *session) describe(ctx context.Context, p *planned) (review.CouncilInfo, error) {
	settings := &s.resolution.Settings
	p.Council = cmp.Or(s.review.Council, settings.Council)
	var info review.CouncilInfo
	ask := func(ctx context.Context) (err error) {
		info, err = s.p.Council.Describe(ctx, p.Council)
		return err
	}
	err := s.patiently(ctx, ask)
	if errors.Is(err, review.ErrCouncilNotFound) && p.Council != "" && p.Council == settings.Council {
		p.Notes = append(p.Notes, "the repository's configuration names a council that this server does not have; the default one was asked")
		p.Council = ""
		err = s.patiently(ctx, ask)
	}
	if err != nil && (fatal(ctx, err) || !errors.Is(err, review.ErrUnavailable)) {
		return info, err
	}
	if err != nil {
		p.Away = string(finding.ReasonCouncilUnavailable)
		p.Notes = append(p.Notes, "the council could not be reached")
	}
	p.Members, p.Terms = info.Members, info.Terms
	if len(settings.MinVotes) > 0 {
		p.MinVotes = review.Stricter(info.MinVotes, settings.MinVotes)
	}
	p.Budget = info.Budget.Min(s.p.Budgets.Review).Min(settings.Budget())
	return info, nil
}

// plan makes the parts, redacted, and stores them. Secrets are taken out before the change is cut into parts, since half
// of one would not be known again, and once more from the parts, which hold code from elsewhere too.
func (s *session) plan(ctx context.Context, got *progress, in *review.Inspection, info review.CouncilInfo, p *planned) (material.Plan, error) {
	redactor, notScanned := s.redact(ctx, in)
	change := unread(in.Change, p.Carried)
	rules := 0
	if notScanned == nil {
		change = redactedChange(change, redactor)
		rules, notScanned = s.keepRules(ctx, in, change, redactor, info, p)
		if notScanned != nil && !errors.Is(notScanned, errUnscanned) {
			return material.Plan{}, notScanned
		}
	}
	room := room(info, rules)
	around := max(min(s.contextTokens(), room/4), 0)
	plan := material.Build(change, in.Old, in.New, room-around)
	p.Limits = plan.Limits
	if notScanned != nil {
		return s.unscanned(ctx, plan, notScanned, p)
	}
	look := *in
	surroundings := material.Surroundings{Inspection: look, Budget: around, Sources: s.contextSources()}
	if p.Ready {
		surroundings.Inspection.BaseIndex, surroundings.Inspection.HeadIndex = got.fetched.BaseIndex, got.fetched.Index
		surroundings.Index = s.p.Index
	}
	texts := make([]*string, 0, len(plan.Parts))
	for i := range plan.Parts {
		if err := surroundings.Add(ctx, &plan.Parts[i]); err != nil {
			return plan, err
		}
		texts = append(texts, &plan.Parts[i].Text)
	}
	if err := learn(ctx, redactor, texts); err != nil {
		return s.unscanned(ctx, plan, err, p)
	}
	for _, t := range texts {
		*t = redactor.Apply(*t)
		p.Redactions += strings.Count(*t, "[secret:")
	}
	for _, why := range surroundings.Gaps {
		p.Notes = append(p.Notes, "the code around the change that members are shown may lack something: "+why)
	}
	var err error
	if plan.Parts, err = s.afford(ctx, plan.Parts, p); err != nil {
		return plan, err
	}
	if err := s.outsource(ctx, plan.Parts); err != nil {
		return plan, err
	}
	p.Parts, err = s.put(ctx, plan.Parts)
	return plan, err
}

// keepRules stores the repository's own rules and returns what they take in tokens: at most a quarter of what fits.
func (s *session) keepRules(
	ctx context.Context, in *review.Inspection, change *review.Change, redactor *secrets.Redactor, info review.CouncilInfo, p *planned,
) (int, error) {
	files := make([]review.Path, 0, len(change.Files))
	for i := range change.Files {
		if f := &change.Files[i]; f.Policy == "" && !f.Metadata() {
			files = append(files, review.Path(f.Path))
		}
	}
	rules, err := s.rules(ctx, in, files, redactor, room(info, 0)/4, p)
	if err != nil || len(rules) == 0 {
		return 0, err
	}
	tokens := 0
	for _, r := range rules {
		tokens += material.Tokens(r)
	}
	p.Rules, err = s.put(ctx, rules)
	return tokens, err
}

// contextTokens is the budget for the code around a part: the server's, or the repository's where that is smaller.
func (s *session) contextTokens() int {
	settings := &s.resolution.Settings
	switch {
	case settings.ContextOff:
		return 0
	case settings.ContextTokens > 0:
		return min(settings.ContextTokens, s.p.ContextTokens)
	}
	return s.p.ContextTokens
}

// contextSources are those that the repository wants of those that the server allows.
func (s *session) contextSources() []string {
	out := s.p.ContextSources
	if len(out) == 0 {
		out = review.ContextSources()
	}
	wanted := s.resolution.Settings.ContextSources
	if len(wanted) == 0 {
		return out
	}
	return slices.DeleteFunc(slices.Clone(out), func(name string) bool { return !slices.Contains(wanted, name) })
}

// redactedChange is the change without the secrets that are known. The heading of a hunk may end within one.
func redactedChange(c *review.Change, r *secrets.Redactor) *review.Change {
	out := &review.Change{Files: slices.Clone(c.Files)}
	for i := range out.Files {
		hunks := slices.Clone(out.Files[i].Hunks)
		for h := range hunks {
			hunks[h].Section = r.ApplyCut(hunks[h].Section)
			hunks[h].Lines = slices.Clone(hunks[h].Lines)
			for l := range hunks[h].Lines {
				hunks[h].Lines[l].Text = r.Apply(hunks[h].Lines[l].Text)
			}
		}
		out.Files[i].Hunks = hunks
	}
	return out
}

// unscanned drops the material: what was not scanned for secrets is not sent.
func (s *session) unscanned(ctx context.Context, plan material.Plan, err error, p *planned) (material.Plan, error) {
	if fatal(ctx, err) {
		return material.Plan{}, err
	}
	for i := range plan.Parts {
		for _, path := range plan.Parts[i].Paths {
			p.limit(path, finding.ReasonReviewerFailed)
		}
	}
	p.Away = string(finding.ReasonReviewerFailed)
	p.Notes = append(p.Notes, "the material could not be scanned for secrets, so nothing was sent to a model")
	return material.Plan{}, nil
}

// outsource moves the texts of the parts into blobs when they are too large for a request.
func (s *session) outsource(ctx context.Context, parts []review.Part) error {
	total := 0
	for i := range parts {
		total += len(parts[i].Text)
	}
	if total <= inlineBytes {
		return nil
	}
	for i := range parts {
		var err error
		if parts[i].Blob, err = s.keep(ctx, []byte(parts[i].Text)); err != nil {
			return fmt.Errorf("store %s: %w", parts[i].ID, err)
		}
		parts[i].Text = ""
	}
	return nil
}

// room is how large a part may be beside the repository's rules, in tokens.
func room(info review.CouncilInfo, rules int) int {
	size := info.ContextTokens
	if size <= 0 {
		size = smallContext
	}
	reply := min(max(info.OutputTokens, 1000), size/3)
	return max(min(size-reply-promptTokens-rules, maxPart), material.MinRoom)
}

func (s *session) announcePlan(ctx context.Context, name string, parts []review.Part, p *planned) error {
	event := &reviewv1.Planned{Parts: wire.Number(len(parts)), Redactions: wire.Number(p.Redactions), Estimate: wire.Estimate(p.Estimate)}
	files := map[review.Path]bool{}
	for i := range parts {
		for _, path := range parts[i].Paths {
			files[path] = true
		}
	}
	event.Files = wire.Number(len(files))
	return s.log(ctx, name, "planned", &reviewv1.ReviewEvent{Event: &reviewv1.ReviewEvent_Planned{Planned: event}})
}
