// Package git reads repositories through the git program: revisions, merge bases, the exact list of what changed with
// its patch, blobs, trees, and frozen copies of what is staged or not yet committed. It never writes the user's
// repository.
//
// Repositories are not ours to trust. Every command runs without hooks, filters, file system monitors, external diff or
// text conversion programs, pagers and prompts, in a process group of its own, under a deadline, with bounded output,
// and with an environment that is built here. The user's configuration is ignored but for what decides which files
// exist at all: ignore file, line ends, trusted folders. Attributes are ignored when a diff is made, since a change
// could hide its own content with them.
//
// Paths are bytes in Go strings and need not be UTF-8. A *Repository may be used from several goroutines.
package git
