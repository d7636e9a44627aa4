package council

import "witan.dev/internal/job"

// Reasons of a job's state.
const (
	EndCancelled        = "CANCELLED"
	EndDeadline         = "DEADLINE_EXCEEDED"
	EndQuorumNotReached = "QUORUM_NOT_REACHED"
	EndBudget           = "BUDGET_EXCEEDED"
	EndNoAnswer         = "NO_ANSWER"
	EndNoProposals      = "NO_PROPOSALS"
	EndMemberMissing    = "MEMBER_MISSING"
	EndPartMissing      = "PART_NOT_COVERED"
	EndBallotInvalid    = "BALLOT_INVALID"
	EndChairmanFailed   = "CHAIRMAN_FAILED"
)

// Facts are what a result's ending rests on beside the result itself.
type Facts struct {
	Kind TaskKind
	Spec Spec
	// Cancelled and DeadlinePassed say how the run was stopped, QuorumFailed and BudgetFailed that a FAIL policy struck.
	Cancelled, DeadlinePassed, QuorumFailed, BudgetFailed bool
	// Outside is the number of outside proposals, Parts that of the parts of the material.
	Outside, Parts int
	// Delivered is the number of members that delivered in the first stage.
	Delivered int
}

// Ending is what a result makes of its job.
type Ending struct {
	State  job.State
	Reason string
}

// EndingOf maps a result to the state of its job: everything that was planned is SUCCEEDED, a result that lacks something
// is PARTIALLY_SUCCEEDED with the first reason, none is FAILED.
func EndingOf(r Result, f Facts) Ending {
	switch {
	case f.Cancelled:
		return Ending{job.StateCancelled, EndCancelled}
	case f.QuorumFailed:
		return Ending{job.StateFailed, EndQuorumNotReached}
	case f.BudgetFailed:
		return Ending{job.StateFailed, EndBudget}
	}
	if reason := nothing(r, f); reason != "" {
		return Ending{job.StateFailed, reason}
	}
	if reason := lacking(r, f); reason != "" {
		return Ending{job.StatePartiallySucceeded, reason}
	}
	return Ending{State: job.StateSucceeded}
}

// nothing says why there is no result at all.
func nothing(r Result, f Facts) string {
	var reason string
	switch {
	case f.Kind == TaskQuestion && f.Delivered == 0:
		reason = EndNoAnswer
	case f.Kind == TaskCodeReview && f.Delivered == 0 && f.Outside == 0 && f.Parts > 0 && len(f.Spec.Answerers()) > 0:
		reason = EndNoProposals
	default:
		return ""
	}
	if f.DeadlinePassed {
		return EndDeadline
	}
	if r.Coverage.BudgetStop {
		return EndBudget
	}
	return reason
}

// lacking says what a result lacks first.
func lacking(r Result, f Facts) string {
	switch {
	case r.Coverage.BudgetStop:
		return EndBudget
	case f.DeadlinePassed:
		return EndDeadline
	}
	for _, s := range r.Coverage.Stages {
		if len(s.Missing) > 0 && (s.Stage == StageSynthesise || s.Stage == StageConclude) {
			continue // the origin says whether it matters
		}
		if len(s.Missing) > 0 {
			return EndMemberMissing
		}
	}
	for _, p := range r.Coverage.Parts {
		if p.Status != PartCovered {
			return EndPartMissing
		}
	}
	for _, b := range r.Ballots {
		if b.Parse == ParseInvalid {
			return EndBallotInvalid
		}
	}
	if level(r.Origin) > level(PlannedOrigin(f.Spec, f.Kind)) {
		return EndChairmanFailed
	}
	return ""
}

// PlannedOrigin is where the final text of a spec comes from when nothing fails.
func PlannedOrigin(s Spec, kind TaskKind) Origin {
	chairman := (s.Mode == ModeFull || s.Mode == ModeVerdict) && len(s.Answerers()) > 1 && s.Chairman.Model != ""
	switch {
	case chairman:
		return OriginChairman
	case kind == TaskCodeReview:
		return OriginTemplate
	case s.Mode == ModeAnswersOnly:
		return OriginNone
	case len(s.Answerers()) == 1:
		return OriginSingleSurvivor
	default:
		return OriginTopRanked
	}
}

// level orders origins: a greater one is lower than what was planned.
func level(o Origin) int {
	for i, known := range []Origin{OriginChairman, OriginFallbackChairman, OriginTopRanked, OriginSingleSurvivor, OriginTemplate, OriginNone} {
		if o == known {
			return i
		}
	}
	return -1
}
