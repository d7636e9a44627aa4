package github_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/diff"
	"witan.dev/internal/secret"
	"witan.dev/services/review"
	"witan.dev/services/review/github"
	"witan.dev/services/review/github/githubtest"
	"witan.dev/services/review/publish"
)

// desk is a pull request at a simulated GitHub, and a writer as the App.
type desk struct {
	*githubtest.Server
	*github.Writer

	app  githubtest.App
	pull *githubtest.PullRequest
	ref  review.PullRef
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{Server: githubtest.New(t, githubtest.Options{})}
	repo, err := d.AddRepository(t.Context(), githubtest.RepositorySpec{Owner: "octocat", Name: "hello", Files: map[string]string{"f.txt": "one\ntwo\nthree\n"}})
	require.NoError(t, err)
	_, err = repo.Commit(t.Context(), githubtest.Commit{Branch: "topic", Files: map[string]string{"f.txt": "one\n2\n3\nthree\n"}})
	require.NoError(t, err)
	d.pull, err = repo.OpenPullRequest(t.Context(), githubtest.PullRequestSpec{Title: "Numbers", Head: "topic", Author: "contributor"})
	require.NoError(t, err)
	d.app, err = d.App()
	require.NoError(t, err)
	client, err := github.NewClient(github.Params{
		BaseURL: d.URL, AppID: d.app.ID, PrivateKey: secret.New(string(d.app.PrivateKey)), WritePace: -1,
	})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	d.Writer = github.NewWriter(client)
	d.ref = review.PullRef{Repo: review.Repo{Host: client.Host(), Owner: "octocat", Name: "hello"}, Number: int64(d.pull.Number())}
	return d
}

func inline(body string) publish.Inline {
	return publish.Inline{Path: "f.txt", Side: diff.Right, StartLine: 2, Line: 3, Body: body}
}

func TestWriterPostsEveryKindAndRecognisesItsOwn(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	ctx := t.Context()
	made, err := d.CreateReview(ctx, d.ref, d.pull.Head(), []publish.Inline{
		inline("both"), {Path: "f.txt", Side: diff.Left, Line: 2, Body: "gone"},
	})
	require.NoError(t, err)
	require.Len(t, made, 2)
	file, err := d.CreateFileComment(ctx, d.ref, d.pull.Head(), "f.txt", "whole")
	require.NoError(t, err)
	reply, err := d.Reply(ctx, d.ref, made[0].ID, "an answer")
	require.NoError(t, err)
	require.Equal(t, made[0].ID, reply.InReplyTo)
	talk, err := d.CreateComment(ctx, d.ref, "hello")
	require.NoError(t, err)
	_, err = d.EditComment(ctx, d.ref, publish.KindConversation, talk.ID, "hello again")
	require.NoError(t, err)
	foreign, err := d.pull.Comment(ctx, "octocat", "mine")
	require.NoError(t, err)
	require.NoError(t, d.React(ctx, d.ref, publish.KindConversation, foreign, publish.ReactionEyes))

	all, err := d.Comments(ctx, d.ref)
	require.NoError(t, err)
	kinds := map[string]publish.Kind{}
	for _, c := range all {
		if c.Body == "" {
			continue // the review over the comments
		}
		kinds[c.Body] = c.Kind
		require.Equal(t, c.Body != "mine", c.Ours, c.Body)
	}
	require.Equal(t, map[string]publish.Kind{
		"both": publish.KindInline, "gone": publish.KindInline, "whole": publish.KindFile, "an answer": publish.KindInline,
		"hello again": publish.KindConversation, "mine": publish.KindConversation,
	}, kinds)
	require.Equal(t, publish.KindFile, file.Kind)
	require.NoError(t, d.CheckPositions(ctx))
	for _, p := range d.PostedBy(d.app.Bot) {
		require.Equal(t, "write", p.Permissions["pull_requests"])
		require.Empty(t, p.Permissions["contents"], "the writing token reads no code")
		require.Empty(t, p.Permissions["checks"], "it writes no check runs either")
	}
}

func TestWriterResolvesThreads(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.Grant(map[string]string{"metadata": "read", "contents": "write", "pull_requests": "write", "checks": "write"})
	ctx := t.Context()
	made, err := d.CreateReview(ctx, d.ref, d.pull.Head(), []publish.Inline{inline("one")})
	require.NoError(t, err)
	threads, err := d.Threads(ctx, d.ref)
	require.NoError(t, err)
	require.Len(t, threads, 1)
	require.Equal(t, made[0].ID, threads[0].Root)
	require.False(t, threads[0].Resolved)
	require.NoError(t, d.ResolveThread(ctx, d.ref, threads[0].ID))
	threads, err = d.Threads(ctx, d.ref)
	require.NoError(t, err)
	require.True(t, threads[0].Resolved)
	require.ErrorIs(t, d.ResolveThread(ctx, d.ref, "nothing"), publish.ErrGone)
	d.Grant(map[string]string{"metadata": "read", "contents": "read", "pull_requests": "write", "checks": "write"})
	d.RevokeTokens()
	require.ErrorIs(t, d.ResolveThread(ctx, d.ref, threads[0].ID), publish.ErrForbidden, "without contents: write")
}

func TestWriterKeepsOneCheckRun(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	ctx := t.Context()
	made, err := d.CreateCheck(ctx, d.ref.Repo, publish.Check{
		Name: "witan", ExternalID: "key", Head: d.pull.Head(), Status: publish.CheckInProgress, Title: "under way", Summary: "…",
	})
	require.NoError(t, err)
	require.Empty(t, d.PostedBy(d.app.Bot)[0].Actions, "as long as it runs there is nothing to be asked for")
	made.Status, made.Conclusion, made.Title, made.Summary = publish.CheckCompleted, publish.Neutral, "in part", "two files"
	_, err = d.UpdateCheck(ctx, d.ref.Repo, made)
	require.NoError(t, err)
	all, err := d.Checks(ctx, d.ref.Repo, d.pull.Head())
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.Equal(t, "key", all[0].ExternalID)
	require.Equal(t, publish.Neutral, all[0].Conclusion)
	require.Equal(t, []string{review.CheckActionWhole}, d.PostedBy(d.app.Bot)[0].Actions)
	require.NoError(t, d.pull.Repository().RequestAction(ctx, "contributor", made.ID, review.CheckActionWhole))
	_, err = d.CreateCheck(ctx, d.ref.Repo, publish.Check{Name: "witan", Head: "1111111111111111111111111111111111111111", Status: publish.CheckInProgress})
	require.ErrorIs(t, err, review.ErrHeadGone)
}

// TestWriterSaysWhetherSomethingMayHaveHappened: whoever publishes looks before writing again only where it must.
func TestWriterSaysWhetherSomethingMayHaveHappened(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault githubtest.Fault
		want  error
	}{
		"failed behind it":   {githubtest.Fault{Kind: githubtest.FailAfter}, publish.ErrAmbiguous},
		"failed before it":   {githubtest.Fault{Kind: githubtest.FailBefore}, publish.ErrAmbiguous},
		"cut behind it":      {githubtest.Fault{Kind: githubtest.CutAfter}, publish.ErrAmbiguous},
		"cut before it":      {githubtest.Fault{Kind: githubtest.CutBefore}, publish.ErrAmbiguous},
		"not permitted":      {githubtest.Fault{Kind: githubtest.Forbidden}, publish.ErrForbidden},
		"asked for a pause":  {githubtest.Fault{Kind: githubtest.SecondaryLimit, RetryAfter: time.Minute}, review.ErrUnavailable},
		"called it spamming": {githubtest.Fault{Kind: githubtest.Spammed}, review.ErrUnavailable},
		"called it abuse":    {githubtest.Fault{Kind: githubtest.Abuse}, review.ErrUnavailable},
		"no requests left":   {githubtest.Fault{Kind: githubtest.PrimaryLimit, RetryAfter: time.Minute}, review.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			_, err := d.CreateComment(t.Context(), d.ref, "before")
			require.NoError(t, err)
			c.fault.Method, c.fault.Path, c.fault.Times = "POST", "/repos/*/*/issues/*/comments", 1
			d.Inject(c.fault)
			_, err = d.CreateComment(t.Context(), d.ref, "in doubt")
			require.ErrorIs(t, err, c.want)
			done := slices.ContainsFunc(d.Posted(), func(p githubtest.Post) bool { return p.Body == "in doubt" })
			require.Equal(t, c.fault.Kind == githubtest.FailAfter || c.fault.Kind == githubtest.CutAfter, done)
		})
	}
}

// TestP06_NothingIsSentForAJobThatIsAnothersByNow has a process lose its job, or stand still, between what it was about to write and
// the request.
func TestP06_NothingIsSentForAJobThatIsAnothersByNow(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	now := time.Now()
	clock := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}
	d := newDesk(t)
	client, err := github.NewClient(github.Params{
		BaseURL: d.URL, AppID: d.app.ID, PrivateKey: secret.New(string(d.app.PrivateKey)), WritePace: -1, Clock: clock,
	})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	w := github.NewWriter(client)
	lost := errors.New("another process has the job")
	_, err = w.CreateComment(publish.Confirming(t.Context(), func(context.Context) error { return lost }), d.ref, "late")
	require.ErrorIs(t, err, lost)
	_, err = w.CreateComment(publish.Confirming(t.Context(), func(context.Context) error {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(time.Minute) // it was stopped, and goes on
		return nil
	}), d.ref, "thawed")
	require.ErrorIs(t, err, review.ErrUnavailable)
	require.NotErrorIs(t, err, publish.ErrAmbiguous, "nothing was sent")
	require.Empty(t, d.PostedBy(d.app.Bot))
	asked := 0
	_, err = w.CreateComment(publish.Confirming(t.Context(), func(context.Context) error { asked++; return nil }), d.ref, "in time")
	require.NoError(t, err)
	require.Equal(t, 1, asked)
	require.Len(t, d.PostedBy(d.app.Bot), 1)
}

func TestWriterNamesWhatIsRefused(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	ctx := t.Context()
	_, err := d.CreateReview(ctx, d.ref, d.pull.Head(), []publish.Inline{inline("good"), {Path: "f.txt", Side: diff.Right, Line: 99, Body: "bad"}})
	require.ErrorIs(t, err, publish.ErrRefused)
	require.Empty(t, d.PostedBy(d.app.Bot), "all or nothing")
	old := d.pull.Head()
	_, err = d.pull.Rebase(ctx, "again")
	require.NoError(t, err)
	require.NoError(t, d.pull.Prune(ctx))
	_, err = d.CreateReview(ctx, d.ref, old, []publish.Inline{inline("late")})
	require.ErrorIs(t, err, review.ErrHeadGone)
	_, err = d.Reply(ctx, d.ref, 1, "to nobody")
	require.ErrorIs(t, err, publish.ErrGone)
	d.RevokeTokens()
	_, err = d.CreateComment(ctx, d.ref, "with a new token")
	require.NoError(t, err)
	d.Grant(map[string]string{"metadata": "read", "contents": "read", "pull_requests": "read"})
	d.RevokeTokens()
	_, err = d.CreateComment(ctx, d.ref, "without permission")
	require.ErrorIs(t, err, publish.ErrForbidden)
}

// place puts one of each kind of comment in the diff, in the thread of root.
func (d *desk) place(t *testing.T, w *github.Writer, root int64) []error {
	t.Helper()
	_, first := w.CreateReview(t.Context(), d.ref, d.pull.Head(), []publish.Inline{inline("one")})
	_, second := w.CreateFileComment(t.Context(), d.ref, d.pull.Head(), "f.txt", "whole")
	_, third := w.Reply(t.Context(), d.ref, root, "an answer")
	return []error{first, second, third}
}

// TestWriterRemovesAPendingReviewThatNobodyMisses: as long as there is one, GitHub takes nothing of its author's in the diff.
func TestWriterRemovesAPendingReviewThatNobodyMisses(t *testing.T) {
	t.Parallel()
	const user = "maintainer"
	mark := publish.Mark("0123456789abcdef01234567")
	for name, c := range map[string]struct {
		by     string
		drafts []string
		stays  bool
	}{
		"the App's own":       {"", []string{"left behind"}, false},
		"a person's":          {user, []string{"I am not done yet"}, true},
		"ours, and more":      {user, []string{"ours" + "\n" + mark, "I am not done yet"}, true},
		"ours under a person": {user, []string{"ours\n" + mark}, false},
		"an empty one":        {user, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			w, by := d.Writer, d.app.Bot
			if c.by != "" {
				by = c.by
				d.pull.Repository().SetRole(by, "write")
				client, err := github.NewClient(github.Params{
					BaseURL: d.URL, WritePace: -1, Token: secret.New(d.UserToken("reader", githubtest.DefaultPermissions())),
					WriteToken: secret.New(d.UserToken(by, githubtest.DefaultPermissions())),
				})
				require.NoError(t, err)
				t.Cleanup(client.Close)
				d.pull.Repository().SetRole("reader", "read")
				w = github.NewWriter(client)
			}
			made, err := w.CreateReview(t.Context(), d.ref, d.pull.Head(), []publish.Inline{inline("before")})
			require.NoError(t, err)
			_, err = d.pull.BeginReview(t.Context(), by, "f.txt", c.drafts...)
			require.NoError(t, err)
			for _, err := range d.place(t, w, made[0].ID) {
				if c.stays {
					require.ErrorIs(t, err, publish.ErrPending)
				} else {
					require.NoError(t, err)
				}
			}
			_, err = w.CreateComment(t.Context(), d.ref, "the conversation is open")
			require.NoError(t, err)
			_, err = d.pull.BeginReview(t.Context(), "somebody else", "f.txt", "theirs")
			require.NoError(t, err)
			left := 0
			for _, p := range d.Posted() {
				if slices.Contains(c.drafts, p.Body) && !p.Deleted {
					left++
				}
			}
			if c.stays {
				require.Len(t, c.drafts, left, "what a person wrote is not ours to remove")
			} else {
				require.Zero(t, left)
			}
		})
	}
}

// TestWriterCommentsWithoutThePermissionForChecks: one token is not asked for what another purpose needs.
func TestWriterCommentsWithoutThePermissionForChecks(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.Grant(map[string]string{"metadata": "read", "contents": "read", "pull_requests": "write"})
	ctx := t.Context()
	_, err := d.CreateReview(ctx, d.ref, d.pull.Head(), []publish.Inline{inline("one")})
	require.NoError(t, err)
	_, err = d.Checks(ctx, d.ref.Repo, d.pull.Head())
	require.ErrorIs(t, err, publish.ErrForbidden)
	_, err = d.CreateCheck(ctx, d.ref.Repo, publish.Check{Name: "witan", Head: d.pull.Head(), Status: publish.CheckInProgress})
	require.ErrorIs(t, err, publish.ErrForbidden)
}
