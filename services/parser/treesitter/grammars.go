package treesitter

import (
	sitter "github.com/smacker/go-tree-sitter"
	tsgo "github.com/smacker/go-tree-sitter/golang"
	tsjavascript "github.com/smacker/go-tree-sitter/javascript"
	tspython "github.com/smacker/go-tree-sitter/python"
	tstsx "github.com/smacker/go-tree-sitter/typescript/tsx"
	tstypescript "github.com/smacker/go-tree-sitter/typescript/typescript"

	"witan.dev/services/parser/languages"
	"witan.dev/services/parser/languages/golang"
	"witan.dev/services/parser/languages/javascript"
	"witan.dev/services/parser/languages/python"
	"witan.dev/services/parser/languages/tsx"
	"witan.dev/services/parser/languages/typescript"
)

type entry struct {
	spec    languages.Spec
	grammar func() *sitter.Language
}

// entries is the list of languages. A new one is its folder below languages and a line here.
func entries() []entry {
	return []entry{
		{golang.Spec(), tsgo.GetLanguage},
		{javascript.Spec(), tsjavascript.GetLanguage},
		{python.Spec(), tspython.GetLanguage},
		{tsx.Spec(), tstsx.GetLanguage},
		{typescript.Spec(), tstypescript.GetLanguage},
	}
}
