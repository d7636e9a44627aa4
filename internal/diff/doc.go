// Package diff reads unified diffs, as git and GNU diff write them, into checked data: files with both names, modes,
// blobs and hunks, and the positions that a comment can have in them. The grammar is go-gitdiff's; what that library
// accepts silently although it cannot be true (no file at all, a merge's combined diff, several patches in one, paths
// that leave the repository, hunks out of order) is refused here with an *Error that names reason and line.
//
// Paths and lines are bytes in Go strings: they need not be UTF-8. Nothing here touches a file system, and all
// functions may be called from any goroutine; parsed values must not be changed while others read them.
package diff
