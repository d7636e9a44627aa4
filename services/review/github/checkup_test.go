package github_test

import (
	"context"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/secret"
	"witan.dev/services/review/github"
	"witan.dev/services/review/github/githubtest"
)

// checkup runs one and returns its lines, each with its grade in front.
func checkup(t *testing.T, p github.Params) string {
	t.Helper()
	client, err := github.NewClient(p)
	require.NoError(t, err)
	t.Cleanup(client.Close)
	var lines []string
	for _, c := range client.Checkup(t.Context()) {
		lines = append(lines, string(c.Grade)+": "+c.Text)
	}
	return strings.Join(lines, "\n")
}

func TestCheckupNamesWhatTheAppLacks(t *testing.T) {
	t.Parallel()
	hub := githubtest.New(t, githubtest.Options{})
	_, err := hub.AddRepository(t.Context(), githubtest.RepositorySpec{Owner: "octocat", Name: "hello", Files: map[string]string{"a": "b"}})
	require.NoError(t, err)
	app, err := hub.App()
	require.NoError(t, err)
	p := github.Params{BaseURL: hub.URL, AppID: app.ID, PrivateKey: secret.New(string(app.PrivateKey))}
	fine := checkup(t, p)
	require.Contains(t, fine, "good: App "+app.Slug)
	require.Contains(t, fine, "good: its permissions suffice")
	require.Contains(t, fine, "requests an hour are left")
	hub.Grant(map[string]string{"metadata": "read", "contents": "read", "pull_requests": "read"})
	lacking := checkup(t, p)
	require.Contains(t, lacking, "bad: the App lacks the permission pull_requests: write (to comment)")
	require.Contains(t, lacking, "note: the App lacks the permission checks: write")
	p.AppID++
	require.Contains(t, checkup(t, p), "bad: the App")
}

// TestTheDocumentedAppIsToldOfAllThatIsUsed holds the App that docs/github-app.md tells people to make against what is
// needed: its permissions are those that the simulated GitHub grants, and with them it is offered every event.
func TestTheDocumentedAppIsToldOfAllThatIsUsed(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/github-app.md")
	require.NoError(t, err)
	_, table, found := strings.Cut(string(page), "3. **Repository permissions**:")
	require.True(t, found)
	table, rest, found := strings.Cut(table, "4. **Events**:")
	require.True(t, found)
	documented := map[string]string{}
	for _, row := range regexp.MustCompile(`(?m)^ *\| ([A-Z][a-z ]+) \| ([a-z ]+) \|`).FindAllStringSubmatch(table, -1) {
		documented[strings.ToLower(strings.ReplaceAll(row[1], " ", "_"))] = row[2][strings.LastIndex(row[2], " ")+1:]
	}
	require.Equal(t, githubtest.DefaultPermissions(), documented)
	list, _, _ := strings.Cut(rest, ".")
	events := strings.Split(strings.ToLower(strings.Join(strings.Fields(list), " ")), ", ")
	for i := range events {
		events[i] = strings.ReplaceAll(events[i], " ", "_")
	}
	require.ElementsMatch(t, githubtest.DefaultEvents(), events)

	hub := githubtest.New(t, githubtest.Options{AppPermissions: documented})
	_, err = hub.AddRepository(t.Context(), githubtest.RepositorySpec{Owner: "octocat", Name: "hello", Files: map[string]string{"a": "b"}})
	require.NoError(t, err)
	hub.Subscribe(events...)
	app, err := hub.App()
	require.NoError(t, err)
	p := github.Params{BaseURL: hub.URL, AppID: app.ID, PrivateKey: secret.New(string(app.PrivateKey))}
	fine := checkup(t, p)
	require.Contains(t, fine, "good: its permissions suffice")
	require.Contains(t, fine, "good: it subscribes to all events that are used")

	delete(documented, "issues")
	hub.Grant(documented)
	lacking := checkup(t, p)
	require.Contains(t, lacking, "note: the App lacks the permission issues: read")
	require.Contains(t, lacking, "note: the App does not subscribe to the event issue_comment")
}

func TestCheckupTriesTheToken(t *testing.T) {
	t.Parallel()
	hub := githubtest.New(t, githubtest.Options{})
	token := hub.UserToken("octocat", map[string]string{"contents": "read"})
	fine := checkup(t, github.Params{BaseURL: hub.URL, Token: secret.New(token)})
	require.Contains(t, fine, "good: it writes as octocat")
	require.NotContains(t, fine, token)
	wrong := checkup(t, github.Params{BaseURL: hub.URL, Token: secret.New("ghp_nobodys")})
	require.Contains(t, wrong, "bad: the token is not accepted")
	require.NotContains(t, wrong, "ghp_nobodys")
	require.Contains(t, fine, "note: what a token may do cannot be asked")
}

// TestCheckupBlamesNoCredentialsForSilence: neither a request's own limit nor the caller's says anything about them.
func TestCheckupBlamesNoCredentialsForSilence(t *testing.T) {
	t.Parallel()
	hub := githubtest.New(t, githubtest.Options{})
	app, err := hub.App()
	require.NoError(t, err)
	hub.Inject(githubtest.Fault{Kind: githubtest.Slow, Delay: time.Minute})
	for name, p := range map[string]github.Params{
		"App":   {BaseURL: hub.URL, AppID: app.ID, PrivateKey: secret.New(string(app.PrivateKey))},
		"token": {BaseURL: hub.URL, Token: secret.New("ghp_any")},
	} {
		for _, timeout := range []time.Duration{0, 50 * time.Millisecond} {
			p.Timeout = timeout
			client, err := github.NewClient(p)
			require.NoError(t, err)
			t.Cleanup(client.Close)
			ctx := t.Context()
			if timeout == 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, 50*time.Millisecond)
				t.Cleanup(cancel)
			}
			lines := client.Checkup(ctx)
			require.Len(t, lines, 1, name)
			require.Contains(t, lines[0].Text, "GitHub cannot be reached", name)
		}
	}
}

func TestCheckupNamesWhatLetsReviewsFail(t *testing.T) {
	t.Parallel()
	hub := githubtest.New(t, githubtest.Options{})
	_, err := hub.AddRepository(t.Context(), githubtest.RepositorySpec{Owner: "octocat", Name: "hello", Files: map[string]string{"a": "b"}})
	require.NoError(t, err)
	app, err := hub.App()
	require.NoError(t, err)
	p := github.Params{BaseURL: hub.URL, AppID: app.ID, PrivateKey: secret.New(string(app.PrivateKey)), Name: "@" + app.Slug}
	fine := checkup(t, p)
	require.NotContains(t, fine, "github.name")

	p.Name = "somebody"
	require.Contains(t, checkup(t, p), "note: comments to @"+app.Slug+" are not noticed: github.name is somebody")
	p.Installation = 4711
	require.Contains(t, checkup(t, p), "bad: github.installation: 4711 is no installation of the App")
	p.Installation = app.InstallationID
	require.Contains(t, checkup(t, p), "good: at octocat")
	hub.Suspend(true)
	require.Contains(t, checkup(t, p), "is suspended: every review there fails")
	require.Contains(t, checkup(t, p), "bad: its installation")

	hub.Inject(githubtest.Fault{Kind: githubtest.FailBefore, Path: "/app"})
	require.Contains(t, checkup(t, p), "bad: GitHub cannot be reached")
	p.BaseURL = "http://127.0.0.1:1"
	require.Contains(t, checkup(t, p), "bad: GitHub cannot be reached at 127.0.0.1:1")
	away := checkup(t, github.Params{BaseURL: p.BaseURL, Token: secret.New("ghp_any")})
	require.Contains(t, away, "bad: GitHub cannot be reached at 127.0.0.1:1")
	require.NotContains(t, away, "not accepted")
}
