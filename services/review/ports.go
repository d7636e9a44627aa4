package review

import (
	"context"
	"time"

	"witan.dev/internal/job"
)

// MaxText is the largest text file that is read, in bytes (own choice).
const MaxText = 1 << 20

// MaxTexts bounds what is read of the text files of one change, both sides of all together, in bytes (own choice).
const MaxTexts = 256 << 20

// Repository reads what is reviewed. Safe for concurrent use.
type Repository interface {
	// Pin resolves the source to object IDs and freezes uncommitted work under the review's ID. Errors that the caller
	// can mend are ErrNotRepository, ErrRevisionUnknown, ErrNoChanges, ErrMaterialTooLarge and those of diffs.
	Pin(ctx context.Context, id job.ID, s Source) (Pinned, error)
	// Load reads the change: every changed path, with the contents of its sides where they are text. The same pinned
	// source gives the same change.
	Load(ctx context.Context, p Pinned) (*Change, error)
	// Trees reads all files of both states. Both are nil where the source has no trees.
	Trees(ctx context.Context, p Pinned) (base, head Tree, err error)
	// Release removes what Pin froze. Releasing twice, or what was never pinned, does nothing.
	Release(ctx context.Context, id job.ID) error
}

// Bounds of what a History tells (own choices).
const (
	// MaxPast is how many commits before a change are looked at.
	MaxPast = 1000
	// MaxPastPaths is how many paths a commit may have changed: what touches more says nothing of what belongs together.
	MaxPastPaths = 30
)

// History tells what was changed together before a change. Safe for concurrent use.
type History interface {
	// Past returns the paths that each of the last MaxPast commits up to the change's merge base changed, the newest first: at
	// least one path each and at most MaxPastPaths. A renamed file is two paths. Merges and commits without a known parent are
	// left out. It is empty where there is no history, as beside a patch.
	Past(ctx context.Context, p Pinned) ([][]string, error)
}

// Tree reads the files of one state of a repository.
type Tree interface {
	// Read returns the content of the file at path. The error is ErrNoFile where there is none, ErrTooLarge above the
	// limit of one text file.
	Read(ctx context.Context, path string) ([]byte, error)
	// HasFolder says whether there is a file below the folder.
	HasFolder(ctx context.Context, folder string) (bool, error)
}

// ParseInput is source code to parse. Path decides the language together with the content.
type ParseInput struct {
	Path    string
	Content []byte
}

// Parser reads definitions, references and imports out of source files.
type Parser interface {
	// Parse returns one result per input, in the order of the inputs. A file that the parser cannot read has a status
	// that says so. The error is ErrUnavailable where the parser cannot be reached.
	Parse(ctx context.Context, files []ParseInput) ([]Code, error)
}

// TreeOf names a tree to store.
type TreeOf struct {
	Pinned Pinned
	Tree   string // commit or tree ID
	// Owner has the blobs, Resource keeps them. Bases are earlier snapshots, whose contents are not stored again; one that is
	// gone is no error.
	Owner, Resource string
	Bases           []string
}

// Snapshots stores trees in the blob store, for services that cannot read the repository. Safe for concurrent use.
type Snapshots interface {
	// Take stores a tree and returns the snapshot's name, which the same tree and bases give again. Errors are those of
	// Repository.Load, and of a tree that is too large.
	Take(ctx context.Context, t TreeOf) (snapshot string, err error)
}

// IndexSource is what an index is made of: a commit or tree in a git directory of this machine, or a snapshot.
type IndexSource struct {
	// Snapshot is that of the tree; where it is set, the three that follow are not used.
	Snapshot   string
	GitDir     string
	ObjectDirs []string // extra object directories, for frozen trees
	Tree       string   // commit or tree ID
	Repository string   // stable name of the repository
	BaseIndex  string   // an index of a similar state, so that only what differs is parsed; may be empty
	RequestID  string
	ParentJob  string
	// Tip says that it is the newest commit of a default branch and belongs to no review.
	Tip bool
}

// Indexes makes indexes of tips, and removes indexes. Safe for concurrent use. What it does is done for the owner in the
// context. The error is ErrUnavailable where the service cannot be reached.
type Indexes interface {
	// Build is that of Index.
	Build(ctx context.Context, s IndexSource) (index, job string, err error)
	// Discard removes indexes that were made of a tip. Reviews' own stay, and what is not there is no error. It returns the
	// jobs of those that are being made and stay until these have ended.
	Discard(ctx context.Context, indexes ...string) (unfinished []string, err error)
	// Remove removes indexes of a repository that were made before a time, a bounded number at a time; more says that there may
	// be others. It returns the jobs of those that are being made, or used by an unfinished review, and stay until these have
	// ended.
	Remove(ctx context.Context, repository string, before time.Time) (unfinished []string, more bool, err error)
}

// Index is the code graph.
type Index interface {
	// Build starts the index job and returns the index's name and the job that makes it. The same RequestID gives the
	// same index again.
	Build(ctx context.Context, s IndexSource) (index, job string, err error)
	// Related answers what is related to a place. Limit bounds the pieces of each relation.
	Related(ctx context.Context, index string, place Place, limit int, relations ...Relation) (Related, error)
}

// JobState is how a job ended.
type JobState struct {
	State  string // SUCCEEDED, PARTIALLY_SUCCEEDED, FAILED, CANCELLED, EXPIRED
	Reason string
}

// Done says whether the job has a result, be it partial.
func (s JobState) Done() bool { return s.State == "SUCCEEDED" || s.State == "PARTIALLY_SUCCEEDED" }

// Jobs follows other services' jobs, and stops them.
type Jobs interface {
	// Wait watches the job to its end, through lost connections. It returns ctx's error when that ends first; the job
	// goes on.
	Wait(ctx context.Context, job string) (JobState, error)
	// Retry starts the next attempt of a job that has ended with less than everything; with any other job it does
	// nothing. The same requestID starts one attempt only. The error is ErrUnavailable where the jobs cannot be reached.
	Retry(ctx context.Context, job, requestID string) error
	// Cancel asks a job to stop with all that it started, and is durable when it returns. With a job that has ended, or that
	// is not there, it does nothing. The error is ErrUnavailable where the jobs cannot be reached.
	Cancel(ctx context.Context, job string) error
	// CancelStarted asks every unfinished job of the kind that the parent has started to stop, and is durable when it
	// returns. Without any it does nothing. The error is ErrUnavailable where the jobs cannot be reached.
	CancelStarted(ctx context.Context, parent string, kind job.Kind) error
}
