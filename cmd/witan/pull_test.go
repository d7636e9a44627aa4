package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAPullRequestIsNamedShortOrByItsAddress(t *testing.T) {
	t.Parallel()
	for name, host := range map[string]string{
		"octocat/hello-world#42":                                "",
		"https://github.com/octocat/hello-world/pull/42":        "github.com",
		"https://git.example.com/octocat/hello-world/pull/42/":  "git.example.com",
		"https://github.com/octocat/hello-world/pull/42/files":  "github.com",
		"http://127.0.0.1:8080/octocat/hello-world/pull/42#top": "127.0.0.1:8080",
	} {
		source, err := pullSource(name)
		require.NoError(t, err, name)
		pull := source.GetPullRequest()
		require.Equal(t, host, pull.GetHost(), name)
		require.Equal(t, "octocat", pull.GetOwner(), name)
		require.Equal(t, "hello-world", pull.GetRepo(), name)
		require.Equal(t, int64(42), pull.GetNumber(), name)
	}
	for _, name := range []string{
		"", "42", "octocat/hello-world", "octocat/hello-world#0", "octocat/hello-world#x", "a/b/c#1", "https://github.com/a/b/issues/1",
		"ftp://github.com/a/b/pull/1", "octocat/hello-world#99999999999999999999",
	} {
		_, err := pullSource(name)
		require.Error(t, err, name)
	}
}
