package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	councilv1 "witan.dev/gen/witan/council/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
	parserv1 "witan.dev/gen/witan/parser/v1"
	"witan.dev/internal/config"
	"witan.dev/internal/datadir"
	"witan.dev/internal/git"
	"witan.dev/internal/job"
	"witan.dev/internal/llm"
	"witan.dev/internal/llm/openai"
)

const endpointTimeout = 5 * time.Second

// checkup collects what doctor finds.
type checkup struct {
	a        *app
	problems int
}

func (c *checkup) ok(subject, format string, args ...any) { c.line("ok", subject, format, args...) }

func (c *checkup) note(subject, format string, args ...any) { c.line("--", subject, format, args...) }

// bad reports a problem; the text says how to mend it.
func (c *checkup) bad(subject, format string, args ...any) {
	c.problems++
	c.line("!!", subject, format, args...)
}

func (c *checkup) line(mark, subject, format string, args ...any) {
	text := strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "\n                ")
	_, _ = fmt.Fprintf(c.a.stdout, "%s  %-12s%s\n", mark, subject, text)
}

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "What is configured, what is reachable, what is wrong and how to mend it",
		Long:  "Look at configuration, git, models, and the data folder with its council and jobs, or the database, services and workers of a cluster. Lines begin with ok, -- (worth knowing) or !! (wrong, with how to mend it). Exit code 1 when anything is wrong.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c := &checkup{a: a}
			c.examine(cmd.Context(), cmd)
			if c.problems > 0 {
				return exit(exitFindings, errors.New(counted(c.problems, "problem", "problems")))
			}
			return nil
		},
	}
}

func (c *checkup) examine(ctx context.Context, cmd *cobra.Command) {
	c.ok("witan", "%s on %s/%s, %s", version(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	conf, err := c.a.load(cmd)
	if err != nil {
		c.bad("config", "%v", err)
		return
	}
	if f := cmd.Flags().Lookup("config"); f != nil && f.Value.String() != "" {
		c.ok("config", "%s", f.Value)
	} else {
		c.note("config", "none named (--config or WITAN_CONFIG), defaults and environment are used")
	}
	c.git(ctx)
	c.models(ctx, conf)
	c.github(ctx, conf.GitHub)
	if conf.Database.IsZero() && conf.Qdrant != "" {
		c.qdrant(ctx, conf)
	}
	if !conf.Database.IsZero() {
		c.cluster(ctx, conf)
		return
	}
	c.system(ctx, cmd, conf)
}

func (c *checkup) git(ctx context.Context) {
	g, err := git.New(git.Params{})
	if err != nil {
		c.bad("git", "%v", err)
		return
	}
	v, err := g.Version(ctx)
	if err != nil {
		c.bad("git", "%v", err)
		return
	}
	c.ok("git", "%s", v)
}

// models asks each endpoint for its models: reachable, and the key is accepted.
func (c *checkup) models(ctx context.Context, conf config.Config) {
	adapter := openai.NewAdapter()
	defer adapter.Close()
	if len(conf.Models) == 0 {
		for _, found := range discover(ctx, c.a.environ, adapter).Found {
			if len(found.Models) == 0 {
				c.note("models", "%s: %s", found.Source, found.Detail)
				continue
			}
			c.ok("models", "%s: %s", found.Source, found.Detail)
		}
		return
	}
	for _, m := range conf.Models {
		if m.Provider == "simulated" {
			c.note("models", "%s is simulated: its answers come from no model", m.Name)
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, endpointTimeout)
		names, err := adapter.List(ctx, m.BaseURL, m.APIKey)
		cancel()
		switch {
		case err != nil:
			c.bad("models", "%s: %v", m.Name, err)
		case len(names) > 0 && !contains(names, m.Model):
			c.note("models", "%s: the endpoint answers, but does not list %q", m.Name, m.Model)
		default:
			c.ok("models", "%s: %s answers", m.Name, m.Model)
		}
	}
}

func contains(names []string, name string) bool {
	return slices.Contains(names, name)
}

func discover(ctx context.Context, environ []string, adapter *openai.Adapter) llm.Discovery {
	return llm.Discover(ctx, func(name string) string { return config.Getenv(environ, name) }, adapter.List)
}

// system looks at the data folder, and asks the Witan on it, or one started for this, what it would do.
func (c *checkup) system(ctx context.Context, cmd *cobra.Command, conf config.Config) {
	if err := os.MkdirAll(conf.Data, 0o700); err != nil {
		c.bad("data", "%v: name another folder with --data", err)
		return
	}
	switch holder, err := datadir.FindHolder(conf.Data); {
	case err == nil:
		c.ok("data", "%s, served by process %d at %s", conf.Data, holder.PID, holder.Address)
	case errors.Is(err, datadir.ErrNoHolder):
		c.ok("data", "%s, nobody serves it now", conf.Data)
	default:
		c.bad("data", "%s: %v", conf.Data, err)
		return
	}
	s, err := c.a.connectOnly(ctx, cmd, "")
	if err != nil {
		c.bad("system", "%s", explain(err))
		return
	}
	defer c.a.disconnect(ctx, s)
	c.council(ctx, s.conn)
	c.languages(ctx, s.conn)
	c.jobs(ctx, s.conn)
	c.deliveries(ctx, s.conn, conf)
}

func (c *checkup) council(ctx context.Context, conn grpc.ClientConnInterface) {
	councils, err := councilv1.NewCouncilServiceClient(conn).ListCouncils(ctx, &councilv1.ListCouncilsRequest{})
	if err != nil {
		c.bad("council", "%s", explain(err))
		return
	}
	models, err := councilv1.NewCouncilServiceClient(conn).ListModels(ctx, &councilv1.ListModelsRequest{})
	if err != nil {
		c.bad("council", "%s", explain(err))
		return
	}
	if len(models.GetModels()) == 0 {
		c.note("council", "none: no model is configured or found. Reviews use the static reviewers only; questions are refused.\n"+
			"Set OPENAI_API_KEY, start Ollama, or name models in the configuration.")
		return
	}
	for _, council := range councils.GetCouncils() {
		var seats []string
		for _, m := range council.GetSpec().GetMembers() {
			seats = append(seats, m.GetId()+" = "+m.GetModel())
		}
		c.ok("council", "%s: %s; chairman %s", council.GetName(), strings.Join(seats, ", "), council.GetSpec().GetChairman().GetModel())
	}
}

func (c *checkup) languages(ctx context.Context, conn grpc.ClientConnInterface) {
	list, err := parserv1.NewParserServiceClient(conn).ListLanguages(ctx, &parserv1.ListLanguagesRequest{})
	if err != nil {
		c.bad("languages", "%s", explain(err))
		return
	}
	var names []string
	for _, l := range list.GetLanguages() {
		names = append(names, l.GetDisplayName())
	}
	c.ok("languages", "%s", strings.Join(names, ", "))
}

func (c *checkup) jobs(ctx context.Context, conn grpc.ClientConnInterface) {
	client := jobsv1.NewJobServiceClient(conn)
	unfinished, err := client.ListJobs(ctx, &jobsv1.ListJobsRequest{PageSize: 1000, States: []jobsv1.Job_State{
		jobsv1.Job_QUEUED, jobsv1.Job_RUNNING, jobsv1.Job_CANCELLING,
	}})
	if err != nil {
		c.bad("jobs", "%s", explain(err))
		return
	}
	ended, err := client.ListJobs(ctx, &jobsv1.ListJobsRequest{PageSize: 1000, States: []jobsv1.Job_State{jobsv1.Job_FAILED, jobsv1.Job_PARTIALLY_SUCCEEDED}})
	if err != nil {
		c.bad("jobs", "%s", explain(err))
		return
	}
	dead, failed := 0, 0
	for _, j := range ended.GetJobs() {
		if j.GetState() == jobsv1.Job_FAILED {
			failed++
		}
		if job.IsDeadLetter(j.GetStateReason()) {
			dead++
		}
	}
	c.ok("jobs", "%d unfinished, %d failed", len(unfinished.GetJobs()), failed)
	if dead > 0 {
		c.bad("jobs", "%d were given up, after ten recoveries without progress or because the forge or the models did not answer for too long; see `witan jobs list --state FAILED` and `--state PARTIALLY_SUCCEEDED`, then `witan jobs retry`", dead)
	}
}
