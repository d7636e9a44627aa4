package review

import (
	"slices"
	"time"

	"witan.dev/internal/job"
)

// MaxSuperseded is how many reviews of a subject in a row give way to a newer push (own choice). The next one is left to
// finish, so that steady pushing does not starve a pull request.
const MaxSuperseded = 3

// maxJoinedLabels is how many labels that joined a waiting review are remembered: more than a pull request can have.
const maxJoinedLabels = 200

// Admission is what becomes of the request for a review.
type Admission struct {
	// Join is the waiting review that answers the request too; empty: a new one is made.
	Join job.ID
	// Supersedes is the review whose place the new one takes; empty: none.
	Supersedes job.ID
}

// Admit takes in the request for a review at a time. unfinished says whether a job has not ended; reviews that ended
// elsewhere are forgotten here. The subject is changed and must be stored.
//
// What starts by itself joins a review that waits: that one reads the newest head, and begins where any of its triggers is
// one to begin for. A person's request takes the place of whatever has not published yet. A push takes the place of a
// running review that started by itself, since what let that one begin lets the new one begin too; everything else waits
// for the running one, and may then still be declined.
func (s *Subject) Admit(r *Review, now time.Time, unfinished func(job.ID) bool) Admission {
	s.forget(unfinished)
	s.Pull = s.Pull.refreshed(r.Pinned.Source.Pull)
	if r.Trigger == TriggerReopened {
		s.Closed = false
	}
	if s.Waiting && !r.Trigger.Asked() {
		s.join(r, now)
		return Admission{Join: s.Current}
	}
	a := Admission{Supersedes: s.giveWay(r.Trigger)}
	s.Current, s.Waiting, s.FirstPush, s.LastPush = r.ID, true, time.Time{}, time.Time{}
	s.Joined, s.JoinedLabels, s.JoinedReports, s.Joins = nil, nil, nil, 0
	if r.Trigger == TriggerPushed {
		s.push(now)
	}
	return a
}

// join notes what the waiting review answers too. Only pushes let it wait on.
func (s *Subject) join(r *Review, now time.Time) {
	s.Joins++
	if !slices.Contains(s.Joined, r.Trigger) {
		s.Joined = append(s.Joined, r.Trigger)
	}
	label := r.TriggerLabel
	if r.Trigger == TriggerLabeled && len(s.JoinedLabels) < maxJoinedLabels && !slices.Contains(s.JoinedLabels, label) {
		s.JoinedLabels = append(s.JoinedLabels, label)
	}
	for _, report := range r.Pinned.Source.Reports {
		report.Owner = r.Owner // the waiting review may be somebody else's
		s.JoinedReports = MergeReports(s.JoinedReports, []ReportRef{report})
	}
	switch r.Trigger {
	case TriggerPushed:
		s.push(now)
	case TriggerLabeled: // decides whether, not when
	default:
		s.FirstPush, s.LastPush = time.Time{}, time.Time{}
	}
}

// Unfinished says of the subject's reviews, by the states of their jobs, whether they still go on. One that was told to stop
// does not, unless it writes at the forge: nobody may join it, and what waits for it need not.
func (s *Subject) Unfinished(states map[job.ID]job.State) func(job.ID) bool {
	publishing := job.ID("")
	if s.Publishing {
		publishing = s.Running
	}
	return func(id job.ID) bool {
		state, known := states[id]
		return known && !state.Terminal() && (state != job.StateCancelling || id == publishing)
	}
}

// forget drops reviews that have ended without saying so here.
func (s *Subject) forget(unfinished func(job.ID) bool) {
	if s.Running != "" && !unfinished(s.Running) {
		s.Running, s.Publishing = "", false
	}
	if s.Current != "" && !unfinished(s.Current) {
		s.Current, s.Waiting = "", false
	}
}

// push moves the clock of the waiting review.
func (s *Subject) push(now time.Time) {
	s.LastPush = now
	if s.FirstPush.IsZero() {
		s.FirstPush = now
	}
}

// giveWay names the review that a new one replaces: the waiting one, which has done nothing yet, or the running one.
func (s *Subject) giveWay(t Trigger) job.ID {
	pushed := t == TriggerPushed || t == TriggerBaseChanged
	switch {
	case s.Waiting:
		return s.Current
	case s.Running == "", s.Publishing:
		return ""
	case !t.Asked() && (!pushed || s.RunningAsked || s.PushOff || s.Superseded >= MaxSuperseded):
		return ""
	}
	gone := s.Running
	s.Superseded++
	s.Running = ""
	return gone
}

// refreshed is the reference under the names that a newer one has, which says less in places.
func (p PullRef) refreshed(newer PullRef) PullRef {
	if newer.ID == 0 {
		newer.ID = p.ID
	}
	if newer.Installation == 0 {
		newer.Installation = p.Installation
	}
	return newer
}

// Claim lets a review that has read its head and its settings begin. seen is what Joins was before it read them.
func (s *Subject) Claim(r *Review, set *Settings, seen int, unfinished func(job.ID) bool) Claim {
	s.forget(unfinished)
	switch {
	case s.Current != "" && s.Current != r.ID:
		return Claim{SupersededBy: s.Current}
	case s.Running != "" && s.Running != r.ID:
		return Claim{After: s.Running}
	case s.Waiting && s.Joins != seen:
		return Claim{Joined: true}
	}
	s.Current, s.Waiting, s.Running, s.Publishing = r.ID, false, r.ID, false
	s.RunningAsked, s.PushOff = r.Trigger.Asked(), !set.AutoPush
	return Claim{Granted: true}
}

// Claim is what became of a review's wish to begin. One field is set.
type Claim struct {
	Granted bool
	// SupersededBy is a newer review.
	SupersededBy job.ID
	// After is a review that has to end before.
	After job.ID
	// Joined: there was something more, such as a push, and all has to be read again.
	Joined bool
}

// Publish lets a review write at the forge; false: Current took its place, and it must not.
func (s *Subject) Publish(id job.ID) bool {
	if s.Running != id {
		return false
	}
	s.Publishing = true
	return true
}

// End forgets a review that ends. Published says that it came to its end.
func (s *Subject) End(id job.ID, published bool) {
	if s.Running == id {
		s.Running, s.Publishing = "", false
		if published {
			s.Superseded = 0
		}
	}
	if s.Current == id {
		s.Current, s.Waiting = "", false
	}
}

// Quiet is how long the waiting review still has to wait for pushes: until pause after the last one, but not beyond limit
// after the first one.
func (s *Subject) Quiet(now time.Time, pause, limit time.Duration) time.Duration {
	if s.LastPush.IsZero() {
		return 0
	}
	return calm(s.FirstPush, s.LastPush, now, pause, limit)
}
