// Package wire turns the domain's reviews and findings into the messages of witan.review.v1. Worker and server share it,
// so that an event, the job's result and the answer of an RPC say the same.
package wire

import (
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	councilv1 "witan.dev/gen/witan/council/v1"
	reviewv1 "witan.dev/gen/witan/review/v1"
	typev1 "witan.dev/gen/witan/type/v1"
	"witan.dev/internal/diff"
	"witan.dev/internal/finding"
	"witan.dev/internal/job"
	"witan.dev/services/review"
)

// ReviewName is the resource name of a review.
func ReviewName(id job.ID) string { return "reviews/" + string(id) }

// JobName is the resource name of a job.
func JobName(id job.ID) string { return "jobs/" + string(id) }

// Review returns the review without files and findings.
func Review(r *review.Review, counts map[review.Bucket]int) *reviewv1.Review {
	out := &reviewv1.Review{
		Name: ReviewName(r.ID), Job: JobName(r.ID), Source: Source(r.Pinned.Source), Subject: r.Pinned.Subject, Base: r.Pinned.Base,
		Head: r.Pinned.Head, MergeBase: r.Pinned.MergeBase, Council: r.Council, FailOn: Severity(r.FailOn),
		Disposition: disposition(r.Disposition), DeclinedReason: r.DeclinedReason, Summary: text(r.Summary), Deliberation: r.Deliberation,
		Index: r.Index, BaseIndex: r.BaseIndex, CreateTime: Time(r.CreatedAt), Labels: r.Labels, Etag: strconv.FormatInt(r.Revision, 10),
		Counts: findingCounts(counts), Trigger: trigger(r.Trigger), TriggerLabel: r.TriggerLabel, Publish: r.Publish, Scope: scope(r.Scope),
	}
	if r.Supersedes != "" {
		out.Supersedes = ReviewName(r.Supersedes)
	}
	if r.Disposition != "" {
		out.Coverage = coverage(&r.Result)
		out.Usage = Usage(r.Usage)
		out.Publication = Publication(r.Publication)
	}
	return out
}

// Files adds every file's row to the coverage.
func Files(out *reviewv1.Review, c finding.Coverage) {
	if out.GetCoverage() == nil {
		return
	}
	out.Coverage.Files = make([]*reviewv1.FileCoverage, 0, len(c.Files))
	for i := range c.Files {
		out.Coverage.Files = append(out.Coverage.Files, fileCoverage(&c.Files[i]))
	}
}

func coverage(r *review.Result) *reviewv1.Coverage {
	out := &reviewv1.Coverage{Complete: r.Coverage.Complete}
	if r.Council.Report != nil {
		report := &councilv1.Coverage{}
		if err := proto.Unmarshal(r.Council.Report, report); err == nil {
			out.Council = report
		}
	}
	if out.GetCouncil() == nil {
		out.Council = &councilv1.Coverage{Models: Number(r.Council.Models)}
	}
	switch {
	case r.Council.Reason != "":
		out.CouncilReason = r.Council.Reason
	case r.Council.PartsPlanned == 0:
		out.CouncilReason = r.Council.Text
	}
	for _, s := range r.Reviewers {
		out.Reviewers = append(out.Reviewers, Reviewer(s))
	}
	for _, note := range r.Notes {
		out.Notes = append(out.Notes, text(note))
	}
	return out
}

// Reviewer returns how far a static reviewer came.
func Reviewer(s review.ReviewerSummary) *reviewv1.ReviewerCoverage {
	return &reviewv1.ReviewerCoverage{
		Name: s.Name, Status: reviewv1.ReviewerCoverage_Status(reviewv1.ReviewerCoverage_Status_value[string(s.Status)]),
		Reason: text(s.Reason), Files: Number(s.Files), Proposals: Number(s.Proposals),
	}
}

func fileCoverage(f *finding.FileCoverage) *reviewv1.FileCoverage {
	out := &reviewv1.FileCoverage{
		Path: diff.DisplayPath(f.Path), OldPath: diff.DisplayPath(f.OldPath), PathBytes: odd(f.Path), OldPathBytes: odd(f.OldPath),
		Change: change(f), Status: reviewv1.FileCoverage_Status(reviewv1.FileCoverage_Status_value[f.Status.String()]),
		Depth: reviewv1.FileCoverage_Depth(reviewv1.FileCoverage_Depth_value[f.Depth]), Reviewers: f.Reviewers,
		LinesCovered: Number(f.LinesCovered), LinesTotal: Number(f.LinesTotal), CarriedFrom: f.CarriedFrom,
	}
	for _, r := range f.Reasons {
		out.Reasons = append(out.Reasons, string(r))
	}
	return out
}

// odd returns the bytes of a path that is not UTF-8, nil for all others.
func odd(path string) []byte {
	if utf8.ValidString(path) {
		return nil
	}
	return []byte(path)
}

func change(f *finding.FileCoverage) reviewv1.FileCoverage_Change {
	switch review.ChangeKind(f.Change) {
	case review.Added:
		return reviewv1.FileCoverage_ADDED
	case review.Modified:
		return reviewv1.FileCoverage_MODIFIED
	case review.Deleted:
		return reviewv1.FileCoverage_DELETED
	case review.Renamed:
		return reviewv1.FileCoverage_RENAMED
	case review.Copied:
		return reviewv1.FileCoverage_COPIED
	case review.TypeChanged:
		return reviewv1.FileCoverage_TYPE_CHANGED
	default:
		return reviewv1.FileCoverage_CHANGE_UNSPECIFIED
	}
}

// Source returns the source as it was asked for; contents stay in the blob store.
func Source(s review.Source) *reviewv1.Source {
	out := source(s)
	if out == nil {
		return nil
	}
	for _, r := range s.Reports {
		out.Reports = append(out.Reports, &reviewv1.Material{Content: &reviewv1.Material_Blob{Blob: r.Blob}, Title: r.Title})
	}
	return out
}

func source(s review.Source) *reviewv1.Source {
	switch s.Kind {
	case review.SourceRange:
		return &reviewv1.Source{Source: &reviewv1.Source_GitRange{GitRange: &reviewv1.GitRange{Dir: s.Dir, Base: s.Base, Head: s.Head}}}
	case review.SourceStaged:
		return localChange(s.Dir, reviewv1.LocalChange_STAGED)
	case review.SourceUncommitted:
		return localChange(s.Dir, reviewv1.LocalChange_UNCOMMITTED)
	case review.SourceDiff:
		return &reviewv1.Source{Source: &reviewv1.Source_Diff{Diff: &reviewv1.Material{Content: &reviewv1.Material_Blob{Blob: s.Blob}, Title: s.Title}}}
	case review.SourcePull:
		p := s.Pull
		return &reviewv1.Source{Source: &reviewv1.Source_PullRequest{PullRequest: &reviewv1.PullRequest{
			Host: p.Host, Owner: p.Owner, Repo: p.Name, Number: p.Number, RepositoryId: p.ID, InstallationId: p.Installation,
		}}}
	default:
		return nil
	}
}

func localChange(dir string, mode reviewv1.LocalChange_Mode) *reviewv1.Source {
	return &reviewv1.Source{Source: &reviewv1.Source_LocalChange{LocalChange: &reviewv1.LocalChange{Dir: dir, Mode: mode}}}
}

func trigger(t review.Trigger) reviewv1.Review_Trigger {
	return reviewv1.Review_Trigger(reviewv1.Review_Trigger_value[string(t)])
}

// TriggerFrom reads a trigger.
func TriggerFrom(t reviewv1.Review_Trigger) review.Trigger {
	if t == reviewv1.Review_TRIGGER_UNSPECIFIED {
		return review.TriggerCaller
	}
	return review.Trigger(t.String())
}

func scope(s review.Scope) reviewv1.Review_Scope {
	return reviewv1.Review_Scope(reviewv1.Review_Scope_value[string(s)])
}

// ScopeFrom reads a scope.
func ScopeFrom(s reviewv1.Review_Scope) review.Scope {
	if s == reviewv1.Review_SCOPE_UNSPECIFIED {
		return review.ScopeDefault
	}
	return review.Scope(s.String())
}

func disposition(d review.Disposition) reviewv1.Review_Disposition {
	return reviewv1.Review_Disposition(reviewv1.Review_Disposition_value[string(d)])
}

func findingCounts(counts map[review.Bucket]int) *reviewv1.FindingCounts {
	if counts == nil {
		return nil
	}
	out := &reviewv1.FindingCounts{}
	for b, n := range counts {
		switch b.Outcome {
		case finding.Held:
			out.Held += Number(n)
		case finding.Rejected:
			out.Rejected += Number(n)
		case finding.Published, finding.OutcomeUnspecified:
			addPublished(out, b.Severity, Number(n))
		}
	}
	return out
}

func addPublished(out *reviewv1.FindingCounts, s finding.Severity, n int32) {
	switch s {
	case finding.SeverityCritical:
		out.Critical += n
	case finding.SeverityHigh:
		out.High += n
	case finding.SeverityMedium:
		out.Medium += n
	case finding.SeverityLow, finding.SeverityUnspecified:
		out.Low += n
	}
}

// Usage returns what model calls took; nil when there was none.
func Usage(u job.Usage) *typev1.Usage {
	out := &typev1.Usage{
		InputTokens: u.InputTokens, OutputTokens: u.OutputTokens, CachedTokens: u.CachedTokens, ReasoningTokens: u.ReasoningTokens,
		CurrencyCode: u.Currency,
	}
	if u.CostMicros != nil {
		cost := *u.CostMicros
		out.CostMicros = &cost
	}
	if proto.Size(out) == 0 {
		return nil
	}
	return out
}

// Time returns the message of a time, nil for the zero one.
func Time(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// Number brings a count or line into a message.
func Number(n int) int32 { return int32(min(max(n, 0), math.MaxInt32)) }

// Estimate returns what a council is expected to take; nil where nobody knows.
func Estimate(e *review.Estimate) *councilv1.Estimate {
	if e == nil {
		return nil
	}
	out := &councilv1.Estimate{Calls: guess(e.Calls), Tokens: guess(e.Tokens), CurrencyCode: e.Currency, Basis: councilv1.Estimate_DEFAULT}
	if e.CostMicros != nil {
		out.CostMicros = guess(*e.CostMicros)
	}
	return out
}

func guess(r review.Range) *councilv1.EstimateRange {
	return &councilv1.EstimateRange{Low: r.Low, Expected: r.Expected, High: r.High}
}
