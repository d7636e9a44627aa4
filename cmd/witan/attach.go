package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	councilv1 "witan.dev/gen/witan/council/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
	reviewv1 "witan.dev/gen/witan/review/v1"
)

func (a *app) attachCommand() *cobra.Command {
	var format, server string
	var after int64
	cmd := &cobra.Command{
		Use:   "attach JOB",
		Short: "Follow a job, from anywhere, as often as wanted",
		Long: `Follow a job to its end and print its result. Nothing that was missed is missing: the log is read from its beginning,
or from --after-seq on. Where no server runs on the data folder, the job goes on inside this command.

With --format jsonl, standard output is the log: one event a line, as the REST interface gives it. The result of a review is
also printed as json, sarif, rdjson or markdown. The exit code is that of the command that started the job, in every format.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(attachFormats(), format) {
				return fmt.Errorf("--format %q is none of %s", format, strings.Join(attachFormats(), ", "))
			}
			s, err := a.connect(cmd.Context(), cmd, server)
			if err != nil {
				return err
			}
			defer a.disconnect(cmd.Context(), s)
			name := jobName(args[0])
			err = a.attach(cmd.Context(), s, name, after, format)
			if err != nil && !isJobName(name) {
				a.say("%q is no job's name: those are jobs/ and 26 lower-case letters and digits, as `witan jobs list` shows them", args[0])
			}
			return err
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "text or jsonl; of a review also json, sarif, rdjson, markdown")
	cmd.Flags().Int64Var(&after, "after-seq", 0, "begin behind this event")
	cmd.Flags().StringVar(&server, "server", "", "address of a server (host:port)")
	return cmd
}

func attachFormats() []string {
	return []string{"text", "jsonl", "json", "sarif", "rdjson", "markdown"}
}

// jobName accepts a job by its name, its ID or the name of its resource.
func jobName(arg string) string {
	if i := strings.LastIndexByte(arg, '/'); i >= 0 {
		arg = arg[i+1:]
	}
	return "jobs/" + arg
}

// isJobName says whether a name has the form of those that jobs are given.
func isJobName(name string) bool {
	return regexp.MustCompile(`^jobs/[a-z2-7]{26}$`).MatchString(name)
}

func (a *app) attach(ctx context.Context, s *session, name string, after int64, format string) error {
	printer := a.progressPrinter()
	v := viewer{event: printer.event, council: printer.council}
	var failed error
	if format == "jsonl" {
		v = viewer{event: func(e *jobsv1.JobEvent) {
			if err := a.printEvent(e); err != nil && failed == nil {
				failed = err
			}
		}}
	}
	job, err := a.follow(ctx, s, name, after, v)
	if err != nil {
		return err
	}
	switch {
	case failed != nil:
		return failed
	case strings.HasPrefix(job.GetResource(), "reviews/"):
		return a.concludeAttachedReview(ctx, s, job, format)
	case format == "jsonl":
		return outcome(job)
	case format != "text":
		return fmt.Errorf("--format %s is for reviews: %s computes %s", format, name, job.GetResource())
	case strings.HasPrefix(job.GetResource(), "deliberations/"):
		return a.concludeDeliberation(ctx, councilv1.NewCouncilServiceClient(s.conn), job, "text", printer)
	}
	return outcome(job)
}

// concludeAttachedReview judges a review by the threshold that it was started with.
func (a *app) concludeAttachedReview(ctx context.Context, s *session, job *jobsv1.Job, format string) error {
	client := reviewv1.NewReviewServiceClient(s.conn)
	review, err := client.GetReview(ctx, &reviewv1.GetReviewRequest{Name: job.GetResource()})
	if err != nil {
		return err
	}
	return a.concludeReview(ctx, client, job, format, review.GetFailOn())
}

func (a *app) printEvent(e *jobsv1.JobEvent) error {
	raw, err := protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(e) // as the gateway writes it
	if err != nil {
		return err
	}
	var line bytes.Buffer
	if err := json.Compact(&line, raw); err != nil {
		return err
	}
	line.WriteByte('\n')
	_, err = a.stdout.Write(line.Bytes())
	return err
}

// disconnect ends a session; what runs inside this process is stopped so that the next start goes on with it.
func (a *app) disconnect(ctx context.Context, s *session) {
	if err := s.close(context.WithoutCancel(ctx)); err != nil {
		a.say("witan: %v", err)
	}
}
