package git

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"witan.dev/internal/secret"
)

const (
	// DefaultFetchTimeout ends a fetch that takes longer.
	DefaultFetchTimeout = 10 * time.Minute
	// DefaultFetchBytes is how much a repository may hold after a fetch.
	DefaultFetchBytes = 2 << 30
	// look is how often the size is looked at meanwhile.
	look = 200 * time.Millisecond
)

// Errors of Fetch, beside those of this package that say more.
var (
	// ErrRemoteRefused: the remote takes the credentials for wrong or not sufficient.
	ErrRemoteRefused = errors.New("the remote repository refuses the credentials")
	// ErrRemoteMissing: there is no such repository, or the credentials do not see it; also one that moved.
	ErrRemoteMissing = errors.New("the remote repository is not there")
	// ErrRemoteObject: the remote has no such object or ref, or does not give it.
	ErrRemoteObject = errors.New("the remote repository does not have it")
	// ErrRemoteUnreachable: the remote did not answer, broke off, or answered that something is wrong with it.
	ErrRemoteUnreachable = errors.New("the remote repository cannot be reached")
	// ErrRemoteSlow: the remote did not give all of it within the time of the fetch.
	ErrRemoteSlow = errors.New("the remote repository takes too long")
)

// FetchParams say what to fetch from where.
type FetchParams struct {
	// URL is https, or http at a loopback address; credentials in it are refused.
	URL string
	// User and Password go to the remote in a header that stands neither in arguments nor in a file.
	User     string
	Password secret.Text
	// Wants are commits, by full object ID, or refs that begin with "refs/". Each becomes a ref of the same name below
	// refs/witan here.
	Wants []string
	// Depth bounds how many commits of each history come along; 0: all.
	Depth int
	// NoBlobs leaves file contents at the remote: commits and trees come only.
	NoBlobs bool
	// Timeout and MaxBytes bound the fetch; zero values take the defaults. Beyond MaxBytes the error is ErrTooLarge.
	Timeout  time.Duration
	MaxBytes int64
}

// InitBare makes an empty bare repository of SHA-1 objects, or does nothing where there is one.
func (g *Git) InitBare(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make a repository: %w", err)
	}
	c := command{args: []string{"init", "--quiet", "--bare", "--template=", "--object-format=sha1", "--initial-branch=none", dir}, env: hardened(nil)}
	if _, err := g.run(ctx, c); err != nil {
		return fmt.Errorf("make a repository: %w", err)
	}
	return nil
}

// Fetch brings commits into the repository, which must be one of InitBare that nothing else is fetched into at the same
// time. Nothing is checked out; hooks, submodules, tags, redirects and every protocol but that of the URL are off. What a
// killed fetch left is removed.
func (r *Repository) Fetch(ctx context.Context, p FetchParams) error {
	scheme, err := p.scheme()
	if err != nil {
		return err
	}
	args, err := p.arguments()
	if err != nil {
		return err
	}
	if p.Timeout <= 0 {
		p.Timeout = DefaultFetchTimeout
	}
	if p.MaxBytes <= 0 {
		p.MaxBytes = DefaultFetchBytes
	}
	if err := r.tidy(); err != nil {
		return err
	}
	patient := *r.git // a fetch has a limit of its own
	patient.timeout = p.Timeout
	c := r.bind(command{args: args})
	c.env = slices.Concat(hardened(p.settings()), []string{"GIT_DIR=" + r.Dir, "GIT_ALLOW_PROTOCOL=" + scheme}, r.git.network)

	watched, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.watchSize(watched, p.MaxBytes, stop)
	}()
	_, err = patient.run(watched, c)
	stop(nil)
	<-done
	if err == nil && r.size() > p.MaxBytes {
		err = fmt.Errorf("git fetch: above %d bytes: %w", p.MaxBytes, ErrTooLarge)
	}
	if err != nil {
		return errors.Join(fetchError(err), r.tidy())
	}
	return nil
}

func (p FetchParams) scheme() (string, error) {
	u, err := url.Parse(p.URL)
	switch {
	case err != nil || u.Host == "" || u.User != nil:
		return "", errors.New("git fetch: the remote is no URL, or has credentials in it")
	case u.Scheme == "https", u.Scheme == "http" && slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, u.Hostname()):
		return u.Scheme, nil
	}
	return "", errors.New("git fetch: the remote is not https")
}

func (p FetchParams) arguments() ([]string, error) {
	args := []string{
		"fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", "--no-auto-maintenance",
		"--no-show-forced-updates", "--force", "--update-shallow", "--end-of-options",
	}
	at := slices.Index(args, "--end-of-options")
	if p.Depth > 0 {
		args = slices.Insert(args, at, "--depth="+strconv.Itoa(p.Depth))
	}
	if p.NoBlobs {
		args = slices.Insert(args, at, "--filter=blob:none")
	}
	args = append(args, p.URL)
	for _, want := range p.Wants {
		local := "refs/witan/" + strings.TrimPrefix(want, "refs/")
		if !IsObjectID(want) && (!strings.HasPrefix(want, "refs/") || strings.ContainsAny(want, " :*?[\\^~\x00\n") || strings.Contains(want, "..")) {
			return nil, fmt.Errorf("%.80q: %w", want, ErrNotObjectID)
		}
		args = append(args, want+":"+local)
	}
	return args, nil
}

func (p FetchParams) settings() []setting {
	settings := []setting{
		{"fetch.unpackLimit", "1"},
		{"fetch.writeCommitGraph", "false"},
		{"fetch.output", "compact"},
		{"protocol.version", "2"},
		{"http.followRedirects", "false"},
		{"http.lowSpeedLimit", "1000"},
		{"http.lowSpeedTime", "60"},
		{"http.userAgent", "witan"},
		{"transfer.bundleURI", "false"},
		{"fetch.parallel", "1"},
		{"pack.threads", "1"},
	}
	if !p.Password.IsZero() {
		basic := base64.StdEncoding.EncodeToString([]byte(p.User + ":" + p.Password.Reveal()))
		settings = append(settings, setting{"http.extraHeader", "Authorization: Basic " + basic})
	}
	return settings
}

// watchSize stops the fetch when the repository has grown above the limit.
func (r *Repository) watchSize(ctx context.Context, limit int64, stop context.CancelCauseFunc) {
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if r.size() > limit {
				stop(fmt.Errorf("the repository grew above %d bytes: %w", limit, ErrTooLarge))
				return
			}
		}
	}
}

// size is the number of bytes of the repository's objects. What vanishes meanwhile does not count.
func (r *Repository) size() int64 {
	var sum int64
	_ = filepath.WalkDir(r.Objects, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // vanished
		}
		if info, err := d.Info(); err == nil {
			sum += info.Size()
		}
		return nil
	})
	return sum
}

// tidy removes what a killed fetch leaves: locks that nobody holds, and halves of packs.
func (r *Repository) tidy() error {
	var errs []error
	for _, name := range []string{"shallow.lock", "packed-refs.lock", "config.lock", "HEAD.lock"} {
		errs = append(errs, remove(filepath.Join(r.Dir, name)))
	}
	left, _ := filepath.Glob(filepath.Join(r.Objects, "pack", "tmp_*"))
	more, _ := filepath.Glob(filepath.Join(r.Dir, "shallow_*"))
	refs := filepath.Join(r.Dir, "refs", "witan")
	_ = filepath.WalkDir(refs, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".lock") {
			left = append(left, path)
		}
		return nil
	})
	for _, path := range slices.Concat(left, more) {
		errs = append(errs, remove(path))
	}
	return errors.Join(errs...)
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove what an interrupted fetch left: %w", err)
	}
	return nil
}

// fetchError tells kinds of failures by git's words, which are the only thing that it gives.
func fetchError(err error) error {
	if _, slow := errors.AsType[timeoutError](err); slow {
		return fmt.Errorf("%w: %w", ErrRemoteSlow, err)
	}
	if exitCode(err) < 0 {
		return err
	}
	for _, known := range []struct {
		words string
		kind  error
	}{
		{"not our ref", ErrRemoteObject},
		{"couldn't find remote ref", ErrRemoteObject},
		{"unadvertised object", ErrRemoteObject},
		{"Authentication failed", ErrRemoteRefused},
		{"could not read Username", ErrRemoteRefused},
		{"could not read Password", ErrRemoteRefused},
		{"returned error: 401", ErrRemoteRefused},
		{"returned error: 403", ErrRemoteRefused},
		{"not found", ErrRemoteMissing},
		{"returned error: 404", ErrRemoteMissing},
		{"returned error: 301", ErrRemoteMissing},
		{"returned error: 302", ErrRemoteMissing},
		{"returned error: 307", ErrRemoteMissing},
		{"returned error: 308", ErrRemoteMissing},
		{"unable to update url base from redirection", ErrRemoteMissing},
		{"No space left on device", nil},
	} {
		if said(err, known.words) {
			if known.kind == nil {
				return err
			}
			return fmt.Errorf("%w: %w", known.kind, err)
		}
	}
	return fmt.Errorf("%w: %w", ErrRemoteUnreachable, err)
}

// Has reports whether the repository holds all these objects, of whatever kind.
func (r *Repository) Has(ctx context.Context, ids ...string) (bool, error) {
	if err := needObjectIDs(ids...); err != nil {
		return false, err
	}
	out, err := r.run(ctx, command{args: []string{"cat-file", "--batch-check"}, stdin: lines(ids), limit: int64(len(ids)+1) * 128})
	if err != nil {
		return false, fmt.Errorf("look for objects: %w", err)
	}
	return !strings.Contains(string(out), " missing"), nil
}
