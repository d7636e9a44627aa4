package livefile_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/livefile"
)

// followed is a value over two files on a clock that the test moves.
type followed struct {
	*livefile.Value[string]

	now    time.Time
	log    bytes.Buffer
	first  string
	second string
}

func setup(t *testing.T) *followed {
	t.Helper()
	dir := t.TempDir()
	f := &followed{now: time.Unix(1000, 0), first: filepath.Join(dir, "first"), second: filepath.Join(dir, "second")}
	write(t, f.first, "a")
	write(t, f.second, "b")
	var err error
	f.Value, err = livefile.Open(livefile.Params{
		Paths: []string{f.first, f.second}, Now: func() time.Time { return f.now },
		Logger: slog.New(slog.NewTextHandler(&f.log, nil)),
	}, join)
	require.NoError(t, err)
	return f
}

func join(contents [][]byte) (string, error) {
	joined := string(bytes.Join(contents, []byte("+")))
	if strings.Contains(joined, "broken") {
		return "", errors.New("broken")
	}
	return joined, nil
}

func write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path+".new", []byte(text), 0o600))
	require.NoError(t, os.Rename(path+".new", path))
}

func (f *followed) later() { f.now = f.now.Add(time.Second) }

func TestFilesAreReadAgainAtMostOnceASecond(t *testing.T) {
	t.Parallel()
	f := setup(t)
	require.Equal(t, "a+b", f.Get(t.Context()))
	write(t, f.second, "c")
	f.now = f.now.Add(time.Second - 1)
	require.Equal(t, "a+b", f.Get(t.Context()))
	f.now = f.now.Add(1)
	require.Equal(t, "a+c", f.Get(t.Context()))
}

func TestWhatCannotBeUsedLeavesTheEarlierValueAndIsSaidOnce(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(path string) error{
		"refused":   func(path string) error { return os.WriteFile(path, []byte("broken"), 0o600) },
		"gone":      os.Remove,
		"too large": func(path string) error { return os.Truncate(path, livefile.MaxSize+1) },
		"no file": func(path string) error {
			return errors.Join(os.Remove(path), os.Mkdir(path, 0o700))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			require.NoError(t, spoil(f.first))
			for range 3 {
				f.later()
				require.Equal(t, "a+b", f.Get(t.Context()))
			}
			require.Equal(t, 1, strings.Count(f.log.String(), "level=WARN"), f.log.String())
			require.NoError(t, os.RemoveAll(f.first))
			write(t, f.first, "mended")
			f.later()
			require.Equal(t, "mended+b", f.Get(t.Context()))
		})
	}
}

func TestOpenNeedsUsableFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open := func(path string) error {
		_, err := livefile.Open(livefile.Params{Paths: []string{path}, Logger: slog.New(slog.DiscardHandler)}, join)
		return err
	}
	require.ErrorIs(t, open(filepath.Join(dir, "missing")), os.ErrNotExist)
	require.ErrorContains(t, open(dir), "no regular file")
	write(t, filepath.Join(dir, "bad"), "broken")
	require.ErrorContains(t, open(filepath.Join(dir, "bad")), "broken")
}
