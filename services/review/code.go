package review

import "strings"

// SymbolKind says what a definition is. The values are the names of witan.type.v1.SymbolKind without the prefix.
type SymbolKind string

// The kinds that the review tells apart. A kind that the parser knows and this list does not is passed through as it
// is and treated like no kind in particular.
const (
	KindFunction  SymbolKind = "FUNCTION"
	KindMethod    SymbolKind = "METHOD"
	KindClass     SymbolKind = "CLASS"
	KindStruct    SymbolKind = "STRUCT"
	KindInterface SymbolKind = "INTERFACE"
	KindTrait     SymbolKind = "TRAIT"
	KindEnum      SymbolKind = "ENUM"
	KindType      SymbolKind = "TYPE"
	KindConstant  SymbolKind = "CONSTANT"
	KindVariable  SymbolKind = "VARIABLE"
	KindField     SymbolKind = "FIELD"
	KindModule    SymbolKind = "MODULE"
	KindMacro     SymbolKind = "MACRO"
)

// Callable says whether definitions of this kind take arguments.
func (k SymbolKind) Callable() bool { return k == KindFunction || k == KindMethod }

// Span is a stretch of a file: bytes from Start up to but not including End, and the 1-based lines that they touch.
type Span struct {
	StartByte int `json:"start_byte"`
	EndByte   int `json:"end_byte"`
	StartLine int `json:"start_line"`
	EndLine   int `json:"end_line"`
}

// Overlaps says whether the two spans share a line.
func (s Span) Overlaps(o Span) bool { return s.StartLine <= o.EndLine && o.StartLine <= s.EndLine }

// Definition is a named thing that a file defines.
type Definition struct {
	Kind          SymbolKind `json:"kind"`
	Name          string     `json:"name"`
	QualifiedName string     `json:"qualified_name"`
	Signature     string     `json:"signature"` // text up to the body, blanks collapsed
	Doc           string     `json:"doc,omitempty"`
	Span          Span       `json:"span"`      // without doc and decorators
	FullSpan      Span       `json:"full_span"` // with them
	NameSpan      Span       `json:"name_span"`
	Parent        int        `json:"parent"` // index of the containing definition in the same file, -1 at top level
	Exported      bool       `json:"exported"`
	Test          bool       `json:"test"`
	// Parameters of a callable, the receiver (self, this) left out.
	Parameters []Parameter `json:"parameters,omitempty"`
}

// Parameter is one parameter of a callable.
type Parameter struct {
	Name        string `json:"name,omitempty"`
	Optional    bool   `json:"optional,omitempty"`     // a call may leave it out
	Variadic    bool   `json:"variadic,omitempty"`     // it takes any number of arguments
	KeywordOnly bool   `json:"keyword_only,omitempty"` // it is given by name only
}

// UnknownArguments is the count of arguments that cannot be told: some are spread, or the reference is no call.
const UnknownArguments = -1

// ReferenceKind says how a name is used.
type ReferenceKind string

// The kinds of reference.
const (
	ReferenceCall   ReferenceKind = "CALL"
	ReferenceType   ReferenceKind = "TYPE"
	ReferenceImport ReferenceKind = "IMPORT"
	ReferenceName   ReferenceKind = "NAME"
)

// Reference is one use of a name.
type Reference struct {
	Kind      ReferenceKind `json:"kind"`
	Name      string        `json:"name"`
	Qualifier string        `json:"qualifier,omitempty"` // as written: pkg in pkg.F
	Span      Span          `json:"span"`                // the name alone
	// Arguments counts those that a call passes by position, UnknownArguments where that cannot be told.
	Arguments     int      `json:"arguments"`
	ArgumentNames []string `json:"argument_names,omitempty"` // of those that it passes by name
}

// ImportedName is one name that an import binds.
type ImportedName struct {
	Name  string `json:"name"`
	Alias string `json:"alias,omitempty"`
}

// Import is one import as written.
type Import struct {
	Path  string         `json:"path"`
	Alias string         `json:"alias,omitempty"`
	Names []ImportedName `json:"names,omitempty"`
	Span  Span           `json:"span"`
}

// ParseStatus says how far the parser got with a file.
type ParseStatus string

// The statuses after which definitions are usable; every other one means that the file has none.
const (
	ParseOK        ParseStatus = "OK"
	ParseErrors    ParseStatus = "ERRORS"
	ParseTruncated ParseStatus = "TRUNCATED"
	ParseNoGrammar ParseStatus = "NO_GRAMMAR"
)

// Code is what the parser says of one file.
type Code struct {
	Path        string       `json:"path"`
	Language    string       `json:"language"`
	Status      ParseStatus  `json:"status"`
	Definitions []Definition `json:"definitions,omitempty"`
	References  []Reference  `json:"references,omitempty"`
	Imports     []Import     `json:"imports,omitempty"`
	Errors      []Span       `json:"errors,omitempty"` // stretches that the grammar did not understand
	Generated   bool         `json:"generated"`
	Vendored    bool         `json:"vendored"`
	Test        bool         `json:"test"`
}

// Usable says whether the file's definitions and references can be relied on at all.
func (c *Code) Usable() bool {
	return c != nil && (c.Status == ParseOK || c.Status == ParseErrors)
}

// Broken says whether the grammar failed over any line of the span.
func (c *Code) Broken(s Span) bool {
	for _, e := range c.Errors {
		if e.Overlaps(s) {
			return true
		}
	}
	return false
}

// Enclosing returns the index of the innermost definition that contains the whole line range, or -1.
func (c *Code) Enclosing(startLine, endLine int) int {
	best := -1
	for i := range c.Definitions {
		d := &c.Definitions[i]
		if d.FullSpan.StartLine > startLine || d.FullSpan.EndLine < endLine {
			continue
		}
		if best < 0 || smaller(d.FullSpan, c.Definitions[best].FullSpan) {
			best = i
		}
	}
	return best
}

func smaller(a, b Span) bool {
	return a.EndByte-a.StartByte <= b.EndByte-b.StartByte
}

// Grade says how sure the index is that a reference means a definition.
type Grade string

// The grades, best first. Only the first three may carry a finding.
const (
	GradeSameFile  Grade = "SAME_FILE"
	GradeImported  Grade = "IMPORTED"
	GradeUnique    Grade = "UNIQUE"
	GradeAmbiguous Grade = "AMBIGUOUS"
)

// Firm says whether the grade follows from the language's own rules and not from the name being rare.
func (g Grade) Firm() bool { return g == GradeSameFile || g == GradeImported }

// Certain says whether a finding may rest on the grade.
func (g Grade) Certain() bool { return g.Firm() || g == GradeUnique }

// Place is a range of lines in a file. Name narrows it to one name on these lines; empty means all of them.
type Place struct {
	Path      string `json:"path"`
	StartLine int    `json:"start_line"`
	EndLine   int    `json:"end_line"`
	Name      string `json:"name,omitempty"`
}

// Relation is what is asked of the code graph.
type Relation string

// The relations.
const (
	RelationDefinition Relation = "DEFINITION"
	RelationCallers    Relation = "CALLERS"
	RelationTests      Relation = "TESTS"
	RelationSimilar    Relation = "SIMILAR"
)

// Piece is one answer of the code graph.
type Piece struct {
	Relation Relation `json:"relation"`
	Grade    Grade    `json:"grade"`
	Place    Place    `json:"place"` // its Name is the bare name that is defined or used there
	Symbol   string   `json:"symbol,omitempty"`
	Text     string   `json:"text,omitempty"`
	Why      string   `json:"why,omitempty"`
}

// Related is what the code graph answers.
type Related struct {
	Pieces []Piece
	// Degraded says in words why there may be more than what was found, whatever was asked for; empty: there is not.
	Degraded string
}

// Symbol is the definition's qualified name with its kind, as findings and anchors show it.
func (d *Definition) Symbol() string {
	return strings.ToLower(string(d.Kind)) + " " + d.QualifiedName
}

// Named returns the first definition with the qualified name, or nil.
func (c *Code) Named(qualified string) *Definition {
	if c == nil {
		return nil
	}
	for i := range c.Definitions {
		if c.Definitions[i].QualifiedName == qualified {
			return &c.Definitions[i]
		}
	}
	return nil
}
