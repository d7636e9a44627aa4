package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"

	"witan.dev/internal/crashpoint"
)

// Tx is a transaction that one package opens and another one's adapter joins: what must be true together commits
// together although no package knows the other's tables.
type Tx struct{ tx *sql.Tx }

// Wrap makes tx opaque.
func Wrap(tx *sql.Tx) Tx { return Tx{tx: tx} }

// JobTx marks Tx as a transaction of the job store (job.Tx).
func (Tx) JobTx() {}

// Unwrap returns the SQL transaction behind an opaque one. It panics when tx does not come from this package: stores of
// two technologies were wired together, which is a fault of the program.
func Unwrap(tx interface{ JobTx() }) *sql.Tx {
	t, ok := tx.(Tx)
	if !ok {
		panic(fmt.Sprintf("sqlite: transaction of type %T belongs to another store", tx))
	}
	return t.tx
}

// A request is one caller's write. done receives exactly one value.
type request struct {
	ctx  context.Context //nolint:containedctx // travels with the request to the writer goroutine and ends there
	fn   func(ctx context.Context, tx *sql.Tx) error
	err  error
	done chan error
}

// Write runs fn in a transaction and returns after its commit. Writes that wait at the same time share one commit (at
// most 128): an fsync costs more than the statements. Each stands for itself all the same: when fn returns an error,
// its statements alone are undone and the error is returned as it is.
//
// fn may be run again when the shared transaction or another write in it fails, so it has no effect but on tx and assigns
// its results anew in each run. It returns at once what a statement fails with, since that may have undone the transaction,
// must not call Write, and must not commit or roll back. When ctx ends before fn was begun, Write returns its error and
// nothing is written; once begun, a write is brought to its end, since interrupting a statement would undo the writes of
// others.
func (db *DB) Write(ctx context.Context, fn func(ctx context.Context, tx *sql.Tx) error) error {
	r := &request{ctx: ctx, fn: fn, done: make(chan error, 1)}
	select {
	case db.requests <- r:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-db.stop:
		return ErrClosed
	}
	select {
	case err := <-r.done:
		return err
	case <-db.stopped:
		select {
		case err := <-r.done:
			return err
		default:
			return ErrClosed
		}
	}
}

// serve is the writer: it takes what is waiting and commits it together.
func (db *DB) serve() {
	defer close(db.stopped)
	for {
		select {
		case <-db.stop:
			return
		case first := <-db.requests:
			db.commit(db.gather(first))
		}
	}
}

func (db *DB) gather(first *request) []*request {
	batch := []*request{first}
	for len(batch) < maxBatch {
		select {
		case r := <-db.requests:
			batch = append(batch, r)
		default:
			return batch
		}
	}
	return batch
}

// commit answers every request of the batch. When the shared transaction itself fails, each is tried alone, so that one
// caller's fault (or a full disk) is reported to those whom it concerns.
func (db *DB) commit(batch []*request) {
	live := batch[:0]
	for _, r := range batch {
		if r.ctx.Err() != nil {
			r.done <- context.Cause(r.ctx)
			continue
		}
		live = append(live, r)
	}
	if len(live) == 0 {
		return
	}
	err := db.transact(live)
	if err == nil || len(live) == 1 {
		answer(live, err)
		return
	}
	db.logger.Warn("shared commit failed, writes are tried one by one", "writes", len(live), "error", err)
	for _, r := range live {
		alone := []*request{r}
		answer(alone, db.transact(alone))
	}
}

// answer tells each caller its own error, or the transaction's where that failed.
func answer(batch []*request, transaction error) {
	for _, r := range batch {
		if transaction != nil {
			r.done <- transaction
			continue
		}
		r.done <- r.err
	}
}

// transact runs the requests in one transaction and leaves each one's own error in request.err. Its own error means that
// nothing was committed for any of them. Nearly all succeed, so a savepoint around each, for which the database copies
// every page that is written, is only made when one has failed: then all of them run again.
func (db *DB) transact(batch []*request) error {
	again, err := db.attempt(batch, false)
	if again {
		_, err = db.attempt(batch, true)
	}
	return err
}

// attempt makes one transaction. Without savepoints it ends, with nothing written, at the first request that fails: again
// says that the others have to be run once more.
func (db *DB) attempt(batch []*request, savepoints bool) (again bool, err error) {
	ctx := context.Background()
	tx, err := db.writer.BeginTx(ctx, nil)
	if err != nil {
		return false, fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // after a commit this says ErrTxDone and does nothing
	wrote := false
	for _, r := range batch {
		if !savepoints {
			if r.err = call(r, tx); r.err != nil {
				return len(batch) > 1, nil
			}
		} else if err := savepoint(ctx, tx, r); err != nil {
			r.err = nil
			return false, err
		}
		wrote = wrote || r.err == nil
	}
	if !wrote {
		return false, nil
	}
	crashpoint.Hit(crashpoint.BeforeCommit)
	if err := tx.Commit(); err != nil {
		return false, fmt.Errorf("commit: %w", err)
	}
	crashpoint.Hit(crashpoint.AfterCommit)
	return false, nil
}

func savepoint(ctx context.Context, tx *sql.Tx, r *request) error {
	if _, err := tx.ExecContext(ctx, "SAVEPOINT request"); err != nil {
		return fmt.Errorf("savepoint: %w", err)
	}
	if r.err = call(r, tx); r.err == nil {
		if _, err := tx.ExecContext(ctx, "RELEASE request"); err != nil {
			return fmt.Errorf("release savepoint: %w", err)
		}
		return nil
	}
	if _, err := tx.ExecContext(ctx, "ROLLBACK TO request; RELEASE request"); err != nil {
		return fmt.Errorf("roll back to savepoint: %w", errors.Join(err, r.err))
	}
	return nil
}

// call runs the caller's function without its cancellation and turns its panic into its error: the writer serves
// others too.
func call(r *request, tx *sql.Tx) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("sqlite: panic in a write: %v\n%s", v, debug.Stack())
		}
	}()
	return r.fn(context.WithoutCancel(r.ctx), tx)
}
