package githubtest_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"witan.dev/internal/testdata"
	"witan.dev/services/review/github/githubtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// client asks a server as one identity.
type client struct {
	t     *testing.T
	base  string
	token string
	// accept and match are the headers of the next request.
	accept, match string
}

func as(t *testing.T, s *githubtest.Server, token string) *client {
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return &client{t: t, base: s.APIURL, token: token}
}

type reply struct {
	status int
	header http.Header
	body   []byte
}

func (c *client) try(method, path string, in any) (reply, error) {
	c.t.Helper()
	var body io.Reader
	if in != nil {
		encoded, err := json.Marshal(in)
		require.NoError(c.t, err)
		body = bytes.NewReader(encoded)
	}
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, body)
	require.NoError(c.t, err)
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	if c.accept != "" {
		r.Header.Set("Accept", c.accept)
	}
	if c.match != "" {
		r.Header.Set("If-None-Match", c.match)
	}
	c.accept, c.match = "", ""
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = response.Body.Close() }()
	read, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, response.Header, read}, err
}

func (c *client) do(method, path string, in any) reply {
	c.t.Helper()
	r, err := c.try(method, path, in)
	require.NoError(c.t, err)
	return r
}

// want asks and requires the status.
func (c *client) want(status int, method, path string, in any) reply {
	c.t.Helper()
	r := c.do(method, path, in)
	require.Equal(c.t, status, r.status, "%s %s: %s", method, path, r.body)
	return r
}

type m = map[string]any

func (r reply) object(t *testing.T) m {
	t.Helper()
	var o m
	require.NoError(t, json.Unmarshal(r.body, &o))
	return o
}

func (r reply) list(t *testing.T) []m {
	t.Helper()
	var l []m
	require.NoError(t, json.Unmarshal(r.body, &l))
	return l
}

// dig follows names and indexes into a JSON value; what is not there is nil.
func dig(v any, path ...any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			o, _ := v.(m)
			v = o[step]
		case int:
			l, _ := v.([]any)
			if step >= len(l) {
				return nil
			}
			v = l[step]
		}
	}
	return v
}

// id is the ID of an object of the API.
func id(o m) int64 {
	n, _ := o["id"].(float64)
	return int64(n)
}

// ref is the ID as it stands in paths.
func ref(o m) string { return strconv.FormatInt(id(o), 10) }

func number(n int) string { return strconv.Itoa(n) }

// lines are the numbers from first to last, one a line.
func lines(first, last int) string {
	var b strings.Builder
	for n := first; n <= last; n++ {
		b.WriteString("line " + number(n) + "\n")
	}
	return b.String()
}

// numbered is a server with one pull request: of the 60 lines of f.txt, line 10 is changed and line 40 deleted; new.txt
// is new, old.txt is gone, and untouched.txt stays.
func numbered(t *testing.T) (*githubtest.Server, *githubtest.PullRequest) {
	t.Helper()
	s := githubtest.New(t, githubtest.Options{})
	r, err := s.AddRepository(t.Context(), githubtest.RepositorySpec{
		Owner: "acme", Name: "tools", Organization: true,
		Files: map[string]string{"f.txt": lines(1, 60), "old.txt": "a\nb\n", "untouched.txt": "x\n"},
	})
	require.NoError(t, err)
	_, err = r.Commit(t.Context(), githubtest.Commit{
		Branch: "change", Message: "Change", Author: "dev", Delete: []string{"old.txt"},
		Files: map[string]string{"f.txt": strings.Replace(lines(1, 39)+lines(41, 60), "line 10\n", "line ten\n", 1), "new.txt": "one\ntwo\n"},
	})
	require.NoError(t, err)
	p, err := r.OpenPullRequest(t.Context(), githubtest.PullRequestSpec{Number: 7, Title: "Change", Author: "dev", Head: "change"})
	require.NoError(t, err)
	return s, p
}

const pulls = "/repos/acme/tools/pulls/7"

var abbreviated = regexp.MustCompile(`(?m)^index .*$`)

func TestBenchDiffsAreTheSharedOnes(t *testing.T) {
	t.Parallel()
	list, err := githubtest.LoadBench(testdata.Path(t, "bench"))
	require.NoError(t, err)
	require.Len(t, list, 19)
	s := githubtest.New(t, githubtest.Options{})
	opened, err := s.AddBench(t.Context(), list)
	require.NoError(t, err)
	c := as(t, s, s.InstallationToken(nil))
	for i, p := range opened {
		want := abbreviated.ReplaceAllString(list[i].Diff, "")
		got, err := p.Diff(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, abbreviated.ReplaceAllString(string(got), ""), list[i].ID)
		c.accept = "application/vnd.github.v3.diff"
		served := c.want(200, "GET", "/repos/"+list[i].Repo+"/pulls/"+number(p.Number()), nil)
		require.Equal(t, string(got), string(served.body))
	}
}

func TestGitFetchesTheHeadWithAToken(t *testing.T) {
	t.Parallel()
	s, p := numbered(t)
	fetch := func(url string) (string, error) {
		dir := t.TempDir()
		require.NoError(t, exec.CommandContext(t.Context(), "git", "init", "-q", dir).Run())                                                                                      //nolint:gosec // the test's own folder
		out, err := exec.CommandContext(t.Context(), "git", "-C", dir, "-c", "credential.helper=", "fetch", "-q", "--filter=blob:none", url, "refs/pull/7/head").CombinedOutput() //nolint:gosec // the test's own server
		if err != nil {
			return string(out), err
		}
		head, err := exec.CommandContext(t.Context(), "git", "-C", dir, "rev-parse", "FETCH_HEAD").Output() //nolint:gosec // the test's own folder
		return strings.TrimSpace(string(head)), err
	}
	head, err := fetch(p.Repository().FetchURL(s.InstallationToken(map[string]string{"contents": "read"})))
	require.NoError(t, err, head)
	require.Equal(t, p.Head(), head)
	out, err := fetch(p.Repository().FetchURL(s.InstallationToken(map[string]string{"metadata": "read"})))
	require.Error(t, err)
	require.Contains(t, out, "403")
	out, err = fetch(p.Repository().FetchURL("wrong"))
	require.Error(t, err)
	require.Contains(t, out, "Authentication failed")
}

func TestAReviewFailsAsAWholeAndNamesNoComment(t *testing.T) {
	t.Parallel()
	s, p := numbered(t)
	c := as(t, s, s.InstallationToken(nil))
	good := m{"path": "f.txt", "line": 10, "side": "RIGHT", "body": "good"}
	bad := m{"path": "f.txt", "line": 25, "side": "RIGHT", "body": "bad"}
	refused := c.want(422, "POST", pulls+"/reviews", m{"event": "COMMENT", "commit_id": p.Head(), "comments": []m{good, bad}})
	require.NotContains(t, string(refused.body), "25")
	require.NotContains(t, string(refused.body), "f.txt")
	require.Contains(t, string(refused.body), "line must be part of the diff")
	require.Empty(t, s.Posted())

	c.want(200, "POST", pulls+"/reviews", m{"event": "COMMENT", "commit_id": p.Head(), "comments": []m{good}})
	posted := s.Posted()
	require.Len(t, posted, 2)
	require.Equal(t, "witan-review[bot]", posted[1].Author)
	require.Equal(t, 10, posted[1].Line)
	require.NoError(t, s.CheckPositions(t.Context()))
	listed := c.want(200, "GET", pulls+"/comments", nil).list(t)
	require.Len(t, listed, 1)
	require.Equal(t, "good", listed[0]["body"])
}
