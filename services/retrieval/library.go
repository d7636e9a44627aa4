package retrieval

import (
	"context"
	"fmt"
	"sync"
)

const (
	// maxViews is how many views are kept in memory: a view of 50,000 files takes some 10 MB.
	maxViews = 8
	// maxVectorBytes bounds the vectors in memory; views that share contents share them.
	maxVectorBytes = 256 << 20
)

// Products writes the dot product of the query and of each row of a matrix of Dimensions columns into out. Adapters
// bring one that uses the processor's vector instructions.
type Products func(out, matrix []float32, query *Vector)

// Library answers questions about ready indexes. Safe for concurrent use.
type Library struct {
	catalog  Catalog
	codes    Codes
	views    Views
	products Products
	vectors  vectorCache

	mu     sync.Mutex
	loaded []*view // most recently used last
}

// LibraryStore is what a Library reads.
type LibraryStore interface {
	Catalog
	Codes
	Views
}

// NewLibrary returns a library over a store.
func NewLibrary(store LibraryStore, products Products) *Library {
	return &Library{
		catalog: store, codes: store, views: store, products: products,
		vectors: vectorCache{codes: store, blocks: map[int64][]float32{}, limit: maxVectorBytes},
	}
}

// view is a ready index in memory. It never changes.
type view struct {
	index   Index
	files   []File
	byPath  map[string]int
	byID    map[int64]int
	byParse map[int64][]int
	rarity  Rarity
}

// Index returns the owner's index. A foreign one is ErrIndexNotFound.
func (l *Library) Index(ctx context.Context, owner string, id ID) (Index, error) {
	index, err := l.catalog.Get(ctx, id)
	if err != nil {
		return Index{}, err
	}
	if index.Owner != owner {
		return Index{}, fmt.Errorf("index %s: %w", id, ErrIndexNotFound)
	}
	return index, nil
}

// view returns the view of an owner's index. Errors: ErrIndexNotFound, ErrIndexNotReady.
func (l *Library) view(ctx context.Context, owner string, id ID) (*view, error) {
	index, err := l.Index(ctx, owner, id)
	if err != nil {
		return nil, err
	}
	if index.State != Ready {
		return nil, ErrIndexNotReady.With("index", string(id))
	}
	if v := l.cached(id); v != nil {
		return v, nil
	}
	v := &view{index: index, byPath: map[string]int{}, byID: map[int64]int{}, byParse: map[int64][]int{}}
	if v.files, err = l.views.Files(ctx, id); err != nil {
		return nil, fmt.Errorf("read the view: %w", err)
	}
	if v.rarity, err = l.views.Rarity(ctx, id); err != nil {
		return nil, err
	}
	for i, f := range v.files {
		v.byPath[f.Path], v.byID[f.ID] = i, i
		v.byParse[f.Parse] = append(v.byParse[f.Parse], i)
	}
	l.keep(v)
	return v, nil
}

func (l *Library) cached(id ID) *view {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, v := range l.loaded {
		if v.index.ID == id {
			l.loaded = append(append(l.loaded[:i:i], l.loaded[i+1:]...), v)
			return v
		}
	}
	return nil
}

func (l *Library) keep(v *view) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.loaded = append(l.loaded, v); len(l.loaded) > maxViews {
		l.loaded = l.loaded[1:]
	}
}

// vectorCache keeps the vectors of contents as rows of numbers that can be multiplied at once.
type vectorCache struct {
	codes Codes
	limit int

	mu     sync.Mutex
	bytes  int
	blocks map[int64][]float32
}

// each calls fn with the vectors of every content of a view, one block a content.
func (c *vectorCache) each(ctx context.Context, v *view, fn func(parse int64, block []float32)) error {
	var missing []int64
	for _, f := range v.files {
		if i := v.byParse[f.Parse][0]; v.files[i].ID != f.ID {
			continue // a copy of an earlier file
		}
		if block, known := c.get(f.Parse); known {
			fn(f.Parse, block)
		} else {
			missing = append(missing, f.Parse)
		}
	}
	return c.codes.Vectors(ctx, missing, func(parse int64, vectors []Quantised) error {
		block := make([]float32, len(vectors)*Dimensions)
		for i, q := range vectors {
			q.Into(block[i*Dimensions : (i+1)*Dimensions])
		}
		c.put(v, parse, block)
		fn(parse, block)
		return ctx.Err()
	})
}

func (c *vectorCache) get(parse int64) ([]float32, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	block, known := c.blocks[parse]
	return block, known
}

// put keeps a block where there is room. What the view at hand does not need makes room first.
func (c *vectorCache) put(v *view, parse int64, block []float32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	size := 4 * len(block)
	if c.bytes+size > c.limit {
		for p, b := range c.blocks {
			if len(v.byParse[p]) == 0 {
				delete(c.blocks, p)
				c.bytes -= 4 * len(b)
			}
		}
	}
	if _, known := c.blocks[parse]; !known && c.bytes+size <= c.limit {
		c.blocks[parse] = block
		c.bytes += size
	}
}
