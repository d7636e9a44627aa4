package github

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"witan.dev/services/review"
	"witan.dev/services/review/publish"
)

// maxChecks bounds the pages of check runs at one commit.
const maxChecks = 10

// checkRun is a check run as GitHub writes it.
type checkRun struct {
	ID         int64  `json:"id"`
	ExternalID string `json:"external_id"`
	Name       string `json:"name"`
	Head       string `json:"head_sha"`
	Status     string `json:"status"`
	Conclusion string `json:"conclusion"`
	DetailsURL string `json:"details_url"`
	URL        string `json:"html_url"`
	Output     struct {
		Title   string `json:"title"`
		Summary string `json:"summary"`
		Text    string `json:"text"`
	} `json:"output"`
}

func (r *checkRun) check() publish.Check {
	return publish.Check{
		ID: r.ID, ExternalID: line(r.ExternalID, maxURL), Name: line(r.Name, maxTitle), Head: r.Head,
		Status: publish.CheckStatus(strings.ToUpper(r.Status)), Conclusion: publish.Conclusion(strings.ToUpper(r.Conclusion)),
		DetailsURL: line(r.DetailsURL, maxURL), Title: line(r.Output.Title, maxTitle), Summary: text(r.Output.Summary),
		Text: text(r.Output.Text), URL: line(r.URL, maxURL),
	}
}

// Checks implements publish.Reader. With a token there are none of ours.
func (w *Writer) Checks(ctx context.Context, repo review.Repo, commit string) ([]publish.Check, error) {
	if w.client.p.AppID == 0 {
		return nil, nil
	}
	conn, err := w.client.connect(ctx, toCheck, repo)
	if err != nil {
		return nil, refusal(err)
	}
	var all []publish.Check
	for page := 1; page <= maxChecks; page++ {
		var some struct {
			Runs []checkRun `json:"check_runs"`
		}
		path := fmt.Sprintf("repos/%s/commits/%s/check-runs?app_id=%d&filter=all&per_page=%d&page=%d",
			repo.FullName(), commit, w.client.p.AppID, perPage, page)
		if err := conn.get(ctx, path, &some); err != nil {
			return nil, refusal(err)
		}
		for i := range some.Runs {
			all = append(all, some.Runs[i].check())
		}
		if len(some.Runs) < perPage {
			return all, nil
		}
	}
	return nil, fmt.Errorf("there are more than %d check runs at %.12s: %w", maxChecks*perPage, commit, publish.ErrRefused)
}

// checkRequest is a check run to be written.
type checkRequest struct {
	Name       string        `json:"name,omitempty"`
	Head       string        `json:"head_sha,omitempty"` // refused in updates
	ExternalID string        `json:"external_id,omitempty"`
	Status     string        `json:"status"`
	Conclusion string        `json:"conclusion,omitempty"`
	DetailsURL string        `json:"details_url,omitempty"`
	Output     *checkOutput  `json:"output,omitempty"`
	Actions    []checkAction `json:"actions,omitempty"`
}

type checkAction struct {
	Label       string `json:"label"`
	Description string `json:"description"`
	Identifier  string `json:"identifier"`
}

type checkOutput struct {
	Title   string `json:"title"`
	Summary string `json:"summary"`
	Text    string `json:"text,omitempty"`
}

func newCheckRequest(c publish.Check) checkRequest {
	r := checkRequest{
		ExternalID: c.ExternalID, Status: strings.ToLower(string(c.Status)), Conclusion: strings.ToLower(string(c.Conclusion)), DetailsURL: c.DetailsURL,
	}
	if c.Title != "" || c.Summary != "" {
		r.Output = &checkOutput{Title: c.Title, Summary: c.Summary, Text: c.Text}
	}
	if b, ok := c.Button(); ok {
		r.Actions = []checkAction{{b.Label, b.Description, b.ID}}
	}
	return r
}

// CreateCheck implements publish.Checker.
func (w *Writer) CreateCheck(ctx context.Context, repo review.Repo, c publish.Check) (publish.Check, error) {
	r := newCheckRequest(c)
	r.Name, r.Head = c.Name, c.Head
	return w.writeCheck(ctx, repo, http.MethodPost, fmt.Sprintf("repos/%s/check-runs", repo.FullName()), r)
}

// UpdateCheck implements publish.Checker.
func (w *Writer) UpdateCheck(ctx context.Context, repo review.Repo, c publish.Check) (publish.Check, error) {
	return w.writeCheck(ctx, repo, http.MethodPatch, fmt.Sprintf("repos/%s/check-runs/%d", repo.FullName(), c.ID), newCheckRequest(c))
}

func (w *Writer) writeCheck(ctx context.Context, repo review.Repo, method, path string, r checkRequest) (publish.Check, error) {
	if w.client.p.AppID == 0 {
		return publish.Check{}, fmt.Errorf("check runs need an App: %w", publish.ErrForbidden)
	}
	var made checkRun
	if err := w.writeAs(ctx, toCheck, repo, method, path, r, &made); err != nil {
		return publish.Check{}, err
	}
	if made.ID == 0 {
		return publish.Check{}, fmt.Errorf("read a check run: the answer is empty: %w", publish.ErrAmbiguous)
	}
	return made.check(), nil
}
