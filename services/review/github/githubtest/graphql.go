package githubtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"witan.dev/services/review/github/githubtest/graphql"
)

// forbiddenError is a refusal inside a GraphQL answer, which has the status 200.
type forbiddenError struct{ kind, message string }

func (e forbiddenError) Error() string { return e.message }

type graphRequest struct {
	Query         string         `json:"query"`
	Variables     map[string]any `json:"variables"`
	OperationName *string        `json:"operationName"`
}

// operationOf names the field that a GraphQL request is about, for the log.
func operationOf(body []byte) string {
	for _, name := range []string{"unresolveReviewThread", "resolveReviewThread", "reviewThreads"} {
		if strings.Contains(string(body), name) {
			return name
		}
	}
	return "unknown"
}

// graphQL answers the documents that list, resolve and unresolve review threads. Everything else is an error.
func (s *Server) graphQL(c *call) answer {
	if c.who.account == nil || c.who.jwt {
		return refusal(http.StatusUnauthorized, "This endpoint requires you to be authenticated.")
	}
	var in graphRequest
	d := json.NewDecoder(strings.NewReader(string(c.body)))
	d.UseNumber()
	if err := d.Decode(&in); err != nil || in.Query == "" {
		return refusal(http.StatusBadRequest, "A query attribute must be specified and must be a string.")
	}
	operation, err := graphql.Parse(in.Query)
	if err != nil {
		return graphError("", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	root := s.queryObject(c)
	if operation.Kind == "mutation" {
		root = s.mutationObject(c)
	}
	data, err := operation.Run(root, in.Variables)
	if err != nil {
		if refused, found := errors.AsType[forbiddenError](err); found {
			return graphError(refused.kind, errors.New(refused.message))
		}
		return graphError("", err)
	}
	return ok(object{"data": data})
}

func graphError(kind string, err error) answer {
	e := object{"message": err.Error(), "locations": []any{object{"line": 1, "column": 1}}}
	if kind == "" {
		return ok(object{"errors": []any{e}})
	}
	e["type"], e["path"] = kind, []any{}
	return ok(object{"data": nil, "errors": []any{e}})
}

func (s *Server) queryObject(c *call) *graphql.Object {
	return &graphql.Object{Type: "Query", Fields: map[string]graphql.Resolver{
		"repository": func(a graphql.Arguments) (any, error) {
			if err := a.Only("owner", "name", "followRenames"); err != nil {
				return nil, err
			}
			owner, err1 := a.String("owner")
			name, err2 := a.String("name")
			if err := errors.Join(err1, err2); err != nil {
				return nil, err
			}
			r := s.repos[s.names[strings.ToLower(owner+"/"+name)]]
			if r == nil || s.permit(c.who, r, need{"metadata", read}) != nil {
				return nil, forbiddenError{"NOT_FOUND", fmt.Sprintf("Could not resolve to a Repository with the name '%s/%s'.", owner, name)}
			}
			return s.repositoryNode(c, r), nil
		},
		"node": func(a graphql.Arguments) (any, error) {
			id, err := a.String("id")
			if err != nil {
				return nil, err
			}
			for _, r := range s.repos {
				for _, p := range r.pulls {
					if node("PullRequest", p.id) == id && s.permit(c.who, r, need{"pull_requests", read}) == nil {
						return s.pullNode(c, p), nil
					}
				}
			}
			if t := s.findThread(id); t != nil && s.permit(c.who, t.pull.repo, need{"pull_requests", read}) == nil {
				return s.threadNode(c, t), nil
			}
			return nil, forbiddenError{"NOT_FOUND", fmt.Sprintf("Could not resolve to a node with the global id of '%s'", id)}
		},
	}}
}

func (s *Server) repositoryNode(c *call, r *repository) *graphql.Object {
	return &graphql.Object{Type: "Repository", Fields: map[string]graphql.Resolver{
		"id": graphql.Value(node("Repository", r.id)), "databaseId": graphql.Value(r.id), "nameWithOwner": graphql.Value(r.fullName()), "name": graphql.Value(r.name()),
		"pullRequest": func(a graphql.Arguments) (any, error) {
			n, _, err := a.Int("number")
			if err != nil {
				return nil, err
			}
			p := r.pulls[n]
			if p == nil {
				return nil, forbiddenError{"NOT_FOUND", fmt.Sprintf("Could not resolve to a PullRequest with the number of %d.", n)}
			}
			if s.permit(c.who, r, need{"pull_requests", read}) != nil {
				return nil, forbiddenError{"FORBIDDEN", "Resource not accessible by integration"}
			}
			return s.pullNode(c, p), nil
		},
	}}
}

func (s *Server) pullNode(c *call, p *pull) *graphql.Object {
	return &graphql.Object{Type: "PullRequest", Fields: map[string]graphql.Resolver{
		"id": graphql.Value(node("PullRequest", p.id)), "databaseId": graphql.Value(p.id), "number": graphql.Value(p.number),
		"headRefOid": graphql.Value(p.headSHA), "title": graphql.Value(p.title), "isDraft": graphql.Value(p.draft), "closed": graphql.Value(p.closed),
		"reviewThreads": func(a graphql.Arguments) (any, error) {
			var nodes []*graphql.Object
			for _, t := range p.threads {
				if t.comments[0].visible() {
					nodes = append(nodes, s.threadNode(c, t))
				}
			}
			return connection("PullRequestReviewThread", nodes, a)
		},
	}}
}

func (s *Server) threadNode(c *call, t *thread) *graphql.Object {
	root := t.comments[0]
	var by any
	if t.resolvedBy != nil {
		by = s.actorNode(t.resolvedBy)
	}
	subject := "LINE"
	if root.place.file {
		subject = "FILE"
	}
	number := func(n int) graphql.Resolver {
		if n == 0 {
			return graphql.Value(nil)
		}
		return graphql.Value(n)
	}
	var startSide any
	if root.place.startSide != "" {
		startSide = string(root.place.startSide)
	}
	side := string(root.place.side)
	if side == "" {
		side = "RIGHT"
	}
	return &graphql.Object{Type: "PullRequestReviewThread", Fields: map[string]graphql.Resolver{
		"id": graphql.Value(t.id), "isResolved": graphql.Value(t.resolved), "isOutdated": graphql.Value(root.outdated()), "isCollapsed": graphql.Value(t.resolved || root.outdated()),
		"path": graphql.Value(root.path), "line": number(root.line), "startLine": number(root.startLine), "originalLine": number(root.place.line),
		"originalStartLine": number(root.place.startLine), "diffSide": graphql.Value(side), "startDiffSide": graphql.Value(startSide), "subjectType": graphql.Value(subject),
		"resolvedBy": graphql.Value(by), "viewerCanReply": graphql.Value(true), "viewerCanResolve": graphql.Value(!t.resolved), "viewerCanUnresolve": graphql.Value(t.resolved),
		"pullRequest": func(a graphql.Arguments) (any, error) { return s.pullNode(c, t.pull), a.Only() },
		"repository":  func(a graphql.Arguments) (any, error) { return s.repositoryNode(c, t.pull.repo), a.Only() },
		"comments": func(a graphql.Arguments) (any, error) {
			var nodes []*graphql.Object
			for _, m := range t.comments {
				if m.visible() {
					nodes = append(nodes, s.commentNode(m))
				}
			}
			return connection("PullRequestReviewComment", nodes, a)
		},
	}}
}

func (s *Server) commentNode(m *reviewComment) *graphql.Object {
	page := fmt.Sprintf("%s/%s/pull/%d#discussion_r%d", s.URL, m.pull.repo.fullName(), m.pull.number, m.id)
	commit := func(id string) graphql.Resolver {
		return graphql.Value(&graphql.Object{Type: "Commit", Fields: map[string]graphql.Resolver{"oid": graphql.Value(id), "id": graphql.Value(node("Commit", 1) + id)}})
	}
	var to any
	if m.replyTo != 0 {
		root := m.thread.comments[0]
		to = &graphql.Object{Type: "PullRequestReviewComment", Fields: map[string]graphql.Resolver{
			"id": graphql.Value(node("PullRequestReviewComment", root.id)), "databaseId": graphql.Value(root.id),
		}}
	}
	return &graphql.Object{Type: "PullRequestReviewComment", Fields: map[string]graphql.Resolver{
		"id": graphql.Value(node("PullRequestReviewComment", m.id)), "databaseId": graphql.Value(m.id),
		"body": graphql.Value(m.Body), "author": graphql.Value(s.actorNode(m.account)), "authorAssociation": graphql.Value(association(m.pull.repo, m.account)),
		"createdAt": graphql.Value(date(m.Created)), "updatedAt": graphql.Value(date(m.Updated)), "url": graphql.Value(page), "path": graphql.Value(m.path),
		"outdated": graphql.Value(m.outdated()), "isMinimized": graphql.Value(false), "diffHunk": graphql.Value(m.hunk), "state": graphql.Value("SUBMITTED"),
		"commit": commit(m.commit), "originalCommit": commit(m.original), "replyTo": graphql.Value(to),
	}}
}

// actorNode is an account as GraphQL has it: the login of a bot lacks the "[bot]" that it has over REST.
func (s *Server) actorNode(a *account) *graphql.Object {
	return &graphql.Object{Type: a.kind, Fields: map[string]graphql.Resolver{
		"login": graphql.Value(strings.TrimSuffix(a.login, "[bot]")), "url": graphql.Value(s.URL + "/" + a.login), "id": graphql.Value(node(a.kind, a.id)), "databaseId": graphql.Value(a.id),
	}}
}

// connection cuts a page of at most 100 nodes.
func connection(kind string, nodes []*graphql.Object, a graphql.Arguments) (any, error) {
	if err := a.Only("first", "after", "last", "before"); err != nil {
		return nil, err
	}
	first, forward, err1 := a.Int("first")
	last, backward, err2 := a.Int("last")
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	if forward == backward {
		return nil, errors.New("you must provide a `first` or `last` value to properly paginate the connection")
	}
	if n := max(first, last); n > 100 || min(first, last) < 0 {
		return nil, fmt.Errorf("requesting %d records exceeds the limit of 100 records", n)
	}
	from, to := 0, len(nodes)
	if after, given := a["after"].(string); given && after != "" {
		n, err := strconv.Atoi(strings.TrimPrefix(after, "cursor:"))
		if err != nil || n < 0 || n > len(nodes) {
			return nil, fmt.Errorf("`%s` does not appear to be a valid cursor", after)
		}
		from = n
	}
	if before, given := a["before"].(string); given && before != "" {
		n, err := strconv.Atoi(strings.TrimPrefix(before, "cursor:"))
		if err != nil || n < 1 || n > len(nodes) {
			return nil, fmt.Errorf("`%s` does not appear to be a valid cursor", before)
		}
		to = n - 1
	}
	to = max(from, to)
	if forward {
		to = min(to, from+first)
	} else {
		from = max(from, to-last)
	}
	cursor := func(n int) any {
		if from == to {
			return nil
		}
		return "cursor:" + strconv.Itoa(n)
	}
	return &graphql.Object{Type: kind + "Connection", Fields: map[string]graphql.Resolver{
		"totalCount": graphql.Value(len(nodes)), "nodes": graphql.Value(nodes[from:to]),
		"pageInfo": graphql.Value(&graphql.Object{Type: "PageInfo", Fields: map[string]graphql.Resolver{
			"hasNextPage": graphql.Value(to < len(nodes)), "hasPreviousPage": graphql.Value(from > 0), "startCursor": graphql.Value(cursor(from + 1)), "endCursor": graphql.Value(cursor(to)),
		}}),
	}}, nil
}

// findThread finds a thread by its node ID. The caller holds the lock.
func (s *Server) findThread(id string) *thread {
	for _, r := range s.repos {
		for _, p := range r.pulls {
			for _, t := range p.threads {
				if t.id == id {
					return t
				}
			}
		}
	}
	return nil
}

func (s *Server) mutationObject(c *call) *graphql.Object {
	change := func(kind string, resolved bool) graphql.Resolver {
		return func(a graphql.Arguments) (any, error) {
			input, given := a["input"].(map[string]any)
			if !given {
				return nil, errors.New("argument \"input\" is required")
			}
			in := graphql.Arguments(input)
			if err := in.Only("threadId", "clientMutationId"); err != nil {
				return nil, err
			}
			id, err := in.String("threadId")
			if err != nil {
				return nil, err
			}
			t := s.findThread(id)
			if t == nil || s.permit(c.who, t.pull.repo, need{"pull_requests", read}) != nil {
				return nil, forbiddenError{"NOT_FOUND", fmt.Sprintf("Could not resolve to a node with the global id of '%s'", id)}
			}
			if err := s.mayResolve(c, t); err != nil {
				return nil, err
			}
			s.resolveBy(c, t, resolved)
			return &graphql.Object{Type: kind, Fields: map[string]graphql.Resolver{
				"thread": graphql.Value(s.threadNode(c, t)), "clientMutationId": graphql.Value(in["clientMutationId"]),
			}}, nil
		}
	}
	return &graphql.Object{Type: "Mutation", Fields: map[string]graphql.Resolver{
		"resolveReviewThread": change("ResolveReviewThreadPayload", true), "unresolveReviewThread": change("UnresolveReviewThreadPayload", false),
	}}
}

// mayResolve decides as GitHub does: an installation token needs contents: write besides pull_requests: write, which its
// documentation does not say; a user must be able to write to the repository, or be the author of the pull request.
func (s *Server) mayResolve(c *call, t *thread) error {
	for _, permission := range []string{"pull_requests", "contents"} {
		if c.who.app != nil && !granted(c.who.permissions, need{permission, write}) {
			return forbiddenError{"FORBIDDEN", "Resource not accessible by integration"}
		}
	}
	if c.who.app != nil {
		return nil
	}
	role := t.pull.repo.roles[strings.ToLower(c.who.account.login)]
	mayWrite := role == "admin" || role == "maintain" || role == write || c.who.account == t.pull.author
	if !granted(c.who.permissions, need{"pull_requests", write}) || !mayWrite {
		return forbiddenError{"FORBIDDEN", c.who.account.login + " does not have the correct permissions to execute `ResolveReviewThread`"}
	}
	return nil
}

// resolveBy changes a thread for a request and delivers the webhook beside it. The caller holds the lock.
func (s *Server) resolveBy(c *call, t *thread, resolved bool) {
	d, err := s.resolve(t, c.who.account, resolved)
	if err != nil || d == nil || s.hooks.config.Hold || s.closing.Err() != nil {
		return
	}
	s.hooks.sending.Go(func() { _, _ = s.send(s.closing, d) })
}
