package retrieval_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	retrievalv1 "witan.dev/gen/witan/retrieval/v1"
	typev1 "witan.dev/gen/witan/type/v1"
	"witan.dev/internal/job"
	"witan.dev/internal/secret"
	"witan.dev/services/retrieval"
)

func TestTheSecondCommitParsesOnlyWhatItChanged(t *testing.T) {
	t.Parallel()
	s := setup(t)
	dir := repository(t, map[string]string{
		"a.go": "package p\n\nfunc Alpha() {}\n", "b.go": "package p\n\nfunc Beta() { Alpha() }\n", "same.go": "package p\n\nfunc Alpha() {}\n",
	})
	first := s.index(t, dir, head(t, dir))
	require.Equal(t, int64(2), s.parsed.Load(), "equal contents are parsed once")
	require.Equal(t, int64(2), first.GetCounts().GetParsed())
	require.Equal(t, int64(3), first.GetCounts().GetFiles())

	second := s.index(t, dir, commit(t, dir, map[string]string{"b.go": "package p\n\nfunc Beta() {}\n", "same.go": "-", "a.go": "-", "moved/a.go": "package p\n\nfunc Alpha() {}\n"}))
	require.Equal(t, int64(3), s.parsed.Load(), "one content is new; a file that moved is not parsed again")
	require.Equal(t, int64(1), second.GetCounts().GetParsed())

	again := s.index(t, dir, head(t, dir))
	require.Equal(t, second.GetName(), again.GetName(), "the same tree is the same index")
	tree := s.index(t, dir, git(t, dir, "rev-parse", "HEAD^{tree}"))
	require.Equal(t, second.GetName(), tree.GetName(), "also when it is named as a tree")
	require.Equal(t, int64(3), s.parsed.Load())

	require.Equal(t, first.GetRepository(), second.GetRepository())
	require.Equal(t, []string{"moved/a.go:3"}, s.hits(t, second, "alpha")[:1])
	require.Equal(t, []string{"a.go:3", "same.go:3"}, s.hits(t, first, "alpha")[:2], "an older view stays as it was")
}

// hits returns path:line of the found chunks' definitions.
func (s *system) hits(t *testing.T, index *retrievalv1.Index, query string) []string {
	t.Helper()
	found, err := s.Search(t.Context(), &retrievalv1.SearchRequest{Index: index.GetName(), Query: query})
	require.NoError(t, err)
	var places []string
	for _, h := range found.GetHits() {
		line := h.GetLines().GetStartLine() - 1
		for i, text := range strings.Split(h.GetText(), "\n") {
			if strings.Contains(strings.ToLower(text), strings.ToLower(query)) {
				line += int32(i + 1)
				break
			}
		}
		places = append(places, fmt.Sprintf("%s:%d", h.GetPath(), line))
	}
	return places
}

// Clones of a repository are one repository, and a frozen tree that only extra object directories hold is indexed
// beside its commits.
func TestClonesAndFrozenTreesBelongToOneRepository(t *testing.T) {
	t.Parallel()
	s := setup(t)
	dir := repository(t, map[string]string{"a.go": "package p\n\nfunc Alpha() {}\n"})
	clone := t.TempDir()
	git(t, clone, "clone", "-q", dir, "copy")
	clone = filepath.Join(clone, "copy")
	commit(t, clone, map[string]string{"b.go": "package p\n\nfunc Beta() {}\n"})
	first, second := s.index(t, dir, head(t, dir)), s.index(t, clone, head(t, clone))
	require.Equal(t, first.GetRepository(), second.GetRepository())
	require.True(t, strings.HasPrefix(first.GetRepository(), "git:"))

	frozen := filepath.Join(t.TempDir(), "objects with a : and a \" in the name")
	tree := freeze(t, dir, frozen, map[string]string{"c.go": "package p\n\nfunc Gamma() { Alpha() }\n"})
	third := s.index(t, dir, tree, frozen)
	require.Equal(t, int64(2), third.GetCounts().GetFiles())
	require.Equal(t, first.GetRepository(), third.GetRepository())
	require.Equal(t, []string{"c.go:3"}, s.hits(t, third, "gamma")[:1])
	require.Empty(t, git(t, dir, "status", "--porcelain"), "the repository is not written")
}

// freeze writes HEAD's tree with other files as a tree into an object directory of its own.
func freeze(t *testing.T, dir, objects string, files map[string]string) string {
	t.Helper()
	require.NoError(t, os.MkdirAll(objects, 0o750))
	index := filepath.Join(t.TempDir(), "index")
	quoted := `"` + strings.ReplaceAll(filepath.Join(dir, ".git", "objects"), `"`, `\"`) + `"`
	run := func(stdin string, args ...string) string {
		return gitWith(t, dir, stdin, []string{"GIT_INDEX_FILE=" + index, "GIT_OBJECT_DIRECTORY=" + objects, "GIT_ALTERNATE_OBJECT_DIRECTORIES=" + quoted}, args...)
	}
	run("", "read-tree", "HEAD")
	for name, content := range files {
		blob := run(content, "hash-object", "-w", "--stdin")
		run("", "update-index", "--add", "--cacheinfo", "100644,"+blob+","+name)
	}
	return run("", "write-tree")
}

func TestHostileRepositoriesAreIndexedAsFarAsTheyGo(t *testing.T) {
	t.Parallel()
	s := setup(t)
	dir := t.TempDir()
	git(t, dir, "init", "-q", "-b", "main")
	commit(t, dir, map[string]string{
		"ok.go":                   "package p\n\nfunc Alpha() {}\n",
		"broken.go":               "package p\n\nfunc (((( {{{{\n\nfunc Found() {}\n",
		"nul.go":                  "package p\n\x00\x00\x00\x01\x02",
		"latin.py":                "def caf\xe9_name():\n    return '\xff\xfe'\n",
		"empty.go":                "",
		"huge.txt":                strings.Repeat("0123456789abcdef\n", 80_000),
		"long.js":                 "var x = \"" + strings.Repeat("a", 900_000) + "\";\n",
		"deep.js":                 strings.Repeat("(", 5_000) + strings.Repeat(")", 5_000),
		"vendor/lib/x.go":         "package lib\n\nfunc Vendored() {}\n",
		"node_modules/y/index.js": "function vendored() {}\n",
		"go.sum":                  "example.org/x v1.0.0 h1:abc=\n",
		"gen.go":                  "// Code generated by a tool. DO NOT EDIT.\n\npackage p\n\nfunc Generated() {}\n",
		"no extension":            "just text about alpha\n",
		"name\twith\ttabs.go":     "package p\n\nfunc Tabs() {}\n",
		"unknown.zzz":             "alpha alpha\n",
	})
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(dir, "link.go")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "caf\xe9.go"), []byte("package p\n\nfunc Latin() { Alpha() }\n"), 0o600))
	git(t, dir, "add", "-A")
	git(t, dir, "update-index", "--add", "--cacheinfo", "160000,1234567890123456789012345678901234567890,sub")
	git(t, dir, "commit", "-q", "-m", "hostile")

	index := s.index(t, dir, head(t, dir))
	require.Equal(t, map[string]int64{
		// Two scripts of one line each look generated.
		"BINARY": 1, "GENERATED": 3, "LOCKFILE": 1, "SUBMODULE": 1, "SYMLINK": 1, "TOO_LARGE": 1, "VENDORED": 2,
	}, index.GetCounts().GetLeftOut())
	require.Contains(t, s.hits(t, index, "found"), "broken.go:5")
	got := s.related(t, index, "ok.go", 3, "Alpha", retrievalv1.Piece_CALLERS)
	require.Len(t, got.GetPieces(), 1)
	require.Equal(t, `"caf\351.go"`, got.GetPieces()[0].GetPath(), "a path that is not UTF-8 stands as git quotes it")
	require.Equal(t, typev1.Grade_GRADE_IMPORTED, got.GetPieces()[0].GetGrade())
}

func TestTenThousandFilesAreIndexed(t *testing.T) {
	t.Parallel()
	s := setup(t)
	files := map[string]string{}
	for i := range 10_000 {
		files[fmt.Sprintf("d%d/f%d.go", i%100, i)] = fmt.Sprintf("package d%d\n\nfunc F%d() {}\n", i%100, i%2000)
	}
	dir, id := corpus(t, files)
	index := s.index(t, dir, id)
	require.Equal(t, int64(10_000), index.GetCounts().GetFiles())
	require.Less(t, index.GetCounts().GetParsed(), int64(10_001))
}

func TestWhatCannotBeIndexedIsRefusedWithAReason(t *testing.T) {
	t.Parallel()
	s := setup(t)
	dir := repository(t, map[string]string{"a.go": "package p\n"})
	missing := strings.Repeat("1", 40)
	for name, c := range map[string]struct {
		tree   *retrievalv1.GitTree
		code   codes.Code
		reason string
	}{
		"no such folder":  {&retrievalv1.GitTree{Dir: filepath.Join(dir, "missing"), ObjectId: head(t, dir)}, codes.FailedPrecondition, "NOT_A_REPOSITORY"},
		"no repository":   {&retrievalv1.GitTree{Dir: t.TempDir(), ObjectId: head(t, dir)}, codes.FailedPrecondition, "NOT_A_REPOSITORY"},
		"a file":          {&retrievalv1.GitTree{Dir: filepath.Join(dir, "a.go"), ObjectId: head(t, dir)}, codes.FailedPrecondition, "NOT_A_REPOSITORY"},
		"unknown object":  {&retrievalv1.GitTree{Dir: dir, ObjectId: missing}, codes.InvalidArgument, "REVISION_UNKNOWN"},
		"a blob":          {&retrievalv1.GitTree{Dir: dir, ObjectId: git(t, dir, "rev-parse", "HEAD:a.go")}, codes.InvalidArgument, "REVISION_UNKNOWN"},
		"a name":          {&retrievalv1.GitTree{Dir: dir, ObjectId: "HEAD"}, codes.InvalidArgument, "INVALID_REQUEST"},
		"an option":       {&retrievalv1.GitTree{Dir: "/--upload-pack=x", ObjectId: head(t, dir)}, codes.FailedPrecondition, "NOT_A_REPOSITORY"},
		"a relative path": {&retrievalv1.GitTree{Dir: "here", ObjectId: head(t, dir)}, codes.InvalidArgument, "INVALID_REQUEST"},
	} {
		_, err := s.CreateIndex(t.Context(), &retrievalv1.CreateIndexRequest{Index: &retrievalv1.Index{Source: &retrievalv1.Index_GitTree{GitTree: c.tree}}})
		require.Equal(t, c.code, status.Code(err), "%s: %v", name, err)
		require.Equal(t, c.reason, reason(err), name)
	}
}

func TestCallersWithoutTheFoldersTokenNameNoPaths(t *testing.T) {
	t.Parallel()
	s := setup(t)
	conn, err := s.rpc.InProcess(secret.Text{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	dir := repository(t, map[string]string{"a.go": "package p\n"})
	_, err = retrievalv1.NewRetrievalServiceClient(conn).CreateIndex(t.Context(), &retrievalv1.CreateIndexRequest{
		Index: &retrievalv1.Index{Source: &retrievalv1.Index_GitTree{GitTree: &retrievalv1.GitTree{Dir: dir, ObjectId: head(t, dir)}}},
	})
	require.Equal(t, codes.PermissionDenied, status.Code(err))
	require.Equal(t, "LOCAL_SOURCE_REFUSED", reason(err))
}

func TestTheSameRequestGivesTheSameIndexAndAnotherOneIsRefused(t *testing.T) {
	t.Parallel()
	s := setup(t)
	dir := repository(t, map[string]string{"a.go": "package p\n"})
	request := &retrievalv1.CreateIndexRequest{
		RequestId: "7c9e6679-7425-40de-944b-e07fc1f90ae7",
		Index:     &retrievalv1.Index{Source: &retrievalv1.Index_GitTree{GitTree: &retrievalv1.GitTree{Dir: dir, ObjectId: head(t, dir)}}},
	}
	first, err := s.CreateIndex(t.Context(), request)
	require.NoError(t, err)
	second, err := s.CreateIndex(t.Context(), request)
	require.NoError(t, err)
	require.Equal(t, first.GetName(), second.GetName())
	s.await(t, first)
	third, err := s.CreateIndex(t.Context(), request)
	require.NoError(t, err)
	require.Equal(t, first.GetName(), third.GetName())

	request.Index.GetGitTree().ObjectId = commit(t, dir, map[string]string{"a.go": "package q\n"})
	_, err = s.CreateIndex(t.Context(), request)
	require.Equal(t, codes.AlreadyExists, status.Code(err))
	require.Equal(t, "REQUEST_ID_REUSED", reason(err))
}

func TestARequestIDDecidesBeforeAnIndexOfTheSameTree(t *testing.T) {
	t.Parallel()
	s := setup(t)
	dir := repository(t, map[string]string{"a.go": "package p\n"})
	older := s.index(t, dir, head(t, dir))
	newer := s.index(t, dir, commit(t, dir, map[string]string{"a.go": "package q\n"}))
	request := &retrievalv1.CreateIndexRequest{
		RequestId: "7c9e6679-7425-40de-944b-e07fc1f90ae7",
		Index:     &retrievalv1.Index{Source: &retrievalv1.Index_GitTree{GitTree: &retrievalv1.GitTree{Dir: dir, ObjectId: head(t, dir)}}},
	}
	for range 2 {
		got, err := s.CreateIndex(t.Context(), request)
		require.NoError(t, err)
		require.Equal(t, newer.GetName(), got.GetName(), "an index of the tree is there")
	}
	request.Index.GetGitTree().ObjectId = git(t, dir, "rev-parse", "HEAD~1")
	_, err := s.CreateIndex(t.Context(), request)
	require.Equal(t, codes.AlreadyExists, status.Code(err), "also where an index of the other tree is ready")
	require.Equal(t, "REQUEST_ID_REUSED", reason(err))
	request.RequestId = ""
	got, err := s.CreateIndex(t.Context(), request)
	require.NoError(t, err)
	require.Equal(t, older.GetName(), got.GetName())
}

func TestAnIndexIsReadableOnlyWhenItsJobHasSucceeded(t *testing.T) {
	t.Parallel()
	s := setup(t)
	id := retrieval.ID(job.NewID())
	_, _, err := s.jobs.Create(t.Context(), job.Creation{
		ID: job.ID(id), Kind: job.KindCouncil, Owner: "local", Method: "x", Resource: "x", // a kind that nobody computes here
		Write: insert(s, retrieval.Index{ID: id, Owner: "local", State: retrieval.Building, CreatedAt: time.Now()}),
	})
	require.NoError(t, err)
	_, err = s.Search(t.Context(), &retrievalv1.SearchRequest{Index: "indexes/" + string(id), Query: "x"})
	require.Equal(t, codes.FailedPrecondition, status.Code(err))
	require.Equal(t, "INDEX_NOT_READY", reason(err))
	_, err = s.GetRelated(t.Context(), &retrievalv1.GetRelatedRequest{Index: "indexes/" + string(id), Target: &retrievalv1.GetRelatedRequest_Symbol{Symbol: "x"}})
	require.Equal(t, "INDEX_NOT_READY", reason(err))

	unknown := "indexes/" + string(job.NewID())
	_, err = s.Search(t.Context(), &retrievalv1.SearchRequest{Index: unknown, Query: "x"})
	require.Equal(t, codes.NotFound, status.Code(err))
	_, err = s.GetIndex(t.Context(), &retrievalv1.GetIndexRequest{Name: unknown})
	require.Equal(t, "INDEX_NOT_FOUND", reason(err))
	_, err = s.DeleteIndex(t.Context(), &retrievalv1.DeleteIndexRequest{Name: unknown})
	require.Equal(t, codes.NotFound, status.Code(err))
}

func TestIndexesAreListedInPages(t *testing.T) {
	t.Parallel()
	s := setup(t)
	dir := repository(t, map[string]string{"a.go": "package p\n"})
	var want []string
	for i := range 5 {
		want = append([]string{s.index(t, dir, commit(t, dir, map[string]string{"b.go": fmt.Sprintf("package p%d\n", i)})).GetName()}, want...)
	}
	var got []string
	token := ""
	for range 4 {
		page, err := s.ListIndexes(t.Context(), &retrievalv1.ListIndexesRequest{PageSize: 2, PageToken: token})
		require.NoError(t, err)
		for _, i := range page.GetIndexes() {
			got = append(got, i.GetName())
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
		_, err = s.ListIndexes(t.Context(), &retrievalv1.ListIndexesRequest{Repository: "other", PageToken: token})
		require.Equal(t, "PAGE_TOKEN_INVALID", reason(err))
	}
	require.Equal(t, want, got)
	for _, bad := range []string{"x", "e30", "!!"} {
		_, err := s.ListIndexes(t.Context(), &retrievalv1.ListIndexesRequest{PageToken: bad})
		require.Equal(t, "PAGE_TOKEN_INVALID", reason(err), bad)
	}
}
