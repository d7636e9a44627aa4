package review

import (
	"errors"

	"witan.dev/internal/apierr"
)

// What callers outside may see.
var (
	// ErrNotFound is the answer for a review that does not exist, and for a foreign one.
	ErrNotFound = apierr.NotFound(apierr.ReasonReviewNotFound, "there is no such review")
	// ErrNotRepository: the folder is no git repository that can be read.
	ErrNotRepository = apierr.Precondition(apierr.ReasonNotARepository, "the folder is no git repository")
	// ErrRepositoryUnreadable: git gave up on the repository: a damaged object or index, an object that a partial clone
	// lacks, a file that cannot be added.
	ErrRepositoryUnreadable = apierr.Precondition(apierr.ReasonRepositoryUnreadable, "git cannot read the repository")
	// ErrRevisionUnknown: the repository has no such revision.
	ErrRevisionUnknown = apierr.Invalid(apierr.ReasonRevisionUnknown, "the repository has no such revision")
	// ErrNoChanges: there is nothing to review.
	ErrNoChanges = apierr.Invalid(apierr.ReasonNoChanges, "there is nothing to review: the two sides are equal")
	// ErrNotDiff: the text is no unified diff, or contradicts itself.
	ErrNotDiff = apierr.Invalid(apierr.ReasonNotADiff, "the text is not a unified diff")
	// ErrCombinedDiff: the diff of a merge against all its parents.
	ErrCombinedDiff = apierr.Invalid(apierr.ReasonCombinedDiff, "a combined diff of a merge cannot be reviewed; make it against the first parent")
	// ErrSeveralPatches: one path changes twice.
	ErrSeveralPatches = apierr.Invalid(apierr.ReasonSeveralPatches, "several patches follow each other; send one diff")
	// ErrMaterialTooLarge: above the limits of one review.
	ErrMaterialTooLarge = apierr.ResourceExhausted(apierr.ReasonMaterialTooLarge, "the change is larger than one review takes")
	// ErrSourceNotSupported: this version cannot review such a source.
	ErrSourceNotSupported = apierr.Unimplemented(apierr.ReasonSourceNotSupported, "this version cannot review such a source; use a git range, a working tree or a diff")
	// ErrFindingNotFound: the review has no such finding.
	ErrFindingNotFound = apierr.NotFound(apierr.ReasonFindingNotFound, "there is no such finding")
	// ErrSubjectClosed: the pull request is closed, and its findings stay as they are.
	ErrSubjectClosed = apierr.Precondition(apierr.ReasonSubjectClosed, "the findings of a closed pull request are frozen")
	// ErrCouncilNotFound: no council has that name.
	ErrCouncilNotFound = apierr.NotFound(apierr.ReasonCouncilNotFound, "there is no such council")
)

// Errors of the ports that the pipeline handles by kind.
var (
	// ErrUnavailable: the other service cannot be reached now. The pipeline tries again, then goes on without.
	ErrUnavailable = errors.New("service is unavailable")
	// ErrNoFile: the tree has no such file.
	ErrNoFile = errors.New("no such file in the tree")
	// ErrChanged: somebody changed the row meanwhile; read it again.
	ErrChanged = errors.New("the row was changed meanwhile")
	// ErrOverBudget: the budget does not allow the least that a council takes, or has a cap that cannot be held.
	ErrOverBudget = errors.New("the budget does not suffice")
	// ErrCouncilRefused: the council does not take the task as it is, and would not if it came again.
	ErrCouncilRefused = errors.New("the council does not take the task")
	// ErrTooLarge: the file is larger than MaxText.
	ErrTooLarge = errors.New("file is too large to be read as text")
)
