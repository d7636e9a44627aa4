// Command mutate breaks each guarantee on purpose, one mutation of test/mutations at a time, and requires that its tests
// fail then: a test that passes whatever the code does proves nothing. The sources stay as they are; the go command is told
// to read the changed file instead (-overlay). It exits 1 when a mutation survived or did not compile, or when the tests
// fail without it.
//
// Some of the tests need a Postgres and a Redis: run it as `make mutations`.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"witan.dev/internal/testdata"
	"witan.dev/test/mutations"
	"witan.dev/tools/lastruns"
)

// limit bounds one run of tests: a mutation may make one of them wait for ever. Tests that build programs, perhaps two of
// them with nothing cached, get systemLimit.
const (
	limit       = "3m"
	systemLimit = "20m"
)

func main() {
	only := flag.String("only", "", "a regular expression of guarantees, such as '^G1'")
	report := flag.String("report", "", "a file for the report in Markdown")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *only, *report, os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1) //nolint:gocritic // the context is the process's
	}
}

// verdict is what became of a mutation.
type verdict string

const (
	caught   verdict = "caught"
	survived verdict = "SURVIVED"
	broken   verdict = "does not compile"
	unsound  verdict = "its tests fail without it"
)

// result is one mutation with its verdict.
type result struct {
	mutations.Mutation

	verdict verdict
	// by are the first tests that failed.
	by   []string
	took time.Duration
}

func run(ctx context.Context, only, report string, out io.Writer) error {
	chosen, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("read -only: %w", err)
	}
	root, err := testdata.Root()
	if err != nil {
		return err
	}
	all, err := mutations.All()
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "witan-mutate")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder) //nolint:errcheck // a temporary folder
	m := &mutator{root: root, folder: folder, sound: map[string]bool{}, out: out}
	stamp, err := lastruns.Stamp(ctx)
	if err != nil {
		return err
	}
	var results []result
	var keys [][]string
	for _, mutation := range all {
		keys = append(keys, key(mutation))
	}
	for _, mutation := range all {
		if !chosen.MatchString(mutation.Guarantee) {
			continue
		}
		r, err := m.try(ctx, mutation)
		if err != nil {
			return err
		}
		results = append(results, r)
		_, _ = fmt.Fprintf(out, "%-4s %-9s %4.0f s  %s\n", r.Guarantee, r.verdict, r.took.Seconds(), r.Breaks)
		if report != "" {
			if err := page().Update(report, stamp, keys, [][]string{r.row()}); err != nil {
				return err
			}
		}
	}
	return failure(results)
}

func failure(results []result) error {
	if len(results) == 0 {
		return errors.New("no mutation was chosen")
	}
	bad := 0
	for _, r := range results {
		if r.verdict != caught {
			bad++
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d mutations were not caught", bad, len(results))
	}
	return nil
}

// mutator runs tests with and without changes.
type mutator struct {
	root, folder string
	// sound says of tests whether the unchanged code passes them.
	sound map[string]bool
	out   io.Writer
}

// try runs the tests without the mutation, which must pass, and with it.
func (m *mutator) try(ctx context.Context, mutation mutations.Mutation) (result, error) {
	r := result{Mutation: mutation}
	changed, err := mutation.Apply(m.root)
	if err != nil {
		return r, err
	}
	tests := mutation.Package + " " + mutation.Run
	if _, known := m.sound[tests]; !known {
		text, err := m.test(ctx, mutation, "")
		if ctx.Err() != nil {
			return r, context.Cause(ctx)
		}
		if err != nil {
			_, _ = fmt.Fprintf(m.out, "%s%s fails without a mutation: %v\n", text, tests, err)
		}
		m.sound[tests] = err == nil
	}
	if !m.sound[tests] {
		r.verdict = unsound
		return r, nil
	}
	overlay, err := m.overlay(mutation.File, changed)
	if err != nil {
		return r, err
	}
	begun := time.Now()
	text, err := m.test(ctx, mutation, overlay)
	r.took = time.Since(begun)
	if ctx.Err() != nil {
		return r, context.Cause(ctx)
	}
	switch r.by = failed(text); {
	case err == nil:
		r.verdict = survived
	case len(r.by) == 0:
		r.verdict = broken
		_, _ = m.out.Write(text)
	default:
		r.verdict = caught
	}
	return r, nil
}

// overlay writes what tells the go command to read other content for a file.
func (m *mutator) overlay(file string, content []byte) (string, error) {
	source := filepath.Join(m.folder, "source.go")
	if err := os.WriteFile(source, content, 0o600); err != nil {
		return "", err
	}
	text, err := json.Marshal(map[string]map[string]string{"Replace": {filepath.Join(m.root, filepath.FromSlash(file)): source}})
	if err != nil {
		return "", err
	}
	path := filepath.Join(m.folder, "overlay.json")
	return path, os.WriteFile(path, text, 0o600)
}

// test runs the tests of a mutation. The overlay goes by GOFLAGS, so that programs which a test builds have it too.
func (m *mutator) test(ctx context.Context, mutation mutations.Mutation, overlay string) ([]byte, error) {
	bound := limit
	if mutation.Package == "./test/e2e" {
		bound = systemLimit
	}
	cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-timeout", bound, "-run", mutation.Run, mutation.Package) //nolint:gosec // our own list
	cmd.Dir, cmd.Env = m.root, os.Environ()
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute
	if overlay != "" {
		cmd.Env = append(cmd.Env, strings.TrimSpace("GOFLAGS="+os.Getenv("GOFLAGS")+" -overlay="+overlay))
	}
	text, err := cmd.CombinedOutput()
	if err == nil && bytes.Contains(text, []byte("no tests to run")) {
		err = errors.New("there is no such test")
	}
	return text, err
}

var failing = regexp.MustCompile(`(?m)^--- FAIL: (\S+)|^panic: (test timed out) after|^\s+(Test\w+)\S* \(\d+m\d+s\)$`)

// failed are the tests that failed, at most three.
func failed(text []byte) []string {
	var names []string
	for _, match := range failing.FindAllSubmatch(text, -1) {
		if name := string(bytes.Join(match[1:], nil)); len(names) < 3 {
			names = append(names, name)
		}
	}
	return names
}

// page is the report.
func page() lastruns.Page {
	return lastruns.Page{
		Head:    "# Mutations\n\n`make mutations` breaks each guarantee on purpose and requires that its tests fail. The last run of each; `ONLY=^G1` runs some.",
		Columns: []string{"guarantee", "what was broken", "where", "verdict", "tests that failed"}, Keys: 3,
	}
}

func key(m mutations.Mutation) []string { return []string{m.Guarantee, m.Breaks, "`" + m.File + "`"} }

func (r result) row() []string {
	return append(key(r.Mutation), string(r.verdict), strings.Join(r.by, ", "))
}
