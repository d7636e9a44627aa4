package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// ErrNotFound says that a revision, path or object is not in the repository.
var ErrNotFound = errors.New("not found")

// Repository is a bare repository. Its methods are safe for concurrent use and run the git program with fixed
// configuration, whatever the user's own says.
type Repository struct {
	// Dir is the bare repository's folder.
	Dir string

	writes sync.Mutex
	mu     sync.Mutex
	diffs  map[[2]string]*Diff
}

// Init makes an empty bare repository in the folder dir. Any commit that it holds can be fetched by its ID, as at GitHub.
func Init(ctx context.Context, dir, defaultBranch string) (*Repository, error) {
	r := &Repository{Dir: dir, diffs: map[[2]string]*Diff{}}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	if _, err := r.run(ctx, nil, "init", "--quiet", "--bare", "--initial-branch="+defaultBranch, dir); err != nil {
		return nil, err
	}
	config, err := os.OpenFile(dir+"/config", os.O_APPEND|os.O_WRONLY, 0o600) //nolint:gosec // below the server's folder
	if err != nil {
		return nil, err
	}
	_, err = config.WriteString("[gc]\n\tauto = 0\n[receive]\n\tautogc = false\n[http]\n\treceivepack = false\n" +
		"[uploadpack]\n\tallowFilter = true\n\tallowAnySHA1InWant = true\n[transfer]\n\thideRefs = " + scratch + "\n")
	return r, errors.Join(err, config.Close())
}

// scratch is the branch that fast-import writes; clients do not see it.
const scratch = "refs/scratch/import"

// Import takes all branches of the repository at from, which is only read.
func (r *Repository) Import(ctx context.Context, from string) error {
	r.writes.Lock()
	defer r.writes.Unlock()
	_, err := r.run(ctx, nil, "fetch", "--quiet", "--no-tags", "--force", from, "+refs/heads/*:refs/heads/*")
	return err
}

// Fetch takes what the revision of another bare repository reaches.
func (r *Repository) Fetch(ctx context.Context, from *Repository, revision string) error {
	r.writes.Lock()
	defer r.writes.Unlock()
	_, err := r.run(ctx, nil, "fetch", "--quiet", "--no-tags", from.Dir, revision)
	return err
}

// File is one file of a commit to be made.
type File struct {
	Path string
	// Mode is 100644 where it is empty.
	Mode string
	Data []byte
	// Delete removes the path instead.
	Delete bool
}

// Commit is a commit to be made.
type Commit struct {
	// Parents are commit IDs; the tree starts as that of the first.
	Parents       []string
	Files         []File
	Message       string
	Author, Email string
	When          time.Time
}

// Commit makes a commit, on no branch yet, and returns its ID. Equal commits have equal IDs.
func (r *Repository) Commit(ctx context.Context, c Commit) (string, error) {
	var in bytes.Buffer
	who := fmt.Sprintf("%s <%s> %d +0000", clean(c.Author), clean(c.Email), c.When.Unix())
	fmt.Fprintf(&in, "reset %s\ncommit %s\nmark :1\nauthor %s\ncommitter %s\ndata %d\n%s\n", scratch, scratch, who, who, len(c.Message), c.Message)
	for i, p := range c.Parents {
		fmt.Fprintf(&in, "%s %s\n", map[bool]string{true: "from", false: "merge"}[i == 0], p)
	}
	for _, f := range c.Files {
		if f.Delete {
			fmt.Fprintf(&in, "D %s\n", quote(f.Path))
			continue
		}
		mode := f.Mode
		if mode == "" {
			mode = "100644"
		}
		if mode == "160000" {
			fmt.Fprintf(&in, "M %s %s %s\n", mode, f.Data, quote(f.Path))
			continue
		}
		fmt.Fprintf(&in, "M %s inline %s\ndata %d\n%s\n", mode, quote(f.Path), len(f.Data), f.Data)
	}
	in.WriteString("\nget-mark :1\ndone\n")
	r.writes.Lock()
	defer r.writes.Unlock()
	out, err := r.run(ctx, in.Bytes(), "fast-import", "--quiet", "--force", "--done")
	return strings.TrimSpace(string(out)), err
}

func clean(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == '<' || c == '>' {
			return -1
		}
		return c
	}, s)
}

// quote writes a path as fast-import wants paths with unusual bytes.
func quote(path string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(path) {
		if c := path[i]; c < ' ' || c == '"' || c == '\\' || c > '~' {
			fmt.Fprintf(&b, `\%03o`, c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String() + `"`
}

// SetRef points a full ref name at a commit; an empty commit deletes the ref.
func (r *Repository) SetRef(ctx context.Context, ref, commit string) error {
	r.writes.Lock()
	defer r.writes.Unlock()
	args := []string{"update-ref", ref, commit}
	if commit == "" {
		args = []string{"update-ref", "-d", ref}
	}
	_, err := r.run(ctx, nil, args...)
	return err
}

// Prune removes every object that no ref reaches: what force pushes left behind is then gone.
func (r *Repository) Prune(ctx context.Context) error {
	r.writes.Lock()
	defer r.writes.Unlock()
	if _, err := r.run(ctx, nil, "update-ref", "-d", scratch); err != nil {
		return err
	}
	if _, err := r.run(ctx, nil, "repack", "-a", "-d", "-q"); err != nil {
		return err
	}
	_, err := r.run(ctx, nil, "prune", "--expire=now")
	return err
}

// Resolve returns the ID of the commit that a revision (a commit ID, a branch, a full ref) names, or ErrNotFound.
func (r *Repository) Resolve(ctx context.Context, revision string) (string, error) {
	for _, candidate := range []string{revision, "refs/heads/" + revision} {
		out, err := r.run(ctx, nil, "rev-parse", "--quiet", "--verify", "--end-of-options", candidate+"^{commit}")
		if err == nil {
			return strings.TrimSpace(string(out)), nil
		}
	}
	return "", fmt.Errorf("revision %s: %w", revision, ErrNotFound)
}

// MergeBase returns the best common ancestor of two commits, or ErrNotFound where their histories are unrelated.
func (r *Repository) MergeBase(ctx context.Context, a, b string) (string, error) {
	out, err := r.run(ctx, nil, "merge-base", a, b)
	if err != nil {
		return "", fmt.Errorf("merge base of %s and %s: %w", a, b, ErrNotFound)
	}
	return strings.TrimSpace(string(out)), nil
}

// Reaches reports whether the commit is one of those that the revision reaches.
func (r *Repository) Reaches(ctx context.Context, revision, commit string) bool {
	_, err := r.run(ctx, nil, "merge-base", "--is-ancestor", commit, revision)
	return err == nil
}

// Count returns how many commits b reaches and a does not.
func (r *Repository) Count(ctx context.Context, a, b string) (int, error) {
	out, err := r.run(ctx, nil, "rev-list", "--count", a+".."+b)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(out)))
}

// List returns the commits that b reaches and a does not, oldest first, at most limit of them.
func (r *Repository) List(ctx context.Context, a, b string, limit int) ([]Info, error) {
	out, err := r.run(ctx, nil, "rev-list", "--reverse", "--max-count="+strconv.Itoa(limit), a+".."+b)
	if err != nil {
		return nil, err
	}
	var list []Info
	for id := range strings.FieldsSeq(string(out)) {
		c, err := r.Info(ctx, id)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

// Info is a commit that is there.
type Info struct {
	ID, Tree             string
	Parents              []string
	Author, Email        string
	Committer, CommEmail string
	AuthorDate, Date     time.Time
	Message              string
}

// Info reads a commit.
func (r *Repository) Info(ctx context.Context, revision string) (Info, error) {
	id, err := r.Resolve(ctx, revision)
	if err != nil {
		return Info{}, err
	}
	out, err := r.run(ctx, nil, "show", "-s", "--no-show-signature", "--format=%T%x00%P%x00%an%x00%ae%x00%at%x00%cn%x00%ce%x00%ct%x00%B", id)
	if err != nil {
		return Info{}, err
	}
	f := strings.SplitN(string(out), "\x00", 9)
	if len(f) != 9 {
		return Info{}, fmt.Errorf("git shows commit %s in %d fields", id, len(f))
	}
	written, err1 := strconv.ParseInt(f[4], 10, 64)
	committed, err2 := strconv.ParseInt(f[7], 10, 64)
	return Info{
		ID: id, Tree: f[0], Parents: strings.Fields(f[1]), Author: f[2], Email: f[3], Committer: f[5], CommEmail: f[6],
		AuthorDate: time.Unix(written, 0).UTC(), Date: time.Unix(committed, 0).UTC(), Message: strings.TrimRight(f[8], "\n"),
	}, errors.Join(err1, err2)
}

// Entry is a member of a tree.
type Entry struct {
	Mode, Type, ID string
	// Size is −1 for anything but a blob.
	Size int64
	Path string
}

// Tree lists a tree (a commit, a tree ID, or a revision:path), with all that lies below it where recursive.
func (r *Repository) Tree(ctx context.Context, treeish string, recursive bool) ([]Entry, error) {
	args := []string{"ls-tree", "-z", "-l", "--full-tree", treeish}
	if recursive {
		args = []string{"ls-tree", "-z", "-l", "-r", "-t", "--full-tree", treeish}
	}
	out, err := r.run(ctx, nil, args...)
	if err != nil {
		return nil, fmt.Errorf("tree %s: %w", treeish, ErrNotFound)
	}
	var list []Entry
	for record := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if record == "" {
			continue
		}
		head, path, ok := strings.Cut(record, "\t")
		f := strings.Fields(head)
		if !ok || len(f) != 4 {
			return nil, fmt.Errorf("git lists a tree as %q", record)
		}
		e := Entry{Mode: f[0], Type: f[1], ID: f[2], Size: -1, Path: path}
		if f[3] != "-" {
			if e.Size, err = strconv.ParseInt(f[3], 10, 64); err != nil {
				return nil, err
			}
		}
		list = append(list, e)
	}
	return list, nil
}

// Blob reads an object by its ID; ErrNotFound where there is no such blob.
func (r *Repository) Blob(ctx context.Context, id string) ([]byte, error) {
	out, err := r.run(ctx, nil, "cat-file", "blob", id)
	if err != nil {
		return nil, fmt.Errorf("blob %s: %w", id, ErrNotFound)
	}
	return out, nil
}

// Entry finds a path in a revision's tree; ErrNotFound where it is not there.
func (r *Repository) Entry(ctx context.Context, revision, path string) (Entry, error) {
	out, err := r.run(ctx, nil, "--literal-pathspecs", "ls-tree", "-z", "-l", "--full-tree", revision, "--", path)
	if err != nil {
		return Entry{}, err
	}
	head, name, _ := strings.Cut(strings.TrimSuffix(string(out), "\x00"), "\t")
	f := strings.Fields(head)
	if len(f) != 4 || name != path {
		return Entry{}, fmt.Errorf("%s at %s: %w", path, revision, ErrNotFound)
	}
	size, err := strconv.ParseInt(f[3], 10, 64)
	if err != nil {
		size = -1
	}
	return Entry{Mode: f[0], Type: f[1], ID: f[2], Size: size, Path: path}, nil
}

// Branches returns the branches with their commits.
func (r *Repository) Branches(ctx context.Context) (map[string]string, error) {
	out, err := r.run(ctx, nil, "for-each-ref", "--format=%(refname:lstrip=2)%00%(objectname)", "refs/heads/")
	if err != nil {
		return nil, err
	}
	branches := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, id, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\x00")
		branches[name] = id
	}
	return branches, nil
}

// Environ is the environment under which git reads and serves the repositories: none of the user's or the system's
// configuration, and nothing of a git that may have started this process.
func Environ() []string {
	environ := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "GIT_") })
	return append(environ, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C")
}

// IsID reports whether the text is a full object ID.
func IsID(s string) bool {
	return len(s) == 40 && strings.Trim(s, "0123456789abcdef") == ""
}

func (r *Repository) run(ctx context.Context, stdin []byte, args ...string) ([]byte, error) {
	full := append([]string{
		"-c", "core.quotepath=true", "-c", "diff.noprefix=false", "-c", "diff.mnemonicPrefix=false",
		"-c", "diff.algorithm=myers", "-c", "diff.suppressBlankEmpty=false", "-c", "protocol.file.allow=always", "-c", "safe.bareRepository=all",
	}, args...)
	cmd := exec.CommandContext(ctx, "git", full...) //nolint:gosec // a test server's own arguments
	cmd.Dir = r.Dir
	cmd.Env = Environ()
	if stdin != nil {
		cmd.Stdin = bytes.NewReader(stdin)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return out, nil
}
