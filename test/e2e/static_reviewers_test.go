package e2e_test

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/job"
	"witan.dev/internal/testdata"
	"witan.dev/test/e2e/gittest"
)

// realFile is a file of a real repository. Symbols are from a compiler's own parser, where there is one.
type realFile struct {
	Path, Text string
	Exact      []struct {
		Name, Kind, Scope string
		Start, End        int
	}
}

func realFiles(t *testing.T, repo string) []realFile {
	t.Helper()
	var files []realFile
	testdata.JSONL(t, "symbols/"+repo+".jsonl.gz", func(f realFile) { files = append(files, f) })
	require.NotEmpty(t, files)
	return files
}

func asTree(files []realFile) map[string]string {
	tree := map[string]string{}
	for _, f := range files {
		tree[f.Path] = f.Text
	}
	return tree
}

// TestStaticReviewersOnRealCode changes real code in ways of which it is known whether they break it: what is only formatted
// anew or renamed within its package breaks nothing, and a function that is deleted breaks those who call it. Under the race
// detector one repository is formatted anew.
func TestStaticReviewersOnRealCode(t *testing.T) {
	t.Parallel()
	s := startReviews(t, &scriptedCouncil{})
	reviewed := func(t *testing.T, base, head map[string]string) *reviewv1.Review {
		t.Helper()
		repo := gittest.New(t)
		from := repo.Commit("base of "+t.Name(), base) // repositories with one root commit are one subject
		to := repo.Commit("head", head)
		r, j := s.review(t, gitRange(repo.Dir, from, to))
		if j.State != job.StateSucceeded { // some of these files hold what a grammar does not know
			require.Equal(t, "PARSE_ERRORS", j.StateReason, "%s %+v", j.State, j.Error)
		}
		for _, reviewer := range r.GetCoverage().GetReviewers() {
			require.NotEqual(t, reviewv1.ReviewerCoverage_FAILED, reviewer.GetStatus(), "%v", reviewer)
			if reviewer.GetName() == "structure" {
				require.NotZero(t, reviewer.GetFiles())
			}
		}
		return r
	}
	for i, name := range []string{"gofr-dev+gofr", "cline+cline", "astral-sh+uv", "laravel+framework", "sinatra+sinatra"} {
		if i%everyNth != 0 {
			continue
		}
		t.Run("formatted anew/"+name, func(t *testing.T) {
			t.Parallel()
			files := realFiles(t, name)
			head := map[string]string{}
			for _, f := range files {
				head[f.Path] = formattedAnew(f.Text)
			}
			require.Empty(t, places(reviewed(t, asTree(files), head)))
			t.Logf("%d files", len(files))
		})
	}
	t.Run("renamed within the package", func(t *testing.T) {
		t.Parallel()
		files := realFiles(t, "gofr-dev+gofr")
		head := map[string]string{}
		for _, f := range files {
			head[f.Path] = ""
			head[path.Join(path.Dir(f.Path), "a_"+path.Base(f.Path))] = f.Text
		}
		require.Empty(t, places(reviewed(t, asTree(files), head)))
		t.Logf("%d files", len(files))
	})
	for name, c := range map[string]struct {
		uses  func(d definition, user realFile) bool
		floor float64 // of what is found, a little below what was measured
	}{
		"gofr-dev+gofr": {goUse, 0.9},
		"cline+cline":   {typescriptUse, 0.9},
	} {
		t.Run("functions deleted under their callers/"+name, func(t *testing.T) {
			t.Parallel()
			files := realFiles(t, name)
			head, deleted := withoutUsed(files, c.uses)
			found, missed := 0, slices.Clone(deleted)
			for _, f := range reviewed(t, asTree(files), head).GetFindings() {
				i := slices.IndexFunc(missed, func(d definition) bool {
					return f.GetRule() == "structure/removed-definition" && strings.HasPrefix(f.GetTitle(), "function "+d.name+" was removed")
				})
				require.NotEqual(t, -1, i, "nothing is broken there: %v", f)
				missed = slices.Delete(missed, i, i+1)
				found++
			}
			t.Logf("%d of %d found; missed: %v", found, len(deleted), missed)
			require.Greater(t, len(deleted), 10)
			require.GreaterOrEqual(t, float64(found), c.floor*float64(len(deleted)))
		})
	}
}

// formattedAnew doubles the indentation, adds blanks at the ends of lines and an empty line at the end.
func formattedAnew(text string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		indent := l[:len(l)-len(strings.TrimLeft(l, " \t"))]
		if lines[i] = indent + l; i%3 == 0 && strings.TrimSpace(l) != "" && !strings.HasSuffix(l, `\`) {
			lines[i] += " "
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// definition is a function at the top level of a file.
type definition struct {
	name, file string
	start, end int
}

func (d definition) String() string { return fmt.Sprintf("%s:%d %s", d.file, d.start, d.name) }

// withoutUsed takes functions out that are defined once and that another file certainly uses, which stays as it is, and returns
// what changed.
func withoutUsed(files []realFile, uses func(definition, realFile) bool) (head map[string]string, deleted []definition) {
	count := map[string]int{}
	for _, f := range files {
		for _, e := range f.Exact {
			count[e.Name]++
		}
	}
	head = map[string]string{}
	stays := map[string]bool{}
	for _, f := range files {
		if stays[f.Path] {
			continue
		}
		lines := strings.SplitAfter(f.Text, "\n")
		for _, e := range slices.Backward(f.Exact) {
			d := definition{e.Name, f.Path, e.Start, e.End}
			if (e.Kind != "function" && e.Kind != "arrow") || e.Scope != "" || count[e.Name] != 1 {
				continue
			}
			user := slices.IndexFunc(files, func(user realFile) bool {
				_, changed := head[user.Path]
				return user.Path != f.Path && !changed && strings.Contains(user.Text, d.name) && uses(d, user)
			})
			if user < 0 {
				continue
			}
			stays[files[user].Path] = true
			deleted = append(deleted, d)
			lines = slices.Delete(lines, e.Start-1, e.End)
			head[f.Path] = strings.Join(lines, "")
		}
	}
	return head, deleted
}

// goUse says whether a file of the same folder calls a function by its bare name.
func goUse(d definition, user realFile) bool {
	return path.Dir(user.Path) == path.Dir(d.file) && calls(d.name, user, regexp.MustCompile(`(?:^|[^.\w"])`+d.name+`\(`))
}

// typescriptUse says whether a file imports a name from where it is defined and calls it.
func typescriptUse(d definition, user realFile) bool {
	module := strings.TrimSuffix(strings.TrimSuffix(path.Base(d.file), ".ts"), ".tsx")
	imports := regexp.MustCompile(`import[^;]*?\{[^}]*\b` + d.name + `\b[^}]*\}\s*from\s*"([^"]*/` + regexp.QuoteMeta(module) + `)"`)
	found := imports.FindStringSubmatch(user.Text)
	return found != nil && strings.HasPrefix(found[1], ".") && path.Join(path.Dir(user.Path), found[1]) == path.Join(path.Dir(d.file), module) &&
		calls(d.name, user, regexp.MustCompile(`\b`+d.name+`\(`))
}

// calls says whether a line of code outside of comments matches.
func calls(name string, user realFile, call *regexp.Regexp) bool {
	for l := range strings.SplitSeq(user.Text, "\n") {
		trimmed := strings.TrimSpace(l)
		if strings.HasPrefix(trimmed, "//") || strings.HasPrefix(trimmed, "*") || strings.HasPrefix(trimmed, "func "+name+"(") {
			continue
		}
		if call.MatchString(l) {
			return true
		}
	}
	return false
}
