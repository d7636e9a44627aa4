package review

import "errors"

// Errors of the ports that the pipeline handles by kind.
var (
	// ErrUnavailable: the other service cannot be reached now. The pipeline tries again, then goes on without.
	ErrUnavailable = errors.New("service is unavailable")
	// ErrNoFile: the tree has no such file.
	ErrNoFile = errors.New("no such file in the tree")
	// ErrTooLarge: the file is larger than MaxText.
	ErrTooLarge = errors.New("file is too large to be read as text")
)
