package worker

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/finding"
	"witan.dev/internal/job"
	"witan.dev/services/review"
	"witan.dev/services/review/material"
	"witan.dev/services/review/patience"
	"witan.dev/services/review/reviewers/secrets"
)

// baseForge has files at one commit only.
type baseForge struct {
	review.Forge

	commit string
	files  map[string]string
}

func (f baseForge) File(_ context.Context, _ review.Repo, path, commit string) ([]byte, error) {
	if text, ok := f.files[path]; ok && commit == f.commit {
		return []byte(text), nil
	}
	return nil, review.ErrNoFile
}

func testSession(t *testing.T, s review.Settings) *session {
	t.Helper()
	scanner, err := secrets.New([]byte(strings.Repeat("k", 32)))
	require.NoError(t, err)
	w := New(Params{Secrets: scanner, Logger: slog.New(slog.DiscardHandler), Limits: Limits{Tries: 1}})
	out := &session{Worker: w, resolution: review.Resolution{Settings: s}}
	out.paths, err = s.Paths()
	require.NoError(t, err)
	return out
}

func TestWhoWaitsForAForgeSaysForHowLongAndHowToShortenIt(t *testing.T) {
	t.Parallel()
	s := testSession(t, review.Settings{})
	s.review.Pinned.Source.Kind = review.SourcePull
	var written strings.Builder
	s.p.Logger, s.p.Patience, s.p.Clock = slog.New(slog.NewTextHandler(&written, nil)), 2*time.Hour, time.Now
	require.Equal(t, patience.ClassPause, s.failureOf(t.Context(), review.ErrUnavailable).Class)
	require.Contains(t, written.String(), "reviews.patience")
	require.Contains(t, written.String(), "patience=2h0m0s")
}

// TestMembersGetTheRulesOfTheBase reads guidelines at the base's tip only, keeps secrets out and says what it left out.
func TestMembersGetTheRulesOfTheBase(t *testing.T) {
	t.Parallel()
	s := testSession(t, review.Settings{
		Instructions: []review.Instruction{
			{Text: "always"}, {Paths: []string{"src/"}, Text: "for sources, with " + key()}, {Paths: []string{"docs/"}, Text: "not meant"}, {Paths: []string{"["}, Text: "broken"},
		},
		Guidelines: []string{"AGENTS.md", "long.md", "missing.md", "image.png"},
	})
	s.resolution.Pull = &review.PullRequest{BaseTip: "tip", Head: "head"}
	s.p.Forge = baseForge{commit: "tip", files: map[string]string{
		"AGENTS.md": "be kind", "long.md": strings.Repeat("ä", 5000), "image.png": "\x00",
	}}
	in := &review.Inspection{Change: &review.Change{}}
	var p planned
	rules, err := s.rules(t.Context(), in, []review.Path{"src/a.go"}, s.p.Secrets.NewRedactor(), 100_000, &p)
	require.NoError(t, err)
	require.Len(t, rules, 4)
	require.Equal(t, "always", rules[0])
	require.Contains(t, rules[1], "For files that match src/:\nfor sources, with [secret:")
	require.NotContains(t, rules[1], key()[4:])
	require.Equal(t, "From AGENTS.md:\nbe kind", rules[2])
	require.Equal(t, review.MaxRule, utf8.RuneCountInString(rules[3]))
	notes := strings.Join(p.Notes, "\n")
	require.Contains(t, notes, "the first 4000 characters of the guideline long.md")
	require.Contains(t, notes, "missing.md does not exist at the base")
	require.Contains(t, notes, "image.png is no text")
	require.Contains(t, notes, "instruction 4 of the repository has patterns that are none")

	var tight planned
	rules, err = s.rules(t.Context(), in, []review.Path{"src/a.go"}, s.p.Secrets.NewRedactor(), 60, &tight)
	require.NoError(t, err)
	total := 0
	for _, r := range rules {
		total += material.Tokens(r)
	}
	require.LessOrEqual(t, total, 60)
	require.Contains(t, strings.Join(tight.Notes, "\n"), "no room")
}

func TestTheRepositorySaysWhichProposalsItWants(t *testing.T) {
	t.Parallel()
	s := testSession(t, review.Settings{
		Exclude:   []string{"out/"},
		Reviewers: map[string]review.ReviewerSettings{"structure": {Severity: finding.SeverityLow}, "tests": {Off: true}},
	})
	s.p.Reviewers = []review.Reviewer{s.p.Secrets, named("structure"), named("tests")}
	require.Equal(t, []review.Reviewer{s.p.Secrets, named("structure")}, s.builtin())
	require.Equal(t, []string{"tests is switched off by the repository's configuration"}, s.off())
	proposals := func() []review.Proposal {
		return []review.Proposal{
			{Severity: finding.SeverityHigh, Location: finding.Location{Path: "a.go"}}, {Severity: finding.SeverityHigh, Location: finding.Location{Path: "out/a.go"}},
		}
	}
	wanted := s.wanted(named("structure"), proposals())
	require.Len(t, wanted, 1)
	require.Equal(t, finding.SeverityLow, wanted[0].Severity)
	all := s.wanted(s.p.Secrets, proposals())
	require.Equal(t, proposals(), all, "secrets are reported wherever they are")
}

type named string

func (n named) Name() string { return string(n) }

func (n named) Review(context.Context, review.Inspection) (review.Report, error) {
	return review.Report{}, fmt.Errorf("%s is not run here", n)
}

// oneSubject is a review.Subjects of one subject.
type oneSubject struct {
	review.Subjects

	subject review.Subject
}

func (o *oneSubject) Subject(context.Context, string) (review.Subject, error) {
	if o.subject.Name == "" {
		return review.Subject{}, review.ErrNotFound
	}
	return o.subject, nil
}

func (o *oneSubject) Lock(_ context.Context, _ job.Tx, name, owner string) (review.Subject, error) {
	if o.subject.Name == "" {
		o.subject.Name, o.subject.Owner = name, owner
	}
	return o.subject, nil
}

func (o *oneSubject) Put(_ context.Context, _ job.Tx, s review.Subject) error {
	o.subject = s
	return nil
}

// TestUnchangedFilesAreCarriedOver reviews one pull request again and again.
func TestUnchangedFilesAreCarriedOver(t *testing.T) {
	t.Parallel()
	subjects := &oneSubject{}
	file := func(path, text string) review.File {
		return review.File{
			Path: path, OldPath: path, Change: review.Modified, Nature: review.NatureText, Added: 1,
			Hunks: []review.Hunk{{Lines: []review.Line{{Op: '+', Text: text}}}},
		}
	}
	info := &review.CouncilInfo{Members: 2, Digest: "1"}
	votesMissing := false
	round := func(id job.ID, change *review.Change, edit func(s *session, p *planned)) (planned, finding.Coverage) {
		s := testSession(t, review.DefaultSettings())
		s.p.Subjects = subjects
		s.review = review.Review{ID: id, Owner: "o", Publish: true}
		s.review.Pinned.Source.Kind = review.SourcePull
		s.resolution.Pull = &review.PullRequest{BaseBranch: "main"}
		s.resolution.Pinned.Subject = "github:github.com/1#2"
		var p planned
		if edit != nil {
			edit(s, &p)
		}
		in := &review.Inspection{Change: change}
		require.NoError(t, s.carry(t.Context(), in, info, &p))
		if p.Away != "" {
			p.missed(unread(change, p.Carried), finding.ReasonCouncilUnavailable)
		}
		council := review.CouncilOutcome{Coverage: review.CouncilCoverage{Complete: p.Away == ""}, Carried: carriedFrom(p.Carried), Unjudged: votesMissing}
		addLimits(&council, p.Limits)
		coverage := review.Cover(change, true, nil, council)
		require.NoError(t, s.settle(t.Context(), nil, &progress{planned: p, located: located{Council: council}}, in, coverage))
		return p, coverage
	}
	both := &review.Change{Files: []review.File{file("a", "1"), file("b", "1")}}
	p, _ := round("first", both, nil)
	require.Empty(t, p.Carried)
	require.Empty(t, p.Notes)

	changed := &review.Change{Files: []review.File{file("a", "1"), file("b", "2")}}
	p, coverage := round("second", changed, nil)
	require.Len(t, p.Carried, 1)
	require.Equal(t, "reviews/first", coverage.Files[0].CarriedFrom)
	require.Equal(t, finding.Reviewed, coverage.Files[0].Status)
	require.Empty(t, coverage.Files[1].CarriedFrom)
	require.Equal(t, []review.File{changed.Files[1]}, unread(changed, p.Carried).Files)

	p, coverage = round("third", changed, nil)
	require.Equal(t, []string{"reviews/first", "reviews/second"}, []string{coverage.Files[0].CarriedFrom, coverage.Files[1].CarriedFrom}, "by who read it")
	require.Len(t, p.Carried, 2)

	again := &review.Change{Files: []review.File{file("a", "1"), file("b", "3")}}
	p, coverage = round("away", again, func(_ *session, p *planned) { p.Away = "COUNCIL_UNAVAILABLE" })
	require.Len(t, p.Carried, 1)
	require.Equal(t, []review.Reason{finding.ReasonCouncilUnavailable}, coverage.Files[1].Reasons)
	require.False(t, coverage.Complete)
	require.NotContains(t, subjects.subject.Files, review.Path("b"), "what nobody read is read the next time")

	votesMissing = true
	p, _ = round("unjudged", again, nil)
	require.Len(t, p.Carried, 1)
	require.Contains(t, subjects.subject.Files, review.Path("a"), "it was read before")
	require.NotContains(t, subjects.subject.Files, review.Path("b"), "what was found there is to be voted on the next time")
	votesMissing = false

	p, _ = round("whole", again, func(s *session, _ *planned) { s.review.Scope = review.ScopeWhole })
	require.Empty(t, p.Carried)
	require.Contains(t, p.Notes[0], review.WholeAsked)
	info.Digest = "2"
	p, _ = round("other", again, nil)
	require.Contains(t, p.Notes[0], review.WholeCouncil)

	guided := func(text string) func(*session, *planned) {
		return func(s *session, _ *planned) {
			s.resolution.Settings.Guidelines, s.resolution.Pull.BaseTip = []string{"AGENTS.md"}, "tip"
			s.p.Forge = baseForge{commit: "tip", files: map[string]string{"AGENTS.md": text}}
		}
	}
	round("guided", again, guided("be kind"))
	p, _ = round("still", again, guided("be kind"))
	require.Len(t, p.Carried, 2)
	p, _ = round("strict", again, guided("be strict"))
	require.Contains(t, p.Notes[0], review.WholeConfig, "what was read was not read under this guideline")
}

// awayForge does not answer for a file.
type awayForge struct {
	review.Forge

	err error
}

func (f awayForge) File(context.Context, review.Repo, string, string) ([]byte, error) {
	return nil, f.err
}

// TestP11_RulesOfTheBaseAreWaitedFor: members are not asked without the guidelines because the forge is away.
func TestP11_RulesOfTheBaseAreWaitedFor(t *testing.T) {
	t.Parallel()
	for _, away := range []error{review.ErrUnavailable, &review.LimitError{Until: time.Unix(1, 0)}} {
		s := testSession(t, review.Settings{Guidelines: []string{"AGENTS.md"}})
		s.resolution.Pull, s.p.Forge = &review.PullRequest{BaseTip: "tip"}, awayForge{err: away}
		var p planned
		_, err := s.rules(t.Context(), &review.Inspection{Change: &review.Change{}}, nil, s.p.Secrets.NewRedactor(), 100_000, &p)
		require.ErrorIs(t, err, away)
		require.Empty(t, p.Notes)
	}
}
