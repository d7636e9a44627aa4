package retrieval

import (
	"context"
	"errors"
)

// ErrRankingsAway: the index that ranks chunks does not answer, or lacks what it should hold. It may be back later.
var ErrRankingsAway = errors.New("retrieval: the search index does not answer")

// Scope is a repository of an owner. Who searches one finds nothing of another.
type Scope struct{ Owner, Repository string }

// Asked says of what a ranking is made.
type Asked struct {
	View *View
	// Wanted says which files of the view count; nil means all.
	Wanted func(File) bool
	// Languages and Kinds say the same as far as they go, for indexes that can leave the others out sooner. What is in
	// the ranking may still be of others.
	Languages []string
	Kinds     []Kind
	// Depth is the largest number of chunks, from 1.
	Depth int
}

// Wants reports whether chunks of a file belong into the ranking.
func (a Asked) Wants(f File) bool { return a.Wanted == nil || a.Wanted(f) }

// Scored is a chunk with its score in one ranking; larger is better, and nothing else is promised of it.
type Scored struct {
	ChunkRef

	Score float64
}

// Rankings is an index that ranks chunks by their words and by their vectors. All its methods return errors that wrap
// ErrRankingsAway where they apply. Safe for concurrent use.
type Rankings interface {
	// Put makes the chunks of files findable in a scope and returns how many were written; those that are there already
	// are not written again. After an error some may be there.
	Put(ctx context.Context, scope Scope, files []File) (written int64, err error)
	// Delete takes files out of a scope. What is not there is no error.
	Delete(ctx context.Context, scope Scope, files []FileKey) error
	// Files lists what a scope has, each file once, in any order.
	Files(ctx context.Context, scope Scope) ([]FileKey, error)
	// Holds reports whether all chunks of the files are findable in a scope.
	Holds(ctx context.Context, scope Scope, files []File) (bool, error)
	// Lexical ranks the chunks of the wanted files that hold any of the terms, best first.
	Lexical(ctx context.Context, asked Asked, terms []string) ([]Scored, error)
	// Dense ranks the chunks of the wanted files by their likeness to a vector, -1 to 1; those that are not like it at all
	// are left out.
	Dense(ctx context.Context, asked Asked, vector *Vector) ([]Scored, error)
}
