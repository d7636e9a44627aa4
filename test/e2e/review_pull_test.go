package e2e_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/finding"
	"witan.dev/internal/job"
	"witan.dev/services/review"
	reviewworker "witan.dev/services/review/worker"
	"witan.dev/test/e2e/gittest"
)

// pullHost is a forge with one pull request, whose commits lie in a repository of this machine.
type pullHost struct {
	review.Repository

	repo       *gittest.Repo
	base, head string
	settings   review.Settings
}

func (h *pullHost) Pin(ctx context.Context, id job.ID, s review.Source) (review.Pinned, error) {
	p, err := h.Repository.Pin(ctx, id, review.Source{Kind: review.SourceRange, Dir: h.repo.Dir, Base: s.Base, Head: s.Head})
	p.Source = s
	return p, err
}

func (h *pullHost) PullRequest(_ context.Context, ref review.PullRef) (review.PullRequest, error) {
	ref.ID = 7
	return review.PullRequest{
		PullRef: ref, State: review.PullOpen, Title: "the title", Body: "the body", Author: "somebody", BaseBranch: "main", BaseTip: h.base, Head: h.head,
	}, nil
}

func (h *pullHost) File(_ context.Context, _ review.Repo, path, commit string) ([]byte, error) {
	if commit != h.base || path != "AGENTS.md" {
		return nil, review.ErrNoFile
	}
	return []byte("the guideline"), nil
}

func (*pullHost) Permission(context.Context, review.Repo, string) (review.Permission, error) {
	return review.PermissionWrite, nil
}

func (h *pullHost) Tip(context.Context, review.Repo, string) (string, error) { return h.base, nil }

// Read implements reviewworker.Configuration.
func (h *pullHost) Read(context.Context, func(context.Context, string) ([]byte, error)) (review.Settings, []string, error) {
	return h.settings, nil, nil
}

// pullCouncil reads all parts, as far as it can be reached.
type pullCouncil struct {
	scriptedCouncil

	away atomic.Int32 // how many more times it does not answer
}

func (c *pullCouncil) Describe(ctx context.Context, name string) (review.CouncilInfo, error) {
	if c.away.Load() > 0 && c.away.Add(-1) >= 0 {
		return review.CouncilInfo{}, review.ErrUnavailable
	}
	return c.scriptedCouncil.Describe(ctx, name)
}

func startPulls(t *testing.T, change ...func(*reviewworker.Params)) (*reviewSystem, *pullHost, *pullCouncil) {
	t.Helper()
	host := &pullHost{repo: gittest.New(t), settings: review.DefaultSettings()}
	council := &pullCouncil{scriptedCouncil: scriptedCouncil{info: review.CouncilInfo{
		Members: 2, ContextTokens: 3500, OutputTokens: 1000, Digest: "d",
		MinVotes: map[finding.Severity]int{finding.SeverityCritical: 2, finding.SeverityHigh: 2, finding.SeverityMedium: 2, finding.SeverityLow: 2},
	}}}
	council.verdict = func(task review.CouncilTask) review.Verdict {
		v, _ := (&scriptedCouncil{last: task}).Verdict(t.Context(), "")
		v.Summary, v.Models, v.Usage = "read", 2, job.Usage{InputTokens: 300, OutputTokens: 100}
		for i := range task.Parts {
			v.Parts = append(v.Parts, review.PartOutcome{Part: task.Parts[i].ID, Status: review.PartCovered, Members: []string{"m1", "m2"}})
		}
		return v
	}
	s := startReviews(t, council, append(change, func(p *reviewworker.Params) {
		host.Repository = p.Repository
		p.Repository, p.Forge, p.Configuration = host, host, host
		p.Limits.Tries = 1
		p.Limits.CouncilPauses = []time.Duration{time.Millisecond, time.Millisecond, time.Millisecond}
	})...)
	return s, host, council
}

func pullSource() *reviewv1.Source {
	return &reviewv1.Source{Source: &reviewv1.Source_PullRequest{PullRequest: &reviewv1.PullRequest{Owner: "o", Repo: "r", Number: 1}}}
}

func long(name string) string {
	var b strings.Builder
	for i := range 60 {
		fmt.Fprintf(&b, "line %d of %s\n", i, name)
	}
	return b.String()
}

func goFile(name string) string { return "package a\n\n/*\n" + long(name) + "*/\nvar A = 1\n" }

func rows(r *reviewv1.Review) map[string]*reviewv1.FileCoverage {
	out := map[string]*reviewv1.FileCoverage{}
	for _, f := range r.GetCoverage().GetFiles() {
		out[f.GetPath()] = f
	}
	return out
}

// TestAPushIsReviewedFromWhereTheLastReviewEnded goes from the first review of a pull request to the next ones.
func TestAPushIsReviewedFromWhereTheLastReviewEnded(t *testing.T) {
	t.Parallel()
	s, host, council := startPulls(t)
	host.settings.Exclude, host.settings.Guidelines = []string{"out/"}, []string{"AGENTS.md"}
	host.settings.MinVotes = map[finding.Severity]int{finding.SeverityHigh: 3}
	host.base = host.repo.Commit("base", map[string]string{"keep": "k\n"})
	host.head = host.repo.Commit("one", map[string]string{"a.txt": long("a"), "b.txt": long("b"), "out/c.txt": "c\n"})
	first, j := s.review(t, pullSource())
	require.Equal(t, job.StateSucceeded, j.State, j.StateReason)
	require.Equal(t, "the title", council.last.Title)
	require.Equal(t, "the body", council.last.Description)
	require.Equal(t, []string{"From AGENTS.md:\nthe guideline"}, council.last.Rules)
	require.Equal(t, 3, council.last.MinVotes[finding.SeverityHigh])
	require.Equal(t, 2, council.last.MinVotes[finding.SeverityLow])
	all := rows(first)
	require.Equal(t, []string{"EXCLUDED"}, all["out/c.txt"].GetReasons())
	require.Equal(t, []string{"secrets"}, all["out/c.txt"].GetReviewers(), "excluded files are scanned for secrets all the same")

	host.head = host.repo.Commit("two", map[string]string{"b.txt": long("b") + "more\n"})
	second, j := s.review(t, pullSource())
	require.Equal(t, job.StateSucceeded, j.State, j.StateReason)
	require.Len(t, council.last.Parts, 1)
	require.Equal(t, []review.Path{"b.txt"}, council.last.Parts[0].Paths)
	all = rows(second)
	require.Equal(t, first.GetName(), all["a.txt"].GetCarriedFrom())
	require.Equal(t, reviewv1.FileCoverage_REVIEWED, all["a.txt"].GetStatus())
	require.Empty(t, all["b.txt"].GetCarriedFrom())
	require.Len(t, all, 3, "every changed file has its row")

	host.settings.Digest = "changed"
	third, _ := s.review(t, pullSource())
	require.Empty(t, rows(third)["a.txt"].GetCarriedFrom(), "another configuration: all is read again")
}

// TestP08_WhatTheBudgetLeavesOutIsNamedAndTheRestIsPublished caps one review and the day of its pull request.
func TestP08_WhatTheBudgetLeavesOutIsNamedAndTheRestIsPublished(t *testing.T) {
	t.Parallel()
	s, host, council := startPulls(t, func(p *reviewworker.Params) {
		p.Limits.Budgets = review.Budgets{Review: review.Budget{Tokens: 500}, SubjectDay: review.Budget{Tokens: 450}}
	})
	host.base = host.repo.Commit("base", map[string]string{"keep": "k\n"})
	host.head = host.repo.Commit("one", map[string]string{"a/a.go": goFile("a"), "b/b.md": long("b"), "c/c.txt": long("c"), "d.env": "X='" + leakedKey() + "'\n"})
	r, j := s.review(t, pullSource())
	require.Equal(t, job.StatePartiallySucceeded, j.State)
	require.Equal(t, string(finding.ReasonBudget), j.StateReason)
	require.Len(t, r.GetFindings(), 1, "what was found without a model is shown")
	require.Len(t, council.last.Parts, 1)
	require.Contains(t, council.last.Parts[0].Paths, review.Path("a/a.go"), "the most important part is read")
	require.Equal(t, int64(450), council.last.Budget.Tokens, "the council is held to the tightest cap")
	all := rows(r)
	require.Len(t, all, 4)
	require.Equal(t, reviewv1.FileCoverage_REVIEWED, all["a/a.go"].GetStatus())
	require.Equal(t, []string{"BUDGET"}, all["b/b.md"].GetReasons())
	require.False(t, r.GetCoverage().GetComplete())

	host.head = host.repo.Commit("two", map[string]string{"a/a.go": goFile("other")})
	council.last = review.CouncilTask{}
	r, j = s.review(t, pullSource())
	require.Equal(t, string(finding.ReasonBudget), j.StateReason, "400 of 450 tokens of the day are spent, and a part takes more")
	require.Empty(t, council.last.Parts)
	require.Equal(t, []string{"BUDGET"}, rows(r)["a/a.go"].GetReasons())
	require.Len(t, r.GetFindings(), 1)
}

// TestACouncilThatComesBackIsAskedAgain lets the council be away for a while, and for too long.
func TestACouncilThatComesBackIsAskedAgain(t *testing.T) {
	t.Parallel()
	s, host, council := startPulls(t)
	host.base = host.repo.Commit("base", map[string]string{"keep": "k\n"})
	host.head = host.repo.Commit("one", map[string]string{"a.txt": long("a")})
	council.away.Store(3)
	r, j := s.review(t, pullSource())
	require.Equal(t, job.StateSucceeded, j.State, j.StateReason)
	require.True(t, r.GetCoverage().GetComplete())
	require.Equal(t, "read", r.GetSummary())

	host.head = host.repo.Commit("two", map[string]string{"a.txt": long("b")})
	council.away.Store(5) // fetch asks whether there will be members, then come four rounds
	r, j = s.review(t, pullSource())
	require.Equal(t, job.StatePartiallySucceeded, j.State)
	require.Equal(t, string(finding.ReasonCouncilUnavailable), j.StateReason)
	require.Equal(t, []string{"COUNCIL_UNAVAILABLE"}, rows(r)["a.txt"].GetReasons())
}

// TestAPullRequestIsIndexedFromSnapshots finds what only the code index knows, and builds on the index of the base.
func TestAPullRequestIsIndexedFromSnapshots(t *testing.T) {
	t.Parallel()
	s, host, council := startPulls(t)
	host.base = host.repo.Commit("base", map[string]string{
		"go.mod": "module example.com/m\n\ngo 1.26\n", "a/a.go": "package a\n\n// Load loads.\nfunc Load() {}\n",
		"b/b.go": "package b\n\nimport \"example.com/m/a\"\n\nfunc Use() {\n\ta.Load()\n}\n",
	})
	host.head = host.repo.Commit("one", map[string]string{"a/a.go": "package a\n\n// Load loads.\nfunc Load(name string) {}\n"})
	council.info.ContextTokens = 32_000
	first, j := s.review(t, pullSource())
	require.Equal(t, job.StateSucceeded, j.State, j.StateReason)
	require.NotEmpty(t, first.GetIndex())
	require.NotEmpty(t, first.GetBaseIndex())
	require.Len(t, first.GetFindings(), 1, "the call that was not changed")
	require.Contains(t, council.last.Parts[0].Text, "a.Load()", "callers come from the index")

	host.head = host.repo.Commit("two", map[string]string{"a/a.go": "package a\n\n// Load loads.\nfunc Load(name, more string) {}\n"})
	second, j := s.review(t, pullSource())
	require.Equal(t, job.StateSucceeded, j.State, j.StateReason)
	require.Equal(t, first.GetBaseIndex(), second.GetBaseIndex(), "one base, one index")
	require.NotEqual(t, first.GetIndex(), second.GetIndex())
}
