package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"witan.dev/internal/config"
	"witan.dev/internal/database/postgres"
	"witan.dev/internal/job/engine/dbos"
)

const maxConcurrency = 256

func (a *app) workCommand() *cobra.Command {
	var only []string
	var concurrency int
	cmd := &cobra.Command{
		Use:   "work",
		Short: "Run jobs as a worker process of a cluster",
		Long: `Run the jobs of some queues, as one of any number of worker processes. The configuration names the database that they
share, and the services that the jobs call.

A worker that is killed, frozen or cut off loses its jobs to another within seconds; what it had paid for is kept. SIGTERM
hands its jobs over: calls under way get the drain limit, then another worker goes on. A second signal ends it at once.`,
		Example: "  witan work --config cluster.yaml --queues council --concurrency 16",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r := roles{concurrency: concurrency}
			var err error
			if r.queues, err = choose("queues", only, queues()); err != nil {
				return err
			}
			if cmd.Flags().Changed("concurrency") && (concurrency < 1 || concurrency > maxConcurrency) {
				return fmt.Errorf("--concurrency %d is not between 1 and %d", concurrency, maxConcurrency)
			}
			return a.runUntilStopped(cmd, r, func(ctx context.Context, logger *slog.Logger, _ config.Config, _ *system) {
				logger.InfoContext(ctx, "working", "queues", strings.Join(r.queues, ","))
			})
		},
	}
	cmd.Flags().StringSliceVar(&only, "queues", nil, "run only jobs of these queues: "+strings.Join(queues(), ", "))
	cmd.Flags().IntVar(&concurrency, "concurrency", 0, "jobs of each queue at once in this process (default: workers.* of the configuration)")
	return cmd
}

func (a *app) migrateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "migrate",
		Short: "Bring the schema of a cluster's database up to date",
		Long: `Bring the schema of the cluster's database up to date: run it before the processes of a new version start. Those of the
version before work on beside it. Several at once do no harm, and neither does a second run. An embedded data folder needs
none: it is brought up to date when it is opened.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			c, err := a.loadFor(cmd, false)
			if err != nil {
				return err
			}
			if c.Database.IsZero() {
				return fmt.Errorf("configuration:\ndatabase: there is none; name a Postgres by database_file or WITAN_DATABASE")
			}
			version, err := postgres.Migrate(ctx, c.Database)
			if err != nil {
				return err
			}
			if err := dbos.MigratePostgres(ctx, c.Database); err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.stdout, "the schema is at version %d\n", version)
			return err
		},
	}
}
