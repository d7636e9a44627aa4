package retrieval

import (
	"context"
	"time"

	"witan.dev/internal/job"
)

// ListQuery selects indexes of an owner, newest first.
type ListQuery struct {
	Owner string
	// Repository selects one repository; empty selects all.
	Repository string
	// Limit is the largest number of indexes, from 1.
	Limit int
	// BeforeTime and BeforeID are the last index of the page before; zero for the first page.
	BeforeTime time.Time
	BeforeID   ID
}

// Catalog keeps the rows of indexes. Safe for concurrent use.
type Catalog interface {
	// Insert adds an index in the transaction that creates its job.
	Insert(ctx context.Context, tx job.Tx, index Index) error
	// Get returns ErrIndexNotFound for an unknown index. Whose it is, the caller checks.
	Get(ctx context.Context, id ID) (Index, error)
	// List returns a page.
	List(ctx context.Context, query ListQuery) ([]Index, error)
	// Same returns the owner's indexes of a tree under a version, ready ones first, then newest first.
	Same(ctx context.Context, owner, tree, version string) ([]Index, error)
	// Delete removes an index with its view, in the transaction that deletes its job. What is not there is no error.
	Delete(ctx context.Context, tx job.Tx, id ID) error
	// Collect looks at most at n contents that removed indexes named, removes those that nothing else names, no view and
	// no stage, and returns how many it looked at. 0 means that nothing is left to look at.
	Collect(ctx context.Context, n int) (int, error)
}

// Staged is one file of a build.
type Staged struct {
	BlobKey

	Path string
	Size int64
	// Parsed means that the content is known.
	Parsed bool
}

// Staging is what a build has to do.
type Staging struct {
	// Files to go into the view, and those of them that are not yet known at their path.
	Files, New int
	// Batches to parse, each of at most BatchFiles files.
	Batches int
}

// BatchFiles is how many files are parsed under one stored result.
const BatchFiles = 200

// Fence runs fn in a transaction that commits only while the caller's execution owns the job; see job.Run.Commit.
type Fence func(ctx context.Context, fn func(ctx context.Context, tx job.Tx) error) error

// Builds keeps indexes while they are built. Everything may be written again with the same effect. What is addressed by
// content needs no fence, whoever writes it; what belongs to one index is written behind the fence of its job. Safe for
// concurrent use.
type Builds interface {
	// Stage replaces what the index is made of. version is the parser's: results of another one are not used.
	Stage(ctx context.Context, fence Fence, id ID, version string, files []Entry) (Staging, error)
	// Batch returns the files of a batch, counted from 0, that are not known at their path.
	Batch(ctx context.Context, id ID, version string, batch int) ([]Staged, error)
	// BeginParsing writes down that a build is parsing contents and returns how often it began that before and never
	// ended it: 0, 1 in company, 2 alone. The three do not change by being read: BeginAlone marks one that is parsed by
	// itself. Other builds may be parsing the same contents at this moment, here or elsewhere; they count for themselves.
	BeginParsing(ctx context.Context, id ID, version string, keys []BlobKey) (map[BlobKey]int, error)
	// BeginAlone writes down that a content is parsed by itself.
	BeginAlone(ctx context.Context, id ID, version string, key BlobKey) error
	// EndParsing takes back what BeginParsing wrote down, for contents that were not parsed after all.
	EndParsing(ctx context.Context, id ID, version string, keys []BlobKey) error
	// PutParsed stores results and ends their parsing by any build. A result that is there already stays.
	PutParsed(ctx context.Context, version string, results []Parsed) error
	// PutFiles makes known contents known at their paths.
	PutFiles(ctx context.Context, version string, files []Staged) error
	// StagedView returns the files of the build that belong into the view, ordered by path, and how many were left out for
	// what they contain, by reason.
	StagedView(ctx context.Context, id ID, version string) ([]File, map[string]int64, error)
	// CountChunks returns the chunks of the build's files, and those of them in files that were new.
	CountChunks(ctx context.Context, id ID, version string) (all, fresh int64, err error)
	// PutEdges stores the edges of files. Those that were stored before are replaced.
	PutEdges(ctx context.Context, fence Fence, id ID, edges map[int64]FileEdges) error
	// PutRarity stores how rare each gram is in the view.
	PutRarity(ctx context.Context, fence Fence, id ID, rarity Rarity) error
	// Activate makes the view visible in the transaction that ends the job.
	Activate(ctx context.Context, tx job.Tx, a Activation) error
}

// Activation is what becomes visible with a view.
type Activation struct {
	Index   ID
	Version string
	Counts  Counts
	Partial bool
	At      time.Time
}

// DefinitionAt names a definition by its place.
type DefinitionAt struct {
	Parse   int64
	Ordinal int
}

// Codes reads what is known of contents. Safe for concurrent use.
type Codes interface {
	// Definitions, References and Imports of a content.
	Definitions(ctx context.Context, parse int64) ([]Definition, error)
	References(ctx context.Context, parse int64) ([]Reference, error)
	Imports(ctx context.Context, parse int64) ([]Import, error)
	// Chunks of a content with their texts.
	Chunks(ctx context.Context, parse int64) ([]Chunk, error)
	// Vectors calls each with the vectors of the chunks of a content, in order.
	Vectors(ctx context.Context, parses []int64, each func(parse int64, vectors []Quantised) error) error
	// Named returns the definitions of a name in all contents.
	Named(ctx context.Context, name string) ([]DefinitionAt, error)
}

// Views reads ready indexes. Safe for concurrent use.
type Views interface {
	// Files of a view, ordered by path.
	Files(ctx context.Context, id ID) ([]File, error)
	// ScopeFiles are the files that any view or build of a repository names, each once.
	ScopeFiles(ctx context.Context, scope Scope) ([]File, error)
	// Edges of a file; none is no error.
	Edges(ctx context.Context, id ID, file int64) (FileEdges, error)
	// Rarity of grams in the view.
	Rarity(ctx context.Context, id ID) (Rarity, error)
}

// TextIndex is the text index that lies beside the rows of a store: PutFiles fills it, Collect empties it. Safe for concurrent
// use.
type TextIndex interface {
	// Lexical calls each with the chunks of all files that hold any of the terms, best first, until it returns false.
	Lexical(ctx context.Context, terms []string, each func(ChunkRef) bool) error
}
