package github_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/apierr"
	"witan.dev/internal/secret"
	"witan.dev/services/review"
	"witan.dev/services/review/github"
	"witan.dev/services/review/publish"
)

func TestAPullRequestIsReadWithTheTipOfItsBaseBranch(t *testing.T) {
	t.Parallel()
	h := newHub(t, pullRoutes())
	got, err := h.client().PullRequest(t.Context(), h.pull())
	require.NoError(t, err)
	want := review.PullRequest{
		PullRef: review.PullRef{Repo: h.repo(), Number: 5}, State: review.PullOpen, Title: "Add a thing", Body: "text", Author: "ann",
		Labels: []string{"bug"}, BaseBranch: "main", Base: old, BaseTip: tip, Head: head, HeadBranch: "topic", DefaultBranch: "main",
		ChangedFiles: 3, URL: "https://x/pull/5",
	}
	want.ID = 42
	require.Equal(t, want, got)
}

func TestThePullRequestsOfOthersAreTold(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		headRepo, further string
		check             func(t *testing.T, p review.PullRequest)
	}{
		"fork": {`{"id":43,"name":"site","owner":{"login":"ann"}}`, "", func(t *testing.T, p review.PullRequest) {
			t.Helper()
			require.True(t, p.Fork)
			require.Equal(t, "topic", p.HeadBranch)
		}},
		"deleted fork": {`null`, "", func(t *testing.T, p review.PullRequest) {
			t.Helper()
			require.True(t, p.Fork)
			require.Empty(t, p.HeadBranch)
		}},
		"draft": {ownRepo, `,"draft":true`, func(t *testing.T, p review.PullRequest) {
			t.Helper()
			require.True(t, p.Draft)
			require.False(t, p.Fork)
		}},
		"closed": {ownRepo, `,"state":"closed"`, func(t *testing.T, p review.PullRequest) {
			t.Helper()
			require.Equal(t, review.PullClosed, p.State)
		}},
		"merged": {ownRepo, `,"state":"closed","merged":true`, func(t *testing.T, p review.PullRequest) {
			t.Helper()
			require.Equal(t, review.PullMerged, p.State)
		}},
		"by a program": {ownRepo, `,"user":{"login":"dependabot[bot]","type":"Bot"}`, func(t *testing.T, p review.PullRequest) {
			t.Helper()
			require.True(t, p.AuthorBot)
		}},
		"by nobody": {ownRepo, `,"user":null`, func(t *testing.T, p review.PullRequest) {
			t.Helper()
			require.Equal(t, "ghost", p.Author)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHub(t, pullRoutes())
			// The last of two equal keys counts.
			h.on(routePull, answer(http.StatusOK, pullJSON(c.headRepo, c.further)))
			p, err := h.client().PullRequest(t.Context(), h.pull())
			require.NoError(t, err)
			c.check(t, p)
		})
	}
}

func TestAMergedPullRequestOutlivesItsBaseBranch(t *testing.T) {
	t.Parallel()
	h := newHub(t, map[string]http.HandlerFunc{routePull: answer(http.StatusOK, pullJSON(ownRepo, `,"merged":true`))})
	p, err := h.client().PullRequest(t.Context(), h.pull())
	require.NoError(t, err)
	require.Equal(t, old, p.BaseTip)
}

func TestARenamedRepositoryIsFoundByItsNumber(t *testing.T) {
	t.Parallel()
	renamed := strings.ReplaceAll(strings.ReplaceAll(pullJSON(ownRepo, ""), `"login":"octo"`, `"login":"hex"`), `"name":"site"`, `"name":"page"`)
	routes := map[string]http.HandlerFunc{
		"GET /repositories/42":                answer(http.StatusOK, `{"id":42,"name":"page","owner":{"login":"hex"}}`),
		"GET /repos/hex/page/pulls/5":         answer(http.StatusOK, renamed),
		"GET /repos/hex/page/branches/main":   answer(http.StatusOK, refJSON("main")),
		"GET /repositories/42/pulls/5":        answer(http.StatusOK, renamed),
		"GET /repositories/42/branches/main":  answer(http.StatusOK, refJSON("main")),
		"GET /repos/other/site/branches/main": answer(http.StatusOK, refJSON("main")),
	}
	for name, atOldName := range map[string]http.HandlerFunc{
		"gone":             answer(http.StatusNotFound, `{"message":"Not Found"}`),
		"taken by another": answer(http.StatusOK, strings.ReplaceAll(pullJSON(ownRepo, ""), `"id":42`, `"id":99`)),
		"redirected": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/api/v3/repositories/42/pulls/5", http.StatusMovedPermanently)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHub(t, routes)
			h.on(routePull, atOldName)
			ref := h.pull()
			ref.ID = 42
			p, err := h.client().PullRequest(t.Context(), ref)
			require.NoError(t, err)
			require.Equal(t, "hex/page", p.FullName())
			require.EqualValues(t, 42, p.ID)
		})
	}
}

func TestWhatDoesNotExistIsTold(t *testing.T) {
	t.Parallel()
	h := newHub(t, nil)
	c := h.client()
	_, err := c.PullRequest(t.Context(), h.pull())
	require.ErrorIs(t, err, review.ErrPullRequestNotFound)
	_, err = c.Tip(t.Context(), h.repo(), "gone")
	require.ErrorIs(t, err, review.ErrRevisionUnknown)
	_, err = c.File(t.Context(), h.repo(), ".witan.yaml", tip)
	require.ErrorIs(t, err, review.ErrNoFile)
	p, err := c.Permission(t.Context(), h.repo(), "nobody")
	require.NoError(t, err)
	require.Equal(t, review.PermissionNone, p)
}

func TestNamesThatLeadElsewhereAreNotAskedFor(t *testing.T) {
	t.Parallel()
	h := newHub(t, nil)
	c := h.client()
	for _, name := range []string{"..", "a/../../user", "a?b", "a#b", "a%2fb", "", "a b", "ä"} {
		ref := h.pull()
		ref.Name = name
		_, err := c.PullRequest(t.Context(), ref)
		require.ErrorIs(t, err, review.ErrPullRequestNotFound, name)
		p, err := c.Permission(t.Context(), h.repo(), name)
		require.NoError(t, err, name)
		require.Equal(t, review.PermissionNone, p, name)
	}
	for _, path := range []string{"", "/etc/passwd", "../x", "a/../../x", "a//b", "."} {
		_, err := c.File(t.Context(), h.repo(), path, tip)
		require.ErrorIs(t, err, review.ErrNoFile, path)
	}
	for _, branch := range []string{"", "../../x", "a..b/../..", "a b", "a?b"} {
		_, err := c.Tip(t.Context(), h.repo(), branch)
		require.ErrorIs(t, err, review.ErrRevisionUnknown, branch)
	}
	foreign := h.pull()
	foreign.Host = "example.com"
	_, err := c.PullRequest(t.Context(), foreign)
	require.ErrorIs(t, err, review.ErrNoForge)
	require.Zero(t, h.requests(""), h.seen)
}

func TestNamesWithBlanksAndSignsReachTheirFile(t *testing.T) {
	t.Parallel()
	h := newHub(t, map[string]http.HandlerFunc{
		"GET /repos/octo/site/contents/a%20b/c%3Fd%23.md": answer(http.StatusOK, fileJSON("hello")),
		"GET /repos/octo/site/branches/a/b%23c":           answer(http.StatusOK, refJSON("a/b#c")),
	})
	got, err := h.client().File(t.Context(), h.repo(), "a b/c?d#.md", tip)
	require.NoError(t, err)
	require.Equal(t, "hello", string(got))
	commit, err := h.client().Tip(t.Context(), h.repo(), "a/b#c")
	require.NoError(t, err)
	require.Equal(t, tip, commit)
}

func fileJSON(content string) string {
	return fmt.Sprintf(`{"type":"file","size":%d,"encoding":"base64","content":%q}`, len(content), base64.StdEncoding.EncodeToString([]byte(content)))
}

func TestOnlyWholeFilesAreRead(t *testing.T) {
	t.Parallel()
	const route = "GET /repos/octo/site/contents/f"
	blob := "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0" // of "hello"
	for name, c := range map[string]struct {
		body string
		err  error
	}{
		"file":        {fileJSON("hello"), nil},
		"large":       {`{"type":"file","size":1048577,"encoding":"none","content":"","sha":"` + blob + `"}`, review.ErrTooLarge},
		"by blob":     {`{"type":"file","size":5,"encoding":"none","content":"","sha":"` + blob + `"}`, nil},
		"folder":      {`[{"type":"file","size":5}]`, review.ErrNoFile},
		"link":        {`{"type":"symlink","size":5,"target":"/etc/passwd"}`, review.ErrNoFile},
		"submodule":   {`{"type":"submodule","size":0}`, review.ErrNoFile},
		"cut content": {strings.Replace(fileJSON("hello"), `"size":5`, `"size":6`, 1), review.ErrUnavailable},
		"no content":  {`{"type":"file","size":5}`, review.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHub(t, map[string]http.HandlerFunc{
				route:                                    answer(http.StatusOK, c.body),
				"GET /repos/octo/site/git/blobs/" + blob: func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") },
			})
			got, err := h.client().File(t.Context(), h.repo(), "f", tip)
			if c.err != nil {
				require.ErrorIs(t, err, c.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, "hello", string(got))
		})
	}
}

func TestABlobIsWhatItsIDSays(t *testing.T) {
	t.Parallel()
	h := newHub(t, map[string]http.HandlerFunc{
		"GET /repos/octo/site/contents/f":        answer(http.StatusOK, `{"type":"file","size":5,"encoding":"none","sha":"`+head+`"}`),
		"GET /repos/octo/site/git/blobs/" + head: func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "other") },
		"GET /repos/octo/site/contents/g":        answer(http.StatusOK, `{"type":"file","size":5,"encoding":"none","sha":"`+tip+`"}`),
		"GET /repos/octo/site/git/blobs/" + tip: func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(make([]byte, review.MaxText+1))
		},
	})
	_, err := h.client().File(t.Context(), h.repo(), "f", tip)
	require.ErrorIs(t, err, review.ErrUnavailable)
	_, err = h.client().File(t.Context(), h.repo(), "g", tip)
	require.ErrorIs(t, err, review.ErrTooLarge, "the size was a lie")
}

func TestPermissionsComeFromRolesFirst(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]review.Permission{
		`{"permission":"admin","role_name":"admin"}`:        review.PermissionAdmin,
		`{"permission":"write","role_name":"maintain"}`:     review.PermissionMaintain,
		`{"permission":"write","role_name":"write"}`:        review.PermissionWrite,
		`{"permission":"read","role_name":"triage"}`:        review.PermissionTriage,
		`{"permission":"read","role_name":"read"}`:          review.PermissionRead,
		`{"permission":"none","role_name":""}`:              review.PermissionNone,
		`{"permission":"write","role_name":"release-crew"}`: review.PermissionWrite,
		`{"permission":"write"}`:                            review.PermissionWrite,
	} {
		h := newHub(t, map[string]http.HandlerFunc{"GET /repos/octo/site/collaborators/ann/permission": answer(http.StatusOK, body)})
		got, err := h.client().Permission(t.Context(), h.repo(), "ann")
		require.NoError(t, err, body)
		require.Equal(t, want, got, body)
	}
	h := newHub(t, map[string]http.HandlerFunc{"GET /repos/octo/site/collaborators/ann/permission": answer(http.StatusOK, "")})
	_, err := h.client().Permission(t.Context(), h.repo(), "ann")
	require.ErrorIs(t, err, review.ErrUnavailable, "an empty answer grants nothing")
}

func TestAnAppReadsWithTokensThatCannotWrite(t *testing.T) {
	t.Parallel()
	h := newHub(t, pullRoutes())
	h.on("GET /repos/octo/site/installation", func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ey") {
			answer(http.StatusUnauthorized, `{"message":"A JSON web token could not be decoded"}`)(w, r)
			return
		}
		answer(http.StatusOK, `{"id":11}`)(w, r)
	})
	plain := pullJSON(ownRepo, "")
	h.on(routePull, func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Header.Get("Authorization"), "token ghs_minted") {
			answer(http.StatusUnauthorized, `{"message":"Bad credentials"}`)(w, r)
			return
		}
		answer(http.StatusOK, plain)(w, r)
	})
	c := h.client(asApp(t))
	for range 2 {
		p, err := c.PullRequest(t.Context(), h.pull())
		require.NoError(t, err)
		require.EqualValues(t, 11, p.Installation)
	}
	reading := map[string]string{"metadata": "read", "contents": "read", "pull_requests": "read"}
	require.Equal(t, []map[string]string{reading, reading}, h.minted)
	require.Equal(t, [][]int64{nil, {42}}, h.narrowed, "as soon as the repository's ID is known, for that one only")
	require.Equal(t, 1, h.requests("GET /repos/octo/site/installation"))
}

func TestTokensAreRenewedBeforeTheyExpire(t *testing.T) {
	t.Parallel()
	h := newHub(t, pullRoutes())
	h.lifetime = 50 * time.Second // less than the minute that is kept as a reserve
	c := h.client(asApp(t))
	ref := h.pull()
	ref.Installation = 11
	_, err := c.PullRequest(t.Context(), ref)
	require.NoError(t, err)
	require.Len(t, h.minted, 4, "one before each of two requests, and one with it")
}

// TestP11_ATokenThatIsSentBackIsNotRepeated: errors end in logs and at jobs.
func TestP11_ATokenThatIsSentBackIsNotRepeated(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusUnprocessableEntity, http.StatusBadGateway} {
		h := newHub(t, pullRoutes())
		h.on(routePull, func(w http.ResponseWriter, r *http.Request) {
			answer(status, fmt.Sprintf(`{"message":"Bad credentials: %s"}`, r.Header.Get("Authorization")))(w, r)
		})
		ref := h.pull()
		ref.Installation, ref.ID = 11, 42
		_, err := h.client(asApp(t)).PullRequest(t.Context(), ref)
		require.ErrorContains(t, err, "Bad credentials")
		require.NotContains(t, fmt.Sprintf("%v %+v", err, err), "ghs_minted")
	}
}

func TestARevokedTokenIsReplacedOnce(t *testing.T) {
	t.Parallel()
	h := newHub(t, pullRoutes())
	refused := answer(http.StatusUnauthorized, `{"message":"Bad credentials"}`)
	h.on(routePull, inOrder(refused, answer(http.StatusOK, pullJSON(ownRepo, ""))))
	c := h.client(asApp(t))
	ref := h.pull()
	ref.Installation, ref.ID = 11, 42
	_, err := c.PullRequest(t.Context(), ref)
	require.NoError(t, err)
	require.Len(t, h.minted, 2)

	h.on(routePull, refused)
	_, err = c.PullRequest(t.Context(), ref)
	require.ErrorIs(t, err, review.ErrForgeRefused)
}

func TestAppsThatAreNotThereAreTold(t *testing.T) {
	t.Parallel()
	const mint = "POST /app/installations/11/access_tokens"
	for name, c := range map[string]struct {
		mint   http.HandlerFunc
		err    error
		detail string
	}{
		"gone":        {answer(http.StatusNotFound, `{"message":"Not Found"}`), review.ErrForgeRefused, "404"},
		"suspended":   {answer(http.StatusForbidden, `{"message":"This installation has been suspended"}`), review.ErrForgeRefused, "suspended"},
		"wrong key":   {answer(http.StatusUnauthorized, `{"message":"A JSON web token could not be decoded"}`), review.ErrForgeRefused, "decoded"},
		"not granted": {answer(http.StatusUnprocessableEntity, `{"message":"The permissions requested are not granted to this installation."}`), review.ErrForgeRefused, "not granted"},
		"down":        {answer(http.StatusBadGateway, `<html>`), review.ErrUnavailable, ""},
		"cut":         {answer(http.StatusCreated, `{"token":"ghs_cu`, "Content-Length", "100"), review.ErrUnavailable, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHub(t, map[string]http.HandlerFunc{mint: c.mint})
			ref := h.pull()
			ref.Installation = 11
			_, err := h.client(asApp(t)).PullRequest(t.Context(), ref)
			require.ErrorIs(t, err, c.err)
			require.ErrorContains(t, err, c.detail)
			require.NotContains(t, err.Error(), "ghs_cu")
		})
	}
	h := newHub(t, nil)
	_, err := h.client(asApp(t)).PullRequest(t.Context(), h.pull())
	require.ErrorIs(t, err, review.ErrPullRequestNotFound)
	failed := new(apierr.Error)
	require.ErrorAs(t, err, &failed)
	require.Contains(t, failed.Metadata()["detail"], "App is not installed")
}

func TestLimitsSayUntilWhen(t *testing.T) {
	t.Parallel()
	now := time.Now().Truncate(time.Second)
	at := strconv.FormatInt(now.Add(10*time.Minute).Unix(), 10)
	for name, c := range map[string]struct {
		handler   http.HandlerFunc
		wait      time.Duration
		secondary bool
	}{
		"primary":            {answer(http.StatusForbidden, `{"message":"API rate limit exceeded"}`, "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", at), 10 * time.Minute, false},
		"primary as 429":     {answer(http.StatusTooManyRequests, `{"message":"API rate limit exceeded"}`, "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", at), 10 * time.Minute, false},
		"secondary":          {answer(http.StatusForbidden, `{"message":"You have exceeded a secondary rate limit"}`, "Retry-After", "90"), 90 * time.Second, true},
		"secondary as 429":   {answer(http.StatusTooManyRequests, `{}`, "Retry-After", "90"), 90 * time.Second, true},
		"by date":            {answer(http.StatusTooManyRequests, `{}`, "Retry-After", now.Add(2*time.Minute).UTC().Format(http.TimeFormat)), 2 * time.Minute, true},
		"without a time":     {answer(http.StatusForbidden, `{"message":"You have exceeded a secondary rate limit. Please wait"}`), time.Minute, true},
		"by its page":        {answer(http.StatusForbidden, `{"message":"no","documentation_url":"https://docs/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits"}`), time.Minute, true},
		"429 without a word": {answer(http.StatusTooManyRequests, ``), time.Minute, true},
		"for ever":           {answer(http.StatusForbidden, `{}`, "Retry-After", "99999999999"), time.Hour, true},
		"in the past":        {answer(http.StatusForbidden, `{}`, "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "1000"), time.Second, false},
		"no sense":           {answer(http.StatusForbidden, `{}`, "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "soon"), time.Minute, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHub(t, map[string]http.HandlerFunc{routePull: c.handler})
			_, err := h.client(func(p *github.Params) { p.Clock = func() time.Time { return now } }).PullRequest(t.Context(), h.pull())
			limit := new(review.LimitError)
			require.ErrorAs(t, err, &limit)
			require.Equal(t, c.secondary, limit.Secondary)
			require.Equal(t, now.Add(c.wait), limit.Until)
			require.ErrorIs(t, err, review.ErrUnavailable)
		})
	}
}

func TestALimitIsNotAskedAgain(t *testing.T) {
	t.Parallel()
	reset := time.Now().Add(10 * time.Minute).Truncate(time.Second)
	h := newHub(t, map[string]http.HandlerFunc{
		routePull: answer(http.StatusForbidden, `{"message":"API rate limit exceeded"}`, "X-RateLimit-Limit", "5000", "X-RateLimit-Remaining", "0",
			"X-RateLimit-Reset", strconv.FormatInt(reset.Unix(), 10)),
	})
	c := h.client()
	for range 3 {
		_, err := c.PullRequest(t.Context(), h.pull())
		limit := new(review.LimitError)
		require.ErrorAs(t, err, &limit)
		require.WithinDuration(t, reset, limit.Until, 2*time.Second)
	}
	require.Equal(t, 1, h.requests(routePull))
}

func TestPausesWithoutATimeDouble(t *testing.T) {
	t.Parallel()
	now := time.Now()
	slow, fine := answer(http.StatusTooManyRequests, ``), answer(http.StatusOK, pullJSON(ownRepo, ""))
	h := newHub(t, pullRoutes())
	h.on(routePull, inOrder(slow, slow, fine, slow, slow, fine, slow))
	c := h.client(func(p *github.Params) { p.Clock = func() time.Time { return now } })
	for i, step := range []struct{ after, want time.Duration }{
		{0, time.Minute},
		{20 * time.Second, 40 * time.Second}, // was under way
		{10 * time.Second, 0},                // this too
		{30 * time.Second, 2 * time.Minute},
		{time.Minute, time.Minute},
		{time.Minute, 0},
		{0, time.Minute},
	} {
		now = now.Add(step.after)
		_, err := c.PullRequest(t.Context(), h.pull())
		if step.want == 0 {
			require.NoError(t, err)
			continue
		}
		limit := new(review.LimitError)
		require.ErrorAs(t, err, &limit)
		require.Equal(t, now.Add(step.want), limit.Until, "answer %d", i)
	}
}

func TestWhatWasNotModifiedIsNotReadAgain(t *testing.T) {
	t.Parallel()
	h := newHub(t, pullRoutes())
	body, tag := pullJSON(ownRepo, ""), `"one"`
	h.on(routePull, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		answer(http.StatusOK, body, "ETag", tag)(w, r)
	})
	c := h.client()
	first, err := c.PullRequest(t.Context(), h.pull())
	require.NoError(t, err)
	again, err := c.PullRequest(t.Context(), h.pull())
	require.NoError(t, err)
	require.Equal(t, first, again)

	body, tag = pullJSON(ownRepo, `,"title":"New"`), `"two"`
	changed, err := c.PullRequest(t.Context(), h.pull())
	require.NoError(t, err)
	require.Equal(t, "New", changed.Title)
}

func TestHalfAnswersAreNoAnswers(t *testing.T) {
	t.Parallel()
	whole := pullJSON(ownRepo, "")
	for name, handler := range map[string]http.HandlerFunc{
		"cut":          answer(http.StatusOK, whole[:len(whole)/2], "ETag", `"x"`),
		"cut length":   answer(http.StatusOK, whole[:len(whole)/2], "Content-Length", strconv.Itoa(len(whole))),
		"empty":        answer(http.StatusOK, ""),
		"empty object": answer(http.StatusOK, "{}"),
		"no JSON":      answer(http.StatusOK, "<html>sign in</html>"),
		"502":          answer(http.StatusBadGateway, "<html>"),
		"hung up":      func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"foreign sha":  answer(http.StatusOK, strings.ReplaceAll(whole, head, "--upload-pack=x")),
		"another one":  answer(http.StatusOK, strings.Replace(whole, `"number":5`, `"number":6`, 1)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHub(t, pullRoutes())
			h.on(routePull, handler)
			_, err := h.client().PullRequest(t.Context(), h.pull())
			require.ErrorIs(t, err, review.ErrUnavailable)
			h.on(routePull, answer(http.StatusOK, whole))
			_, err = h.client().PullRequest(t.Context(), h.pull())
			require.NoError(t, err)
		})
	}
}

func TestAHangingAnswerEnds(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	h := newHub(t, map[string]http.HandlerFunc{routePull: func(http.ResponseWriter, *http.Request) { <-release }})
	defer close(release)
	_, err := h.client(func(p *github.Params) { p.Timeout = 50 * time.Millisecond }).PullRequest(t.Context(), h.pull())
	require.ErrorIs(t, err, review.ErrUnavailable)
	require.NotErrorIs(t, err, http.ErrHandlerTimeout)
}

func TestNothingGoesToAnotherHost(t *testing.T) {
	t.Parallel()
	var reached bool
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	t.Cleanup(other.Close)
	for name, change := range map[string]func(*github.Params){"token": func(*github.Params) {}, "app": asApp(t)} {
		h := newHub(t, map[string]http.HandlerFunc{routePull: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL+"/repos/octo/site/pulls/5", http.StatusFound)
		}})
		ref := h.pull()
		ref.Installation = 11
		_, err := h.client(change).PullRequest(t.Context(), ref)
		require.Error(t, err, name)
		require.False(t, reached, name)
	}
}

func TestErrorsShowNeitherTokensNorAddresses(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	dead := "http://" + listener.Addr().String()
	require.NoError(t, listener.Close())
	var texts []string
	for _, app := range []bool{false, true} {
		for _, status := range []int{400, 401, 403, 404, 409, 422, 500} {
			h := newHub(t, map[string]http.HandlerFunc{routePull: answer(status, `{"message":"no\u001b[31m","errors":[{"resource":"X","field":"y"}]}`)})
			change := func(*github.Params) {}
			if app {
				change = asApp(t)
			}
			ref := h.pull()
			ref.Installation = 11
			_, err := h.client(change).PullRequest(t.Context(), ref)
			require.Error(t, err)
			texts = append(texts, err.Error(), fmt.Sprintf("%+v", err))
		}
		change := func(p *github.Params) { p.BaseURL, p.Transport = dead, nil }
		if app {
			key := asApp(t)
			change = func(p *github.Params) { key(p); p.BaseURL, p.Transport = dead, nil }
		}
		h := newHub(t, nil)
		c := h.client(change)
		ref := h.pull()
		ref.Host, ref.Installation = strings.TrimPrefix(dead, "http://"), 11
		_, err := c.PullRequest(t.Context(), ref)
		require.ErrorIs(t, err, review.ErrUnavailable)
		texts = append(texts, err.Error())
		c.Close()
	}
	for _, text := range texts {
		require.NotContains(t, text, "ghp_")
		require.NotContains(t, text, "ghs_")
		require.NotContains(t, text, "http://")
		require.NotContains(t, text, "Bearer")
		require.NotContains(t, text, "\x1b")
	}
}

func TestAClientNeedsOneKindOfCredentials(t *testing.T) {
	t.Parallel()
	_, err := github.NewClient(github.Params{})
	require.ErrorIs(t, err, review.ErrNoForge)
	_, err = github.NewClient(github.Params{AppID: 1, PrivateKey: secret.New("x")})
	require.ErrorContains(t, err, "PEM")
	_, err = github.NewClient(github.Params{AppID: 1, PrivateKey: secret.New("x"), Token: secret.New("y")})
	require.ErrorContains(t, err, "exclude")
	for _, bad := range []string{"http://github.example.com", "http://127.0.0.1.example.com", "http://127.example", "https://u:p@x", "x", "https://", "ftp://x", "https://x?y"} {
		_, err = github.NewClient(github.Params{Token: secret.New("t"), BaseURL: bad})
		require.Error(t, err, bad)
	}
	for base, host := range map[string]string{
		"": "github.com", "https://github.com": "github.com", "https://api.github.com/": "github.com",
		"https://Git.example.com/api/v3/": "git.example.com", "http://localhost:99": "localhost:99",
	} {
		c, err := github.NewClient(github.Params{Token: secret.New("t"), BaseURL: base})
		require.NoError(t, err, base)
		require.Equal(t, host, c.Host())
	}
}

// TestAnInstallationThatIsGoneIsAskedForAnew: whoever takes the App off an account and puts it on again gives it another
// installation, and processes, jobs and rows know the former one.
func TestAnInstallationThatIsGoneIsAskedForAnew(t *testing.T) {
	t.Parallel()
	const lookup = "GET /repos/octo/site/installation"
	gone := answer(http.StatusNotFound, `{"message":"Not Found"}`)
	for name, c := range map[string]struct {
		known      int64 // by the caller
		configured int64
		lookups    int
		fails      bool
	}{
		"looked up before":    {lookups: 2},
		"known by the caller": {known: 11, lookups: 1},
		"configured":          {configured: 11, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHub(t, pullRoutes())
			h.on(lookup, answer(http.StatusOK, `{"id":11}`))
			client := h.client(asApp(t), func(p *github.Params) { p.Installation = c.configured })
			ref := h.pull()
			ref.Installation = c.known
			_, err := client.PullRequest(t.Context(), ref)
			require.NoError(t, err)

			h.on(lookup, answer(http.StatusOK, `{"id":12}`))
			h.on("POST /app/installations/11/access_tokens", gone)
			// Its tokens are revoked with it.
			h.on(routePull, inOrder(answer(http.StatusUnauthorized, `{"message":"Bad credentials"}`), answer(http.StatusOK, pullJSON(ownRepo, ""))))
			before := h.requests("POST /app/installations/11")
			for range 2 {
				got, err := client.PullRequest(t.Context(), ref)
				if c.fails {
					require.ErrorIs(t, err, review.ErrForgeRefused)
					continue
				}
				require.NoError(t, err)
				require.EqualValues(t, 12, got.Installation)
			}
			require.Equal(t, c.lookups, h.requests(lookup))
			if !c.fails {
				require.Equal(t, 1, h.requests("POST /app/installations/11")-before, "what is gone is not asked for again and again")
			}
		})
	}
	h := newHub(t, pullRoutes())
	h.on("POST /app/installations/11/access_tokens", gone)
	ref := h.pull()
	ref.Installation = 11
	_, err := h.client(asApp(t)).PullRequest(t.Context(), ref)
	require.ErrorIs(t, err, review.ErrForgeRefused, "there is none")
	h.on(lookup, answer(http.StatusOK, `{"id":11}`))
	_, err = h.client(asApp(t)).PullRequest(t.Context(), ref)
	require.ErrorIs(t, err, review.ErrForgeRefused, "the same one")
}

func TestThreadsAreReadOverARevokedTokenAndALimit(t *testing.T) {
	t.Parallel()
	const route = "POST /api/graphql"
	h := newHub(t, map[string]http.HandlerFunc{})
	thread := answer(http.StatusOK, `{"data":{"repository":{"pullRequest":{"reviewThreads":{"nodes":[{"id":"T","comments":{"nodes":[{"databaseId":3}]}}]}}}}}`)
	h.on(route, inOrder(answer(http.StatusUnauthorized, `{"message":"Bad credentials"}`), thread))
	ref := h.pull()
	ref.Installation = 11
	w := github.NewWriter(h.client(asApp(t)))
	list, err := w.Threads(t.Context(), ref)
	require.NoError(t, err)
	require.Len(t, list, 1)

	until := time.Now().Add(7 * time.Minute).Truncate(time.Second)
	h.on(route, answer(http.StatusOK, `{"data":null,"errors":[{"type":"RATE_LIMITED","message":"API rate limit exceeded"}]}`,
		"X-RateLimit-Remaining", "0", "X-RateLimit-Reset", strconv.FormatInt(until.Unix(), 10)))
	_, err = w.Threads(t.Context(), ref)
	limit, ok := errors.AsType[*review.LimitError](err)
	require.True(t, ok, "%v", err)
	require.WithinDuration(t, until, limit.Until, time.Second)
	err = w.ResolveThread(t.Context(), ref, "T")
	_, ok = errors.AsType[*review.LimitError](err)
	require.True(t, ok, "%v", err)
	require.NotErrorIs(t, err, publish.ErrAmbiguous)
}

// TestCommentsInLargeFilesAreRead whose code above them makes a page larger than an answer may be.
func TestCommentsInLargeFilesAreRead(t *testing.T) {
	t.Parallel()
	const many = 75
	hunk := strings.Repeat("+", 500_000)
	page := func(w http.ResponseWriter, r *http.Request) {
		size, err := strconv.Atoi(r.URL.Query().Get("per_page"))
		if err != nil {
			t.Error(err)
		}
		n, err := strconv.Atoi(r.URL.Query().Get("page"))
		if err != nil {
			t.Error(err)
		}
		var list []map[string]any
		for id := (n-1)*size + 1; id <= min(n*size, many); id++ {
			list = append(list, map[string]any{"id": id, "body": "b", "diff_hunk": hunk})
		}
		_ = json.NewEncoder(w).Encode(list) // the client may have enough
	}
	none := answer(http.StatusOK, `[]`)
	h := newHub(t, map[string]http.HandlerFunc{routePull + "/comments": page, routePull + "/reviews": none, "GET /repos/octo/site/issues/5/comments": none})
	got, err := github.NewWriter(h.client(func(p *github.Params) { p.User = "me" })).Comments(t.Context(), h.pull())
	require.NoError(t, err)
	require.Len(t, got, many)
	for n, c := range got {
		require.Equal(t, int64(n+1), c.ID)
	}
}

// asked notes where requests go, and answers none.
type asked struct{ urls []string }

func (a *asked) RoundTrip(r *http.Request) (*http.Response, error) {
	a.urls = append(a.urls, r.URL.String())
	return nil, errors.New("nobody is there")
}

func TestEachKindOfGitHubHasItsAddresses(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]struct{ host, rest, gql, git string }{
		"":                            {"github.com", "https://api.github.com/", "https://api.github.com/graphql", "https://github.com/"},
		"https://api.github.com":      {"github.com", "https://api.github.com/", "https://api.github.com/graphql", "https://github.com/"},
		"https://git.example.com/":    {"git.example.com", "https://git.example.com/api/v3/", "https://git.example.com/api/graphql", "https://git.example.com/"},
		"https://acme.ghe.com":        {"acme.ghe.com", "https://api.acme.ghe.com/", "https://api.acme.ghe.com/graphql", "https://acme.ghe.com/"},
		"https://Acme.ghe.com/":       {"acme.ghe.com", "https://api.acme.ghe.com/", "https://api.acme.ghe.com/graphql", "https://acme.ghe.com/"},
		"https://api.acme.ghe.com":    {"acme.ghe.com", "https://api.acme.ghe.com/", "https://api.acme.ghe.com/graphql", "https://acme.ghe.com/"},
		"https://ghe.com.example.com": {"ghe.com.example.com", "https://ghe.com.example.com/api/v3/", "https://ghe.com.example.com/api/graphql", "https://ghe.com.example.com/"},
	} {
		a := &asked{}
		c, err := github.NewClient(github.Params{BaseURL: base, Token: secret.New("ghp_planted"), Transport: a})
		require.NoError(t, err, base)
		require.Equal(t, want.host, c.Host(), base)
		ref := review.PullRef{Repo: review.Repo{Host: want.host, Owner: "octo", Name: "site"}, Number: 5}
		_, err = c.PullRequest(t.Context(), ref)
		require.Error(t, err)
		_, err = github.NewWriter(c).Threads(t.Context(), ref)
		require.Error(t, err)
		require.Equal(t, []string{want.rest + "repos/octo/site/pulls/5", want.gql}, a.urls, base)
		remote, err := c.Remote(t.Context(), ref.Repo, false)
		require.NoError(t, err)
		require.Equal(t, want.git+"octo/site.git", remote.URL, base)
	}
}
