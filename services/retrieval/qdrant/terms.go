package qdrant

import (
	"hash/fnv"
	"maps"
	"slices"
	"strings"

	"witan.dev/services/retrieval"
	"witan.dev/services/retrieval/porter"
)

// termsVersion names how terms and their values are made. It changes when the same chunk would give other ones.
const termsVersion = "terms-1"

const (
	// The constants of BM25 (Robertson, Zaragoza 2009). meanLength is fixed, since Qdrant knows no lengths: it is the mean of
	// the 9,076 chunks of this repository, names and paths counted as often as they weigh.
	k1, b, meanLength = 1.2, 0.75, 130
	// weightName and weightPath are how much words of names and paths count over those of the text, as in the embedded
	// index.
	weightName, weightPath, weightText = 3, 3, 1
	// maxTerms bounds the different terms of a chunk; what is longer is found by its beginning.
	maxTerms = 8192
)

// sparse is a sparse vector: indices ascending, each once.
type sparse struct {
	indices []uint32
	values  []float32
}

// termIndex is the dimension of a term. Terms that share one are taken for the same.
func termIndex(term string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(term)) // never fails
	return h.Sum32()
}

// chunkTerms is the part of BM25 that depends on the chunk alone.
func chunkTerms(path string, c retrieval.Chunk, definitions []retrieval.Definition) sparse {
	counts, length := map[uint32]int{}, 0
	add := func(text string, weight int) {
		retrieval.Words(text, func(word string, _ bool) {
			index := termIndex(porter.Stem(word))
			if _, known := counts[index]; known || len(counts) < maxTerms {
				counts[index] += weight
				length += weight
			}
		})
	}
	add(strings.Join(retrieval.ChunkNames(c, definitions), " "), weightName)
	add(path, weightPath)
	add(c.Heading, weightText)
	add(c.Text, weightText)
	v := sparse{indices: slices.Sorted(maps.Keys(counts)), values: make([]float32, 0, len(counts))}
	norm := k1 * (1 - b + b*float64(length)/meanLength)
	for _, index := range v.indices {
		n := float64(counts[index])
		v.values = append(v.values, float32(n*(k1+1)/(n+norm)))
	}
	return v
}

// queryTerms weighs the terms of a query alike: how rare they are, Qdrant knows.
func queryTerms(terms []string) sparse {
	found := map[uint32]bool{}
	for _, term := range terms {
		retrieval.Words(term, func(word string, _ bool) { found[termIndex(porter.Stem(word))] = true })
	}
	v := sparse{indices: slices.Sorted(maps.Keys(found))}
	for range v.indices {
		v.values = append(v.values, 1)
	}
	return v
}
