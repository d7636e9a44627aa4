package main

import (
	"io"

	"witan.dev/internal/finding"
)

// shownWriter stands before a terminal. Answers of models, names of files and git's words are other people's text:
// what would steer the terminal or hide itself is written as a code point. Each write is taken for itself, so a
// character must not be spread over two.
type shownWriter struct{ terminal io.Writer }

// Write counts the bytes that it was given, not those that it wrote in their place.
func (w shownWriter) Write(p []byte) (int, error) {
	if _, err := io.WriteString(w.terminal, finding.Visible(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}
