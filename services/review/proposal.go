package review

import (
	"context"

	"witan.dev/internal/finding"
)

// Reason is why a file was not reviewed in full.
type Reason = finding.Reason

// The reasons that come from the material itself.
const (
	ReasonLockfile  = finding.ReasonLockfile
	ReasonGenerated = finding.ReasonGenerated
	ReasonVendored  = finding.ReasonVendored
	ReasonTooLarge  = finding.ReasonTooLarge
	ReasonNotUTF8   = finding.ReasonNotUTF8

	ReasonFetchFailed = finding.ReasonFetchFailed
)

// Proposal is one problem that a static reviewer reports. It joins the council's grouping and vote like a member's.
type Proposal struct {
	ID       string // unique in the review, given by the pipeline
	Source   string // the reviewer's name
	Location finding.Location
	Related  []finding.Location
	Category finding.Category
	Severity finding.Severity
	Claim    string // one sentence
	Reason   string
	// Certainty in (0, 1] is how sure the reviewer is.
	Certainty float64
	// Rule names the check within the reviewer, in lower-case words joined by dashes ("removed-definition").
	Rule string
	// Certain findings are published whatever the votes: members cannot see what they rest on.
	Certain bool
	// Fingerprint recognises the problem again.
	Fingerprint string
	// Confirm asks for one confirmation by a member, where members are configured, before the finding is published.
	Confirm bool
}

// Inspection is what static reviewers look at.
type Inspection struct {
	// Pinned names the states that are compared; what was changed before them is asked of a History by it.
	Pinned Pinned
	Change *Change
	// Old and New are the parsed sides of the changed files by their paths on that side. Files that the parser cannot
	// read are missing.
	Old, New map[string]*Code
	// Base and Head read any file of the two states. Nil where there is no tree (a raw diff).
	Base, Head Tree
	// BaseIndex and HeadIndex name the code indexes of the two states; empty where there is none.
	BaseIndex, HeadIndex string
}

// Report is what one static reviewer returns.
type Report struct {
	Proposals []Proposal
	// Looked holds the paths (of the new side, deleted ones of the old) that the reviewer looked at. Nil means all that
	// are text.
	Looked []Path
	// Limits says for which paths something could not be looked at, and why.
	Limits map[Path][]Reason
	// LeftOut are the text files that the reviewer's own rules leave out by their path.
	LeftOut []Path
	// Whole says that the reviewer judged the change as a whole and read none of its files: it stands in no file's coverage,
	// and what it does not report again is mended.
	Whole bool
	// Notes say in words what could not be looked at as a whole.
	Notes []string
}

// Reviewer finds problems without a model. Implementations are safe for concurrent use, change nothing outside and
// return the same report for the same inspection.
type Reviewer interface {
	// Name is the source under which its findings are shown: a lower-case word.
	Name() string
	// Review looks at the change. An error means that nothing can be said about any file; what concerns single files
	// stands in the report's limits. Beside ErrUnavailable stands the report that holds when it is not asked again.
	Review(ctx context.Context, in Inspection) (Report, error)
}

// An IndexUser is a reviewer that asks the code index, for some changes.
type IndexUser interface {
	Reviewer
	// NeedsIndex says whether it will, so that indexes are not made for nothing.
	NeedsIndex(in Inspection) bool
	// Covers returns the paths that it looks at when it gets what it needs.
	Covers(in Inspection) []Path
}
