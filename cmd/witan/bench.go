package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	councilv1 "witan.dev/gen/witan/council/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
	reviewv1 "witan.dev/gen/witan/review/v1"
	typev1 "witan.dev/gen/witan/type/v1"
	"witan.dev/internal/config"
	"witan.dev/services/review"
	"witan.dev/services/review/benchmark"
)

func (a *app) benchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure the quality of what this installation does",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.benchReviewCommand())
	return cmd
}

type benchFlags struct {
	cases, format    string
	static, ablation bool
}

func (a *app) benchReviewCommand() *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{
		Use:   "review --cases DIR",
		Short: "Review pull requests that experts have commented on, and compare",
		Long: `Review pull requests on which experts have judged comments, and bug fixes that were reversed, and compare what is found with
where the experts commented: precision, recall, accuracy of lines, votes as a threshold, time, tokens and cost. The folder
holds aacr.jsonl, aacr.files.jsonl.gz and swebench_lite_reverse.dev.jsonl. Reviewers see neither titles nor comments.

Static reviewers always take part, and the models that the configuration names or the environment offers, unless --static is
given. Without models the result is the same in each run, but for the times. Everything happens in a data folder of its own
that is removed in the end.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.benchReview(cmd, f) },
	}
	cmd.Flags().StringVar(&f.cases, "cases", "", "`folder` with the cases")
	cmd.Flags().StringVar(&f.format, "format", "text", "text or json")
	cmd.Flags().BoolVar(&f.static, "static", false, "static reviewers alone, whatever models are there")
	cmd.Flags().BoolVar(&f.ablation, "ablation", false, "with models: compare kinds of context (none, each source alone, all, all with twice the tokens)")
	_ = cmd.MarkFlagRequired("cases")
	return cmd
}

// variant is one way of making the context of the models.
type variant struct {
	Name string `json:"name"`
	// settings is the repository's configuration, empty for none; factor multiplies the budget.
	settings string
	factor   int
	Report   benchmark.Report `json:"report"`
}

// benchResult is what the command prints as JSON.
type benchResult struct {
	Notes    []string         `json:"notes,omitempty"`
	Report   benchmark.Report `json:"report"`
	Ablation []variant        `json:"ablation,omitempty"`
}

func (a *app) benchReview(cmd *cobra.Command, f benchFlags) error {
	if f.format != "text" && f.format != "json" {
		return fmt.Errorf("--format %q is none of text, json", f.format)
	}
	cases, err := benchmark.Load(f.cases)
	if err != nil {
		return err
	}
	c, err := a.load(cmd)
	if err != nil {
		return err
	}
	if f.static {
		a, c.Models, c.Councils = a.withoutModels(), nil, nil
	}
	out := benchResult{Notes: notes(c)}
	b := bench{app: a, config: c, cases: cases}
	if out.Report, err = b.run(cmd.Context(), variant{factor: 1}); err != nil {
		return err
	}
	switch {
	case !f.ablation:
	case out.Report.Models == 0:
		out.Notes = append(out.Notes, "there is no model, so there is no context to compare")
	default:
		b.cases = slices.DeleteFunc(slices.Clone(cases), func(c benchmark.Case) bool { return c.Set != benchmark.SetPulls }) // only these have files
		for _, v := range variants() {
			if v.Report, err = b.run(cmd.Context(), v); err != nil {
				return err
			}
			out.Ablation = append(out.Ablation, v)
		}
	}
	if f.format == "json" {
		encoder := json.NewEncoder(a.stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(out)
	}
	return a.writeBench(&out)
}

func variants() []variant {
	out := []variant{{Name: "none", settings: "version: 1\ncontext: {enabled: false}\n", factor: 1}}
	for _, source := range review.ContextSources() {
		out = append(out, variant{Name: source, settings: "version: 1\ncontext: {sources: [" + source + "]}\n", factor: 1})
	}
	return append(out, variant{Name: "all", factor: 1}, variant{Name: "all, twice the tokens", factor: 2})
}

// notes says what the numbers cannot mean.
func notes(c config.Config) []string {
	out := []string{
		"most comments began as a model's words and were judged by people; what nobody listed is not thereby wrong, so precision is a lower bound",
		"the data is public: a model may have seen it",
	}
	if slices.ContainsFunc(c.Models, func(m config.Model) bool { return m.Provider == "simulated" }) {
		out = append(out, "some models are simulated: their numbers mean nothing")
	}
	return out
}

// withoutModels is the same program in an environment that offers no model.
func (a *app) withoutModels() *app {
	b := *a
	b.environ = slices.DeleteFunc(slices.Clone(a.environ), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return !slices.Contains([]string{"PATH", "HOME", "TMPDIR", "LANG"}, name)
	})
	return &b
}

func (a *app) writeBench(r *benchResult) error {
	if err := r.Report.Write(a.stdout); err != nil {
		return err
	}
	for i := range r.Ablation {
		v := &r.Ablation[i]
		if _, err := fmt.Fprintf(a.stdout, "\ncontext: %s\n", v.Name); err != nil {
			return err
		}
		if err := v.Report.Write(a.stdout); err != nil {
			return err
		}
	}
	for _, n := range r.Notes {
		if _, err := fmt.Fprintf(a.stdout, "Note: %s.\n", n); err != nil {
			return err
		}
	}
	return nil
}

// bench runs cases on a system inside this process.
type bench struct {
	app    *app
	config config.Config
	cases  []benchmark.Case
}

func (b *bench) run(ctx context.Context, v variant) (report benchmark.Report, err error) {
	folder, err := os.MkdirTemp("", "witan-bench-")
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	c := b.config
	c.Data, c.Database = filepath.Join(folder, "data"), config.Default().Database
	c.Context.Tokens *= v.factor
	s, err := b.app.runInside(ctx, c, "", false)
	if err != nil {
		return report, err
	}
	defer b.app.disconnect(ctx, s)
	seats, err := seats(ctx, s)
	if err != nil {
		return report, err
	}
	runs := make([]benchmark.Run, len(b.cases))
	for i := range b.cases {
		source, err := caseSource(ctx, filepath.Join(folder, "case"), &b.cases[i], v.settings)
		if err != nil {
			return report, fmt.Errorf("case %s: %w", b.cases[i].ID, err)
		}
		if runs[i], err = b.review(ctx, s, source); err != nil {
			return report, fmt.Errorf("case %s: %w", b.cases[i].ID, err)
		}
		b.app.say("%d of %d: %s %s, %d findings, %.1f s", i+1, len(b.cases), b.cases[i].Set, b.cases[i].ID, len(runs[i].Findings), runs[i].Time.Seconds())
	}
	return benchmark.Score(b.cases, runs, func(source string) bool { return slices.Contains(seats, source) }), nil
}

// seats are the names of the default council's members.
func seats(ctx context.Context, s *session) ([]string, error) {
	list, err := councilv1.NewCouncilServiceClient(s.conn).ListCouncils(ctx, &councilv1.ListCouncilsRequest{})
	if err != nil {
		return nil, err
	}
	var out []string
	for _, c := range list.GetCouncils() {
		for _, m := range c.GetSpec().GetMembers() {
			out = append(out, m.GetId())
		}
	}
	return out, nil
}

// caseSource is a repository of two commits where the case has its files, else the bare diff.
func caseSource(ctx context.Context, dir string, c *benchmark.Case, settings string) (*reviewv1.Source, error) {
	if c.Head == nil {
		return &reviewv1.Source{Source: &reviewv1.Source_Diff{Diff: &reviewv1.Material{Content: &reviewv1.Material_Data{Data: []byte(c.Diff)}}}}, nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	base, head := maps.Clone(c.Base), maps.Clone(c.Head)
	if settings != "" {
		base[".witan.yaml"], head[".witan.yaml"] = settings, settings
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	if err := runGit(ctx, dir, "init", "--quiet"); err != nil {
		return nil, err
	}
	for _, tree := range []map[string]string{base, head} {
		if err := commitFiles(ctx, dir, tree); err != nil {
			return nil, err
		}
	}
	return &reviewv1.Source{Source: &reviewv1.Source_GitRange{GitRange: &reviewv1.GitRange{Dir: dir, Base: "HEAD~1", Head: "HEAD"}}}, nil
}

// commitFiles commits exactly these files.
func commitFiles(ctx context.Context, dir string, files map[string]string) error {
	if err := runGit(ctx, dir, "rm", "-r", "--quiet", "--ignore-unmatch", "."); err != nil {
		return err
	}
	for path, text := range files {
		if !filepath.IsLocal(path) {
			return fmt.Errorf("the path %q leads outside", path)
		}
		file := filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return err
		}
	}
	if err := runGit(ctx, dir, "add", "--all", "--force"); err != nil {
		return err
	}
	return runGit(ctx, dir, "commit", "--quiet", "--allow-empty", "--message", "state")
}

func runGit(ctx context.Context, dir string, args ...string) error {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-c", "core.autocrlf=false", "-c", "commit.gpgsign=false", "-c", "core.hooksPath=/dev/null"}, args...)...) //nolint:gosec // fixed words
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_AUTHOR_NAME=bench", "GIT_AUTHOR_EMAIL=bench@localhost",
		"GIT_COMMITTER_NAME=bench", "GIT_COMMITTER_EMAIL=bench@localhost", "GIT_AUTHOR_DATE=2026-01-01T00:00:00Z", "GIT_COMMITTER_DATE=2026-01-01T00:00:00Z",
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git %s: %w: %.500s", args[0], err, out)
	}
	return nil
}

// review runs one case to its end.
func (b *bench) review(ctx context.Context, s *session, source *reviewv1.Source) (run benchmark.Run, err error) {
	client := reviewv1.NewReviewServiceClient(s.conn)
	began := time.Now()
	created, err := client.CreateReview(ctx, &reviewv1.CreateReviewRequest{Review: &reviewv1.Review{Source: source}, RequestId: uuid.NewString()})
	if err != nil {
		return run, err
	}
	job, err := b.app.follow(ctx, s, created.GetJob(), 0, viewer{event: func(*jobsv1.JobEvent) {}})
	if err != nil {
		return run, err
	}
	run.Time = time.Since(began)
	if code, _ := codeOf(outcome(job)); code != exitDone && code != exitPartial {
		return run, outcome(job)
	}
	full, err := client.GetReview(ctx, &reviewv1.GetReviewRequest{Name: created.GetName(), View: reviewv1.Review_FULL})
	if err != nil {
		return run, err
	}
	run.Incomplete, run.Models = !full.GetCoverage().GetComplete(), int(full.GetCoverage().GetCouncil().GetModels())
	run.Input, run.Output = full.GetUsage().GetInputTokens(), full.GetUsage().GetOutputTokens()
	run.CostMicros, run.Currency = full.GetUsage().GetCostMicros(), full.GetUsage().GetCurrencyCode()
	for _, f := range full.GetFindings() {
		l := f.GetLocation()
		run.Findings = append(run.Findings, benchmark.Finding{
			Path: l.GetPath(), Start: int(l.GetStartLine()), End: int(max(l.GetStartLine(), l.GetEndLine())), Old: l.GetSide() == typev1.Side_SIDE_LEFT,
			Sources: f.GetSources(), Confirmed: int(f.GetTally().GetConfirmed()), Published: f.GetOutcome() == councilv1.Finding_PUBLISHED,
		})
	}
	return run, nil
}
