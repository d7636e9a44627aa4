package githubtest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"witan.dev/services/review/github/githubtest/git"
)

// Kind says what something that was written is.
type Kind string

// What can be written.
const (
	KindReview        Kind = "review"
	KindReviewComment Kind = "review comment"
	KindFileComment   Kind = "file comment"
	KindReply         Kind = "reply"
	KindIssueComment  Kind = "issue comment"
	KindReaction      Kind = "reaction"
	KindCheckRun      Kind = "check run"
)

// Post is one thing that was written and accepted, in the order of writing.
type Post struct {
	Kind Kind
	ID   int64
	// Repository is its owner/name; Number the pull request's, 0 for check runs.
	Repository string
	Number     int
	// Author is a login; App the slug of the App that it wrote through; Permissions are those of the token.
	Author      string
	App         string
	Permissions map[string]string
	Body        string
	// Path, Side, Line and StartLine are the place as it was posted on Commit; StartLine is 0 for one line.
	Path            string
	Side            string
	Line, StartLine int
	Commit          string
	// Review is the review that a comment belongs to, InReplyTo the first comment of the thread it answers in.
	Review, InReplyTo int64
	// Name, Status and Conclusion are a check run's, Annotations how many it has, Actions the identifiers of its buttons.
	Name, Status, Conclusion string
	Annotations              int
	Actions                  []string
	// Resolved says that the thread of a comment is resolved now, Outdated that its lines have changed since.
	Resolved, Outdated bool
	Created, Updated   time.Time
	// Edits counts the changes after its creation.
	Edits   int
	Deleted bool
}

// post is the state behind a Post.
type post struct {
	Post

	id      int64
	account *account
	base    string // of the diff that a comment was placed in
	lag     int
	implied bool // the review that GitHub makes around a single comment
	deleted bool
}

// post records something that was written. The caller holds the lock.
func (s *Server) post(c *call, p *pull, kind Kind, body string) *post {
	now := s.now()
	n := &post{
		id: s.next(), account: c.who.account, lag: s.lag,
		Post: Post{Kind: kind, Author: c.who.account.login, Permissions: maps.Clone(c.who.permissions), Body: body, Created: now, Updated: now},
	}
	n.ID = n.id
	if c.who.app != nil {
		n.App = c.who.app.slug
	}
	if p != nil {
		n.Repository, n.Number = p.repo.fullName(), p.number
	}
	s.posts = append(s.posts, n)
	return n
}

func (s *Server) edit(p *post, body string) {
	p.Body, p.Updated = body, s.now()
	p.Edits++
}

// Posted is everything that was written and accepted through the API and by the users' actions, the oldest first. Of
// the reviews only those that somebody created as such are among it.
func (s *Server) Posted() []Post {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []Post{}
	for _, p := range s.posts {
		if p.implied {
			continue
		}
		v := p.Post
		v.Deleted = p.deleted
		list = append(list, v)
	}
	for _, r := range s.repos {
		for _, p := range r.pulls {
			for _, m := range p.comments {
				if i := slices.IndexFunc(list, func(v Post) bool { return v.ID == m.id }); i >= 0 {
					list[i].Resolved, list[i].Outdated = m.thread.resolved, m.outdated()
				}
			}
		}
	}
	return list
}

// PostedBy is what of Posted has this author.
func (s *Server) PostedBy(login string) []Post {
	return slices.DeleteFunc(s.Posted(), func(p Post) bool { return p.Author != login })
}

// CheckPositions asks git again for the diff under every comment on lines that was accepted, and reports those whose
// lines do not stand in it. It is the check on the server's own rules: nil whatever a client sent.
func (s *Server) CheckPositions(ctx context.Context) error {
	s.mu.Lock()
	type item struct {
		repo *git.Repository
		post post
	}
	var items []item
	for _, r := range s.repos {
		for _, p := range r.pulls {
			for _, m := range p.comments {
				if m.Kind == KindReviewComment {
					items = append(items, item{r.git, *m.post})
				}
			}
		}
	}
	s.mu.Unlock()
	for _, i := range items {
		d, err := i.repo.FreshDiff(ctx, i.post.base, i.post.Commit)
		if err != nil {
			return err
		}
		f, found := d.File(i.post.Path)
		if !found {
			return fmt.Errorf("comment %d stands on %s, which %s does not change", i.post.ID, i.post.Path, i.post.Commit)
		}
		for line := cmp.Or(i.post.StartLine, i.post.Line); line <= i.post.Line; line++ {
			if _, found := f.Find(git.Side(i.post.Side), line); !found {
				return fmt.Errorf("comment %d stands on line %d (%s) of %s, which is in no hunk", i.post.ID, line, i.post.Side, i.post.Path)
			}
		}
	}
	return nil
}

// Request is one request as the server saw it. The token itself is never kept.
type Request struct {
	Time                time.Time
	Method, Path, Query string
	// Operation is the name of a GraphQL field: reviewThreads, resolveReviewThread, unresolveReviewThread.
	Operation string
	// Token is its kind: installation, user, app (a JSON web token) or none.
	Token       string
	Permissions map[string]string
	// Body is what was sent with a request other than GET; none over git.
	Body []byte `json:",omitempty"`
	// Status is what was answered; 0 where the connection was cut instead.
	Status int
	// Fault is the fault that hit the request, if any; Done is then the status that its handler had come to, if it ran.
	Fault FaultKind
	Done  int
}

// Write reports whether the request asks for a change.
func (r Request) Write() bool {
	if r.Path == "/graphql" {
		return strings.HasSuffix(r.Operation, "ReviewThread")
	}
	return r.Method != "GET" && r.Method != "HEAD" && !isGit(r.Path) && !strings.HasSuffix(r.Path, "/access_tokens")
}

func (s *Server) record(r Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r)
}

// Requests is the log of requests, in the order of their ends.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Count counts the requests of the log that meet the condition.
func (s *Server) Count(condition func(Request) bool) int {
	n := 0
	for _, r := range s.Requests() {
		if condition(r) {
			n++
		}
	}
	return n
}

// Rejected are the requests for a change that were refused with 422: of a client that checks its positions, none.
func (s *Server) Rejected() []Request {
	return slices.DeleteFunc(s.Requests(), func(r Request) bool { return r.Status != 422 || r.Fault != "" })
}
