// Package material cuts a change into the parts that a council reads: changed files that belong together stand in one
// part, no part is larger than the smallest context of the council, and what does not fit is named and never dropped.
// Around the change it gathers a small context from the code graph under a token budget of its own.
//
// The result depends on nothing but the input: equal changes give equal parts, byte for byte.
package material
