// Package typescript describes TypeScript to the parser.
package typescript

import (
	_ "embed" // for the queries

	"witan.dev/services/parser/languages"
	"witan.dev/services/parser/languages/ecmascript"
)

//go:embed definitions.scm
var definitions string

//go:embed references.scm
var references string

//go:embed imports.scm
var imports string

// Spec returns the description of TypeScript.
func Spec() languages.Spec {
	return ecmascript.Spec("typescript", "TypeScript", []string{".ts", ".mts", ".cts"}, Queries())
}

// Queries returns what TypeScript adds to ECMAScript, for its dialects.
func Queries() ecmascript.Queries {
	return ecmascript.Queries{Definitions: definitions, References: references, Imports: imports}
}
