package review_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/job"
	"witan.dev/services/review"
)

// desk is a subject with the jobs that have ended.
type desk struct {
	review.Subject

	ended map[job.ID]bool
	now   time.Time
}

func newDesk() *desk {
	return &desk{ended: map[job.ID]bool{}, now: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}
}

func (d *desk) unfinished(id job.ID) bool { return id != "" && !d.ended[id] }

func (d *desk) admit(id job.ID, t review.Trigger) review.Admission {
	return d.Admit(&review.Review{ID: id, Trigger: t}, d.now, d.unfinished)
}

func (d *desk) claim(id job.ID, t review.Trigger) review.Claim {
	set := review.DefaultSettings()
	return d.Claim(&review.Review{ID: id, Trigger: t}, &set, d.Joins, d.unfinished)
}

func (d *desk) start(t *testing.T, id job.ID, trigger review.Trigger) {
	t.Helper()
	require.Empty(t, d.admit(id, trigger).Join)
	require.True(t, d.claim(id, trigger).Granted)
}

func TestAPushJoinsWhatWaitsAndMovesItsClock(t *testing.T) {
	t.Parallel()
	d := newDesk()
	require.Empty(t, d.admit("a", review.TriggerPushed))
	require.Equal(t, 20*time.Second, d.Quiet(d.now, 20*time.Second, 2*time.Minute))
	for range 11 {
		d.now = d.now.Add(10 * time.Second)
		require.Equal(t, review.Admission{Join: "a"}, d.admit("b", review.TriggerPushed))
	}
	require.Equal(t, 10*time.Second, d.Quiet(d.now, 20*time.Second, 2*time.Minute), "two minutes after the first")
	require.Equal(t, 11, d.Joins)

	require.Equal(t, review.Admission{Join: "a"}, d.admit("c", review.TriggerReady))
	require.Zero(t, d.Quiet(d.now, 20*time.Second, 2*time.Minute), "begins at once")
	require.Equal(t, []review.Trigger{review.TriggerPushed, review.TriggerReady}, d.Joined)
}

func TestReportsOfWhatJoinsAreKept(t *testing.T) {
	t.Parallel()
	d := newDesk()
	require.Empty(t, d.admit("a", review.TriggerPushed))
	join := func(owner string, reports ...review.ReportRef) {
		r := &review.Review{ID: "b", Owner: owner, Trigger: review.TriggerPushed}
		r.Pinned.Source.Reports = reports
		require.Equal(t, job.ID("a"), d.Admit(r, d.now, d.unfinished).Join)
	}
	join("x", review.ReportRef{Title: "lint", Blob: "1"}, review.ReportRef{Blob: "2"})
	join("y", review.ReportRef{Title: "lint", Blob: "3"}, review.ReportRef{Blob: "2"})
	want := []review.ReportRef{{Blob: "2", Owner: "x"}, {Title: "lint", Blob: "3", Owner: "y"}, {Blob: "2", Owner: "y"}}
	require.Equal(t, want, d.JoinedReports, "of one title the newest")
	for n := range review.MaxReports {
		join("z", review.ReportRef{Blob: fmt.Sprint(n)})
	}
	require.Len(t, d.JoinedReports, review.MaxReports)
	require.Equal(t, "0", d.JoinedReports[0].Blob)
	require.Empty(t, d.admit("c", review.TriggerCommand).Join)
	require.Empty(t, d.JoinedReports, "they were for the other one")
}

func TestWhatJoinedAfterTheHeadWasReadIsReadAgain(t *testing.T) {
	t.Parallel()
	d := newDesk()
	d.admit("a", review.TriggerOpened)
	set, seen := review.DefaultSettings(), d.Joins
	require.Equal(t, job.ID("a"), d.admit("b", review.TriggerPushed).Join)
	a := &review.Review{ID: "a"}
	require.Equal(t, review.Claim{Joined: true}, d.Claim(a, &set, seen, d.unfinished))
	require.Equal(t, review.Claim{Granted: true}, d.Claim(a, &set, d.Joins, d.unfinished))
	require.Equal(t, review.Claim{Granted: true}, d.Claim(a, &set, seen, d.unfinished), "again after a crash")
}

func TestANewerReviewTakesThePlaceOfARunningOneUntilItPublishes(t *testing.T) {
	t.Parallel()
	d := newDesk()
	d.start(t, "a", review.TriggerOpened)
	require.Equal(t, review.Admission{Supersedes: "a"}, d.admit("b", review.TriggerPushed))
	require.False(t, d.Publish("a"))
	require.Equal(t, review.Claim{SupersededBy: "b"}, d.claim("a", review.TriggerOpened))
	require.True(t, d.claim("b", review.TriggerPushed).Granted)
	require.True(t, d.Publish("b"))
	require.Empty(t, d.admit("c", review.TriggerCommand))
	require.True(t, d.Publish("b"), "it goes on to its end")
	require.Equal(t, review.Claim{After: "b"}, d.claim("c", review.TriggerCommand))
	d.End("b", true)
	require.True(t, d.claim("c", review.TriggerCommand).Granted)
	require.True(t, d.Publish("c"))
}

func TestSteadyPushingDoesNotStarveAPullRequest(t *testing.T) {
	t.Parallel()
	d := newDesk()
	d.start(t, "0", review.TriggerPushed)
	for _, id := range []job.ID{"1", "2", "3"} {
		require.NotEmpty(t, d.admit(id, review.TriggerPushed).Supersedes)
		require.True(t, d.claim(id, review.TriggerPushed).Granted)
	}
	require.Empty(t, d.admit("4", review.TriggerPushed), "the third in a row is left to finish")
	require.Equal(t, job.ID("4"), d.admit("5", review.TriggerPushed).Join)
	require.Equal(t, review.Claim{After: "3"}, d.claim("4", review.TriggerPushed))
	require.True(t, d.Publish("3"))
	d.End("3", true)
	require.True(t, d.claim("4", review.TriggerPushed).Granted)
	require.Equal(t, job.ID("4"), d.admit("6", review.TriggerPushed).Supersedes, "the count begins anew")
}

func TestWhatMayBeDeclinedTakesNobodysPlace(t *testing.T) {
	t.Parallel()
	for _, trigger := range []review.Trigger{review.TriggerLabeled, review.TriggerReady, review.TriggerOpened} {
		d := newDesk()
		d.start(t, "a", review.TriggerPushed)
		require.Empty(t, d.admit("b", trigger), "%s", trigger)
		require.True(t, d.Publish("a"))
	}
	d := newDesk()
	d.start(t, "a", review.TriggerCommand)
	require.Empty(t, d.admit("b", review.TriggerPushed), "a person waits for it")
	require.Equal(t, job.ID("b"), d.admit("c", review.TriggerCommand).Supersedes, "a person replaces what waits")
}

func TestReviewsThatEndedElsewhereHoldNobodyUp(t *testing.T) {
	t.Parallel()
	d := newDesk()
	d.start(t, "a", review.TriggerOpened)
	d.Publish("a")
	d.ended["a"] = true
	require.Empty(t, d.admit("b", review.TriggerPushed))
	d.ended["b"] = true
	require.Empty(t, d.admit("c", review.TriggerPushed).Join, "nobody joins what has ended")
	require.True(t, d.claim("c", review.TriggerPushed).Granted)
}

func TestNobodyJoinsAReviewThatWasToldToStop(t *testing.T) {
	t.Parallel()
	d := newDesk()
	d.admit("a", review.TriggerPushed)
	stopping := d.Unfinished(map[job.ID]job.State{"a": job.StateCancelling})
	require.Empty(t, d.Admit(&review.Review{ID: "b", Trigger: review.TriggerPushed}, d.now, stopping).Join)
	d = newDesk()
	d.start(t, "a", review.TriggerPushed)
	d.Publish("a")
	require.True(t, d.Unfinished(map[job.ID]job.State{"a": job.StateCancelling})("a"), "it writes still")
	require.False(t, d.Unfinished(map[job.ID]job.State{"a": job.StateCancelled})("a"))
}

func TestALabelThatJoinsAWaitingReviewStartsIt(t *testing.T) {
	t.Parallel()
	set := review.DefaultSettings()
	set.Labels, set.AutoPush = []string{"review-me"}, false
	pull := &review.PullRequest{State: review.PullOpen, Labels: []string{"bug", "review-me"}}
	for _, first := range []review.Review{
		{ID: "a", Trigger: review.TriggerLabeled, TriggerLabel: "bug", Publish: true},
		{ID: "a", Trigger: review.TriggerPushed, Publish: true},
	} {
		d := newDesk()
		require.Empty(t, d.Admit(&first, d.now, d.unfinished).Join)
		reason, _ := set.Decline(pull, &first, &d.Subject)
		require.NotEmpty(t, reason)
		for _, label := range []string{"docs", "review-me"} {
			again := review.Review{ID: "b", Trigger: review.TriggerLabeled, TriggerLabel: label, Publish: true}
			require.Equal(t, first.ID, d.Admit(&again, d.now, d.unfinished).Join)
		}
		reason, _ = set.Decline(pull, &first, &d.Subject)
		require.Empty(t, reason, "%s", first.Trigger)
		require.Empty(t, d.Admit(&review.Review{ID: "c", Trigger: review.TriggerCommand}, d.now, d.unfinished).Join)
		require.Empty(t, d.JoinedLabels, "another review has its own")
	}
}

func TestBaseChangesCountForADay(t *testing.T) {
	t.Parallel()
	s, now, changed := &review.Subject{}, time.Now(), &review.Review{Trigger: review.TriggerBaseChanged}
	for n := range review.MaxBaseChanges {
		p := &review.PullRequest{BaseBranch: fmt.Sprint(n)}
		require.False(t, s.BaseChangedOften(p, changed, now))
		changed.ID = job.NewID()
		for range 2 { // it began, its process was killed, and it began again
			s.Based(p, changed, now.Add(time.Duration(n)*time.Hour))
		}
	}
	p := &review.PullRequest{BaseBranch: "another"}
	require.True(t, s.BaseChangedOften(p, changed, now.Add(23*time.Hour)))
	require.False(t, s.BaseChangedOften(p, &review.Review{Trigger: review.TriggerCommand}, now.Add(23*time.Hour)))
	require.False(t, s.BaseChangedOften(p, changed, now.Add(24*time.Hour)), "the first of them is a day old")
	changed.ID = job.NewID()
	s.Based(p, changed, now.Add(24*time.Hour))
	require.Len(t, s.BaseChanges, review.MaxBaseChanges)
}

func TestDecline(t *testing.T) {
	t.Parallel()
	pull := func(change func(*review.PullRequest)) *review.PullRequest {
		p := &review.PullRequest{State: review.PullOpen, Author: "ada", Title: "Fix it", BaseBranch: "main", Labels: []string{"Bug"}}
		if change != nil {
			change(p)
		}
		return p
	}
	draft := pull(func(p *review.PullRequest) { p.Draft = true })
	for name, c := range map[string]struct {
		set     func(*review.Settings)
		pull    *review.PullRequest
		trigger review.Trigger
		subject review.Subject
		reason  string
		silent  bool
	}{
		"nothing against it":       {trigger: review.TriggerOpened},
		"a draft":                  {pull: draft, trigger: review.TriggerOpened, reason: "DRAFT"},
		"a draft by command":       {pull: draft, trigger: review.TriggerCommand},
		"drafts are on":            {pull: draft, trigger: review.TriggerPushed, set: func(s *review.Settings) { s.Drafts = true }},
		"closed":                   {pull: pull(func(p *review.PullRequest) { p.State = review.PullMerged }), trigger: review.TriggerPushed, reason: "CLOSED", silent: true},
		"paused":                   {trigger: review.TriggerPushed, subject: review.Subject{Paused: true}, reason: "PAUSED", silent: true},
		"paused, by command":       {trigger: review.TriggerCommand, subject: review.Subject{Paused: true}},
		"pushes are off":           {trigger: review.TriggerPushed, set: func(s *review.Settings) { s.AutoPush = false }, reason: "TRIGGER_OFF", silent: true},
		"off, but another joined":  {trigger: review.TriggerPushed, subject: review.Subject{Joined: []review.Trigger{review.TriggerReady}}, set: func(s *review.Settings) { s.AutoPush = false }},
		"a label of no concern":    {trigger: review.TriggerLabeled, reason: "LABEL_NOT_CONCERNED", silent: true},
		"a label of no concern, b": {trigger: review.TriggerLabeled, subject: review.Subject{Joined: []review.Trigger{review.TriggerPushed}}},
		"an ignored label":         {trigger: review.TriggerOpened, set: func(s *review.Settings) { s.IgnoreLabels = []string{"bug"} }, reason: "IGNORED_LABEL"},
		"a missing label":          {trigger: review.TriggerOpened, set: func(s *review.Settings) { s.Labels = []string{"review me"} }, reason: "LABEL_MISSING"},
		"a label that is there":    {trigger: review.TriggerOpened, set: func(s *review.Settings) { s.Labels = []string{"bug"} }},
		"an ignored author":        {trigger: review.TriggerOpened, set: func(s *review.Settings) { s.IgnoreAuthors = []string{"A*"} }, reason: "IGNORED_AUTHOR"},
		"a bot's brackets":         {trigger: review.TriggerOpened, set: func(s *review.Settings) { s.IgnoreAuthors = []string{"*[bot]"} }},
		"a star amid letters":      {trigger: review.TriggerOpened, set: func(s *review.Settings) { s.IgnoreTitles = []string{"f*x*i?"} }, reason: "IGNORED_TITLE"},
		"an ignored title":         {trigger: review.TriggerOpened, set: func(s *review.Settings) { s.IgnoreTitles = []string{"*fix*"} }, reason: "IGNORED_TITLE"},
		"another branch":           {trigger: review.TriggerOpened, set: func(s *review.Settings) { s.Branches = []string{"release/*"} }, reason: "BASE_BRANCH"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := review.DefaultSettings()
			if c.set != nil {
				c.set(&set)
			}
			p := c.pull
			if p == nil {
				p = pull(nil)
			}
			reason, silent := set.Decline(p, &review.Review{Trigger: c.trigger, TriggerLabel: "wontfix", Publish: true}, &c.subject)
			require.Equal(t, c.reason, reason)
			require.Equal(t, c.silent, silent)
		})
	}
}
