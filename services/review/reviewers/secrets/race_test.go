//go:build race

package secrets_test

// everyNth is how many of the shared diffs are scanned: the detector's regular expressions are a dozen times slower
// under the race detector, where precision is not what is looked for.
const everyNth = 11
