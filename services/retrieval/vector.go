package retrieval

import (
	"math"
	"slices"
)

// Dimensions of a hashed vector (512 lose up to nine points of recall, 2,048 gain nothing on most sets).
const Dimensions = 1024

// EmbedderHash names the way of making hashed vectors. It changes when the same text would give another vector.
const EmbedderHash = "hash-1"

const (
	minGram, maxGram = 3, 5
	// maxVectorWords bounds the words of one text that enter its vector.
	maxVectorWords = 20_000
)

// Vector is a dense vector of unit length, or of length zero where the text held no words.
type Vector [Dimensions]float32

// Grams counts the character 3- to 5-grams of the words of a text, each word with a border before and after it. Keys are
// hashes of grams.
type Grams map[uint64]int32

// GramsOf reads the grams of text. Words that repeat their parts add nothing and are left out.
func GramsOf(text string) Grams {
	grams, words := Grams{}, 0
	var buffer [maxWord*4 + 2]byte
	Words(text, func(word string, whole bool) {
		if whole || words >= maxVectorWords || len(word)+2 > len(buffer) {
			return
		}
		words++
		framed := append(append(append(buffer[:0], '<'), word...), '>')
		for n := minGram; n <= maxGram; n++ {
			for i := 0; i+n <= len(framed); i++ {
				grams[gramHash(framed[i:i+n])]++
			}
		}
	})
	return grams
}

// gramHash is FNV-1a with a final mix, so that dimension and sign do not depend on the same few bits.
func gramHash(gram []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, b := range gram {
		h = (h ^ uint64(b)) * 1099511628211
	}
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	return h ^ h>>33
}

// Vector hashes the grams into a vector of unit length. weight gives the importance of a gram (its rarity); nil means 1.
func (g Grams) Vector(weight func(gram uint64) float64) Vector {
	var sums [Dimensions]float64
	for _, gram := range g.sorted() {
		w := 1 + math.Log(float64(g[gram]))
		if weight != nil {
			w *= weight(gram)
		}
		if gram>>63 == 0 {
			w = -w
		}
		sums[gram%Dimensions] += w
	}
	return unit(&sums)
}

// sorted makes sums of floats come out the same each time.
func (g Grams) sorted() []uint64 {
	keys := make([]uint64, 0, len(g))
	for k := range g {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func unit(sums *[Dimensions]float64) Vector {
	square := 0.0
	for _, x := range sums {
		square += x * x
	}
	var v Vector
	if square == 0 {
		return v
	}
	scale := 1 / math.Sqrt(square)
	for i, x := range sums {
		v[i] = float32(x * scale)
	}
	return v
}
