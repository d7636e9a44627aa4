package parser

import "time"

// Limits of one file. A result that was cut by one of them has the status [StatusTruncated].
const (
	// MaxContent is the largest content that is parsed, in bytes. Larger files get line chunks and [StatusTooLarge].
	MaxContent = 1 << 20
	// MaxDefinitions is the largest number of definitions in a result.
	MaxDefinitions = 20_000
	// MaxReferences is the largest number of references in a result.
	MaxReferences = 200_000
	// MaxImports is the largest number of imports in a result.
	MaxImports = 10_000
	// MaxChunks is the largest number of chunks in a result; the last one then holds the rest of the file.
	MaxChunks = 10_000
	// MaxErrors is the largest number of ranges with syntax errors that a result lists. The share counts all of them.
	MaxErrors = 1_000
	// MaxEnclosing is the largest number of line ranges that one request may ask about.
	MaxEnclosing = 10_000
	// ParseTimeout bounds the parse of one file, and again the reading of its tree.
	ParseTimeout = 2 * time.Second
	// MaxInFlight is the number of files of one ParseMany stream that are worked on at the same time.
	MaxInFlight = 64
)

// Lengths of texts in results, in bytes. Longer ones are cut at a character.
const (
	MaxName      = 512
	MaxSignature = 4 << 10
	MaxDoc       = 16 << 10
	MaxQualifier = 256
)

// A result has at most about maxResultBytes, so that it fits into one message. The other two are what an entry takes
// beside its texts.
const (
	maxResultBytes  = 12 << 20
	definitionBytes = 80
	referenceBytes  = 40
)

// Sizes of chunks.
const (
	maxChunkLines = 120
	maxChunkBytes = 6_000
	// A piece below smallChunkLines is joined with small neighbours until joinedChunkLines are reached.
	smallChunkLines  = 8
	joinedChunkLines = 60
)

// ExtractorVersion names the rules that produced a result. It changes when the same content would give another one, so
// that stored results can be told apart.
const ExtractorVersion = "1"
