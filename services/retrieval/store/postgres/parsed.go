package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"witan.dev/gen/sql/retrievalsql"
	"witan.dev/services/retrieval"
	"witan.dev/services/retrieval/store/pack"
)

const (
	// bytesPerWrite bounds the source text of one transaction.
	bytesPerWrite = 1 << 20
	// A vector of words may not exceed 1 MB with the places of its words, which take up to as much again as the words.
	// What is longer is found by its beginning.
	maxNames, maxPath, maxBody = 64 << 10, 16 << 10, 256 << 10
)

// errUnknownContent means that a file is placed whose content was not stored, or was removed with all that named it.
var errUnknownContent = errors.New("its content is not known")

// content is a parse result with what addresses it.
type content struct {
	*retrieval.Parsed

	key []byte
}

// PutParsed stores results and ends their parsing, some files to a transaction.
func (s *Store) PutParsed(ctx context.Context, version string, results []retrieval.Parsed) error {
	contents := make([]content, len(results))
	for i := range results {
		contents[i] = content{&results[i], keyOf(results[i].BlobKey, version)}
	}
	slices.SortFunc(contents, func(a, b content) int { return bytes.Compare(a.key, b.key) })
	for group := range portions(contents, func(c content) int64 { return c.Bytes }) {
		err := s.write(ctx, func(ctx context.Context, q *retrievalsql.Queries) error { return putContents(ctx, q, version, group) })
		if err != nil {
			return fmt.Errorf("store parse results: %w", err)
		}
	}
	return nil
}

func putContents(ctx context.Context, q *retrievalsql.Queries, version string, contents []content) error {
	inserted, err := q.InsertContents(ctx, columnsOf(version, contents))
	if err != nil {
		return err
	}
	fresh := make(map[string]int64, len(inserted))
	for _, r := range inserted {
		fresh[string(r.Key)] = r.ID
	}
	var (
		keys   [][]byte
		chunks []retrievalsql.InsertChunksParams
		names  []retrievalsql.InsertNamesParams
	)
	for _, c := range contents {
		keys = append(keys, c.key)
		parse, isFresh := fresh[string(c.key)]
		if !isFresh {
			continue // known already
		}
		delete(fresh, string(c.key)) // the first of two with one key was stored
		chunks, names = append(chunks, chunkRows(parse, c.Chunks)...), append(names, nameRows(parse, c.Definitions)...)
	}
	if len(chunks) > 0 {
		if _, err := q.InsertChunks(ctx, chunks); err != nil {
			return err
		}
	}
	if len(names) > 0 {
		if _, err := q.InsertNames(ctx, names); err != nil {
			return err
		}
	}
	return q.EndAllAttempts(ctx, keys)
}

func columnsOf(version string, contents []content) retrievalsql.InsertContentsParams {
	p := retrievalsql.InsertContentsParams{Version: version}
	for _, c := range contents {
		vectors := []byte{}
		for _, chunk := range c.Chunks {
			vectors = chunk.Vector.AppendBinary(vectors)
		}
		p.Keys, p.Blobs, p.Hints = append(p.Keys, c.key), append(p.Blobs, c.Blob), append(p.Hints, c.Hint)
		p.Languages, p.Statuses = append(p.Languages, c.Language), append(p.Statuses, c.Status)
		p.LeftOuts, p.Sizes, p.ErrorShares = append(p.LeftOuts, c.LeftOut), append(p.Sizes, c.Bytes), append(p.ErrorShares, c.ErrorShare)
		p.Definitions, p.Refs = append(p.Definitions, small(len(c.Definitions))), append(p.Refs, small(len(c.References)))
		p.Chunks = append(p.Chunks, small(len(c.Chunks)))
		p.PackedDefinitions = append(p.PackedDefinitions, pack.Definitions(c.Definitions))
		p.PackedRefs = append(p.PackedRefs, pack.References(c.References))
		p.PackedImports = append(p.PackedImports, pack.Imports(c.Imports))
		p.Vectors = append(p.Vectors, vectors)
	}
	return p
}

func chunkRows(parse int64, chunks []retrieval.Chunk) []retrievalsql.InsertChunksParams {
	rows := make([]retrievalsql.InsertChunksParams, len(chunks))
	for i, c := range chunks {
		rows[i] = retrievalsql.InsertChunksParams{
			Parse: parse, Ordinal: small(i), StartLine: small(c.Lines.Start), EndLine: small(c.Lines.End),
			Definition: small(c.Definition), Heading: []byte(c.Heading), Text: []byte(c.Text),
		}
	}
	return rows
}

func nameRows(parse int64, definitions []retrieval.Definition) []retrievalsql.InsertNamesParams {
	rows := make([]retrievalsql.InsertNamesParams, len(definitions))
	for i, d := range definitions {
		rows[i] = retrievalsql.InsertNamesParams{Name: digest(d.Name), Parse: parse, Ordinal: small(i)}
	}
	return rows
}

// PutFiles makes known contents known at their paths, with the words of their chunks. A file whose content is no part
// of an index has no words.
func (s *Store) PutFiles(ctx context.Context, version string, files []retrieval.Staged) error {
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b retrieval.Staged) int { return strings.Compare(a.Path, b.Path) })
	for group := range portions(files, func(f retrieval.Staged) int64 { return f.Size }) {
		err := s.write(ctx, func(ctx context.Context, q *retrievalsql.Queries) error { return putFiles(ctx, q, version, group) })
		if err != nil {
			return fmt.Errorf("store files: %w", err)
		}
	}
	return nil
}

// putFiles holds the contents, so that none is collected between the look and the file.
func putFiles(ctx context.Context, q *retrievalsql.Queries, version string, files []retrieval.Staged) error {
	keys := make([][]byte, len(files))
	for i, f := range files {
		keys[i] = keyOf(f.BlobKey, version)
	}
	held, err := q.ShareDefinitions(ctx, keys)
	if err != nil {
		return err
	}
	parses, contents := make(map[string]int64, len(held)), make(map[int64]retrievalsql.ShareDefinitionsRow, len(held))
	for _, h := range held {
		parses[string(h.Key)], contents[h.ID] = h.ID, h
	}
	var rows retrievalsql.InsertFilesParams
	for i, f := range files {
		parse, known := parses[string(keys[i])]
		if !known {
			return fmt.Errorf("%.200q: %w", f.Path, errUnknownContent)
		}
		rows.Parses, rows.Places, rows.Paths = append(rows.Parses, parse), append(rows.Places, digest(f.Path)), append(rows.Paths, f.Path)
	}
	fresh, err := q.InsertFiles(ctx, rows)
	if err != nil {
		return err
	}
	fresh = slices.DeleteFunc(fresh, func(f retrievalsql.InsertFilesRow) bool { return contents[f.Parse].LeftOut != "" })
	return putWords(ctx, q, fresh, contents)
}

// putWords stores the words of new files.
func putWords(ctx context.Context, q *retrievalsql.Queries, files []retrievalsql.InsertFilesRow, contents map[int64]retrievalsql.ShareDefinitionsRow) error {
	if len(files) == 0 {
		return nil
	}
	parses := make([]int64, len(files))
	for i, f := range files {
		parses[i] = f.Parse
	}
	chunks, err := chunksOf(ctx, q, parses)
	if err != nil {
		return err
	}
	for _, f := range files {
		definitions, err := pack.ReadDefinitions(contents[f.Parse].PackedDefinitions)
		if err != nil {
			return fmt.Errorf("%.200q: %w", f.Path, err)
		}
		if err := q.InsertWords(ctx, wordsOf(f, chunks[f.Parse], definitions)); err != nil {
			return fmt.Errorf("%.200q: %w", f.Path, err)
		}
	}
	return nil
}

func wordsOf(f retrievalsql.InsertFilesRow, chunks []retrieval.Chunk, definitions []retrieval.Definition) retrievalsql.InsertWordsParams {
	var p retrievalsql.InsertWordsParams
	path := words(f.Path, maxPath)
	for i, c := range chunks {
		p.Files, p.Ordinals, p.Paths = append(p.Files, f.ID), append(p.Ordinals, small(i)), append(p.Paths, path)
		p.Names = append(p.Names, words(strings.Join(retrieval.ChunkNames(c, definitions), " "), maxNames))
		p.Bodies = append(p.Bodies, words(c.Heading+" "+c.Text, maxBody))
	}
	return p
}

// words returns the words of text, those that begin within limit bytes of them.
func words(text string, limit int) string {
	all := retrieval.SplitText(text)
	if len(all) <= limit {
		return all
	}
	if end := strings.IndexByte(all[limit:], ' '); end >= 0 {
		return all[:limit+end]
	}
	return all
}

// portions yields parts of items of at most bytesPerWrite, and of at least one item.
func portions[T any](items []T, size func(T) int64) iter.Seq[[]T] {
	return func(yield func([]T) bool) {
		for start := 0; start < len(items); {
			end, sum := start+1, size(items[start])
			for end < len(items) && sum+size(items[end]) <= bytesPerWrite && end-start < rowsPerWrite {
				sum += size(items[end])
				end++
			}
			if !yield(items[start:end]) {
				return
			}
			start = end
		}
	}
}
