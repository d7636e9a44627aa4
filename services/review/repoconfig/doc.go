// Package repoconfig reads what a repository says of its own reviews, its .witan.yaml: strictly, within bounds, and never
// from the change that is reviewed.
package repoconfig
