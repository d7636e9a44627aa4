package structure

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"witan.dev/services/review"
)

// files gives the parsed files of one state of the repository, changed ones and all others, each parsed at most once in
// a review. One review uses it from one goroutine.
type files struct {
	parser  review.Parser
	tree    review.Tree
	code    map[string]*review.Code
	content map[string][]byte
}

func newFiles(parser review.Parser, tree review.Tree, known map[string]*review.Code) *files {
	f := &files{parser: parser, tree: tree, code: make(map[string]*review.Code, len(known)), content: map[string][]byte{}}
	maps.Copy(f.code, known)
	return f
}

// get returns the parsed file and its content. Both are nil where the state has no such file or it cannot be read as
// source.
func (f *files) get(ctx context.Context, path string) (*review.Code, []byte, error) {
	content, err := f.read(ctx, path)
	if err != nil || content == nil {
		return nil, nil, err
	}
	if c, ok := f.code[path]; ok {
		return c, content, nil
	}
	parsed, err := f.parser.Parse(ctx, []review.ParseInput{{Path: path, Content: content}})
	if err != nil {
		return nil, nil, fmt.Errorf("parse %q: %w", path, err)
	}
	if len(parsed) == 1 {
		f.code[path] = &parsed[0]
	}
	return f.code[path], content, nil
}

func (f *files) read(ctx context.Context, path string) ([]byte, error) {
	if content, ok := f.content[path]; ok {
		return content, nil
	}
	content, err := f.tree.Read(ctx, path)
	switch {
	case errors.Is(err, review.ErrNoFile), errors.Is(err, review.ErrTooLarge):
		content = nil
	case err != nil:
		return nil, fmt.Errorf("read %q: %w", path, err)
	}
	f.content[path] = content
	return content, nil
}
