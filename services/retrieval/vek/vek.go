// Package vek multiplies vectors with the processor's vector instructions where it has them.
package vek

import (
	"github.com/viterin/vek/vek32"

	"witan.dev/services/retrieval"
)

// Products is a retrieval.Products.
func Products(out, matrix []float32, query *retrieval.Vector) {
	for i := range out {
		out[i] = vek32.Dot(matrix[i*retrieval.Dimensions:(i+1)*retrieval.Dimensions], query[:])
	}
}
