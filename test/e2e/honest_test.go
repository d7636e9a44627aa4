package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	jobsv1 "witan.dev/gen/witan/jobs/v1"
	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/diff"
	"witan.dev/internal/finding"
	"witan.dev/services/review/github/githubtest"
	"witan.dev/test/e2e/gittest"
	"witan.dev/test/e2e/process"
)

// agreeing has members that find nothing; cyd fails where it is shown the words for it.
const agreeing = `
timing: {first_token: 1ms, latency: 2ms}
rules:
  - {when: {model: cyd, prompt: "cyd cannot read this"}, then: {status: 400, message: "no"}}
  - {when: {stage: propose}, then: {json: {findings: []}}}
`

// covered is what is said of a changed file.
type covered struct{ change, status, reason string }

// everyKind is a change of every kind that git knows and people make, and what must be said of each file.
func everyKind(t *testing.T) (*gittest.Repo, map[string]covered) {
	t.Helper()
	repo, base, head := oddRepository(t)
	repo.Git("branch", "topic", head)
	repo.Git("checkout", "--quiet", "--force", "-B", "main", base)
	repo.Commit("What is left out", map[string]string{".witan.yaml": "version: 1\npaths: {exclude: ['left/']}\n"})
	repo.Git("checkout", "--quiet", "--force", "topic")
	require.NoError(t, os.WriteFile(filepath.Join(repo.Dir, "garbage.txt"), []byte("\x01\x02\x03\xff\xfe\x05\x06 no text \x07\x01\xfd\n"), 0o600))
	repo.Write(map[string]string{
		"vendor/example.com/x/x.go": "package x\n", "third_party/x.c": "int x;\n", "left/out.txt": "left out\n", "no newline.txt": "one line", "copied.txt": "one\r\n2\r\n",
		"lfs.psd": "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n",
		"run.go":  "package main\n\nfunc main() {}\n",
		"big.txt": strings.Repeat("0123456789abcdef\n", 62_000), // of more lines nobody would read anything but signatures
	})
	repo.Git("add", "--all", "--", ".", ":!sub")
	repo.Git("commit", "--quiet", "--message", "More kinds")
	want := map[string]covered{
		"big.txt": {"A", "skipped", "TOO_LARGE"}, "garbage.txt": {"A", "skipped", "NOT_UTF8"},
		"gen.pb.go": {"M", "skipped", "GENERATED"}, "go.sum": {"M", "skipped", "LOCKFILE"},
		"vendor/example.com/x/x.go": {"A", "skipped", "VENDORED"}, "left/out.txt": {"A", "skipped", "EXCLUDED"},
		diff.QuotePath("d\xe9j\xe0.txt"): {"A", "reviewed", ""}, "lfs.psd": {"A", "partial", "LFS_POINTER"},
		"third_party/x.c": {"A", "reviewed", ""}, // the folder is new
	}
	for path, change := range map[string]string{
		"binary.bin": "M", "crlf.txt": "M", "deleted.txt": "D", "edited.txt": "R", "empty": "A", "latin.txt": "M", "link": "M", "mode.sh": "M",
		"pure new.txt": "R", "sub": "M", "type.txt": "T", "with \"quotes\" and\ttab.txt": "A", "ünïcode.txt": "A",
		"no newline.txt": "A", "copied.txt": "A", "run.go": "A",
	} {
		want[path] = covered{change, "reviewed", ""}
	}
	raw := rawPaths(repo, base, "topic")
	require.Len(t, raw, len(want), "git lists %q", raw)
	return repo, want
}

// TestP07_EveryKindOfFileIsListedWithItsStatusAndNothingUnreadIsGreen has webhooks of pull requests become reviews, and compares
// what the walkthrough, the check run, REST and the command line say of each file: over a change of every kind, over one of
// which only policy leaves something out, and where a member fails or the budget ends.
func TestP07_EveryKindOfFileIsListedWithItsStatusAndNothingUnreadIsGreen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, agreeing)
	h := w.startForge(t)
	w.write("witan.yaml", strings.Replace(readFile(t, w.Config), "reviews: {", "reviews: {council_pause: 1s, ", 1))
	n := w.serveWith(process.Plain(t))
	kinds, want := everyKind(t)
	small := func(config, text string) *gittest.Repo {
		r := gittest.New(t)
		r.Commit("base", map[string]string{"README.md": "x\n", ".witan.yaml": "version: 1\n" + config})
		r.Git("checkout", "--quiet", "-b", "topic")
		r.Commit("head", map[string]string{"a.txt": text, "left/out.txt": "left out\n"})
		return r
	}
	left := covered{"A", "skipped", "EXCLUDED"}
	exclude := "paths: {exclude: ['left/']}\n"
	for _, c := range []struct {
		name, conclusion string
		repo             *gittest.Repo
		want             map[string]covered
	}{
		{"every-kind", "neutral", kinds, want},
		{"policy-only", "success", small(exclude, "all is read\n"), map[string]covered{"a.txt": {"A", "reviewed", ""}, "left/out.txt": left}},
		{"member-failed", "neutral", small(exclude, "cyd cannot read this\n"), map[string]covered{"a.txt": {"A", "partial", "MEMBER_FAILED"}, "left/out.txt": left}},
		{"budget-ended", "neutral", small(exclude+"budget: {tokens: 50}\n", "too much for the budget\n"), map[string]covered{"a.txt": {"A", "partial", "BUDGET"}, "left/out.txt": left}},
	} {
		n.saysOfEachFile(h, c.name, c.conclusion, c.repo, c.want)
	}
}

// saysOfEachFile opens a pull request and holds all that is said of its files to what is wanted.
func (n *node) saysOfEachFile(h *hub, name, conclusion string, from *gittest.Repo, want map[string]covered) {
	t := n.t
	t.Helper()
	repo, err := h.AddRepository(t.Context(), githubtest.RepositorySpec{Owner: "acme", Name: name, From: from.Dir})
	require.NoError(t, err)
	pull, err := repo.OpenPullRequest(t.Context(), githubtest.PullRequestSpec{Title: "A change", Head: "topic", Author: "contributor"})
	require.NoError(t, err)
	h.flush(n.HTTP)
	list := h.Deliveries()
	require.Eventually(t, func() bool { return n.deliveryOf(t.Context(), list[len(list)-1].ID).Resource != "" }, patience, 20*time.Millisecond)
	resource := n.deliveryOf(t.Context(), list[len(list)-1].ID).Resource
	made, err := n.Reviews.GetReview(bounded(t), &reviewv1.GetReviewRequest{Name: resource})
	require.NoError(t, err)
	ended := n.waitLong(made.GetJob())
	state := jobsv1.Job_PARTIALLY_SUCCEEDED
	if conclusion == "success" {
		state = jobsv1.Job_SUCCEEDED
	}
	require.Equal(t, state, ended.GetState(), "%s: %s %v", name, ended.GetStateReason(), ended.GetError())

	var rest reviewJSON
	n.get("/v1/"+resource, &rest)
	require.Equal(t, want, rest.covered(), "%s: REST", name)
	require.Equal(t, conclusion == "success", rest.Coverage.Complete, "%s: REST", name)
	said := 0
	for _, p := range h.PostedBy(h.app.Bot) {
		if p.Repository != "acme/"+name {
			continue
		}
		switch p.Kind {
		case githubtest.KindCheckRun:
			require.Equal(t, "completed", p.Status, name)
			require.Equal(t, conclusion, p.Conclusion, name)
			require.Equal(t, want, rowsOf(p.Body, want), "%s: check run\n%s", name, p.Body)
		case githubtest.KindIssueComment:
			require.Equal(t, want, rowsOf(p.Body, want), "%s: walkthrough\n%s", name, p.Body)
		default:
			continue
		}
		said++
	}
	require.Equal(t, 2, said, "%s: a walkthrough and a check run", name)

	got := n.run("review", "--pr", fmt.Sprintf("%s/acme/%s/pull/%d", h.URL, name, pull.Number()), "--format", "json")
	code := 5
	if conclusion == "success" {
		code = 0
	}
	require.Equal(t, code, got.Code, "%s: %s", name, got.Stderr)
	var printed reviewJSON
	require.NoError(t, json.Unmarshal([]byte(got.Stdout), &printed), name)
	require.Equal(t, want, printed.covered(), "%s: witan review --pr", name)
}

// reviewJSON is what JSON says of a review's files.
type reviewJSON struct {
	Coverage struct {
		Complete bool
		Files    []struct {
			Path, Change, Status string
			Reasons              []string
		}
	}
}

func (r *reviewJSON) covered() map[string]covered {
	letters := map[string]string{"ADDED": "A", "MODIFIED": "M", "MODE_CHANGED": "M", "DELETED": "D", "RENAMED": "R", "TYPE_CHANGED": "T"}
	out := map[string]covered{}
	for _, f := range r.Coverage.Files {
		out[f.Path] = covered{letters[f.Change], strings.ToLower(f.Status), strings.Join(f.Reasons, ",")}
	}
	return out
}

// rowsOf are the rows of a table of files, by the paths that are looked for; any other row is there under its text.
func rowsOf(body string, want map[string]covered) map[string]covered {
	out := map[string]covered{}
	_, table, _ := strings.Cut(body, "| file | change | status | why |\n|---|---|---|---|\n")
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "| ") {
			break
		}
		path, rest := line, ""
		for p := range want {
			if after, found := strings.CutPrefix(line, "| "+finding.CodeSpan(p)+" | "); found {
				path, rest = p, after
			}
		}
		cells := append(strings.Split(strings.TrimSpace(rest), " | "), "", "", "")
		reason := strings.ToUpper(strings.ReplaceAll(strings.TrimSuffix(strings.TrimSpace(strings.TrimSuffix(cells[2], "|")), " |"), " ", "_"))
		reason = strings.TrimPrefix(reason, "METADATA_ONLY") // no reason, but how deep
		out[path] = covered{cells[0], cells[1], reason}
	}
	return out
}
