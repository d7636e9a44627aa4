package retrieval

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func dot(a, b Vector) float64 {
	sum := 0.0
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}

func TestVectorsAreOfUnitLengthAndAlikeForLikeWords(t *testing.T) {
	t.Parallel()
	read := GramsOf("readConfigFile").Vector(nil)
	require.InDelta(t, 1, dot(read, read), 1e-5)
	require.Equal(t, read, GramsOf("READ_CONFIG_FILE").Vector(nil), "spelling does not count")
	near, far := GramsOf("reading configuration files").Vector(nil), GramsOf("sort numbers quickly").Vector(nil)
	require.Greater(t, dot(read, near), 0.4)
	require.Less(t, dot(read, far), 0.15)
	require.Equal(t, Vector{}, GramsOf("?!").Vector(nil))
}

func TestRareGramsWeighMore(t *testing.T) {
	t.Parallel()
	var c RarityCounter
	for range 200 {
		c.Add(GramsOf("return value"))
	}
	c.Add(GramsOf("quaternion"))
	rarity := c.Rarity()
	common, rare := GramsOf("return"), GramsOf("quaternion")
	for g := range common {
		for h := range rare {
			require.Less(t, rarity.Weight(g), rarity.Weight(h))
		}
	}
	require.InDelta(t, 1, Rarity(nil).Weight(7), 0)
	require.Nil(t, (&RarityCounter{}).Rarity())
}

func TestQuantisedVectorsComeBackNearly(t *testing.T) {
	t.Parallel()
	v := GramsOf("func parseHTTPRequest(ctx context.Context) error").Vector(nil)
	encoded := Quantised{}.AppendBinary(Quantise(&v).AppendBinary(nil))
	require.Len(t, encoded, 2*QuantisedBytes)
	back, err := ReadQuantised(encoded)
	require.NoError(t, err)
	var row Vector
	back[0].Into(row[:])
	require.InDelta(t, 1, dot(v, row), 0.01)
	back[1].Into(row[:])
	require.Equal(t, Vector{}, row)
	_, err = ReadQuantised(encoded[1:])
	require.Error(t, err)
}

func FuzzReadQuantised(f *testing.F) {
	v := GramsOf("seed").Vector(nil)
	f.Add(Quantise(&v).AppendBinary(nil))
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, encoded []byte) {
		vectors, err := ReadQuantised(encoded)
		if err != nil {
			return
		}
		var again []byte
		for _, q := range vectors {
			again = q.AppendBinary(again)
		}
		if len(vectors) > 0 && math.IsNaN(float64(vectors[0].Scale)) {
			return // NaN has many encodings
		}
		require.Len(t, again, len(encoded))
	})
}

func TestSamplesAreEvenAndAlwaysTheSame(t *testing.T) {
	t.Parallel()
	require.Equal(t, []int{0, 1, 2}, Sample(3, 10))
	require.Equal(t, []int{0, 25, 50, 75}, Sample(100, 4))
	require.Empty(t, Sample(0, 4))
	require.Empty(t, Sample(4, 0))
}

func BenchmarkVectorise(b *testing.B) {
	text := strings.Repeat("func parseHTTPRequest(ctx context.Context, source_name string) error { return readHeader(ctx) }\n", 30)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		p := Parsed{Chunks: []Chunk{{Text: text}}}
		Vectorise(&p)
	}
}
