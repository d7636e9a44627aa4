package porter_test

import (
	"context"
	"database/sql"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/database/sqlite/sqlitetest"
	"witan.dev/services/retrieval"
	"witan.dev/services/retrieval/porter"
)

// words are those of this repository's own sources and pages, and what stemmers stumble over.
func words(t *testing.T) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for word := range strings.FieldsSeq(`a is be ies sses eed ed ing ion y yy ay s ss sky by die lies feed bled agreed plastered motoring
		sing hopping tanned falling hissing fizzed failing filing conflated troubled sized relational conditional rational valenci
		hesitanci digitizer conformabli radicalli differentli vileli analogousli vietnamization predication operator feudalism
		decisiveness hopefulness callousness formaliti sensitiviti sensibiliti triplicate formative formalize electriciti electrical
		hopeful goodness revival allowance inference airliner gyroscopic adjustable defensible irritant replacement adjustment
		dependent adoption homologou communism activate angulariti homologous effective bowdlerize probate rate cease roll
		apologi apology archaeology naïve über straße 日本語 x1 1st utf8 ` + strings.Repeat("x", 62) + `ing ` + strings.Repeat("x", 61) + `ing`) {
		all[word] = true
	}
	root := os.DirFS(filepath.Join("..", "..", ".."))
	for _, dir := range []string{"docs", "internal", "services/retrieval"} {
		require.NoError(t, fs.WalkDir(root, dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := fs.ReadFile(root, path)
			retrieval.Words(string(text), func(word string, _ bool) {
				if !strings.ContainsRune(word, 'µ') { // SQLite makes it the Greek letter before it looks for endings
					all[word] = true
				}
			})
			return err
		}))
	}
	return all
}

// TestStemsAreThoseOfSQLite compares with the tokenizer that the embedded index uses.
func TestStemsAreThoseOfSQLite(t *testing.T) {
	t.Parallel()
	db := sqlitetest.Open(t)
	all := words(t)
	require.Greater(t, len(all), 3000)
	got := map[string]string{}
	require.NoError(t, db.Write(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
		exec := func(query string, args ...any) {
			_, err := tx.ExecContext(ctx, query, args...)
			require.NoError(t, err)
		}
		exec(`CREATE VIRTUAL TABLE stems USING fts5(word, tokenize='porter unicode61 remove_diacritics 0')`)
		exec(`CREATE VIRTUAL TABLE terms USING fts5vocab('stems', 'instance')`)
		for word := range all {
			exec(`INSERT INTO stems (word) VALUES (?)`, word)
		}
		rows, err := tx.QueryContext(ctx, `SELECT s.word, t.term FROM terms t JOIN stems s ON s.rowid = t.doc`)
		require.NoError(t, err)
		defer func() { require.NoError(t, rows.Close()) }()
		for rows.Next() {
			var word, stem string
			require.NoError(t, rows.Scan(&word, &stem))
			got[word] = stem
		}
		return rows.Err()
	}))
	wrong := 0
	for word := range all {
		if stem := porter.Stem(word); stem != got[word] {
			wrong++
			t.Logf("%s: %s, SQLite has %s", word, stem, got[word])
		}
	}
	require.Zero(t, wrong, "of %d words", len(all))
}
