//go:build race

package e2e_test

// everyNth is how many of the shared diffs are reviewed: the secret detector's regular expressions are a dozen times
// slower under the race detector. `make test` reviews all of them without it.
const everyNth = 11
