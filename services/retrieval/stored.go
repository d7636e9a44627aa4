package retrieval

import (
	"cmp"
	"context"
	"slices"
	"sync"
)

// maxVectorBytes bounds the vectors in memory; views that share contents share them.
const maxVectorBytes = 256 << 20

// Products writes the dot product of the query and of each row of a matrix of Dimensions columns into out. Adapters
// bring one that uses the processor's vector instructions.
type Products func(out, matrix []float32, query *Vector)

// Stored ranks by what lies in the store itself: by the text index beside its rows, and by its vectors, which are compared
// one by one. Both are written and removed with the rows. Safe for concurrent use.
type Stored struct {
	words    TextIndex
	products Products
	vectors  vectorCache
}

var _ Rankings = (*Stored)(nil)

// StoredStore is what Stored reads.
type StoredStore interface {
	Codes
	TextIndex
}

// NewStored returns rankings over a store.
func NewStored(store StoredStore, products Products) *Stored {
	return &Stored{
		words: store, products: products,
		vectors: vectorCache{codes: store, blocks: map[int64][]float32{}, limit: maxVectorBytes},
	}
}

// Put implements Rankings: there is nothing left to do.
func (*Stored) Put(context.Context, Scope, []File) (int64, error) { return 0, nil }

// Delete implements Rankings: Catalog.Collect has done it.
func (*Stored) Delete(context.Context, Scope, []FileKey) error { return nil }

// Files implements Rankings: it has nothing that Sweep would have to look at.
func (*Stored) Files(context.Context, Scope) ([]FileKey, error) { return nil, nil }

// Holds implements Rankings.
func (*Stored) Holds(context.Context, Scope, []File) (bool, error) { return true, nil }

// Lexical implements Rankings. The text index holds the chunks of all views, so its ranking is read until enough are of
// this one.
func (s *Stored) Lexical(ctx context.Context, asked Asked, terms []string) ([]Scored, error) {
	var ranked []Scored
	err := s.words.Lexical(ctx, terms, func(c ChunkRef) bool {
		if f, known := asked.View.file(c.File); known && asked.Wants(f) {
			ranked = append(ranked, Scored{c, -float64(len(ranked))})
		}
		return len(ranked) < asked.Depth
	})
	return ranked, err
}

// Dense implements Rankings. Ties are in the order of paths, so that the same question has the same answer.
func (s *Stored) Dense(ctx context.Context, asked Asked, query *Vector) ([]Scored, error) {
	var (
		all      []Scored
		products []float32
		v        = asked.View
	)
	err := s.vectors.each(ctx, v, func(parse int64, block []float32) {
		rows := len(block) / Dimensions
		products = slices.Grow(products[:0], rows)[:rows]
		s.products(products, block, query)
		for _, i := range v.byParse[parse] {
			if !asked.Wants(v.files[i]) {
				continue
			}
			for ordinal, p := range products {
				if p > 0 {
					all = append(all, Scored{ChunkRef{v.files[i].ID, ordinal}, float64(p)})
				}
			}
		}
		if len(all) > 8*asked.Depth+1024 {
			all = best(v, all, asked.Depth)
		}
	})
	return best(v, all, asked.Depth), err
}

// best keeps the n highest.
func best(v *View, all []Scored, n int) []Scored {
	slices.SortFunc(all, func(a, b Scored) int { return cmp.Or(cmp.Compare(b.Score, a.Score), v.Order(a.ChunkRef, b.ChunkRef)) })
	return all[:min(len(all), n)]
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
func (c *vectorCache) each(ctx context.Context, v *View, fn func(parse int64, block []float32)) error {
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
func (c *vectorCache) put(v *View, parse int64, block []float32) {
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
