package treesitter

import (
	"context"
	"maps"
	"runtime"
	"slices"

	sitter "github.com/smacker/go-tree-sitter"

	"witan.dev/services/parser"
)

// Extractor implements parser.Extractor. It may be shared by goroutines; a number of files is parsed at once, further calls
// wait.
type Extractor struct {
	languages map[string]*language
	parsers   *pool
}

var _ parser.Extractor = (*Extractor)(nil)

// New returns an extractor for all languages that parses as many files at once as there are CPUs. Close frees its parsers.
func New() *Extractor { return NewBeside(0) }

// NewBeside is New, but leaves a number of CPUs to others in the same process where there are more.
func NewBeside(others int) *Extractor {
	e := &Extractor{languages: make(map[string]*language), parsers: newPool(max(1, runtime.GOMAXPROCS(0)-others), parser.ParseTimeout)}
	for _, entry := range entries() {
		e.languages[entry.spec.Name] = newLanguage(entry)
	}
	return e
}

// Close waits for running calls and frees the parsers. Extract must not be called afterwards.
func (e *Extractor) Close() { e.parsers.close() }

// Languages lists the languages by name.
func (e *Extractor) Languages() []parser.Language {
	var result []parser.Language
	for _, name := range slices.Sorted(maps.Keys(e.languages)) {
		l := e.languages[name]
		result = append(result, parser.Language{Name: name, Title: l.Title, Tier: 1, Extensions: slices.Sorted(slices.Values(l.Extensions))})
	}
	return result
}

// Extract reads one file. Errors are parser.ErrNoGrammar, parser.ErrTimeout and that of a context that ended while the
// call waited for a free parser; others are defects.
func (e *Extractor) Extract(ctx context.Context, source parser.Source) (parser.Extraction, error) {
	l, known := e.languages[source.Language]
	if !known {
		return parser.Extraction{}, parser.ErrNoGrammar
	}
	load := l.lean
	if source.References {
		load = l.full
	}
	q, err := load()
	if err != nil {
		return parser.Extraction{}, err
	}
	var extraction parser.Extraction
	err = e.parsers.parse(ctx, l.grammar, source.Content, func(tree *sitter.Tree) error {
		r := newReader(l, q, source)
		root := tree.RootNode()
		survey := r.look(root)
		r.read(root, survey)
		extraction = r.extraction(root, survey.borders)
		return nil
	})
	return extraction, err
}
