// Package tests is the static reviewer of tests that a change takes away: deleted, disabled or commented out while what
// they test stays, narrowed to one by a focus mark, or left without assertions that they had. It reads lines and
// indentation, not syntax trees, so it works on a patch alone as well. What moved, what was renamed, split or merged, and
// what goes together with its subject is silent: precision comes first.
package tests
