package githubtest

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// route is one of the API's: its pattern, what it asks of the caller, and the handler. A route below /repos/{owner}/{repo}
// finds its repository in call.repo.
type route struct {
	pattern string
	need    need
	handle  func(*call) answer
}

// routes are all routes in the order in which they are tried: of two that match, the one without a placeholder where the
// other has one comes first.
func (s *Server) routes() []route {
	list := s.otherRoutes()
	for _, r := range s.repositoryRoutes() {
		method, path, _ := strings.Cut(r.pattern, " ")
		inner := r.handle
		list = append(list, route{method + " /repos/{owner}/{repo}" + path, r.need, func(c *call) answer {
			repo, instead := s.find(c, r.need)
			if instead != nil {
				return *instead
			}
			c.repo = repo
			return inner(c)
		}})
	}
	slices.SortStableFunc(list, func(a, b route) int { return strings.Compare(order(a.pattern), order(b.pattern)) })
	return list
}

// order makes placeholders sort behind everything else.
func order(pattern string) string { return strings.ReplaceAll(pattern, "{", "\x7f") }

// match fills in the placeholders of the pattern from the path: {x} is one segment, {x...} all that follow.
func (r route) match(c *call, path string) bool {
	method, pattern, _ := strings.Cut(r.pattern, " ")
	if method != c.Method {
		return false
	}
	have := strings.Split(strings.Trim(path, "/"), "/")
	for want := range strings.SplitSeq(strings.Trim(pattern, "/"), "/") {
		name, placeholder := strings.CutPrefix(want, "{")
		if rest, greedy := strings.CutSuffix(name, "...}"); greedy {
			c.SetPathValue(rest, strings.Join(have, "/"))
			return true
		}
		if len(have) == 0 || have[0] == "" || !placeholder && have[0] != want {
			return false
		}
		if placeholder {
			c.SetPathValue(strings.TrimSuffix(name, "}"), have[0])
		}
		have = have[1:]
	}
	return len(have) == 0
}

func (s *Server) repositoryRoutes() []route {
	metadata, contents := need{"metadata", read}, need{"contents", read}
	pulls, comment := need{"pull_requests", read}, need{"pull_requests", write}
	talk, say := need{"issues|pull_requests", read}, need{"issues|pull_requests", write}
	return []route{
		{"GET ", metadata, s.getRepository},
		{"GET /pulls", pulls, s.listPulls},
		{"GET /pulls/{number}", pulls, s.getPull},
		{"GET /pulls/{number}/files", pulls, s.listFiles},
		{"GET /pulls/{number}/commits", pulls, s.listPullCommits},
		{"GET /compare/{range...}", contents, s.compare},
		{"GET /git/blobs/{sha}", contents, s.getBlob},
		{"GET /git/trees/{sha}", contents, s.getTree},
		{"GET /git/ref/{ref...}", contents, s.getRef},
		{"GET /contents/{path...}", contents, s.getContents},
		{"GET /commits/{commit}/check-runs", need{"checks", read}, func(c *call) answer { return s.listChecks(c, c.PathValue("commit")) }},
		{"GET /commits/{ref...}", contents, s.getCommit},
		{"GET /branches", contents, s.listBranches},
		{"GET /branches/{branch...}", contents, s.getBranch},
		{"GET /collaborators/{user}/permission", metadata, s.getPermission},

		{"GET /pulls/{number}/reviews", pulls, s.listReviews},
		{"POST /pulls/{number}/reviews", comment, s.createReview},
		{"GET /pulls/{number}/reviews/{review}", pulls, s.getReview},
		{"DELETE /pulls/{number}/reviews/{review}", comment, s.deleteReview},
		{"POST /pulls/{number}/reviews/{review}/events", comment, s.submitReview},
		{"GET /pulls/{number}/reviews/{review}/comments", pulls, s.listReviewComments},
		{"GET /pulls/{number}/comments", pulls, s.listComments},
		{"POST /pulls/{number}/comments", comment, s.createComment},
		{"POST /pulls/{number}/comments/{id}/replies", comment, s.replyComment},
		{"GET /pulls/comments/{id}", pulls, s.getComment},
		{"PATCH /pulls/comments/{id}", comment, s.editComment},
		{"DELETE /pulls/comments/{id}", comment, s.deleteComment},

		{"GET /issues/{number}/comments", talk, s.listTalk},
		{"POST /issues/{number}/comments", say, s.createTalk},
		{"GET /issues/comments/{id}", talk, s.getTalk},
		{"PATCH /issues/comments/{id}", say, s.editTalk},
		{"DELETE /issues/comments/{id}", say, s.deleteTalk},
		{"GET /issues/comments/{id}/reactions", talk, s.listReactions},
		{"POST /issues/comments/{id}/reactions", say, s.createReaction},
		{"GET /pulls/comments/{id}/reactions", pulls, s.listReactions},
		{"POST /pulls/comments/{id}/reactions", comment, s.createReaction},

		{"POST /check-runs", need{"checks", write}, s.createCheck},
		{"GET /check-runs/{id}", need{"checks", read}, s.getCheck},
		{"PATCH /check-runs/{id}", need{"checks", write}, s.updateCheck},
		{"GET /check-runs/{id}/annotations", need{"checks", read}, s.listAnnotations},
	}
}

func (s *Server) otherRoutes() []route {
	return []route{
		{pattern: "GET /app", handle: s.getApp},
		{pattern: "GET /app/hook/config", handle: s.getHookConfig},
		{pattern: "GET /app/installations", handle: s.listInstallations},
		{pattern: "GET /app/installations/{id}", handle: s.getInstallation},
		{pattern: "POST /app/installations/{id}/access_tokens", handle: s.createToken},
		{pattern: "GET /repos/{owner}/{repo}/installation", handle: s.getRepositoryInstallation},
		{pattern: "GET /installation/repositories", handle: s.listInstallationRepositories},
		{pattern: "GET /rate_limit", handle: s.getRateLimit},
		{pattern: "GET /user", handle: s.getUser},
		{pattern: "GET /meta", handle: s.getMeta},
		{pattern: "POST /graphql", handle: s.graphQL},
	}
}

// pull returns the pull request of the request's path. The caller holds the lock.
func (c *call) pull() (*pull, *answer) {
	n, err := strconv.Atoi(c.PathValue("number"))
	p := c.repo.pulls[n]
	if err != nil || p == nil {
		a := notFound()
		return nil, &a
	}
	return p, nil
}

func (c *call) id(name string) int64 {
	n, err := strconv.ParseInt(c.PathValue(name), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// page cuts the page that the request asks for out of a list, and names its neighbours in the Link header.
func page[T any](c *call, list []T, show func(T) any) answer {
	part, links := paginate(c, len(list))
	shown := make([]any, 0, part.to-part.from)
	for _, v := range list[part.from:part.to] {
		shown = append(shown, show(v))
	}
	a := ok(shown)
	if links != "" {
		a.header = map[string]string{"Link": links}
	}
	return a
}

type slice struct{ from, to int }

func paginate(c *call, total int) (slice, string) {
	q := c.URL.Query()
	size := bounded(q.Get("per_page"), 30, 100)
	number := bounded(q.Get("page"), 1, 1<<30)
	last := max(1, (total+size-1)/size)
	var links []string
	link := func(rel string, n int) {
		v := url.Values{}
		for k := range q {
			v.Set(k, q.Get(k))
		}
		v.Set("page", strconv.Itoa(n))
		links = append(links, fmt.Sprintf(`<http://%s%s?%s>; rel="%s"`, c.Host, apiPath(c.URL.Path), v.Encode(), rel))
	}
	if number > 1 {
		link("prev", min(number-1, last))
	}
	if number < last {
		link("next", number+1)
		link("last", last)
	}
	if number > 1 {
		link("first", 1)
	}
	from := min((number-1)*size, total)
	return slice{from, min(from+size, total)}, strings.Join(links, ", ")
}

func apiPath(path string) string { return "/api/v3" + path }

func bounded(s string, fallback, most int) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return fallback
	}
	return min(n, most)
}
