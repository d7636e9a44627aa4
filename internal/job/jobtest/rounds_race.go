//go:build race

package jobtest

// Rounds is how often each race is run by tests. The race detector makes SQLite some ten times slower; `make test` runs
// all of them without it.
const Rounds = 50
