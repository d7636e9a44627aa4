// Package javascript describes JavaScript to the parser, JSX included.
package javascript

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

// Spec returns the description of JavaScript.
func Spec() languages.Spec {
	return ecmascript.Spec("javascript", "JavaScript", []string{".js", ".jsx", ".mjs", ".cjs"}, ecmascript.Queries{
		Definitions: definitions, References: references, Imports: imports, JSX: true,
	})
}
