package lifecycle

import (
	"strings"

	"witan.dev/internal/finding"
	"witan.dev/services/review"
)

// The values of Known.Feedback.
const (
	Accepted = "ACCEPTED"
	Refused  = "REFUSED"
)

// maxReason is the longest reason of a person that is kept, in bytes.
const maxReason = 4_000

// Dismiss notes that a person does not want to see a finding any more.
func Dismiss(k review.Known, reason string) review.Known {
	k = by(k, finding.Dismissed, ReasonByPerson)
	return feedback(k, Refused, reason)
}

// Accept notes that a person finds it right and useful. It is no status.
func Accept(k review.Known, reason string) review.Known { return feedback(k, Accepted, reason) }

// Reopen takes a dismissal back; what is not dismissed stays as it is.
func Reopen(k review.Known) review.Known {
	if k.Finding.Status != finding.Dismissed {
		return k
	}
	return feedback(by(k, finding.Open, ""), "", "")
}

// Resolved notes that a person resolved the finding's thread. What is fixed stays so.
func Resolved(k review.Known) review.Known {
	switch k.Finding.Status {
	case finding.Open, finding.Reappeared:
		return by(k, finding.Dismissed, ReasonThreadResolved)
	default:
		return k
	}
}

// Unresolved notes that a person opened the finding's thread again.
func Unresolved(k review.Known) review.Known { return Reopen(k) }

// Deleted notes that a person deleted the finding's comment: it is not posted again.
func Deleted(k review.Known) review.Known {
	k.Gone = true
	return k
}

// Answered notes that a person wrote in the finding's thread: from then on it is theirs.
func Answered(k review.Known) review.Known {
	k.Answered = true
	return k
}

// Said puts what a person said of a known finding into a review's. A review shows findings as they were when it was
// published, but for that.
func Said(f *finding.Finding, k *review.Known) {
	f.Feedback = k.Feedback
	if k.ChangedIn == "" && k.Finding.Status != finding.StatusUnspecified {
		f.Status, f.StatusReason = k.Finding.Status, k.Finding.StatusReason
	}
}

func by(k review.Known, to finding.Status, reason string) review.Known {
	k.Finding.Status, k.Finding.StatusReason = to, reason
	k.ChangedIn, k.Was, k.By = "", finding.StatusUnspecified, ""
	return k
}

// As says who it was that changed a finding, where that dismissed it.
func As(login string, change func(review.Known) review.Known) func(review.Known) review.Known {
	return func(k review.Known) review.Known {
		was := k.Finding.Status
		if k = change(k); k.Finding.Status == finding.Dismissed && (was != finding.Dismissed || k.By == "") {
			k.By = login
		}
		return k
	}
}

func feedback(k review.Known, what, reason string) review.Known {
	if len(reason) > maxReason {
		reason = strings.ToValidUTF8(reason[:maxReason], "")
	}
	k.Feedback, k.Reason, k.Finding.Feedback = what, reason, what
	return k
}
