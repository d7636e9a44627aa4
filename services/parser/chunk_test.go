package parser

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// requireCover holds that chunks cover a content exactly once, in order.
func requireCover(t *testing.T, content []byte, chunks []Chunk) {
	t.Helper()
	at := 0
	for _, c := range chunks {
		require.Equal(t, at, c.Range.StartByte)
		require.Greater(t, c.Range.EndByte, at)
		at = c.Range.EndByte
	}
	require.Equal(t, len(content), at)
}

func definitionAt(lines *Lines, content, text, name string) Definition {
	start := strings.Index(content, text)
	r := lines.Range(start, start+len(text))
	return Definition{Kind: KindFunction, Name: name, Signature: "func " + name, Range: r, FullRange: r, Parent: NoDefinition}
}

func TestCutGivesEachLargerDefinitionItsChunk(t *testing.T) {
	t.Parallel()
	first := "func a() {\n" + strings.Repeat("\tx()\n", 20) + "}"
	second := "func b() {\n" + strings.Repeat("\ty()\n", 20) + "}"
	content := "package p\n\n" + first + "\n\n" + second + "\n"
	lines := NewLines([]byte(content))
	defs := []Definition{definitionAt(lines, content, first, "a"), definitionAt(lines, content, second, "b")}

	chunks, truncated := cut([]byte(content), lines, defs, nil)

	require.False(t, truncated)
	requireCover(t, []byte(content), chunks)
	require.Len(t, chunks, 3)
	require.Equal(t, []int{NoDefinition, 0, 1}, []int{chunks[0].Definition, chunks[1].Definition, chunks[2].Definition})
	require.Equal(t, 3, chunks[1].Range.StartLine)
}

func TestCutJoinsSmallNeighbours(t *testing.T) {
	t.Parallel()
	var content strings.Builder
	var texts []string
	for i := range 30 {
		texts = append(texts, fmt.Sprintf("func f%d() {\n}", i))
		content.WriteString(texts[i] + "\n")
	}
	lines := NewLines([]byte(content.String()))
	var defs []Definition
	for i, text := range texts {
		defs = append(defs, definitionAt(lines, content.String(), text, fmt.Sprintf("f%d", i)))
	}

	chunks, _ := cut([]byte(content.String()), lines, defs, nil)

	requireCover(t, []byte(content.String()), chunks)
	require.Len(t, chunks, 1)
	require.Equal(t, NoDefinition, chunks[0].Definition, "they share the file")
}

func TestCutSplitsALargeDefinitionAtBorders(t *testing.T) {
	t.Parallel()
	text := "func a() {\n" + strings.Repeat("\tx()\n", 400) + "}"
	content := text + "\n"
	lines := NewLines([]byte(content))
	var borders []Border
	for n := 2; n <= 401; n++ {
		borders = append(borders, Border{Offset: lines.Start(n) + 1, Depth: 2 + n%3})
	}

	chunks, _ := cut([]byte(content), lines, []Definition{definitionAt(lines, content, text, "a")}, borders)

	requireCover(t, []byte(content), chunks)
	require.Greater(t, len(chunks), 3)
	for i, c := range chunks {
		require.LessOrEqual(t, c.Range.EndLine-c.Range.StartLine+1, maxChunkLines)
		require.LessOrEqual(t, c.Range.Len(), maxChunkBytes)
		require.Zero(t, c.Definition)
		if i > 0 {
			require.Equal(t, "func a", c.Heading, "a piece says what it is of")
			require.Equal(t, c.Range.StartByte, lines.Start(c.Range.StartLine), "cut between lines")
		}
	}
	require.Empty(t, chunks[0].Heading)
}

func TestCutKeepsTextWithoutBordersWhole(t *testing.T) {
	t.Parallel()
	content := bytes.Repeat([]byte("x"), 100_000)
	chunks, _ := cut(content, NewLines(content), nil, lineBorders(content, NewLines(content)))
	require.Len(t, chunks, 1)
}

func TestLineChunksPreferParagraphsAndWords(t *testing.T) {
	t.Parallel()
	content := []byte(strings.Repeat(strings.Repeat("some words\n", 99)+"\n", 5) + strings.Repeat("word ", 4_000))
	lines := NewLines(content)

	chunks, _ := cut(content, lines, nil, lineBorders(content, lines))

	requireCover(t, content, chunks)
	require.Equal(t, 101, chunks[1].Range.StartLine)
	for _, c := range chunks {
		require.LessOrEqual(t, c.Range.Len(), maxChunkBytes)
	}
}

func TestCutHoldsItsLimit(t *testing.T) {
	t.Parallel()
	var content []byte
	for range MaxChunks + 10 {
		content = append(content, bytes.Repeat([]byte("line\n"), 10)...)
		content = append(content, '\n')
	}
	lines := NewLines(content)
	var defs []Definition
	for i := range MaxChunks + 10 {
		r := lines.Range(i*51, i*51+50)
		defs = append(defs, Definition{Range: r, FullRange: r, Parent: NoDefinition})
	}

	chunks, truncated := cut(content, lines, defs, nil)

	require.True(t, truncated)
	require.Len(t, chunks, MaxChunks)
	requireCover(t, content, chunks)
}

func TestCutOfNothingIsNothing(t *testing.T) {
	t.Parallel()
	chunks, _ := cut(nil, NewLines(nil), nil, nil)
	require.Empty(t, chunks)
	chunks, _ = cut([]byte("\n\n"), NewLines([]byte("\n\n")), nil, nil)
	require.Len(t, chunks, 1)
}
