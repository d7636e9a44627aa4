package main

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	jobsv1 "witan.dev/gen/witan/jobs/v1"
)

func (a *app) jobsCommand() *cobra.Command {
	var server string
	cmd := &cobra.Command{
		Use:   "jobs",
		Short: "List, read, cancel and retry jobs",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&server, "server", "", "address of a server (host:port)")
	with := func(run func(ctx context.Context, jobs jobsv1.JobServiceClient, name string) error) func(*cobra.Command, []string) error {
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
			return run(cmd.Context(), jobsv1.NewJobServiceClient(s.conn), name)
		}
	}
	var kind string
	list := &cobra.Command{Use: "list", Short: "List jobs, newest first", Args: cobra.NoArgs, RunE: with(
		func(ctx context.Context, jobs jobsv1.JobServiceClient, _ string) error {
			return a.listJobs(ctx, jobs, kind)
		})}
	list.Flags().StringVar(&kind, "kind", "", "only this kind: review, council or index")
	cmd.AddCommand(
		list,
		&cobra.Command{Use: "get JOB", Short: "Print a job as JSON", Args: cobra.ExactArgs(1), RunE: with(
			func(ctx context.Context, jobs jobsv1.JobServiceClient, name string) error {
				job, err := jobs.GetJob(ctx, &jobsv1.GetJobRequest{Name: name})
				if err != nil {
					return err
				}
				return a.printJSON(job)
			})},
		&cobra.Command{Use: "cancel JOB", Short: "Cancel a job; what it has is kept", Args: cobra.ExactArgs(1), RunE: with(
			func(ctx context.Context, jobs jobsv1.JobServiceClient, name string) error {
				job, err := jobs.CancelJob(ctx, &jobsv1.CancelJobRequest{Name: name})
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(a.stdout, "%s\t%s\n", job.GetName(), job.GetState())
				return err
			})},
		&cobra.Command{Use: "retry JOB", Short: "Run a failed or partial job again; stored answers are reused", Args: cobra.ExactArgs(1), RunE: with(
			func(ctx context.Context, jobs jobsv1.JobServiceClient, name string) error {
				_, err := jobs.RetryJob(ctx, &jobsv1.RetryJobRequest{Name: name})
				return err
			})},
	)
	return cmd
}

func (a *app) listJobs(ctx context.Context, jobs jobsv1.JobServiceClient, kind string) error {
	table := tabwriter.NewWriter(a.stdout, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "JOB\tKIND\tSTATE\tREASON\tSTAGE\tCREATED")
	for token := ""; ; {
		page, err := jobs.ListJobs(ctx, &jobsv1.ListJobsRequest{Kind: kind, PageSize: 200, PageToken: token})
		if err != nil {
			return err
		}
		for _, j := range page.GetJobs() {
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", j.GetName(), j.GetKind(), j.GetState(), j.GetStateReason(),
				j.GetStage(), j.GetCreateTime().AsTime().Local().Format("2006-01-02 15:04:05"))
		}
		if token = page.GetNextPageToken(); token == "" {
			return table.Flush()
		}
	}
}
