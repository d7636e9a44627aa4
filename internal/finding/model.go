package finding

import (
	"slices"
	"time"
)

// Location is a place in a changed file, or near one. Lines count from 1 and include both ends; both are 0 where only
// the file is known. Paths are the repository's bytes and need not be UTF-8 (diff.DisplayPath shows them).
type Location struct {
	Path    string
	OldPath string
	Side    Side
	// StartLine and EndLine count in the old file on the Left, in the new one on the Right.
	StartLine, EndLine int
	// Symbol is the qualified name with its kind of the definition around it ("function pkg.Load"); empty outside any.
	Symbol string
	// Code is the text of the lines, with secrets redacted.
	Code      string
	Placement Placement
	// InDiff says that every line lies in a hunk of the reviewed diff, so that a comment can be attached to it.
	InDiff bool
}

// Vote is one voter's judgement, as it is shown.
type Vote struct {
	// Voter is a member's or a reviewer's name; Model is what the member runs on, empty for reviewers without one.
	Voter, Model string
	Choice       Choice
	// Proposed says that the voter reported the problem itself, Counted that the vote had weight.
	Proposed, Counted bool
	Severity          Severity
	Reason            string
}

// Tally counts the votes on one finding. Planned is how many voters were to judge it, Required how many confirmations
// the policy asks for.
type Tally struct {
	Confirmed, Rejected, Uncertain, Proposed, Planned, Required, DistinctModels int
}

// Margin is the number of confirmations above the rejections; it orders findings of one severity.
func (t Tally) Margin() int { return t.Confirmed - t.Rejected }

// Finding is one distinct problem with its place, its votes and what became of it. Title, Reason, Suggestion and
// Alternatives are untrusted text (models and linters write them): encoders escape them.
type Finding struct {
	// Name is the resource name, Fingerprint what the finding is recognised by ("v1:…").
	Name, Fingerprint string
	Severity          Severity
	Category          Category
	// Rule is the check of a static reviewer that found it ("secrets/aws-access-token"), empty for what members report.
	Rule          string
	Title, Reason string
	Location      Location
	Related       []Location
	// Suggestion replaces exactly the location's lines; empty when there is none.
	Suggestion    string
	Tally         Tally
	Votes         []Vote
	Sources       []string
	Alternatives  []string
	Status        Status
	StatusReason  string
	FirstReview   string
	Outcome       Outcome
	OutcomeReason string
	// FixedIn is the commit that fixed it, Feedback what a person thinks of it (ACCEPTED or REFUSED).
	FixedIn, Feedback string
	Publication       Publication
}

// Publication says where a finding is shown at a forge. The zero value: nowhere.
type Publication struct {
	// State is PENDING, DONE, FELL_BACK or FAILED.
	State string
	URL   string
	// Reason is why it is one of the last two.
	Reason string
}

// FileCoverage is the row of one changed path: every path of the change has exactly one.
type FileCoverage struct {
	Path, OldPath string
	// Change is the letter of the change: A, M, D, R, C or T.
	Change  string
	Status  CoverageStatus
	Reasons []Reason
	// Depth is "METADATA" where the change was looked at and no content is to be read, else empty or "CONTENT".
	Depth     string
	Reviewers []string
	// LinesCovered of LinesTotal changed lines were read by everything that was planned.
	LinesCovered, LinesTotal int
	CarriedFrom              string
}

// Incomplete reports whether the row keeps a review from being complete: partial, or skipped for other reasons than
// policy.
func (f FileCoverage) Incomplete() bool {
	switch f.Status {
	case Reviewed:
		return false
	case Skipped:
		for _, r := range f.Reasons {
			if !r.Policy() {
				return true
			}
		}
		return len(f.Reasons) == 0
	case Partial, CoverageUnspecified:
	}
	return true
}

// Read reports whether content was read: not skipped, and more than metadata.
func (f FileCoverage) Read() bool {
	return (f.Status == Reviewed || f.Status == Partial) && f.Depth != depthMetadata
}

const depthMetadata = "METADATA"

// Coverage says what was read. Council is one line about the members ("3 of 4 members, 12 of 12 parts"), empty where
// no council ran.
type Coverage struct {
	Files    []FileCoverage
	Complete bool
	Models   int
	Council  string
}

// Unread reports whether every row was read in full and none of them by its content: all is left out by policy, or has
// nothing to be read.
func (c Coverage) Unread() bool {
	return c.Complete && len(c.Files) > 0 && !slices.ContainsFunc(c.Files, FileCoverage.Read)
}

// Count returns how many files have the status.
func (c Coverage) Count(s CoverageStatus) int {
	n := 0
	for _, f := range c.Files {
		if f.Status == s {
			n++
		}
	}
	return n
}

// Report is one finished review, as much of it as the encoders show.
type Report struct {
	// Name and Job are resource names ("reviews/k3…", "jobs/k3…"), ToolVersion the program's version.
	Name, Job, ToolVersion string
	// Subject, Base, Head and MergeBase say what was reviewed; empty where they do not apply.
	Subject, Base, Head, MergeBase string
	// Disposition is REVIEWED, DECLINED or SUPERSEDED; DeclinedReason explains the second.
	Disposition, DeclinedReason string
	// Summary is the chairman's text, or a sentence of ours; untrusted.
	Summary  string
	FailOn   Severity
	Coverage Coverage
	Findings []Finding
	// Notes say what was left out, or looked at with less than usual, as a whole; a sentence each.
	Notes []string
	// Cost is what the models cost in words of the caller ("0.0123 USD", "unknown"); empty hides the line.
	Cost     string
	Duration time.Duration
}

// Failing reports whether a published finding that is neither dismissed nor fixed reaches the report's FailOn. With
// FailOn unspecified nothing fails.
func (r *Report) Failing() bool {
	if r.FailOn == SeverityUnspecified {
		return false
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Outcome == Published && f.Severity >= r.FailOn && f.Status != Dismissed && f.Status != Fixed {
			return true
		}
	}
	return false
}
