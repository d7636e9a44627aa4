package parser

// Status says how far the parse of a file got. Whatever it is, the rest of the result holds what is known.
type Status int

// Statuses of a result.
const (
	// StatusUnknown is the zero value; no result has it.
	StatusUnknown Status = iota
	// StatusOK means that the whole file was understood.
	StatusOK
	// StatusErrors means that parts of the file do not fit the grammar; Result.Errors names them.
	StatusErrors
	// StatusTruncated means that a limit cut the result.
	StatusTruncated
	// StatusTimeout means that parsing was given up after ParseTimeout.
	StatusTimeout
	// StatusTooLarge means more than MaxContent bytes.
	StatusTooLarge
	// StatusNoGrammar means that there is no grammar for the language.
	StatusNoGrammar
	// StatusBinary means that the content is no text.
	StatusBinary
	// StatusCrashed means that extraction panicked on this file.
	StatusCrashed
)

// Want selects what a request asks for. The zero value asks for everything but chunks.
type Want struct{ Definitions, References, Imports, Chunks bool }

// Request is one file to parse.
type Request struct {
	// Path relative to its repository; only its name is read. It may be empty when Language is given.
	Path    string
	Content []byte
	// Language by its name in [Language]; empty to detect it.
	Language string
	Want     Want
	// Enclosing asks for the definitions around these lines.
	Enclosing []LineRange
}

// Result is what is known of one file. Texts are valid UTF-8, ranges are exact bytes of the content as it was given.
type Result struct {
	// SHA256 of the content, in hexadecimal.
	SHA256 string
	// Language that was used or detected, empty when unknown.
	Language string
	Status   Status
	// Definitions in the order of their start; a definition comes before what it contains. Where they are not wanted,
	// the indexes of the other lists are NoDefinition.
	Definitions []Definition
	// References in the order of their start.
	References []Reference
	Imports    []Import
	// Chunks cover the content exactly once, in order.
	Chunks []Chunk
	// Enclosing answers Request.Enclosing, in its order.
	Enclosing []Enclosing
	// ErrorShare is the share of bytes that do not fit the grammar, 0 to 1; Errors are their ranges.
	ErrorShare float64
	Errors     []Range
	// Generated, Vendored, LockFile and Test are judgements by path and content.
	Generated, Vendored, LockFile, Test bool
}

// Language is a language that the parser can name.
type Language struct {
	// Name in lower case: "go", "typescript", "tsx". Title is the name for people.
	Name, Title string
	// Tier 1 languages give everything.
	Tier int
	// Extensions with their dot, sorted.
	Extensions []string
}

// orDefault is what the zero value stands for.
func (w Want) orDefault() Want {
	if w == (Want{}) {
		return Want{Definitions: true, References: true, Imports: true}
	}
	return w
}
