package parser

import (
	"context"
	"errors"

	"witan.dev/internal/apierr"
)

// Errors that callers of the service may see.
var (
	// ErrLanguageUnknown refuses a request that names a language without a grammar. A file whose language was detected is
	// never refused.
	ErrLanguageUnknown = apierr.Unimplemented(apierr.ReasonLanguageUnknown,
		"this parser has no grammar for the language; list the languages, or leave it empty")
	// ErrIDInvalid refuses a file of a stream whose ID is missing or still in flight.
	ErrIDInvalid = apierr.Invalid(apierr.ReasonInvalidRequest,
		"each file of a stream needs an ID that differs from those in flight")
)

// Errors of an [Extractor].
var (
	// ErrNoGrammar means that the extractor does not know the language.
	ErrNoGrammar = errors.New("no grammar for this language")
	// ErrTimeout means that the parse took longer than ParseTimeout.
	ErrTimeout = errors.New("parsing took too long")
)

// Detection is what is known of a file without parsing it.
type Detection struct {
	// Language in lower case, empty when unknown.
	Language string
	// Binary content is no text.
	Binary                              bool
	Generated, Vendored, LockFile, Test bool
}

// Detector names the language of a file. It must be safe for concurrent use.
type Detector interface {
	Detect(path string, content []byte) Detection
}

// Extraction is what an extractor read from a syntax tree.
type Extraction struct {
	Definitions []Definition
	References  []Reference
	Imports     []Import
	// Borders are places where oversized text may be cut, by rising offset.
	Borders []Border
	// Errors are ranges that do not fit the grammar, by rising offset, without overlap.
	Errors     []Range
	ErrorBytes int
	Truncated  bool
}

// Border is the start of a syntax node whose parent is too large for one chunk. Depth counts the nodes around it: the
// smaller, the better a cut there.
type Border struct{ Offset, Depth int }

// Source is one file in a known language.
type Source struct {
	Language string
	Path     string
	Content  []byte
	Lines    *Lines
	// References asks for references too; without them an extractor may save work.
	References bool
}

// Extractor reads the syntax tree of files of at most MaxContent bytes. It must be safe for concurrent use.
type Extractor interface {
	// Languages lists what it knows, by name.
	Languages() []Language
	// Extract returns ErrNoGrammar or ErrTimeout where they apply, and the context's error when that ends before the work
	// began; a file that was begun is finished. It may panic on hostile content; nothing of that file is kept then, and
	// the next call works.
	Extract(ctx context.Context, source Source) (Extraction, error)
}
