package review

import "errors"

// Errors of the ports that the pipeline handles by kind.
var (
	// ErrNotFound is the answer for a review that does not exist, and for a foreign one.
	ErrNotFound = errors.New("no such review")
	// ErrUnavailable: the other service cannot be reached now. The pipeline tries again, then goes on without.
	ErrUnavailable = errors.New("service is unavailable")
	// ErrNoFile: the tree has no such file.
	ErrNoFile = errors.New("no such file in the tree")
	// ErrNoCouncil: no council has that name.
	ErrNoCouncil = errors.New("no such council")
	// ErrTooLarge: the file is larger than MaxText.
	ErrTooLarge = errors.New("file is too large to be read as text")
)
