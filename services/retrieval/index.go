package retrieval

import "time"

// ID names an index; the job that computes it bears the same.
type ID string

// State says whether an index can be read.
type State string

// The states of an index. A BUILDING index whose job has ended without success stays as it is and is never read; the
// next request for the same tree makes a new one.
const (
	// Building means that the job has not activated the index.
	Building State = "BUILDING"
	// Ready means that the whole view is visible.
	Ready State = "READY"
)

// Source names a tree: in a git repository on this machine, or in a snapshot.
type Source struct {
	// Snapshot is the SHA-256 of a blob of Owner, in hexadecimal digits; empty for a tree of a repository. See package
	// snapshot for what it holds.
	Snapshot string `json:"snapshot,omitempty"`
	Owner    string `json:"owner,omitempty"`
	// Dir is the absolute path of the work tree or of the git directory.
	Dir string `json:"dir"`
	// ObjectDirs are absolute paths of further object directories that hold objects of the tree.
	ObjectDirs []string `json:"object_dirs,omitempty"`
	// ObjectID is the full hexadecimal ID of a commit or a tree.
	ObjectID string `json:"object_id"`
}

// Index is the index of one tree of a repository.
type Index struct {
	ID ID
	// Owner is the caller who asked for it; nobody else sees it.
	Owner string
	// Repository is the same for all indexes of one repository, wherever its clones lie.
	Repository string
	Source     Source
	// Tree is the object ID of the tree, whatever the source named.
	Tree string
	// Base is the index that the caller named as the one before, or empty.
	Base ID
	// Version names the rules under which files were parsed and joined; another version is another index.
	Version string
	State   State
	Counts  Counts
	// Partial means that a limit left files out.
	Partial bool
	Labels  map[string]string
	// CreatedAt is when it was asked for, ActivatedAt when it became readable.
	CreatedAt, ActivatedAt time.Time
}

// Counts says what an index holds.
type Counts struct {
	Files       int64            `json:"files"`
	Bytes       int64            `json:"bytes"`
	Chunks      int64            `json:"chunks"`
	Definitions int64            `json:"definitions"`
	References  int64            `json:"references"`
	Edges       map[string]int64 `json:"edges,omitempty"`
	LeftOut     map[string]int64 `json:"left_out,omitempty"`
	// Parsed is how many files were parsed for this index; the others were known by their content.
	Parsed int64 `json:"parsed"`
}

// Version of the rules that join references to definitions and cut files out of a view. Together with the parser's
// version it says whether an index still is what the same tree would give.
const Version = "1"

// Limits of one index.
const (
	// MaxFiles and MaxBytes bound the files that are read; beyond them the index is partial.
	MaxFiles = 50_000
	MaxBytes = 500 << 20
	// MaxFileBytes is the largest file that is read.
	MaxFileBytes = 1 << 20
	// MaxTreeEntries bounds the listing of a tree; a larger tree is refused.
	MaxTreeEntries = 1_000_000
)

// Reasons for leaving a file out of an index.
const (
	LeftOutBinary    = "BINARY"
	LeftOutVendored  = "VENDORED"
	LeftOutGenerated = "GENERATED"
	LeftOutLockFile  = "LOCKFILE"
	LeftOutTooLarge  = "TOO_LARGE"
	LeftOutSymlink   = "SYMLINK"
	LeftOutSubmodule = "SUBMODULE"
	LeftOutLimit     = "LIMIT"
	LeftOutMissing   = "MISSING"
	LeftOutCrashed   = "CRASHED"
)
