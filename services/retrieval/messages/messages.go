// Package messages translates between the domain of retrieval and its messages.
package messages

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	retrievalv1 "witan.dev/gen/witan/retrieval/v1"
	typev1 "witan.dev/gen/witan/type/v1"
	"witan.dev/services/retrieval"
)

// Name is the resource name of an index.
func Name(id retrieval.ID) string {
	if id == "" {
		return ""
	}
	return "indexes/" + string(id)
}

// ID is the inverse of Name. Anything else gives an ID that no index has.
func ID(name string) retrieval.ID { return retrieval.ID(strings.TrimPrefix(name, "indexes/")) }

// Index translates an index.
func Index(i retrieval.Index) *retrievalv1.Index {
	m := &retrievalv1.Index{
		Name: Name(i.ID), Repository: i.Repository, Commit: i.Source.ObjectID, BaseIndex: Name(i.Base), Counts: Counts(i.Counts),
		Partial: i.Partial, Job: "jobs/" + string(i.ID), CreateTime: timestamp(i.CreatedAt), ActivateTime: timestamp(i.ActivatedAt), Labels: i.Labels,
		Source: &retrievalv1.Index_GitTree{GitTree: &retrievalv1.GitTree{
			Dir: i.Source.Dir, ObjectDirs: i.Source.ObjectDirs, ObjectId: i.Source.ObjectID,
		}},
	}
	if i.Source.Snapshot != "" {
		m.Commit, m.Source = i.Tree, &retrievalv1.Index_SnapshotBlob{SnapshotBlob: i.Source.Snapshot}
	}
	if i.State == retrieval.Ready {
		m.Embedder = retrieval.EmbedderHash
	}
	return m
}

// timestamp is unset for the zero time.
func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// Counts translates counts.
func Counts(c retrieval.Counts) *retrievalv1.IndexCounts {
	return &retrievalv1.IndexCounts{
		Files: c.Files, Chunks: c.Chunks, Definitions: c.Definitions, References: c.References, Edges: c.Edges, LeftOut: c.LeftOut,
		Parsed: c.Parsed, Bytes: c.Bytes,
	}
}

// Lines translates a range of lines. One that begins before the file begins with it.
func Lines(l retrieval.Lines) *typev1.LineRange {
	start := max(l.Start, 1)
	return &typev1.LineRange{StartLine: small(start), EndLine: small(max(l.End, start))}
}

// Hit translates a found chunk.
func Hit(h retrieval.Hit) *retrievalv1.Hit {
	m := &retrievalv1.Hit{
		Chunk: ChunkName(h.ChunkRef), Path: h.File.Path, Lines: Lines(h.Chunk.Lines), Score: h.Score, Text: h.Chunk.Text, Language: h.File.Language,
		Ranks: make(map[string]int32, len(h.Ranks)),
	}
	for list, rank := range h.Ranks {
		m.Ranks[list] = small(rank)
	}
	if h.Symbol != nil {
		m.Symbol, m.Kind = h.Symbol.Qualified, typev1.SymbolKind(h.Symbol.Kind)
	}
	return m
}

// Piece translates a piece of related code.
func Piece(p retrieval.Piece) *retrievalv1.Piece {
	return &retrievalv1.Piece{
		Relation: retrievalv1.Piece_Relation(retrievalv1.Piece_Relation_value[string(p.Relation)]), Grade: typev1.Grade(p.Grade),
		Path: p.Path, Lines: Lines(p.Lines), Symbol: p.Symbol, Text: p.Text, Tokens: small(p.Tokens), Why: p.Why,
		Kind: typev1.SymbolKind(p.Kind), Name: p.Name, Qualifier: p.Qualifier, Usage: p.Usage.String(),
	}
}

// small brings a count into a message.
func small(n int) int32 { return int32(min(max(n, 0), 1<<31-1)) }

// ChunkName names a chunk as long as its file is in the view.
func ChunkName(c retrieval.ChunkRef) string { return fmt.Sprintf("%d-%d", c.File, c.Ordinal) }
