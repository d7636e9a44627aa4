package githubtest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/services/review/github/githubtest"
)

const listThreads = `query($owner: String!, $name: String!, $number: Int!, $after: String) {
  repository(owner: $owner, name: $name) { pullRequest(number: $number) { reviewThreads(first: 2, after: $after) {
    pageInfo { hasNextPage endCursor }
    nodes { id isResolved isOutdated path line resolvedBy { login } comments(first: 50) { totalCount nodes { databaseId body author { __typename login ... on Bot { id } } replyTo { databaseId } } } }
  } } } }`

const resolveThread = `mutation($id: ID!) { resolveReviewThread(input: {threadId: $id}) { thread { id isResolved } } }`

func (c *client) graph(url, document string, variables m) m {
	c.t.Helper()
	base := c.base
	c.base = url
	defer func() { c.base = base }()
	return c.want(200, "POST", "", m{"query": document, "variables": variables}).object(c.t)
}

func TestThreadsOverGraphQL(t *testing.T) {
	t.Parallel()
	s, p := numbered(t)
	s.Grant(githubtest.ResolvingPermissions())
	c := as(t, s, s.InstallationToken(nil))
	var roots []int64
	for _, line := range []int{10, 11, 12} {
		root := c.want(201, "POST", pulls+"/comments", m{"commit_id": p.Head(), "path": "f.txt", "line": line, "body": "text"}).object(t)
		roots = append(roots, id(root))
	}
	_, err := p.Reply(t.Context(), "dev", roots[0], "why?")
	require.NoError(t, err)
	variables := m{"owner": "acme", "name": "tools", "number": 7}
	page := func(url string) any {
		return dig(c.graph(url, listThreads, variables), "data", "repository", "pullRequest", "reviewThreads")
	}
	first := page(s.GraphQLURL)
	require.Equal(t, true, dig(first, "pageInfo", "hasNextPage"))
	require.Len(t, dig(first, "nodes"), 2)
	comments := dig(first, "nodes", 0, "comments", "nodes")
	require.Len(t, comments, 2)
	require.EqualValues(t, roots[0], dig(comments, 0, "databaseId"))
	require.Equal(t, "witan-review", dig(comments, 0, "author", "login"), "GraphQL leaves the [bot] out")
	require.Equal(t, "Bot", dig(comments, 0, "author", "__typename"))
	require.NotContains(t, dig(comments, 1, "author"), "id")
	require.EqualValues(t, roots[0], dig(comments, 1, "replyTo", "databaseId"))
	variables["after"] = dig(first, "pageInfo", "endCursor")
	second := page(s.URL + "/graphql")
	require.Equal(t, false, dig(second, "pageInfo", "hasNextPage"))
	require.Len(t, dig(second, "nodes"), 1)

	thread := dig(first, "nodes", 0, "id")
	done := c.graph(s.GraphQLURL, resolveThread, m{"id": thread})
	require.Equal(t, true, dig(done, "data", "resolveReviewThread", "thread", "isResolved"))
	require.True(t, s.PostedBy("witan-review[bot]")[0].Resolved)
	narrow := as(t, s, s.InstallationToken(map[string]string{"pull_requests": "write", "contents": "read"}))
	refused := narrow.graph(s.GraphQLURL, resolveThread, m{"id": thread})
	require.Equal(t, "FORBIDDEN", dig(refused, "errors", 0, "type"))
	require.NoError(t, p.Resolve(t.Context(), "dev", roots[0], false))
	require.False(t, s.PostedBy("witan-review[bot]")[0].Resolved)
	require.Equal(t, 2, s.Count(func(r githubtest.Request) bool { return r.Operation == "resolveReviewThread" && r.Write() }))
}

func TestGraphQLAnswersNothingElse(t *testing.T) {
	t.Parallel()
	s, _ := numbered(t)
	c := as(t, s, s.InstallationToken(nil))
	for name, document := range map[string]string{
		"no document":            `hello`,
		"unknown field":          `{ repository(owner: "acme", name: "tools") { secrets } }`,
		"unknown argument":       `{ repository(owner: "acme", name: "tools", colour: "red") { id } }`,
		"no selection":           `{ repository(owner: "acme", name: "tools") }`,
		"selection of a leaf":    `{ repository(owner: "acme", name: "tools") { id { x } } }`,
		"no page size":           `{ repository(owner: "acme", name: "tools") { pullRequest(number: 7) { reviewThreads { totalCount } } } }`,
		"page too large":         `{ repository(owner: "acme", name: "tools") { pullRequest(number: 7) { reviewThreads(first: 101) { totalCount } } } }`,
		"undeclared variable":    `{ repository(owner: $o, name: "tools") { id } }`,
		"required variable":      `query($o: String!) { repository(owner: $o, name: "tools") { id } }`,
		"other mutation":         `mutation { addPullRequestReviewThread(input: {path: "f.txt"}) { thread { id } } }`,
		"two operations":         `query A { node(id: "x") { id } } query B { node(id: "x") { id } }`,
		"fragment":               `query { ...F } fragment F on Query { node(id: "x") { id } }`,
		"missing repository":     `{ repository(owner: "acme", name: "none") { id } }`,
		"missing pull request":   `{ repository(owner: "acme", name: "tools") { pullRequest(number: 8) { id } } }`,
		"string without end":     `{ node(id: "x) { id } }`,
		"node that is not there": `{ node(id: "PRRT_x") { id } }`,
	} {
		require.Contains(t, c.graph(s.GraphQLURL, document, nil), "errors", name)
	}
	nobody := as(t, s, "")
	nobody.base = s.GraphQLURL
	nobody.want(401, "POST", "", m{"query": `{ node(id: "x") { id } }`})
}
