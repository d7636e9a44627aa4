package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"text/tabwriter"

	"github.com/spf13/cobra"

	councilv1 "witan.dev/gen/witan/council/v1"
	"witan.dev/internal/config"
	"witan.dev/internal/llm/simulated"
	"witan.dev/internal/llm/simulator"
)

func (a *app) modelsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "models",
		Short: "List the configured models, or simulate some",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.connectOnly(cmd.Context(), cmd, "")
			if err != nil {
				return err
			}
			defer a.disconnect(cmd.Context(), s)
			list, err := councilv1.NewCouncilServiceClient(s.conn).ListModels(cmd.Context(), &councilv1.ListModelsRequest{})
			if err != nil {
				return err
			}
			table := tabwriter.NewWriter(a.stdout, 0, 8, 2, ' ', 0)
			_, _ = fmt.Fprintln(table, "NAME\tPROVIDER\tMODEL\tCONTEXT\tSCHEMA\tKNOWN FROM")
			for _, m := range list.GetModels() {
				_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%t\t%s\n", m.GetName(), m.GetProvider(), m.GetModel(), m.GetContextTokens(), m.GetJsonSchema(), m.GetCapabilitySource())
			}
			return table.Flush()
		},
	}
	cmd.AddCommand(a.simulateCommand())
	return cmd
}

func (a *app) simulateCommand() *cobra.Command {
	var addr, script, callLog string
	var messages bool
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Serve simulated models over OpenAI's wire format",
		Long: `Serve simulated models over OpenAI's wire format, for tests and demonstrations. Their answers say that they are simulated.
A script sets latency, failures, cut streams and the answers themselves; the call log gets one line of JSON a call. What a script may say stands in docs/simulator.md.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p := simulator.Params{Addr: addr, LogMessages: messages}
			logger, err := a.logger(config.Default().Log)
			if err != nil {
				return err
			}
			p.Logger = logger
			if script != "" {
				if p.Script, err = simulated.ReadScript(script); err != nil {
					return err
				}
			}
			if callLog != "" {
				f, err := os.OpenFile(callLog, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600) //nolint:gosec // the user names the file
				if err != nil {
					return err
				}
				defer func() { _ = f.Close() }()
				p.CallLog = io.Writer(f)
			}
			server := simulator.New(p)
			if err := server.Start(cmd.Context()); err != nil {
				return err
			}
			a.say("simulated models at %s", server.URL())
			<-a.interrupts
			signal.Reset() // the next signal ends the process at once
			return server.Stop(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&addr, "addr", "127.0.0.1:7495", "address to listen on (host:port)")
	cmd.Flags().StringVar(&script, "script", "", "script `file` (YAML)")
	cmd.Flags().StringVar(&callLog, "log", "", "append the call log to this `file`")
	cmd.Flags().BoolVar(&messages, "log-messages", false, "the call log holds what was sent to the models, too")
	return cmd
}
