package review

import (
	"slices"
	"strings"
)

// Why a pull request is not looked at. The words are stored and shown: they never change.
const (
	DeclinedClosed       = "CLOSED"
	DeclinedDraft        = "DRAFT"
	DeclinedPaused       = "PAUSED"
	DeclinedTrigger      = "TRIGGER_OFF"
	DeclinedBranch       = "BASE_BRANCH"
	DeclinedAuthor       = "IGNORED_AUTHOR"
	DeclinedTitle        = "IGNORED_TITLE"
	DeclinedLabel        = "IGNORED_LABEL"
	DeclinedLabelMissing = "LABEL_MISSING"
	DeclinedNotConcerned = "LABEL_NOT_CONCERNED"
	DeclinedBaseChanges  = "BASE_CHANGED_OFTEN"
	DeclinedBaseUnread   = "BASE_NOT_REVIEWED"
)

// Asked says that a person wants this review: what a repository has set for reviews that start by themselves does not hold
// it back.
func (t Trigger) Asked() bool {
	return t == TriggerCaller || t == TriggerCommand || t == TriggerRequested || t == TriggerCheckRequested
}

// Decline says why a pull request is not looked at, empty where it is. Silent: nothing is shown of that either, since nobody
// waits for it. What of the subject counts are a pause and the triggers that joined: the review begins for any of them.
func (s *Settings) Decline(p *PullRequest, r *Review, subject *Subject) (reason string, silent bool) {
	if p.State != PullOpen && r.Publish {
		return DeclinedClosed, !r.Trigger.Asked()
	}
	silent = true
	for _, t := range append([]Trigger{r.Trigger}, subject.Joined...) {
		why, still := s.decline(p, t, labels(r, subject), subject.Paused)
		if why == "" {
			return "", false
		}
		reason, silent = why, silent && still
	}
	return reason, silent
}

// labels are those that the review was asked for by.
func labels(r *Review, subject *Subject) []string {
	if r.Trigger != TriggerLabeled {
		return subject.JoinedLabels
	}
	return append([]string{r.TriggerLabel}, subject.JoinedLabels...)
}

func (s *Settings) decline(p *PullRequest, t Trigger, labels []string, paused bool) (reason string, silent bool) {
	switch {
	case t.Asked():
		return "", false
	case paused:
		return DeclinedPaused, true
	case t == TriggerLabeled && !slices.ContainsFunc(labels, s.concerned):
		return DeclinedNotConcerned, true
	case s.off(t):
		return DeclinedTrigger, true
	case p.Draft && !s.Drafts:
		return DeclinedDraft, false
	case len(s.Branches) > 0 && !anyMatch(s.Branches, p.BaseBranch):
		return DeclinedBranch, false
	case anyMatch(s.IgnoreAuthors, p.Author):
		return DeclinedAuthor, false
	case anyMatch(s.IgnoreTitles, p.Title):
		return DeclinedTitle, false
	case slices.ContainsFunc(p.Labels, func(l string) bool { return anyMatch(s.IgnoreLabels, l) }):
		return DeclinedLabel, false
	case len(s.Labels) > 0 && !slices.ContainsFunc(p.Labels, func(l string) bool { return anyMatch(s.Labels, l) }):
		return DeclinedLabelMissing, false
	}
	return "", false
}

// concerned says whether a label decides over reviews.
func (s *Settings) concerned(label string) bool {
	return anyMatch(s.Labels, label) || anyMatch(s.IgnoreLabels, label)
}

func (s *Settings) off(t Trigger) bool {
	switch t {
	case TriggerOpened, TriggerReopened:
		return !s.AutoOpened
	case TriggerPushed, TriggerBaseChanged:
		return !s.AutoPush
	case TriggerReady:
		return !s.AutoReady
	default:
		return false
	}
}

// anyMatch says whether text matches one of the patterns, in which * stands for any letters and ? for one, whatever their
// case.
func anyMatch(patterns []string, text string) bool {
	letters := []rune(strings.ToLower(text))
	return slices.ContainsFunc(patterns, func(p string) bool { return wildcard([]rune(strings.ToLower(p)), letters) })
}

// wildcard needs at most len(pattern) times len(text) steps.
func wildcard(pattern, text []rune) bool {
	p, t, star, mark := 0, 0, -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p, t = p+1, t+1
		case star >= 0:
			mark++
			p, t = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
