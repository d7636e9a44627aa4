package treesitter

import (
	sitter "github.com/smacker/go-tree-sitter"
	tsgo "github.com/smacker/go-tree-sitter/golang"
	tsjava "github.com/smacker/go-tree-sitter/java"
	tsjavascript "github.com/smacker/go-tree-sitter/javascript"
	tsphp "github.com/smacker/go-tree-sitter/php"
	tspython "github.com/smacker/go-tree-sitter/python"
	tsruby "github.com/smacker/go-tree-sitter/ruby"
	tsrust "github.com/smacker/go-tree-sitter/rust"
	tstsx "github.com/smacker/go-tree-sitter/typescript/tsx"
	tstypescript "github.com/smacker/go-tree-sitter/typescript/typescript"

	"witan.dev/services/parser/languages"
	"witan.dev/services/parser/languages/golang"
	"witan.dev/services/parser/languages/java"
	"witan.dev/services/parser/languages/javascript"
	"witan.dev/services/parser/languages/php"
	"witan.dev/services/parser/languages/python"
	"witan.dev/services/parser/languages/ruby"
	"witan.dev/services/parser/languages/rust"
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
		{java.Spec(), tsjava.GetLanguage},
		{javascript.Spec(), tsjavascript.GetLanguage},
		{php.Spec(), tsphp.GetLanguage},
		{python.Spec(), tspython.GetLanguage},
		{ruby.Spec(), tsruby.GetLanguage},
		{rust.Spec(), tsrust.GetLanguage},
		{tsx.Spec(), tstsx.GetLanguage},
		{typescript.Spec(), tstypescript.GetLanguage},
	}
}
