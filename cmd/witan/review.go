package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	councilv1 "witan.dev/gen/witan/council/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
	reviewv1 "witan.dev/gen/witan/review/v1"
	typev1 "witan.dev/gen/witan/type/v1"
	"witan.dev/internal/git"
)

const (
	maxDiff     = 50 << 20 // what a review accepts
	inlineDiff  = 2 << 20  // above it the diff is uploaded
	uploadChunk = 1 << 20
	// maxReports is how many reports a review accepts; inlineReports is what they may add to a request all together.
	maxReports, inlineReports = 32, 512 << 10
)

type reviewFlags struct {
	repo, base, head, diff      string
	staged, uncommitted, detach bool
	format, failOn, server      string
	council                     string
	pull                        string
	publish                     bool
	reports                     []string
}

func (a *app) reviewCommand() *cobra.Command {
	var f reviewFlags
	cmd := &cobra.Command{
		Use:   "review",
		Short: "Review a change",
		Long: `Review a change: a range of commits, what is staged, what is not committed, a diff, or a pull request.

Without any of --base, --head, --staged, --uncommitted and --diff, a dirty working tree is reviewed as it is, and a clean
one from the branch's upstream (else the default branch, else the commit before) to HEAD.

--pr reviews a pull request at GitHub with the credentials that the configuration names. It only reads, and prints the result
like that of any other review; with --publish it is shown there as well, as comments, a walkthrough and a check run. While
GitHub does not answer or asks for a pause, the review waits: for reviews.patience in all, which is two hours unless the
configuration, or WITAN_REVIEWS_PATIENCE=2m, says otherwise.

Exit codes: 0 nothing at or above --fail-on, 1 findings at or above it, 2 usage, 3 the job failed, 4 cancelled,
5 reviewed in part or declined, 69 server not reachable, 130 left with Ctrl-C.`,
		Example: "  witan review --base main\n  witan review --staged --fail-on medium\n  git diff | witan review --diff - --format sarif\n  witan review --pr octocat/hello-world#42 --publish\n  witan review --base main --report golangci.sarif --report eslint.json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.review(cmd, f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.repo, "repo", ".", "repository")
	flags.StringVar(&f.base, "base", "", "compare with this revision (from the merge base)")
	flags.StringVar(&f.head, "head", "", "review up to this revision (default HEAD)")
	flags.BoolVar(&f.staged, "staged", false, "review what is staged")
	flags.BoolVar(&f.uncommitted, "uncommitted", false, "review the working tree, untracked files included")
	flags.StringVar(&f.diff, "diff", "", "review a diff from a `file`, or from standard input (-)")
	flags.StringVar(&f.pull, "pr", "", "review a pull request: `OWNER/REPO#N`, or its address")
	flags.BoolVar(&f.publish, "publish", false, "show the result at the pull request")
	flags.StringVar(&f.format, "format", "text", "text, json, sarif, rdjson or markdown")
	flags.StringVar(&f.failOn, "fail-on", "high", "low, medium, high or critical: findings from here on make exit code 1")
	flags.StringVar(&f.council, "council", "", "council to ask (default: the default council)")
	flags.StringArrayVar(&f.reports, "report", nil, "report of another tool about the change (SARIF, rdjson, rdjsonl or checkstyle), which joins the vote; its paths are absolute or start at the root of the repository; repeatable")
	flags.BoolVar(&f.detach, "detach", false, "start the review and leave; needs a running server")
	flags.StringVar(&f.server, "server", "", "address of a server (host:port); the change is uploaded")
	return cmd
}

// oneSource refuses flags that name more than one change.
func oneSource(cmd *cobra.Command) error {
	set := func(names ...string) (out []string) {
		for _, name := range names {
			if cmd.Flags().Changed(name) {
				out = append(out, "--"+name)
			}
		}
		return out
	}
	changes := set("staged", "uncommitted", "diff", "pr")
	if ends := set("base", "head"); len(ends) > 0 {
		changes = append(changes, ends[0])
	}
	if len(changes) > 1 {
		return fmt.Errorf("%s: name one change, not several", strings.Join(changes, " and "))
	}
	if both := set("repo", "pr"); len(both) > 1 {
		return errors.New("--repo and --pr: a pull request is read at GitHub, not from a repository here")
	}
	return nil
}

func (a *app) review(cmd *cobra.Command, f reviewFlags) error {
	ctx := cmd.Context()
	if err := oneSource(cmd); err != nil {
		return err
	}
	failOn, err := severity(f.failOn)
	if err != nil {
		return err
	}
	if !strings.Contains(" text json sarif rdjson markdown ", " "+f.format+" ") {
		return fmt.Errorf("--format %q is none of text, json, sarif, rdjson, markdown", f.format)
	}
	if f.publish && f.pull == "" {
		return errors.New("--publish is for pull requests: name one by --pr")
	}
	var pull *reviewv1.Source
	if f.pull != "" {
		if pull, err = pullSource(f.pull); err != nil {
			return err
		}
	}
	s, err := a.connect(ctx, cmd, f.server)
	if err != nil {
		return err
	}
	defer a.disconnect(ctx, s)
	if f.detach && s.inside {
		return errors.New("--detach needs a running server: start `witan serve`, or leave --detach out")
	}
	reports, err := readReports(f.reports)
	if err != nil {
		return err
	}
	source := pull
	if source == nil {
		if source, err = a.source(ctx, s, f); err != nil {
			return err
		}
	}
	if source.Reports, err = reportMaterials(ctx, s, reports); err != nil {
		return err
	}
	review := &reviewv1.Review{Source: source, FailOn: failOn, Publish: f.publish}
	if f.council != "" {
		review.Council = "councils/" + strings.TrimPrefix(f.council, "councils/")
	}
	client := reviewv1.NewReviewServiceClient(s.conn)
	created, err := client.CreateReview(ctx, &reviewv1.CreateReviewRequest{Review: review, RequestId: uuid.NewString()})
	if err != nil {
		return err
	}
	if f.detach {
		return a.detached(created.GetJob(), s)
	}
	a.say("%s  (follow it from elsewhere: witan attach %s%s)", created.GetName(), created.GetJob(), s.attach)
	printer := a.progressPrinter()
	job, err := a.follow(ctx, s, created.GetJob(), 0, viewer{event: printer.event, council: printer.council})
	if err != nil {
		return err
	}
	return a.concludeReview(ctx, client, job, f.format, failOn)
}

// concludeReview prints a finished review, unless what was asked for is the log of its job, and says by its exit code what it
// found.
func (a *app) concludeReview(ctx context.Context, client reviewv1.ReviewServiceClient, job *jobsv1.Job, format string, failOn typev1.Severity) error {
	ended := outcome(job)
	if code, _ := codeOf(ended); code != exitDone && code != exitPartial {
		return ended
	}
	review, err := client.GetReview(ctx, &reviewv1.GetReviewRequest{Name: job.GetResource(), View: reviewv1.Review_FULL})
	if err != nil {
		return err
	}
	if format != "jsonl" {
		if err := a.printReview(ctx, client, review, format); err != nil {
			return err
		}
	}
	if line := shownAt(review); line != "" {
		a.say("%s", line)
	}
	return verdict(review, failOn, ended)
}

// verdict is the exit code of a review that is done; ended is what its job says. A declined one found nothing because it did
// not look.
func verdict(review *reviewv1.Review, failOn typev1.Severity, ended error) error {
	if review.GetDisposition() == reviewv1.Review_DECLINED {
		return exit(exitPartial, fmt.Errorf("not reviewed: %s", review.GetDeclinedReason()))
	}
	for _, finding := range review.GetFindings() {
		if finding.GetOutcome() == councilv1.Finding_PUBLISHED && finding.GetSeverity() >= failOn {
			return exit(exitFindings, nil)
		}
	}
	return ended
}

// shownAt says where a review that was to be shown at its pull request stands there, or why it does not.
func shownAt(review *reviewv1.Review) string {
	p := review.GetPublication()
	why := p.GetReason()
	switch why {
	case "FORBIDDEN":
		why = "the token may not write at the pull request (FORBIDDEN)"
	case "LOCKED":
		why = "the conversation is locked (LOCKED)"
	case "NO_CHECK_RUN": // with a token always: GitHub lets Apps alone write them
		why = "no check run, which needs an App that may write checks (NO_CHECK_RUN)"
	}
	switch {
	case !review.GetPublish() || p.GetState() == reviewv1.Publication_STATE_UNSPECIFIED:
		return ""
	case p.GetUrl() == "" && why == "" && p.GetState() != reviewv1.Publication_FAILED:
		return "" // nothing of it was to be written
	case p.GetUrl() == "":
		return "not shown: " + why
	case p.GetState() == reviewv1.Publication_FAILED: // what may be written without comments
		return "shown in the check run " + p.GetUrl() + " only: " + why
	case p.GetReason() == "NO_CHECK_RUN":
		return "shown at " + p.GetUrl() + "; " + why
	case p.GetReason() == "FORBIDDEN":
		return "shown at " + p.GetUrl() + ", but not whole: the token may not write all of it (FORBIDDEN)"
	case p.GetReason() == "LOCKED":
		return "shown at " + p.GetUrl() + ", but not whole: " + why
	case p.GetReason() != "":
		return "shown at " + p.GetUrl() + ", but not every finding has a comment of its own (" + p.GetReason() + ")"
	}
	return "shown at " + p.GetUrl()
}

// printReview writes the export, which is whole; what GetReview answers may be cut to the size of a message.
func (a *app) printReview(ctx context.Context, client reviewv1.ReviewServiceClient, review *reviewv1.Review, format string) error {
	stream, err := client.ExportReview(ctx, &reviewv1.ExportReviewRequest{Name: review.GetName(), Format: format})
	if err != nil {
		return err
	}
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := a.stdout.Write(part.GetData()); err != nil {
			return err
		}
	}
}

func severity(name string) (typev1.Severity, error) {
	v, ok := typev1.Severity_value["SEVERITY_"+strings.ToUpper(name)]
	if !ok || v == 0 {
		return 0, fmt.Errorf("--fail-on %q is none of low, medium, high, critical", name)
	}
	return typev1.Severity(v), nil
}

// source turns the flags into what is reviewed. A server elsewhere gets the diff, everyone here the repository's place.
func (a *app) source(ctx context.Context, s *session, f reviewFlags) (*reviewv1.Source, error) {
	if f.diff != "" {
		return a.diffSource(ctx, s, f.diff)
	}
	dir, err := filepath.Abs(f.repo)
	if err != nil {
		return nil, err
	}
	if !f.staged && !f.uncommitted && f.base == "" && f.head == "" {
		repo, err := openRepository(ctx, dir)
		if err != nil {
			return nil, err
		}
		if f.uncommitted, err = repo.Dirty(ctx); err != nil {
			return nil, err
		}
	}
	if s.remote {
		return uploadedChange(ctx, s, dir, f)
	}
	switch {
	case f.staged:
		return localChange(dir, reviewv1.LocalChange_STAGED), nil
	case f.uncommitted:
		return localChange(dir, reviewv1.LocalChange_UNCOMMITTED), nil
	default:
		return &reviewv1.Source{Source: &reviewv1.Source_GitRange{GitRange: &reviewv1.GitRange{Dir: dir, Base: f.base, Head: f.head}}}, nil
	}
}

// uploadedChange computes the diff here and sends it: the server sees no file of this machine.
func uploadedChange(ctx context.Context, s *session, dir string, f reviewFlags) (*reviewv1.Source, error) {
	repo, err := openRepository(ctx, dir)
	if err != nil {
		return nil, err
	}
	change, err := readChange(ctx, repo, f)
	if err != nil {
		return nil, err
	}
	return diffMaterial(ctx, s, change.Patch, filepath.Base(dir))
}

func readChange(ctx context.Context, repo *git.Repository, f reviewFlags) (*git.Change, error) {
	if f.staged || f.uncommitted {
		objects, err := os.MkdirTemp("", "witan-objects-")
		if err != nil {
			return nil, err
		}
		defer func() { _ = os.RemoveAll(objects) }()
		freeze := repo.FreezeWorkTree
		if f.staged {
			freeze = repo.FreezeIndex
		}
		head, err := repo.HeadOrEmpty(ctx)
		if err != nil {
			return nil, err
		}
		frozen, err := freeze(ctx, objects)
		if err != nil {
			return nil, err
		}
		return repo.WithObjects(frozen.Objects).Change(ctx, head, frozen.Tree)
	}
	head, err := repo.Resolve(ctx, cmp.Or(f.head, "HEAD"))
	if err != nil {
		return nil, err
	}
	base, err := repo.DefaultBase(ctx, head)
	if f.base != "" {
		base, err = repo.BaseAt(ctx, f.base, head)
	}
	if err != nil {
		return nil, err
	}
	return repo.Change(ctx, base.Start, head)
}

func localChange(dir string, mode reviewv1.LocalChange_Mode) *reviewv1.Source {
	return &reviewv1.Source{Source: &reviewv1.Source_LocalChange{LocalChange: &reviewv1.LocalChange{Dir: dir, Mode: mode}}}
}

func (a *app) diffSource(ctx context.Context, s *session, file string) (*reviewv1.Source, error) {
	in, title := a.stdin, "standard input"
	if file != "-" {
		opened, err := os.Open(file) //nolint:gosec // the user names the file
		if err != nil {
			return nil, err
		}
		defer func() { _ = opened.Close() }()
		in, title = opened, filepath.Base(file)
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxDiff+1))
	if err != nil {
		return nil, fmt.Errorf("read the diff: %w", err)
	}
	if len(raw) > maxDiff {
		return nil, fmt.Errorf("the diff is larger than %d MiB", maxDiff>>20)
	}
	return diffMaterial(ctx, s, raw, title)
}

// report is a file that another tool wrote.
type report struct {
	title   string
	content []byte
}

// readReports reads the files before anything is sent.
func readReports(files []string) ([]report, error) {
	if len(files) > maxReports {
		return nil, fmt.Errorf("--report: %d files, at most %d", len(files), maxReports)
	}
	out := make([]report, 0, len(files))
	for _, file := range files {
		opened, err := os.Open(file) //nolint:gosec // the user names the file
		if err != nil {
			return nil, fmt.Errorf("--report: %w", err)
		}
		content, err := io.ReadAll(io.LimitReader(opened, maxDiff+1))
		if err := errors.Join(err, opened.Close()); err != nil {
			return nil, fmt.Errorf("--report: %w", err)
		}
		if len(content) > maxDiff {
			return nil, fmt.Errorf("--report: %s is larger than %d MiB", file, maxDiff>>20)
		}
		out = append(out, report{filepath.Base(file), content})
	}
	return out, nil
}

// reportMaterials sends small reports in the request and uploads the others before.
func reportMaterials(ctx context.Context, s *session, reports []report) ([]*reviewv1.Material, error) {
	out := make([]*reviewv1.Material, 0, len(reports))
	room := inlineReports
	for _, r := range reports {
		if room -= len(r.content); room >= 0 {
			out = append(out, &reviewv1.Material{Content: &reviewv1.Material_Data{Data: r.content}, Title: r.title})
			continue
		}
		room += len(r.content)
		blob, err := upload(ctx, s, r.content)
		if err != nil {
			return nil, err
		}
		out = append(out, &reviewv1.Material{Content: &reviewv1.Material_Blob{Blob: blob}, Title: r.title})
	}
	return out, nil
}

// diffMaterial sends a small diff in the request and uploads a large one before.
func diffMaterial(ctx context.Context, s *session, raw []byte, title string) (*reviewv1.Source, error) {
	material := &reviewv1.Material{Content: &reviewv1.Material_Data{Data: raw}, Title: title}
	if len(raw) > inlineDiff {
		blob, err := upload(ctx, s, raw)
		if err != nil {
			return nil, err
		}
		material.Content = &reviewv1.Material_Blob{Blob: blob}
	}
	return &reviewv1.Source{Source: &reviewv1.Source_Diff{Diff: material}}, nil
}

func upload(ctx context.Context, s *session, raw []byte) (string, error) {
	stream, err := reviewv1.NewReviewServiceClient(s.conn).UploadMaterial(ctx)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(raw)
	header := &reviewv1.UploadHeader{Size: int64(len(raw)), Sha256: hex.EncodeToString(sum[:])}
	err = stream.Send(&reviewv1.UploadMaterialRequest{Part: &reviewv1.UploadMaterialRequest_Header{Header: header}})
	for rest := raw; err == nil && len(rest) > 0; {
		n := min(len(rest), uploadChunk)
		err = stream.Send(&reviewv1.UploadMaterialRequest{Part: &reviewv1.UploadMaterialRequest_Chunk{Chunk: rest[:n]}})
		rest = rest[n:]
	}
	if err != nil && !errors.Is(err, io.EOF) { // io.EOF: the server's answer says why
		return "", err
	}
	answer, err := stream.CloseAndRecv()
	if err != nil {
		return "", err
	}
	return answer.GetBlob().GetId(), nil
}
