package worker_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/job"
	"witan.dev/services/review"
	"witan.dev/services/review/events"
	"witan.dev/services/review/github/githubtest"
	"witan.dev/services/review/lifecycle"
	"witan.dev/services/review/publish"
	"witan.dev/services/review/worker"
)

// editing counts the edits of a forge, and does something before the first one.
type editing struct {
	publish.Forge

	edits  atomic.Int64
	before func()
}

func (e *editing) EditComment(ctx context.Context, ref review.PullRef, kind publish.Kind, id int64, body string) (publish.Comment, error) {
	if e.edits.Add(1) == 1 && e.before != nil {
		e.before()
	}
	return e.Forge.EditComment(ctx, ref, kind, id, body)
}

// say has a person change the finding about a fault, and returns the job that shows it.
func (s *shows) say(t *testing.T, subject, fault string, change func(review.Known) review.Known) job.ID {
	t.Helper()
	known, err := s.store.Known(t.Context(), subject)
	require.NoError(t, err)
	for _, k := range known {
		if faultOf(k.Finding.Title) == fault {
			people := &lifecycle.People{Ledger: s.store, Subjects: s.store}
			_, err := people.ByID(t.Context(), subject, k.ID, change)
			require.NoError(t, err)
		}
	}
	var made job.ID
	require.NoError(t, events.Reshow(t.Context(), creating{s.jobs, &made}, "local", subject, "deliveries/"+fault, ""))
	return made
}

// creating tells which job was made.
type creating struct {
	*job.Manager

	made *job.ID
}

func (c creating) Create(ctx context.Context, creation job.Creation) (job.Job, bool, error) {
	*c.made = creation.ID
	return c.Manager.Create(ctx, creation)
}

func (s *shows) done(t *testing.T, id job.ID) {
	t.Helper()
	require.Eventually(t, func() bool {
		j, err := s.jobs.Get(t.Context(), id, "")
		require.NoError(t, err)
		require.NotEqual(t, job.StateFailed, j.State, "%v", j.Error)
		return j.State == job.StateSucceeded
	}, 60*time.Second, 5*time.Millisecond)
}

func dismissed(k review.Known) review.Known { return lifecycle.Dismiss(k, "it is meant") }

// TestP06_WhatPeopleSayIsShownAtOnce by editing what is there, once for each time that something else is said.
func TestP06_WhatPeopleSayIsShownAtOnce(t *testing.T) {
	t.Parallel()
	a, _ := twoReviews(t)
	e := &editing{}
	s := a.start(t, func(p *worker.Params) { e.Forge, p.Publisher = p.Publisher, e })
	r, j := s.end(t, s.ask(t))
	require.Equal(t, job.StateSucceeded, j.State, "%s %v", j.StateReason, j.Error)
	subject := r.Pinned.Subject
	read := func() (walkthrough, conclusion, text string) {
		check := a.posted(t, githubtest.KindCheckRun)
		return a.posted(t, githubtest.KindIssueComment).Body, check.Conclusion, check.Body
	}
	first, conclusion, _ := read()
	require.Equal(t, "failure", conclusion)
	nothing := func(k review.Known) review.Known { return k }
	s.done(t, s.say(t, subject, "1", nothing))
	again, _, _ := read()
	require.Equal(t, first, again)
	require.Zero(t, e.edits.Load(), "nothing else is said, so nothing is written")
	for _, fault := range []string{"1", "2", "3"} {
		require.NotContains(t, again, "Dismissed: "+fault)
		s.done(t, s.say(t, subject, fault, dismissed))
		var text string
		again, _, text = read()
		require.Contains(t, again, "Dismissed: "+fault)
		require.Contains(t, text, "Dismissed: "+fault)
	}
	require.Contains(t, again, `(dismissed\: it is meant)`)
	s.done(t, s.say(t, subject, "1", lifecycle.Reopen))
	s.done(t, s.say(t, subject, "1", lifecycle.As("wil", func(k review.Known) review.Known {
		return lifecycle.Dismiss(k, "`x` | [a](//b.c) @you ghp_"+"Xk29sLmQ8vRt4Yw1ZbN6cHd3fGj5Ap7Ue0oI")
	})))
	again, conclusion, _ = read()
	require.Regexp(t, `\| HIGH \| .*fault 1.* \(dismissed by .{0,20}wil.*\) \|`, again)
	for _, alive := range []string{"@wil", "@you", "[a](", "Xk29sLmQ8vRt4Yw1ZbN6cHd3fGj5Ap7Ue0oI", "`x`"} {
		require.NotContains(t, again, alive)
	}
	require.NotRegexp(t, `\d findings? `, again, "the headline alone says how many there are")
	require.Equal(t, "success", conclusion)
	require.EqualValues(t, 5, e.edits.Load())
	for _, fault := range []string{"1", "2", "3"} {
		s.done(t, s.say(t, subject, fault, lifecycle.Reopen))
	}
	again, conclusion, _ = read()
	require.Equal(t, first, again)
	require.Equal(t, "failure", conclusion)
}

// TestP06_WhatIsSaidWhileAReviewWritesIsShownWhenItHasWritten: the review had read the findings before.
func TestP06_WhatIsSaidWhileAReviewWritesIsShownWhenItHasWritten(t *testing.T) {
	t.Parallel()
	a, push := twoReviews(t)
	e := &editing{}
	s := a.start(t, func(p *worker.Params) { e.Forge, p.Publisher = p.Publisher, e })
	r, _ := s.end(t, s.ask(t))
	push()
	var shown job.ID
	e.before = func() { // the walkthrough of the second review
		shown = s.say(t, r.Pinned.Subject, "3", dismissed)
		require.Eventually(t, func() bool {
			j, err := s.jobs.Get(t.Context(), shown, "")
			require.NoError(t, err)
			return j.State == job.StateRunning
		}, 60*time.Second, 5*time.Millisecond)
	}
	_, j := s.end(t, s.ask(t))
	require.Equal(t, job.StateSucceeded, j.State, "%s %v", j.StateReason, j.Error)
	require.NotEmpty(t, shown)
	s.done(t, shown)
	body := a.posted(t, githubtest.KindIssueComment).Body
	require.Contains(t, body, "Dismissed: 1")
	require.Contains(t, body, "fault 4")
	count := 0
	for _, p := range a.PostedBy(a.app.Bot) {
		if p.Kind == githubtest.KindIssueComment {
			count++
		}
	}
	require.Equal(t, 1, count)
	require.Empty(t, a.Rejected())
}

// TestP06_WhatIsSaidIsShownInTheNewestReviewWhoseverItIs: what stood there before is not written over it.
func TestP06_WhatIsSaidIsShownInTheNewestReviewWhoseverItIs(t *testing.T) {
	t.Parallel()
	a, push := twoReviews(t)
	s := a.start(t)
	first, _ := s.end(t, s.ask(t))
	require.NotContains(t, a.posted(t, githubtest.KindIssueComment).Body, "fault 4")
	push()
	second, j := s.end(t, s.asksAs(t, "team", review.TriggerCaller))
	require.Equal(t, job.StateSucceeded, j.State, "%s %v", j.StateReason, j.Error)
	require.Equal(t, first.Pinned.Subject, second.Pinned.Subject)
	require.Contains(t, a.posted(t, githubtest.KindIssueComment).Body, "fault 4")
	s.done(t, s.say(t, first.Pinned.Subject, "3", dismissed))
	body := a.posted(t, githubtest.KindIssueComment).Body
	require.Contains(t, body, "Dismissed: 1")
	require.Contains(t, body, "fault 4")
}

// TestP06_WhatWasDeletedIsNotWrittenAgain when people say something of findings.
func TestP06_WhatWasDeletedIsNotWrittenAgain(t *testing.T) {
	t.Parallel()
	a, _ := twoReviews(t)
	s := a.start(t)
	r, _ := s.end(t, s.ask(t))
	require.NoError(t, a.pull.DeleteComment(t.Context(), "octocat", a.posted(t, githubtest.KindIssueComment).ID))
	s.done(t, s.say(t, r.Pinned.Subject, "2", dismissed))
	require.True(t, a.posted(t, githubtest.KindIssueComment).Deleted)
	require.Contains(t, a.posted(t, githubtest.KindCheckRun).Body, "Dismissed: 1")
}
