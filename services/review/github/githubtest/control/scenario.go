// Package control drives a simulated GitHub from outside of its process: a scenario that says what is there at the
// start, and an HTTP API on an address of its own for what happens afterwards.
package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"

	"witan.dev/services/review/github/githubtest"
)

// Scenario is what is there at the start. It is read from YAML, of which JSON is a part; unknown keys are errors.
type Scenario struct {
	Webhook *Webhook `yaml:"webhook"`
	// Bench is the folder with the shared benchmark's pull requests.
	Bench        string       `yaml:"bench"`
	Repositories []Repository `yaml:"repositories"`
	Faults       []Fault      `yaml:"faults"`
}

// Webhook says where deliveries go.
type Webhook struct {
	URL    string `json:"url"    yaml:"url"`
	Secret string `json:"secret" yaml:"secret"`
	Hold   bool   `json:"hold"   yaml:"hold"`
	Plain  bool   `json:"plain"  yaml:"plain"`
}

// Repository is a repository to be added.
type Repository struct {
	Owner        string            `json:"owner"         yaml:"owner"`
	Name         string            `json:"name"          yaml:"name"`
	Organization bool              `json:"organization"  yaml:"organization"`
	Public       bool              `json:"public"        yaml:"public"`
	Default      string            `json:"branch"        yaml:"branch"`
	From         string            `json:"from"          yaml:"from"`
	Files        map[string]string `json:"files"         yaml:"files"`
	NotInstalled bool              `json:"not_installed" yaml:"not_installed"`
	// Roles gives users their role: admin, maintain, write, triage, read.
	Roles map[string]string `json:"roles" yaml:"roles"`
	Pulls []Pull            `json:"pulls" yaml:"pulls"`
}

// Pull is a pull request to be opened. With Files or Delete its head branch gets a commit first.
type Pull struct {
	Number int               `json:"number" yaml:"number"`
	Title  string            `json:"title"  yaml:"title"`
	Body   string            `json:"body"   yaml:"body"`
	Author string            `json:"author" yaml:"author"`
	Base   string            `json:"base"   yaml:"base"`
	Head   string            `json:"head"   yaml:"head"`
	Draft  bool              `json:"draft"  yaml:"draft"`
	Labels []string          `json:"labels" yaml:"labels"`
	Files  map[string]string `json:"files"  yaml:"files"`
	Delete []string          `json:"delete" yaml:"delete"`
}

// Read reads a scenario.
func Read(r io.Reader) (Scenario, error) {
	var sc Scenario
	raw, err := io.ReadAll(io.LimitReader(r, 64<<20))
	if err != nil {
		return sc, err
	}
	d := yaml.NewDecoder(bytes.NewReader(raw))
	d.KnownFields(true)
	if err := d.Decode(&sc); err != nil && !errors.Is(err, io.EOF) {
		return sc, fmt.Errorf("scenario: %w", err)
	}
	return sc, nil
}

// Apply puts the scenario into the server. The webhook is set last: what was there from the start is not announced.
func (sc Scenario) Apply(ctx context.Context, s *githubtest.Server) error {
	if sc.Bench != "" {
		list, err := githubtest.LoadBench(sc.Bench)
		if err != nil {
			return err
		}
		if _, err := s.AddBench(ctx, list); err != nil {
			return err
		}
	}
	for _, r := range sc.Repositories {
		if err := r.apply(ctx, s); err != nil {
			return fmt.Errorf("repository %s/%s: %w", r.Owner, r.Name, err)
		}
	}
	for i, f := range sc.Faults {
		fault, err := f.fault()
		if err != nil {
			return fmt.Errorf("fault %d: %w", i+1, err)
		}
		s.Inject(fault)
	}
	if sc.Webhook != nil {
		s.SetWebhook(sc.Webhook.webhook())
	}
	return nil
}

func (w Webhook) webhook() githubtest.Webhook {
	return githubtest.Webhook{URL: w.URL, Secret: w.Secret, Hold: w.Hold, Plain: w.Plain}
}

func (r Repository) apply(ctx context.Context, s *githubtest.Server) error {
	added, err := s.AddRepository(ctx, githubtest.RepositorySpec{
		Owner: r.Owner, Name: r.Name, Organization: r.Organization, Public: r.Public, DefaultBranch: r.Default, From: r.From, Files: r.Files, NotInstalled: r.NotInstalled,
	})
	if err != nil {
		return err
	}
	for _, login := range slices.Sorted(maps.Keys(r.Roles)) {
		added.SetRole(login, r.Roles[login])
	}
	for _, p := range r.Pulls {
		if _, err := p.open(ctx, added); err != nil {
			return fmt.Errorf("pull request %q: %w", p.Title, err)
		}
	}
	return nil
}

func (p Pull) open(ctx context.Context, r *githubtest.Repository) (*githubtest.PullRequest, error) {
	if len(p.Files) > 0 || len(p.Delete) > 0 {
		if _, err := r.Commit(ctx, githubtest.Commit{Branch: p.Head, Parent: p.Base, Message: p.Title, Author: p.Author, Files: p.Files, Delete: p.Delete}); err != nil {
			return nil, err
		}
	}
	return r.OpenPullRequest(ctx, githubtest.PullRequestSpec{
		Number: p.Number, Title: p.Title, Body: p.Body, Author: p.Author, Base: p.Base, Head: p.Head, Draft: p.Draft, Labels: p.Labels,
	})
}
