package review

import (
	"slices"
	"time"

	"witan.dev/internal/finding"
	"witan.dev/internal/job"
)

// SourceKind says where the material of a review comes from.
type SourceKind string

// The sources.
const (
	SourceRange       SourceKind = "GIT_RANGE"    // merge base of two revisions … the second
	SourceStaged      SourceKind = "STAGED"       // HEAD … the index
	SourceUncommitted SourceKind = "UNCOMMITTED"  // HEAD … the working tree
	SourceDiff        SourceKind = "DIFF"         // a patch, without its repository
	SourcePull        SourceKind = "PULL_REQUEST" // merge base … head of a pull request
)

// Source names what to review, as the caller said it.
type Source struct {
	Kind SourceKind `json:"kind"`
	// Dir is the repository's folder on this machine; empty for SourceDiff.
	Dir string `json:"dir,omitempty"`
	// Base and Head are revisions as given. An empty Base means the upstream of the branch, else the default branch,
	// else the commit before; an empty Head means HEAD. Of a pull request they are the commits that the forge named: the
	// tip of the base branch and the head.
	Base string `json:"base,omitempty"`
	Head string `json:"head,omitempty"`
	// Title is a name for people, such as a file name.
	Title string `json:"title,omitempty"`
	// Blob is the SHA-256 of the patch in the blob store, Owner whose it is.
	Blob  string `json:"blob,omitempty"`
	Owner string `json:"owner,omitempty"`
	// Pull names the pull request of a SourcePull.
	Pull PullRef `json:"pull,omitzero"`
	// Reports are those of other tools about the change.
	Reports []ReportRef `json:"reports,omitempty"`
}

// ReportRef is a report of another tool that lies in the blob store.
type ReportRef struct {
	Title string `json:"title,omitempty"` // name for people, a file name for example
	Blob  string `json:"blob"`            // SHA-256
	// Owner is whose blob it is where that is not the review's owner.
	Owner string `json:"owner,omitempty"`
}

// MaxReports is how many reports a review takes.
const MaxReports = 32

// MergeReports adds reports to others: of the same title the newer one counts, and of too many the newest.
func MergeReports(old, more []ReportRef) []ReportRef {
	out := slices.Clone(old)
	for _, r := range more {
		out = slices.DeleteFunc(out, func(o ReportRef) bool {
			return o.Title != "" && o.Title == r.Title || o.Blob == r.Blob && o.Owner == r.Owner
		})
		out = append(out, r)
	}
	return out[max(len(out)-MaxReports, 0):]
}

// Pinned is a source that cannot change any more: everything in it is an object ID.
type Pinned struct {
	Source Source `json:"source"`
	// Subject is what is reviewed again and again: "local:<root commit>/<branch>", with a commit in the branch's place where that
	// is reviewed and none is named, "github:<host>/<repository ID>#<number>", one per review for patches. That of a pull request
	// is empty until its repository was looked up.
	Subject string `json:"subject"`
	// Base, Head and MergeBase are commits. Head is empty for staged and uncommitted changes, all are for patches.
	Base      string `json:"base,omitempty"`
	Head      string `json:"head,omitempty"`
	MergeBase string `json:"merge_base,omitempty"`
	// OldTree and NewTree are what is compared: commits or trees, the empty tree included.
	OldTree string `json:"old_tree,omitempty"`
	NewTree string `json:"new_tree,omitempty"`
	// GitDir is the repository's git directory, ObjectDirs hold the objects of a frozen tree.
	GitDir     string   `json:"git_dir,omitempty"`
	ObjectDirs []string `json:"object_dirs,omitempty"`
}

// HasTree says whether files beside the patch can be read.
func (p *Pinned) HasTree() bool { return p.Source.Kind != SourceDiff }

// Disposition is what became of a review as a whole.
type Disposition string

// The dispositions.
const (
	DispositionReviewed   Disposition = "REVIEWED"
	DispositionDeclined   Disposition = "DECLINED"
	DispositionSuperseded Disposition = "SUPERSEDED"
)

// Review is one review. It has the same ID as the job that computes it.
type Review struct {
	ID     job.ID            `json:"id"`
	Owner  string            `json:"owner"`
	Pinned Pinned            `json:"pinned"`
	Labels map[string]string `json:"labels,omitempty"`
	// Title and Description are the author's words, untrusted.
	Title       string           `json:"title,omitempty"`
	Description string           `json:"description,omitempty"`
	Council     string           `json:"council,omitempty"` // resource name, empty for the default
	FailOn      finding.Severity `json:"fail_on"`
	// What follows is for pull requests only. Publish says that the result is shown at the forge.
	Trigger      Trigger   `json:"trigger,omitempty"`
	TriggerLabel string    `json:"trigger_label,omitempty"`
	Publish      bool      `json:"publish,omitempty"`
	Scope        Scope     `json:"scope,omitempty"`
	Supersedes   job.ID    `json:"supersedes,omitempty"`
	CreatedAt    time.Time `json:"created_at"`
	Revision     int64     `json:"revision"` // rises with each change of the row

	Result // zero until the review is published
}

// Result is what a review came to.
type Result struct {
	Disposition    Disposition      `json:"disposition,omitempty"`
	DeclinedReason string           `json:"declined_reason,omitempty"`
	SupersededBy   job.ID           `json:"superseded_by,omitempty"`
	Coverage       finding.Coverage `json:"coverage"`
	Council        CouncilCoverage  `json:"council_coverage"`
	Summary        string           `json:"summary,omitempty"`
	Deliberation   string           `json:"deliberation,omitempty"` // resource names
	Index          string           `json:"index,omitempty"`
	Usage          job.Usage        `json:"usage"`
	// Reason is the first one for which the review is not complete, empty when it is.
	Reason    string            `json:"reason,omitempty"`
	BaseIndex string            `json:"base_index,omitempty"`
	Reviewers []ReviewerSummary `json:"reviewers,omitempty"`
	// Notes say in words what was left out as a whole ("context: none, the index could not be built").
	Notes []string `json:"notes,omitempty"`
	// Publication says how far showing it at the forge came; zero where it was not to be shown.
	Publication finding.Publication `json:"publication,omitzero"`
	// Shown is what stands at the forge for the review as a whole; nil: nothing does.
	Shown       *Shown    `json:"shown,omitempty"`
	PublishedAt time.Time `json:"published_at"`
}

// Shown is what stands at the forge for a review as a whole, and what it was written by beside the result: so that it can be
// written anew when people have their say on findings.
type Shown struct {
	Walkthrough bool `json:"walkthrough,omitempty"`
	Check       bool `json:"check,omitempty"`
	// Problems say what is wrong in the repository's configuration, Since is the commit since which the council looked; empty:
	// it looked at everything.
	Problems []string `json:"problems,omitempty"`
	Since    string   `json:"since,omitempty"`
	// The others are the settings of that name.
	Collapse        bool             `json:"collapse,omitempty"`
	From            finding.Severity `json:"from,omitempty"`
	IncompleteFails bool             `json:"incomplete_fails,omitempty"`
}

// CouncilCoverage is how much of the council took part.
type CouncilCoverage struct {
	Models       int    `json:"models"` // different models that took part
	PartsPlanned int    `json:"parts_planned"`
	PartsCovered int    `json:"parts_covered"`
	PartsPartly  int    `json:"parts_partly"`
	Complete     bool   `json:"complete"`
	Reason       string `json:"reason,omitempty"` // why it is not complete
	Text         string `json:"text"`             // the same in a line for people
	// Report is the council's own coverage as its service encodes it; opaque to the domain.
	Report []byte `json:"report,omitempty"`
}

// ReviewerStatus says how far a static reviewer came.
type ReviewerStatus string

// The statuses of a static reviewer.
const (
	ReviewerDone          ReviewerStatus = "DONE"
	ReviewerPartial       ReviewerStatus = "PARTIAL"
	ReviewerFailed        ReviewerStatus = "FAILED"
	ReviewerNotApplicable ReviewerStatus = "NOT_APPLICABLE"
)

// ReviewerSummary is what one static reviewer did, in numbers.
type ReviewerSummary struct {
	Name      string         `json:"name"`
	Status    ReviewerStatus `json:"status"`
	Reason    string         `json:"reason,omitempty"`
	Files     int            `json:"files"`
	Proposals int            `json:"proposals"`
	// Whole says that it judged the change as a whole and read none of its files.
	Whole bool `json:"whole,omitempty"`
}

// Outcome is the state in which the review's job ends: complete or not.
func (r *Result) Outcome() (job.State, string) {
	if r.Disposition == DispositionDeclined {
		return job.StateSucceeded, r.DeclinedReason
	}
	if r.Coverage.Complete {
		return job.StateSucceeded, ""
	}
	return job.StatePartiallySucceeded, r.Reason
}

// Reasons returns every reason that stands in the coverage, each once, in the order of the files.
func Reasons(files []finding.FileCoverage) []Reason {
	var out []Reason
	for i := range files {
		for _, r := range files[i].Reasons {
			if !slices.Contains(out, r) {
				out = append(out, r)
			}
		}
	}
	return out
}
