package postgres

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"witan.dev/internal/database"
)

// SQLSTATE codes, https://www.postgresql.org/docs/15/errcodes-appendix.html.
const (
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	uniqueViolation      = "23505"
	tooManyConnections   = "53300"
	idleTransaction      = "25P03" // the server ended the session of a process that stood still in a transaction
	notInRepertoire      = "22021"
	classConnection      = "08"
	classOperator        = "57P" // the server is stopped, crashes or starts
)

// errAgain asks Write to run the transaction again.
var errAgain = errors.New("postgres: run the transaction again")

// Again marks the error of a statement that met what another transaction wrote at the same time and will see it next
// time.
func Again(err error) error { return errors.Join(errAgain, err) }

// IsUnique says whether a statement failed because a row with the same key was there.
func IsUnique(err error) bool { return code(err) == uniqueViolation }

// Error marks errors that mean that the database is away with database.ErrAway, those about a text that it cannot keep with
// database.ErrText, and passes on all others as they are. An ended context is the caller's own doing.
func Error(err error) error {
	switch {
	case err == nil || errors.Is(err, database.ErrAway) || errors.Is(err, database.ErrText):
		return err
	case code(err) == notInRepertoire:
		return database.ErrText.Wrap(err)
	case away(err):
		return database.ErrAway.Wrap(err)
	}
	return err
}

func away(err error) bool {
	if _, connecting := errors.AsType[*pgconn.ConnectError](err); connecting {
		return !errors.Is(err, context.Canceled) && code(err) == "" || isAway(code(err)) // its own time limit is no caller's deadline
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	if c := code(err); c != "" {
		return isAway(c)
	}
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || strings.HasSuffix(err.Error(), "conn closed") // pgx has no sentinel for that one
}

func isAway(code string) bool {
	return code == tooManyConnections || strings.HasPrefix(code, classConnection) || strings.HasPrefix(code, classOperator)
}

func collides(err error) bool {
	c := code(err)
	return c == serializationFailure || c == deadlockDetected || c == idleTransaction || errors.Is(err, errAgain)
}

func code(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// pause waits longer from try to try, and not the same for all that collided.
func pause(ctx context.Context, n int) error {
	t := time.NewTimer(time.Duration(rand.IntN(1+min(n, 10))) * time.Millisecond) //nolint:gosec // a spread, no secret
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
