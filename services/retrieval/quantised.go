package retrieval

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Quantised is a vector in one byte a dimension (recall changes by at most .006). The zero value is the zero vector.
type Quantised struct {
	// Scale times a component is the vector's value.
	Scale float32
	// Components has Dimensions entries, or none.
	Components []int8
}

// QuantisedBytes is the size of one encoded vector.
const QuantisedBytes = 4 + Dimensions

// Quantise rounds v.
func Quantise(v *Vector) Quantised {
	largest := float32(0)
	for _, x := range v {
		largest = max(largest, max(x, -x))
	}
	if largest == 0 {
		return Quantised{}
	}
	q := Quantised{Scale: largest / math.MaxInt8, Components: make([]int8, Dimensions)}
	for i, x := range v {
		q.Components[i] = int8(math.Round(float64(x / q.Scale)))
	}
	return q
}

// AppendBinary appends the encoded vector.
func (q Quantised) AppendBinary(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, math.Float32bits(q.Scale))
	for i := range Dimensions {
		c := int8(0)
		if i < len(q.Components) {
			c = q.Components[i]
		}
		b = append(b, byte(c))
	}
	return b
}

// ReadQuantised decodes vectors that follow each other.
func ReadQuantised(b []byte) ([]Quantised, error) {
	if len(b)%QuantisedBytes != 0 {
		return nil, fmt.Errorf("retrieval: %d bytes are no vectors", len(b))
	}
	vectors := make([]Quantised, 0, len(b)/QuantisedBytes)
	for ; len(b) > 0; b = b[QuantisedBytes:] {
		q := Quantised{Scale: math.Float32frombits(binary.LittleEndian.Uint32(b)), Components: make([]int8, Dimensions)}
		for i, c := range b[4:QuantisedBytes] {
			q.Components[i] = int8(c) //nolint:gosec // the inverse of AppendBinary
		}
		vectors = append(vectors, q)
	}
	return vectors, nil
}

// Into writes the vector into row, which has Dimensions entries.
func (q Quantised) Into(row []float32) {
	clear(row)
	for i, c := range q.Components {
		row[i] = q.Scale * float32(c)
	}
}
