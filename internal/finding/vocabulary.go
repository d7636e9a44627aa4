package finding

import (
	"fmt"
	"strings"

	"witan.dev/internal/diff"
)

// Severity says how bad a finding is. The zero value is unspecified; greater is worse, so severities compare with <.
type Severity int

// The severities, from mild to worst.
const (
	SeverityUnspecified Severity = iota
	SeverityLow
	SeverityMedium
	SeverityHigh
	SeverityCritical
)

// String returns the bare upper-case name ("HIGH"), "UNSPECIFIED" for anything unknown.
func (s Severity) String() string {
	switch s {
	case SeverityLow:
		return "LOW"
	case SeverityMedium:
		return "MEDIUM"
	case SeverityHigh:
		return "HIGH"
	case SeverityCritical:
		return "CRITICAL"
	case SeverityUnspecified:
	}
	return "UNSPECIFIED"
}

// ParseSeverity reads a severity in any case ("high", "HIGH", "SEVERITY_HIGH").
func ParseSeverity(s string) (Severity, error) {
	name := strings.TrimPrefix(strings.ToUpper(strings.TrimSpace(s)), "SEVERITY_")
	for v := SeverityLow; v <= SeverityCritical; v++ {
		if v.String() == name {
			return v, nil
		}
	}
	return SeverityUnspecified, fmt.Errorf("unknown severity %.40q (want low, medium, high or critical)", s)
}

// Category is the class of a problem. It is part of the fingerprint, so the names never change.
type Category string

// The categories.
const (
	Correctness     Category = "CORRECTNESS"
	Security        Category = "SECURITY"
	Concurrency     Category = "CONCURRENCY"
	Resources       Category = "RESOURCES"
	APIContract     Category = "API_CONTRACT"
	Performance     Category = "PERFORMANCE"
	Testing         Category = "TESTING"
	Maintainability Category = "MAINTAINABILITY"
)

// Categories returns all categories in their fixed order.
func Categories() []Category {
	return []Category{
		Correctness, Security, Concurrency, Resources, APIContract, Performance, Testing, Maintainability,
	}
}

// ParseCategory reads a category in any case, with blanks or dashes for underscores. Unknown names are an error.
func ParseCategory(s string) (Category, error) {
	name := strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToUpper(strings.TrimSpace(s)))
	for _, c := range Categories() {
		if string(c) == name {
			return c, nil
		}
	}
	return "", fmt.Errorf("unknown category %.40q", s)
}

// Side says which version of a file a line number counts in.
type Side = diff.Side

// The sides of a change.
const (
	SideUnspecified = diff.SideUnspecified
	// Left is the file before the change.
	Left = diff.Left
	// Right is the file after the change.
	Right = diff.Right
)

// Placement says how a finding's place was found, best first.
type Placement int

// The placements.
const (
	PlacementUnspecified Placement = iota
	// PlacedExact: the quoted lines stand there as quoted, but for trailing blanks and redactions.
	PlacedExact
	// PlacedNormalised: they stand there after collapsing blanks and dropping comments, or most of them do.
	PlacedNormalised
	// PlacedSymbol: only the named symbol was found; its first line is given.
	PlacedSymbol
	// PlacedFile: only the file is known; there is no line.
	PlacedFile
	// PlacedNone: not even the file is part of the change or its trees.
	PlacedNone
)

// String returns "EXACT", "NORMALISED", "SYMBOL", "FILE", "NONE" or "UNSPECIFIED".
func (p Placement) String() string {
	switch p {
	case PlacedExact:
		return "EXACT"
	case PlacedNormalised:
		return "NORMALISED"
	case PlacedSymbol:
		return "SYMBOL"
	case PlacedFile:
		return "FILE"
	case PlacedNone:
		return "NONE"
	case PlacementUnspecified:
	}
	return "UNSPECIFIED"
}

// Outcome is what the votes made of a finding.
type Outcome int

// The outcomes. Nothing vanishes: held and rejected findings stay in the report.
const (
	OutcomeUnspecified Outcome = iota
	Published
	Held
	Rejected
)

// String returns "PUBLISHED", "HELD", "REJECTED" or "UNSPECIFIED".
func (o Outcome) String() string {
	switch o {
	case Published:
		return "PUBLISHED"
	case Held:
		return "HELD"
	case Rejected:
		return "REJECTED"
	case OutcomeUnspecified:
	}
	return "UNSPECIFIED"
}

// Status is a finding's life across the reviews of one subject.
type Status int

// The statuses.
const (
	StatusUnspecified Status = iota
	Open
	Fixed
	Reappeared
	Dismissed
)

// String returns "OPEN", "FIXED", "REAPPEARED", "DISMISSED" or "UNSPECIFIED".
func (s Status) String() string {
	switch s {
	case Open:
		return "OPEN"
	case Fixed:
		return "FIXED"
	case Reappeared:
		return "REAPPEARED"
	case Dismissed:
		return "DISMISSED"
	case StatusUnspecified:
	}
	return "UNSPECIFIED"
}

// Choice is one voter's judgement of a finding.
type Choice int

// The judgements. Uncertain counts for neither side.
const (
	ChoiceUnspecified Choice = iota
	Confirmed
	RejectedVote
	Uncertain
)

// String returns "CONFIRMED", "REJECTED", "UNCERTAIN" or "UNSPECIFIED".
func (c Choice) String() string {
	switch c {
	case Confirmed:
		return "CONFIRMED"
	case RejectedVote:
		return "REJECTED"
	case Uncertain:
		return "UNCERTAIN"
	case ChoiceUnspecified:
	}
	return "UNSPECIFIED"
}

// CoverageStatus says how much of what was planned for a file was done.
type CoverageStatus int

// The coverage statuses.
const (
	CoverageUnspecified CoverageStatus = iota
	Reviewed
	Partial
	Skipped
)

// String returns "REVIEWED", "PARTIAL", "SKIPPED" or "UNSPECIFIED".
func (c CoverageStatus) String() string {
	switch c {
	case Reviewed:
		return "REVIEWED"
	case Partial:
		return "PARTIAL"
	case Skipped:
		return "SKIPPED"
	case CoverageUnspecified:
	}
	return "UNSPECIFIED"
}

// Reason says why a file is not simply reviewed, or what was limited.
type Reason string

// The reasons. Excluded, Generated, Vendored, Lockfile and ScannerAllowList are policy: they do not make a review
// incomplete.
const (
	ReasonBudget             Reason = "BUDGET"
	ReasonDeadline           Reason = "DEADLINE"
	ReasonMemberFailed       Reason = "MEMBER_FAILED"
	ReasonPartTooBig         Reason = "PART_TOO_BIG"
	ReasonParseErrors        Reason = "PARSE_ERRORS"
	ReasonNoTree             Reason = "NO_TREE"
	ReasonReviewerFailed     Reason = "REVIEWER_FAILED"
	ReasonCouncilUnavailable Reason = "COUNCIL_UNAVAILABLE"
	ReasonExcluded           Reason = "EXCLUDED"
	ReasonGenerated          Reason = "GENERATED"
	ReasonVendored           Reason = "VENDORED"
	ReasonLockfile           Reason = "LOCKFILE"
	ReasonTooLarge           Reason = "TOO_LARGE"
	ReasonNotUTF8            Reason = "NOT_UTF8"
	ReasonFetchFailed        Reason = "FETCH_FAILED"
	// ReasonLFSPointer: Git LFS keeps the file elsewhere, and what was read is the pointer to it.
	ReasonLFSPointer Reason = "LFS_POINTER"
	// ReasonScannerAllowList: the secrets scanner's own path allow-list leaves this file out, but for secrets whose form is known.
	// Where nobody else read it either it is SKIPPED.
	ReasonScannerAllowList Reason = "SCANNER_ALLOW_LIST"
)

// Policy reports whether the reason is a decision of the configuration, which leaves a review complete.
func (r Reason) Policy() bool {
	switch r {
	case ReasonExcluded, ReasonGenerated, ReasonVendored, ReasonLockfile, ReasonScannerAllowList:
		return true
	default:
		return false
	}
}
