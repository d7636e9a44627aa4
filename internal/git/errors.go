package git

import (
	"errors"
	"fmt"
	"strings"
)

// Errors of this package; they come wrapped with what was tried and git's own words.
var (
	// ErrMissing: there is no git program.
	ErrMissing = errors.New("git is not installed or not in PATH")
	// ErrNotRepository: the folder is in no git repository, or there is no such folder.
	ErrNotRepository = errors.New("not a git repository")
	// ErrUnsafe: the repository belongs to another user and git does not trust it (safe.directory).
	ErrUnsafe = errors.New("git does not trust this repository")
	// ErrUnknownRevision: the revision names no commit here.
	ErrUnknownRevision = errors.New("unknown revision")
	// ErrUnborn: the branch has no commit yet.
	ErrUnborn = errors.New("the repository has no commit yet")
	// ErrNoMergeBase: the two commits have no common ancestor here. In a shallow clone it may lie beyond the border.
	ErrNoMergeBase = errors.New("no common ancestor")
	// ErrNoWorkTree: the repository is bare, so nothing can be staged or uncommitted.
	ErrNoWorkTree = errors.New("the repository has no working tree")
	// ErrUnmerged: the index holds unmerged paths, so it is no tree.
	ErrUnmerged = errors.New("the index has unmerged paths")
	// ErrTooLarge: an output or a set of files is above its limit.
	ErrTooLarge = errors.New("too large")
	// ErrInconsistent: two readings of one change disagree; the repository changed meanwhile or git is not git.
	ErrInconsistent = errors.New("git's list of changed files and its patch disagree")
	// ErrNotObjectID: something else than a full object ID was given where only those are allowed.
	ErrNotObjectID = errors.New("not an object ID")
)

// CommandError is a git command that ended with a failure. Stderr is what it said, shortened.
type CommandError struct {
	Command string
	Exit    int
	Stderr  string
}

// Error names the subcommand, the exit code and git's words.
func (e *CommandError) Error() string {
	return fmt.Sprintf("git %s: exit %d: %s", e.Command, e.Exit, e.Stderr)
}

func firstWords(stderr []byte) string {
	const limit = 500
	text := strings.TrimSpace(strings.ToValidUTF8(string(stderr), "?"))
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "") + "…"
	}
	return text
}

func exitCode(err error) int {
	if failed, ok := errors.AsType[*CommandError](err); ok {
		return failed.Exit
	}
	return -1
}

func said(err error, words string) bool {
	failed, ok := errors.AsType[*CommandError](err)
	return ok && strings.Contains(failed.Stderr, words)
}
