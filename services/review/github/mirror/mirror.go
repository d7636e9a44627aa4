package mirror

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"witan.dev/internal/git"
	"witan.dev/services/review"
)

const (
	suffix    = ".git"
	lockRetry = 50 * time.Millisecond
	// inUse is how long a mirror is left alone after its last use, whatever the disk says.
	inUse = time.Hour
)

// mirror is the repository on this machine that holds commits of one at the forge.
type mirror struct {
	of   *Repository
	repo review.Repo
	dir  string
	// depth is how many commits of a history it holds. One of more than one commit holds no contents.
	depth   int
	timeout time.Duration
	bytes   int64
}

// locks keep fetches into one mirror apart within the process, flocks do so between processes.
type locks struct {
	mu    sync.Mutex
	byDir map[string]*waiting
}

type waiting struct {
	turn  chan struct{} // holds one value while nobody has it
	users int
}

func (l *locks) lock(ctx context.Context, dir string) (unlock func(), err error) {
	l.mu.Lock()
	if l.byDir == nil {
		l.byDir = map[string]*waiting{}
	}
	w := l.byDir[dir]
	if w == nil {
		w = &waiting{turn: make(chan struct{}, 1)}
		w.turn <- struct{}{}
		l.byDir[dir] = w
	}
	w.users++
	l.mu.Unlock()
	leave := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if w.users--; w.users == 0 {
			delete(l.byDir, dir)
		}
	}
	select {
	case <-w.turn:
		return func() { w.turn <- struct{}{}; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, context.Cause(ctx)
	}
}

// mirror returns the mirror of a repository, which need not be there yet. Its ID must be known: names change hands.
func (r *Repository) mirror(repo review.Repo) (*mirror, error) {
	dir, err := r.dir(repo, suffix)
	return &mirror{of: r, repo: repo, dir: dir, depth: 1, timeout: r.p.Limits.Fetch, bytes: r.p.Limits.Mirror}, err
}

// dir is where a mirror of a repository lies.
func (r *Repository) dir(repo review.Repo, suffix string) (string, error) {
	if repo.ID == 0 {
		return "", fmt.Errorf("the mirror of %s: the repository was not looked up", repo.FullName())
	}
	host := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '.' || c == '-' {
			return c
		}
		return '_'
	}, strings.TrimLeft(strings.ToLower(repo.Host), "."))
	dir, err := filepath.Abs(filepath.Join(r.p.Dir, host, strconv.FormatInt(repo.ID, 10)+suffix))
	if err != nil {
		return "", fmt.Errorf("the mirror of %s: %w", repo.FullName(), err)
	}
	return dir, nil
}

// whole reports whether everything of these commits is there: a fetch brings a commit with all that it holds, or nothing.
func (m *mirror) whole(ctx context.Context, commits ...string) bool {
	repo, err := m.of.p.Git.Open(ctx, m.dir)
	if err != nil || !sameFile(repo.Dir, m.dir) { // of a damaged one git finds whatever is around it
		return false
	}
	has, err := repo.Has(ctx, commits...)
	return err == nil && has
}

func sameFile(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}

// hold sees to it that the commits are there.
func (m *mirror) hold(ctx context.Context, commits ...string) error {
	if m.whole(ctx, commits...) {
		m.touch()
		return nil
	}
	unlock, err := m.of.locks.lock(ctx, m.dir)
	if err != nil {
		return err
	}
	defer unlock()
	between, err := m.lock(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = between.Close() }()
	if m.whole(ctx, commits...) { // whoever had the lock before has fetched it
		m.touch()
		return nil
	}
	// Above half it is made anew only where there is no room left: of a repository that takes so much alone, two reviews would
	// take from each other what they read, at each look.
	full := size(m.dir) > m.bytes/2
	if err = m.fetch(ctx, commits); !errors.Is(err, git.ErrTooLarge) {
		return err
	}
	if failure := m.remove(); failure != nil || !full {
		return errors.Join(err, failure)
	}
	if err = m.fetch(ctx, commits); errors.Is(err, git.ErrTooLarge) {
		err = errors.Join(err, m.remove())
	}
	return err
}

func (m *mirror) lock(ctx context.Context) (*flock.Flock, error) {
	if err := os.MkdirAll(filepath.Dir(m.dir), 0o700); err != nil {
		return nil, fmt.Errorf("make the cache of repositories: %w", err)
	}
	l := flock.New(m.dir+".lock", flock.SetPermissions(0o600))
	if _, err := l.TryLockContext(ctx, lockRetry); err != nil {
		return nil, fmt.Errorf("wait for another fetch of %s: %w", m.repo.FullName(), err)
	}
	return l, nil
}

// touch says that the mirror is used. That it cannot be said costs a fetch at most.
func (m *mirror) touch() {
	now := m.of.p.Clock()
	_ = os.Chtimes(m.dir, now, now)
}

// fetch brings the commits, and makes the mirror anew where it is damaged.
func (m *mirror) fetch(ctx context.Context, commits []string) error {
	err := m.fetchInto(ctx, commits)
	if err == nil || ctx.Err() != nil || remote(err) {
		return m.failed(err, commits)
	}
	m.of.p.Logger.WarnContext(ctx, "a mirror is made anew", "repository_id", m.repo.ID, "error", err)
	if err := m.remove(); err != nil {
		return err
	}
	return m.failed(m.fetchInto(ctx, commits), commits)
}

// remote reports whether an error is no fault of the mirror.
func remote(err error) bool {
	for _, kind := range []error{git.ErrRemoteObject, git.ErrRemoteUnreachable, git.ErrRemoteSlow, git.ErrTooLarge, review.ErrUnavailable, review.ErrForgeRefused, review.ErrPullRequestNotFound} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// fetchInto fetches with the token at hand, then with a new one where it was refused, then from the repository's new name.
func (m *mirror) fetchInto(ctx context.Context, commits []string) error {
	if err := m.of.p.Git.InitBare(ctx, m.dir); err != nil {
		return err
	}
	into, err := m.of.p.Git.Open(ctx, m.dir)
	if err != nil {
		return fmt.Errorf("open a mirror: %w", err)
	}
	repo := m.repo
	for try := range 3 {
		from, err := m.of.p.Remote.Remote(ctx, repo, try > 0)
		if err != nil {
			return err
		}
		err = into.Fetch(ctx, git.FetchParams{
			URL: from.URL, User: from.User, Password: from.Password, Wants: slices.Compact(slices.Sorted(slices.Values(commits))), Depth: m.depth,
			NoBlobs: m.depth > 1, Timeout: m.timeout, MaxBytes: m.bytes,
		})
		switch {
		case err == nil:
			m.touch()
			return nil
		case errors.Is(err, git.ErrRemoteRefused) && try < 2:
		case errors.Is(err, git.ErrRemoteMissing) && try < 2:
			if repo, err = m.of.p.Remote.Renamed(ctx, repo); err != nil {
				return err
			}
		case errors.Is(err, git.ErrRemoteRefused), errors.Is(err, git.ErrRemoteMissing):
			return review.ErrForgeRefused.With("detail", "git may not fetch the repository").Wrap(err)
		default:
			return err
		}
	}
	return nil
}

// failed says what an unsuccessful fetch means for the review.
func (m *mirror) failed(err error, commits []string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, git.ErrRemoteObject):
		return gone(commits[len(commits)-1], fmt.Errorf("fetch from %s: %w: %w", m.repo.FullName(), review.ErrHeadGone, err))
	case errors.Is(err, git.ErrTooLarge):
		return review.ErrMaterialTooLarge.With("detail", fmt.Sprintf("the files of the repository take more than %d bytes", m.bytes)).Wrap(err)
	case errors.Is(err, git.ErrRemoteSlow): // as long again would come of trying again
		return review.ErrMaterialTooLarge.With("detail", fmt.Sprintf("the files of the repository take longer than %s to fetch", m.timeout)).Wrap(err)
	case errors.Is(err, git.ErrRemoteUnreachable):
		return fmt.Errorf("fetch from %s: %w: %w", m.repo.FullName(), review.ErrUnavailable, err)
	}
	return fmt.Errorf("fetch from %s: %w", m.repo.FullName(), err)
}

func (m *mirror) remove() error {
	if err := os.RemoveAll(m.dir); err != nil {
		return fmt.Errorf("remove a mirror: %w", err)
	}
	return nil
}

func size(dir string) int64 {
	var sum int64
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // vanished, or not there yet
		}
		if info, err := d.Info(); err == nil {
			sum += info.Size()
		}
		return nil
	})
	return sum
}
