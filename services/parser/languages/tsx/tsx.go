// Package tsx describes TypeScript with JSX to the parser. It is a language of its own, since its grammar reads some
// type assertions of TypeScript as tags.
package tsx

import (
	"witan.dev/services/parser/languages"
	"witan.dev/services/parser/languages/ecmascript"
	"witan.dev/services/parser/languages/typescript"
)

// Spec returns the description of TSX: the queries of TypeScript and those for tags.
func Spec() languages.Spec {
	queries := typescript.Queries()
	queries.JSX = true
	return ecmascript.Spec("tsx", "TSX", []string{".tsx"}, queries)
}
