package retrieval

import (
	"crypto/sha256"
	"encoding/hex"
)

// Entry is one file of a tree as git lists it.
type Entry struct {
	// Path in the repository with slashes; a path that is not UTF-8 stands as git quotes it, in double quotes.
	Path string
	// Mode is git's file mode.
	Mode uint32
	// Blob is the object ID of the content.
	Blob string
	// Size in bytes.
	Size int64
}

// Modes of entries that are no files.
const (
	ModeSymlink   = 0o120000
	ModeSubmodule = 0o160000
)

// BlobKey addresses what is known of a content: the same blob under the same hint is parsed once.
type BlobKey struct {
	// Blob is the git object ID.
	Blob string
	// Hint is what its path says of its language; see HintOf.
	Hint string
}

// Kind says what a definition is; the numbers are those of witan.type.v1.SymbolKind.
type Kind uint8

// Kinds of definitions.
const (
	KindUnknown Kind = iota
	KindFunction
	KindMethod
	KindClass
	KindStruct
	KindInterface
	KindTrait
	KindEnum
	KindType
	KindConstant
	KindVariable
	KindField
	KindModule
	KindMacro
)

// Group joins kinds whose names compete with each other.
type Group uint8

// Groups of kinds.
const (
	GroupValue Group = iota
	GroupCallable
	GroupType
	GroupModule
)

// Group returns the group of k.
func (k Kind) Group() Group {
	switch k {
	case KindFunction, KindMethod, KindMacro:
		return GroupCallable
	case KindClass, KindStruct, KindInterface, KindTrait, KindEnum, KindType:
		return GroupType
	case KindModule:
		return GroupModule
	case KindUnknown, KindConstant, KindVariable, KindField:
		return GroupValue
	}
	return GroupValue
}

// Usage says how a reference uses a name.
type Usage uint8

// Usages of names; the numbers are those of the parser's Reference.Kind.
const (
	UsageUnknown Usage = iota
	UsageCall
	UsageType
	UsageImport
	UsageName
)

// String returns the name of u in messages.
func (u Usage) String() string {
	switch u {
	case UsageCall:
		return "CALL"
	case UsageType:
		return "TYPE"
	case UsageImport:
		return "IMPORT"
	case UsageName:
		return "NAME"
	case UsageUnknown:
	}
	return ""
}

// NoDefinition stands for "none" where an index into Parsed.Definitions is expected.
const NoDefinition = -1

// Lines is a range of lines, counted from 1, both inclusive.
type Lines struct{ Start, End int }

// Contains reports whether other lies inside l.
func (l Lines) Contains(other Lines) bool { return l.Start <= other.Start && other.End <= l.End }

// Overlaps reports whether the two share a line.
func (l Lines) Overlaps(other Lines) bool { return l.Start <= other.End && other.Start <= l.End }

// Definition is something that a file defines.
type Definition struct {
	Kind Kind
	// Name as written; Qualified with its containers ("Type.method").
	Name, Qualified string
	// Signature is the text up to the body, blanks collapsed.
	Signature string
	// Lines of the definition, NameLine that of its name.
	Lines    Lines
	NameLine int
	// Parent is the innermost definition around it, or NoDefinition; always smaller than its own index.
	Parent         int
	Exported, Test bool
}

// Reference is the use of a name that the file does not bind locally.
type Reference struct {
	Name  string
	Usage Usage
	Line  int
	// Enclosing is the innermost definition around it, or NoDefinition.
	Enclosing int
	// Qualifier is what stands before the name as written ("pkg" in pkg.F).
	Qualifier string
	// QualifierLocal means that the qualifier begins with a parameter or local variable, so it names no import.
	QualifierLocal bool
}

// Import is one imported module, package or file.
type Import struct {
	// Path as written.
	Path string
	// Alias under which the whole is bound, empty if none is written.
	Alias string
	// Names that are taken from it; the name "*" means all.
	Names []ImportedName
	Line  int
}

// ImportedName is one name taken from an import, and the name that it gets here if that differs.
type ImportedName struct{ Name, Alias string }

// Chunk is a part of a file that is stored and searched as one piece. The texts of a file's chunks, one after the
// other, are the file (invalid UTF-8 replaced).
type Chunk struct {
	Lines Lines
	// Definition that the chunk is or lies in, or NoDefinition.
	Definition int
	// Heading is the signature of that definition when the chunk does not hold its beginning.
	Heading string
	Text    string
	// Vector is the hashed vector of the chunk.
	Vector Quantised
}

// Parsed is what is known of one content.
type Parsed struct {
	BlobKey

	// Language in lower case, empty when unknown.
	Language string
	// Status is the parser's word for how far it came ("OK", "ERRORS", …).
	Status string
	// LeftOut is the reason why the content is no part of an index, or empty.
	LeftOut     string
	Bytes       int64
	ErrorShare  float64
	Definitions []Definition
	References  []Reference
	Imports     []Import
	Chunks      []Chunk
}

// StatusCrashed is the status of content that broke the parser's process twice.
const StatusCrashed = "CRASHED"

// File is one file of a view.
type File struct {
	// ID is the same in all views that hold this path with this content.
	ID int64
	// Parse is the number of its parse result.
	Parse    int64
	Path     string
	Language string
	Bytes    int64
	// Chunks is how many there are of its content.
	Chunks int
	// Key names content and path wherever they are kept.
	Key FileKey
}

// FileKey is a digest of a content, of the version of the parser that read it and of the path at which it lies: other
// than an ID it is the same in every database.
type FileKey [20]byte

// KeyOfFile returns the key of what a version of the parser made of a blob at a path.
func KeyOfFile(blob, version, path string) FileKey {
	sum := sha256.Sum256([]byte(blob + "\x00" + version + "\x00" + path))
	return FileKey(sum[:len(FileKey{})])
}

// String returns the key in hexadecimal digits.
func (k FileKey) String() string { return hex.EncodeToString(k[:]) }

// ParseFileKey reads what String wrote.
func ParseFileKey(text string) (k FileKey, ok bool) {
	n, err := hex.Decode(k[:], []byte(text)[:min(len(text), 2*len(k))])
	return k, err == nil && n == len(k) && len(text) == 2*len(k)
}

// ChunkNames returns the names under which a chunk is found: the definition that it is or lies in, and those that begin
// in it, each once, at most 64.
func ChunkNames(c Chunk, definitions []Definition) []string {
	var names []string
	if c.Definition >= 0 && c.Definition < len(definitions) {
		names = append(names, definitions[c.Definition].Qualified)
	}
	for i, d := range definitions {
		if i != c.Definition && c.Lines.Start <= d.NameLine && d.NameLine <= c.Lines.End && len(names) < 64 {
			names = append(names, d.Name)
		}
	}
	return names
}
