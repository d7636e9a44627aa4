// Package git is the ground that the simulated GitHub stands on: bare repositories on disk that the git program reads
// and writes, and a parser of its own for what git prints. It shares no code with internal/diff and internal/git on
// purpose: what those would read wrongly must not be read wrongly here as well.
package git
