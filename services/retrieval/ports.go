package retrieval

import (
	"context"
)

// Resolved is what a source names.
type Resolved struct {
	// Tree is the object ID of the tree.
	Tree string
	// Repository is the identity of the repository: the same for each of its clones.
	Repository string
}

// Trees reads repositories. Safe for concurrent use.
type Trees interface {
	// Resolve returns ErrNotARepository or ErrRevisionUnknown where they apply.
	Resolve(ctx context.Context, source Source) (Resolved, error)
	// List calls each with every entry of a tree in the order of git, and stops at its first error.
	List(ctx context.Context, source Source, tree string, each func(Entry) error) error
	// OpenBlobs returns a reader that belongs to one goroutine.
	OpenBlobs(ctx context.Context, source Source) (Blobs, error)
}

// Blobs reads contents, one after the other.
type Blobs interface {
	// Read returns ErrBlobMissing or ErrBlobTooLarge where they apply; any other error ends the reader.
	Read(id string, limit int64) ([]byte, error)
	Close() error
}

// Content is one content to parse.
type Content struct {
	BlobKey

	// Path is one path of the content.
	Path  string
	Bytes []byte
}

// Parser parses contents. Safe for concurrent use.
type Parser interface {
	// Version changes whenever the same content would be parsed differently.
	Version(ctx context.Context) (string, error)
	// Parse calls done with the result of every content, in any order, from one goroutine. A content that cannot be
	// parsed has a result that says so; an error means that the parser did not answer, or is the first error of done.
	Parse(ctx context.Context, contents []Content, done func(Parsed) error) error
}
