//go:build !race

package e2e_test

// everyNth is how many of the shared diffs are reviewed: all.
const everyNth = 1
