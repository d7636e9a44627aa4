package structure

import (
	"context"
	"fmt"

	"witan.dev/internal/finding"
	"witan.dev/services/review"
)

// Name is the source under which the reviewer's findings are shown.
const Name = "structure"

const (
	// maxCandidates bounds the definitions whose references are looked up in one review; a change that removes more is
	// reported as limited for the files whose definitions were left out.
	maxCandidates = 400
	// maxCallers bounds the references that are looked at for one definition.
	maxCallers = 50
	// maxPlaces bounds the places that one finding lists.
	maxPlaces = 20
)

// The rules of the reviewer.
const (
	RuleRemoved   = "removed-definition"
	RuleRenamed   = "renamed-definition"
	RuleMoved     = "moved-definition"
	RuleSignature = "changed-signature"
)

// Reviewer is the static reviewer of code structure. Safe for concurrent use.
type Reviewer struct {
	parser review.Parser
	index  review.Index
}

var _ review.IndexUser = (*Reviewer)(nil)

// New returns a reviewer that parses unchanged files with parser and asks index for references.
func New(parser review.Parser, index review.Index) *Reviewer {
	return &Reviewer{parser: parser, index: index}
}

// Name returns the reviewer's name.
func (r *Reviewer) Name() string { return Name }

// NeedsIndex says whether the change removes or alters any definition at all, that is, whether Review will ask for the
// two indexes.
func (r *Reviewer) NeedsIndex(in review.Inspection) bool { return len(compare(in)) > 0 }

// Covers returns the paths of the files that the reviewer compares.
func (r *Reviewer) Covers(in review.Inspection) []review.Path { return looked(in) }

// Review compares both sides of the change. It fails when it needs an index that is missing, or the parser or index
// cannot be asked.
func (r *Reviewer) Review(ctx context.Context, in review.Inspection) (review.Report, error) {
	report := review.Report{Looked: looked(in), Limits: parseLimits(in)}
	candidates := compare(in)
	for _, c := range candidates[min(len(candidates), maxCandidates):] {
		limit(report.Limits, c.path, finding.ReasonBudget)
	}
	candidates = candidates[:min(len(candidates), maxCandidates)]
	if len(candidates) == 0 {
		return report, nil
	}
	if in.BaseIndex == "" || in.HeadIndex == "" || in.Base == nil || in.Head == nil {
		return review.Report{}, fmt.Errorf("structure: %w: no index of the code", review.ErrUnavailable)
	}
	s := &search{Reviewer: r, in: in, base: newFiles(r.parser, in.Base, in.Old), head: newFiles(r.parser, in.Head, in.New)}
	for i := range candidates {
		found, err := s.remaining(ctx, &candidates[i])
		if err != nil {
			return review.Report{}, fmt.Errorf("structure: look for uses of %s: %w", candidates[i].old.QualifiedName, err)
		}
		if len(found) > 0 {
			report.Proposals = append(report.Proposals, propose(in, &candidates[i], found))
		}
	}
	for _, why := range s.gaps {
		report.Notes = append(report.Notes, "structure may have missed some uses: "+why)
	}
	return report, nil
}
