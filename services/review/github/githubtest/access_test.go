package githubtest_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/services/review/github/githubtest"
)

// clock is a clock that tests move.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.at.Load()) }
func (c *clock) advance(d time.Duration) { c.at.Add(int64(d)) }

// jwt signs an App's token.
func jwt(t *testing.T, key *rsa.PrivateKey, claims m) string {
	t.Helper()
	part := func(v any) string {
		encoded, err := json.Marshal(v)
		require.NoError(t, err)
		return base64.RawURLEncoding.EncodeToString(encoded)
	}
	signed := part(m{"alg": "RS256", "typ": "JWT"}) + "." + part(claims)
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	require.NoError(t, err)
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func TestTheAppProvesItselfAndGetsTokensOfItsOwnRights(t *testing.T) {
	t.Parallel()
	now := newClock()
	s := githubtest.New(t, githubtest.Options{Now: now.now})
	r, err := s.AddRepository(t.Context(), githubtest.RepositorySpec{Owner: "acme", Name: "tools", Files: map[string]string{"a": "a\n"}})
	require.NoError(t, err)
	other, err := s.AddRepository(t.Context(), githubtest.RepositorySpec{Owner: "acme", Name: "other", NotInstalled: true})
	require.NoError(t, err)
	app, err := s.App()
	require.NoError(t, err)
	block, _ := pem.Decode(app.PrivateKey)
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	require.NoError(t, err)
	foreign, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)

	at := now.now().Unix()
	good := m{"iss": fmt.Sprint(app.ID), "iat": at - 30, "exp": at + 300}
	for name, raw := range map[string]string{
		"another key":    jwt(t, foreign, good),
		"another issuer": jwt(t, key, m{"iss": "1", "iat": at, "exp": at + 300}),
		"expired":        jwt(t, key, m{"iss": fmt.Sprint(app.ID), "iat": at - 600, "exp": at - 1}),
		"too long":       jwt(t, key, m{"iss": fmt.Sprint(app.ID), "iat": at, "exp": at + 900}),
		"ends too late":  jwt(t, key, m{"iss": fmt.Sprint(app.ID), "iat": at + 50, "exp": at + 700}),
		"from later":     jwt(t, key, m{"iss": fmt.Sprint(app.ID), "iat": at + 300, "exp": at + 500}),
		"no dates":       jwt(t, key, m{"iss": fmt.Sprint(app.ID)}),
	} {
		require.Equal(t, 401, as(t, s, raw).do("GET", "/app", nil).status, name)
	}
	asApp := as(t, s, jwt(t, key, good))
	require.Equal(t, app.Slug, asApp.want(200, "GET", "/app", nil).object(t)["slug"])
	asApp.want(200, "GET", "/repos/acme/tools/installation", nil)
	asApp.want(404, "GET", "/repos/acme/other/installation", nil)
	asApp.want(401, "GET", "/repos/acme/tools", nil)

	tokens := "/app/installations/" + number(int(app.InstallationID)) + "/access_tokens"
	asApp.want(422, "POST", tokens, m{"permissions": m{"administration": "write"}})
	asApp.want(422, "POST", tokens, m{"repository_ids": []int64{other.ID()}})
	asApp.want(404, "POST", "/app/installations/1/access_tokens", m{})
	made := asApp.want(201, "POST", tokens, m{"permissions": m{"contents": "read"}, "repository_ids": []int64{r.ID()}}).object(t)
	require.Equal(t, m{"contents": "read", "metadata": "read"}, made["permissions"])
	reader := as(t, s, fmt.Sprint(made["token"]))
	reader.want(200, "GET", "/repos/acme/tools/git/trees/main", nil)
	reader.want(404, "GET", "/repos/acme/other", nil)
	reader.want(403, "GET", "/repos/acme/tools/pulls", nil)
	refused := reader.want(403, "POST", "/repos/acme/tools/check-runs", m{"name": "n", "head_sha": "x"})
	require.Contains(t, string(refused.body), "Resource not accessible by integration")
	listed := reader.want(200, "GET", "/installation/repositories", nil).object(t)
	require.EqualValues(t, 1, listed["total_count"])

	now.advance(61 * time.Minute)
	require.Contains(t, string(reader.want(401, "GET", "/repos/acme/tools", nil).body), "Bad credentials")

	// The log says who asked with which rights, and never the token.
	requests := s.Requests()
	last := requests[len(requests)-2] // the one before the token's end
	require.Equal(t, "installation", last.Token)
	require.Equal(t, map[string]string{"contents": "read", "metadata": "read"}, last.Permissions)
	require.NotContains(t, fmt.Sprintf("%+v", requests), made["token"])
}

func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	s, p := numbered(t)
	p.Repository().SetRole("reader", "read")
	_, err := s.AddRepository(t.Context(), githubtest.RepositorySpec{Owner: "acme", Name: "open", Public: true, Files: map[string]string{"a": "a\n"}})
	require.NoError(t, err)
	all := githubtest.DefaultPermissions()
	only := func(name, level string) map[string]string { return map[string]string{"metadata": "read", name: level} }
	comment := m{"body": "text"}
	for name, tt := range map[string]struct {
		token, method, path string
		in                  any
		status              int
	}{
		"nobody, private":               {"", "GET", "/repos/acme/tools", nil, 404},
		"nobody, public":                {"", "GET", "/repos/acme/open", nil, 200},
		"nobody writes":                 {"", "POST", "/repos/acme/open/issues/1/comments", comment, 401},
		"wrong token, public":           {"ghs_wrong", "GET", "/repos/acme/open", nil, 401},
		"stranger, private":             {s.UserToken("stranger", all), "GET", "/repos/acme/tools", nil, 404},
		"reader":                        {s.UserToken("reader", all), "GET", "/repos/acme/tools", nil, 200},
		"reader comments":               {s.UserToken("reader", all), "POST", "/repos/acme/tools/issues/7/comments", comment, 201},
		"reader with a read-only token": {s.UserToken("reader", only("pull_requests", "read")), "POST", "/repos/acme/tools/issues/7/comments", comment, 403},
		"contents are not pulls":        {s.InstallationToken(only("contents", "read")), "GET", pulls, nil, 403},
		"pulls":                         {s.InstallationToken(only("pull_requests", "read")), "GET", pulls, nil, 200},
		"pulls are not contents":        {s.InstallationToken(only("pull_requests", "read")), "GET", "/repos/acme/tools/contents/f.txt", nil, 403},
		"read does not write":           {s.InstallationToken(only("pull_requests", "read")), "POST", pulls + "/reviews", m{"event": "COMMENT", "body": "b"}, 403},
		"issues may talk":               {s.InstallationToken(only("issues", "write")), "POST", "/repos/acme/tools/issues/7/comments", comment, 201},
		"issues may not review":         {s.InstallationToken(only("issues", "write")), "POST", pulls + "/reviews", m{"event": "COMMENT", "body": "b"}, 403},
		"permission of a user":          {s.InstallationToken(only("metadata", "read")), "GET", "/repos/acme/tools/collaborators/reader/permission", nil, 200},
		"permission of nobody":          {s.InstallationToken(only("metadata", "read")), "GET", "/repos/acme/tools/collaborators/ghost/permission", nil, 404},
		"an installation is no user":    {s.InstallationToken(nil), "GET", "/user", nil, 403},
		"a user is one":                 {s.UserToken("reader", nil), "GET", "/user", nil, 200},
		"no such route":                 {s.InstallationToken(nil), "GET", "/repos/acme/tools/secrets", nil, 404},
	} {
		require.Equal(t, tt.status, as(t, s, tt.token).do(tt.method, tt.path, tt.in).status, name)
	}
	level := as(t, s, s.InstallationToken(nil)).want(200, "GET", "/repos/acme/tools/collaborators/reader/permission", nil).object(t)
	require.Equal(t, "read", level["permission"])

	s.Suspend(true)
	as(t, s, s.InstallationToken(nil)).want(403, "GET", "/repos/acme/tools", nil)
	s.Suspend(false)
	token := s.InstallationToken(nil)
	s.RevokeTokens()
	as(t, s, token).want(401, "GET", "/repos/acme/tools", nil)
}

func TestARenamedRepositoryRedirects(t *testing.T) {
	t.Parallel()
	s, p := numbered(t)
	c := as(t, s, s.InstallationToken(nil))
	p.Repository().Rename("instruments")
	c.want(200, "GET", pulls, nil) // the client follows
	requests := s.Requests()
	require.Equal(t, 301, requests[len(requests)-2].Status)
	require.True(t, strings.HasPrefix(requests[len(requests)-1].Path, "/repositories/"))
	require.Equal(t, "acme/instruments", c.want(200, "GET", "/repos/acme/instruments", nil).object(t)["full_name"])
	old := strings.Replace(p.Repository().FetchURL(c.token), "instruments", "tools", 1)
	require.NoError(t, exec.CommandContext(t.Context(), "git", "ls-remote", "--exit-code", old, "refs/pull/7/head").Run()) //nolint:gosec // the test's own server
}

func TestForksAndDeletedForks(t *testing.T) {
	t.Parallel()
	s, p := numbered(t)
	c := as(t, s, s.InstallationToken(nil))
	fork, err := p.Repository().Fork(t.Context(), "contributor")
	require.NoError(t, err)
	_, err = fork.Commit(t.Context(), githubtest.Commit{Branch: "theirs", Message: "Theirs", Files: map[string]string{"theirs.txt": "x\n"}})
	require.NoError(t, err)
	q, err := p.Repository().OpenPullRequest(t.Context(), githubtest.PullRequestSpec{Title: "Theirs", Head: "theirs", Fork: fork})
	require.NoError(t, err)
	path := "/repos/acme/tools/pulls/" + number(q.Number())
	got := c.want(200, "GET", path, nil).object(t)
	require.Equal(t, true, dig(got, "head", "repo", "fork"))
	require.Equal(t, "contributor:theirs", dig(got, "head", "label"))
	_, err = q.Push(t.Context(), githubtest.Commit{Message: "More", Files: map[string]string{"theirs.txt": "y\n"}})
	require.NoError(t, err)

	fork.Delete()
	got = c.want(200, "GET", path, nil).object(t)
	require.Nil(t, dig(got, "head", "repo"))
	require.Equal(t, q.Head(), dig(got, "head", "sha"))
	out, err := exec.CommandContext(t.Context(), "git", "ls-remote", p.Repository().FetchURL(c.token), "refs/pull/"+number(q.Number())+"/head").Output() //nolint:gosec // the test's own server
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(out), q.Head()))
	c.want(200, "POST", path+"/reviews", m{"event": "COMMENT", "comments": []m{{"path": "theirs.txt", "line": 1, "body": "b"}}})
	_, err = q.Push(t.Context(), githubtest.Commit{Message: "Too late", Files: map[string]string{"theirs.txt": "z\n"}})
	require.Error(t, err)
}

func TestUnchangedAnswersAre304AndCostNothing(t *testing.T) {
	t.Parallel()
	s, p := numbered(t)
	c := as(t, s, s.InstallationToken(nil))
	first := c.want(200, "GET", pulls, nil)
	left := first.header.Get("X-Ratelimit-Remaining")
	c.match = first.header.Get("Etag")
	again := c.want(304, "GET", pulls, nil)
	require.Empty(t, again.body)
	require.Equal(t, left, again.header.Get("X-Ratelimit-Remaining"))
	require.NoError(t, p.ConvertToDraft(t.Context(), "dev"))
	c.match = first.header.Get("Etag")
	require.Equal(t, true, c.want(200, "GET", pulls, nil).object(t)["draft"])
}

func TestLimits(t *testing.T) {
	t.Parallel()
	now := newClock()
	s := githubtest.New(t, githubtest.Options{Now: now.now, Limits: githubtest.Limits{Primary: 7, Content: 3}})
	r, err := s.AddRepository(t.Context(), githubtest.RepositorySpec{Owner: "acme", Name: "tools", Files: map[string]string{"a": "a\n"}})
	require.NoError(t, err)
	_, err = r.Commit(t.Context(), githubtest.Commit{Branch: "b", Message: "B", Files: map[string]string{"a": "b\n"}})
	require.NoError(t, err)
	_, err = r.OpenPullRequest(t.Context(), githubtest.PullRequestSpec{Number: 7, Title: "B", Head: "b"})
	require.NoError(t, err)
	c := as(t, s, s.InstallationToken(nil))
	say := func() reply { return c.do("POST", "/repos/acme/tools/issues/7/comments", m{"body": "b"}) }
	for range 3 {
		require.Equal(t, 201, say().status)
	}
	blocked := say()
	require.Equal(t, 403, blocked.status)
	require.Contains(t, string(blocked.body), "secondary rate limit")
	require.Equal(t, "61", blocked.header.Get("Retry-After"))
	now.advance(61 * time.Second)
	require.Equal(t, 201, say().status)
	c.want(200, "GET", pulls, nil)
	c.want(200, "GET", pulls, nil)
	out := c.want(403, "GET", pulls, nil)
	require.Contains(t, string(out.body), "API rate limit exceeded")
	require.Equal(t, "0", out.header.Get("X-Ratelimit-Remaining"))
	require.EqualValues(t, 0, dig(c.want(200, "GET", "/rate_limit", nil).object(t), "rate", "remaining"))
	now.advance(time.Hour)
	as(t, s, s.InstallationToken(nil)).want(200, "GET", pulls, nil)
}

func TestFaults(t *testing.T) {
	t.Parallel()
	now := newClock()
	s := githubtest.New(t, githubtest.Options{Now: now.now})
	r, err := s.AddRepository(t.Context(), githubtest.RepositorySpec{Owner: "acme", Name: "tools", Files: map[string]string{"a": "a\n"}})
	require.NoError(t, err)
	_, err = r.Commit(t.Context(), githubtest.Commit{Branch: "b", Message: "B", Files: map[string]string{"a": "b\n"}})
	require.NoError(t, err)
	_, err = r.OpenPullRequest(t.Context(), githubtest.PullRequestSpec{Number: 7, Title: "B", Head: "b"})
	require.NoError(t, err)
	c := as(t, s, s.InstallationToken(nil))
	say := func() (int, error) {
		a, err := c.try("POST", "/repos/acme/tools/issues/7/comments", m{"body": "b"})
		return a.status, err
	}
	posted := func() int { return len(s.Posted()) }
	for name, tt := range map[string]struct {
		fault  githubtest.Fault
		status int // 0: no answer
		done   int
	}{
		"502 before":      {githubtest.Fault{Kind: githubtest.FailBefore}, 502, 0},
		"500 after":       {githubtest.Fault{Kind: githubtest.FailAfter, Status: 500}, 500, 1},
		"cut before":      {githubtest.Fault{Kind: githubtest.CutBefore}, 0, 0},
		"cut after":       {githubtest.Fault{Kind: githubtest.CutAfter}, 0, 1},
		"secondary limit": {githubtest.Fault{Kind: githubtest.SecondaryLimit, RetryAfter: time.Minute}, 403, 0},
		"as 429":          {githubtest.Fault{Kind: githubtest.SecondaryLimit, Status: 429}, 429, 0},
		"spammed":         {githubtest.Fault{Kind: githubtest.Spammed}, 422, 0},
		"abuse":           {githubtest.Fault{Kind: githubtest.Abuse}, 422, 0},
		"forbidden":       {githubtest.Fault{Kind: githubtest.Forbidden}, 403, 0},
		"slow":            {githubtest.Fault{Kind: githubtest.Slow, Delay: time.Millisecond}, 201, 1},
	} {
		before := posted()
		tt.fault.Method, tt.fault.Skip, tt.fault.Times = "write", 1, 1
		fault := s.Inject(tt.fault)
		status, err := say()
		require.NoError(t, err, name)
		require.Equal(t, 201, status, "%s: the first is let through", name)
		c.want(200, "GET", pulls, nil)
		status, err = say()
		require.Equal(t, tt.status == 0, err != nil, name)
		if tt.status != 0 {
			require.Equal(t, tt.status, status, name)
		}
		require.Equal(t, before+1+tt.done, posted(), name)
		status, err = say()
		require.NoError(t, err, name)
		require.Equal(t, 201, status, "%s: the third is let through", name)
		require.Equal(t, 1, fault.Hits(), name)
		fault.Remove()
	}
	require.Empty(t, s.Rejected(), "what a fault answers is no rejection")

	s.Inject(githubtest.Fault{Kind: githubtest.FailBefore, Path: "/repos/*/*/pulls/*", For: time.Minute})
	c.want(502, "GET", pulls, nil)
	c.want(200, "GET", "/repos/acme/tools", nil)
	now.advance(time.Minute)
	c.want(200, "GET", pulls, nil)

	s.Inject(githubtest.Fault{Kind: githubtest.PrimaryLimit, RetryAfter: time.Minute, Times: 1})
	c.want(403, "GET", pulls, nil)
	c.want(403, "GET", pulls, nil)
	now.advance(time.Minute)
	c.want(200, "GET", pulls, nil)

	fault := s.Inject(githubtest.Fault{Kind: githubtest.FailBefore, Status: 503, Path: "/acme/tools.git/*"})
	require.Error(t, exec.CommandContext(t.Context(), "git", "ls-remote", r.FetchURL(c.token)).Run()) //nolint:gosec // the test's own server
	require.Positive(t, fault.Hits())
}

func TestListsAndHeadsThatLag(t *testing.T) {
	t.Parallel()
	s, p := numbered(t)
	c := as(t, s, s.InstallationToken(nil))
	s.LagLists(2)
	one := c.want(201, "POST", "/repos/acme/tools/issues/7/comments", m{"body": "one"}).object(t)
	s.LagLists(0)
	c.want(201, "POST", "/repos/acme/tools/issues/7/comments", m{"body": "two"})
	for _, n := range []int{1, 1, 2} {
		require.Len(t, c.want(200, "GET", "/repos/acme/tools/issues/7/comments", nil).list(t), n)
	}
	c.want(200, "GET", "/repos/acme/tools/issues/comments/"+ref(one), nil)

	old := p.Head()
	head, err := p.Push(t.Context(), githubtest.Commit{Message: "More", Files: map[string]string{"more.txt": "x\n"}})
	require.NoError(t, err)
	p.LagHead(1)
	shown := func() any { return dig(c.want(200, "GET", pulls, nil).object(t), "head", "sha") }
	require.Equal(t, old, shown())
	require.Equal(t, head, shown())
	p.StaleFiles(true)
	require.Len(t, c.want(200, "GET", pulls+"/files", nil).list(t), 3)
	p.StaleFiles(false)
	require.Len(t, c.want(200, "GET", pulls+"/files", nil).list(t), 4)
}

func TestARequestWithoutUserAgentIsTurnedAway(t *testing.T) {
	t.Parallel()
	s, _ := numbered(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.APIURL+"/meta", nil)
	require.NoError(t, err)
	r.Header.Set("User-Agent", "")
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, 403, response.StatusCode)
}
