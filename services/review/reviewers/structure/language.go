package structure

import (
	"strings"

	"witan.dev/internal/finding"
)

// A language is what the reviewer must know of one.
type language struct {
	name     string
	severity finding.Severity // of what is gone or changed while uses remain
	// surplusOnly: a missing argument is legal, a surplus one is a mistake.
	surplusOnly bool
	// overloads: several definitions of one name are told apart by their parameters.
	overloads bool
	// dynamic: names are also bound by assignment, so any mention of one may define it.
	dynamic bool
	// packageScope: the files of a folder share one namespace.
	packageScope bool
	// relativeImports: files of the repository are imported by their place relative to the importing one.
	relativeImports bool
}

// languageOf returns the description of the language, ok false where the reviewer does not know it.
func languageOf(name string) (language, bool) {
	switch strings.ToLower(name) {
	case "go":
		return language{name: "Go", severity: finding.SeverityHigh, packageScope: true}, true
	case "typescript", "tsx":
		return language{name: "TypeScript", severity: finding.SeverityHigh, overloads: true, dynamic: true, relativeImports: true}, true
	case "javascript", "jsx":
		return language{name: "JavaScript", severity: finding.SeverityMedium, surplusOnly: true, dynamic: true, relativeImports: true}, true
	case "python":
		return language{name: "Python", severity: finding.SeverityMedium, dynamic: true}, true
	case "java":
		return language{name: "Java", severity: finding.SeverityHigh, overloads: true}, true
	case "rust":
		return language{name: "Rust", severity: finding.SeverityHigh}, true
	case "ruby":
		return language{name: "Ruby", severity: finding.SeverityMedium, dynamic: true}, true
	case "php":
		return language{name: "PHP", severity: finding.SeverityMedium, dynamic: true}, true
	default:
		return language{}, false
	}
}
