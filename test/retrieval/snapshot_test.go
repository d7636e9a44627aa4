package retrieval_test

import (
	"archive/tar"
	"bytes"
	"context"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	retrievalv1 "witan.dev/gen/witan/retrieval/v1"
	"witan.dev/internal/auth"
	"witan.dev/internal/blob"
	"witan.dev/internal/job"
	"witan.dev/internal/snapshot"
	"witan.dev/services/retrieval"
)

// upload makes a blob of the local owner.
func (s *system) upload(t *testing.T, content []byte) string {
	t.Helper()
	ref, err := s.blobs.Upload(t.Context(), auth.LocalOwner, bytes.NewReader(content), time.Now().Add(time.Hour))
	require.NoError(t, err)
	return ref.SHA256.String()
}

func (s *system) createOf(t *testing.T, sum, base string) (*retrievalv1.Index, error) {
	t.Helper()
	return s.CreateIndex(t.Context(), &retrievalv1.CreateIndexRequest{Index: &retrievalv1.Index{
		Repository: "shop", BaseIndex: base, Source: &retrievalv1.Index_SnapshotBlob{SnapshotBlob: sum},
	}})
}

func (s *system) indexOf(t *testing.T, sum, base string) *retrievalv1.Index {
	t.Helper()
	created, err := s.createOf(t, sum, base)
	require.NoError(t, err)
	return s.await(t, created)
}

func (s *system) finds(t *testing.T, index *retrievalv1.Index, query string) []string {
	t.Helper()
	found, err := s.Search(t.Context(), &retrievalv1.SearchRequest{Index: index.GetName(), Query: query, Mode: retrievalv1.SearchRequest_LEXICAL})
	require.NoError(t, err)
	var paths []string
	for _, h := range found.GetHits() {
		paths = append(paths, h.GetPath())
	}
	return paths
}

// fromGit writes a snapshot of a commit.
func (s *system) fromGit(t *testing.T, dir, commit string, bases ...blob.SHA256) snapshot.Written {
	t.Helper()
	var files []snapshot.File
	for line := range strings.SplitSeq(strings.TrimSuffix(git(t, dir, "ls-tree", "-r", "-l", "-z", commit), "\x00"), "\x00") {
		head, path, _ := strings.Cut(line, "\t")
		fields := strings.Fields(head)
		mode, err := strconv.ParseUint(fields[0], 8, 32)
		require.NoError(t, err)
		size, err := strconv.ParseInt(fields[3], 10, 64)
		require.NoError(t, err)
		files = append(files, snapshot.File{Path: path, Mode: uint32(mode), ID: fields[2], Size: size})
	}
	written, err := snapshot.Write(t.Context(), snapshot.Params{
		Store: s.blobs, Owner: auth.LocalOwner, Resource: "reviews/r", Files: files, Bases: bases,
		Contents: func(ctx context.Context, ids []string, each func(string, []byte) error) error {
			for _, id := range ids {
				cmd := exec.CommandContext(ctx, "git", "cat-file", "blob", id) //nolint:gosec // an object ID that git said
				cmd.Dir = dir
				content, err := cmd.Output()
				if err != nil {
					return err
				}
				if err := each(id, content); err != nil {
					return err
				}
			}
			return nil
		},
	})
	require.NoError(t, err)
	return written
}

func TestASnapshotIsIndexedLikeTheTreeThatItIsOf(t *testing.T) {
	t.Parallel()
	s := setup(t)
	files := shopFiles()
	files["vendor/x.go"], files["deep/é/ü.py"] = "package x\n", "def special_case():\n    pass\n"
	dir := repository(t, files)
	byGit := s.index(t, dir, head(t, dir))
	written := s.fromGit(t, dir, "HEAD")
	index := s.indexOf(t, written.Snapshot.String(), "")
	require.Equal(t, written.Snapshot.String(), index.GetSnapshotBlob())
	require.Equal(t, byGit.GetCounts().GetDefinitions(), index.GetCounts().GetDefinitions())
	require.Equal(t, byGit.GetCounts().GetEdges(), index.GetCounts().GetEdges())
	require.Equal(t, byGit.GetCounts().GetLeftOut(), index.GetCounts().GetLeftOut())
	require.Equal(t, byGit.GetCounts().GetBytes(), index.GetCounts().GetBytes())
	require.Equal(t, s.finds(t, byGit, "receipt customer"), s.finds(t, index, "receipt customer"))

	same, err := s.createOf(t, written.Snapshot.String(), "")
	require.NoError(t, err)
	require.Equal(t, index.GetName(), same.GetName(), "the same tree is indexed once")

	head := commit(t, dir, map[string]string{"mail.py": "def send_nothing():\n    pass\n", "cart.py": "-"})
	grown := s.fromGit(t, dir, head, written.Snapshot)
	require.Equal(t, 1, grown.Packed, "only what is new is stored")
	second := s.indexOf(t, grown.Snapshot.String(), index.GetName())
	require.Equal(t, int64(1), second.GetCounts().GetParsed(), "and parsed")
	require.Equal(t, []string{"mail.py"}, s.finds(t, second, "send_nothing"))
	require.Empty(t, s.finds(t, second, "cart"))
	require.NotEmpty(t, s.finds(t, index, "cart"))
}

func tarOf(t *testing.T, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		content := []byte(h.Linkname)
		if h.Typeflag == 0 {
			h.Typeflag, h.Size, h.Linkname = tar.TypeReg, int64(len(content)), ""
		}
		h.Mode = 0o644
		require.NoError(t, w.WriteHeader(&h))
		if h.Typeflag == tar.TypeReg {
			_, err := w.Write(content)
			require.NoError(t, err)
		}
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func TestAnUploadedArchiveIsIndexed(t *testing.T) {
	t.Parallel()
	s := setup(t)
	var headers []tar.Header
	for path, content := range shopFiles() {
		headers = append(headers, tar.Header{Name: "./" + path, Linkname: content})
	}
	headers = append(headers, tar.Header{Name: "link.py", Typeflag: tar.TypeSymlink, Linkname: "../../etc/passwd"})
	index := s.indexOf(t, s.upload(t, tarOf(t, headers...)), "")
	require.Equal(t, int64(3), index.GetCounts().GetFiles())
	require.Equal(t, map[string]int64{"SYMLINK": 1}, index.GetCounts().GetLeftOut())
	require.Equal(t, []string{"price.py"}, s.finds(t, index, "total price"))

	for name, bad := range map[string][]byte{
		"above":     tarOf(t, tar.Header{Name: "../a.py", Linkname: "x = 1\n"}),
		"hard link": tarOf(t, tar.Header{Name: "a.py", Linkname: "x = 1\n"}, tar.Header{Name: "b.py", Typeflag: tar.TypeLink, Linkname: "a.py"}),
		"no tar":    []byte("this is no archive"),
	} {
		created, err := s.createOf(t, s.upload(t, bad), "")
		require.NoError(t, err)
		var j job.Job
		require.Eventually(t, func() bool {
			j, err = s.jobs.Get(t.Context(), job.ID(strings.TrimPrefix(created.GetJob(), "jobs/")), "")
			require.NoError(t, err)
			return j.State.Terminal()
		}, time.Minute, 5*time.Millisecond)
		require.Equal(t, job.StateFailed, j.State, name)
		require.Equal(t, "SNAPSHOT_INVALID", j.Error.Reason, name)
	}
	_, err := s.createOf(t, strings.Repeat("ab", 32), "")
	require.Equal(t, "BLOB_NOT_FOUND", reason(err))
}

// TestNobodyGetsContentsByNamingThem: a snapshot that names what others have indexed, without having it, finds nothing.
func TestNobodyGetsContentsByNamingThem(t *testing.T) {
	t.Parallel()
	s := setup(t)
	dir := repository(t, map[string]string{"secret.py": "def secret_recipe():\n    return 42\n"})
	s.index(t, dir, head(t, dir))
	written := s.fromGit(t, dir, "HEAD")
	s.indexOf(t, written.Snapshot.String(), "")

	id := git(t, dir, "rev-parse", "HEAD:secret.py")
	thief, err := snapshot.Write(t.Context(), snapshot.Params{
		Store: s.blobs, Owner: "thief", Resource: "reviews/t", Files: []snapshot.File{{Path: "secret.py", Mode: snapshot.ModeFile, ID: id, Size: 37}},
		Contents: func(context.Context, []string, func(string, []byte) error) error { return nil },
	})
	require.NoError(t, err)
	trees := s.snapshots
	source := retrieval.Source{Snapshot: thief.Snapshot.String(), Owner: "thief"}
	mine := retrieval.Source{Snapshot: written.Snapshot.String(), Owner: auth.LocalOwner}
	names := map[string]bool{}
	for _, from := range []retrieval.Source{source, mine} {
		require.NoError(t, trees.List(t.Context(), from, "", func(e retrieval.Entry) error { names[e.Blob] = true; return nil }))
	}
	require.Len(t, names, 2, "what is known of a content is known to its owner only")
	blobs, err := trees.OpenBlobs(t.Context(), source)
	require.NoError(t, err)
	defer func() { require.NoError(t, blobs.Close()) }()
	for name := range names {
		_, err := blobs.Read(name, retrieval.MaxFileBytes)
		require.ErrorIs(t, err, retrieval.ErrBlobMissing)
	}
	_, err = trees.Resolve(t.Context(), retrieval.Source{Snapshot: written.Snapshot.String(), Owner: "thief"})
	require.ErrorIs(t, err, blob.ErrNotFound)
}

// TestAContentThatIsAnotherIsMissing: a pack has something else under an object ID.
func TestAContentThatIsAnotherIsMissing(t *testing.T) {
	t.Parallel()
	s := setup(t)
	written, err := snapshot.Write(t.Context(), snapshot.Params{
		Store: s.blobs, Owner: auth.LocalOwner, Resource: "reviews/r",
		Files: []snapshot.File{{Path: "a.py", Mode: snapshot.ModeFile, ID: strings.Repeat("ab", 20), Size: 6}},
		Contents: func(_ context.Context, ids []string, each func(string, []byte) error) error {
			return each(ids[0], []byte("x = 1\n"))
		},
	})
	require.NoError(t, err)
	index := s.indexOf(t, written.Snapshot.String(), "")
	require.Equal(t, map[string]int64{"MISSING": 1}, index.GetCounts().GetLeftOut())
}
