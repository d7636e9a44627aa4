package treesitter

import (
	sitter "github.com/smacker/go-tree-sitter"
	tsgo "github.com/smacker/go-tree-sitter/golang"
	tspython "github.com/smacker/go-tree-sitter/python"

	"witan.dev/services/parser/languages"
	"witan.dev/services/parser/languages/golang"
	"witan.dev/services/parser/languages/python"
)

type entry struct {
	spec    languages.Spec
	grammar func() *sitter.Language
}

// entries is the list of languages. A new one is its folder below languages and a line here.
func entries() []entry {
	return []entry{
		{golang.Spec(), tsgo.GetLanguage},
		{python.Spec(), tspython.GetLanguage},
	}
}
