package structure

import (
	"path"
	"slices"
	"strings"

	"witan.dev/internal/finding"
	"witan.dev/services/review"
)

// A candidate is a definition whose users may be broken by the change.
type candidate struct {
	rule    string
	lang    language
	path    string // of the changed file: its new path, the old one when it was deleted
	oldPath string
	old     review.Definition
	newPath string             // where the successor stands, empty when there is none
	new     *review.Definition // the successor: renamed, moved or with another signature
}

// A pair is one changed file with both its sides parsed. A missing side is nil.
type pair struct {
	file     *review.File
	old, new *review.Code
	lang     language
}

// pairs returns the changed files that the reviewer can compare.
func pairs(in review.Inspection) []pair {
	var out []pair
	for i := range in.Change.Files {
		f := &in.Change.Files[i]
		if f.Policy != "" || f.Nature != review.NatureText {
			if f.Nature != review.NatureUnchanged || f.Change != review.Renamed {
				continue
			}
		}
		p := pair{file: f, new: in.New[f.Path]}
		if f.Change != review.Added && f.Change != review.Copied {
			p.old = in.Old[f.OldPath]
		}
		code := p.old
		if code == nil {
			code = p.new
		}
		if code == nil || code.Generated || code.Vendored {
			continue
		}
		lang, ok := languageOf(code.Language)
		if !ok || p.old != nil && p.new != nil && !sameLanguage(p.old.Language, p.new.Language) {
			continue
		}
		p.lang = lang
		out = append(out, p)
	}
	return out
}

func sameLanguage(a, b string) bool {
	la, oka := languageOf(a)
	lb, okb := languageOf(b)
	return oka && okb && la.name == lb.name
}

// compare returns the definitions that were removed, renamed, moved or changed in signature, in the order of the
// change and of the old file.
func compare(in review.Inspection) []candidate {
	all := pairs(in)
	appeared := appearedDefinitions(all)
	var out []candidate
	for i := range all {
		p := &all[i]
		if !p.old.Usable() || p.file.HasNew && !p.new.Usable() {
			continue
		}
		for d := range p.old.Definitions {
			if c, ok := p.candidate(d, appeared); ok {
				out = append(out, c)
			}
		}
	}
	return out
}

// appeared is a definition of the new side that its file did not have before.
type appeared struct {
	pair *pair
	def  *review.Definition
}

func appearedDefinitions(all []pair) []appeared {
	var out []appeared
	for i := range all {
		p := &all[i]
		if !p.new.Usable() {
			continue
		}
		moved := p.old != nil && p.file.OldPath != p.file.Path
		for d := range p.new.Definitions {
			def := &p.new.Definitions[d]
			if p.old == nil || moved || len(named(p.old, def.QualifiedName)) == 0 {
				out = append(out, appeared{pair: p, def: def})
			}
		}
	}
	return out
}

// named returns the indexes of the definitions with that qualified name.
func named(c *review.Code, qualified string) []int {
	var out []int
	if c == nil {
		return nil
	}
	for i := range c.Definitions {
		if c.Definitions[i].QualifiedName == qualified {
			out = append(out, i)
		}
	}
	return out
}

// candidate judges one definition of the old side.
func (p *pair) candidate(d int, appeared []appeared) (candidate, bool) {
	def := &p.old.Definitions[d]
	if !considered(p.old, d, p.lang) || p.old.Broken(def.Span) {
		return candidate{}, false
	}
	c := candidate{lang: p.lang, path: p.file.Path, oldPath: p.file.OldPath, old: *def}
	same := named(p.new, def.QualifiedName)
	if len(same) > 0 {
		if p.file.Change == review.Renamed && !p.lang.sameModule(p.file.OldPath, p.file.Path) {
			return c.movedWith(p, same)
		}
		return c.resigned(p, same)
	}
	if p.containerGone(def) || p.lessLegible() || p.stillBound(def) {
		return candidate{}, false
	}
	c.rule = RuleRemoved
	if a, ok := successor(p, def, appeared); ok {
		c.new, c.newPath = a.def, a.pair.file.Path
		c.rule = RuleRenamed
		if a.def.Name == def.Name {
			c.rule = RuleMoved
			if p.lang.packageScope && path.Dir(c.newPath) == path.Dir(p.file.OldPath) {
				return candidate{}, false // another file of the same package: nothing changed for its users
			}
		}
	}
	return c, true
}

// considered says whether users elsewhere may depend on the definition: it stands at top level or in a type.
func considered(code *review.Code, d int, l language) bool {
	def := &code.Definitions[d]
	switch def.Kind {
	case review.KindFunction, review.KindMethod, review.KindClass, review.KindStruct, review.KindInterface,
		review.KindTrait, review.KindEnum, review.KindType, review.KindConstant, review.KindVariable, review.KindMacro:
	default:
		return false
	}
	if def.Test || ownName(def.Name, l) {
		return false
	}
	for at, depth := def.Parent, 0; at >= 0 && depth < 16; depth++ {
		if at >= len(code.Definitions) || code.Definitions[at].Kind.Callable() {
			return false // local to a function
		}
		at = code.Definitions[at].Parent
	}
	return true
}

// ownName says whether the language, not other code, calls the name.
func ownName(name string, l language) bool {
	switch {
	case name == "" || name == "_" || name == "main" || name == "default":
		return true
	case l.name == "Go":
		return name == "init"
	case l.name == "Python" || l.name == "PHP":
		return strings.HasPrefix(name, "__")
	case l.name == "Ruby":
		return name == "initialize"
	default:
		return name == "constructor"
	}
}

// containerGone says whether the type around the definition went away too: then that is what is reported.
func (p *pair) containerGone(def *review.Definition) bool {
	if def.Parent < 0 || def.Parent >= len(p.old.Definitions) {
		return false
	}
	return len(named(p.new, p.old.Definitions[def.Parent].QualifiedName)) == 0
}

// lessLegible says whether the grammar understands less of the new side than of the old one: what seems to be gone may
// only be hidden in there.
func (p *pair) lessLegible() bool {
	return p.new != nil && illegible(p.new) > illegible(p.old)
}

func illegible(code *review.Code) int {
	n := 0
	for _, e := range code.Errors {
		n += e.EndByte - e.StartByte
	}
	return n
}

// stillBound says whether the new side of the file may bind the name in another way than by a definition: by importing
// it, by a wildcard, inside a stretch that the grammar did not understand, or, in languages where names are values, by
// any mention that is neither a call nor a comment.
func (p *pair) stillBound(def *review.Definition) bool {
	if p.new == nil {
		return false
	}
	text := string(p.file.New)
	for _, e := range p.new.Errors {
		if e.StartByte >= 0 && e.EndByte <= len(text) && e.StartByte < e.EndByte && token(text[e.StartByte:e.EndByte], def.Name) >= 0 {
			return true
		}
	}
	for i := range p.new.Definitions {
		if p.new.Definitions[i].Name == def.Name && p.new.Definitions[i].Kind != def.Kind {
			return true
		}
	}
	if importsName(p.new, def.Name) {
		return true
	}
	return p.lang.dynamic && p.mentioned(def.Name)
}

// importsName says whether the file binds name by an import, or by one that takes everything.
func importsName(code *review.Code, name string) bool {
	for _, i := range code.Imports {
		if i.Alias == name {
			return true
		}
		for _, n := range i.Names {
			if n.Name == "*" || n.Name == name || n.Alias == name {
				return true
			}
		}
	}
	return false
}

// mentioned says whether the new side of the file holds name as a token that is not a plain use of it.
func (p *pair) mentioned(name string) bool {
	tokens := 0
	for _, t := range finding.SyntaxOf(p.file.Path).Tokens(string(p.file.New)) {
		if t == name {
			tokens++
		}
	}
	for i := range p.new.References {
		r := &p.new.References[i]
		if r.Name == name && (r.Kind == review.ReferenceCall || r.Kind == review.ReferenceType) {
			tokens--
		}
	}
	return tokens > 0
}

// movedWith is the candidate for a definition that went along when its file was renamed.
func (c candidate) movedWith(p *pair, same []int) (candidate, bool) {
	if c.old.Parent >= 0 {
		return candidate{}, false // its container says it
	}
	c.rule, c.newPath, c.new = RuleMoved, p.file.Path, &p.new.Definitions[same[0]]
	return c, true
}

// resigned is the candidate for a definition that is still there: its signature may accept other calls than before.
func (c candidate) resigned(p *pair, same []int) (candidate, bool) {
	def := &p.new.Definitions[same[0]]
	if len(same) != 1 || len(named(p.old, c.old.QualifiedName)) != 1 || !c.old.Kind.Callable() || !def.Kind.Callable() {
		return candidate{}, false
	}
	if c.old.Signature == def.Signature || p.new.Broken(def.Span) {
		return candidate{}, false
	}
	if p.lang.overloads && overloaded(p.new, def.Name) {
		return candidate{}, false
	}
	if slices.Equal(c.old.Parameters, def.Parameters) {
		return candidate{}, false
	}
	c.rule, c.newPath, c.new = RuleSignature, p.file.Path, def
	return c, true
}

func overloaded(code *review.Code, name string) bool {
	n := 0
	for i := range code.Definitions {
		if code.Definitions[i].Name == name && code.Definitions[i].Kind.Callable() {
			n++
		}
	}
	return n > 1
}

const (
	// renameSimilarity is the share of equal tokens in two bodies from which one definition counts as the other renamed
	// (own choice: it only words the finding and chooses the side on which it is shown).
	renameSimilarity = 0.6
	// maxBody bounds the text that is compared.
	maxBody = 64 << 10
)

// successor finds what became of a removed definition: one of the same name that appeared elsewhere in the change, else
// a similar one in the same container of the same file.
func successor(p *pair, def *review.Definition, all []appeared) (appeared, bool) {
	var renamed appeared
	best := renameSimilarity
	for _, a := range all {
		if !sameLanguage(p.old.Language, a.pair.new.Language) || group(a.def.Kind) != group(def.Kind) {
			continue
		}
		if a.def.Name == def.Name && a.pair != p {
			return a, true
		}
		if a.pair != p || container(p.old, def) != container(p.new, a.def) || oldHas(p, a.def) {
			continue
		}
		if s := similarity(p, def, a.def); s >= best {
			best, renamed = s, a
		}
	}
	return renamed, renamed.def != nil
}

func oldHas(p *pair, def *review.Definition) bool { return len(named(p.old, def.QualifiedName)) > 0 }

func container(code *review.Code, def *review.Definition) string {
	if def.Parent < 0 || def.Parent >= len(code.Definitions) {
		return ""
	}
	return code.Definitions[def.Parent].QualifiedName
}

// group folds the kinds between which a definition may change without its users noticing.
func group(k review.SymbolKind) string {
	switch k {
	case review.KindFunction, review.KindMethod, review.KindMacro:
		return "callable"
	case review.KindConstant, review.KindVariable, review.KindField:
		return "value"
	default:
		return "type"
	}
}

// similarity is the share of tokens that two definitions have in common, their names left out.
func similarity(p *pair, a, b *review.Definition) float64 {
	ta := body(p.file.OldPath, p.file.Old, a)
	tb := body(p.file.Path, p.file.New, b)
	if len(ta) == 0 || len(tb) == 0 {
		return 0
	}
	counts := make(map[string]int, len(ta))
	for _, t := range ta {
		counts[t]++
	}
	common := 0
	for _, t := range tb {
		if counts[t] > 0 {
			counts[t]--
			common++
		}
	}
	return 2 * float64(common) / float64(len(ta)+len(tb))
}

func body(file string, content []byte, d *review.Definition) []string {
	if d.Span.StartByte < 0 || d.Span.EndByte > len(content) || d.Span.StartByte >= d.Span.EndByte {
		return nil
	}
	text := string(content[d.Span.StartByte:min(d.Span.EndByte, d.Span.StartByte+maxBody)])
	tokens := finding.SyntaxOf(file).Tokens(text)
	return slices.DeleteFunc(tokens, func(t string) bool { return t == d.Name })
}
