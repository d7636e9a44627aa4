package main

import (
	"context"
	"os/signal"
	"time"

	"github.com/spf13/cobra"
)

// stopMargin is added to the drain limit for closing streams, servers and files.
const stopMargin = 10 * time.Second

func (a *app) serveCommand() *cobra.Command {
	var noWorkers bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve gRPC, REST and SSE, and run jobs",
		Long: `Serve gRPC, REST and SSE on one data folder, and run jobs. Jobs that an earlier process left unfinished go on.

SIGTERM and Ctrl-C stop gracefully; a second signal ends the process at once. Either way the next start goes on with what
was unfinished.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.load(cmd)
			if err != nil {
				return err
			}
			logger, err := a.logger(c.Log)
			if err != nil {
				return err
			}
			s, err := startSystem(cmd.Context(), systemParams{Config: c, Environ: a.environ, Logger: logger, NoWorkers: noWorkers})
			if err != nil {
				return err
			}
			logger.InfoContext(cmd.Context(), "serving", "data", c.Data, "grpc_addr", s.grpcAddr, "http_addr", s.httpAddr)
			<-a.interrupts
			signal.Reset() // the next signal ends the process at once
			logger.InfoContext(cmd.Context(), "stopping")
			ctx, cancel := context.WithTimeout(context.WithoutCancel(cmd.Context()), c.Drain+stopMargin)
			defer cancel()
			return s.stop(ctx)
		},
	}
	cmd.Flags().String("grpc-addr", "", "gRPC address (default 127.0.0.1:7400)")
	cmd.Flags().String("http-addr", "", "HTTP address (default 127.0.0.1:7480)")
	cmd.Flags().BoolVar(&noWorkers, "no-workers", false, "serve only; jobs wait for a process that runs them")
	return cmd
}
