// Command fuzz runs the fuzz targets of this module for a while each, on each of some seeds, several side by side, and keeps
// the last run of each that came to its end in a report. It goes on after a target that fails, and exits 1 in the end. The
// inputs that one seed found interesting are where the next one begins: the go command keeps them in its cache.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"witan.dev/internal/testdata"
	"witan.dev/tools/lastruns"
)

func main() {
	var o options
	flag.DurationVar(&o.each, "time", time.Minute, "how long each target runs on each seed")
	flag.StringVar(&o.seeds, "seeds", "1", "numbers that the mutations of inputs begin with, by commas")
	flag.IntVar(&o.jobs, "jobs", runtime.NumCPU(), "how many targets run side by side, each with one worker")
	flag.StringVar(&o.only, "only", "", "a regular expression of targets, such as '/diff FuzzParse'")
	flag.StringVar(&o.report, "report", "", "a file for the report in Markdown, where each runs for ten minutes or longer")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "fuzz:", err)
		os.Exit(1) //nolint:gocritic // the context is the process's
	}
}

type options struct {
	each                time.Duration
	seeds, only, report string
	jobs                int
}

// The report holds runs of this time and longer, on these seeds.
const reportedTime = 10 * time.Minute

var reportedSeeds = []string{"1", "2"} //nolint:gochecknoglobals // a constant list

// target is one fuzz function.
type target struct{ pkg, name string }

func (t target) String() string { return t.pkg + " " + t.name }

// result is one run of a target on a seed.
type result struct {
	target

	seed       int
	executions int64
	corpus     int
	took       time.Duration
	// found is the input that fails; broken is why the run did not come to its end, which says nothing of the target.
	found, broken string
}

func run(ctx context.Context, o options, out io.Writer) error {
	chosen, err := regexp.Compile(o.only)
	if err != nil {
		return fmt.Errorf("read -only: %w", err)
	}
	root, err := testdata.Root()
	if err != nil {
		return err
	}
	targets, err := list(root)
	if err != nil {
		return err
	}
	stamp, err := lastruns.Stamp(ctx)
	if err != nil {
		return err
	}
	rows := keys(targets)
	targets = slices.DeleteFunc(targets, func(t target) bool { return !chosen.MatchString(t.String()) })
	if len(targets) == 0 {
		return errors.New("no target was chosen")
	}
	var (
		mu      sync.Mutex
		results []result
	)
	for seed := range strings.SplitSeq(o.seeds, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(seed))
		if err != nil {
			return fmt.Errorf("read -seeds: %w", err)
		}
		var work errgroup.Group
		work.SetLimit(o.jobs)
		for _, t := range targets {
			work.Go(func() error {
				if ctx.Err() != nil {
					return nil
				}
				r, text := fuzz(ctx, root, t, n, o.each)
				mu.Lock()
				defer mu.Unlock()
				if r.found != "" || r.broken != "" {
					_, _ = out.Write(text[max(0, bytes.Index(text, []byte("--- FAIL"))):]) // and not its progress
				}
				_, _ = fmt.Fprintf(out, "%-60s seed %d  %12d runs in %s  %s\n", r.target, r.seed, r.executions, r.took.Round(time.Second), r.verdict())
				results = append(results, r)
				if o.report == "" || o.each < reportedTime || r.broken != "" || ctx.Err() != nil {
					return nil
				}
				return page().Update(o.report, stamp, rows, [][]string{r.row(o)})
			})
		}
		if err := work.Wait(); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return failure(results)
}

func failure(results []result) error {
	bad := 0
	for _, r := range results {
		if r.found != "" || r.broken != "" {
			bad++
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d runs found something or were broken off", bad, len(results))
	}
	return nil
}

var declared = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)

// list finds the targets of the module at root, in the order of their packages.
func list(root string) (targets []target, err error) {
	err = filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "node_modules" || entry.Name() == ".git" || entry.Name() == "testdata") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		source, err := os.ReadFile(path) //nolint:gosec // a source file of ours
		if err != nil {
			return err
		}
		folder, err := filepath.Rel(root, filepath.Dir(path))
		for _, name := range declared.FindAllSubmatch(source, -1) {
			targets = append(targets, target{"./" + filepath.ToSlash(folder), string(name[1])})
		}
		return err
	})
	return targets, err
}

// fuzz runs a target, once more where the go command stumbled over its own time limit (https://go.dev/issue/75804).
func fuzz(ctx context.Context, root string, t target, seed int, each time.Duration) (result, []byte) {
	r, text := once(ctx, root, t, seed, each)
	if r.broken == stumbled {
		return once(ctx, root, t, seed, each)
	}
	return r, text
}

const stumbled = "context deadline exceeded"

var (
	progress = regexp.MustCompile(`execs: (\d+) .*\(total: (\d+)\)`)
	// failing names an input that was made up, or one that the target begins with.
	failing = regexp.MustCompile(`(?:Failing input written to|failure while testing seed corpus entry:) (\S+)`)
)

func once(ctx context.Context, root string, t target, seed int, each time.Duration) (result, []byte) {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-fuzz", "^"+t.name+"$", "-fuzztime", each.String(), "-fuzzminimizetime", "10x", "-parallel", "1", t.pkg) //nolint:gosec // our own targets
	cmd.Dir, cmd.Env = root, append(os.Environ(), "GODEBUG=fuzzseed="+strconv.Itoa(seed))
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute
	begun := time.Now()
	text, err := cmd.CombinedOutput()
	r := result{target: t, seed: seed, took: time.Since(begun)}
	if all := progress.FindAllSubmatch(text, -1); len(all) > 0 {
		last := all[len(all)-1]
		r.executions, _ = strconv.ParseInt(string(last[1]), 10, 64)
		r.corpus, _ = strconv.Atoi(string(last[2]))
	}
	input := failing.FindSubmatch(text)
	switch {
	case input != nil:
		r.found = string(input[1])
	case err != nil && bytes.Contains(text, []byte("    "+stumbled)):
		r.broken = stumbled
	case err != nil:
		r.broken = err.Error()
	case r.executions == 0:
		r.broken = "nothing was run"
	}
	return r, text
}

func (r result) verdict() string {
	switch {
	case r.broken != "":
		return "BROKEN OFF: " + r.broken
	case r.found != "":
		return "FOUND " + r.found
	}
	return "nothing"
}

// page is the report.
func page() lastruns.Page {
	return lastruns.Page{
		Head: "# Fuzzing\n\n`make fuzz FUZZTIME=10m SEEDS=1,2` runs each fuzz target on each seed with one worker, several side by side, and keeps the\n" +
			"last run of each in this table: `ONLY=…` runs some of them.",
		Columns: []string{"target", "seed", "for", "side by side", "inputs tried", "corpus in the end", "found"}, Keys: 2,
	}
}

// keys are the rows of the report.
func keys(targets []target) (keys [][]string) {
	for _, t := range targets {
		for _, seed := range reportedSeeds {
			keys = append(keys, []string{code(t), seed})
		}
	}
	return keys
}

func code(t target) string { return "`" + t.String() + "`" }

func (r result) row(o options) []string {
	return []string{
		code(r.target), strconv.Itoa(r.seed), o.each.String(), strconv.Itoa(o.jobs), strconv.FormatInt(r.executions, 10), strconv.Itoa(r.corpus), r.verdict(),
	}
}
