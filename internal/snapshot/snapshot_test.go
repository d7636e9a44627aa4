package snapshot_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha1" //nolint:gosec // git's object IDs
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/blob"
	blobsqlite "witan.dev/internal/blob/sqlite"
	"witan.dev/internal/database/sqlite/sqlitetest"
	"witan.dev/internal/snapshot"
)

const owner, resource = "me", "reviews/r"

func id(content string) string {
	sum := sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(content), content)) //nolint:gosec // git's object IDs
	return hex.EncodeToString(sum[:])
}

// tree is a tree of contents by path, and counts what is asked of it.
type tree struct {
	files map[string]string
	asked []string
}

func (t *tree) list() []snapshot.File {
	var files []snapshot.File
	for path, content := range t.files {
		files = append(files, snapshot.File{Path: path, Mode: snapshot.ModeFile, ID: id(content), Size: int64(len(content))})
	}
	return files
}

func (t *tree) contents(_ context.Context, ids []string, each func(string, []byte) error) error {
	t.asked = append(t.asked, ids...)
	for _, content := range slices.Sorted(maps.Values(t.files)) {
		if i := slices.Index(ids, id(content)); i >= 0 {
			ids = slices.Delete(slices.Clone(ids), i, i+1)
			if err := each(id(content), []byte(content)); err != nil {
				return err
			}
		}
	}
	return nil
}

func write(t *testing.T, store blob.Store, from *tree, bases ...blob.SHA256) snapshot.Written {
	t.Helper()
	written, err := snapshot.Write(t.Context(), snapshot.Params{
		Store: store, Owner: owner, Resource: resource, Files: from.list(), Bases: bases, Contents: from.contents,
	})
	require.NoError(t, err)
	return written
}

// read brings a snapshot back to contents by path.
func read(t *testing.T, store blob.Store, sum blob.SHA256) map[string]string {
	t.Helper()
	content, err := store.Get(t.Context(), owner, sum)
	require.NoError(t, err)
	require.True(t, snapshot.IsManifest(content))
	m, err := snapshot.ReadManifest(content)
	require.NoError(t, err)
	packs := make([]map[string]string, len(m.Packs))
	for i, p := range m.Packs {
		pack, err := store.Get(t.Context(), owner, p)
		require.NoError(t, err)
		packs[i] = map[string]string{}
		require.NoError(t, snapshot.ReadPack(bytes.NewReader(pack), func(id string, content []byte) error {
			require.NoError(t, snapshot.Verify(id, content))
			packs[i][id] = string(content)
			return nil
		}))
	}
	files := map[string]string{}
	for _, f := range m.Files {
		n, has := m.Pack(f.ID)
		require.True(t, has)
		files[f.Path] = packs[n][f.ID]
	}
	return files
}

func TestASnapshotComesBack(t *testing.T) {
	t.Parallel()
	store := blobsqlite.New(sqlitetest.Open(t), nil)
	first := &tree{files: map[string]string{"a.go": "a", "b/c.go": "c", "copy.go": "a", "empty": "", "\xff odd": "odd"}}
	written := write(t, store, first)
	require.Equal(t, []int{4, 0, 0}, []int{written.Packed, written.Reused, written.Absent})
	require.Equal(t, first.files, read(t, store, written.Snapshot))
	require.Equal(t, written.Snapshot, write(t, store, first).Snapshot, "the same again is the same blob")

	second := &tree{files: maps.Clone(first.files)}
	second.files["a.go"], second.files["moved.go"] = "changed", second.files["b/c.go"]
	delete(second.files, "b/c.go")
	grown := write(t, store, second, written.Snapshot)
	require.Equal(t, []string{id("changed")}, second.asked, "a commit costs what it changed")
	require.Equal(t, []int{1, 4, 0}, []int{grown.Packed, grown.Reused, grown.Absent})
	require.Equal(t, second.files, read(t, store, grown.Snapshot))

	again := &tree{files: second.files}
	write(t, store, again, blob.SHA256{1})
	require.Len(t, again.asked, 5, "a base that is gone costs its contents")
}

func TestWhatIsTooLargeOrMissingHasNoContent(t *testing.T) {
	t.Parallel()
	store := blobsqlite.New(sqlitetest.Open(t), nil)
	from := &tree{files: map[string]string{"a.go": "a", "big": strings.Repeat("x", snapshot.MaxFile+1)}}
	files := append(from.list(), snapshot.File{Path: "gone", Mode: snapshot.ModeFile, ID: id("gone"), Size: 4},
		snapshot.File{Path: "link", Mode: snapshot.ModeSymlink, ID: id("a.go"), Size: 4})
	written, err := snapshot.Write(t.Context(), snapshot.Params{Store: store, Owner: owner, Resource: resource, Files: files, Contents: from.contents})
	require.NoError(t, err)
	require.Equal(t, []int{1, 1}, []int{written.Packed, written.Absent})
	content, err := store.Get(t.Context(), owner, written.Snapshot)
	require.NoError(t, err)
	m, err := snapshot.ReadManifest(content)
	require.NoError(t, err)
	require.Len(t, m.Files, 4)
	for _, absent := range []string{"gone", "a.go"} {
		_, has := m.Pack(id(absent))
		require.False(t, has, absent)
	}
}

func TestTheLimitsHold(t *testing.T) {
	t.Parallel()
	store := blobsqlite.New(sqlitetest.Open(t), nil)
	var files []snapshot.File
	for i := range snapshot.MaxFiles + 10 {
		files = append(files, snapshot.File{Path: fmt.Sprintf("f%06d", i), Mode: snapshot.ModeFile, ID: id(""), Size: 0})
	}
	none := func(context.Context, []string, func(string, []byte) error) error { return nil }
	empty := func(_ context.Context, ids []string, each func(string, []byte) error) error { return each(ids[0], nil) }
	written, err := snapshot.Write(t.Context(), snapshot.Params{Store: store, Owner: owner, Resource: resource, Files: files, Contents: empty})
	require.NoError(t, err)
	content, err := store.Get(t.Context(), owner, written.Snapshot)
	require.NoError(t, err)
	m, err := snapshot.ReadManifest(content)
	require.NoError(t, err)
	require.Len(t, m.Files, len(files), "those beyond the limit are listed")
	_, err = snapshot.Write(t.Context(), snapshot.Params{Store: store, Owner: owner, Resource: resource, Files: make([]snapshot.File, snapshot.MaxListed+1), Contents: none})
	require.ErrorIs(t, err, snapshot.ErrTooLarge)
	files[1].Path = files[0].Path
	_, err = snapshot.Write(t.Context(), snapshot.Params{Store: store, Owner: owner, Resource: resource, Files: files[:2], Contents: none})
	require.ErrorIs(t, err, snapshot.ErrInvalid)
}

func manifest(text string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Comment = "witan snapshot 1"
	_, e1 := z.Write([]byte(text))
	if err := errors.Join(e1, z.Close()); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func TestManifestsThatBreakARuleAreRefused(t *testing.T) {
	t.Parallel()
	a, pack := id("a"), strings.Repeat("ab", 32)
	_, err := snapshot.ReadManifest(manifest(`{"packs":["` + pack + `"],"files":[{"p":"YQ==","m":33188,"i":"` + a + `","s":1,"k":1}]}`))
	require.NoError(t, err, "this one breaks none")
	for name, text := range map[string]string{
		"no JSON":        `{`,
		"unknown key":    `{"packs":[],"files":[],"x":1}`,
		"above the tree": `{"packs":[],"files":[{"p":"Li4vYQ==","m":33188,"i":"` + a + `"}]}`,
		"absolute":       `{"packs":[],"files":[{"p":"L2E=","m":33188,"i":"` + a + `"}]}`,
		"twice":          `{"packs":[],"files":[{"p":"YQ==","m":33188,"i":"` + a + `"},{"p":"YQ==","m":33188,"i":"` + a + `"}]}`,
		"no object ID":   `{"packs":[],"files":[{"p":"YQ==","m":33188,"i":"x"}]}`,
		"no such pack":   `{"packs":[],"files":[{"p":"YQ==","m":33188,"i":"` + a + `","k":1}]}`,
		"a packed link":  `{"packs":["` + pack + `"],"files":[{"p":"YQ==","m":40960,"i":"` + a + `","k":1}]}`,
		"negative":       `{"packs":[],"files":[{"p":"YQ==","m":33188,"i":"` + a + `","s":-1}]}`,
		"pack no blob":   `{"packs":["x"],"files":[]}`,
	} {
		_, err := snapshot.ReadManifest(manifest(text))
		require.ErrorIs(t, err, snapshot.ErrInvalid, name)
	}
	_, err = snapshot.ReadManifest([]byte("tar"))
	require.ErrorIs(t, err, snapshot.ErrInvalid)
}

// archive makes a tar.
func archive(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		h.Mode = 0o644
		require.NoError(t, w.WriteHeader(&h))
		if h.Typeflag == tar.TypeReg {
			_, err := w.Write(bytes.Repeat([]byte("x"), int(h.Size)))
			require.NoError(t, err)
		}
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func paths(content []byte) (found []string, err error) {
	err = snapshot.ReadTar(bytes.NewReader(content), func(f snapshot.File, content []byte) error {
		if f.ID != "" && snapshot.Verify(f.ID, content) != nil {
			return errors.New("an ID that is not the content's")
		}
		found = append(found, f.Path)
		return nil
	})
	return found, err
}

func TestArchivesAreNormalised(t *testing.T) {
	t.Parallel()
	plain := archive(t, tar.Header{Name: "./", Typeflag: tar.TypeDir}, tar.Header{Name: "./a/", Typeflag: tar.TypeDir}, tar.Header{Name: "./a/b.go", Size: 3},
		tar.Header{Name: "link", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}, tar.Header{Name: "big", Size: snapshot.MaxFile + 1})
	found, err := paths(plain)
	require.NoError(t, err)
	require.Equal(t, []string{"a/b.go", "link", "big"}, found)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err = z.Write(plain)
	require.NoError(t, errors.Join(err, z.Close()))
	found, err = paths(packed.Bytes())
	require.NoError(t, err)
	require.Len(t, found, 3)
}

func TestArchivesThatLeaveTheTreeAreRefused(t *testing.T) {
	t.Parallel()
	for name, headers := range map[string][]tar.Header{
		"above":     {{Name: "../a", Size: 1}},
		"inside":    {{Name: "a/../../b", Size: 1}},
		"dots":      {{Name: "a/./b", Size: 1}},
		"absolute":  {{Name: "/etc/passwd", Size: 1}},
		"folder":    {{Name: "../", Typeflag: tar.TypeDir}},
		"hard link": {{Name: "a", Size: 1}, {Name: "b", Typeflag: tar.TypeLink, Linkname: "a"}},
		"device":    {{Name: "a", Typeflag: tar.TypeChar}},
		"pipe":      {{Name: "a", Typeflag: tar.TypeFifo}},
		"twice":     {{Name: "a", Size: 1}, {Name: "./a", Size: 1}},
		"link up":   {{Name: "../a", Typeflag: tar.TypeSymlink, Linkname: "b"}},
		"nothing":   {},
	} {
		_, err := paths(archive(t, headers...))
		require.ErrorIs(t, err, snapshot.ErrInvalid, name)
	}
	for _, text := range []string{"", "no archive", "\x1f\x8b broken"} {
		_, err := paths([]byte(text))
		require.ErrorIs(t, err, snapshot.ErrInvalid, "%q", text)
	}
	whole := archive(t, tar.Header{Name: "a", Size: 5000})
	_, err := paths(whole[:2000])
	require.ErrorIs(t, err, snapshot.ErrInvalid, "it is cut off")
}

// TestABombIsDefused: what says that it unpacks to too much is not unpacked.
func TestABombIsDefused(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	require.NoError(t, tar.NewWriter(&b).WriteHeader(&tar.Header{Name: "f", Size: snapshot.MaxBytes + 1, Mode: 0o644}))
	_, err := paths(b.Bytes())
	require.ErrorIs(t, err, snapshot.ErrTooLarge)
	var headers []tar.Header
	for i := range snapshot.MaxFiles + 1 {
		headers = append(headers, tar.Header{Name: fmt.Sprint("f", i)})
	}
	_, err = paths(archive(t, headers...))
	require.ErrorIs(t, err, snapshot.ErrTooLarge)
}

func FuzzRead(f *testing.F) {
	f.Add(manifest(`{"packs":["` + strings.Repeat("ab", 32) + `"],"files":[{"p":"YQ==","m":33188,"i":"` + id("a") + `","s":1,"k":1}]}`))
	f.Add(archive(f, tar.Header{Name: "./a/b.go", Size: 3}, tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "x"}))
	f.Fuzz(func(t *testing.T, content []byte) {
		if m, err := snapshot.ReadManifest(content); err == nil {
			require.LessOrEqual(t, len(m.Files), snapshot.MaxListed)
		} else if !errors.Is(err, snapshot.ErrTooLarge) {
			require.ErrorIs(t, err, snapshot.ErrInvalid)
		}
		found, err := paths(content)
		if err != nil && !errors.Is(err, snapshot.ErrTooLarge) {
			require.ErrorIs(t, err, snapshot.ErrInvalid)
		}
		for _, p := range found {
			require.False(t, strings.HasPrefix(p, "/") || slices.Contains(strings.Split(p, "/"), ".."), p)
		}
	})
}
