package structure

import (
	"strings"

	"witan.dev/internal/finding"
)

// arity says how a language treats a call whose arguments do not match.
type arity int

const (
	arityStrict  arity = iota // an error when compiling or running
	arityTooMany              // a missing argument is legal, a surplus one is a mistake
)

// A language is what the reviewer must know of one: how its text is cut and how much a broken reference weighs.
type language struct {
	name          string
	severity      finding.Severity // of a definition that is gone while references remain
	arity         arity
	quotes        string
	lineComments  []string
	blockComments bool
	triple        bool // """ strings
	rawBacktick   bool // ` strings without escapes
	lifetimes     bool // 'a is no string
	angle         bool // <…> may hold commas
	pipeLambda    bool // |a, b| may hold commas
	keywords      bool // name=value or name: value arguments
	overloads     bool // several definitions of one name are told apart by their parameters
	dynamic       bool // names are also bound at run time, by assignment or re-export
	typeFirst     bool // parameters are written Type name
	receiverNames []string
	packageScope  bool // a folder is one namespace
}

// languageOf returns the description of the language, ok false where the reviewer does not know it.
func languageOf(name string) (language, bool) {
	slashes := []string{"//"}
	switch strings.ToLower(name) {
	case "go":
		return language{name: "Go", severity: finding.SeverityHigh, quotes: "\"'`", lineComments: slashes, blockComments: true,
			rawBacktick: true, packageScope: true}, true
	case "typescript", "tsx":
		return language{name: "TypeScript", severity: finding.SeverityHigh, quotes: "\"'`", lineComments: slashes, blockComments: true,
			angle: true, overloads: true, dynamic: true, receiverNames: []string{"this"}}, true
	case "javascript", "jsx":
		return language{name: "JavaScript", severity: finding.SeverityMedium, arity: arityTooMany, quotes: "\"'`",
			lineComments: slashes, blockComments: true, dynamic: true}, true
	case "python":
		return language{name: "Python", severity: finding.SeverityMedium, quotes: "\"'", lineComments: []string{"#"}, triple: true,
			keywords: true, dynamic: true, receiverNames: []string{"self", "cls", "mcs"}}, true
	case "java":
		return language{name: "Java", severity: finding.SeverityHigh, quotes: "\"'", lineComments: slashes, blockComments: true, triple: true,
			angle: true, overloads: true, typeFirst: true}, true
	case "rust":
		return language{name: "Rust", severity: finding.SeverityHigh, quotes: "\"'", lineComments: slashes, blockComments: true,
			lifetimes: true, angle: true, pipeLambda: true}, true
	case "ruby":
		return language{name: "Ruby", severity: finding.SeverityMedium, quotes: "\"'`", lineComments: []string{"#"},
			pipeLambda: true, keywords: true, dynamic: true}, true
	case "php":
		return language{name: "PHP", severity: finding.SeverityMedium, quotes: "\"'", lineComments: []string{"//", "#"},
			blockComments: true, keywords: true, dynamic: true, typeFirst: true}, true
	default:
		return language{}, false
	}
}
