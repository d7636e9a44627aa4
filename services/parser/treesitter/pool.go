package treesitter

import (
	"context"
	"errors"
	"fmt"

	sitter "github.com/smacker/go-tree-sitter"

	"witan.dev/services/parser"
)

// pool lends parsers, each to one goroutine at a time. A nil slot stands for a parser that is yet to be made.
type pool struct{ free chan *sitter.Parser }

func newPool(size int) *pool {
	p := &pool{free: make(chan *sitter.Parser, size)}
	for range size {
		p.free <- nil
	}
	return p
}

// parse calls use with the tree of content and closes it afterwards. It waits for a free parser.
func (p *pool) parse(language *sitter.Language, content []byte, use func(*sitter.Tree) error) error {
	borrowed := <-p.free
	healthy := false
	defer func() {
		if !healthy && borrowed != nil {
			borrowed.Close()
			borrowed = nil
		}
		p.free <- borrowed
	}()
	if borrowed == nil {
		borrowed = sitter.NewParser()
		borrowed.SetOperationLimit(int(parser.ParseTimeout.Microseconds()))
	}
	borrowed.SetLanguage(language)
	// A context that can be cancelled would spoil the next parse, see the package comment.
	tree, err := borrowed.ParseCtx(context.Background(), nil, content)
	if err != nil {
		borrowed.Reset()
		if errors.Is(err, sitter.ErrOperationLimit) {
			return parser.ErrTimeout
		}
		return fmt.Errorf("parse: %w", err)
	}
	defer tree.Close()
	if end := int(tree.RootNode().EndByte()); end > len(content) {
		return fmt.Errorf("tree ends at byte %d of %d", end, len(content))
	}
	if err := use(tree); err != nil {
		return err
	}
	healthy = true
	return nil
}

// close waits for all parsers and frees them. The pool cannot be used afterwards.
func (p *pool) close() {
	for range cap(p.free) {
		if borrowed := <-p.free; borrowed != nil {
			borrowed.Close()
		}
	}
}
