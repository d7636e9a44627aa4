// Package benchmark measures reviews against pull requests on which experts have judged comments, and against bug fixes
// that were reversed. It reads the cases and scores what reviewers report; running the reviews is the caller's. Titles
// and comments of the cases are not even read, so nothing of an answer can reach a reviewer.
package benchmark
