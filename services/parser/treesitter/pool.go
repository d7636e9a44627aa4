package treesitter

import (
	"context"
	"errors"
	"fmt"
	"time"

	sitter "github.com/smacker/go-tree-sitter"

	"witan.dev/services/parser"
)

// pool lends parsers, each to one goroutine at a time. A nil slot stands for a parser that is yet to be made.
type pool struct {
	free    chan *sitter.Parser
	timeout time.Duration // of one parse
}

func newPool(size int, timeout time.Duration) *pool {
	p := &pool{free: make(chan *sitter.Parser, size), timeout: timeout}
	for range size {
		p.free <- nil
	}
	return p
}

// parse calls use with the tree of content and closes it afterwards. It waits for a free parser until the context ends;
// once begun, a parse goes on to its end or to its own limit.
func (p *pool) parse(
	ctx context.Context, language *sitter.Language, content []byte, use func(*sitter.Tree) error,
) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("wait for a parser: %w", err)
	}
	var borrowed *sitter.Parser
	select {
	case borrowed = <-p.free:
	case <-ctx.Done():
		return fmt.Errorf("wait for a parser: %w", ctx.Err())
	}
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
		borrowed.SetOperationLimit(int(p.timeout.Microseconds()))
	}
	borrowed.SetLanguage(language)
	// A context that can be cancelled would spoil the next parse, see the package comment.
	tree, err := borrowed.ParseCtx(context.WithoutCancel(ctx), nil, content)
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
