package control_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"witan.dev/services/review/github/githubtest"
	"witan.dev/services/review/github/githubtest/control"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const scenario = `
repositories:
  - owner: acme
    name: tools
    files: {a.txt: "one\n"}
    roles: {dev: write}
    pulls:
      - {number: 3, title: Change, author: dev, head: change, files: {a.txt: "two\n"}}
faults:
  - {kind: fail before, path: /repos/*/*/pulls/*, times: 1}
`

func TestAScenarioAndWhatHappensAfterwards(t *testing.T) {
	t.Parallel()
	sc, err := control.Read(strings.NewReader(scenario))
	require.NoError(t, err)
	s := githubtest.New(t, githubtest.Options{})
	require.NoError(t, sc.Apply(t.Context(), s))
	side := httptest.NewServer(control.Handler(s))
	t.Cleanup(side.Close)
	client := side.Client()
	ask := func(status int, method, url, token, body string) map[string]any {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
		require.NoError(t, err)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		response, err := client.Do(r)
		require.NoError(t, err)
		raw, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, status, response.StatusCode, "%s %s: %s", method, url, raw)
		var out map[string]any
		_ = json.Unmarshal(raw, &out) // lists are of no interest here
		return out
	}
	tell := func(status int, path, body string) map[string]any {
		return ask(status, "POST", side.URL+path, "", body)
	}
	require.Contains(t, ask(200, "GET", side.URL+"/", "", "")["repositories"], "acme/tools")
	token, isText := tell(200, "/tokens", `{"user": "dev", "permissions": {"pull_requests": "write", "issues": "write", "contents": "read"}}`)["token"].(string)
	require.True(t, isText)
	ask(502, "GET", s.APIURL+"/repos/acme/tools/pulls/3", token, "")
	ask(200, "GET", s.APIURL+"/repos/acme/tools/pulls/3", token, "")

	const pull = "/repositories/acme/tools/pulls/3"
	head := tell(200, pull+"/push", `{"user": "dev", "message": "More", "files": {"a.txt": "three\n"}}`)["head"]
	shown, _ := ask(200, "GET", s.APIURL+"/repos/acme/tools/pulls/3", token, "")["head"].(map[string]any)
	require.Equal(t, head, shown["sha"])
	for _, action := range []string{"draft", "ready", "close", "reopen", "lock", "rebase", "prune", "announce", "stale-files"} {
		tell(200, pull+"/"+action, `{"message": "m", "action": "opened"}`)
	}
	tell(200, pull+"/comment", `{"user": "dev", "body": "/witan review"}`)
	require.Len(t, s.Posted(), 1)
	require.Equal(t, "dev", s.Posted()[0].Author)
	ask(200, "GET", side.URL+"/posted", "", "")
	ask(200, "GET", side.URL+"/requests", "", "")
	ask(200, "GET", side.URL+"/check", "", "")

	n := tell(200, "/faults", `{"kind": "cut before", "method": "write", "for": "1h"}`)["fault"]
	require.EqualValues(t, 1, n)
	require.EqualValues(t, 0, ask(200, "DELETE", side.URL+"/faults/1", "", "")["hits"])
	tell(200, "/lag", `{"reads": 1}`)
	tell(200, "/repositories", `{"owner": "acme", "name": "second", "files": {"a": "a\n"}}`)
	tell(200, "/repositories/acme/second/pulls", `{"title": "T", "head": "h", "files": {"a": "b\n"}}`)
	tell(200, "/webhook", `{"url": "http://127.0.0.1:1", "hold": true}`)
	tell(200, pull+"/close", "")
	require.Len(t, s.Deliveries(), 1)
	tell(500, "/deliveries/"+s.Deliveries()[0].ID+"/redeliver", "")

	tell(400, "/faults", `{"kind": "earthquake"}`)
	tell(400, "/faults", `{"kind": "slow", "delay": "long"}`)
	tell(400, "/webhook", `{"colour": "red"}`)
	tell(404, pull+"/dance", "")
	tell(404, "/repositories/acme/none/pulls/1/close", "")
	tell(404, "/repositories/acme/tools/pulls/99/close", "")
	tell(404, "/deliveries/none/redeliver", "")
	ask(404, "DELETE", side.URL+"/faults/7", "", "")
}

func TestAFaultOfAnUnknownKindIsToldWhichThereAre(t *testing.T) {
	t.Parallel()
	side := httptest.NewServer(control.Handler(githubtest.New(t, githubtest.Options{})))
	t.Cleanup(side.Close)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, side.URL+"/faults", strings.NewReader(`{"kind":"502"}`))
	require.NoError(t, err)
	answer, err := side.Client().Do(req)
	require.NoError(t, err)
	defer func() { _ = answer.Body.Close() }()
	raw, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Contains(t, string(raw), "fail before, fail after, cut before")
}

func TestAScenarioWithAnUnknownKeyIsRefused(t *testing.T) {
	t.Parallel()
	_, err := control.Read(strings.NewReader("repositoris: []"))
	require.ErrorContains(t, err, "repositoris")
}
