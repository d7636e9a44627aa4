package render_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/diff"
	"witan.dev/internal/finding"
	"witan.dev/services/review/publish/render"
	"witan.dev/services/review/wire"
)

// changed makes so many files with paths of about so many bytes, every so many of them not read in full, in three ways.
func changed(n, length, unread int) []finding.FileCoverage {
	files := make([]finding.FileCoverage, n)
	for i := range files {
		folder := fmt.Sprintf("services/component%d/internal/", i/20)
		folder += strings.Repeat("x", max(0, length-len(folder)-14))
		if length > 100 {
			folder += strconv.Itoa(i) // each in a folder of its own
		}
		f := finding.FileCoverage{Path: fmt.Sprintf("%s/file_%04d.go", folder, i), Change: "M", Status: finding.Reviewed}
		if unread > 0 && i%unread == unread-1 {
			switch i / unread % 3 {
			case 0:
				f.Status, f.Reasons = finding.Partial, []finding.Reason{finding.ReasonBudget}
			case 1:
				f.Status, f.Reasons = finding.Skipped, []finding.Reason{finding.ReasonTooLarge}
			case 2:
				f.Status, f.Reasons = finding.Skipped, []finding.Reason{finding.ReasonVendored}
			}
		}
		files[i] = f
	}
	return files
}

var (
	fileName = regexp.MustCompile(`file_\d{4}\.go`)
	counted  = regexp.MustCompile(`(?m)^(reviewed|partial|skipped): (\d+)$`)
	inFolder = regexp.MustCompile(`(?m)^ \S+ (\d+)$`)
)

// requireEveryFile requires that each file has a row or is counted under its status, and returns how many rows there are
// of files that were not read in full, and of the others.
func requireEveryFile(t *testing.T, files []finding.FileCoverage, text string) (unread, read int) {
	t.Helper()
	named := map[string]bool{}
	for _, n := range fileName.FindAllString(text, -1) {
		require.False(t, named[n], "%s has two rows", n)
		named[n] = true
	}
	want, have := map[string]int{}, map[string]int{}
	for i := range files {
		status := strings.ToLower(files[i].Status.String())
		want[status]++
		switch {
		case !named[fileName.FindString(files[i].Path)]:
			continue
		case files[i].Status == finding.Reviewed:
			read++
		default:
			unread++
		}
		have[status]++
	}
	rest, folders := 0, 0
	for _, m := range counted.FindAllStringSubmatch(text, -1) {
		n, err := strconv.Atoi(m[2])
		require.NoError(t, err)
		have[m[1]] += n
		rest += n
	}
	require.Equal(t, want, have)
	for _, m := range inFolder.FindAllStringSubmatch(text, -1) {
		n, err := strconv.Atoi(m[1])
		require.NoError(t, err)
		folders += n
	}
	require.Contains(t, []int{0, rest}, folders, "the counts of the folders are those of the statuses")
	if rest > 0 {
		require.Contains(t, text, fmt.Sprintf("%d more files do not fit here; [the job](<%s>) has them all, as JSON at `/v1/reviews/k1:export`.", rest, job))
		require.True(t, unread == want["partial"]+want["skipped"] || read == 0, "those that were read are named first")
	}
	return unread, read
}

// TestP07_EveryPathIsListed: walkthrough and check run name every changed file with its status, those first of which not
// everything was read. What does not fit is counted, rightly, and the JSON has all.
func TestP07_EveryPathIsListed(t *testing.T) {
	t.Parallel()
	const every = diff.MaxFiles
	for name, c := range map[string]struct {
		files, length, unread int
		findings              int
		// How many files have to be named; all that were not read in full where it is not said.
		check, checkUnread, walk, walkUnread int
	}{
		"one":                                {files: 1, length: 60, check: 1, walk: 1},
		"a table":                            {files: 200, length: 60, unread: 3, check: 200, walk: 200},
		"a table of long paths":              {files: 200, length: 200, unread: 3, check: 200, walk: 200},
		"by folder":                          {files: 965, length: 60, unread: 10, check: 965, walk: 965},
		"long paths":                         {files: 300, length: 200, unread: 4, check: 300, walk: 230},
		"as many as the check run holds":     {files: 4000, length: 60, unread: 10, check: 4000, walk: 1500},
		"all that a change may have":         {files: every, length: 60, unread: 12, check: 4500, walk: 1400},
		"the same with 300 findings":         {files: every, length: 60, unread: 12, findings: 300, check: 3000, walk: 500},
		"long paths, as many as may be":      {files: every, length: 200, unread: 12, check: 480, walk: 230, walkUnread: 230},
		"nothing read":                       {files: every, length: 60, unread: 1, check: 4000, checkUnread: 4000, walk: 2000, walkUnread: 2000},
		"nothing read, long paths, findings": {files: every, length: 200, unread: 1, findings: 300, check: 300, checkUnread: 300, walk: 100, walkUnread: 100},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := &render.Overview{
				Report:  &finding.Report{Name: "reviews/k1", Job: "jobs/k1", Summary: strings.Repeat("A long summary. ", 300), Coverage: finding.Coverage{Files: changed(c.files, c.length, c.unread)}},
				Address: job,
			}
			for range c.findings {
				f := filled("some words")
				f.Publication.URL = ours
				o.Report.Findings = append(o.Report.Findings, f)
			}
			files := o.Report.Coverage.Files
			all := len(files) - o.Report.Coverage.Count(finding.Reviewed)
			line := finding.EscapeMarkdown(finding.CoverageLine(o.Report.Coverage))
			_, summary, more := o.Check()
			walkthrough := o.Walkthrough(mark)
			require.Contains(t, summary, line)
			require.Contains(t, walkthrough, line)
			for _, s := range []struct {
				text         string
				least, first int
			}{{summary + "\n" + more, c.check, c.checkUnread}, {walkthrough, c.walk, c.walkUnread}} {
				unread, read := requireEveryFile(t, files, s.text)
				t.Logf("%d of %d files named, %d of %d that were not read in full", unread+read, len(files), unread, all)
				require.GreaterOrEqual(t, unread+read, s.least)
				if s.first == 0 {
					s.first = all
				}
				require.GreaterOrEqual(t, unread, s.first)
			}
			if c.findings > 0 {
				require.Contains(t, more, "**Findings: 300**")
				require.Contains(t, walkthrough, "**Findings: 300**")
			}
			require.LessOrEqual(t, len(summary), render.Limit)
			require.LessOrEqual(t, len(more), render.Limit)
			lively(t, "walkthrough", walkthrough)
			requireAllInJSON(t, o.Report)
		})
	}
}

func requireAllInJSON(t *testing.T, r *finding.Report) {
	t.Helper()
	out := &reviewv1.Review{Coverage: &reviewv1.Coverage{}}
	wire.Files(out, r.Coverage)
	exported, err := protojson.Marshal(out)
	require.NoError(t, err)
	var read struct {
		Coverage struct {
			Files []struct{ Path, Status string }
		}
	}
	require.NoError(t, json.Unmarshal(exported, &read))
	want, have := map[string]string{}, map[string]string{}
	for i := range r.Coverage.Files {
		want[r.Coverage.Files[i].Path] = r.Coverage.Files[i].Status.String()
	}
	for _, f := range read.Coverage.Files {
		have[f.Path] = f.Status
	}
	require.True(t, maps.Equal(want, have))
}
