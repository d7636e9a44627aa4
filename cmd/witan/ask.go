package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	councilv1 "witan.dev/gen/witan/council/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
)

type askFlags struct {
	council, conversation, format, server string
	detach                                bool
}

func (a *app) askCommand() *cobra.Command {
	var f askFlags
	cmd := &cobra.Command{
		Use:   `ask "QUESTION"`,
		Short: "Ask the council",
		Long: `Ask the council: each member answers blind, each ranks the others' answers without knowing whose they are, and the
chairman writes the answer from the ranked field.

Exit codes: 0 answered, 2 usage, 3 the job failed, 4 cancelled, 5 answered with members missing, 69 server not reachable,
130 left with Ctrl-C.`,
		Example: `  witan ask "Is a monorepo worth it for three people?"` + "\n" + `  witan ask --conversation new "And for thirty?"`,
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.ask(cmd, args[0], f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.council, "council", "", "council to ask (default: the default council)")
	flags.StringVar(&f.conversation, "conversation", "", "go on with a conversation, or begin one with \"new\"")
	flags.StringVar(&f.format, "format", "text", "text or json")
	flags.BoolVar(&f.detach, "detach", false, "ask and leave; needs a running server")
	flags.StringVar(&f.server, "server", "", "address of a server (host:port)")
	return cmd
}

func (a *app) ask(cmd *cobra.Command, question string, f askFlags) error {
	ctx := cmd.Context()
	if f.format != "text" && f.format != "json" {
		return fmt.Errorf("--format %q is neither text nor json", f.format)
	}
	if !utf8.ValidString(question) {
		return errors.New("the question is not UTF-8")
	}
	s, err := a.connect(ctx, cmd, f.server)
	if err != nil {
		return err
	}
	defer a.disconnect(ctx, s)
	if f.detach && s.inside {
		return errors.New("--detach needs a running server: start `witan serve`, or leave --detach out")
	}
	client := councilv1.NewCouncilServiceClient(s.conn)
	conversation, err := a.conversation(ctx, client, f)
	if err != nil {
		return err
	}
	d := &councilv1.Deliberation{
		Conversation: conversation,
		Task:         &councilv1.Deliberation_Question{Question: &councilv1.Question{Text: question}},
	}
	if f.council != "" {
		d.Council = "councils/" + strings.TrimPrefix(f.council, "councils/")
	}
	created, err := client.CreateDeliberation(ctx, &councilv1.CreateDeliberationRequest{Deliberation: d, RequestId: uuid.NewString()})
	if err != nil {
		return err
	}
	if f.detach {
		return a.detached(created.GetJob(), s)
	}
	a.say("%s  (follow it from elsewhere: witan attach %s%s)", created.GetName(), created.GetJob(), s.attach)
	printer := a.progressPrinter()
	printer.streams = a.terminal && f.format == "text"
	job, err := a.follow(ctx, s, created.GetJob(), 0, viewer{event: printer.event})
	if err != nil {
		return err
	}
	return a.concludeDeliberation(ctx, client, job, f.format, printer)
}

func (a *app) conversation(ctx context.Context, client councilv1.CouncilServiceClient, f askFlags) (string, error) {
	switch f.conversation {
	case "":
		return "", nil
	case "new":
		c, err := client.CreateConversation(ctx, &councilv1.CreateConversationRequest{Conversation: &councilv1.Conversation{}, RequestId: uuid.NewString()})
		if err == nil {
			a.say("%s", c.GetName())
		}
		return c.GetName(), err
	default:
		return "conversations/" + strings.TrimPrefix(f.conversation, "conversations/"), nil
	}
}

// concludeDeliberation prints a finished deliberation. Where the chairman's text was streamed already, it is not
// repeated.
func (a *app) concludeDeliberation(ctx context.Context, client councilv1.CouncilServiceClient, job *jobsv1.Job, format string, printer *progressPrinter) error {
	ended := outcome(job)
	if code, _ := codeOf(ended); code != exitDone && code != exitPartial {
		return ended
	}
	d, err := client.GetDeliberation(ctx, &councilv1.GetDeliberationRequest{Name: job.GetResource(), View: councilv1.Deliberation_FULL})
	if err != nil {
		return err
	}
	if format == "json" {
		return errors.Join(a.printJSON(d), ended)
	}
	if printer == nil || !printer.streamed(d.GetResult().GetAnswer()) {
		_, _ = fmt.Fprintln(a.stdout, strings.TrimRight(d.GetResult().GetAnswer(), "\n"))
	}
	a.printField(d.GetResult())
	return ended
}

// seatOf names a member, and its model where that has another name.
func seatOf(member, model string) string {
	if model == "" || model == member {
		return member
	}
	return member + " (" + model + ")"
}

// printField shows how the answer came about: the ranked field, the ballots, who was missing.
func (a *app) printField(r *councilv1.DeliberationResult) {
	out := func(format string, args ...any) { _, _ = fmt.Fprintf(a.stdout, format+"\n", args...) }
	out("\n---\norigin: %s%s", r.GetOrigin(), chairman(r))
	members := map[string]string{}
	for _, answer := range r.GetAnswers() {
		members[answer.GetId()] = seatOf(answer.GetMember(), answer.GetModel())
	}
	for _, ranked := range r.GetAggregate().GetRanked() {
		place := "unranked"
		if ranked.GetRank() > 0 {
			place = fmt.Sprintf("%d.", ranked.GetRank())
		}
		out("  %-8s %s, first on %d of %d ballots", place, members[ranked.GetAnswer()], ranked.GetFirstPlaces(), ranked.GetBallots())
	}
	if r.GetAggregate().GetTieAtTop() {
		out("  the top is tied: the order there means nothing")
	}
	for _, b := range r.GetBallots() {
		var order []string
		for _, id := range b.GetRanking() {
			order = append(order, members[id])
		}
		out("ballot of %s: %s", b.GetReviewer(), strings.Join(order, " > "))
	}
	for _, stage := range r.GetCoverage().GetStages() {
		for _, m := range stage.GetMissing() {
			out("missing in %s: %s (%s)", stage.GetStage(), m.GetSubject(), m.GetClass())
		}
	}
}

func chairman(r *councilv1.DeliberationResult) string {
	if r.GetChairman() == "" {
		return ""
	}
	return ", written by " + r.GetChairman()
}

func (a *app) printJSON(m proto.Message) error {
	raw, err := protojson.Marshal(m)
	if err != nil {
		return err
	}
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		return err
	}
	encoder := json.NewEncoder(a.stdout)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// detached tells where to find a job that goes on elsewhere: its name is the data.
func (a *app) detached(job string, s *session) error {
	_, err := fmt.Fprintln(a.stdout, job)
	a.say("follow it with: witan attach %s%s", job, s.attach)
	return err
}
