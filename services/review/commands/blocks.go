package commands

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
)

// maxLine is how much of a line says what block it is in, in bytes (own choice). It bounds how deep blocks lie in each other:
// the parser takes the square of that.
const maxLine = 256

// apart says of each line whether it stands in a quotation or in a block of code, whatever that stands in.
func apart(lines []string) []bool {
	b := &blocks{apart: make([]bool, len(lines))}
	var source strings.Builder
	for _, line := range lines {
		b.starts = append(b.starts, source.Len())
		source.WriteString(short(line))
	}
	doc := parser.NewParser(parser.WithBlockParsers(parser.DefaultBlockParsers()...)).Parse(text.NewReader([]byte(source.String())))
	b.walk(doc, false)
	return b.apart
}

// short is a line with its end, without what is too much of it.
func short(line string) string {
	if len(line) <= maxLine {
		return line
	}
	cut := maxLine
	for !utf8.RuneStart(line[cut]) {
		cut--
	}
	return line[:cut] + "\n"
}

// blocks are the blocks of a comment.
type blocks struct {
	starts []int // of the lines
	apart  []bool
}

// walk notes the lines of a block and of those in it.
func (b *blocks) walk(block ast.Node, apart bool) {
	switch block.Kind() {
	case ast.KindBlockquote, ast.KindFencedCodeBlock, ast.KindCodeBlock:
		apart = true
	}
	if lines := block.Lines(); apart && lines != nil {
		for i := range lines.Len() {
			n, first := slices.BinarySearch(b.starts, lines.At(i).Start)
			if !first {
				n--
			}
			b.apart[n] = true
		}
	}
	for child := block.FirstChild(); child != nil; child = child.NextSibling() {
		if child.Type() == ast.TypeBlock {
			b.walk(child, apart)
		}
	}
}
