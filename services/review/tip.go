package review

import (
	"slices"
	"time"

	"witan.dev/internal/job"
)

// Bounds of what is kept of earlier tips (own choices).
const (
	// tipsKept is how long the index of an earlier tip stays: reviews that began with it may be under way.
	tipsKept = 24 * time.Hour
	// maxEarlier is how many of them stay at most.
	maxEarlier = 50
)

// Tip is a default branch whose newest commit is indexed, in the row of its repository. The zero value is that of a
// repository of which nothing was told.
type Tip struct {
	// Branch is the default branch as it was told of last.
	Branch string `json:"branch,omitempty"`
	// Job is the newest that indexes the tip. Begun says that it has stopped waiting for pushes.
	Job   job.ID `json:"job,omitempty"`
	Begun bool   `json:"begun,omitempty"`
	// FirstPush and LastPush are when the pushes came that Job is for.
	FirstPush time.Time `json:"first_push,omitzero"`
	LastPush  time.Time `json:"last_push,omitzero"`
	// Turn counts such jobs: it is Job's.
	Turn int `json:"turn,omitempty"`
	// Commit is the newest tip that was indexed, Index its index, and IndexedTurn that of the job that did it.
	Commit      string `json:"commit,omitempty"`
	Index       string `json:"index,omitempty"`
	IndexedTurn int    `json:"indexed_turn,omitempty"`
	// Earlier are the indexes of tips before that one, the oldest first.
	Earlier []EarlierTip `json:"earlier,omitempty"`
}

// EarlierTip is the index of a tip that is none any more.
type EarlierTip struct {
	Index string    `json:"index"`
	Until time.Time `json:"until"` // when it was replaced
}

// Pushed takes a push in. It is answered by the job that waits already, if any, which then waits longer; else by id.
func (t *Tip) Pushed(branch string, id job.ID, now time.Time, unfinished bool) (by job.ID) {
	t.Branch, t.LastPush = branch, now
	if t.Job != "" && unfinished && !t.Begun {
		return t.Job
	}
	t.Job, t.Begun, t.FirstPush = id, false, now
	t.Turn++
	return id
}

// Begin lets a job index the tip, or says how long it waits before: until pause after the last push, but not beyond limit
// after the first one. It is not ok for a job that is not the newest, which leaves the tip to that one.
func (t *Tip) Begin(id job.ID, now time.Time, pause, limit time.Duration) (wait time.Duration, ok bool) {
	if t.Job != id {
		return 0, false
	}
	if !t.Begun {
		wait = calm(t.FirstPush, t.LastPush, now, pause, limit)
		t.Begun = wait == 0
	}
	return wait, true
}

// Indexed makes an index that of the tip, and says whether it is: a job of a later turn that was faster has indexed a newer
// one, and then this one is earlier from the beginning.
func (t *Tip) Indexed(commit, index string, turn int, now time.Time) bool {
	t.Earlier = slices.DeleteFunc(t.Earlier, func(e EarlierTip) bool { return e.Index == index })
	switch {
	case turn < t.IndexedTurn:
		if t.Index != index {
			t.Earlier = append(t.Earlier, EarlierTip{Index: index, Until: now})
		}
		return t.Index == index
	case t.Index != "" && t.Index != index:
		t.Earlier = append(t.Earlier, EarlierTip{Index: t.Index, Until: now})
	}
	t.Commit, t.Index, t.IndexedTurn = commit, index, turn
	return true
}

// Leave lets an index that is none of a tip be removed like those of long ago.
func (t *Tip) Leave(index string) {
	t.Earlier = append([]EarlierTip{{Index: index}}, t.Earlier...)
}

// Over are the indexes of earlier tips that stay no longer.
func (t *Tip) Over(now time.Time) []string {
	var out []string
	for i, e := range t.Earlier {
		if i < len(t.Earlier)-maxEarlier || now.Sub(e.Until) >= tipsKept {
			out = append(out, e.Index)
		}
	}
	return out
}

// Forget takes indexes that are gone out.
func (t *Tip) Forget(indexes ...string) {
	t.Earlier = slices.DeleteFunc(t.Earlier, func(e EarlierTip) bool { return slices.Contains(indexes, e.Index) })
	if slices.Contains(indexes, t.Index) {
		t.Commit, t.Index = "", ""
	}
}

// Indexes are all indexes of its tips.
func (t *Tip) Indexes() []string {
	var out []string
	for _, e := range t.Earlier {
		out = append(out, e.Index)
	}
	if t.Index != "" {
		out = append(out, t.Index)
	}
	return out
}

// calm is how long to wait until no push came for pause, but not beyond limit after the first one.
func calm(first, last, now time.Time, pause, limit time.Duration) time.Duration {
	until := last.Add(pause)
	if latest := first.Add(limit); latest.Before(until) {
		until = latest
	}
	return max(until.Sub(now), 0)
}

// IndexedFor notes that the owner has indexes of the repository, in its row, and says whether that was new.
func (s *Subject) IndexedFor(owner string, repo Repo) bool {
	before := s.Pull
	s.Pull = s.Pull.refreshed(PullRef{Repo: repo})
	known := slices.Contains(s.Indexers, owner)
	if !known {
		s.Indexers = append(slices.Clone(s.Indexers), owner)
	}
	return !known || s.Pull != before
}

// ForgetIndexes takes indexes that are gone out of the row of a repository.
func (s *Subject) ForgetIndexes(indexes ...string) {
	s.Tip.Forget(indexes...)
	if slices.Contains(indexes, s.Index) {
		s.Snapshot, s.Index = "", ""
	}
}

// ForgetCode forgets all that was indexed of the repository, in its row. Turns go on: jobs from before may still run.
func (s *Subject) ForgetCode() {
	s.Snapshot, s.Index, s.Indexers, s.Tip = "", "", nil, Tip{Turn: s.Tip.Turn}
}
