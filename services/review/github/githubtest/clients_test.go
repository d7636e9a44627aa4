package githubtest_test

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/google/go-github/v60/github"
	"github.com/stretchr/testify/require"

	"witan.dev/services/review/github/githubtest"
)

// library is go-github with an installation's tokens, as programs use it.
func library(t *testing.T, s *githubtest.Server) *github.Client {
	t.Helper()
	app, err := s.App()
	require.NoError(t, err)
	base := &http.Transport{}
	t.Cleanup(base.CloseIdleConnections)
	transport, err := ghinstallation.New(base, app.ID, app.InstallationID, app.PrivateKey)
	require.NoError(t, err)
	transport.BaseURL = s.APIURL
	client, err := github.NewClient(&http.Client{Transport: transport}).WithEnterpriseURLs(s.URL, s.URL)
	require.NoError(t, err)
	return client
}

func TestTheUsualLibrariesUnderstandIt(t *testing.T) {
	t.Parallel()
	s, p := numbered(t)
	c := library(t, s)
	ctx := t.Context()
	pull, _, err := c.PullRequests.Get(ctx, "acme", "tools", 7)
	require.NoError(t, err)
	require.Equal(t, p.Head(), pull.GetHead().GetSHA())
	require.Equal(t, 3, pull.GetChangedFiles())
	raw, _, err := c.PullRequests.GetRaw(ctx, "acme", "tools", 7, github.RawOptions{Type: github.Diff})
	require.NoError(t, err)
	want, err := p.Diff(ctx)
	require.NoError(t, err)
	require.Equal(t, string(want), raw)
	compared, _, err := c.Repositories.CompareCommits(ctx, "acme", "tools", "main", p.Head(), nil)
	require.NoError(t, err)
	base, err := p.MergeBase(ctx)
	require.NoError(t, err)
	require.Equal(t, base, compared.GetMergeBaseCommit().GetSHA())
	blob, _, err := c.Git.GetBlobRaw(ctx, "acme", "tools", compared.Files[0].GetSHA())
	require.NoError(t, err)
	require.Contains(t, string(blob), "line ten")
	content, _, _, err := c.Repositories.GetContents(ctx, "acme", "tools", "f.txt", &github.RepositoryContentGetOptions{Ref: "main"})
	require.NoError(t, err)
	text, err := content.GetContent()
	require.NoError(t, err)
	require.Equal(t, lines(1, 60), text)

	var drafts []*github.DraftReviewComment
	for _, line := range []int{7, 8, 9, 10, 11} {
		drafts = append(drafts, &github.DraftReviewComment{Path: new("f.txt"), Line: new(line), Side: new("RIGHT"), Body: new("text")})
	}
	review, _, err := c.PullRequests.CreateReview(ctx, "acme", "tools", 7, &github.PullRequestReviewRequest{
		CommitID: new(p.Head()), Event: new("COMMENT"), Comments: drafts,
	})
	require.NoError(t, err)
	require.Equal(t, "COMMENTED", review.GetState())
	var seen []int
	options := &github.PullRequestListCommentsOptions{ListOptions: github.ListOptions{PerPage: 2}}
	for {
		list, response, err := c.PullRequests.ListComments(ctx, "acme", "tools", 7, options)
		require.NoError(t, err)
		for _, m := range list {
			seen = append(seen, m.GetLine())
		}
		if response.NextPage == 0 {
			break
		}
		options.Page = response.NextPage
	}
	require.Equal(t, []int{7, 8, 9, 10, 11}, seen)
	run, _, err := c.Checks.CreateCheckRun(ctx, "acme", "tools", github.CreateCheckRunOptions{Name: "witan", HeadSHA: p.Head(), Status: new("in_progress")})
	require.NoError(t, err)
	_, _, err = c.Checks.UpdateCheckRun(ctx, "acme", "tools", run.GetID(), github.UpdateCheckRunOptions{Name: "witan", Conclusion: new("neutral")})
	require.NoError(t, err)
	level, _, err := c.Repositories.GetPermissionLevel(ctx, "acme", "tools", "acme")
	require.NoError(t, err)
	require.Equal(t, "admin", level.GetPermission())

	_, _, err = c.PullRequests.CreateReview(ctx, "acme", "tools", 7, &github.PullRequestReviewRequest{Event: new("COMMENT"), Comments: []*github.DraftReviewComment{{
		Path: new("f.txt"), Line: new(25), Body: new("beside"),
	}}})
	refused, found := errors.AsType[*github.ErrorResponse](err)
	require.True(t, found, "%v", err)
	require.Equal(t, 422, refused.Response.StatusCode)

	s.Inject(githubtest.Fault{Kind: githubtest.SecondaryLimit, Path: "/repos/*/*/pulls/*", RetryAfter: 30 * time.Second, Times: 1})
	_, _, err = c.PullRequests.Get(ctx, "acme", "tools", 7)
	abuse, found := errors.AsType[*github.AbuseRateLimitError](err)
	require.True(t, found, "%v", err)
	require.Equal(t, 30*time.Second, abuse.GetRetryAfter())
	c = library(t, s) // go-github remembers the limit and asks no more
	s.Inject(githubtest.Fault{Kind: githubtest.PrimaryLimit, Path: "/repos/*/*/pulls/*", RetryAfter: time.Hour, Times: 1})
	_, _, err = c.PullRequests.Get(ctx, "acme", "tools", 7)
	_, found = errors.AsType[*github.RateLimitError](err)
	require.True(t, found, "%v", err)
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	s, p := numbered(t)
	c := as(t, s, s.InstallationToken(nil))
	head := p.Head()
	var group sync.WaitGroup
	for n := range 6 {
		group.Go(func() {
			for i := range 4 {
				c := *c
				c.want(201, "POST", pulls+"/comments", m{"commit_id": head, "path": "f.txt", "line": 7 + i, "body": fmt.Sprintf("%d of %d", i, n)})
				c.want(200, "GET", pulls+"/comments?per_page=100", nil)
				c.want(200, "GET", pulls, nil)
			}
		})
	}
	group.Go(func() {
		for i := range 4 {
			_, err := p.Push(t.Context(), githubtest.Commit{Message: "More", Files: map[string]string{"more.txt": fmt.Sprint(i)}})
			require.NoError(t, err)
			p.Repository().Rename("instruments")
			p.Repository().Rename("tools")
			s.Grant(githubtest.DefaultPermissions())
		}
	})
	group.Wait()
	require.Len(t, s.Posted(), 24)
	require.NoError(t, s.CheckPositions(t.Context()))
}
