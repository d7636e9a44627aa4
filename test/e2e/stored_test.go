package e2e_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	jobsv1 "witan.dev/gen/witan/jobs/v1"
	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/auth"
	"witan.dev/internal/testserver"
	"witan.dev/services/retrieval/qdrant/qdranttest"
	"witan.dev/services/review/github/githubtest"
	"witan.dev/test/cluster"
	"witan.dev/test/e2e/process"
)

// planted are keys in everything that a review reads and that people write at a forge, by where they stand. They are put
// together here, so that this file holds none.
type planted map[string]string

// The places of planted keys.
const (
	inCode       = "added code"
	inRemoved    = "removed code"
	inUnchanged  = "code that stays"
	inSignature  = "a default of a parameter"
	inTitle      = "the title"
	inBody       = "the description"
	inMessage    = "a commit's message"
	inCommand    = "the question of a command"
	inAnswer     = "an answer in a thread"
	inRule       = "an instruction of the repository"
	inGuideline  = "a guideline"
	inPath       = "a path"
	inBranchName = "the name of a branch"
)

func plantKeys() planted {
	out := planted{}
	for i, place := range []string{
		inCode, inRemoved, inUnchanged, inSignature, inTitle, inBody, inMessage, inCommand, inAnswer, inRule, inGuideline, inPath, inBranchName,
	} {
		out[place] = "AKIA" + "Z7QX5MJ2NPLWK3" + string([]byte{"RSTUVWYABCDEFGH"[i], "TUVWYABCDEFGHRS"[i]})
	}
	return out
}

// in says which of the keys stand in content, in whatever form.
func (p planted) in(content []byte) []string {
	var found []string
	for _, form := range forms(content, 0) {
		for place, key := range p {
			if bytes.Contains(form, []byte(key)) && !slices.Contains(found, place) {
				found = append(found, place)
			}
		}
	}
	slices.Sort(found)
	return found
}

// maxForms is how deep contents are unpacked: gzip in Base64 in JSON in s2, and one more.
const maxForms = 5

var encoded = regexp.MustCompile(`[A-Za-z0-9+/_-]{20,}={0,2}`)

// forms are a content and all that it may be the packed form of.
func forms(content []byte, depth int) [][]byte {
	out := [][]byte{content}
	if depth == maxForms || len(content) == 0 {
		return out
	}
	add := func(inner []byte, err error) {
		if err == nil || len(inner) > 0 { // what could be read of a cut one
			out = append(out, forms(inner, depth+1)...)
		}
	}
	switch {
	case bytes.HasPrefix(content, []byte("\x1f\x8b")):
		if r, err := gzip.NewReader(bytes.NewReader(content)); err == nil {
			add(io.ReadAll(r))
		}
	case bytes.HasPrefix(content, []byte("\x28\xb5\x2f\xfd")):
		if d, err := zstd.NewReader(nil); err == nil {
			add(d.DecodeAll(content, nil))
			d.Close()
		}
	default:
		if n, err := s2.DecodedLen(content); err == nil && n > 0 && n < 64<<20 {
			if inner, err := s2.Decode(nil, content); err == nil {
				add(inner, nil)
			}
		}
	}
	for _, word := range encoded.FindAll(content, -1) {
		bare := strings.TrimRight(string(word), "=")
		for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			if inner, err := e.DecodeString(bare); err == nil {
				add(inner, nil)
				break
			}
		}
	}
	return out
}

// isPack says whether a blob is a pack of contents that belongs to a snapshot of a tree.
func isPack(content []byte) bool {
	r, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return false
	}
	h, err := tar.NewReader(r).Next()
	return err == nil && regexp.MustCompile(`^[0-9a-f]{40}$`).MatchString(h.Name)
}

// stores are the places of a system in which keys were found: a column, a stream, a file, and what stands there.
type stores map[string][]string

func (s stores) note(p planted, where string, content []byte) {
	for _, place := range p.in(content) {
		if !slices.Contains(s[where], place) {
			s[where] = append(s[where], place)
			slices.Sort(s[where])
		}
	}
}

// row is a value of a column; the chunks of blobs come in their order.
type row struct {
	column string
	blob   string // of a chunk: which
	value  []byte
}

// blobChunks is the column of the chunks of blobs, snapshotPack what we call those that belong to the snapshot of a tree.
const (
	blobChunks   = "blob_chunks.data"
	snapshotPack = "a snapshot of a tree"
)

// search looks at all rows.
func (s stores) search(t testing.TB, p planted, rows []row) {
	t.Helper()
	require.Greater(t, len(rows), 1000)
	blobs := map[string][]byte{}
	for _, r := range rows {
		if r.column == blobChunks {
			blobs[r.blob] = append(blobs[r.blob], r.value...)
			continue
		}
		s.note(p, r.column, r.value)
	}
	packs := 0
	for _, content := range blobs {
		if isPack(content) {
			packs++
			s.note(p, snapshotPack, content)
			continue
		}
		s.note(p, blobChunks, content)
	}
	require.Positive(t, packs)
	require.Greater(t, len(blobs), packs)
}

// sqliteRows are all values of the database of a server.
func (n *node) sqliteRows() []row {
	n.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(n.Data, "witan.db")+"?mode=ro&_pragma=busy_timeout(10000)")
	require.NoError(n.t, err)
	defer func() { require.NoError(n.t, db.Close()) }()
	var out []row
	for _, c := range allColumns(n.t, db) {
		column, blob := c[0]+"."+c[1], "''"
		order := ""
		if column == blobChunks {
			blob, order = "owner || hex(sha256)", " ORDER BY owner, sha256, ordinal"
		}
		out = append(out, valuesOf(n.t, db, column, fmt.Sprintf("SELECT %s, CAST(%q AS BLOB) FROM %q%s", blob, c[1], c[0], order))...)
	}
	return out
}

func valuesOf(t testing.TB, db *sql.DB, column, query string) (out []row) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		return nil // tables of search have columns that are none
	}
	defer func() { require.NoError(t, rows.Close()) }()
	for rows.Next() {
		r := row{column: column}
		require.NoError(t, rows.Scan(&r.blob, &r.value))
		out = append(out, r)
	}
	require.NoError(t, rows.Err())
	return out
}

// postgresRows are all values of a cluster's database.
func (c *clustered) postgresRows() []row {
	c.t.Helper()
	ctx := c.t.Context()
	names, err := c.db.Query(ctx, `SELECT c.table_schema, c.table_name, c.column_name, c.data_type FROM information_schema.columns c
		JOIN information_schema.tables t USING (table_schema, table_name)
		WHERE t.table_type = 'BASE TABLE' AND c.table_schema NOT IN ('pg_catalog', 'information_schema')`)
	require.NoError(c.t, err)
	var columns [][4]string
	for names.Next() {
		var n [4]string
		require.NoError(c.t, names.Scan(&n[0], &n[1], &n[2], &n[3]))
		columns = append(columns, n)
	}
	require.NoError(c.t, names.Err())
	require.Greater(c.t, len(columns), 100)
	var out []row
	for _, n := range columns {
		column, blob, order := n[1]+"."+n[2], "''", ""
		if column == blobChunks {
			blob, order = "owner || encode(sha256, 'hex')", " ORDER BY owner, sha256, ordinal"
		}
		value := fmt.Sprintf("%q", n[2])
		if n[3] != "bytea" {
			value = "convert_to(" + value + "::text, 'UTF8')"
		}
		rows, err := c.db.Query(ctx, fmt.Sprintf("SELECT %s, %s FROM %q.%q%s", blob, value, n[0], n[1], order))
		require.NoError(c.t, err)
		for rows.Next() {
			r := row{column: column}
			require.NoError(c.t, rows.Scan(&r.blob, &r.value))
			out = append(out, r)
		}
		require.NoError(c.t, rows.Err())
	}
	return out
}

// searchRedis looks at every key.
func (s stores) searchRedis(t testing.TB, p planted, url string) {
	t.Helper()
	ctx := t.Context()
	options, err := goredis.ParseURL(url)
	require.NoError(t, err)
	client := goredis.NewClient(options)
	defer func() { require.NoError(t, client.Close()) }()
	keys, err := client.Keys(ctx, "*").Result()
	require.NoError(t, err)
	require.NotEmpty(t, keys)
	for _, key := range keys {
		kind, err := client.Type(ctx, key).Result()
		require.NoError(t, err)
		var values []string
		switch kind {
		case "stream":
			entries, err := client.XRange(ctx, key, "-", "+").Result()
			require.NoError(t, err)
			for _, e := range entries {
				for field, v := range e.Values {
					values = append(values, field, fmt.Sprint(v))
				}
			}
		case "hash":
			all, err := client.HGetAll(ctx, key).Result()
			require.NoError(t, err)
			for field, v := range all {
				values = append(values, field, v)
			}
		case "string":
			v, err := client.Get(ctx, key).Result()
			require.NoError(t, err)
			values = append(values, v)
		case "set":
			values, err = client.SMembers(ctx, key).Result()
			require.NoError(t, err)
		case "zset":
			values, err = client.ZRange(ctx, key, 0, -1).Result()
			require.NoError(t, err)
		case "list":
			values, err = client.LRange(ctx, key, 0, -1).Result()
			require.NoError(t, err)
		default:
			require.Fail(t, "an unknown kind", "%s is a %s", key, kind)
		}
		for _, v := range append(values, key) {
			s.note(p, "redis", []byte(v))
		}
	}
}

// searchFiles looks at the files of a folder but those of the database, which are searched by themselves, and repositories.
func (s stores) searchFiles(t testing.TB, p planted, folder string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // files of the mirror come and go
		}
		name, _ := filepath.Rel(folder, path)
		switch {
		case entry.IsDir() && name == "mirrors":
			return fs.SkipDir
		case !entry.Type().IsRegular() || strings.HasPrefix(name, "witan.db"):
			return nil
		}
		if raw, err := os.ReadFile(path); err == nil { //nolint:gosec // the test's own folder
			s.note(p, "file "+name, raw)
		}
		return nil
	}))
}

// plant opens a pull request that holds keys everywhere.
func (w *world) plant(p planted) *hub {
	w.t.Helper()
	key := func(name, place string) string { return fmt.Sprintf("const %s = %q\n", name, p[place]) }
	h, repo := w.openForge(githubtest.RepositorySpec{Owner: "acme", Name: "shop", Files: map[string]string{
		"shop.go":     "package shop\n\n// Sell sells.\nfunc Sell() string { return \"" + p[inUnchanged] + "\" }\n",
		"old.go":      "package shop\n\n" + key("old", inRemoved) + "\nconst kept = 1\n",
		"RULES.md":    "Never use " + p[inGuideline] + " again.\n",
		".witan.yaml": "version: 1\nguidelines: [RULES.md]\ninstructions:\n  - {paths: ['**'], text: 'Ask whether " + p[inRule] + " is meant.'}\n",
	}}, settings{reviews: ", council_pause: 1s"})
	_, err := repo.Commit(w.t.Context(), githubtest.Commit{
		Branch: "topic-" + p[inBranchName], Parent: "main", Message: "Use " + p[inMessage], Author: "mallory",
		Files: map[string]string{
			"key.go":          "package shop\n\n" + key("key", inCode) + "\n// Buy buys.\nfunc Buy() string { return Sell() + key }\n",
			"old.go":          "package shop\n\nconst kept = 1\n",
			"buy.py":          "def buy(what, key=\"" + p[inSignature] + "\"):\n    return what\n",
			p[inPath] + ".go": "package shop\n\n// There is more.\nfunc There() {}\n",
		},
	})
	require.NoError(w.t, err)
	h.open(repo, githubtest.PullRequestSpec{Title: "Use " + p[inTitle], Body: "It is " + p[inBody], Author: "mallory", Head: "topic-" + p[inBranchName]})
	return h
}

// talk lets people write keys in a comment and in a thread.
func (h *hub) talk(p planted) {
	h.t.Helper()
	threads := h.ours(githubtest.KindReviewComment)
	require.NotEmpty(h.t, threads, "a key was found")
	_, err := h.pull.Reply(h.t.Context(), "acme", threads[0].ID, "That is "+p[inAnswer]+", which is not in use.")
	require.NoError(h.t, err)
	_, err = h.pull.Comment(h.t.Context(), "acme", "/witan ask Why is "+p[inCommand]+" refused?")
	require.NoError(h.t, err)
}

// requireUnseen requires that models and the forge were shown none of the keys, but for names of files and branches.
func (w *world) requireUnseen(h *hub, p planted, said string) {
	w.t.Helper()
	asked := 0
	for _, call := range w.log() {
		asked++
		require.Subset(w.t, []string{inPath}, p.in(call.Messages), "a prompt: %s", call.Messages)
	}
	require.Greater(w.t, asked, 7, "a review, and a question")
	for _, q := range h.Requests() {
		if q.Write() {
			require.Subset(w.t, []string{inPath}, p.in(q.Body), "%s", q.Body)
		}
	}
	require.Subset(w.t, []string{inPath, inBranchName}, p.in([]byte(said)), "the log")
}

// requireKept requires that code and words stand where they must, in packs of snapshots and in what GitHub sent, and nowhere
// else. Names of files and branches are no texts: they are kept as they are.
func requireKept(t testing.TB, found stores) {
	t.Helper()
	sent := []string{inAnswer, inBody, inBranchName, inCommand, inTitle}
	require.Subset(t, found["deliveries.body"], sent, "what GitHub sent is kept as it came, lines of code around a comment too")
	require.ElementsMatch(t, []string{inCode, inGuideline, inRemoved, inRule, inSignature, inUnchanged}, slices.DeleteFunc(found[snapshotPack], func(s string) bool { return s == inPath }))
	delete(found, "deliveries.body")
	delete(found, snapshotPack)
	for where, places := range found {
		require.Subset(t, []string{inPath, inBranchName}, places, "%s", where)
	}
}

// TestP11_NoSecretIsStoredButWhereCodeAndWordsAre plants keys in whatever a review reads and people write, and looks for them in
// all that is stored, unpacked.
func TestP11_NoSecretIsStoredButWhereCodeAndWordsAre(t *testing.T) {
	t.Parallel()
	p := plantKeys()
	w := newWorld(t, quick)
	h := w.plant(p)
	n := w.serveWith(process.Plain(t))
	n.tell(h)
	require.Equal(t, reviewv1.Review_REVIEWED, n.reviewed().GetDisposition())
	h.talk(p)
	n.tell(h)
	found := stores{}
	found.search(t, p, n.sqliteRows())
	found.searchFiles(t, p, n.Data)
	requireKept(t, found)
	w.requireUnseen(h, p, n.Output())
}

// TestP11_NoSecretIsStoredInAClusterButWhereCodeAndWordsAre is the same on Postgres, Redis, and what stands in for Qdrant.
func TestP11_NoSecretIsStoredInAClusterButWhereCodeAndWordsAre(t *testing.T) {
	t.Parallel()
	p := plantKeys()
	w := newWorld(t, quick)
	h := w.plant(p)
	points := &locked{}
	search := qdranttest.New(points)
	search.SetVerbose()
	postgres, redis := testserver.StartPostgres(t), testserver.StartRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	token := auth.NewSecret()
	entry, err := auth.NewToken("ada", token)
	require.NoError(t, err)
	c := w.joinCluster(cluster.Params{
		Binary: process.Plain(t), Folder: w.Dir, Database: postgres.URL, Redis: redis.URL, Qdrant: serveSearch(t, search), Workers: 1,
		Config: strings.Replace(readFile(t, w.Config), "webhooks: {github: {", "webhooks: {github: {owner: ada, ", 1) +
			fmt.Sprintf("auth: {tokens_file: %q, service_token_file: %q}\n", w.write("tokens", entry.String()+"\n"),
				w.write("service.token", auth.NewSecret().Reveal()+"\n")), // what happened at a forge is taken from a service only
	})
	c.GRPC = c.Address("jobs")
	c.signIn(token)
	h.secret = c.WebhookSecret()
	c.settles(h)
	h.talk(p)
	c.settles(h)
	found := stores{}
	found.search(t, p, c.postgresRows())
	found.searchRedis(t, p, redis.URL)
	found.searchFiles(t, p, w.Data)
	written := points.String()
	require.Contains(t, written, "shop.go", "points were written")
	found.note(p, "qdrant", []byte(written))
	requireKept(t, found)
	w.requireUnseen(h, p, c.Output())
}

// locked is a buffer for several goroutines.
type locked struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.Write(b)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.String()
}

// serveSearch serves what stands in for Qdrant, and returns its URL.
func serveSearch(t testing.TB, search *qdranttest.Server) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- search.Serve(ctx, listener) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ended)
	})
	return "http://" + listener.Addr().String()
}

// settles sends everything that happened and waits until all that follows is done.
func (c *clustered) settles(h *hub) {
	c.t.Helper()
	h.flush(c.Webhooks())
	require.Eventually(c.t, func() bool {
		var n int
		err := c.db.QueryRow(c.t.Context(), "SELECT count(*) FROM deliveries WHERE state > 1").Scan(&n)
		return err == nil && n == len(h.Deliveries())
	}, patience, 50*time.Millisecond)
	require.Eventually(c.t, func() bool {
		list, err := c.Jobs.ListJobs(bounded(c.t), &jobsv1.ListJobsRequest{PageSize: 1000})
		return err == nil && len(list.GetJobs()) > 0 && !slices.ContainsFunc(list.GetJobs(), func(j *jobsv1.Job) bool { return j.GetEndTime() == nil })
	}, 2*patience, 200*time.Millisecond)
}
