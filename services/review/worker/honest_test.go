package worker_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/finding"
	"witan.dev/internal/job"
	"witan.dev/services/review"
	"witan.dev/services/review/github/githubtest"
	"witan.dev/services/review/publish"
	"witan.dev/services/review/worker"
)

// posted is the bot's only thing of a kind.
func (a *at) posted(t *testing.T, kind githubtest.Kind) githubtest.Post {
	t.Helper()
	list := slices.DeleteFunc(a.PostedBy(a.app.Bot), func(p githubtest.Post) bool { return p.Kind != kind })
	require.Len(t, list, 1)
	return list[0]
}

// broken is a reviewer that fails.
type broken struct{ probe }

func (broken) Review(context.Context, review.Inspection) (review.Report, error) {
	panic("a fault of ours")
}

// TestP07_NothingUnreadLooksGreen looks at the check run, the walkthrough and the result of reviews that read everything, and
// of others.
func TestP07_NothingUnreadLooksGreen(t *testing.T) {
	t.Parallel()
	small := map[string]string{"a.go": "package p\n", "b c.txt": "two\n", "@everyone#1/`x`.md": "three\n"}
	large := maps.Clone(small)
	large["large.txt"] = strings.Repeat("a line of text\n", 1<<17)
	for name, c := range map[string]struct {
		head       map[string]string
		config     string
		reviewer   review.Reviewer
		conclusion string
		state      job.State
	}{
		"everything was read":               {small, "", probe{}, "success", job.StateSucceeded},
		"there is something":                {map[string]string{"a.go": "package p\n\n" + def("N", "\tdanger(1)\n")}, "", probe{}, "failure", job.StateSucceeded},
		"a file is too large":               {large, "", probe{}, "neutral", job.StatePartiallySucceeded},
		"a file is too large, and it gates": {large, "version: 1\ncheck: {incomplete: failure}\n", probe{}, "failure", job.StatePartiallySucceeded},
		"a reviewer failed":                 {small, "", broken{}, "neutral", job.StatePartiallySucceeded},
		"a file is left out by policy":      {small, "version: 1\npaths: {exclude: ['*.txt']}\n", probe{}, "success", job.StateSucceeded},
		"all files are left out by policy":  {small, "version: 1\npaths: {exclude: ['*']}\n", probe{}, "neutral", job.StateSucceeded},
		"there is nothing but an image":     {map[string]string{"a.png": "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x00"}, "", probe{}, "neutral", job.StateSucceeded},
		"code with a NUL":                   {map[string]string{"a.go": "package p\n", "run.php": "<?php /* \x00 */ system($_GET['c']);\n"}, "", probe{}, "neutral", job.StatePartiallySucceeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := map[string]string{"README.md": "hello\n"}
			if c.config != "" {
				base[".witan.yaml"] = c.config
			}
			a := openAt(t, base, c.head)
			s := a.start(t, func(p *worker.Params) { p.Reviewers = []review.Reviewer{c.reviewer} })
			r, j := s.end(t, s.ask(t))
			require.Equal(t, c.state, j.State, "%s %v", j.StateReason, j.Error)
			check, walkthrough := a.posted(t, githubtest.KindCheckRun), a.posted(t, githubtest.KindIssueComment)
			require.Equal(t, c.conclusion, check.Conclusion)
			rows := map[string]finding.CoverageStatus{}
			for _, f := range r.Coverage.Files {
				rows[f.Path] = f.Status
			}
			require.Equal(t, slices.Sorted(maps.Keys(c.head)), slices.Sorted(maps.Keys(rows)))
			for path, status := range rows {
				row := fmt.Sprintf("| %s | A | %s |", finding.CodeSpan(path), strings.ToLower(status.String()))
				if strings.HasSuffix(path, ".png") {
					row += " metadata only |"
				}
				require.Contains(t, check.Body, row)
				require.Contains(t, walkthrough.Body, row)
			}
		})
	}
}

func TestWhatIsNotPermittedStaysInTheJob(t *testing.T) {
	t.Parallel()
	a, _ := twoReviews(t)
	a.Grant(map[string]string{"metadata": "read", "contents": "read", "pull_requests": "read"})
	a.RevokeTokens()
	s := a.start(t)
	r, j := s.end(t, s.ask(t))
	require.Equal(t, job.StateSucceeded, j.State, "%s %v", j.StateReason, j.Error)
	require.Equal(t, "FAILED", r.Publication.State)
	require.Equal(t, publish.ReasonForbidden, r.Publication.Reason)
	require.Empty(t, a.PostedBy(a.app.Bot))
	list, err := s.store.Findings(t.Context(), review.FindingQuery{Review: r.ID, Limit: 10})
	require.NoError(t, err)
	require.Len(t, list, 3)
	for _, f := range list {
		require.Equal(t, finding.Open, f.Status)
		require.Equal(t, publish.ReasonForbidden, f.Publication.Reason)
	}

	a.Grant(githubtest.DefaultPermissions()) // a later review makes up for it
	a.RevokeTokens()
	r, _ = s.end(t, s.ask(t))
	require.Equal(t, "DONE", r.Publication.State)
	by, _ := a.comments()
	require.Len(t, by, 3)
}

func TestAReviewTellsTheLogOfItsBeginAndItsEnd(t *testing.T) {
	t.Parallel()
	a, _ := twoReviews(t)
	var lines bytes.Buffer
	s := a.start(t, func(p *worker.Params) { p.Logger = slog.New(slog.NewTextHandler(&lines, nil)) })
	r, _ := s.end(t, s.ask(t))
	s.stop()
	require.Regexp(t, `level=INFO msg="a review begins" review=`+string(r.ID)+` pull_request=octocat/hello#\d+\n`, lines.String())
	require.Regexp(t, `level=INFO msg="a review ended" review=`+string(r.ID)+` pull_request=octocat/hello#\d+ state=SUCCEEDED findings=3 duration=`, lines.String())
}

func TestALockedConversationIsNamed(t *testing.T) {
	t.Parallel()
	a, _ := twoReviews(t)
	require.NoError(t, a.pull.Lock(t.Context(), "octocat"))
	s := a.start(t)
	r, j := s.end(t, s.ask(t))
	require.Equal(t, job.StateSucceeded, j.State, "%s %v", j.StateReason, j.Error)
	require.Equal(t, finding.Publication{State: "FAILED", Reason: publish.ReasonLocked, URL: r.Publication.URL}, r.Publication)
	require.NotEmpty(t, r.Publication.URL, "the check run's")
	require.Contains(t, strings.Join(r.Notes, "\n"), "the conversation is locked")
	require.Equal(t, "completed", a.posted(t, githubtest.KindCheckRun).Status)
}

func TestAnAppWithoutCheckRunsComments(t *testing.T) {
	t.Parallel()
	a, _ := twoReviews(t)
	a.Grant(map[string]string{"metadata": "read", "contents": "read", "pull_requests": "write"})
	s := a.start(t)
	r, j := s.end(t, s.ask(t))
	require.Equal(t, job.StateSucceeded, j.State, "%s %v", j.StateReason, j.Error)
	require.Equal(t, finding.Publication{State: "FELL_BACK", Reason: publish.ReasonNoCheckRun, URL: r.Publication.URL}, r.Publication)
	require.NotEmpty(t, r.Publication.URL, "the walkthrough's")
	by, _ := a.comments()
	require.Len(t, by, 3)
}

// rebasing is a forge at which the head is taken away in the last moment.
type rebasing struct {
	publish.Forge

	rebase func()
}

func (r *rebasing) CreateReview(ctx context.Context, ref review.PullRef, commit string, c []publish.Inline) ([]publish.Comment, error) {
	if r.rebase != nil {
		r.rebase()
		r.rebase = nil
	}
	return r.Forge.CreateReview(ctx, ref, commit, c)
}

func TestCommentsOnAHeadThatIsGoneStandOnFilesOfTheNewOne(t *testing.T) {
	t.Parallel()
	a, _ := twoReviews(t)
	s := a.start(t, func(p *worker.Params) {
		p.Publisher = &rebasing{p.Publisher, func() {
			_, err := a.pull.Rebase(context.Background(), "by force")
			require.NoError(t, err)
			require.NoError(t, a.pull.Prune(context.Background()))
		}}
	})
	r, j := s.end(t, s.ask(t))
	require.Equal(t, job.StateSucceeded, j.State, "%s %v", j.StateReason, j.Error)
	by, _ := a.comments()
	require.Len(t, by, 3)
	for fault, list := range by {
		require.Len(t, list, 1)
		require.Equal(t, githubtest.KindFileComment, list[0].Kind)
		require.Equal(t, a.pull.Head(), list[0].Commit)
		require.Contains(t, list[0].Body, "danger("+fault+")", "the code stands in the comment")
	}
	list, err := s.store.Findings(t.Context(), review.FindingQuery{Review: r.ID, Limit: 10})
	require.NoError(t, err)
	reasons := map[string]int{}
	for _, f := range list {
		reasons[f.Publication.Reason]++
	}
	require.Equal(t, map[string]int{publish.ReasonHeadGone: 2, publish.ReasonLineNotInDiff: 1}, reasons)
}

func TestP06_AThreadInWhichSomebodyWroteStaysOpen(t *testing.T) {
	t.Parallel()
	a, push := twoReviews(t)
	s := a.start(t)
	s.end(t, s.ask(t))
	by, _ := a.comments()
	_, err := a.pull.Reply(t.Context(), "contributor", by["2"][0].ID, "I do not think so.")
	require.NoError(t, err)
	push()
	s.end(t, s.ask(t))
	by, replies := a.comments()
	require.Equal(t, 1, replies[by["2"][0].ID], "it is said that it is fixed")
	require.False(t, by["2"][0].Resolved, "whether the talk is over is for them to say")
}

// unloadable pins and then cannot read what it pinned.
type unloadable struct{ review.Repository }

func (unloadable) Load(context.Context, review.Pinned) (*review.Change, error) {
	return nil, review.ErrMaterialTooLarge
}

func TestP07_AReviewThatFailsSaysSoAtItsCheckRun(t *testing.T) {
	t.Parallel()
	a, _ := twoReviews(t)
	s := a.start(t, func(p *worker.Params) { p.Repository = unloadable{p.Repository} })
	_, j := s.end(t, s.ask(t))
	require.Equal(t, job.StateFailed, j.State)
	check := a.posted(t, githubtest.KindCheckRun)
	require.Equal(t, "completed", check.Status)
	require.Equal(t, "neutral", check.Conclusion)
	require.Contains(t, check.Body, "larger than one review takes")
}

// TestACouncilIsNotPaidForNothingToRead has a review of the same head follow, as where a pull request is opened again.
func TestACouncilIsNotPaidForNothingToRead(t *testing.T) {
	t.Parallel()
	a := openAt(t, map[string]string{"README.md": "hello\n"}, map[string]string{"a.go": "package p\n"})
	s := a.start(t, func(p *worker.Params) { p.Council = reading{paid{a.council}} })
	for range 2 {
		r, j := s.end(t, s.ask(t))
		require.Equal(t, job.StateSucceeded, j.State, "%s %v", j.StateReason, j.Error)
		require.True(t, r.Coverage.Complete)
		for _, p := range a.PostedBy(a.app.Bot) {
			if p.Kind == githubtest.KindCheckRun {
				require.Equal(t, "success", p.Conclusion)
			}
		}
	}
	a.council.mu.Lock()
	defer a.council.mu.Unlock()
	require.Len(t, a.council.tasks, 1)
}

// reading is a council that has read everything.
type reading struct{ paid }

func (r reading) Verdict(ctx context.Context, name string) (review.Verdict, error) {
	v, err := r.paid.Verdict(ctx, name)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.tasks[name].Parts {
		v.Parts = append(v.Parts, review.PartOutcome{Part: p.ID, Status: review.PartCovered})
	}
	v.Models = 2
	return v, err
}

// TestP07_MissingVotesAreAskedForAgain has a member fail where the members judge: everything was read, not everything was
// voted on, and the next review of the same head must not take it for done.
func TestP07_MissingVotesAreAskedForAgain(t *testing.T) {
	t.Parallel()
	a := openAt(t, map[string]string{"README.md": "hello\n"}, map[string]string{"a.go": "package p\n"})
	var missing atomic.Bool
	missing.Store(true)
	s := a.start(t, func(p *worker.Params) { p.Council = unvoted{reading{paid{a.council}}, &missing} })
	for _, round := range []struct {
		missing    bool
		state      job.State
		conclusion string
		asked      int
	}{{true, job.StatePartiallySucceeded, "neutral", 1}, {true, job.StatePartiallySucceeded, "neutral", 2}, {false, job.StateSucceeded, "success", 3}, {false, job.StateSucceeded, "success", 3}} {
		missing.Store(round.missing)
		r, j := s.end(t, s.ask(t))
		require.Equal(t, round.state, j.State, "%s %v", j.StateReason, j.Error)
		require.Equal(t, !round.missing, r.Coverage.Complete)
		var last githubtest.Post
		for _, p := range a.PostedBy(a.app.Bot) {
			if p.Kind == githubtest.KindCheckRun {
				last = p
			}
		}
		require.Equal(t, round.conclusion, last.Conclusion)
		a.council.mu.Lock()
		require.Len(t, a.council.tasks, round.asked)
		a.council.mu.Unlock()
	}
}

// unvoted is a council of which a member may not vote.
type unvoted struct {
	reading

	missing *atomic.Bool
}

func (u unvoted) Verdict(ctx context.Context, name string) (review.Verdict, error) {
	v, err := u.reading.Verdict(ctx, name)
	if u.missing.Load() {
		v.VotesMissing, v.Missing = true, []string{"cross_examine/cyd: AUTH"}
	}
	return v, err
}

// TestP07_WhatHasToBeCompleteLetsNobodyPast looks at check runs of reviews without a result where those gate.
func TestP07_WhatHasToBeCompleteLetsNobodyPast(t *testing.T) {
	t.Parallel()
	const gates = "version: 1\ncheck: {incomplete: failure}\n"
	for name, c := range map[string]struct {
		config     string
		change     func(*worker.Params)
		trigger    review.Trigger
		draft      bool
		conclusion string
	}{
		"too large":         {gates, func(p *worker.Params) { p.Repository = unloadable{p.Repository} }, review.TriggerCaller, false, "failure"},
		"an ignored title":  {gates + "review: {ignore: {titles: ['A ch*']}}\n", nil, review.TriggerOpened, false, "failure"},
		"a draft":           {gates, nil, review.TriggerOpened, true, "failure"},
		"an ignored author": {gates + "review: {ignore: {authors: [contributor]}}\n", nil, review.TriggerOpened, false, "neutral"},
		"a title elsewhere": {"version: 1\nreview: {ignore: {titles: ['A ch*']}}\n", nil, review.TriggerOpened, false, "neutral"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := openAt(t, map[string]string{"README.md": "hello\n", ".witan.yaml": c.config}, map[string]string{"a.go": "package p\n"})
			if c.draft {
				require.NoError(t, a.pull.ConvertToDraft(t.Context(), "contributor"))
			}
			s := a.start(t, func(p *worker.Params) {
				if c.change != nil {
					c.change(p)
				}
			})
			s.end(t, s.asks(t, c.trigger))
			check := a.posted(t, githubtest.KindCheckRun)
			require.Equal(t, "completed", check.Status)
			require.Equal(t, c.conclusion, check.Conclusion)
		})
	}
}

// TestAForgeThatStaysAwayLeavesTheFindingsAndARetryShowsThem has the forge take no write for longer than the review waits.
func TestAForgeThatStaysAwayLeavesTheFindingsAndARetryShowsThem(t *testing.T) {
	t.Parallel()
	a, _ := twoReviews(t)
	s := a.start(t, func(p *worker.Params) { p.Limits.Patience = time.Second })
	fault := a.Inject(githubtest.Fault{Kind: githubtest.FailBefore, Method: "write", Skip: 1})
	id := s.ask(t)
	r, j := s.end(t, id)
	require.Equal(t, job.StateFailed, j.State)
	require.Equal(t, "FORGE_UNAVAILABLE", j.StateReason)
	require.Equal(t, "FAILED", r.Publication.State)
	list, err := s.store.Findings(t.Context(), review.FindingQuery{Review: id, Limit: 10})
	require.NoError(t, err)
	require.Len(t, list, 3)

	fault.Remove()
	_, err = s.jobs.Retry(t.Context(), job.Retrial{ID: id, Owner: "local"})
	require.NoError(t, err)
	r, j = s.end(t, id)
	require.Equal(t, job.StateSucceeded, j.State, "%s %v", j.StateReason, j.Error)
	require.Equal(t, "DONE", r.Publication.State)
	by, _ := a.comments()
	require.Len(t, by, 3)
	for _, comments := range by {
		require.Len(t, comments, 1)
	}
	require.Equal(t, "failure", a.posted(t, githubtest.KindCheckRun).Conclusion)
}

// refusing is a council that takes no task.
type refusing struct{ paid }

func (refusing) Deliberate(context.Context, review.CouncilTask) (review.Deliberation, error) {
	return review.Deliberation{}, review.ErrCouncilRefused
}

func TestP07_ACouncilThatRefusesTheTaskLosesNoFindings(t *testing.T) {
	t.Parallel()
	a, _ := twoReviews(t)
	s := a.start(t, func(p *worker.Params) { p.Council = refusing{paid{a.council}} })
	r, j := s.end(t, s.ask(t))
	require.Equal(t, job.StatePartiallySucceeded, j.State, "%s %v", j.StateReason, j.Error)
	require.Equal(t, string(finding.ReasonCouncilUnavailable), r.Result.Council.Reason)
	by, _ := a.comments()
	require.Len(t, by, 3)
}
