package retrieval

import (
	"cmp"
	"slices"
)

// rankConstant is the k of reciprocal rank fusion (Cormack, Clarke, Büttcher 2009): how little the first ranks count
// over the next ones.
const rankConstant = 60

// ChunkRef names a chunk of a file in a view.
type ChunkRef struct {
	// File is the ID of the file.
	File int64
	// Ordinal counts the chunks of the file from 0.
	Ordinal int
}

// List is one ranking of chunks, best first.
type List struct {
	Name   string
	Weight float64
	Chunks []ChunkRef
}

// Fused is a chunk with what all lists say of it.
type Fused struct {
	ChunkRef

	Score float64
	// Ranks holds its place in each list that has it, from 1.
	Ranks map[string]int
}

// Fuse joins rankings: each list gives a chunk its weight / (60 + rank). The best come first, ties in the order of less.
func Fuse(lists []List, less func(a, b ChunkRef) int) []Fused {
	at := map[ChunkRef]int{}
	var fused []Fused
	for _, l := range lists {
		for i, c := range l.Chunks {
			n, known := at[c]
			if !known {
				n = len(fused)
				at[c] = n
				fused = append(fused, Fused{ChunkRef: c, Ranks: map[string]int{}})
			}
			if fused[n].Ranks[l.Name] == 0 {
				fused[n].Ranks[l.Name] = i + 1
				fused[n].Score += l.Weight / float64(rankConstant+i+1)
			}
		}
	}
	slices.SortFunc(fused, func(a, b Fused) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), less(a.ChunkRef, b.ChunkRef))
	})
	return fused
}
