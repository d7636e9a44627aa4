package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"witan.dev/internal/database/postgres"
	"witan.dev/services/retrieval"
)

// declareRanking scores each chunk by the sum over the terms that it holds, in the shape of BM25. ts_rank tells how often
// and where a chunk holds a term (names and paths count three times the text) and nothing of the rest: a long chunk counts
// for less, one of 60 different words as it is, and a term counts the more, the fewer chunks hold it. Eight chunks a file
// stand for the number of all. Equal scores are in the order of files.
const declareRanking = `DECLARE ranking NO SCROLL CURSOR FOR
WITH terms AS MATERIALIZED (
  SELECT raw.n, raw.query
  FROM (SELECT x.n, phraseto_tsquery('witan', x.term) AS query FROM unnest($1::text[]) WITH ORDINALITY AS x (term, n)) AS raw
  WHERE numnode(raw.query) > 0
), held AS MATERIALIZED (
  SELECT t.n, w.file, w.ordinal, ts_rank('{0.33, 0.33, 1, 1}', w.words, t.query) AS rank, length(w.words) AS words
  FROM terms AS t JOIN code_words AS w ON w.words @@ t.query
), weights AS MATERIALIZED (
  SELECT held.n, ln(1 + 8 * (SELECT max(id) FROM code_files)::double precision / count(*)) AS weight FROM held GROUP BY held.n
)
SELECT held.file, held.ordinal FROM held JOIN weights ON weights.n = held.n
GROUP BY held.file, held.ordinal
ORDER BY sum(weights.weight * held.rank / (held.rank + 0.15 + 0.0075 * held.words)) DESC, held.file, held.ordinal`

// fetchRanking is how much of a ranking is read at a time; most searches need no more.
const fetchRanking = `FETCH 1000 FROM ranking`

// Lexical calls fn with the chunks of all files that hold any of the terms, best first, until it returns false. fn must not
// use the store.
func (s *Store) Lexical(ctx context.Context, terms []string, fn func(retrieval.ChunkRef) bool) error {
	if len(terms) == 0 {
		return nil
	}
	asked := make([]string, len(terms))
	for i, t := range terms {
		asked[i] = strings.ReplaceAll(strings.ToValidUTF8(t, " "), "\x00", " ")
	}
	err := pgx.BeginTxFunc(ctx, s.db.Pool(), pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, declareRanking, asked); err != nil {
			return err
		}
		for {
			more, err := fetch(ctx, tx, fn)
			if err != nil || !more {
				return err
			}
		}
	})
	if err != nil {
		return postgres.Error(fmt.Errorf("search words: %w", err))
	}
	return nil
}

// fetch reports whether there is more to read.
func fetch(ctx context.Context, tx pgx.Tx, fn func(retrieval.ChunkRef) bool) (bool, error) {
	rows, err := tx.Query(ctx, fetchRanking)
	if err != nil {
		return false, err
	}
	refs, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c retrieval.ChunkRef, err error) {
		err = row.Scan(&c.File, &c.Ordinal)
		return c, err
	})
	if err != nil {
		return false, err
	}
	for _, c := range refs {
		if !fn(c) {
			return false, nil
		}
	}
	return len(refs) > 0, nil
}
