//go:build !race

package jobtest

// Rounds is how often each race is run by tests.
const Rounds = 1000
