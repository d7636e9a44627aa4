package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"witan.dev/client"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
)

func (a *app) jobsCommand() *cobra.Command {
	var server string
	cmd := &cobra.Command{
		Use:   "jobs",
		Short: "List, read, cancel, retry and delete jobs",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&server, "server", "", "address of a server (host:port)")
	// with runs on a connection; of the arguments, the first names a job.
	with := func(run func(ctx context.Context, c *client.Client, name string) error) func(*cobra.Command, []string) error {
		return func(cmd *cobra.Command, args []string) error {
			s, err := a.connectOnly(cmd.Context(), cmd, server)
			if err != nil {
				return err
			}
			defer a.disconnect(cmd.Context(), s)
			var name string
			if len(args) > 0 {
				name = jobName(args[0])
			}
			return run(cmd.Context(), a.client(s), name)
		}
	}
	cmd.AddCommand(
		a.jobsListCommand(&server),
		&cobra.Command{Use: "get JOB", Short: "Print a job as JSON", Args: cobra.ExactArgs(1), RunE: with(
			func(ctx context.Context, c *client.Client, name string) error {
				job, err := c.Get(ctx, name)
				if err != nil {
					return err
				}
				return a.printJSON(job)
			})},
		&cobra.Command{
			Use: "cancel JOB", Short: "Cancel a job and those that it started; what it has is kept", Args: cobra.ExactArgs(1),
			Long: `Cancel a job and those that it started. Calls under way are broken off, what was answered so far is kept, and a job
that has ended is left as it is. Prints the job and its state.`,
			RunE: with(func(ctx context.Context, c *client.Client, name string) error {
				return a.printState(c.Cancel(ctx, name))
			}),
		},
		&cobra.Command{
			Use: "retry JOB", Short: "Run a failed, cancelled or partial job again; stored answers are reused", Args: cobra.ExactArgs(1),
			Long: `Run a failed, cancelled or partial job again, as its next attempt. Answers that were stored are used again and not paid
for twice; the log goes on where it ended. Prints the job and its state; follow it with: witan attach JOB`,
			RunE: with(func(ctx context.Context, c *client.Client, name string) error {
				return a.printState(c.Retry(ctx, name))
			}),
		},
		&cobra.Command{
			Use: "delete JOB", Short: "Remove a finished job with its result and its log", Args: cobra.ExactArgs(1),
			Long: `Remove a finished job with what it computed, its log and its stored material. A job that runs must be cancelled first.
Nothing brings it back.`,
			RunE: with(func(ctx context.Context, c *client.Client, name string) error { return c.Delete(ctx, name) }),
		},
	)
	return cmd
}

func (a *app) jobsListCommand(server *string) *cobra.Command {
	var kind string
	var states []string
	list := &cobra.Command{
		Use: "list", Short: "List jobs, newest first", Args: cobra.NoArgs,
		Example: "  witan jobs list --kind review --state running,queued",
		RunE: func(cmd *cobra.Command, _ []string) error {
			wanted, err := parseStates(states)
			if err != nil {
				return err
			}
			s, err := a.connectOnly(cmd.Context(), cmd, *server)
			if err != nil {
				return err
			}
			defer a.disconnect(cmd.Context(), s)
			return a.listJobs(cmd.Context(), s, &jobsv1.ListJobsRequest{Kind: kind, States: wanted, PageSize: 200})
		},
	}
	list.Flags().StringVar(&kind, "kind", "", "only this kind: review, council, index or delivery")
	list.Flags().StringSliceVar(&states, "state", nil, "only these states: "+strings.ToLower(strings.Join(stateNames(), ", ")))
	return list
}

// stateNames are the states that a job can be in.
func stateNames() []string {
	var names []string
	for number := int32(1); jobsv1.Job_State_name[number] != ""; number++ {
		names = append(names, jobsv1.Job_State_name[number])
	}
	return names
}

func parseStates(names []string) ([]jobsv1.Job_State, error) {
	var states []jobsv1.Job_State
	for _, name := range names {
		number, ok := jobsv1.Job_State_value[strings.ToUpper(name)]
		if !ok || number == 0 {
			return nil, fmt.Errorf("--state %q is none of %s", name, strings.ToLower(strings.Join(stateNames(), ", ")))
		}
		states = append(states, jobsv1.Job_State(number))
	}
	return states, nil
}

// printState prints what became of a job.
func (a *app) printState(job *jobsv1.Job, err error) error {
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "%s\t%s\n", job.GetName(), job.GetState())
	return err
}

func (a *app) listJobs(ctx context.Context, s *session, req *jobsv1.ListJobsRequest) error {
	about := newAbouts(s.conn)
	table := tabwriter.NewWriter(a.stdout, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "JOB\tKIND\tSTATE\tREASON\tSTAGE\tCREATED\tABOUT")
	for j, err := range a.client(s).List(ctx, req) {
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", j.GetName(), j.GetKind(), j.GetState(), j.GetStateReason(),
			j.GetStage(), j.GetCreateTime().AsTime().Local().Format("2006-01-02 15:04:05"), about.of(ctx, j))
	}
	return table.Flush()
}
