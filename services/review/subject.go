package review

import (
	"context"
	"time"

	"witan.dev/internal/finding"
	"witan.dev/internal/job"
)

// Subject is what is reviewed again and again, and what lasts between its reviews.
type Subject struct {
	Name  string  `json:"name"`
	Owner string  `json:"owner"`
	Pull  PullRef `json:"pull"`
	// Closed subjects are frozen, Paused ones are reviewed on request only.
	Closed bool `json:"closed,omitempty"`
	Paused bool `json:"paused,omitempty"`
	// PauseSaid is when the newest of the comments came that paused reviews or let them start again.
	PauseSaid time.Time `json:"pause_said,omitzero"`
	// Current is the newest review that has not ended; Waiting says that it has not pinned its head yet.
	Current job.ID `json:"current,omitempty"`
	Waiting bool   `json:"waiting,omitempty"`
	// Running is the review that has pinned its head and has not ended; it is another one than Current while that one
	// waits for it. Publishing says that it writes at the forge already and is not stopped any more.
	Running    job.ID `json:"running,omitempty"`
	Publishing bool   `json:"publishing,omitempty"`
	// RunningAsked says that a person asked for the running review, PushOff that pushes start none here, as far as was read
	// last.
	RunningAsked bool `json:"running_asked,omitempty"`
	PushOff      bool `json:"push_off,omitempty"`
	// Joined are the triggers that the waiting review answers beside its own, Joins counts them with their repetitions.
	// JoinedLabels are the labels of those that are TriggerLabeled, JoinedReports what came with them.
	Joined        []Trigger   `json:"joined,omitempty"`
	JoinedLabels  []string    `json:"joined_labels,omitempty"`
	JoinedReports []ReportRef `json:"joined_reports,omitempty"`
	Joins         int         `json:"joins,omitempty"`
	// Asked is what the author asked for in comments lately, where that is counted.
	Asked []Asked `json:"asked,omitempty"`
	// FirstPush and LastPush are when the pushes came that the waiting review is for.
	FirstPush time.Time `json:"first_push"`
	LastPush  time.Time `json:"last_push"`
	// Base is the base branch of the newest review that began, BaseChanges are those that began by themselves for another one.
	Base        string       `json:"base,omitempty"`
	BaseChanges []BaseChange `json:"base_changes,omitempty"`
	// Superseded counts the reviews in a row that were cancelled for a newer one.
	Superseded int `json:"superseded,omitempty"`
	// Done is the newest review that was published, on DoneHead, under the configuration, base branch and council named,
	// and DoneCreated when it was created.
	Done        job.ID    `json:"done,omitempty"`
	DoneCreated time.Time `json:"done_created,omitzero"`
	DoneHead    string    `json:"done_head,omitempty"`
	DoneConfig  string    `json:"done_config,omitempty"`
	DoneBase    string    `json:"done_base,omitempty"`
	DoneCouncil string    `json:"done_council,omitempty"`
	// Spending is what the councils of its reviews took in the current day. A repository has a row as well, for its month.
	Spending Spending `json:"spending,omitzero"`
	// Snapshot and Index are the newest of a base, in the row of a repository: the next one is made of what differs.
	Snapshot string `json:"snapshot,omitempty"`
	Index    string `json:"index,omitempty"`
	// Indexers are the owners who have indexes of the repository, Tip is its default branch; both in its row.
	Indexers []string `json:"indexers,omitempty"`
	Tip      Tip      `json:"tip,omitzero"`
	// Files are the changed files that were reviewed in full, by path.
	Files ByPath[CoveredFile] `json:"files,omitempty"`
}

// Asked is a command of the author, by what it is known.
type Asked struct {
	Key string    `json:"key"`
	At  time.Time `json:"at"`
}

// CoveredFile is a changed file that was reviewed in full.
type CoveredFile struct {
	// Digest is of the file's hunks without line numbers.
	Digest string `json:"digest"`
	Review job.ID `json:"review"` // that read it
}

// Known is a finding across the reviews of its subject.
type Known struct {
	Subject string `json:"subject"`
	// ID is the finding's for good, in the letters of a resource name; the fingerprint may change with moved code.
	ID string `json:"id"`
	// Finding is as it was last reported; its Status, StatusReason, FirstReview and Fingerprint are the current ones.
	Finding    finding.Finding `json:"finding"`
	LastReview string          `json:"last_review"`
	// Base is the state with which the change was compared that LastReview reported it in; empty for a pull request's.
	Base    string `json:"base,omitempty"`
	FixedIn string `json:"fixed_in,omitempty"`
	// ChangedIn is the review in which the status changed last, Was the status before that; empty where a person did it.
	ChangedIn string         `json:"changed_in,omitempty"`
	Was       finding.Status `json:"was,omitempty"`
	// Before and After are the tokens around the quoted code when it was last reported: they tell a line that was wrapped
	// anew from one that was changed.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	// Generation rises each time when it reappears: each has a comment of its own.
	Generation int `json:"generation,omitempty"`
	// Feedback is ACCEPTED or REFUSED, by a person, for Reason. By is the login of the person who dismissed it at the forge; empty:
	// not dismissed, or not there.
	Feedback string `json:"feedback,omitempty"`
	Reason   string `json:"reason,omitempty"`
	By       string `json:"by,omitempty"`
	// CommentID is the comment of the current generation; 0: it stands in the walkthrough only. Gone: a person deleted it.
	CommentID int64  `json:"comment_id,omitempty"`
	URL       string `json:"url,omitempty"`
	Gone      bool   `json:"gone,omitempty"`
	// Earlier is the address of the comment of the generation before.
	Earlier string `json:"earlier,omitempty"`
	// Answered says that a person wrote in its thread.
	Answered bool `json:"answered,omitempty"`
	// Revision rises with each change of the row.
	Revision int64 `json:"revision"`
}

// PublicationState says how far a write at the forge came.
type PublicationState string

// The states of a write.
const (
	PublicationIntent PublicationState = "INTENT"
	// PublicationBegun: it was asked for, and may be there although nobody saw it yet.
	PublicationBegun PublicationState = "BEGUN"
	PublicationDone  PublicationState = "DONE"
)

// Publication is one write at the forge, by the key that its marker carries.
type Publication struct {
	Subject string `json:"subject"`
	Key     string `json:"key"`
	// Role is what was written: "comment", "file", "reply", "resolve", "walkthrough", "check", "answer".
	Role  string           `json:"role"`
	State PublicationState `json:"state"`
	// RemoteID is what the forge calls it; 0 before it is there.
	RemoteID int64  `json:"remote_id,omitempty"`
	URL      string `json:"url,omitempty"`
	// Reason is why it stands in another place than planned, or nowhere.
	Reason string `json:"reason,omitempty"`
	Review job.ID `json:"review"` // that planned it first
}

// SubjectQuery selects subjects of pull requests and the rows of repositories that were indexed, whose Pull has no number, in
// the order of their names.
type SubjectQuery struct {
	Host                     string
	Repository, Installation int64 // 0: all
	After                    string
	Limit                    int // at least 1
}

// Subjects keeps subjects. Safe for concurrent use. Rows are locked in this order: job, subject, review. Suite:
// services/review/store/storetest.
type Subjects interface {
	// Lock returns the subject of that name, a new one of the owner where there is none, and keeps every other transaction
	// from it until this one ends.
	Lock(ctx context.Context, tx job.Tx, name, owner string) (Subject, error)
	// Put stores the subject; it must have been locked in the same transaction.
	Put(ctx context.Context, tx job.Tx, s Subject) error
	// Subject reads a subject; ErrNotFound where there is none.
	Subject(ctx context.Context, name string) (Subject, error)
	// ListSubjects returns at most Limit subjects.
	ListSubjects(ctx context.Context, q SubjectQuery) ([]Subject, error)
	// Repin stores what a review came to be when its source was looked up: all of it but its result.
	Repin(ctx context.Context, tx job.Tx, r Review) error
	// Supersede notes that a newer review took the place of one that has no result. One that has a result keeps it.
	Supersede(ctx context.Context, tx job.Tx, id, by job.ID) error
}

// Ledger keeps what lasts of findings, and what was written at the forge, as long as the subject has a review. Safe for
// concurrent use. Suite: services/review/store/storetest.
type Ledger interface {
	// Write runs fn in a transaction of its own, for what is written outside a job. fn may be run again.
	Write(ctx context.Context, fn func(ctx context.Context, tx job.Tx) error) error
	// Known returns all findings of a subject, in the order of their IDs.
	Known(ctx context.Context, subject string) ([]Known, error)
	// KnownByID returns one of them; ErrNotFound.
	KnownByID(ctx context.Context, subject, id string) (Known, error)
	// KnownByComment returns the finding whose comment of any generation has that ID; ErrNotFound.
	KnownByComment(ctx context.Context, subject string, comment int64) (Known, error)
	// PutKnown stores a finding when its revision is still the stored one, and raises it; else it is ErrChanged. Revision 0
	// is a new one. Its comment is remembered also when it gets another one.
	PutKnown(ctx context.Context, tx job.Tx, k Known) error
	// Publications returns all writes of a subject, in the order of their keys.
	Publications(ctx context.Context, subject string) ([]Publication, error)
	// PutPublication stores a write. It goes from INTENT over BEGUN to DONE and never back: what would take it back changes
	// nothing. Role and review are those with which it was stored first.
	PutPublication(ctx context.Context, tx job.Tx, p Publication) error
}
