package parser

// ReferenceKind says how a name is used.
type ReferenceKind int

// Kinds of references, by rising precedence: where two apply to the same name, the later one holds.
const (
	ReferenceName ReferenceKind = iota + 1
	ReferenceType
	ReferenceCall
	ReferenceImport
)

// Reference is the use of a name that the file does not bind locally (parameters and local variables are left out).
type Reference struct {
	Name string
	Kind ReferenceKind
	// Range is the name alone.
	Range Range
	// Enclosing is the index of the innermost definition around it, or NoDefinition.
	Enclosing int
	// Qualifier is what stands before the name as written ("pkg" in pkg.F), at most MaxQualifier bytes.
	Qualifier string
	// QualifierLocal means that the qualifier begins with a parameter or local variable, so it names no import.
	QualifierLocal bool
	// Arguments of a call, nil for other references and for calls without an argument list.
	Arguments *Arguments
}

// Arguments describes the argument list of a call.
type Arguments struct {
	// Positional counts the arguments without a name; a spread one counts as none.
	Positional int
	// Keywords are the names of the named arguments in their order.
	Keywords []string
	// Spread means that a list or map is expanded, so the real number is not known.
	Spread bool
}

// Import is one imported module, package or file. Where Names are given, each is Path plus that name: "use a::b::C" in
// Rust has the path "a::b" and the name C.
type Import struct {
	// Path as written, without quotes and without the imported names.
	Path string
	// Alias under which the whole is bound, empty if none is written.
	Alias string
	// Names that are taken from it.
	Names []ImportedName
	// Wildcard means that all its names are taken.
	Wildcard bool
	Range    Range
}

// ImportedName is one name taken from an import, and the name it gets here if that differs.
type ImportedName struct {
	Name, Alias string
	Range       Range
}
