package retrieval

import "strings"

// Vectorise gives every chunk of p its hashed vector: that of its names, twice, its heading and its text.
func Vectorise(p *Parsed) {
	for i := range p.Chunks {
		c := &p.Chunks[i]
		v := GramsOf(chunkVectorText(*c, p.Definitions)).Vector(nil)
		c.Vector = Quantise(&v)
	}
}

func chunkVectorText(c Chunk, definitions []Definition) string {
	names := strings.Join(ChunkNames(c, definitions), " ")
	return names + " " + names + " " + c.Heading + " " + c.Text
}

// Sample chooses up to n of count things, evenly spread, always the same ones.
func Sample(count, n int) []int {
	chosen := make([]int, 0, min(count, n))
	for i := range min(count, n) {
		chosen = append(chosen, i*count/min(count, n))
	}
	return chosen
}
