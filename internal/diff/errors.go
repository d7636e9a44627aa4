package diff

import "fmt"

// Reason says why a diff was refused, in words for programs.
type Reason string

// The reasons.
const (
	// EmptyDiff: the input holds nothing but blanks.
	EmptyDiff Reason = "EMPTY_DIFF"
	// NotADiff: the input, or a part of it that starts like a file, holds no changes that can be read.
	NotADiff Reason = "NOT_A_DIFF"
	// CombinedDiff: the diff of a merge against all its parents. A merge is reviewed against its first parent.
	CombinedDiff Reason = "COMBINED_DIFF"
	// SeveralPatches: one path changes twice, so the input is more than one patch.
	SeveralPatches Reason = "SEVERAL_PATCHES"
	// Malformed: the text contradicts itself or the format.
	Malformed Reason = "MALFORMED_DIFF"
	// UnsafePath: a path is absolute, empty or leaves the repository.
	UnsafePath Reason = "UNSAFE_PATH"
	// TooLarge: above MaxBytes, MaxLines or MaxFiles.
	TooLarge Reason = "DIFF_TOO_LARGE"
)

// Error is the refusal of a diff. Line counts from 1 in the input and is 0 where no line is to blame. The message may
// quote the input, shortened and escaped. Errors match by reason: errors.Is(err, &Error{Reason: NotADiff}).
type Error struct {
	Reason Reason
	Line   int
	Detail string
}

// Error returns the detail with its line.
func (e *Error) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("line %d: %s", e.Line, e.Detail)
	}
	return e.Detail
}

// Is reports whether target is an *Error of the same reason.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Reason == e.Reason
}

func refuse(reason Reason, line int, format string, args ...any) error {
	return &Error{Reason: reason, Line: line, Detail: fmt.Sprintf(format, args...)}
}
