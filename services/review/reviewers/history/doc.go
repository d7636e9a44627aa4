// Package history is the static reviewer of what a change leaves out: files that nearly always changed together with its own
// in the past and are not in it.
//
// The rules are those of Zimmermann, Weißgerber, Diehl and Zeller, "Mining Version Histories to Guide Software Changes" (IEEE
// Transactions on Software Engineering 31(6), 2005), with one file on each side: support is the number of commits that
// changed both, confidence its share in those that changed the first.
package history
