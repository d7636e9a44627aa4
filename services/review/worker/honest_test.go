package worker_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"witan.dev/internal/finding"
	"witan.dev/internal/job"
	"witan.dev/services/review"
	"witan.dev/services/review/events"
	"witan.dev/services/review/github/githubtest"
	"witan.dev/services/review/publish"
	"witan.dev/services/review/starter"
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

// TestP07_AWrongConfigurationIsNotGreen: it may have asked for more than the defaults do.
func TestP07_AWrongConfigurationIsNotGreen(t *testing.T) {
	t.Parallel()
	for config, conclusion := range map[string]string{
		"version: 1\nseverity: {fail_on: lowest}\n":                                      "neutral",
		"version: 1\nseverity: {fail_on: lowest}\ncheck:\n  incomplete: failure # all\n": "failure",
		"version: 1\ncheck: {'incomplete': \"failure\"}\ncouncil: nowhere\n":             "failure",
		"version: 1\n\tcheck: {incomplete: failure}\n":                                   "failure",
		"version: 1\nchek: 1\n# check: {incomplete: failure}\n":                          "neutral",
	} {
		a := openAt(t, map[string]string{"README.md": "hello\n", ".witan.yaml": config}, map[string]string{"a.go": "package p\n"})
		s := a.start(t)
		s.end(t, s.ask(t))
		check := a.posted(t, githubtest.KindCheckRun)
		require.Equal(t, conclusion, check.Conclusion, config)
		there, err := s.writer.Checks(t.Context(), s.ref.Repo, check.Commit)
		require.NoError(t, err)
		require.Contains(t, there[0].Title, ".witan.yaml is wrong")
	}
}

// TestP11_TheConfigurationThatAChangeBringsIsLookedAtOnly before it is merged, with nothing of it coming alive.
func TestP11_TheConfigurationThatAChangeBringsIsLookedAtOnly(t *testing.T) {
	t.Parallel()
	a := openAt(t, map[string]string{"README.md": "hello\n"}, map[string]string{
		"a.go": "package p\n", ".witan.yaml": "version: 1\n\"[x](//y.z) @you\": 1\npaths: {exclude: ['*']}\n",
	})
	s := a.start(t)
	r, _ := s.end(t, s.ask(t))
	require.True(t, r.Coverage.Complete)
	require.False(t, r.Coverage.Unread(), "nothing is left out by it")
	check, walkthrough := a.posted(t, githubtest.KindCheckRun), a.posted(t, githubtest.KindIssueComment)
	require.Equal(t, "success", check.Conclusion)
	for _, body := range []string{check.Body, walkthrough.Body} {
		require.Contains(t, body, "of this change would not be used")
		require.NotContains(t, body, "@you")
		require.NotContains(t, body, "[x](")
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

	a.Grant(githubtest.ResolvingPermissions()) // a later review makes up for it
	a.RevokeTokens()
	r, _ = s.end(t, s.ask(t))
	require.Equal(t, "DONE", r.Publication.State)
	by, _ := a.comments()
	require.Len(t, by, 3)
}

// occupied is a forge at which somebody began a review under our account, as long as it is occupied.
type occupied struct {
	publish.Forge

	free  bool
	tries int
}

func (o *occupied) CreateReview(ctx context.Context, ref review.PullRef, commit string, c []publish.Inline) ([]publish.Comment, error) {
	if !o.free {
		o.tries++
		return nil, publish.ErrPending
	}
	return o.Forge.CreateReview(ctx, ref, commit, c)
}

func (o *occupied) CreateFileComment(ctx context.Context, ref review.PullRef, commit, path, body string) (publish.Comment, error) {
	if !o.free {
		o.tries++
		return publish.Comment{}, publish.ErrPending
	}
	return o.Forge.CreateFileComment(ctx, ref, commit, path, body)
}

func (o *occupied) Reply(ctx context.Context, ref review.PullRef, root int64, body string) (publish.Comment, error) {
	if !o.free {
		o.tries++
		return publish.Comment{}, publish.ErrPending
	}
	return o.Forge.Reply(ctx, ref, root, body)
}

func TestWhatAPendingReviewKeptAwayIsMadeUpForLater(t *testing.T) {
	t.Parallel()
	a, push := twoReviews(t)
	o := &occupied{}
	s := a.start(t, func(p *worker.Params) { o.Forge, p.Publisher = p.Publisher, o })
	r, j := s.end(t, s.ask(t))
	require.Equal(t, job.StateSucceeded, j.State, "%s %v", j.StateReason, j.Error)
	require.Equal(t, "FELL_BACK", r.Publication.State)
	require.Equal(t, publish.ReasonPending, r.Publication.Reason)
	require.Equal(t, 2, o.tries, "once for what stands on lines and once for what stands on files: no part of it fares better")
	by, _ := a.comments()
	require.Empty(t, by)
	require.Contains(t, a.posted(t, githubtest.KindIssueComment).Body, "begun a review and not submitted it")
	require.Contains(t, a.posted(t, githubtest.KindIssueComment).Body, "pending review", "at each finding")
	require.Contains(t, a.posted(t, githubtest.KindCheckRun).Body, "begun a review and not submitted it")
	list, err := s.store.Findings(t.Context(), review.FindingQuery{Review: r.ID, Limit: 10})
	require.NoError(t, err)
	require.Len(t, list, 3)
	for _, f := range list {
		require.Equal(t, publish.ReasonPending, f.Publication.Reason)
	}

	o.free = true
	r, _ = s.end(t, s.ask(t))
	require.Equal(t, "DONE", r.Publication.State)
	push()
	o.free, o.tries = false, 0
	r, _ = s.end(t, s.ask(t))
	require.Equal(t, publish.ReasonPending, r.Publication.Reason)
	require.Equal(t, 2, o.tries, "an answer and a comment")
	by, replies := a.comments()
	require.Zero(t, replies[by["2"][0].ID])
	require.NotContains(t, by, "4")

	o.free = true
	r, _ = s.end(t, s.ask(t))
	require.Equal(t, "DONE", r.Publication.State)
	by, replies = a.comments()
	require.Equal(t, 1, replies[by["2"][0].ID], "it is said that it is fixed")
	require.True(t, by["2"][0].Resolved)
	require.Len(t, by["4"], 1)
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

// taken is a forge to which nothing is sent that ends a check run: another process has the job by then.
type taken struct{ publish.Forge }

func (taken) UpdateCheck(context.Context, review.Repo, publish.Check) (publish.Check, error) {
	return publish.Check{}, fmt.Errorf("write to the job: %w", job.ErrFenced)
}

// TestAReviewThatAnotherProcessHasLeavesNoLateCheckRun: it would be written over what that process says.
func TestAReviewThatAnotherProcessHasLeavesNoLateCheckRun(t *testing.T) {
	t.Parallel()
	a, _ := twoReviews(t)
	var late atomic.Int64
	s := a.start(t, func(p *worker.Params) {
		p.Repository, p.Publisher = unloadable{p.Repository}, taken{p.Publisher}
		p.EndLater = func(context.Context, string, string, events.LateCheck) error { late.Add(1); return nil }
	})
	_, j := s.end(t, s.ask(t))
	require.Equal(t, job.StateFailed, j.State)
	require.Equal(t, "in_progress", a.posted(t, githubtest.KindCheckRun).Status)
	require.Zero(t, late.Load())
}

// TestP11_ASecretThatWasTakenOutIsNotCalledFixed: it stays in the commits that were pushed.
func TestP11_ASecretThatWasTakenOutIsNotCalledFixed(t *testing.T) {
	t.Parallel()
	a := openAt(t, map[string]string{"README.md": "hello\n"}, map[string]string{
		"key.go": "package p\n\nconst token = \"ghp_" + "Xk29sLmQ8vRt4Yw1ZbN6cHd3fGj5Ap7Ue0oI" + "\"\n",
	})
	s := a.start(t, func(p *worker.Params) { p.Reviewers = []review.Reviewer{p.Secrets} })
	s.end(t, s.ask(t))
	_, err := a.pull.Push(t.Context(), githubtest.Commit{Files: map[string]string{"key.go": "package p\n"}})
	require.NoError(t, err)
	s.end(t, s.ask(t))
	reply := a.posted(t, githubtest.KindReply)
	require.Contains(t, reply.Body, "Taken out in `"+a.pull.Head()[:12]+"`. It is still in the history that was pushed: revoke it.")
	require.Contains(t, a.posted(t, githubtest.KindIssueComment).Body, "revoke it")
}

// lines is a log that is read while it is written.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestP07_ARefusedReviewIsLoggedAndSaysSoWhenItMay has the installation suspended before the review knows its commit.
func TestP07_ARefusedReviewIsLoggedAndSaysSoWhenItMay(t *testing.T) {
	t.Parallel()
	a, _ := twoReviews(t)
	logged := &lines{}
	s := a.start(t, func(p *worker.Params) {
		kept := p.Jobs.(jobs).Manager //nolint:errcheck,forcetypeassert // it is one
		p.Logger = slog.New(slog.NewTextHandler(logged, nil))
		p.EndLater = func(ctx context.Context, owner, requestID string, late events.LateCheck) error {
			return events.EndLater(ctx, kept, owner, requestID, late)
		}
	})
	first, _ := s.end(t, s.ask(t))
	_, err := a.pull.Push(t.Context(), githubtest.Commit{Files: map[string]string{"more.go": "package p\n"}})
	require.NoError(t, err)
	a.Suspend(true)
	before, id := len(a.checkRuns()), job.NewID()
	_, err = s.starter.Start(t.Context(), review.Review{
		ID: id, Owner: "local", Trigger: review.TriggerPushed, Publish: true, CreatedAt: time.Now().UTC().Truncate(time.Microsecond), Revision: 1,
		Pinned: review.Pinned{Source: review.Source{Kind: review.SourcePull, Pull: first.Pinned.Source.Pull}, Subject: first.Pinned.Subject},
	}, starter.Request{Method: "test", ID: uuid.NewString(), Body: sha256.Sum256([]byte(id))})
	require.NoError(t, err)
	_, j := s.end(t, id)
	require.Equal(t, "FORGE_REFUSED", j.StateReason)
	for _, part := range []string{"level=WARN msg=\"a review failed\" job_id=" + string(id), "pull=" + first.Pinned.Subject, "reason=FORGE_REFUSED"} {
		require.Contains(t, logged.String(), part)
	}
	a.Suspend(false)
	require.Eventually(t, func() bool { return len(a.checkRuns()) > before }, 30*time.Second, 20*time.Millisecond)
	require.Equal(t, "neutral", s.newest(t).Conclusion)
	require.Contains(t, s.newest(t).Body, "the forge refuses")
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

// TestP07_AnotherPullRequestOfTheCommitLetsNobodyPast has a pull request fail, and others opened of the same commit: a draft, and one
// into a branch that has the fault already, of which a review reads nothing wrong. Of the check runs of one name at a commit the
// newest counts.
func TestP07_AnotherPullRequestOfTheCommitLetsNobodyPast(t *testing.T) {
	t.Parallel()
	const fault = "package p\n\nfunc A() {\n\tdanger(1)\n}\n"
	a := openAt(t, map[string]string{"README.md": "hello\n"}, map[string]string{"a.go": fault})
	s := a.start(t)
	newest := func() githubtest.Post {
		t.Helper()
		var run githubtest.Post
		for _, p := range a.PostedBy(a.app.Bot) {
			if p.Kind == githubtest.KindCheckRun && p.ID > run.ID {
				run = p
			}
		}
		return run
	}
	_, err := a.repo.Commit(t.Context(), githubtest.Commit{Branch: "pages", Files: map[string]string{"index.md": "a page\n"}})
	require.NoError(t, err)
	require.NoError(t, a.repo.SetBranch(t.Context(), "faulty", a.pull.Head()))
	_, err = a.pull.Push(t.Context(), githubtest.Commit{Files: map[string]string{"b.go": "package p\n"}})
	require.NoError(t, err)
	s.end(t, s.ask(t))
	first := newest()
	require.Equal(t, "failure", first.Conclusion)

	var last *githubtest.PullRequest
	for _, spec := range []githubtest.PullRequestSpec{{Base: "faulty"}, {Base: "pages", Draft: true}} {
		spec.Title, spec.Head, spec.Author = "The same", "topic", "contributor"
		last, err = a.repo.OpenPullRequest(t.Context(), spec)
		require.NoError(t, err)
		s.ref.Number = int64(last.Number())
		s.end(t, s.asks(t, review.TriggerOpened))
		run := newest()
		require.Greater(t, run.ID, first.ID, spec.Base)
		require.Equal(t, first.Commit, run.Commit, spec.Base)
		require.Equal(t, "failure", run.Conclusion, spec.Base)
		if !spec.Draft {
			require.Contains(t, run.Body, fmt.Sprintf("Pull request #%d has the same commit", a.pull.Number()))
		}
		first = run
	}
	_, err = last.Push(t.Context(), githubtest.Commit{Files: map[string]string{"a.go": "package p\n"}})
	require.NoError(t, err)
	s.end(t, s.asks(t, review.TriggerOpened))
	require.Equal(t, "neutral", newest().Conclusion, "another commit, of which nothing failed")
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

// TestP07_NothingUnreadTakesAFailureFromItsCommit has the author of a pull request, who may not write, do what leads to a newer
// check run at the commit whose check failed.
func TestP07_NothingUnreadTakesAFailureFromItsCommit(t *testing.T) {
	t.Parallel()
	const by = "contributor"
	type scene = func(t *testing.T, s *shows)
	then := func(trigger review.Trigger, acts ...func(context.Context, *githubtest.PullRequest) error) scene {
		return func(t *testing.T, s *shows) {
			t.Helper()
			for _, act := range acts {
				require.NoError(t, act(t.Context(), s.pull))
			}
			s.end(t, s.asks(t, trigger))
		}
	}
	closes := func(ctx context.Context, p *githubtest.PullRequest) error { return p.Close(ctx, by) }
	drafts := func(ctx context.Context, p *githubtest.PullRequest) error { return p.ConvertToDraft(ctx, by) }
	titles := func(ctx context.Context, p *githubtest.PullRequest) error { return p.Retitle(ctx, by, "wip", "") }
	base := func(name string) func(ctx context.Context, p *githubtest.PullRequest) error {
		return func(ctx context.Context, p *githubtest.PullRequest) error { return p.SetBase(ctx, by, name) }
	}
	for name, c := range map[string]struct {
		config string
		act    scene
	}{
		"asks while it is closed":             {"", then(review.TriggerCommand, closes)},
		"opens a draft again":                 {"", then(review.TriggerReopened, drafts)},
		"takes a title that is ignored":       {"review: {ignore: {titles: [wip]}}\n", then(review.TriggerReopened, titles)},
		"opens again what only who asks gets": {"review: {ignore: {authors: [contributor]}}\n", then(review.TriggerReopened)},
		"goes to a branch without reviews":    {"review: {base_branches: [main]}\n", then(review.TriggerBaseChanged, base("next"))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{"a.go": def("A", "\tdanger(1)\n")}
			a := openAt(t, map[string]string{"README.md": "hello\n", ".witan.yaml": "version: 1\n" + c.config}, files)
			_, err := a.repo.Commit(t.Context(), githubtest.Commit{Branch: "next", Files: files})
			require.NoError(t, err)
			s := a.start(t)
			s.end(t, s.ask(t))
			require.Equal(t, "failure", s.newest(t).Conclusion)
			c.act(t, s)
			check := s.newest(t)
			require.Equal(t, "completed", check.Status)
			require.Equal(t, "failure", check.Conclusion, check.Body)
		})
	}
}

// TestP07_TheCheckOfAnotherBranchDoesNotPass: whoever opened a pull request to a branch that has the worst of it already takes it
// to another one, where pushes start no reviews.
func TestP07_TheCheckOfAnotherBranchDoesNotPass(t *testing.T) {
	t.Parallel()
	a := openAt(t, map[string]string{".witan.yaml": "version: 1\nreview: {auto: [opened]}\n"}, map[string]string{"a.go": def("A", "\tdanger(1)\n")})
	_, err := a.repo.Commit(t.Context(), githubtest.Commit{Branch: "next", Parent: "topic", Files: map[string]string{"b.go": "package p\n"}})
	require.NoError(t, err)
	_, err = a.pull.Push(t.Context(), githubtest.Commit{Files: map[string]string{"c.go": "package p\n"}})
	require.NoError(t, err)
	require.NoError(t, a.pull.SetBase(t.Context(), "contributor", "next"))
	s := a.start(t)
	s.end(t, s.asks(t, review.TriggerOpened))
	require.Equal(t, "success", s.newest(t).Conclusion)
	require.NoError(t, a.pull.SetBase(t.Context(), "contributor", "main"))
	r, _ := s.end(t, s.asks(t, review.TriggerBaseChanged))
	require.Equal(t, review.DeclinedBaseUnread, r.DeclinedReason)
	require.Equal(t, "failure", s.newest(t).Conclusion)
	require.Contains(t, s.newest(t).Body, "/witan review")
}

// TestP07_NoCheckRunPassesForABranchWithoutReviews where it has to be complete: it would stand at the commit when the pull
// request goes to another branch.
func TestP07_NoCheckRunPassesForABranchWithoutReviews(t *testing.T) {
	t.Parallel()
	for config, runs := range map[string]int{"check: {incomplete: failure}\n": 0, "": 1} {
		a := openAt(t, map[string]string{".witan.yaml": "version: 1\nreview: {base_branches: [next]}\n" + config}, map[string]string{"a.go": "package p\n"})
		s := a.start(t)
		r, _ := s.end(t, s.asks(t, review.TriggerOpened))
		require.Equal(t, review.DeclinedBranch, r.DeclinedReason)
		require.Len(t, a.checkRuns(), runs)
	}
}

func (a *at) checkRuns() []githubtest.Post {
	return slices.DeleteFunc(a.PostedBy(a.app.Bot), func(p githubtest.Post) bool { return p.Kind != githubtest.KindCheckRun })
}

// newest is the check run that counts at the forge.
func (a *at) newest(t *testing.T) githubtest.Post {
	t.Helper()
	runs := a.checkRuns()
	require.NotEmpty(t, runs)
	return runs[len(runs)-1]
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
