package git

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"witan.dev/internal/diff"
	"witan.dev/internal/git"
	"witan.dev/services/review"
)

// tree reads files of one commit or tree. It lists the tree once, when the first file is asked for.
type tree struct {
	repo *git.Repository
	id   string

	mu    sync.Mutex
	blobs map[string]string // by path; nil until listed
	// folders are those that hold a file, at whatever depth: a change may ask for thousands.
	folders map[string]bool
}

func newTree(repo *git.Repository, id string) *tree { return &tree{repo: repo, id: id} }

// Read implements review.Tree.
func (t *tree) Read(ctx context.Context, path string) ([]byte, error) {
	blobs, err := t.list(ctx)
	if err != nil {
		return nil, err
	}
	id, ok := blobs[path]
	if !ok {
		return nil, fmt.Errorf("%q: %w", path, review.ErrNoFile)
	}
	var content git.Blob
	err = t.repo.Blobs(ctx, []string{id}, review.MaxText, func(b git.Blob) error {
		content = b
		return nil
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %q: %w", path, err)
	case content.TooLarge:
		return nil, fmt.Errorf("%q: %w", path, review.ErrTooLarge)
	case content.Missing:
		return nil, fmt.Errorf("%q: %w", path, review.ErrNoFile)
	}
	if content.Data == nil {
		return []byte{}, nil
	}
	return content.Data, nil
}

// HasFolder implements review.Tree.
func (t *tree) HasFolder(ctx context.Context, folder string) (bool, error) {
	if _, err := t.list(ctx); err != nil {
		return false, err
	}
	return t.folders[folder], nil
}

func (t *tree) list(ctx context.Context) (map[string]string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.blobs != nil {
		return t.blobs, nil
	}
	blobs, folders := make(map[string]string), make(map[string]bool)
	err := t.repo.Tree(ctx, t.id, func(e git.Entry) error {
		if e.Mode.Type() == diff.ModeFile.Type() {
			blobs[e.Path] = e.Blob
			for at := strings.LastIndexByte(e.Path, '/'); at > 0 && !folders[e.Path[:at]]; at = strings.LastIndexByte(e.Path[:at], '/') {
				folders[e.Path[:at]] = true
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list tree %s: %w", t.id, err)
	}
	t.blobs, t.folders = blobs, folders
	return blobs, nil
}
