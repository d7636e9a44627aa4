//go:build !race

package secrets_test

// everyNth is how many of the shared diffs are scanned: all.
const everyNth = 1
