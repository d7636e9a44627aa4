package review

import (
	"fmt"
	"slices"

	"witan.dev/internal/finding"
)

// ReviewerOutcome is what one static reviewer did.
type ReviewerOutcome struct {
	Name string `json:"name"`
	// Failed holds the reason in words when the reviewer could say nothing at all.
	Failed string           `json:"failed,omitempty"`
	Looked []Path           `json:"looked,omitempty"` // paths; nil with All
	All    bool             `json:"all,omitempty"`    // it looked at every text file
	Limits ByPath[[]Reason] `json:"limits,omitempty"`
	// LeftOut are the text files that its own rules leave out by their path.
	LeftOut []Path `json:"left_out,omitempty"`
	// Planned are the paths that it would have looked at; only used when it failed.
	Planned   []Path `json:"planned,omitempty"`
	Whole     bool   `json:"whole,omitempty"` // it judged the change and read no file
	Proposals int    `json:"proposals"`
}

func (o *ReviewerOutcome) lookedAt(f *File) bool {
	if o.Failed != "" {
		return false
	}
	return o.All && !f.Metadata() || slices.Contains(o.Looked, Path(f.Path))
}

// Summary counts what the reviewer did on the change.
func (o *ReviewerOutcome) Summary(c *Change) ReviewerSummary {
	s := ReviewerSummary{Name: o.Name, Status: ReviewerDone, Reason: o.Failed, Proposals: o.Proposals, Whole: o.Whole}
	for i := range c.Files {
		if o.lookedAt(&c.Files[i]) {
			s.Files++
		}
	}
	if o.Whole {
		s.Files = len(c.Files)
	}
	switch {
	case o.Failed != "":
		s.Status = ReviewerFailed
	case len(o.Limits) > 0:
		s.Status, s.Reason = ReviewerPartial, fmt.Sprintf("limited in %d files", len(o.Limits))
	case s.Files == 0:
		s.Status = ReviewerNotApplicable
	}
	return s
}

// CouncilOutcome is what the council did with the material, by file.
type CouncilOutcome struct {
	Coverage CouncilCoverage `json:"coverage"`
	// Limits are the reasons for which the members did not read a file in full.
	Limits ByPath[[]Reason] `json:"limits,omitempty"`
	// Read says which files at least one member read.
	Read ByPath[bool] `json:"read,omitempty"`
	// Unjudged says that not everybody voted on what was found: who reads the same files again may find it confirmed.
	Unjudged bool `json:"unjudged,omitempty"`
	// Carried names the earlier review (its resource name) whose reading of a file still holds.
	Carried ByPath[string] `json:"carried,omitempty"`
}

// Cover makes the coverage of a review: one row for each changed path, in the order of the change. The review is
// complete when no row is PARTIAL or SKIPPED for another reason than policy, and the council's part is complete.
func Cover(c *Change, tree bool, reviewers []ReviewerOutcome, council CouncilOutcome) finding.Coverage {
	cov := finding.Coverage{
		Files:    make([]finding.FileCoverage, 0, len(c.Files)),
		Complete: council.Coverage.Complete,
		Models:   council.Coverage.Models,
		Council:  council.Coverage.Text,
	}
	for i := range c.Files {
		row := coverFile(&c.Files[i], tree, reviewers, council)
		cov.Complete = cov.Complete && !row.Incomplete()
		cov.Files = append(cov.Files, row)
	}
	return cov
}

// The depths of a row.
const (
	depthContent  = "CONTENT"
	depthMetadata = "METADATA"
)

func coverFile(f *File, tree bool, reviewers []ReviewerOutcome, council CouncilOutcome) finding.FileCoverage {
	row := finding.FileCoverage{
		Path: f.Path, Change: string(f.Change), Status: finding.Reviewed, Depth: depthContent, LinesTotal: f.Lines(),
	}
	if f.OldPath != f.Path {
		row.OldPath = f.OldPath
	}
	for i := range reviewers {
		if reviewers[i].lookedAt(f) {
			row.Reviewers = append(row.Reviewers, reviewers[i].Name)
		}
	}
	if council.Read[Path(f.Path)] {
		row.Reviewers = append(row.Reviewers, "council")
	}
	row.CarriedFrom = council.Carried[Path(f.Path)]
	switch {
	case f.Policy != "":
		row.Status, row.Reasons = finding.Skipped, []Reason{f.Policy}
	case unreadable(f) != "":
		row.Status, row.Reasons = finding.Skipped, []Reason{unreadable(f)}
	case f.Metadata():
		row.Depth, row.LinesCovered = depthMetadata, row.LinesTotal
	default:
		row.Reasons = limits(f, tree, reviewers, council)
		switch {
		case len(row.Reasons) > 0:
			row.Status = finding.Partial
			row.LinesCovered = linesRead(row.LinesTotal, row.Reasons)
		case len(row.Reviewers) == 0 && leftOut(f, reviewers): // nobody read it
			row.Status, row.Reasons = finding.Skipped, []Reason{finding.ReasonScannerAllowList}
		default:
			row.LinesCovered = row.LinesTotal
			if leftOut(f, reviewers) {
				row.Reasons = []Reason{finding.ReasonScannerAllowList}
			}
		}
	}
	return row
}

// leftOut says whether a reviewer's own rules leave the file out.
func leftOut(f *File, reviewers []ReviewerOutcome) bool {
	for i := range reviewers {
		if slices.Contains(reviewers[i].LeftOut, Path(f.Path)) {
			return true
		}
	}
	return false
}

// unreadable returns the reason for which nothing of the file could be read, or "".
func unreadable(f *File) Reason {
	for _, r := range f.Limits {
		if r == finding.ReasonTooLarge || r == finding.ReasonNotUTF8 || r == finding.ReasonFetchFailed {
			return r
		}
	}
	return ""
}

// limits collects the reasons for which a text file was not reviewed in full, each once.
func limits(f *File, tree bool, reviewers []ReviewerOutcome, council CouncilOutcome) []Reason {
	out := slices.Clone(f.Limits)
	add := func(rs ...Reason) {
		for _, r := range rs {
			if !slices.Contains(out, r) {
				out = append(out, r)
			}
		}
	}
	if !tree && f.Change != Added {
		add(finding.ReasonNoTree)
	}
	for i := range reviewers {
		o := &reviewers[i]
		switch {
		case o.Failed == "":
			add(o.Limits[Path(f.Path)]...)
		case o.All || slices.Contains(o.Planned, Path(f.Path)):
			add(finding.ReasonReviewerFailed)
		}
	}
	add(council.Limits[Path(f.Path)]...)
	return out
}

// linesRead is how many of the changed lines were read by everything that was planned. Where only what lies around them
// is missing, that is all of them.
func linesRead(total int, reasons []Reason) int {
	for _, r := range reasons {
		if r != finding.ReasonNoTree && r != finding.ReasonParseErrors {
			return 0
		}
	}
	return total
}

// FirstReason is the first reason, in the order of the files, for which the review is not complete: the state reason of
// its job. It is empty when the review is complete.
func FirstReason(cov finding.Coverage, council CouncilCoverage) string {
	if cov.Complete {
		return ""
	}
	for i := range cov.Files {
		if !cov.Files[i].Incomplete() {
			continue
		}
		for _, r := range cov.Files[i].Reasons {
			if !r.Policy() {
				return string(r)
			}
		}
	}
	if council.Reason != "" {
		return council.Reason
	}
	return string(finding.ReasonCouncilUnavailable)
}

// CouncilText is the council's line in summaries.
func CouncilText(c CouncilCoverage) string {
	if c.Models == 0 && c.PartsPlanned == 0 {
		return "0 models"
	}
	noun := "models"
	if c.Models == 1 {
		noun = "model"
	}
	return fmt.Sprintf("%d %s, %d of %d parts", c.Models, noun, c.PartsCovered, c.PartsPlanned)
}
