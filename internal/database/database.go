// Package database holds what the stores of every technology have in common: when a database counts as away. Its
// subfolders open the databases.
package database

import "witan.dev/internal/apierr"

// ErrAway says that the database does not answer at the moment: it restarts, fails over, or cannot be reached. Nothing
// is known to have been written. Whoever holds a job's work in hand tries again; callers from outside are told to.
var ErrAway = apierr.Unavailable(apierr.ReasonDatabaseAway, "the database does not answer; try again after a moment")

// ErrSchema refuses to work on a database whose schema this program does not know.
var ErrSchema = apierr.Precondition(apierr.ReasonSchemaMismatch, "the database's schema is not the one that this program needs; run `witan migrate`")

// ErrText refuses a text that the database cannot keep or compare. What may hold anything (other people's words, code, paths)
// lies in bytes; this is for names and filters that came from outside.
var ErrText = apierr.Invalid(apierr.ReasonInvalidRequest, "a name or filter holds a NUL, or what is not UTF-8")
