package retrieval

import (
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
	// File, Languages and Kinds restrict the search; nil means no restriction. File decides on languages as well.
	File      func(f File) bool
	Languages []string
	Kinds     []Kind
	Mode      Mode
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
	s := &search{ranker: ranker{Library: l, view: v}, query: q, chunks: map[int64]fileChunks{}}
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
	found := Found{Degraded: s.degraded}
	for _, list := range lists {
		found.Lists = append(found.Lists, list.Name)
	}
	found.Hits, err = s.hits(ctx, Fuse(lists, v.Order))
	return found, err
}

// search is one search in one view.
type search struct {
	ranker

	query  SearchQuery
	chunks map[int64]fileChunks
}

// fileChunks is a content that a search has looked at.
type fileChunks struct {
	definitions []Definition
	chunks      []Chunk
}

func (s *search) add(ctx context.Context, lists []List, name string, weight float64, rank func(context.Context, Asked) ([]Scored, error)) ([]List, error) {
	asked := Asked{View: s.view, Wanted: s.query.File, Languages: s.query.Languages, Kinds: s.query.Kinds, Depth: listDepth}
	if len(s.query.Kinds) > 0 {
		asked.Depth = kindDepth
	}
	ranked, err := rank(ctx, asked)
	if err != nil {
		return nil, err
	}
	chunks := make([]ChunkRef, 0, len(ranked))
	for _, c := range ranked {
		// Whatever an index answers, nothing is shown but what is in the view.
		if f, known := s.view.file(c.File); known && asked.Wants(f) && c.Ordinal < f.Chunks {
			chunks = append(chunks, c.ChunkRef)
		}
	}
	if chunks, err = s.ofKinds(ctx, chunks); err != nil {
		return nil, err
	}
	return append(lists, List{Name: name, Weight: weight, Chunks: chunks[:min(len(chunks), listDepth)]}), nil
}

func (s *search) words(ctx context.Context, asked Asked) ([]Scored, error) {
	terms := QueryTerms(s.query.Text)
	return s.rank(ctx, func(r Rankings) ([]Scored, error) { return r.Lexical(ctx, asked, terms) })
}

func (s *search) hashed(ctx context.Context, asked Asked) ([]Scored, error) {
	vector := GramsOf(strings.Join(QueryTerms(s.query.Text), " ")).Vector(s.view.rarity.Weight)
	return s.rank(ctx, func(r Rankings) ([]Scored, error) { return r.Dense(ctx, asked, &vector) })
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
		if content.chunks, err = s.p.Store.Chunks(ctx, file.Parse); err != nil {
			return Hit{}, fmt.Errorf("read chunks of %s: %w", file.Path, err)
		}
		if content.definitions, err = s.p.Store.Definitions(ctx, file.Parse); err != nil {
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
