package diff

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/bluekeyes/go-gitdiff/gitdiff"
)

// Parse reads one patch. A diff whose every line ends in CRLF is read without the CRs. Every error is an *Error. The
// input is not kept or changed.
func Parse(text []byte) (*Diff, error) {
	if err := checkSize(text); err != nil {
		return nil, err
	}
	text, normalised := normalise(text)
	s := scan(text)
	if s.combined > 0 {
		return nil, refuse(CombinedDiff, s.combined, "a combined diff of a merge: make it against the first parent")
	}
	if s.mended != nil {
		text = s.mended
	}
	if len(s.headers) > MaxFiles {
		return nil, refuse(TooLarge, 0, "%d changed files, the limit is %d", len(s.headers), MaxFiles)
	}
	parsed, err := parse(text)
	if err != nil {
		return nil, err
	}
	if err := s.check(len(parsed)); err != nil {
		return nil, err
	}
	files, err := convert(parsed, s.headers)
	if err != nil {
		return nil, err
	}
	return &Diff{Files: files, Normalised: normalised}, nil
}

func checkSize(text []byte) error {
	if len(text) > MaxBytes {
		return refuse(TooLarge, 0, "%d bytes, the limit is %d", len(text), MaxBytes)
	}
	if lines := bytes.Count(text, []byte("\n")); lines > MaxLines {
		return refuse(TooLarge, 0, "%d lines, the limit is %d", lines, MaxLines)
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return refuse(EmptyDiff, 0, "the diff is empty")
	}
	return nil
}

// normalise gives the last line its line feed and takes the CRs of a diff in which all lines end in CRLF. A diff of
// files with CRLF, which git writes with LF in its own lines, stays as it is.
func normalise(text []byte) ([]byte, bool) {
	if text[len(text)-1] != '\n' {
		text = append(bytes.Clone(text), '\n')
	}
	body := bytes.TrimSuffix(text, []byte("\n"))
	body = bytes.TrimSuffix(body, []byte("\r"))
	breaks := bytes.Count(body, []byte("\n"))
	if breaks == 0 || bytes.Count(body, []byte("\r\n")) != breaks {
		return text, false
	}
	return append(bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n")), '\n'), true
}

// check compares what the parser found with the lines that start a file.
func (s *scanner) check(parsed int) error {
	switch {
	case s.overrun > 0:
		return refuse(Malformed, s.overrun, "the hunk goes on after the lines that its header counts")
	case s.stray > 0 && !s.anyGit: // in a git diff such a line is part of a message
		return refuse(NotADiff, s.stray, "a change without its content: make the diff with git, or with diff -N")
	case parsed == 0 && len(s.headers) == 0:
		return refuse(NotADiff, 0, "no changed file found: the input is not a unified diff (colours and word diffs are not read)")
	case parsed != len(s.headers):
		line := 0
		if len(s.headers) > 0 {
			line = s.headers[0].line
		}
		return refuse(NotADiff, line, "%d lines start a file's change, but only %d files can be read", len(s.headers), parsed)
	}
	return nil
}

func parse(text []byte) (files []*gitdiff.File, err error) {
	defer func() {
		// The library has no known panic; one over hostile text must not end the process that reviews it.
		if r := recover(); r != nil {
			files, err = nil, refuse(Malformed, 0, "the diff cannot be parsed: %.200s", fmt.Sprint(r))
		}
	}()
	files, _, err = gitdiff.Parse(bytes.NewBuffer(text))
	if err != nil {
		return nil, malformed(err)
	}
	return files, nil
}

// malformed turns the library's "gitdiff: line 12: text" into an Error with that line.
func malformed(err error) error {
	line, detail := 0, strings.TrimPrefix(err.Error(), "gitdiff: ")
	if m := regexp.MustCompile(`^line (\d+): `).FindStringSubmatch(detail); m != nil {
		if n, convErr := strconv.Atoi(m[1]); convErr == nil {
			line, detail = n, detail[len(m[0]):]
		}
	}
	return refuse(Malformed, line, "%.300s", strings.ToValidUTF8(detail, "?"))
}

// ReasonOf returns the reason of a refusal of this package, or "" for any other error.
func ReasonOf(err error) Reason {
	if refusal, ok := errors.AsType[*Error](err); ok {
		return refusal.Reason
	}
	return ""
}
