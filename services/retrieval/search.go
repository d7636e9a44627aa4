package retrieval

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
)

// Mode says which lists a search asks.
type Mode int

// Modes of a search.
const (
	ModeAuto Mode = iota
	ModeLexical
	ModeDense
)

// Names of the lists, and what they count in the fusion: equal weights hurt long queries (measured on the commit sets).
const (
	ListWords  = "fts"
	ListHashed = "hash"

	weightWords  = 2
	weightHashed = 1
)

const (
	// listDepth is how many chunks each list gives to the fusion.
	listDepth = 200
	// kindDepth is how many are looked at when only chunks of some kinds are wanted.
	kindDepth = 2000
	// MaxHitText bounds the text of a hit, in bytes.
	MaxHitText = 16 << 10
)

// SearchQuery asks for chunks.
type SearchQuery struct {
	Index ID
	Owner string
	// Text holds words, identifiers or a question.
	Text string
	// Limit is the largest number of hits, from 1.
	Limit int
	// File and Kinds restrict the search; nil means no restriction.
	File  func(f File) bool
	Kinds []Kind
	Mode  Mode
}

// Hit is one found chunk.
type Hit struct {
	Fused

	File  File
	Chunk Chunk
	// Symbol is the definition that the chunk is or lies in; nil without one.
	Symbol *Definition
}

// Found is the answer to a search.
type Found struct {
	// Hits are ordered by score, ties by path and line.
	Hits []Hit
	// Lists that took part.
	Lists []string
	// Degraded says why a list is missing; empty when none is.
	Degraded string
}

// Search finds chunks by words and by vectors and joins the rankings. Errors: ErrIndexNotFound, ErrIndexNotReady.
func (l *Library) Search(ctx context.Context, q SearchQuery) (Found, error) {
	v, err := l.view(ctx, q.Owner, q.Index)
	if err != nil {
		return Found{}, err
	}
	s := &search{Library: l, view: v, query: q, chunks: map[int64]fileChunks{}}
	var lists []List
	if q.Mode != ModeDense {
		if lists, err = s.add(ctx, lists, ListWords, weightWords, s.words); err != nil {
			return Found{}, err
		}
	}
	if q.Mode != ModeLexical {
		if lists, err = s.add(ctx, lists, ListHashed, weightHashed, s.hashed); err != nil {
			return Found{}, err
		}
	}
	found := Found{}
	for _, list := range lists {
		found.Lists = append(found.Lists, list.Name)
	}
	found.Hits, err = s.hits(ctx, Fuse(lists, s.order))
	return found, err
}

// search is one search in one view.
type search struct {
	*Library

	view   *view
	query  SearchQuery
	chunks map[int64]fileChunks
}

// fileChunks is a content that a search has looked at.
type fileChunks struct {
	definitions []Definition
	chunks      []Chunk
}

func (s *search) add(ctx context.Context, lists []List, name string, weight float64, rank func(context.Context, int) ([]ChunkRef, error)) ([]List, error) {
	depth := listDepth
	if len(s.query.Kinds) > 0 {
		depth = kindDepth
	}
	chunks, err := rank(ctx, depth)
	if err != nil {
		return nil, err
	}
	if chunks, err = s.ofKinds(ctx, chunks); err != nil {
		return nil, err
	}
	return append(lists, List{Name: name, Weight: weight, Chunks: chunks[:min(len(chunks), listDepth)]}), nil
}

// wanted reports whether a file is in the view and asked for.
func (s *search) wanted(file int64) bool {
	i, known := s.view.byID[file]
	return known && (s.query.File == nil || s.query.File(s.view.files[i]))
}

// words ranks by the text index. It holds the chunks of all views, so its ranking is read until enough are of this one.
func (s *search) words(ctx context.Context, depth int) ([]ChunkRef, error) {
	var ranked []ChunkRef
	err := s.views.Lexical(ctx, QueryTerms(s.query.Text), func(c ChunkRef) bool {
		if s.wanted(c.File) {
			ranked = append(ranked, c)
		}
		return len(ranked) < depth
	})
	return ranked, err
}

// hashed ranks by the hashed vectors.
func (s *search) hashed(ctx context.Context, depth int) ([]ChunkRef, error) {
	vector := GramsOf(strings.Join(QueryTerms(s.query.Text), " ")).Vector(s.view.rarity.Weight)
	near, err := s.nearest(ctx, s.view, &vector, depth, s.wanted)
	ranked := make([]ChunkRef, 0, len(near))
	for _, n := range near {
		ranked = append(ranked, n.ChunkRef)
	}
	return ranked, err
}

// scored is a chunk with its likeness to a query, -1 to 1.
type scored struct {
	ChunkRef

	likeness float32
}

// nearest compares a vector with all chunks of the wanted files of a view and returns the n most alike.
func (l *Library) nearest(ctx context.Context, v *view, query *Vector, n int, wanted func(file int64) bool) ([]scored, error) {
	var (
		all      []scored
		products []float32
	)
	err := l.vectors.each(ctx, v, func(parse int64, block []float32) {
		rows := len(block) / Dimensions
		products = slices.Grow(products[:0], rows)[:rows]
		l.products(products, block, query)
		for _, i := range v.byParse[parse] {
			file := v.files[i].ID
			if !wanted(file) {
				continue
			}
			for ordinal, p := range products {
				if p > 0 {
					all = append(all, scored{ChunkRef{file, ordinal}, p})
				}
			}
		}
		if len(all) > 8*n+1024 {
			all = best(v, all, n)
		}
	})
	return best(v, all, n), err
}

// best keeps the n highest; ties by path and place, so that the same question has the same answer.
func best(v *view, all []scored, n int) []scored {
	slices.SortFunc(all, func(a, b scored) int {
		return cmp.Or(cmp.Compare(b.likeness, a.likeness), cmp.Compare(v.byID[a.File], v.byID[b.File]), cmp.Compare(a.Ordinal, b.Ordinal))
	})
	return all[:min(len(all), n)]
}

// order is that of paths and lines: files of a view are ordered by path.
func (s *search) order(a, b ChunkRef) int {
	return cmp.Or(cmp.Compare(s.view.byID[a.File], s.view.byID[b.File]), cmp.Compare(a.Ordinal, b.Ordinal))
}

func (s *search) ofKinds(ctx context.Context, ranked []ChunkRef) ([]ChunkRef, error) {
	if len(s.query.Kinds) == 0 {
		return ranked, nil
	}
	var kept []ChunkRef
	for _, c := range ranked {
		if len(kept) == listDepth {
			break
		}
		h, err := s.hit(ctx, Fused{ChunkRef: c})
		if err != nil {
			return nil, err
		}
		if h.Symbol != nil && slices.Contains(s.query.Kinds, h.Symbol.Kind) {
			kept = append(kept, c)
		}
	}
	return kept, nil
}

func (s *search) hits(ctx context.Context, fused []Fused) ([]Hit, error) {
	hits := make([]Hit, 0, min(len(fused), s.query.Limit))
	for _, f := range fused[:min(len(fused), s.query.Limit)] {
		h, err := s.hit(ctx, f)
		if err != nil {
			return nil, err
		}
		hits = append(hits, h)
	}
	return hits, nil
}

func (s *search) hit(ctx context.Context, f Fused) (Hit, error) {
	file := s.view.files[s.view.byID[f.File]]
	content, known := s.chunks[file.Parse]
	if !known {
		var err error
		if content.chunks, err = s.codes.Chunks(ctx, file.Parse); err != nil {
			return Hit{}, fmt.Errorf("read chunks of %s: %w", file.Path, err)
		}
		if content.definitions, err = s.codes.Definitions(ctx, file.Parse); err != nil {
			return Hit{}, fmt.Errorf("read definitions of %s: %w", file.Path, err)
		}
		s.chunks[file.Parse] = content
	}
	if f.Ordinal >= len(content.chunks) {
		return Hit{}, fmt.Errorf("retrieval: %s has no chunk %d", file.Path, f.Ordinal)
	}
	h := Hit{Fused: f, File: file, Chunk: content.chunks[f.Ordinal]}
	if d := h.Chunk.Definition; d >= 0 && d < len(content.definitions) {
		h.Symbol = &content.definitions[d]
	}
	h.Chunk.Text = CutText(h.Chunk.Text, MaxHitText)
	return h, nil
}

// CutText returns at most limit bytes of a text, cut between characters.
func CutText(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "")
}
