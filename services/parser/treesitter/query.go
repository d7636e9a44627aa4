package treesitter

import (
	"fmt"
	"strings"
	"sync"

	sitter "github.com/smacker/go-tree-sitter"

	"witan.dev/services/parser"
	"witan.dev/services/parser/languages"
)

// role is what a capture stands for.
type role int

// Roles below roleMarks are parts of a match, the others mean something by themselves.
const (
	roleDefinition role = iota
	roleScope
	roleName
	roleParameters
	roleBody
	roleDoc
	roleReceiver
	roleModifiers
	roleReference
	roleQualifier
	roleArguments
	roleLocal
	roleDeclaration
	roleMarks
	roleOuter
	roleComment
	roleAttribute
	roleDecorator
	roleExported
	roleExports
	roleHoisted
	roleGlobal
	roleBlock
	roleImport
	roleOpaque
	roleIgnore
)

type capture struct {
	role      role
	kind      parser.Kind
	reference parser.ReferenceKind
}

// query is a compiled query with what its captures mean. It may be shared by goroutines: the library does not change it.
type query struct {
	compiled *sitter.Query
	captures []capture // by capture index
}

// language is one grammar with its rules. Queries are compiled at first use, since that takes up to 100 ms for each.
type language struct {
	languages.Spec
	grammar *sitter.Language
	types   []string // names of node types by symbol
	atoms   map[string]bool
	full    func() (*query, error)
	lean    func() (*query, error) // without references
}

func newLanguage(e entry) *language {
	l := &language{Spec: e.spec, grammar: e.grammar(), atoms: make(map[string]bool)}
	for i := range l.grammar.SymbolCount() {
		l.types = append(l.types, l.grammar.SymbolName(sitter.Symbol(i)))
	}
	for _, atom := range e.spec.Atoms {
		l.atoms[atom] = true
	}
	l.full = sync.OnceValues(func() (*query, error) {
		return compile(l.grammar, l.Name, l.Spec.Definitions, l.Spec.Imports, l.References)
	})
	l.lean = sync.OnceValues(func() (*query, error) {
		return compile(l.grammar, l.Name, l.Spec.Definitions, l.Spec.Imports)
	})
	return l
}

// nodeType names a node's type without a copy out of C.
func (l *language) nodeType(n *sitter.Node) string {
	if symbol := int(n.Symbol()); symbol < len(l.types) {
		return l.types[symbol]
	}
	return "ERROR"
}

func compile(grammar *sitter.Language, name string, parts ...string) (*query, error) {
	compiled, err := sitter.NewQuery([]byte(strings.Join(parts, "\n")), grammar)
	if err != nil {
		return nil, fmt.Errorf("queries of %s: %w", name, err)
	}
	q := &query{compiled: compiled}
	for i := range compiled.CaptureCount() {
		c, known := captureOf(compiled.CaptureNameForId(i))
		if !known {
			return nil, fmt.Errorf("queries of %s: unknown capture @%s", name, compiled.CaptureNameForId(i))
		}
		q.captures = append(q.captures, c)
	}
	return q, nil
}

func captureOf(name string) (capture, bool) {
	roles := map[string]role{
		"scope": roleScope, "name": roleName, "parameters": roleParameters, "body": roleBody, "doc": roleDoc,
		"receiver": roleReceiver, "modifiers": roleModifiers, "outer": roleOuter, "comment": roleComment,
		"attribute": roleAttribute, "decorator": roleDecorator, "exported": roleExported, "qualifier": roleQualifier,
		"arguments": roleArguments, "local": roleLocal, "hoisted": roleHoisted, "global": roleGlobal, "exports": roleExports,
		"declaration": roleDeclaration, "block": roleBlock,
		"import": roleImport, "ignore": roleIgnore, "opaque": roleOpaque,
	}
	if r, ok := roles[name]; ok {
		return capture{role: r}, true
	}
	group, what, _ := strings.Cut(name, ".")
	switch group {
	case "definition":
		kind, ok := map[string]parser.Kind{
			"function": parser.KindFunction, "method": parser.KindMethod, "class": parser.KindClass,
			"struct": parser.KindStruct, "interface": parser.KindInterface, "trait": parser.KindTrait,
			"enum": parser.KindEnum, "type": parser.KindType, "constant": parser.KindConstant,
			"variable": parser.KindVariable, "field": parser.KindField, "module": parser.KindModule,
			"macro": parser.KindMacro,
		}[what]
		return capture{role: roleDefinition, kind: kind}, ok
	case "reference":
		kind, ok := map[string]parser.ReferenceKind{
			"call": parser.ReferenceCall, "type": parser.ReferenceType, "name": parser.ReferenceName,
		}[what]
		return capture{role: roleReference, reference: kind}, ok
	default:
		return capture{}, false
	}
}
