package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	councilv1 "witan.dev/gen/witan/council/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
	retrievalv1 "witan.dev/gen/witan/retrieval/v1"
	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/apierr"
)

// progressPrinter tells a person what a job does: a line for each event worth one, on standard error. The chairman's
// text goes to standard output as it comes, where the caller asks for it.
type progressPrinter struct {
	err, out io.Writer
	streams  bool
	text     strings.Builder
	attempt  int32
}

func (a *app) progressPrinter() *progressPrinter {
	return &progressPrinter{err: a.stderr, out: a.stdout}
}

func (p *progressPrinter) event(e *jobsv1.JobEvent) {
	if delta := e.GetCouncil().GetSynthesisDelta(); delta != nil {
		p.stream(delta)
		return
	}
	if line := describe(e); line != "" {
		if p.midLine() {
			_, _ = fmt.Fprintln(p.out)
		}
		_, _ = fmt.Fprintln(p.err, "  "+line)
	}
}

// council tells what the deliberation of a review does. Its job's own states say nothing that the stages do not.
func (p *progressPrinter) council(e *jobsv1.JobEvent) {
	if line := describeCouncil(e.GetCouncil()); line != "" {
		_, _ = fmt.Fprintln(p.err, "    "+line)
	}
}

// stream writes what is new of the chairman's text. A later attempt voids the earlier text, and says so.
func (p *progressPrinter) stream(d *councilv1.SynthesisDelta) {
	if d.GetAttempt() > p.attempt {
		if p.text.Len() > 0 && p.streams {
			_, _ = fmt.Fprintln(p.out, "\n[the chairman starts again]")
		}
		p.attempt = d.GetAttempt()
		p.text.Reset()
	}
	p.text.WriteString(d.GetText())
	if p.streams {
		_, _ = io.WriteString(p.out, d.GetText())
	}
}

// streamed says whether text stands on standard output already, and ends its line.
func (p *progressPrinter) streamed(text string) bool {
	if !p.streams || p.text.String() != text {
		return false
	}
	if p.midLine() {
		_, _ = fmt.Fprintln(p.out)
	}
	return true
}

func (p *progressPrinter) midLine() bool {
	return p.streams && p.text.Len() > 0 && !strings.HasSuffix(p.text.String(), "\n")
}

func describe(e *jobsv1.JobEvent) string {
	switch event := e.GetEvent().(type) {
	case *jobsv1.JobEvent_StateChanged:
		return describeState(event.StateChanged)
	case *jobsv1.JobEvent_Council:
		return describeCouncil(event.Council)
	case *jobsv1.JobEvent_Review:
		return describeReview(event.Review)
	case *jobsv1.JobEvent_Index:
		return describeIndex(event.Index)
	}
	return ""
}

func describeState(s *jobsv1.StateChanged) string {
	line := strings.ToLower(s.GetState().String())
	if s.GetStateReason() != "" {
		line += " (" + s.GetStateReason() + ")"
	}
	return line
}

func describeCouncil(e *councilv1.CouncilEvent) string {
	switch event := e.GetEvent().(type) {
	case *councilv1.CouncilEvent_Planned:
		return fmt.Sprintf("council: %s, %s", count(len(event.Planned.GetMembers()), "member"), strings.ToLower(event.Planned.GetMode().String()))
	case *councilv1.CouncilEvent_StageStarted:
		return event.StageStarted.GetStage() + ": " + strings.Join(event.StageStarted.GetSubjects(), ", ")
	case *councilv1.CouncilEvent_MemberAnswered:
		return event.MemberAnswered.GetAnswer().GetMember() + " answered"
	case *councilv1.CouncilEvent_MemberProposed:
		return event.MemberProposed.GetMember() + " proposed " + count(len(event.MemberProposed.GetProposals()), "finding")
	case *councilv1.CouncilEvent_MemberFailed:
		return describeFailure(event.MemberFailed)
	case *councilv1.CouncilEvent_BallotCast:
		return event.BallotCast.GetBallot().GetReviewer() + " cast a ballot"
	case *councilv1.CouncilEvent_BallotRejected:
		return event.BallotRejected.GetReviewer() + " cast no usable ballot: " + event.BallotRejected.GetReason()
	case *councilv1.CouncilEvent_VotesCast:
		return event.VotesCast.GetReviewer() + " voted on " + count(len(event.VotesCast.GetVotes()), "finding")
	case *councilv1.CouncilEvent_SynthesisStarted:
		return "the chairman (" + event.SynthesisStarted.GetChairman() + ") concludes"
	case *councilv1.CouncilEvent_SynthesisFailed:
		return "the chairman (" + event.SynthesisFailed.GetChairman() + ") failed: " + event.SynthesisFailed.GetMessage()
	}
	return ""
}

func describeFailure(f *councilv1.MemberFailed) string {
	line := fmt.Sprintf("%s failed in %s: %s %s", f.GetMember(), f.GetStage(), f.GetClass(), f.GetMessage())
	if f.GetWillRetry() {
		line += ", trying again"
	}
	return line
}

func describeReview(e *reviewv1.ReviewEvent) string {
	switch event := e.GetEvent().(type) {
	case *reviewv1.ReviewEvent_Resolved:
		return fmt.Sprintf("reviewing %s … %s", short(event.Resolved.GetMergeBase()), short(event.Resolved.GetHead()))
	case *reviewv1.ReviewEvent_Declined:
		return "declined: " + event.Declined.GetReason()
	case *reviewv1.ReviewEvent_Fetched:
		return fmt.Sprintf("%s, +%d -%d lines", count(int(event.Fetched.GetFiles()), "file"), event.Fetched.GetLinesAdded(), event.Fetched.GetLinesDeleted())
	case *reviewv1.ReviewEvent_Planned:
		return count(int(event.Planned.GetParts()), "part") + " for the council"
	case *reviewv1.ReviewEvent_ReviewerFinished:
		r := event.ReviewerFinished.GetReviewer()
		return strings.TrimSpace(fmt.Sprintf("%s: %s, %s %s", r.GetName(), count(int(r.GetProposals()), "proposal"), lower(r.GetStatus().String()), r.GetReason()))
	case *reviewv1.ReviewEvent_DeliberationStarted:
		return "the council deliberates: " + event.DeliberationStarted.GetJob()
	case *reviewv1.ReviewEvent_Waiting:
		return describeWaiting(event.Waiting)
	}
	return ""
}

func describeWaiting(w *reviewv1.Waiting) string {
	why := lower(w.GetReason())
	switch w.GetReason() {
	case "FORGE_LIMIT":
		why = "the forge's rate limit is reached"
	case string(apierr.ReasonForgeUnavailable):
		why = "the forge does not answer"
	}
	return fmt.Sprintf("%s waits, %s: next try at %s", w.GetStage(), why, w.GetUntilTime().AsTime().Local().Format(time.TimeOnly))
}

func describeIndex(e *retrievalv1.IndexEvent) string {
	switch event := e.GetEvent().(type) {
	case *retrievalv1.IndexEvent_Listed:
		return fmt.Sprintf("%d files, %d of them new", event.Listed.GetFiles(), event.Listed.GetNewFiles())
	case *retrievalv1.IndexEvent_Parsed:
		return fmt.Sprintf("parsed %d of %d", event.Parsed.GetDone(), event.Parsed.GetTotal())
	case *retrievalv1.IndexEvent_GraphBuilt:
		return fmt.Sprintf("%d definitions, %d references", event.GraphBuilt.GetDefinitions(), event.GraphBuilt.GetReferences())
	case *retrievalv1.IndexEvent_Activated:
		return "the index is ready"
	}
	return ""
}

// count is a number with what is counted.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// lower turns a name in UPPER_SNAKE into words.
func lower(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", " ")) }

// short is how people name a commit.
func short(id string) string {
	if len(id) > 12 {
		return id[:12]
	}
	return id
}
