// Package livefile holds what files say and follows them while they change: token lists, certificates, shared secrets.
// Nothing runs in the background; whoever asks for the value causes the look.
package livefile

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"
)

// MaxSize bounds a file, in bytes.
const MaxSize = 1 << 20

// Params say which files to follow.
type Params struct {
	// Paths are the files, read together. At least one.
	Paths []string
	// Every is the shortest time between two looks; default 1 s.
	Every time.Duration
	// Now is the clock of Every; default time.Now.
	Now func() time.Time
	// Logger is told when files have changed and when they cannot be used. Needed.
	Logger *slog.Logger
}

// Value is what files were read as. Safe for concurrent use.
type Value[T any] struct {
	p    Params
	read func(contents [][]byte) (T, error)

	mu      sync.Mutex
	current T
	seen    []os.FileInfo // of the files that were tried last
	looked  time.Time
	refused string // why the newest files were not taken
}

// Open reads the files once. read gets their contents in the order of the paths, each at most MaxSize, and may be called
// by any goroutine that asks for the value, one at a time. A file that cannot be read, or that read refuses, is an error
// here.
func Open[T any](p Params, read func(contents [][]byte) (T, error)) (*Value[T], error) {
	p.Every = cmp.Or(p.Every, time.Second)
	if p.Now == nil {
		p.Now = time.Now
	}
	v := &Value[T]{p: p, read: read, looked: p.Now()}
	var err error
	if v.seen, err = v.stat(); err != nil {
		return nil, err
	}
	if v.current, err = v.load(); err != nil {
		return nil, err
	}
	return v, nil
}

// Get is the newest value that could be read. Files that have changed and cannot be used leave the earlier value in
// force; the log says why, once for each reason.
func (v *Value[T]) Get(ctx context.Context) T {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.p.Now()
	if now.Sub(v.looked) < v.p.Every {
		return v.current
	}
	v.looked = now
	seen, err := v.stat()
	if err == nil && v.refused == "" && same(seen, v.seen) {
		return v.current
	}
	var next T
	if err == nil {
		v.seen = seen
		next, err = v.load()
	}
	if err != nil {
		if v.refused != err.Error() {
			v.p.Logger.WarnContext(ctx, "files have changed but cannot be used; what they said before stays in force", "files", v.p.Paths, "error", err)
		}
		v.refused = err.Error()
		return v.current
	}
	v.current, v.refused = next, ""
	v.p.Logger.InfoContext(ctx, "files have changed and were read again", "files", v.p.Paths)
	return v.current
}

func (v *Value[T]) stat() ([]os.FileInfo, error) {
	infos := make([]os.FileInfo, len(v.p.Paths))
	for i, path := range v.p.Paths {
		var err error
		if infos[i], err = os.Stat(path); err != nil {
			return nil, err
		}
	}
	return infos, nil
}

func (v *Value[T]) load() (T, error) {
	contents := make([][]byte, len(v.p.Paths))
	for i, path := range v.p.Paths {
		var err error
		if contents[i], err = readFile(path); err != nil {
			var none T
			return none, err
		}
	}
	return v.read(contents)
}

// readFile refuses what is no regular file before it opens it: a pipe would hold every caller up.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	f, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err == nil && len(raw) > MaxSize {
		err = fmt.Errorf("%s is larger than %d bytes", path, MaxSize)
	}
	return raw, err
}

func same(a, b []os.FileInfo) bool {
	return slices.EqualFunc(a, b, func(a, b os.FileInfo) bool {
		return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
	})
}
