package datadir_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/datadir"
)

func TestAFolderHasOneHolderThatOthersFind(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new", "data")
	_, err := datadir.FindHolder(path)
	require.ErrorIs(t, err, datadir.ErrNoHolder)

	held, err := datadir.Hold(path)
	require.NoError(t, err)
	_, err = datadir.Hold(path)
	require.ErrorIs(t, err, datadir.ErrHeld)
	_, err = datadir.FindHolder(path)
	require.ErrorIs(t, err, datadir.ErrHeld, "held, but it does not serve yet")

	require.NoError(t, held.Announce("127.0.0.1:7400"))
	holder, err := datadir.FindHolder(path)
	require.NoError(t, err)
	require.Equal(t, datadir.Holder{PID: os.Getpid(), Address: "127.0.0.1:7400", Token: held.Token().Reveal()}, holder)
	info, err := os.Stat(filepath.Join(path, "holder.json"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "the token is the owner's only")

	require.NoError(t, held.Release())
	_, err = datadir.FindHolder(path)
	require.ErrorIs(t, err, datadir.ErrNoHolder)
}

func TestAnAnnouncementOfADeadProcessIsNotBelieved(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(path, "holder.json"), []byte(`{"address":"127.0.0.1:1","token":"x"}`), 0o600))
	_, err := datadir.FindHolder(path)
	require.ErrorIs(t, err, datadir.ErrNoHolder)
	held, err := datadir.Hold(path)
	require.NoError(t, err)
	require.NoFileExists(t, filepath.Join(path, "holder.json"))
	require.NoError(t, held.Release())
}

func TestEachHolderHasItsOwnToken(t *testing.T) {
	t.Parallel()
	first, err := datadir.Hold(t.TempDir())
	require.NoError(t, err)
	second, err := datadir.Hold(t.TempDir())
	require.NoError(t, err)
	require.NotEqual(t, first.Token().Reveal(), second.Token().Reveal())
	require.Len(t, first.Token().Reveal(), 64)
	require.NoError(t, first.Release())
	require.NoError(t, second.Release())
}

func TestTheKeyOutlivesTheHolder(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	var keys [][]byte
	for range 2 {
		held, err := datadir.Hold(path)
		require.NoError(t, err)
		key, err := held.Key()
		require.NoError(t, err)
		keys = append(keys, key)
		require.NoError(t, held.Release())
	}
	require.Len(t, keys[0], 32)
	require.Equal(t, keys[0], keys[1])
}

func TestDefaultFollowsTheEnvironment(t *testing.T) {
	t.Parallel()
	get := func(env map[string]string) func(string) string { return func(n string) string { return env[n] } }
	path, err := datadir.Default(get(map[string]string{"XDG_DATA_HOME": "/x", "HOME": "/h"}))
	require.NoError(t, err)
	require.Equal(t, filepath.FromSlash("/x/witan"), path)
	path, err = datadir.Default(get(map[string]string{"HOME": "/h"}))
	require.NoError(t, err)
	require.Equal(t, filepath.FromSlash("/h/.local/share/witan"), path)
	_, err = datadir.Default(get(nil))
	require.Error(t, err)
}
