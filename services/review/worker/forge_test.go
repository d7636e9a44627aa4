package worker_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	blobsqlite "witan.dev/internal/blob/sqlite"
	"witan.dev/internal/bus/inprocess"
	"witan.dev/internal/database/sqlite"
	"witan.dev/internal/finding"
	"witan.dev/internal/git"
	"witan.dev/internal/job"
	"witan.dev/internal/job/engine/dbos"
	jobsqlite "witan.dev/internal/job/sqlite"
	"witan.dev/internal/secret"
	"witan.dev/services/review"
	"witan.dev/services/review/events"
	reviewgit "witan.dev/services/review/git"
	"witan.dev/services/review/github"
	"witan.dev/services/review/github/githubtest"
	"witan.dev/services/review/github/mirror"
	"witan.dev/services/review/lifecycle"
	"witan.dev/services/review/publish"
	"witan.dev/services/review/repoconfig"
	"witan.dev/services/review/starter"
	reviewsqlite "witan.dev/services/review/store/sqlite"
	"witan.dev/services/review/worker"
)

// at is a simulated GitHub with one pull request, and what outlives the processes that review it.
type at struct {
	*githubtest.Server

	repo    *githubtest.Repository
	pull    *githubtest.PullRequest
	app     githubtest.App
	folder  string
	council *echo
}

func openAt(t *testing.T, base, head map[string]string) *at {
	t.Helper()
	a := &at{Server: githubtest.New(t, githubtest.Options{AppPermissions: githubtest.ResolvingPermissions()}), folder: t.TempDir(), council: &echo{tasks: map[string]review.CouncilTask{}}}
	var err error
	a.repo, err = a.AddRepository(t.Context(), githubtest.RepositorySpec{Owner: "octocat", Name: "hello", Files: base})
	require.NoError(t, err)
	_, err = a.repo.Commit(t.Context(), githubtest.Commit{Branch: "topic", Files: head})
	require.NoError(t, err)
	a.pull, err = a.repo.OpenPullRequest(t.Context(), githubtest.PullRequestSpec{Title: "A change", Head: "topic", Author: "contributor"})
	require.NoError(t, err)
	a.app, err = a.App()
	require.NoError(t, err)
	return a
}

// echo is a council without members: it publishes what the reviewers reported, with their votes.
type echo struct {
	nobody

	mu    sync.Mutex
	tasks map[string]review.CouncilTask
}

func (e *echo) Deliberate(_ context.Context, task review.CouncilTask) (review.Deliberation, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	name := "deliberations/" + task.RequestID
	e.tasks[name] = task
	return review.Deliberation{Name: name, Job: "jobs/none"}, nil
}

func (e *echo) Verdict(_ context.Context, name string) (review.Verdict, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	v := review.Verdict{Quorum: true}
	for i := range e.tasks[name].Proposals {
		p := &e.tasks[name].Proposals[i]
		v.Proposals = append(v.Proposals, review.CouncilProposal{
			ID: p.ID, Source: p.Source, Outside: true, Path: p.Location.Path, StartLine: p.Location.StartLine, Side: p.Location.Side,
			Code: p.Location.Code, Category: string(p.Category), Severity: p.Severity, Claim: p.Claim, Reason: p.Reason,
		})
		v.Findings = append(v.Findings, review.CouncilFinding{
			ID: p.ID, Representative: p.ID, Proposals: []string{p.ID}, Severity: p.Severity, Outcome: finding.Published,
			Tally: finding.Tally{Confirmed: 1, Proposed: 1, Planned: 1, Required: 1},
			Votes: []finding.Vote{{Voter: p.Source, Choice: finding.Confirmed, Proposed: true, Counted: true}},
		})
	}
	return v, nil
}

var danger = regexp.MustCompile(`danger\((\d+)\)`)

// probe reports every line that calls danger.
type probe struct{}

func (probe) Name() string { return "probe" }

func (probe) Review(_ context.Context, in review.Inspection) (review.Report, error) {
	var out review.Report
	for i := range in.Change.Files {
		f := &in.Change.Files[i]
		for n, line := range review.SplitLines(f.New) {
			found := danger.FindStringSubmatch(line)
			if found == nil {
				continue
			}
			l := finding.Location{
				Path: f.Path, OldPath: f.OldPath, Side: finding.Right, StartLine: n + 1, EndLine: n + 1, Code: line, Placement: finding.PlacedExact,
				InDiff: f.InDiff(false, n+1),
			}
			if d := in.New[f.Path].Enclosing(n+1, n+1); d >= 0 {
				l.Symbol = in.New[f.Path].Definitions[d].Symbol()
			}
			out.Proposals = append(out.Proposals, review.Proposal{
				Source: "probe", Rule: "danger", Location: l, Category: finding.Correctness, Severity: finding.SeverityHigh,
				Claim: "fault " + found[1] + " is called here",
			})
		}
	}
	return out, nil
}

var function = regexp.MustCompile(`(?s)func (\w+)\(\) \{\n.*?\n\}\n`)

// reader reads functions.
type reader struct{}

func (reader) Parse(_ context.Context, files []review.ParseInput) ([]review.Code, error) {
	out := make([]review.Code, len(files))
	for i, f := range files {
		text := string(f.Content)
		out[i] = review.Code{Path: f.Path, Status: review.ParseOK}
		for _, m := range function.FindAllStringSubmatchIndex(text, -1) {
			span := review.Span{StartByte: m[0], EndByte: m[1], StartLine: 1 + strings.Count(text[:m[0]], "\n"), EndLine: strings.Count(text[:m[1]], "\n")}
			name := text[m[2]:m[3]]
			out[i].Definitions = append(out[i].Definitions, review.Definition{
				Kind: review.KindFunction, Name: name, QualifiedName: name, Span: span, FullSpan: span, Parent: -1,
			})
		}
	}
	return out, nil
}

// shows is a process that reviews the pull request and shows what it finds.
type shows struct {
	*at

	jobs    *job.Manager
	store   *reviewsqlite.Store
	starter *starter.Starter
	writer  *github.Writer
	ref     review.PullRef
	stop    func()
	n       int
}

func (a *at) start(t *testing.T, change ...func(*worker.Params)) *shows {
	t.Helper()
	ctx, logger := context.WithoutCancel(t.Context()), slog.New(slog.DiscardHandler)
	db, err := sqlite.Open(ctx, filepath.Join(a.folder, "witan.db"), logger)
	require.NoError(t, err)
	engine, err := dbos.NewSQLite(ctx, db, logger)
	require.NoError(t, err)
	manager := job.NewManager(jobsqlite.New(db, nil), engine, inprocess.New(), logger, job.Config{CancelPoll: 20 * time.Millisecond, Backoff: time.Millisecond})
	client, err := github.NewClient(github.Params{BaseURL: a.URL, AppID: a.app.ID, PrivateKey: secret.New(string(a.app.PrivateKey)), WritePace: -1})
	require.NoError(t, err)
	g, err := git.New(git.Params{})
	require.NoError(t, err)
	scanner, err := scanner()
	require.NoError(t, err)
	store, blobs := reviewsqlite.NewStore(db), blobsqlite.New(db, nil)
	params := worker.Params{
		Repository: mirror.New(mirror.Params{
			Remote: client, Git: g, Local: reviewgit.NewRepository(g, blobs, filepath.Join(a.folder, "frozen")), Dir: filepath.Join(a.folder, "mirrors"), Logger: logger,
		}),
		Parser: reader{}, Index: nobody{}, Council: a.council, Jobs: jobs{manager}, Store: store, Blobs: blobs, Forge: client,
		Publisher: github.NewWriter(client), PublishKeys: publish.NewKeys([]byte("0123456789abcdef")), Ledger: store, Subjects: store,
		States: manager.StatesTx, Configuration: repoconfig.New(repoconfig.Params{}), Secrets: scanner, Reviewers: []review.Reviewer{probe{}},
		Logger: logger, Limits: worker.Limits{Debounce: time.Millisecond, DebounceMax: time.Millisecond, Patience: time.Minute, Retry: time.Millisecond, Tries: 1},
		Wait: func(context.Context, time.Duration) error { return nil },
	}
	for _, c := range change {
		c(&params)
	}
	manager.Handle(job.KindReview, 4, worker.New(params).Body)
	manager.Handle(job.KindDelivery, 0, events.New(events.Params{
		Jobs: params.Jobs, Store: store, Subjects: store, Ledger: store, Kept: manager, Forge: params.Forge, Publisher: params.Publisher,
		Keys: params.PublishKeys, Logger: logger, Patience: params.Patience, Wait: params.Wait,
		Secrets: scanner,
	}).Body)
	require.NoError(t, manager.Start(ctx))
	s := &shows{
		at: a, jobs: manager, store: store, writer: github.NewWriter(client),
		starter: starter.New(starter.Params{Jobs: manager, Store: store, Subjects: store, Logger: logger, Clock: time.Now}),
		ref:     review.PullRef{Repo: review.Repo{Host: client.Host(), Owner: "octocat", Name: "hello"}, Number: int64(a.pull.Number())},
	}
	s.stop = sync.OnceFunc(func() {
		stopping, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		require.NoError(t, manager.Stop(stopping))
		client.Close()
		require.NoError(t, db.Close())
	})
	t.Cleanup(s.stop)
	return s
}

func (s *shows) ask(t *testing.T) job.ID {
	t.Helper()
	return s.asks(t, review.TriggerCaller)
}

func (s *shows) asks(t *testing.T, trigger review.Trigger) job.ID {
	t.Helper()
	return s.asksAs(t, "local", trigger)
}

func (s *shows) asksAs(t *testing.T, owner string, trigger review.Trigger) job.ID {
	t.Helper()
	s.n++
	id := job.NewID()
	made, err := s.starter.Start(t.Context(), review.Review{
		ID: id, Owner: owner, Trigger: trigger, Publish: true, CreatedAt: time.Now().UTC().Truncate(time.Microsecond), Revision: 1,
		Pinned: review.Pinned{Source: review.Source{Kind: review.SourcePull, Pull: s.ref}},
	}, starter.Request{Method: "test", ID: uuid.NewString(), Body: sha256.Sum256([]byte(id))})
	require.NoError(t, err)
	return made.ID
}

func (s *shows) end(t *testing.T, id job.ID) (review.Review, job.Job) {
	t.Helper()
	p := &pulls{jobs: s.jobs, store: s.store}
	return p.end(t, id)
}

// comments are the bot's comments on code by the number of the fault that they are about, and the replies below them.
func (a *at) comments() (by map[string][]githubtest.Post, replies map[int64]int) {
	by, replies = map[string][]githubtest.Post{}, map[int64]int{}
	for _, p := range a.PostedBy(a.app.Bot) {
		switch p.Kind {
		case githubtest.KindReviewComment, githubtest.KindFileComment:
			fault := faultOf(p.Body)
			by[fault] = append(by[fault], p)
		case githubtest.KindReply:
			replies[p.InReplyTo]++
		default:
		}
	}
	return by, replies
}

func faultOf(body string) string {
	_, rest, _ := strings.Cut(body, "fault ")
	number, _, _ := strings.Cut(rest, " ")
	return number
}

// pushes are a made-up history of the pull request.
type pushes struct {
	rng   *rand.Rand
	base  map[string]string
	head  map[string]string
	next  int
	past  []map[string]string
	force bool // the next push is a new commit on the base
}

func def(name string, lines ...string) string {
	return "func " + name + "() {\n\tx := load(" + strings.ToLower(name) + ")\n" + strings.Join(lines, "") + "\tstore(x)\n}\n\n"
}

func newPushes(seed uint64) *pushes {
	p := &pushes{rng: rand.New(rand.NewPCG(seed, 50)), base: map[string]string{}} //nolint:gosec // repeatable
	for f := range 3 {
		text := "package p\n\n"
		for n := range 6 {
			text += def(fmt.Sprintf("F%d%c", f, 'a'+n))
		}
		p.base[fmt.Sprintf("f%d.go", f)] = text
	}
	p.head = maps.Clone(p.base)
	p.fault("f0.go")
	p.fault("f1.go")
	return p
}

func (p *pushes) fault(path string) {
	p.next++
	p.head[path] += def(fmt.Sprintf("N%d", p.next), fmt.Sprintf("\tdanger(%d)\n", p.next))
}

func (p *pushes) pick() string {
	paths := slices.Sorted(maps.Keys(p.head))
	return paths[p.rng.IntN(len(paths))]
}

// step changes the head and says how.
func (p *pushes) step(n int) string {
	p.past = append(p.past, maps.Clone(p.head))
	p.force = p.rng.IntN(4) == 0
	path := p.pick()
	text := p.head[path]
	switch p.rng.IntN(8) {
	case 0, 1:
		p.fault(path)
		return "new fault in " + path
	case 2:
		p.head[path] = strings.Replace(text, "package p\n", fmt.Sprintf("package p\n\n// Line %d.\n", n), 1)
		return "drift in " + path
	case 3:
		to := fmt.Sprintf("r%d.go", n)
		p.head[to] = text
		delete(p.head, path)
		return "rename of " + path + " to " + to
	case 4:
		if m := danger.FindString(text); m != "" {
			p.head[path] = strings.Replace(text, "\t"+m+"\n", "\tsafe()\n", 1)
			return "fix of " + m
		}
		p.head[path] += fmt.Sprintf("// Note %d.\n", n)
		return "note"
	case 5:
		p.head = maps.Clone(p.past[p.rng.IntN(len(p.past))])
		p.head["log.txt"] += fmt.Sprintf("%d\n", n)
		return "revert to an earlier state"
	case 6:
		p.head[path] = strings.ReplaceAll(text, "\t", "    ")
		if p.head[path] == text {
			p.head[path] = strings.ReplaceAll(text, "    ", "\t")
		}
		return "other blanks in " + path
	default:
		to := p.pick()
		if m := function.FindString(text); m != "" && to != path {
			p.head[path] = strings.Replace(text, m, "", 1)
			p.head[to] += m + "\n"
			return "move from " + path + " to " + to
		}
		p.head[path] += fmt.Sprintf("// Note %d.\n", n)
		return "note"
	}
}

// to pushes the head to the pull request: on top of what is there, or by force on the base, which has moved meanwhile.
func (p *pushes) to(t *testing.T, a *at, n int) {
	t.Helper()
	c := githubtest.Commit{Files: maps.Clone(p.head), Message: fmt.Sprintf("push %d", n)}
	was := p.past[len(p.past)-1]
	if p.force {
		if p.rng.IntN(2) == 0 {
			_, err := a.repo.Commit(t.Context(), githubtest.Commit{Branch: "main", Files: map[string]string{"other.txt": fmt.Sprintf("%d\n", n)}})
			require.NoError(t, err)
		}
		c.Parent, was = "main", p.base
	}
	for path := range was {
		if _, ok := p.head[path]; !ok {
			c.Delete = append(c.Delete, path)
		}
	}
	slices.Sort(c.Delete)
	if p.force {
		id, err := a.repo.Commit(t.Context(), c)
		require.NoError(t, err)
		require.NoError(t, a.pull.SetHead(t.Context(), id))
		return
	}
	_, err := a.pull.Push(t.Context(), c)
	require.NoError(t, err)
}

// alive are the faults in the head.
func (p *pushes) alive() map[string]bool {
	out := map[string]bool{}
	for _, text := range p.head {
		for _, m := range danger.FindAllStringSubmatch(text, -1) {
			out[m[1]] = true
		}
	}
	return out
}

// life is what is expected of a fault.
type life struct {
	comments, replies int
	open, dismissed   bool
}

// TestP06_FiftyPushesRepeatNothing pushes a made-up history with reverts, renames, moves, other blanks, squashes, rebases and
// force-pushes, and looks at what stands at the forge after each: one comment for each life of a fault, an answer where it
// ended, nothing of what was dismissed.
func TestP06_FiftyPushesRepeatNothing(t *testing.T) {
	t.Parallel()
	seeds := []uint64{3}
	if os.Getenv("WITAN_TEST_LONG") != "" {
		for seed := range uint64(20) {
			seeds = append(seeds, seed+4)
		}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			fiftyPushes(t, seed)
		})
	}
}

func fiftyPushes(t *testing.T, seed uint64) {
	t.Helper()
	p := newPushes(seed)
	a := openAt(t, p.base, p.head)
	s := a.start(t)
	lives, steps := map[string]*life{}, []string{}
	people := &lifecycle.People{Ledger: s.store, Subjects: s.store}
	for n := range 50 {
		if n > 0 {
			steps = append(steps, p.step(n))
			p.to(t, a, n)
		}
		id := s.ask(t)
		r, j := s.end(t, id)
		at := fmt.Sprintf("seed %d, %v", seed, steps)
		require.Equal(t, job.StateSucceeded, j.State, "%s: %s %v", at, j.StateReason, j.Error)
		require.Equal(t, "DONE", r.Publication.State, "%s: %+v", at, r.Publication)
		require.Equal(t, j.Progress.Total, j.Progress.Done, "all steps are done")
		p.follow(lives)
		judgeForge(t, at, a, lives)
		p.dismissOne(t, a, people, r.Pinned.Subject, lives)
	}
	require.Empty(t, a.Rejected())
	require.NoError(t, a.CheckPositions(t.Context()))
	comments, replies, dismissed := 0, 0, 0
	for _, l := range lives {
		comments, replies = comments+l.comments, replies+l.replies
		if l.dismissed {
			dismissed++
		}
	}
	t.Logf("seed %d: %d faults, %d comments, %d answers, %d dismissed", seed, len(lives), comments, replies, dismissed)
	require.Positive(t, replies)
	require.Positive(t, dismissed)
	if seed == 3 {
		require.Greater(t, comments, len(lives), "something came back")
	}
}

// follow says what is expected after a review of the head.
func (p *pushes) follow(lives map[string]*life) {
	alive := p.alive()
	for fault := range alive {
		if lives[fault] == nil {
			lives[fault] = &life{}
		}
		if l := lives[fault]; !l.open && !l.dismissed {
			l.open = true
			l.comments++
		}
	}
	for fault, l := range lives {
		if !alive[fault] && l.open && !l.dismissed {
			l.open = false
			l.replies++
		}
	}
}

func judgeForge(t *testing.T, at string, a *at, lives map[string]*life) {
	t.Helper()
	by, replies := a.comments()
	require.Equal(t, slices.Sorted(maps.Keys(lives)), slices.Sorted(maps.Keys(by)), at)
	for fault, l := range lives {
		require.Len(t, by[fault], l.comments, "%s: fault %s", at, fault)
		answered := 0
		for i, c := range by[fault] {
			answered += replies[c.ID]
			if !l.dismissed {
				require.Equal(t, i < l.comments-1 || !l.open, c.Resolved, "%s: the thread of fault %s", at, fault)
			}
		}
		require.Equal(t, l.replies, answered, "%s: fault %s", at, fault)
	}
	walkthroughs := 0
	for _, p := range a.PostedBy(a.app.Bot) {
		switch p.Kind {
		case githubtest.KindIssueComment:
			walkthroughs++
		case githubtest.KindCheckRun:
			require.Equal(t, "completed", p.Status, at)
		default:
		}
	}
	require.Equal(t, 1, walkthroughs, at)
}

// dismissOne has a person dismiss an open finding once in a while.
func (p *pushes) dismissOne(t *testing.T, a *at, people *lifecycle.People, subject string, lives map[string]*life) {
	t.Helper()
	if p.rng.IntN(8) != 0 {
		return
	}
	by, _ := a.comments()
	for _, fault := range slices.Sorted(maps.Keys(lives)) {
		l := lives[fault]
		if !l.open || l.dismissed {
			continue
		}
		last := by[fault][len(by[fault])-1]
		_, err := people.ByComment(t.Context(), subject, last.ID, func(k review.Known) review.Known { return lifecycle.Dismiss(k, "as intended") })
		require.NoError(t, err)
		l.dismissed = true
		return
	}
}
