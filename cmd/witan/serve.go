package main

import (
	"context"
	"log/slog"
	"os/signal"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/grpclog"

	"witan.dev/internal/config"
)

// stopMargin is added to the drain limit for closing streams, servers and files.
const stopMargin = 10 * time.Second

func (a *app) serveCommand() *cobra.Command {
	var noWorkers bool
	var only []string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve gRPC, REST and SSE, and run jobs",
		Long: `Serve gRPC, REST and SSE, and run jobs. Without a database in the configuration, everything lies in one data folder and
this process is all of Witan. With one, it is a part of a cluster: --services chooses what it serves, and jobs are run by
"witan work" unless it serves everything.

SIGTERM and Ctrl-C stop gracefully; a second signal ends the process at once. Either way what was unfinished goes on, in
another process or at the next start.`,
		Example: "  witan serve\n  witan serve --config cluster.yaml --services gateway,jobs",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r := everything()
			var err error
			if r.services, err = choose("services", only, services()); err != nil {
				return err
			}
			if noWorkers || !r.whole() {
				r.queues = nil
			}
			return a.runUntilStopped(cmd, r, func(ctx context.Context, logger *slog.Logger, c config.Config, s *system) {
				logger.InfoContext(ctx, "serving", "data", where(c), "grpc_addr", s.grpcAddr, "http_addr", s.httpAddr, "webhooks_addr", s.webhooksAddr,
					"services", strings.Join(r.services, ","))
			})
		},
	}
	cmd.Flags().String("grpc-addr", "", "gRPC address (default 127.0.0.1:7400)")
	cmd.Flags().String("http-addr", "", "HTTP address (default 127.0.0.1:7480)")
	cmd.Flags().String("webhooks-addr", "", "address for webhooks alone, beside the HTTP address (default: none)")
	cmd.Flags().BoolVar(&noWorkers, "no-workers", false, "serve only; jobs wait for a process that runs them")
	cmd.Flags().StringSliceVar(&only, "services", nil, "serve only these: "+strings.Join(services(), ", "))
	return cmd
}

// where says where the state lies, without saying how to get in.
func where(c config.Config) string {
	if c.Database.IsZero() {
		return c.Data
	}
	return "postgres"
}

// runUntilStopped starts a process's part, says so, and stops it at the first signal.
func (a *app) runUntilStopped(cmd *cobra.Command, r roles, say func(context.Context, *slog.Logger, config.Config, *system)) error {
	ctx := cmd.Context()
	c, err := a.loadFor(cmd, r.asksGitHub())
	if err != nil {
		return err
	}
	if len(r.services) == 0 {
		c.GRPCAddr = "" // nobody calls a worker
	}
	logger, err := a.logger(c.Log)
	if err != nil {
		return err
	}
	grpclog.SetLoggerV2(grpcLog{logger})
	s, err := startSystem(ctx, systemParams{Config: c, Environ: a.environ, Logger: logger, Roles: r})
	if err != nil {
		return err
	}
	say(ctx, logger, c, s)
	<-a.interrupts
	signal.Reset() // the next signal ends the process at once
	logger.InfoContext(ctx, "stopping")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.Drain+stopMargin)
	defer cancel()
	err = s.stop(ctx)
	if err == nil {
		logger.InfoContext(ctx, "stopped")
	}
	return err
}
