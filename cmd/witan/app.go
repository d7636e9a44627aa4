package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"witan.dev/internal/apierr"
	"witan.dev/internal/apierr/rpcstatus"
	"witan.dev/internal/config"
	"witan.dev/internal/database"
	"witan.dev/internal/datadir"
)

// Exit codes, as scripts rely on them.
const (
	exitDone        = 0  // finished, nothing at or above the threshold
	exitFindings    = 1  // finished, with findings at or above the threshold
	exitUsage       = 2  // the command was not understood, or its input is not usable
	exitFailed      = 3  // the job failed
	exitCancelled   = 4  // the job was cancelled
	exitPartial     = 5  // some files or members were not covered
	exitUnreachable = 69 // no server at the address
)

// app is one invocation of the program: everything it may read and write. Nothing else is global.
type app struct {
	environ        []string
	stdin          io.Reader
	stdout, stderr io.Writer
	interrupts     <-chan os.Signal
	terminal       bool // standard output is a terminal: text may be coloured
	progress       bool // standard error is a terminal: progress may redraw a line
}

// newApp returns an invocation that writes to a terminal only what shows itself, and to pipes and files every byte.
func newApp(environ []string, in io.Reader, out, err io.Writer, interrupts <-chan os.Signal, outTerminal, errTerminal bool) *app {
	if outTerminal {
		out = shownWriter{out}
	}
	if errTerminal {
		err = shownWriter{err}
	}
	return &app{environ: environ, stdin: in, stdout: out, stderr: err, interrupts: interrupts, terminal: outTerminal, progress: errTerminal}
}

// exitError carries an exit code. A nil err has been told to the user already.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func exit(code int, err error) error { return &exitError{code: code, err: err} }

// run runs one command and returns the exit code. An error is told once, on standard error, with its reason.
func (a *app) run(ctx context.Context, args []string) int {
	root := a.rootCommand()
	root.SetArgs(args)
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	err := root.ExecuteContext(ctx)
	code, told := codeOf(err)
	if !told {
		_, _ = fmt.Fprintf(a.stderr, "witan: %s\n", explain(err))
	}
	return code
}

func codeOf(err error) (code int, told bool) {
	if err == nil {
		return exitDone, true
	}
	if e, ok := errors.AsType[*exitError](err); ok {
		return e.code, e.err == nil
	}
	if errors.Is(err, database.ErrAway) { // that of this process
		return exitUnreachable, false
	}
	switch status.Code(err) {
	case codes.Unavailable:
		return exitUnreachable, false
	case codes.Internal, codes.DataLoss, codes.Aborted, codes.DeadlineExceeded:
		return exitFailed, false
	default:
		return exitUsage, false
	}
}

// explain renders an error that has a reason with it and its details, and any other error as it is.
func explain(err error) string {
	if _, ok := errors.AsType[*apierr.Error](err); ok { // one of this process itself
		err = rpcstatus.From(err).Err()
	}
	s, ok := status.FromError(err)
	if !ok {
		return err.Error()
	}
	lines := []string{s.Message()}
	for _, d := range s.Details() {
		lines = append(lines, detail(d)...)
	}
	return strings.Join(lines, "\n  ")
}

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "witan",
		Short:         "A council of AI reviewers, run as durable jobs",
		Long:          "Witan asks a council of models, or lets it review code. Runs are jobs: they can be left and rejoined, and what was paid for is kept.",
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version(),
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	flags := root.PersistentFlags()
	flags.String("config", config.Getenv(a.environ, "WITAN_CONFIG"), "configuration file")
	flags.String("data", "", "data folder (default: the user's data directory)")
	root.AddCommand(
		a.serveCommand(), a.workCommand(), a.migrateCommand(), a.reviewCommand(), a.askCommand(), a.attachCommand(), a.jobsCommand(), a.deliveriesCommand(),
		a.indexCommand(),
		a.searchCommand(), a.symbolsCommand(), a.doctorCommand(), a.modelsCommand(), a.tokenCommand(), a.benchCommand(),
	)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w; see `%s --help`", err, cmd.CommandPath())
	})
	return root
}

// load reads the configuration for a command and fills in the data folder.
func (a *app) load(cmd *cobra.Command) (config.Config, error) { return a.loadFor(cmd, true) }

// loadFor does the same for a command that may ask nothing of GitHub, and then needs no key of it.
func (a *app) loadFor(cmd *cobra.Command, asksGitHub bool) (config.Config, error) {
	file, err := cmd.Flags().GetString("config")
	if err != nil {
		return config.Config{}, err
	}
	c, err := config.Load(config.Source{File: file, Environ: a.environ, Flags: cmd.Flags(), NoGitHub: !asksGitHub})
	if err != nil {
		return config.Config{}, err
	}
	if c.Data == "" {
		c.Data, err = datadir.Default(a.getenv)
	}
	return c, err
}

func (a *app) getenv(name string) string { return config.Getenv(a.environ, name) }

// logger writes the process's own log to standard error.
func (a *app) logger(c config.Log) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		return nil, err
	}
	options := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(a.stderr, options)), nil
	}
	return slog.New(slog.NewTextHandler(a.stderr, options)), nil
}

// say tells the user something beside the data: standard error, one line.
func (a *app) say(format string, args ...any) {
	_, _ = fmt.Fprintf(a.stderr, format+"\n", args...)
}
