package retrieval

import "math"

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
	grams, words := make(Grams, min(len(text)/2, 4096)), 0
	var buffer [maxWord*4 + 2]byte
	Words(text, func(word string, whole bool) {
		if whole || words >= maxVectorWords || len(word)+2 > len(buffer) {
			return
		}
		words++
		framed := append(append(append(buffer[:0], '<'), word...), '>')
		grams.count(framed)
	})
	return grams
}

// count adds all grams of a word. The hash is FNV-1a, which a longer gram continues, with a final mix, so that dimension
// and sign do not depend on the same few bits.
func (g Grams) count(word []byte) {
	for i := 0; i+minGram <= len(word); i++ {
		h := uint64(14695981039346656037)
		for n, b := range word[i:min(i+maxGram, len(word))] {
			h = (h ^ uint64(b)) * 1099511628211
			if n+1 >= minGram {
				g[mix(h)]++
			}
		}
	}
}

func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	return h ^ h>>33
}

// fixedPoint is the unit of sums: whole numbers come out the same in whatever order a map gives them.
const fixedPoint = 1 << 20

// Vector hashes the grams into a vector of unit length. weight gives the importance of a gram (its rarity); nil means 1.
func (g Grams) Vector(weight func(gram uint64) float64) Vector {
	var sums [Dimensions]int64
	for gram, count := range g {
		w := 1 + math.Log(float64(count))
		if weight != nil {
			w *= weight(gram)
		}
		fixed := int64(w * fixedPoint)
		if gram>>63 == 0 {
			fixed = -fixed
		}
		sums[gram%Dimensions] += fixed
	}
	return unit(&sums)
}

func unit(sums *[Dimensions]int64) Vector {
	square := 0.0
	for _, x := range sums {
		square += float64(x) * float64(x)
	}
	var v Vector
	if square == 0 {
		return v
	}
	scale := 1 / math.Sqrt(square)
	for i, x := range sums {
		v[i] = float32(float64(x) * scale)
	}
	return v
}
