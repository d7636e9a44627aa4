// Command testreport reads the output of `go test -json` from standard input and prints what a person needs: a line for
// each package, the output of what failed, the reason of what was skipped, and a closing line that counts all three. It
// exits 1 when anything failed or when nothing ran.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

// An event is a line of `go test -json` (see `go doc test2json`).
type event struct {
	Action, Package, Test, Output, ImportPath string
	Elapsed                                   float64
}

type test struct{ pkg, name string }

type report struct {
	out                     io.Writer
	output                  map[test][]string
	build                   map[string][]string
	failedPackages          []string
	skips                   []string
	passed, failed, skipped int
}

func main() {
	r := report{out: os.Stdout, output: map[test][]string{}, build: map[string][]string{}}
	if err := r.read(os.Stdin); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "testreport:", err)
		os.Exit(1)
	}
	if !r.close() {
		os.Exit(1)
	}
}

// say prints a part of the report; when nobody reads it any more, the exit code still tells.
func (r *report) say(format string, args ...any) { _, _ = fmt.Fprintf(r.out, format, args...) }

func (r *report) read(in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 1<<20), 64<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			r.say("%s\n", lines.Text()) // the go command's own words
			continue
		}
		r.add(e)
	}
	return lines.Err()
}

func (r *report) add(e event) {
	key := test{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		r.build[e.ImportPath] = append(r.build[e.ImportPath], e.Output)
	case "build-fail":
		r.say("%s", strings.Join(r.build[e.ImportPath], ""))
	case "output":
		r.output[key] = append(r.output[key], e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.endPackage(e, key)
			return
		}
		r.endTest(e, key)
	}
}

func (r *report) endTest(e event, key test) {
	switch e.Action {
	case "pass":
		r.passed++
	case "skip":
		r.skipped++
		r.skips = append(r.skips, "SKIP "+e.Package+" "+e.Test+": "+reason(r.output[key]))
	case "fail":
		r.failed++
		r.say("--- FAIL: %s %s (%.2fs)\n%s", e.Package, e.Test, e.Elapsed, strings.Join(r.output[key], ""))
	}
	delete(r.output, key)
}

func (r *report) endPackage(e event, key test) {
	switch e.Action {
	case "pass":
		r.say("ok   %s %.1fs\n", e.Package, e.Elapsed)
	case "fail":
		r.failedPackages = append(r.failedPackages, e.Package)
		r.say("FAIL %s %.1fs\n%s", e.Package, e.Elapsed, strings.Join(r.output[key], ""))
		for t, lines := range r.output { // tests that never ended: a crash or a time-out
			if t.pkg == e.Package && t.name != "" {
				r.failed++
				r.say("--- UNFINISHED: %s %s\n%s", t.pkg, t.name, strings.Join(lines, ""))
				delete(r.output, t)
			}
		}
	}
	delete(r.output, key)
}

func reason(lines []string) string {
	for _, l := range lines {
		if _, text, ok := strings.Cut(l, ".go:"); ok {
			return strings.TrimSpace(text)
		}
	}
	return "no reason given"
}

// close prints the closing lines and says whether the run may count as passed.
func (r *report) close() bool {
	for _, s := range r.skips {
		r.say("%s\n", s)
	}
	for _, p := range r.failedPackages {
		r.say("FAILED PACKAGE %s\n", p)
	}
	failed := r.failed
	if failed == 0 {
		failed = len(r.failedPackages) // did not build, or died outside a test
	}
	r.say("%d passed, %d failed, %d skipped\n", r.passed, failed, r.skipped)
	return failed == 0 && r.passed > 0
}
