package github

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"witan.dev/internal/llm"
	"witan.dev/services/review"
	"witan.dev/services/review/publish"
)

// The only GraphQL documents there are: REST knows no threads.
const (
	listThreads = `query($owner: String!, $name: String!, $number: Int!, $after: String) {
  repository(owner: $owner, name: $name) {
    pullRequest(number: $number) {
      reviewThreads(first: 100, after: $after) {
        pageInfo { hasNextPage endCursor }
        nodes { id isResolved comments(first: 1) { nodes { databaseId } } }
      }
    }
  }
}`
	resolveThread = `mutation($thread: ID!) {
  resolveReviewThread(input: {threadId: $thread}) { thread { id isResolved } }
}`
)

type graphRequest struct {
	Query     string         `json:"query"`
	Variables map[string]any `json:"variables"`
}

// graphAnswer is what every answer has beside its data.
type graphAnswer struct {
	Errors []struct {
		Type    string `json:"type"`
		Message string `json:"message"`
	} `json:"errors"`

	header http.Header
}

func (a *graphAnswer) head(h http.Header) { a.header = h }

// err says what the errors mean: the status of the answer is 200 with them, too.
func (a *graphAnswer) err(what string, now time.Time) error {
	if len(a.Errors) == 0 {
		return nil
	}
	first := a.Errors[0]
	answer := &answerError{what: what, status: http.StatusOK, message: line(llm.Redact(first.Type+" "+first.Message), maxMessage)}
	switch first.Type {
	case "RATE_LIMITED":
		return fmt.Errorf("%w: %w", answer, &review.LimitError{Until: reset(a.header, now, func() time.Duration { return firstPause })})
	case "NOT_FOUND":
		return fmt.Errorf("%w: %w", publish.ErrGone, answer)
	case "FORBIDDEN", "INSUFFICIENT_SCOPES":
		return fmt.Errorf("%w: %w", publish.ErrForbidden, answer)
	case "SERVICE_UNAVAILABLE":
		return fmt.Errorf("%w: %w", review.ErrUnavailable, answer)
	}
	return fmt.Errorf("%w: %w", publish.ErrRefused, answer)
}

type threadPage struct {
	graphAnswer

	Data struct {
		Repository struct {
			PullRequest struct {
				Threads struct {
					Page struct {
						More bool   `json:"hasNextPage"`
						End  string `json:"endCursor"`
					} `json:"pageInfo"`
					Nodes []threadNode `json:"nodes"`
				} `json:"reviewThreads"`
			} `json:"pullRequest"`
		} `json:"repository"`
	} `json:"data"`
}

type threadNode struct {
	ID       string `json:"id"`
	Resolved bool   `json:"isResolved"`
	Comments struct {
		Nodes []struct {
			ID int64 `json:"databaseId"`
		} `json:"nodes"`
	} `json:"comments"`
}

// thread leaves out nodes without a comment: there is nothing to recognise them by.
func (n *threadNode) thread() (publish.Thread, bool) {
	if n.ID == "" || len(n.Comments.Nodes) == 0 {
		return publish.Thread{}, false
	}
	return publish.Thread{ID: n.ID, Root: n.Comments.Nodes[0].ID, Resolved: n.Resolved}, true
}

// Threads implements publish.Reader.
func (w *Writer) Threads(ctx context.Context, ref review.PullRef) ([]publish.Thread, error) {
	conn, err := w.client.connect(ctx, toRead, ref.Repo)
	if err != nil {
		return nil, refusal(err)
	}
	var all []publish.Thread
	after := ""
	for range maxPages {
		variables := map[string]any{"owner": ref.Owner, "name": ref.Name, "number": ref.Number}
		if after != "" {
			variables["after"] = after
		}
		var page threadPage
		if err := conn.ask(ctx, http.MethodPost, w.client.gql.String(), graphRequest{listThreads, variables}, &page); err != nil {
			return nil, refusal(err)
		}
		if err := page.err("list threads", w.client.p.Clock()); err != nil {
			return nil, err
		}
		threads := &page.Data.Repository.PullRequest.Threads
		for i := range threads.Nodes {
			if t, ok := threads.Nodes[i].thread(); ok {
				all = append(all, t)
			}
		}
		if !threads.Page.More || threads.Page.End == after {
			return all, nil
		}
		after = threads.Page.End
	}
	return nil, fmt.Errorf("there are more than %d threads: %w", maxPages*perPage, publish.ErrRefused)
}

// ResolveThread implements publish.Resolver. It is publish.ErrForbidden for an App that may not write contents: GitHub asks
// that of Apps that resolve threads.
func (w *Writer) ResolveThread(ctx context.Context, ref review.PullRef, thread string) error {
	var answer graphAnswer
	request := graphRequest{resolveThread, map[string]any{"thread": thread}}
	if err := w.writeAs(ctx, toResolve, ref.Repo, http.MethodPost, w.client.gql.String(), request, &answer); err != nil {
		return err
	}
	return answer.err("resolve a thread", w.client.p.Clock())
}
