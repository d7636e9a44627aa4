package review

import (
	"slices"
	"time"

	"witan.dev/internal/job"
)

// MaxBaseChanges is how many reviews of a pull request begin by themselves in BaseChangesDay for another base branch than the
// one before (own choice): the author, who may change it, has all of the change looked at by that.
const (
	MaxBaseChanges = 5
	BaseChangesDay = 24 * time.Hour
)

// BaseChange is a review that began by itself for another base branch.
type BaseChange struct {
	At     time.Time `json:"at"`
	Review job.ID    `json:"review"`
}

// baseChanged says whether a review that nobody asked for is one for another base branch: there is another one than that of
// the review before, or it was changed, and be it back.
func (s *Subject) baseChanged(p *PullRequest, r *Review) bool {
	triggers := append([]Trigger{r.Trigger}, s.Joined...)
	if slices.ContainsFunc(triggers, Trigger.Asked) {
		return false
	}
	return s.Base != "" && s.Base != p.BaseBranch || slices.Contains(triggers, TriggerBaseChanged)
}

// BaseChangedOften says whether a review is not to begin since the base branch changes again and again.
func (s *Subject) BaseChangedOften(p *PullRequest, r *Review, now time.Time) bool {
	recent := 0
	for _, c := range s.BaseChanges {
		if now.Sub(c.At) < BaseChangesDay {
			recent++
		}
	}
	return recent >= MaxBaseChanges && s.baseChanged(p, r)
}

// BaseUnread says whether the head of a pull request was reviewed, but for another base branch than it has now: what stands at
// that commit says nothing of this one.
func (s *Subject) BaseUnread(p *PullRequest) bool {
	return s.DoneBase != "" && s.DoneHead == p.Head && s.DoneBase != p.BaseBranch
}

// Based notes the base branch of a review that begins; once, however often it does.
func (s *Subject) Based(p *PullRequest, r *Review, now time.Time) {
	s.BaseChanges = slices.DeleteFunc(s.BaseChanges, func(c BaseChange) bool { return now.Sub(c.At) >= BaseChangesDay })
	counted := slices.ContainsFunc(s.BaseChanges, func(c BaseChange) bool { return c.Review == r.ID })
	if !counted && s.baseChanged(p, r) {
		s.BaseChanges = append(s.BaseChanges, BaseChange{At: now, Review: r.ID})
	}
	s.Base = p.BaseBranch
}
