package events

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"witan.dev/internal/finding"
	"witan.dev/internal/job/engine"
	"witan.dev/services/review"
	"witan.dev/services/review/reviewers/secrets"
)

// help lists the commands.
const help = "Commands, at the start of a line:\n\n" +
	"- `/witan review` · `/witan review full`: review what is new, or all of it\n" +
	"- `/witan ask QUESTION`: ask the council about this pull request, or about the code of a thread\n" +
	"- `/witan pause` · `/witan resume`: no reviews by themselves here · again\n" +
	"- `/witan dismiss [ID] [reason]`: do not show a finding again; in its thread without an ID\n" +
	"- `/witan config`: the settings in force, and what was reviewed\n" +
	"- `/witan help`: this list"

// effective is what is answered to the command config.
type effective struct {
	Settings review.Settings `json:"settings"`
	Wrong    []string        `json:"wrong,omitempty"`
	Paused   bool            `json:"paused,omitempty"`
	DoneHead string          `json:"done_head,omitempty"`
	Files    int             `json:"files,omitempty"`
}

// config answers with the settings in force, where they come from, and what was reviewed.
func (o *order) config() (*engine.Failure, error) {
	var e effective
	f, err := step(o.session, o.step("config"), &e, func(ctx context.Context) (e effective, err error) {
		if e.Settings, e.Wrong, err = o.settings(ctx, &o.pull); err != nil {
			return e, err
		}
		e.clean(ctx, o.p.Secrets)
		err = o.change(ctx, o.pull.Subject(), func(s *review.Subject) {
			e.Paused, e.DoneHead, e.Files = s.Paused, s.DoneHead, len(s.Files)
		})
		return e, err
	})
	if f != nil || err != nil {
		return f, err
	}
	return o.say("say", "The settings in force here:", e.lines()...)
}

// clean takes out what looks like a secret: whoever may read the pull request is shown the settings.
func (e *effective) clean(ctx context.Context, scanner *secrets.Reviewer) {
	s := &e.Settings
	texts := []*string{&s.Council}
	for _, list := range []*[]string{
		&e.Wrong, &s.Branches, &s.IgnoreAuthors, &s.IgnoreTitles, &s.IgnoreLabels, &s.Labels, &s.Include, &s.Exclude, &s.Generated, &s.Guidelines,
	} {
		*list = slices.Clone(*list)
		for i := range *list {
			texts = append(texts, &(*list)[i])
		}
	}
	for i := range s.Instructions {
		s.Instructions[i] = review.Instruction{} // they are counted
	}
	scanner.Clean(ctx, texts...)
}

// lines are in our own markdown; what comes from the repository stands in code spans.
func (e *effective) lines() []string {
	s := &e.Settings
	origin := "the defaults: the base branch has no `.witan.yaml`"
	switch {
	case len(e.Wrong) > 0:
		origin = "the defaults, since the `.witan.yaml` at the tip of the base branch cannot be used"
	case s.Digest != "":
		origin = "`.witan.yaml` at the tip of the base branch, digest " + finding.CodeSpan(s.Digest) + ", and the defaults for the rest"
	}
	out := []string{"From " + origin + "."}
	if len(e.Wrong) > 0 {
		out = append(out, list(e.Wrong))
	}
	out = append(out, list([]string{
		fmt.Sprintf("starts by itself when opened: %t, pushed: %t, ready: %t; drafts: %t", s.AutoOpened, s.AutoPush, s.AutoReady, s.Drafts),
		"base branches: " + all(s.Branches), "only with one of the labels: " + none(s.Labels),
		"ignored authors: " + none(s.IgnoreAuthors) + "; titles: " + none(s.IgnoreTitles) + "; labels: " + none(s.IgnoreLabels),
		"included: " + all(s.Include), "excluded: " + none(s.Exclude), "generated: " + none(s.Generated),
		fmt.Sprintf("published from: %s, the check fails from: %s", s.PublishFrom, s.FailOn),
		fmt.Sprintf("instructions: %d, guidelines: %s", len(s.Instructions), none(s.Guidelines)),
		"council: " + first(s.Council, "the server's default"), "votes beside the server's: " + votes(s.MinVotes),
		"static reviewers set otherwise: " + reviewers(s.Reviewers), "budget of a review: " + budget(s), "context: " + codeAround(s),
		fmt.Sprintf("comments on lines: %t, at most %d, suggestions: %t", s.Inline, s.MaxInline, s.Suggestions),
		fmt.Sprintf("walkthrough: %t, collapsed: %t", s.Walkthrough, s.WalkthroughCollapse),
		fmt.Sprintf("check run: %t, incomplete: %s", s.Check, map[bool]string{false: "neutral", true: "failure"}[s.IncompleteFails]),
	}))
	if e.Paused {
		out = append(out, "Reviews are paused here; `/witan resume` lets them start again.")
	}
	if e.DoneHead == "" {
		return append(out, "Nothing was reviewed here yet.")
	}
	return append(out, fmt.Sprintf("Reviewed up to %s: %s in full.", finding.CodeSpan(e.DoneHead[:min(len(e.DoneHead), 12)]), number(int64(e.Files), "file")))
}

func list(items []string) string {
	var b strings.Builder
	for i, text := range items {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString("- " + finding.CodeSpan(text))
	}
	return b.String()
}

func all(patterns []string) string { return first(strings.Join(patterns, ", "), "all") }

func none(patterns []string) string { return first(strings.Join(patterns, ", "), "none") }

func first(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	const longest = 500
	if len(text) > longest {
		return strings.ToValidUTF8(text[:longest], "") + " …"
	}
	return text
}

func budget(s *review.Settings) string {
	var parts []string
	if s.MaxCalls > 0 {
		parts = append(parts, number(s.MaxCalls, "call"))
	}
	if s.MaxTokens > 0 {
		parts = append(parts, number(s.MaxTokens, "token"))
	}
	if s.MaxCost > 0 {
		parts = append(parts, fmt.Sprintf("a cost of %.4f", float64(s.MaxCost)/1e6))
	}
	return first(strings.Join(parts, ", "), "the server's")
}

func number(n int64, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

func votes(min map[finding.Severity]int) string {
	var parts []string
	for s := finding.SeverityCritical; s > finding.SeverityUnspecified; s-- {
		if n := min[s]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s: %d", s, n))
		}
	}
	return none(parts)
}

func reviewers(set map[string]review.ReviewerSettings) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(set)) {
		r := set[name]
		text := fmt.Sprintf("%s: %t", name, !r.Off)
		if r.Severity != finding.SeverityUnspecified {
			text += ", severity " + r.Severity.String()
		}
		parts = append(parts, text)
	}
	return first(strings.Join(parts, "; "), "none")
}

func codeAround(s *review.Settings) string {
	if s.ContextOff {
		return "none"
	}
	tokens := "the server's"
	if s.ContextTokens > 0 {
		tokens = number(int64(s.ContextTokens), "token")
	}
	return tokens + ", sources: " + first(strings.Join(s.ContextSources, ", "), "the server's")
}
