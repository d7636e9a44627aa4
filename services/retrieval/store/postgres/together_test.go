package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	database "witan.dev/internal/database/postgres"
	"witan.dev/internal/database/postgres/postgrestest"
	"witan.dev/internal/job"
	"witan.dev/services/retrieval"
	"witan.dev/services/retrieval/store/postgres"
)

const (
	version  = "v1"
	patience = 30 * time.Second
)

// process is one of several that share a database.
type process struct {
	*postgres.Store

	db *database.DB
}

func join(t *testing.T, url string) process {
	t.Helper()
	db := postgrestest.Connect(t, url)
	return process{postgres.New(db), db}
}

func (p process) transact(ctx context.Context, fn func(ctx context.Context, tx job.Tx) error) error {
	return transact(p.db)(ctx, fn)
}

func (p process) insert(ctx context.Context, id retrieval.ID) error {
	return p.transact(ctx, func(ctx context.Context, tx job.Tx) error {
		return p.Insert(ctx, tx, retrieval.Index{ID: id, Owner: "me", State: retrieval.Building, CreatedAt: time.Now()})
	})
}

func (p process) activate(ctx context.Context, id retrieval.ID) error {
	return p.transact(ctx, func(ctx context.Context, tx job.Tx) error {
		return p.Activate(ctx, tx, retrieval.Activation{Index: id, Version: version, At: time.Now()})
	})
}

func (p process) remove(ctx context.Context, id retrieval.ID) error {
	return p.transact(ctx, func(ctx context.Context, tx job.Tx) error { return p.Delete(ctx, tx, id) })
}

func content(blob string) retrieval.Parsed {
	p := retrieval.Parsed{
		BlobKey: retrieval.BlobKey{Blob: blob, Hint: ".go"}, Language: "go", Status: "OK", Bytes: 100,
		Definitions: []retrieval.Definition{{Kind: retrieval.KindFunction, Name: "F" + blob, Qualified: "F" + blob, Lines: retrieval.Lines{Start: 1, End: 1}, NameLine: 1, Parent: -1}},
		Chunks:      []retrieval.Chunk{{Lines: retrieval.Lines{Start: 1, End: 1}, Text: "badger " + blob}},
	}
	retrieval.Vectorise(&p)
	return p
}

// build builds an index as a worker does, parsing contents in an order of its own, and says what is wrong with it.
func (p process) build(ctx context.Context, id retrieval.ID, files []retrieval.Entry) error {
	if err := p.insert(ctx, id); err != nil {
		return err
	}
	staging, err := p.Stage(ctx, p.transact, id, version, files)
	if err != nil {
		return err
	}
	for batch := range staging.Batches {
		if err := p.parse(ctx, id, batch); err != nil {
			return fmt.Errorf("%s: parse: %w", id, err)
		}
	}
	view, _, err := p.StagedView(ctx, id, version)
	if err != nil || len(view) != len(files) {
		return fmt.Errorf("%s: %d of %d files staged: %w", id, len(view), len(files), err)
	}
	if err := p.activate(ctx, id); err != nil {
		return err
	}
	return p.check(ctx, id, files)
}

func (p process) parse(ctx context.Context, id retrieval.ID, batch int) error {
	staged, err := p.Batch(ctx, id, version, batch)
	if err != nil {
		return err
	}
	var (
		keys    []retrieval.BlobKey
		results []retrieval.Parsed
	)
	for _, f := range staged {
		if !f.Parsed {
			keys, results = append(keys, f.BlobKey), append(results, content(f.Blob))
		}
	}
	before, err := p.BeginParsing(ctx, id, version, keys)
	if err != nil || len(before) > 0 {
		return fmt.Errorf("begun before: %v: %w", before, err)
	}
	shuffle(results)
	shuffle(staged)
	if err := p.PutParsed(ctx, version, results); err != nil {
		return err
	}
	return p.PutFiles(ctx, version, staged)
}

func shuffle[T any](items []T) {
	rand.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] }) //nolint:gosec // an order, no secret
}

// check finds everything that belongs to a ready index.
func (p process) check(ctx context.Context, id retrieval.ID, files []retrieval.Entry) error {
	view, err := p.Files(ctx, id)
	if err != nil || len(view) != len(files) {
		return fmt.Errorf("%s: %d of %d files in the view: %w", id, len(view), len(files), err)
	}
	words := map[int64]int{}
	if err := p.Lexical(ctx, []string{"badger"}, func(c retrieval.ChunkRef) bool { words[c.File]++; return true }); err != nil {
		return err
	}
	for _, f := range view {
		chunks, err := p.Chunks(ctx, f.Parse)
		if err != nil || len(chunks) != 1 || words[f.ID] != 1 {
			return fmt.Errorf("%s: %s: %d chunks, %d in the text index: %w", id, f.Path, len(chunks), words[f.ID], err)
		}
	}
	return nil
}

// entries are files of few contents: most are at several paths.
func entries(from, to int) []retrieval.Entry {
	var files []retrieval.Entry
	for i := from; i < to; i++ {
		files = append(files, retrieval.Entry{Path: fmt.Sprintf("p%03d.go", i), Blob: fmt.Sprintf("b%03d", i*2/3), Size: 100})
	}
	return files
}

// TestManyProcessesBuildAndRemoveTheSame: builds over the same files in several processes at the same time, removals and
// collections beside them. Each index is whole while it is there, nobody blocks anybody, and nothing is left in the end.
func TestManyProcessesBuildAndRemoveTheSame(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	const processes, rounds = 4, 6
	var (
		work, collecting sync.WaitGroup
		done             = make(chan struct{})
		errs             = make(chan error, processes+1)
		all              []process
	)
	for range processes + 1 {
		all = append(all, join(t, url))
	}
	for n := range processes {
		work.Go(func() {
			for round := range rounds {
				id, files := retrieval.ID(fmt.Sprintf("%d-%d", n, round)), entries(round*20, 300-n*20)
				if err := errors.Join(all[n].build(t.Context(), id, files), all[n].check(t.Context(), id, files), all[n].remove(t.Context(), id)); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	collecting.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			if _, err := all[processes].Collect(t.Context(), 1000); err != nil {
				errs <- err
				return
			}
		}
	})
	work.Wait()
	close(done)
	collecting.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	last := all[processes]
	n, err := last.Collect(t.Context(), 10_000)
	require.NoError(t, err)
	require.Less(t, n, 10_000)
	for _, table := range []string{"indexes", "index_entries", "index_files", "code_parses", "code_files", "code_chunks", "code_names", "code_words", "code_attempts", "code_garbage"} {
		var rows int
		require.NoError(t, last.db.Pool().QueryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&rows))
		require.Zero(t, rows, table)
	}
	for _, p := range all[:processes] {
		p.db.Close() // which hands in what it has counted
	}
	var deadlocks int
	require.NoError(t, last.db.Pool().QueryRow(t.Context(), "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").Scan(&deadlocks))
	require.Zero(t, deadlocks)
}

// held runs write in a transaction that is open until release is called, which returns how it ended.
func (p process) held(t *testing.T, write func(ctx context.Context, transact retrieval.Fence) error) (release func() error) {
	t.Helper()
	written, released, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	once, letGo := sync.OnceFunc(func() { close(written) }), sync.OnceFunc(func() { close(released) })
	t.Cleanup(letGo)
	go func() {
		ended <- write(t.Context(), func(ctx context.Context, fn func(context.Context, job.Tx) error) error {
			return p.transact(ctx, func(ctx context.Context, tx job.Tx) error {
				if err := fn(ctx, tx); err != nil {
					return err
				}
				once()
				<-released
				return nil
			})
		})
	}()
	select {
	case <-written:
	case err := <-ended:
		require.FailNow(t, "it ended before it was released", "%v", err)
	case <-time.After(patience):
		require.FailNow(t, "it did not begin")
	}
	return func() error { letGo(); return <-ended }
}

// waiting waits until somebody waits for a row.
func (p process) waiting(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		var n int
		err := p.db.Pool().QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
			AND wait_event_type = 'Lock'`).Scan(&n)
		return err == nil && n == 1
	}, patience, 5*time.Millisecond)
}

// shared is a ready index of three files that is the last to name them.
func shared(t *testing.T) (process, []retrieval.Entry) {
	t.Helper()
	p, files := join(t, postgrestest.URL(t)), entries(0, 3)
	require.NoError(t, p.build(t.Context(), "old", files))
	return p, files
}

// A collection that meets a stage in the making waits for it and finds the contents named.
func TestACollectionWaitsForTheStageThatHasLooked(t *testing.T) {
	t.Parallel()
	p, files := shared(t)
	require.NoError(t, p.insert(t.Context(), "new"))
	var staging retrieval.Staging
	calls := 0
	release := p.held(t, func(ctx context.Context, transact retrieval.Fence) (err error) {
		staging, err = p.Stage(ctx, func(ctx context.Context, fn func(context.Context, job.Tx) error) error {
			if calls++; calls == 1 { // the first clears the stage
				return p.transact(ctx, fn)
			}
			return transact(ctx, fn)
		}, "new", version, files)
		return err
	})
	require.NoError(t, p.remove(t.Context(), "old"))
	collected := make(chan error, 1)
	go func() {
		_, err := p.Collect(t.Context(), 100)
		collected <- err
	}()
	p.waiting(t)
	require.NoError(t, release())
	require.NoError(t, <-collected)
	require.Zero(t, staging.New)
	require.NoError(t, p.activate(t.Context(), "new"))
	require.NoError(t, p.check(t.Context(), "new", files))
}

// A stage that meets a collection waits for it and finds the contents gone.
func TestAStageWaitsForTheCollectionThatHasLooked(t *testing.T) {
	t.Parallel()
	p, files := shared(t)
	require.NoError(t, p.remove(t.Context(), "old"))
	tx, err := p.db.Pool().Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }() // after a commit this does nothing
	_, err = tx.Exec(t.Context(), "SELECT 1 FROM code_parses FOR UPDATE")  // as a collection does
	require.NoError(t, err)
	built := make(chan error, 1)
	go func() { built <- p.build(t.Context(), "new", files) }()
	p.waiting(t)
	for _, table := range []string{"code_words", "code_files", "code_chunks", "code_names", "code_garbage", "code_parses"} {
		_, err = tx.Exec(t.Context(), "DELETE FROM "+table)
		require.NoError(t, err)
	}
	require.NoError(t, tx.Commit(t.Context()))
	require.NoError(t, <-built)
}

// A removal that notes what is noted already is not forgotten by a collection that finds the content still named.
func TestACollectionLeavesWhatARemovalIsNoting(t *testing.T) {
	t.Parallel()
	p, files := shared(t)
	require.NoError(t, p.build(t.Context(), "other", files))
	require.NoError(t, p.remove(t.Context(), "old"))
	release := p.held(t, func(ctx context.Context, transact retrieval.Fence) error {
		return transact(ctx, func(ctx context.Context, tx job.Tx) error { return p.Delete(ctx, tx, "other") })
	})
	_, err := p.Collect(t.Context(), 100)
	require.NoError(t, err)
	require.NoError(t, release())
	n, err := p.Collect(t.Context(), 100)
	require.NoError(t, err)
	require.Equal(t, 2, n, "the three files have two contents")
	var rows int
	require.NoError(t, p.db.Pool().QueryRow(t.Context(), "SELECT (SELECT count(*) FROM code_parses) + (SELECT count(*) FROM code_words)").Scan(&rows))
	require.Zero(t, rows)
}
