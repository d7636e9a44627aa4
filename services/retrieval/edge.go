package retrieval

// Grade says how sure it is that a reference means a definition; larger is surer. The numbers are those of
// witan.type.v1.Grade.
type Grade uint8

// Grades of edges.
const (
	GradeNone Grade = iota
	// GradeAmbiguous means that several definitions bear the name. Context only.
	GradeAmbiguous
	// GradeUnique means the only definition of that name and group in the repository's language.
	GradeUnique
	// GradeImported means that the qualifier, the imported name or the package resolves, by the rules of the language, to
	// what defines it.
	GradeImported
	// GradeSameFile means defined in the same file, in scope.
	GradeSameFile
)

// String returns the name of g in messages.
func (g Grade) String() string {
	switch g {
	case GradeAmbiguous:
		return "AMBIGUOUS"
	case GradeUnique:
		return "UNIQUE"
	case GradeImported:
		return "IMPORTED"
	case GradeSameFile:
		return "SAME_FILE"
	case GradeNone:
	}
	return ""
}

// Edge joins a reference to a definition. Read from the side of the reference, From counts the references of its file
// and File and To name the definition; read from the side of the definition, From counts the definitions and File and
// To name the reference.
type Edge struct {
	From  int
	File  int64
	To    int
	Grade Grade
}

// MaxCandidates bounds the edges of one ambiguous reference; the nearest paths come first.
const MaxCandidates = 20

// FileEdges are the edges of one file, each list ordered by From.
type FileEdges struct {
	// Outgoing edges begin at the references in the file.
	Outgoing []Edge
	// Incoming edges end at the definitions in the file.
	Incoming []Edge
}
