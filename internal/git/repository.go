package git

import (
	"context"
	"crypto/sha1" //nolint:gosec // git's object format, not a protection
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Repository is one repository as it was found.
type Repository struct {
	// Root is the top folder of the working tree; empty for a bare repository.
	Root string
	// Dir is the git folder (of this working tree), Objects the folder with the repository's objects.
	Dir, Objects string
	// Shallow says that history ends early.
	Shallow bool

	git        *Git
	format     string
	env        []string
	indexFile  string
	alternates []string
}

// Open finds the repository that the folder belongs to. The error is ErrNotRepository or ErrUnsafe where there is none
// to be read.
func (g *Git) Open(ctx context.Context, dir string) (*Repository, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open repository: %w", err)
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("%s is no folder: %w", dir, ErrNotRepository)
	}
	further, err := g.userSettings(ctx, dir)
	if err != nil {
		return nil, err
	}
	r := &Repository{git: g, env: hardened(further), indexFile: g.index}
	if err := r.discover(ctx, dir); err != nil {
		return nil, openError(dir, err)
	}
	return r, nil
}

func openError(dir string, err error) error {
	switch {
	case said(err, "dubious ownership"), said(err, "unsafe repository"):
		return fmt.Errorf("%w: %s belongs to someone else; `git config --global --add safe.directory '%s'` trusts it: %w", ErrUnsafe, dir, dir, err)
	case exitCode(err) == 128:
		return fmt.Errorf("%s: %w: %w", dir, ErrNotRepository, err)
	default:
		return fmt.Errorf("open repository %s: %w", dir, err)
	}
}

func (g *Git) userSettings(ctx context.Context, dir string) ([]setting, error) {
	out, err := g.run(ctx, command{args: []string{"config", "-z", "--get-regexp", carriedKeys}, dir: dir})
	if err != nil && exitCode(err) < 0 {
		return nil, fmt.Errorf("read git configuration: %w", err)
	}
	return carried(out), nil // exit 1: nothing set; a broken file shows again in the next command
}

func (r *Repository) discover(ctx context.Context, dir string) error {
	ask := func(args ...string) (string, error) {
		out, err := r.git.run(ctx, command{args: append([]string{"rev-parse"}, args...), dir: dir, env: r.env})
		return strings.TrimSuffix(string(out), "\n"), err
	}
	facts, err := ask("--is-inside-work-tree", "--is-shallow-repository", "--show-object-format")
	if err != nil {
		return err
	}
	words := strings.Fields(facts)
	if len(words) != 3 {
		return fmt.Errorf("git rev-parse: unexpected answer %.80q", facts)
	}
	r.Shallow, r.format = words[1] == "true", words[2]
	if r.Dir, err = ask("--absolute-git-dir"); err != nil {
		return err
	}
	if r.Objects, err = ask("--git-path", "objects"); err != nil {
		return err
	}
	r.Objects = within(dir, r.Objects)
	if r.indexFile == "" {
		if r.indexFile, err = ask("--git-path", "index"); err != nil {
			return err
		}
	}
	r.indexFile = within(dir, r.indexFile)
	if words[0] == "true" {
		r.Root, err = ask("--show-toplevel")
	}
	return err
}

func within(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// WithObjects returns the same repository seeing the objects of further object folders too, such as those of a frozen
// tree.
func (r *Repository) WithObjects(dirs ...string) *Repository {
	view := *r
	view.alternates = slices.Concat(r.alternates, dirs)
	return &view
}

// run runs a command on the repository that needs no working tree.
func (r *Repository) run(ctx context.Context, c command) ([]byte, error) {
	return r.git.run(ctx, r.bind(c))
}

// bind points the command at the repository's git folder and objects, whatever its working tree.
func (r *Repository) bind(c command) command {
	c.dir = r.Dir
	c.env = slices.Concat(r.env, []string{"GIT_DIR=" + r.Dir}, alternates(r.alternates), c.env)
	return c
}

func alternates(dirs []string) []string {
	if len(dirs) == 0 {
		return nil
	}
	quoted := make([]string, len(dirs))
	for i, dir := range dirs {
		quoted[i] = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(dir) + `"`
	}
	return []string{"GIT_ALTERNATE_OBJECT_DIRECTORIES=" + strings.Join(quoted, string(os.PathListSeparator))}
}

// EmptyTree returns the object ID of the tree without entries, which git knows without storing it.
func (r *Repository) EmptyTree() string {
	empty := []byte("tree 0\x00")
	if r.format == "sha256" {
		sum := sha256.Sum256(empty)
		return hex.EncodeToString(sum[:])
	}
	sum := sha1.Sum(empty) //nolint:gosec // git's object format, not a protection
	return hex.EncodeToString(sum[:])
}

// IsObjectID reports whether s is a full object ID: 40 or 64 lower-case hex digits.
func IsObjectID(s string) bool {
	if len(s) != 40 && len(s) != 64 {
		return false
	}
	return strings.Trim(s, "0123456789abcdef") == ""
}

func needObjectIDs(ids ...string) error {
	for _, id := range ids {
		if !IsObjectID(id) {
			return fmt.Errorf("%.80q: %w", id, ErrNotObjectID)
		}
	}
	return nil
}
