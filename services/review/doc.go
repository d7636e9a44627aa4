// Package review is the domain of the review service: what a review is of (sources and subjects), what became of every
// changed file (coverage), how the material is cut for the council (plan), and the ports through which the pipeline
// reaches git, the parser, the index, the council and its store.
//
// It decides; it does not talk. The steps of a review run in services/review/worker, the RPCs are answered in
// services/review/server, and the static reviewers lie in services/review/reviewers.
package review
