package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/services/review/github/githubtest"
	"witan.dev/test/e2e/process"
)

// runner is a machine that workflows run at.
type runner struct {
	t   testing.TB
	hub *githubtest.Server
	// Temp lives as long as a run, but for what the workflow keeps in a cache.
	Temp string
}

// ran is what the step of a workflow left behind.
type ran struct{ Output, Summary, Log string }

// inputs are those that a workflow may leave out.
type inputs struct{ Council, Reports string }

// action runs the step as action.yml has it, with a token.
func (r *runner) action(pull, token string, in inputs) ran {
	r.t.Helper()
	dir := r.t.TempDir()
	output, summary := filepath.Join(dir, "output"), filepath.Join(dir, "summary")
	got := process.RunBinary(r.t, "bash", dir, []string{
		"WITAN_PROGRAM=" + process.Binary(r.t), "WITAN_SERVER_URL=" + r.hub.URL, "RUNNER_TEMP=" + r.Temp, "GITHUB_OUTPUT=" + output, "GITHUB_STEP_SUMMARY=" + summary,
		"WITAN_PULL_REQUEST=" + pull, "WITAN_FAIL_ON=high", "WITAN_PUBLISH=true", "WITAN_ACTION_CONFIG=", "WITAN_ACTION_COUNCIL=" + in.Council, "WITAN_ACTION_REPORTS=" + in.Reports, "WITAN_ACTION_TOKEN=" + token, "WITAN_ACTION_USER=robot",
		"WITAN_GITHUB_WRITE_PACE=1ms",
	}, nil, filepath.Join(process.Root(), "deploy", "action", "review.sh"))
	require.Zero(r.t, got.Code, "the last step says how it ended: %s", got.Stderr)
	return ran{Output: readFile(r.t, output), Summary: readFile(r.t, summary), Log: got.Stderr}
}

// TestTheActionReviewsAndKeepsTheResult runs the action's step against the simulated GitHub: with a token that may write, again
// with what the workflow's cache keeps, with the token of a fork, and for a pull request that is not there.
func TestTheActionReviewsAndKeepsTheResult(t *testing.T) {
	t.Parallel()
	r := &runner{t: t, hub: githubtest.New(t, githubtest.Options{}), Temp: t.TempDir()}
	repo, err := r.hub.AddRepository(t.Context(), githubtest.RepositorySpec{Owner: "acme", Name: "shop", Files: map[string]string{"a.go": "package a\n"}})
	require.NoError(t, err)
	repo.SetRole("robot", "write")
	_, err = repo.Commit(t.Context(), githubtest.Commit{
		Branch: "topic", Parent: "main", Message: "A key", Files: map[string]string{"key.go": fmt.Sprintf("package a\n\nconst accessKey = %q\n", leakedKey())},
	})
	require.NoError(t, err)
	pull, err := repo.OpenPullRequest(t.Context(), githubtest.PullRequestSpec{Title: "A key", Author: "mallory", Base: "main", Head: "topic"})
	require.NoError(t, err)
	name := fmt.Sprintf("acme/shop#%d", pull.Number())
	writer := r.hub.UserToken("robot", githubtest.DefaultPermissions())
	reader := r.hub.UserToken("robot", map[string]string{"metadata": "read", "contents": "read", "pull_requests": "read"})
	sarif := "sarif=" + filepath.Join(r.Temp, "witan", "witan.sarif") + "\n"

	fork := r.action(name, reader, inputs{})
	require.Equal(t, sarif+"exit-code=1\n", fork.Output)
	require.Contains(t, fork.Summary, "begins with")
	require.Contains(t, fork.Summary, "Not shown: the token may not write")
	require.Empty(t, r.hub.Posted())

	first := r.action(name, writer, inputs{})
	require.Equal(t, sarif+"exit-code=1\n", first.Output)
	require.Contains(t, readFile(t, filepath.Join(r.Temp, "witan", "witan.sarif")), `"key.go"`)
	require.Contains(t, first.Summary, "begins with")
	require.Contains(t, first.Summary, "Shown at "+r.hub.URL+"/acme/shop/pull/")
	require.Contains(t, first.Summary, "; no check run, which needs an App")
	require.NotContains(t, first.Summary+first.Log, leakedKey())
	comments := func() (n int) {
		for _, p := range r.hub.PostedBy("robot") {
			if p.Kind != "review" {
				n++
			}
		}
		return n
	}
	require.Equal(t, 2, comments(), "a comment on the line, and the walkthrough")

	second := r.action(name, writer, inputs{})
	require.Equal(t, first.Output, second.Output)
	require.Equal(t, 2, comments(), "what was kept says what stands there already")

	report := filepath.Join(t.TempDir(), "$(exit 9) my lint.json")
	require.NoError(t, os.WriteFile(report, []byte(`{"message": "a name in capitals", "location": {"path": "key.go", "range": {"start": {"line": 3}}}}`), 0o600))
	spread := filepath.Join(t.TempDir(), "other.json")
	require.NoError(t, os.WriteFile(spread, []byte(`{"message": "an exported key", "location": {"path": "key.go", "range": {"start": {"line": 1}}}}`), 0o600))
	reported := r.action(name, writer, inputs{Reports: "\n  " + report + " \r\n\n" + spread + "\n"})
	require.Equal(t, first.Output, reported.Output)
	require.Contains(t, reported.Summary, "a name in capitals")
	require.Contains(t, reported.Summary, "an exported key")

	nobody := r.action(name, writer, inputs{Council: "nobody; exit 0"})
	require.Equal(t, "exit-code=2\n", nobody.Output)
	require.Contains(t, nobody.Summary, "council", "it is one argument, which names none")

	none := r.action("acme/shop#99", writer, inputs{})
	require.Equal(t, "exit-code=3\n", none.Output)
	require.Contains(t, none.Summary, "witan exited 3")
	require.Contains(t, none.Summary, "    witan: the job ended FAILED: there is no such pull request")
}
