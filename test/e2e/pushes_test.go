package e2e_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	jobsv1 "witan.dev/gen/witan/jobs/v1"
	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/services/review/github/githubtest"
	"witan.dev/test/e2e/gittest"
	"witan.dev/test/e2e/process"
)

// pushes is how many pushes a pull request gets: a sample, or the promised fifty with WITAN_TEST_LONG.
func pushes() int {
	if os.Getenv("WITAN_TEST_LONG") == "" {
		return 11
	}
	return 50
}

// pushSeed decides everything that happens in the pushes; WITAN_TEST_SEED sets another one.
func pushSeed(t *testing.T) uint64 {
	t.Helper()
	text := cmp.Or(os.Getenv("WITAN_TEST_SEED"), "6")
	seed, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err, "WITAN_TEST_SEED")
	return seed
}

// TestP06_PushesOfThisProjectsHistoryRepeatNothing makes the newest commits of this project, one after the other, a pull request
// at the simulated GitHub, with faults that a script sows into its files, mends, and brings back, over rebases, squashes,
// reverts and forced pushes. Secrets and switched-off tests are found by reviewers, others by members of the council. What
// stands at the forge is held against the script's own list of what was sown where.
func TestP06_PushesOfThisProjectsHistoryRepeatNothing(t *testing.T) {
	t.Parallel()
	require.Equal(t, "false\n", gitHere(t, "rev-parse", "--is-shallow-repository"),
		"this test pushes the newest commits of the project's own history: clone it whole (git fetch --unshallow)")
	commits := strings.Fields(gitHere(t, "rev-list", "--first-parent", "--reverse", fmt.Sprintf("--max-count=%d", pushes()+2), "HEAD"))
	require.Len(t, commits, pushes()+2, "the project has too little history here: clone it whole")
	from := gittest.New(t)
	from.Git("fetch", "--quiet", "--no-tags", process.Root(), commits[len(commits)-1]+":refs/heads/own")
	pushAll(t, from, withoutPlots(from, commits))
}

// withoutPlots makes the commits again, one on the other, without the plots of reports: their lines are longer than what
// members are shown at once, and only what all of them have read can be judged.
func withoutPlots(r *gittest.Repo, commits []string) []string {
	var made []string
	for _, commit := range commits {
		r.Git("read-tree", commit)
		r.Git("rm", "--quiet", "-f", "--cached", "--ignore-unmatch", "*.svg")
		args := []string{"commit-tree", strings.TrimSpace(r.Git("write-tree")), "-m", strings.TrimSpace(r.Git("log", "-1", "--format=%s", commit))}
		if len(made) > 0 {
			args = append(args, "-p", made[len(made)-1])
		}
		made = append(made, strings.TrimSpace(r.Git(args...)))
	}
	return made
}

// TestP06_PushesOfAMadeUpHistoryRepeatNothing does the same to a history with renames, moves, deletions and reformatting.
func TestP06_PushesOfAMadeUpHistoryRepeatNothing(t *testing.T) {
	t.Parallel()
	from := gittest.New(t)
	pushAll(t, from, madeUp(from, rand.New(rand.NewPCG(pushSeed(t), 1)), pushes()+2)) //nolint:gosec // repeatable
}

// madeUp commits a history of small Go files.
func madeUp(r *gittest.Repo, rng *rand.Rand, n int) []string {
	function := func(name string) string {
		return fmt.Sprintf("// %s keeps what it is given.\nfunc %s(x int) int {\n\ty := x + %d\n\treturn y * y\n}\n\n", name, name, rng.IntN(1000))
	}
	files := map[string]string{"go.mod": "module example.com/made\n\ngo 1.26\n"}
	for i := range 32 {
		path, text := fmt.Sprintf("p%d/f.go", i%16), fmt.Sprintf("package p%d\n\n", i%16)
		if i >= 16 {
			path, text = fmt.Sprintf("p%d/f_test.go", i%16), text+"import \"testing\"\n\n"
		}
		for k := range 5 {
			if i < 16 {
				text += function(fmt.Sprintf("Keep%dx%d", i, k))
				continue
			}
			text += fmt.Sprintf("func TestKeep%dx%d(t *testing.T) {\n\tif Keep%dx%d(1) == 0 {\n\t\tt.Fatal(\"nothing\")\n\t}\n}\n\n", i%16, k, i%16, k)
		}
		files[path] = text
	}
	commits := []string{r.Commit("Start", files)}
	for i := 1; i < n; i++ {
		paths := slices.DeleteFunc(slices.Sorted(maps.Keys(files)), func(p string) bool { return !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go") })
		path := paths[rng.IntN(len(paths))]
		change := map[string]string{}
		switch text := files[path]; rng.IntN(6) {
		case 0: // code moves down
			change[path] = strings.Replace(text, "\n\n", fmt.Sprintf("\n\n// Line %d moves what follows.\n\n", i), 1)
		case 1: // another name
			change[path], change[filepath.Dir(path)+fmt.Sprintf("/r%d.go", i)] = "", text
		case 2: // other blanks
			change[path] = strings.ReplaceAll(text, "\ty := ", "\ty  :=  ")
			if change[path] == text {
				change[path] = strings.ReplaceAll(text, "\ty  :=  ", "\ty := ")
			}
		case 3:
			if len(paths) > 12 {
				change[path] = ""
				break
			}
			fallthrough
		default:
			change[path] = text + function(fmt.Sprintf("More%d", i))
		}
		for p, text := range change {
			if files[p] = text; text == "" {
				delete(files, p)
			}
		}
		commits = append(commits, r.Commit(fmt.Sprintf("Change %d", i), change))
	}
	return commits
}

// sown is a fault that the script puts into a file of some commits.
type sown struct {
	id     int
	kind   string // secret, switched off, or the member that reports it
	path   string
	anchor string // the line of a function behind which it stands, or of the test that is switched off
}

const (
	sownSecret = "secret"
	sownSwitch = "switched off"
)

var sownMark = regexp.MustCompile(`sown-(\d+)-`)

func (s sown) mark() string { return fmt.Sprintf("sown-%d-", s.id) }

// line is the faulty line.
func (s sown) line() string {
	switch s.kind {
	case sownSecret:
		rng := rand.New(rand.NewPCG(uint64(s.id), 2)) //nolint:gosec // repeatable
		key := []byte("AKIA")
		for range 16 {
			key = append(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[rng.IntN(32)])
		}
		return fmt.Sprintf("\treturn %q // %s", key, s.mark())
	case sownSwitch:
		return fmt.Sprintf("\tt.Skip(%q)", s.mark())
	default:
		return fmt.Sprintf("\tweigh(%d) // %s", s.id, s.mark())
	}
}

// in is a file's text with the fault in it; false where there is no place for it.
func (s sown) in(text string) (string, bool) {
	before, after, found := strings.Cut(text, s.anchor+"\n")
	if s.kind == sownSwitch {
		return before + s.anchor + "\n" + s.line() + "\n" + after, found
	}
	result := ""
	if s.kind == sownSecret {
		result = "string "
	}
	block := fmt.Sprintf("\nfunc sown%d() %s{\n%s\n}\n", s.id, result, s.line())
	body, rest, ends := strings.Cut(after, "\n}\n")
	if !found || !ends {
		return text + block, true
	}
	return before + s.anchor + "\n" + body + "\n}\n" + block + rest, true
}

// state is what the head of the pull request is: a commit of the history, with faults in it.
type state struct {
	at    int // commit
	root  int // commit that the pull request's own ones stand on
	sown  []int
	head  string
	alive map[int]bool // of those that are sown, those that there was a place for
}

// step is one push, and what somebody dismisses after its review.
type step struct {
	state

	how     string // push, rebase, squash, back
	what    string
	back    int // the step whose head is pushed again
	dismiss int // 0: nothing
	resolve bool
}

// plan is everything that will happen.
type plan struct {
	rng     *rand.Rand
	repo    *gittest.Repo
	commits []string
	all     []sown // fault n is all[n-1]
	steps   []step
	gone    map[int]bool // dismissed
}

// newPlan decides what is pushed. It knows nothing of reviews.
func newPlan(t *testing.T, repo *gittest.Repo, commits []string, seed uint64) *plan {
	t.Helper()
	p := &plan{rng: rand.New(rand.NewPCG(seed, 50)), repo: repo, commits: commits, gone: map[int]bool{}} //nolint:gosec // repeatable
	now := state{at: 1}
	for range 3 {
		now.sown = append(now.sown, p.sow(now))
	}
	p.steps = append(p.steps, step{state: now, how: "rebase", what: "opened"})
	var deck []string
	for len(p.steps) < pushes() {
		if len(deck) == 0 {
			deck = []string{"push", "push", "push", "push", "push", "rebase", "squash", "revert", "back", "revert"}
			p.rng.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
		}
		p.next(deck[0])
		deck = deck[1:]
	}
	for _, s := range p.steps {
		t.Logf("plan: %-6s at %2d on %2d, %v, %s, dismissed: %d", s.how, s.at, s.root, s.sown, s.what, s.dismiss)
	}
	return p
}

// next adds a step.
func (p *plan) next(how string) {
	last := p.steps[len(p.steps)-1]
	s := step{state: last.state, how: how}
	s.sown = slices.Clone(last.sown)
	if how != "back" && how != "revert" {
		s.at = min(s.at+1, len(p.commits)-1)
	}
	switch how {
	case "rebase":
		s.root = max(s.root, s.at-1-p.rng.IntN(3))
	case "revert": // an earlier state, as a new commit
		was := p.steps[max(0, len(p.steps)-2-p.rng.IntN(4))]
		s.how, s.at, s.sown, s.what = "push", max(was.at, s.root+1), slices.Clone(was.sown), "reverted to an earlier state"
	case "back":
		s.back = max(0, len(p.steps)-2-p.rng.IntN(3))
		s.state, s.what = p.steps[s.back].state, fmt.Sprintf("the head of push %d again", s.back)
	}
	if s.what == "" {
		s.what = p.change(&s.state)
	}
	open := slices.DeleteFunc(slices.Clone(s.sown), func(id int) bool { return p.gone[id] })
	if p.rng.IntN(4) == 0 && len(open) > 1 || len(p.steps) == 3 {
		s.dismiss, s.resolve = open[p.rng.IntN(len(open))], p.rng.IntN(2) == 0
		p.gone[s.dismiss] = true
	}
	p.steps = append(p.steps, s)
}

// change sows faults, mends them, or brings mended ones back.
func (p *plan) change(s *state) string {
	switch n := p.rng.IntN(6); {
	case n < 2 && len(s.sown) > 1:
		i := p.rng.IntN(len(s.sown))
		id := s.sown[i]
		s.sown = slices.Delete(s.sown, i, i+1)
		return fmt.Sprintf("%d is mended", id)
	case n == 2:
		for id := range p.all {
			if id++; !slices.Contains(s.sown, id) && p.fits(*s, p.all[id-1]) {
				s.sown = append(s.sown, id)
				return fmt.Sprintf("%d is back", id)
			}
		}
		fallthrough
	case n < 5:
		s.sown = append(s.sown, p.sow(*s))
		return fmt.Sprintf("%d is new", s.sown[len(s.sown)-1])
	}
	return "nothing new"
}

// fits says whether a fault can stand beside the others: a member reports one at a time, and what stands close together in a
// file, in the same words, is rightly taken for one.
func (p *plan) fits(s state, f sown) bool {
	return !slices.ContainsFunc(s.sown, func(id int) bool {
		other := p.all[id-1]
		return other.path == f.path || other.kind == f.kind && f.kind != sownSecret && f.kind != sownSwitch
	})
}

var (
	aFunction = regexp.MustCompile(`(?m)^func (?:\([^)]*\) )?[A-Z]\w*\(.*\{$`)
	aTest     = regexp.MustCompile(`(?m)^func Test\w+\(t \*testing\.T\) \{$`)
)

// sow makes a fault in a file of a commit: of those files that the next commits change, where there are any.
func (p *plan) sow(s state) int {
	kinds := []string{sownSecret, sownSwitch, "ada", "ben", "cyd"}
	for {
		f := sown{id: len(p.all) + 1, kind: kinds[p.rng.IntN(len(kinds))]}
		from := p.repo.Git("ls-tree", "-r", "--name-only", p.commits[s.at])
		if p.rng.IntN(2) == 0 {
			from = p.repo.Git("diff", "--name-only", "--diff-filter=M", p.commits[s.at], p.commits[min(s.at+6, len(p.commits)-1)])
		}
		paths := slices.DeleteFunc(strings.Fields(from), func(path string) bool {
			return !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") != (f.kind == sownSwitch) || strings.HasPrefix(path, "gen/")
		})
		if len(paths) == 0 {
			continue
		}
		f.path = paths[p.rng.IntN(len(paths))]
		text := p.repo.Git("show", p.commits[s.at]+":"+f.path)
		anchors := aFunction.FindAllString(text, -1)
		if f.kind == sownSwitch { // one that is in the base as well
			anchors = aTest.FindAllString(text, -1)
		}
		if len(anchors) == 0 || strings.Contains(text, "Code generated") || strings.Contains(text, "//go:build") || !p.fits(s, f) {
			continue
		}
		f.anchor = anchors[p.rng.IntN(len(anchors))]
		p.all = append(p.all, f)
		return f.id
	}
}

// script is what the members say: each reports the faults that are its own where it is shown them, and confirms all others.
func (p *plan) script() string {
	var b strings.Builder
	b.WriteString("timing: {first_token: 1ms, latency: 2ms}\nrules:\n")
	for _, f := range p.all {
		if f.kind != sownSecret && f.kind != sownSwitch {
			fmt.Fprintf(&b, `  - {when: {model: %s, stage: propose, prompt: '%s'}, then: {json: {findings: [{path: %q, code: %q, start_line: 1, end_line: 1, side: RIGHT, category: CORRECTNESS,
      severity: HIGH, claim: "Nothing may be weighed here, number %d", reason: "It is too heavy.", suggestion: "", confidence: 0.9}]}}}
`, f.kind, f.mark(), f.path, f.line(), f.id)
		}
	}
	b.WriteString(`  - {when: {stage: propose}, then: {json: {findings: []}}}
  - when: {stage: cross_examine}
    then: {labels: [{match: ".", set: {vote: CONFIRMED, severity: HIGH, reason: "Visible in the change.", duplicate_of: ""}}]}
`)
	return b.String()
}

// commit makes the commit of a state in a repository, on a parent.
func (p *plan) commit(t *testing.T, dir string, s *state, parent, message string) string {
	t.Helper()
	index := filepath.Join(t.TempDir(), "index")
	git := func(stdin string, args ...string) string {
		cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "git", args...) //nolint:gosec // the test names the arguments
		cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
		cmd.Env = append(os.Environ(), "GIT_INDEX_FILE="+index, "GIT_AUTHOR_NAME=c", "GIT_AUTHOR_EMAIL=c@example.com", "GIT_COMMITTER_NAME=c", "GIT_COMMITTER_EMAIL=c@example.com")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		require.NoErrorf(t, err, "git %v: %s", args, stderr.String())
		return string(out)
	}
	git("", "read-tree", p.commits[s.at])
	s.alive = map[int]bool{}
	texts := map[string]string{}
	for _, id := range s.sown {
		f := p.all[id-1]
		text, read := texts[f.path]
		if !read {
			if git("", "ls-tree", "--name-only", p.commits[s.at], "--", f.path) == "" {
				continue
			}
			text = git("", "show", p.commits[s.at]+":"+f.path)
		}
		if text, s.alive[id] = f.in(text); s.alive[id] {
			texts[f.path] = text
		}
	}
	for path, text := range texts {
		git("", "update-index", "--add", "--cacheinfo", "100644,"+strings.TrimSpace(git(text, "hash-object", "-w", "--stdin"))+","+path)
	}
	tree := strings.TrimSpace(git("", "write-tree"))
	return strings.TrimSpace(git("", "commit-tree", "-p", parent, "-m", message, tree))
}

// push carries a step out and returns the head.
func (p *plan) push(t *testing.T, n int, repo *githubtest.Repository, before string) string {
	t.Helper()
	s := &p.steps[n]
	parent := before
	switch s.how {
	case "back":
		was := p.steps[s.back]
		s.head, s.alive = was.head, was.alive
		return s.head
	case "rebase":
		require.NoError(t, repo.SetBranch(t.Context(), "main", p.commits[s.root]))
		parent = p.commits[s.root]
	case "squash":
		parent = p.commits[s.root]
	}
	s.head = p.commit(t, repo.GitDir(), &s.state, parent, fmt.Sprintf("Push %d", n))
	return s.head
}

// pushed is a pull request that is pushed to.
type pushed struct {
	*plan
	*node

	hub   *hub
	repo  *githubtest.Repository
	lives map[int]*sownLife
	at    string
	// dismissed counts what somebody dismissed.
	dismissed int
}

// sownLife is what is expected of a fault.
type sownLife struct {
	comments, replies int
	open, dismissed   bool
	resolved          bool // it was dismissed by resolving its thread: that ends with its code
}

// pushAll opens a pull request and pushes to it, and judges what stands there after each push.
func pushAll(t *testing.T, from *gittest.Repo, commits []string) {
	t.Helper()
	seed := pushSeed(t)
	t.Logf("WITAN_TEST_SEED=%d", seed)
	from.Git("update-ref", "refs/heads/main", commits[0])
	from.Git("update-ref", "refs/heads/own", commits[len(commits)-1])
	planned := newPlan(t, from, commits, seed)
	w := newWorld(t, planned.script())
	h := w.startForge(t)
	h.Grant(githubtest.ResolvingPermissions())
	w.write("witan.yaml", readFile(t, w.Config)+"context: {enabled: false}\n") // what members see is the change alone
	var err error
	p := &pushed{plan: planned, hub: h, lives: map[int]*sownLife{}}
	p.repo, err = h.AddRepository(t.Context(), githubtest.RepositorySpec{Owner: "acme", Name: "pushed", From: from.Dir})
	require.NoError(t, err)
	p.node = w.serveWith(process.Plain(t))
	begun := time.Now()
	for n := range p.steps {
		s := p.steps[n]
		p.at = fmt.Sprintf("WITAN_TEST_SEED=%d, push %d: %s at %d on %d, %s", seed, n, s.how, s.at, s.root, s.what)
		if n == 0 {
			require.NoError(t, p.repo.SetBranch(t.Context(), "topic", p.push(t, 0, p.repo, "")))
			h.pull, err = p.repo.OpenPullRequest(t.Context(), githubtest.PullRequestSpec{Title: "Many pushes", Head: "topic", Author: "contributor"})
		} else {
			err = h.pull.SetHead(t.Context(), p.push(t, n, p.repo, p.steps[n-1].head))
		}
		require.NoError(t, err)
		p.reviewed(n)
		p.follow(p.steps[n].alive)
		p.judge(n)
		p.dismiss(s)
	}
	require.Empty(t, h.Rejected())
	require.NoError(t, h.CheckPositions(t.Context()))
	p.tally(seed, time.Since(begun))
}

// reviewed hands over the webhooks and waits for the review of the push.
func (p *pushed) reviewed(n int) {
	p.t.Helper()
	p.hub.flush(p.HTTP)
	var made *reviewv1.Review
	require.Eventually(p.t, func() bool {
		list, err := p.Reviews.ListReviews(bounded(p.t), &reviewv1.ListReviewsRequest{PageSize: 500})
		if err != nil || len(list.GetReviews()) != n+1 {
			return false
		}
		made = slices.MaxFunc(list.GetReviews(), func(a, b *reviewv1.Review) int {
			return a.GetCreateTime().AsTime().Compare(b.GetCreateTime().AsTime())
		})
		return true
	}, patience, 20*time.Millisecond, "%s: no review, or more than one", p.at)
	ended := p.waitLong(made.GetJob())
	for range 3 { // on a machine that is too busy members may not answer in time; only what all have read can be judged
		if ended.GetState() != jobsv1.Job_PARTIALLY_SUCCEEDED {
			break
		}
		p.t.Logf("%s: %s, retried", p.at, ended.GetStateReason())
		_, err := p.Jobs.RetryJob(bounded(p.t), &jobsv1.RetryJobRequest{Name: made.GetJob()})
		require.NoError(p.t, err)
		ended = p.waitLong(made.GetJob())
	}
	require.Equal(p.t, jobsv1.Job_SUCCEEDED, ended.GetState(), "%s: %s %v", p.at, ended.GetStateReason(), ended.GetError())
}

// follow says what is expected after a review of a head with these faults.
func (p *pushed) follow(alive map[int]bool) {
	for id := range alive {
		if alive[id] && p.lives[id] == nil {
			p.lives[id] = &sownLife{}
		}
	}
	for id, l := range p.lives {
		switch {
		case l.resolved && !alive[id]: // what somebody settled and then took out is fixed, and needs no answer
			l.open, l.dismissed, l.resolved = false, false, false
		case l.dismissed || alive[id] == l.open:
		case alive[id]:
			l.open = true
			l.comments++
		default:
			l.open = false
			l.replies++
		}
	}
}

// judge holds what stands at the forge against what is expected.
func (p *pushed) judge(n int) {
	p.t.Helper()
	comments, replies, others := map[int][]githubtest.Post{}, map[int64]int{}, []githubtest.Post{}
	walkthroughs, failing := 0, false
	var check githubtest.Post
	for _, post := range p.hub.PostedBy(p.hub.app.Bot) {
		switch post.Kind {
		case githubtest.KindReviewComment, githubtest.KindFileComment:
			if m := sownMark.FindStringSubmatch(p.code(post)); m != nil {
				id, err := strconv.Atoi(m[1])
				require.NoError(p.t, err)
				comments[id] = append(comments[id], post)
				continue
			}
			others = append(others, post)
		case githubtest.KindReply:
			replies[post.InReplyTo]++
		case githubtest.KindIssueComment:
			walkthroughs++
		case githubtest.KindCheckRun:
			require.Equal(p.t, "completed", post.Status, p.at)
			check = post
		case githubtest.KindReview, githubtest.KindReaction:
		}
	}
	require.Equal(p.t, slices.Sorted(maps.Keys(p.lives)), slices.Sorted(maps.Keys(comments)), "%s: faults with comments", p.at)
	for id, l := range p.lives {
		require.Len(p.t, comments[id], l.comments, "%s: comments on fault %d", p.at, id)
		answered := 0
		for i, c := range comments[id] {
			answered += replies[c.ID]
			if last := i == l.comments-1; !last || !l.dismissed {
				require.Equal(p.t, !last || !l.open, c.Resolved, "%s: the thread of fault %d", p.at, id)
			}
		}
		require.Equal(p.t, l.replies, answered, "%s: answers to fault %d", p.at, id)
		failing = failing || l.open && !l.dismissed && p.all[id-1].kind != sownSwitch
	}
	require.Equal(p.t, 1, walkthroughs, p.at)
	require.Equal(p.t, p.steps[n].head, check.Commit, "%s: the newest check run is the head's", p.at)
	if failing {
		require.Equal(p.t, "failure", check.Conclusion, p.at)
	}
	p.judgeOthers(others, replies)
}

// code is what a comment stands on.
func (p *pushed) code(c githubtest.Post) string {
	commit := c.Commit
	if c.Side == "LEFT" {
		return ""
	}
	lines := strings.Split(p.text(commit, c.Path), "\n")
	if c.Line > len(lines) || c.Line < 1 {
		return ""
	}
	return strings.Join(lines[cmp.Or(c.StartLine, c.Line)-1:c.Line], "\n")
}

// text is that of a file of a commit, empty where there is none.
func (p *pushed) text(commit, path string) string {
	cmd := exec.CommandContext(context.WithoutCancel(p.t.Context()), "git", "show", commit+":"+path) //nolint:gosec // of the test's own repository
	cmd.Dir = p.repo.GitDir()
	out, err := cmd.Output()
	if exited := (*exec.ExitError)(nil); err != nil {
		require.ErrorAs(p.t, err, &exited)
	}
	return string(out)
}

// judgeOthers looks at the comments that the history's own commits give cause to: none stands there twice at once, and none is
// said to be fixed whose code is still where it was.
func (p *pushed) judgeOthers(list []githubtest.Post, replies map[int64]int) {
	p.t.Helper()
	open := map[string]githubtest.Post{}
	for _, c := range list {
		title, _, _ := strings.Cut(c.Body, "\n")
		key := fmt.Sprintf("%s %s %s\n%s", c.Path, c.Side, title, p.code(c))
		if before, twice := open[key]; twice {
			require.True(p.t, before.Resolved && replies[before.ID] > 0, "%s: twice, and the first not fixed: %s", p.at, key)
		}
		open[key] = c
		if code := p.code(c); replies[c.ID] > 0 && code != "" {
			for n := range p.steps { // it was gone at some head since
				if p.steps[n].head != "" && strings.Count(p.text(p.steps[n].head, c.Path), code) < strings.Count(p.text(c.Commit, c.Path), code) {
					code = ""
					break
				}
			}
			require.Empty(p.t, code, "%s: said to be fixed, and there all the time: %s", p.at, key)
		}
	}
}

// dismiss has somebody dismiss a fault by a command or by resolving its thread, and waits until that is noted.
func (p *pushed) dismiss(s step) {
	p.t.Helper()
	l := p.lives[s.dismiss]
	if l == nil || !l.open {
		return
	}
	var thread int64
	for _, c := range p.hub.PostedBy(p.hub.app.Bot) {
		if m := sownMark.FindStringSubmatch(p.code(c)); m != nil && m[1] == strconv.Itoa(s.dismiss) && c.Kind == githubtest.KindReviewComment {
			thread = c.ID
		}
	}
	before := len(p.hub.Deliveries())
	p.dismissed++
	l.dismissed, l.resolved = true, s.resolve
	if s.resolve {
		require.NoError(p.t, p.hub.pull.Resolve(p.t.Context(), "acme", thread, true))
	} else {
		_, err := p.hub.pull.Reply(p.t.Context(), "acme", thread, "/witan dismiss as intended")
		require.NoError(p.t, err)
	}
	p.hub.flush(p.HTTP)
	for _, d := range p.hub.Deliveries()[before:] {
		require.Eventually(p.t, func() bool {
			return slices.Contains([]string{"HANDLED", "IGNORED"}, p.deliveryOf(p.t.Context(), d.ID).State)
		}, patience, 20*time.Millisecond, "%s: %s %s", p.at, d.Event, d.Action)
	}
	if !s.resolve {
		require.Eventually(p.t, func() bool {
			posts := p.hub.PostedBy(p.hub.app.Bot)
			last := posts[len(posts)-1]
			return last.Kind == githubtest.KindReaction && last.Body == "+1"
		}, patience, 20*time.Millisecond, "%s: the command has no effect", p.at)
	}
}

// tally says what happened.
func (p *pushed) tally(seed uint64, took time.Duration) {
	p.t.Helper()
	comments, replies, back, kinds := 0, 0, 0, map[string]int{}
	for id, l := range p.lives {
		comments, replies = comments+l.comments, replies+l.replies
		kinds[p.all[id-1].kind]++
		back += l.comments - 1
	}
	all := 0
	for _, post := range p.hub.PostedBy(p.hub.app.Bot) {
		if post.Kind == githubtest.KindReviewComment || post.Kind == githubtest.KindFileComment {
			all++
		}
	}
	p.t.Logf("seed %d, %d pushes in %s on %d cores: %d faults (%v), %d comments on them (%d came back), %d answered as fixed, %d dismissed; %d comments on the history's own code",
		seed, len(p.steps), took.Round(time.Second), runtime.NumCPU(), len(p.lives), kinds, comments, back, replies, p.dismissed, all-comments)
	require.Positive(p.t, replies)
	require.Positive(p.t, p.dismissed)
}
