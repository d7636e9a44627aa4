package parser

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLinesFindsLinesOfOffsets(t *testing.T) {
	t.Parallel()
	lines := NewLines([]byte("ab\n\ncd\n"))

	require.Equal(t, 3, lines.Count())
	require.Equal(t, []int{1, 1, 1, 2, 3, 3, 3}, []int{
		lines.At(0), lines.At(1), lines.At(2), lines.At(3), lines.At(4), lines.At(5), lines.At(6),
	})
	require.Equal(t, Range{StartByte: 0, EndByte: 3, StartLine: 1, EndLine: 1}, lines.Range(0, 3))
	require.Equal(t, Range{StartByte: 7, EndByte: 7, StartLine: 3, EndLine: 3}, lines.Range(9, 12))
	require.Equal(t, 7, lines.Start(9))
	require.Equal(t, 1, NewLines(nil).Count())
}

func TestCleanTextCutsAtACharacter(t *testing.T) {
	t.Parallel()
	require.Equal(t, "a", CleanText([]byte("aé"), 2))
	require.Equal(t, "aé", CleanText([]byte("aé"), 3))
	require.Equal(t, "�", CleanText([]byte("\xff"), 3))
	require.Empty(t, CleanText([]byte("\xff"), 2), "the replacement would not fit")
	require.Equal(t, "a b", Collapse([]byte(" a\n\t b "), 10))
}

func TestEncloseGivesTheInnermostOrShares(t *testing.T) {
	t.Parallel()
	lines := NewLines([]byte(strings.Repeat("x\n", 20)))
	at := func(first, last, parent int) Definition {
		r := lines.Range(lines.Start(first), lines.Start(last+1)-1)
		return Definition{Range: r, FullRange: r, Parent: parent}
	}
	defs := []Definition{at(2, 9, NoDefinition), at(4, 5, 0), at(11, 14, NoDefinition)}

	got := enclose(lines, defs, []LineRange{{4, 5}, {4, 6}, {8, 13}, {1, 1}, {30, 40}})

	require.Equal(t, []EnclosingDefinition{{1, 1}}, got[0].Definitions)
	require.Equal(t, []EnclosingDefinition{{0, 1}}, got[1].Definitions)
	require.Equal(t, []EnclosingDefinition{{0, 2.0 / 6}, {NoDefinition, 1.0 / 6}, {2, 3.0 / 6}}, got[2].Definitions)
	require.Equal(t, []EnclosingDefinition{{NoDefinition, 1}}, got[3].Definitions)
	require.Equal(t, []EnclosingDefinition{{NoDefinition, 1}}, got[4].Definitions)
}

// scripted is an extractor that does what a test says.
type scripted struct{ extract func() (Extraction, error) }

func (scripted) Languages() []Language                                 { return []Language{{Name: "go"}} }
func (s scripted) Extract(context.Context, Source) (Extraction, error) { return s.extract() }

// asGo takes everything for Go.
type asGo struct{}

func (asGo) Detect(string, []byte) Detection { return Detection{Language: "go"} }

func serviceOver(extract func() (Extraction, error)) *Service {
	return NewService(asGo{}, scripted{extract}, slog.New(slog.DiscardHandler))
}

func TestParseSurvivesItsExtractor(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		extract func() (Extraction, error)
		want    Status
	}{
		"panic":      {func() (Extraction, error) { panic("broken") }, StatusCrashed},
		"timeout":    {func() (Extraction, error) { return Extraction{}, ErrTimeout }, StatusTimeout},
		"no grammar": {func() (Extraction, error) { return Extraction{}, ErrNoGrammar }, StatusNoGrammar},
		"truncated":  {func() (Extraction, error) { return Extraction{Truncated: true}, nil }, StatusTruncated},
		"errors":     {func() (Extraction, error) { return Extraction{Errors: []Range{{}}, ErrorBytes: 1}, nil }, StatusErrors},
		"fine":       {func() (Extraction, error) { return Extraction{}, nil }, StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := serviceOver(c.extract).Parse(t.Context(), Request{Content: []byte("one\ntwo\n"), Want: Want{Chunks: true}})
			require.NoError(t, err)
			require.Equal(t, c.want, got.Status)
			requireCover(t, []byte("one\ntwo\n"), got.Chunks)
		})
	}
}

func TestParseGivesLineChunksOfLargeContent(t *testing.T) {
	t.Parallel()
	content := []byte(strings.Repeat("line\n", MaxContent/5+1))
	got, err := serviceOver(nil).Parse(t.Context(), Request{Content: content, Want: Want{Chunks: true}})
	require.NoError(t, err)
	require.Equal(t, StatusTooLarge, got.Status)
	requireCover(t, content, got.Chunks)
}

func TestParsePassesOnTheEndOfItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := serviceOver(func() (Extraction, error) { return Extraction{}, ctx.Err() }).Parse(ctx, Request{})
	require.ErrorIs(t, err, context.Canceled)
}

func TestParseForgetsIndexesOfDefinitionsThatAreNotWanted(t *testing.T) {
	t.Parallel()
	service := serviceOver(func() (Extraction, error) {
		return Extraction{
			Definitions: []Definition{{Name: "f", Range: Range{EndByte: 1, StartLine: 1, EndLine: 1}, Parent: NoDefinition}},
			References:  []Reference{{Name: "g"}},
		}, nil
	})
	got, err := service.Parse(t.Context(), Request{Content: []byte("x"), Want: Want{References: true}})
	require.NoError(t, err)
	require.Empty(t, got.Definitions)
	require.Equal(t, NoDefinition, got.References[0].Enclosing)
}

func TestParseKeepsAResultBelowAMessage(t *testing.T) {
	t.Parallel()
	service := serviceOver(func() (Extraction, error) {
		var e Extraction
		for range 2_000 {
			e.Definitions = append(e.Definitions, Definition{Name: "f", Signature: strings.Repeat("s", MaxSignature), Parent: NoDefinition})
		}
		for range MaxReferences {
			e.References = append(e.References, Reference{Name: "g", Qualifier: strings.Repeat("q", MaxQualifier)})
		}
		return e, nil
	})
	got, err := service.Parse(t.Context(), Request{Content: []byte("x")})
	require.NoError(t, err)
	require.Equal(t, StatusTruncated, got.Status)
	require.Len(t, got.Definitions, 2_000)
	size := 0
	for _, d := range got.Definitions {
		size += len(d.Signature)
	}
	for _, r := range got.References {
		size += len(r.Qualifier)
	}
	require.Less(t, size, maxResultBytes)
	require.Greater(t, len(got.References), 1_000)
}

func TestParseRefusesAnUnknownLanguage(t *testing.T) {
	t.Parallel()
	_, err := serviceOver(nil).Parse(t.Context(), Request{Language: "zig"})
	require.ErrorIs(t, err, ErrLanguageUnknown)
}
