package e2e_test

import (
	"bytes"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	ingestv1 "witan.dev/gen/witan/ingest/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/auth"
	_ "witan.dev/internal/database/sqlite" // registers the driver that reads the server's file
	"witan.dev/services/review/github/githubtest"
	"witan.dev/test/e2e/process"
)

// plants are the secrets of a test by what they are.
type plants struct {
	mu   sync.Mutex
	what map[string]string // by value
}

// plant notes a secret. Short ones and words before a secret are none.
func (p *plants) plant(what, value string) {
	value, basic := strings.CutPrefix(value, "Basic ")
	for _, word := range []string{"Bearer ", "bearer ", "token "} {
		value = strings.TrimPrefix(value, word)
	}
	if basic {
		if raw, err := base64.StdEncoding.DecodeString(value); err == nil {
			_, password, _ := strings.Cut(string(raw), ":")
			p.plant(what+", decoded", password)
		}
	}
	if len(value) < 12 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.what[value] = what
	p.what[base64.StdEncoding.EncodeToString([]byte(value))] = what + ", encoded"
}

// in are the secrets that stand in text.
func (p *plants) in(text string) (found []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for value, what := range p.what {
		if at := strings.Index(text, value); at >= 0 {
			found = append(found, fmt.Sprintf("%s in %q", what, text[max(0, at-80):min(len(text), at+len(value)+20)]))
		}
	}
	return found
}

// absent requires that none stands in text.
func (p *plants) absent(t testing.TB, where, text string) {
	t.Helper()
	require.Empty(t, p.in(text), "%s", where)
}

// eavesdropper stands between the server and somebody who is shown credentials. It notes them, and can answer in the other's
// place, with words that hold what it was shown.
type eavesdropper struct {
	*httptest.Server
	secrets *plants

	mu     sync.Mutex
	bodies []string
	left   int
	answer int
}

func (p *plants) eavesdrop(t testing.TB, to string) *eavesdropper {
	t.Helper()
	target, err := url.Parse(to)
	require.NoError(t, err)
	transport := &http.Transport{}
	e := &eavesdropper{secrets: p}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, FlushInterval: -1, Transport: transport, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
		ModifyResponse: e.minted,
	}
	e.Server = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		body, err := io.ReadAll(in.Body)
		if err != nil {
			return
		}
		shown := in.Header.Get("Authorization")
		if status := e.hear(string(body), shown); status != 0 {
			out.Header().Set("Content-Type", "application/json")
			out.Header().Set("X-Echo", shown)
			out.WriteHeader(status)
			_ = json.NewEncoder(out).Encode(map[string]any{"message": "Bad: " + shown, "error": map[string]any{"message": "Incorrect API key provided: " + shown}})
			return
		}
		in.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(out, in)
	}))
	t.Cleanup(func() {
		e.Close()
		transport.CloseIdleConnections()
	})
	return e
}

// hear notes a request and gives the status of an answer in the other's place; 0: none.
func (e *eavesdropper) hear(body, shown string) int {
	e.secrets.plant("a credential that was shown", shown)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.bodies = append(e.bodies, body)
	if e.left == 0 || shown == "" {
		return 0
	}
	e.left--
	return e.answer
}

// echo answers the next n requests with a status and the credential that they show.
func (e *eavesdropper) echo(n, status int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.left, e.answer = n, status
}

// echoed requires that all of them were.
func (e *eavesdropper) echoed(t testing.TB) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	require.Zero(t, e.left, "answers of %d", e.answer)
}

// minted notes tokens that an App is given.
func (e *eavesdropper) minted(r *http.Response) error {
	if !strings.HasSuffix(r.Request.URL.Path, "/access_tokens") {
		return nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	_ = r.Body.Close()
	r.Body = io.NopCloser(bytes.NewReader(body))
	var given struct{ Token string }
	if json.Unmarshal(body, &given) == nil {
		e.secrets.plant("an installation token", given.Token)
	}
	return nil
}

// keepsCommands is a folder for the search path in which git writes down how it is called.
func keepsCommands(t testing.TB) (folder, record string) {
	t.Helper()
	real, err := exec.LookPath("git")
	require.NoError(t, err)
	folder = t.TempDir()
	record = filepath.Join(folder, "commands")
	script := fmt.Sprintf("#!/bin/sh\nprintf '%%s\\n' \"$*\" >> %q\nexec %q \"$@\"\n", record, real)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "git"), []byte(script), 0o700)) //nolint:gosec // a program
	return folder, record
}

// requireStored requires that no file of the data folder holds a secret.
func (n *node) requireStored(p *plants) {
	n.t.Helper()
	files := 0
	require.NoError(n.t, filepath.WalkDir(n.Data, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return nil //nolint:nilerr // files of the mirror come and go
		}
		raw, err := os.ReadFile(path) //nolint:gosec // the test's own folder
		if err != nil {
			return nil //nolint:nilerr // as above
		}
		files++
		p.absent(n.t, path, string(raw))
		return nil
	}))
	require.Greater(n.t, files, 5)
}

// planted are the secrets as those that are looked for in what is stored, unpacked.
func (p *plants) planted() planted {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := planted{}
	for value, what := range p.what {
		out[what+" "+value[:4]] = value
	}
	return out
}

// allColumns are the columns of all tables, each with its table's name in front.
func allColumns(t testing.TB, db *sql.DB) [][2]string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'")
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	var columns [][2]string
	for rows.Next() {
		var c [2]string
		require.NoError(t, rows.Scan(&c[0], &c[1]))
		columns = append(columns, c)
	}
	require.NoError(t, rows.Err())
	require.Greater(t, len(columns), 50)
	return columns
}

// answers are what callers read of everything that there is.
func (n *node) answers(token string) string {
	n.t.Helper()
	get := func(path string) string {
		req, err := http.NewRequestWithContext(bounded(n.t), http.MethodGet, n.HTTP+path, nil)
		require.NoError(n.t, err)
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(n.t, err)
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		require.NoError(n.t, err)
		require.Equal(n.t, http.StatusOK, resp.StatusCode, "%s: %s", path, body)
		return path + "\n" + string(body) + "\n"
	}
	all := get("/v1/jobs?page_size=1000") + get("/v1/reviews") + get("/v1/deliveries") + get("/v1/models")
	jobs, err := n.Jobs.ListJobs(bounded(n.t), &jobsv1.ListJobsRequest{PageSize: 1000})
	require.NoError(n.t, err)
	for _, j := range jobs.GetJobs() {
		all += get("/v1/" + j.GetName())
		for _, e := range n.events(j.GetName()) {
			text, err := protojson.Marshal(e)
			require.NoError(n.t, err)
			all += string(text) + "\n"
		}
	}
	reviews, err := n.Reviews.ListReviews(bounded(n.t), &reviewv1.ListReviewsRequest{})
	require.NoError(n.t, err)
	for _, r := range reviews.GetReviews() {
		all += get("/v1/" + r.GetName() + "?view=FULL")
		if r.GetDeliberation() != "" {
			all += get("/v1/" + r.GetDeliberation() + "?view=FULL")
		}
	}
	list, err := ingestv1.NewIngestServiceClient(n.conn).ListDeliveries(bounded(n.t), &ingestv1.ListDeliveriesRequest{})
	require.NoError(n.t, err)
	for _, d := range list.GetDeliveries() {
		all += get("/v1/" + d.GetName())
	}
	return all
}

// TestP11_NoTokenOrSecretLeavesItsPlace: credentials are shown to those whom they are for, and stand nowhere else, not even when
// those send them back in an error; a key that a change holds is shown to nobody.
func TestP11_NoTokenOrSecretLeavesItsPlace(t *testing.T) {
	t.Parallel()
	secrets := &plants{what: map[string]string{}}
	w := newWorld(t, quick)
	models := secrets.eavesdrop(t, strings.TrimSuffix(w.endpoint, "/v1"))
	w.endpoint = models.URL + "/v1"
	key := "sk-planted-0123456789abcdefghijklmnop"
	secrets.plant("the key of the models", key)
	h, repo := w.openForge(githubtest.RepositorySpec{Owner: "acme", Name: "shop", Files: map[string]string{"shop.go": "package shop\n"}},
		settings{reviews: ", council_pause: 1s", models: fmt.Sprintf(", api_key_file: %q", w.write("models.key", key+"\n"))})
	forge := secrets.eavesdrop(t, h.URL)
	config := strings.ReplaceAll(readFile(t, w.Config), h.URL, forge.URL)
	h.URL, h.APIURL, h.GraphQLURL = forge.URL, forge.URL+"/api/v3", forge.URL+"/api/graphql"
	for line := range strings.SplitSeq(string(h.app.PrivateKey), "\n") {
		if !strings.HasPrefix(line, "---") {
			secrets.plant("the App's key", line)
		}
	}
	secrets.plant("the secret of the webhooks", h.secret)
	token := auth.NewSecret()
	secrets.plant("a token of the server", token.Reveal())
	entry, err := auth.NewToken("ada", token)
	require.NoError(t, err)
	w.write("witan.yaml", strings.Replace(config, "webhooks: {github: {", "webhooks: {github: {owner: ada, ", 1)+
		fmt.Sprintf("auth: {tokens_file: %q}\n", w.write("tokens", entry.String()+"\n")))

	leaked := leakedKey()
	_, err = repo.Commit(t.Context(), githubtest.Commit{
		Branch: "topic", Parent: "main", Message: "Use " + leaked, Author: "mallory",
		Files: map[string]string{"key.go": "package shop\n\nconst key = \"" + leaked + "\"\n"},
	})
	require.NoError(t, err)
	h.open(repo, githubtest.PullRequestSpec{Title: "Use " + leaked, Body: "The key is " + leaked, Author: "mallory", Head: "topic"})
	folder, record := keepsCommands(t)
	n := w.serveWith(process.Plain(t), "PATH="+folder+string(os.PathListSeparator)+os.Getenv("PATH"))
	n.signIn(token)
	forge.echo(2, http.StatusBadGateway)
	models.echo(1, http.StatusUnauthorized)
	jobs := n.tell(h)
	require.NotEmpty(t, jobs)
	forge.echoed(t)
	models.echoed(t)
	r := n.reviewed()
	require.Equal(t, reviewv1.Review_REVIEWED, r.GetDisposition())
	require.NotEmpty(t, r.GetFindings(), "the key was found")

	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound} {
		_, err = h.pull.Push(t.Context(), githubtest.Commit{Files: map[string]string{fmt.Sprintf("more%d.go", status): "package shop\n"}, Message: "more"})
		require.NoError(t, err)
		forge.echo(1, status)
		n.tell(h)
		forge.echoed(t)
	}

	minted := 0
	for _, q := range h.Requests() {
		if strings.HasSuffix(q.Path, "/access_tokens") {
			require.Contains(t, string(q.Body), `"repository_ids":[`, "a token is for one repository")
			minted++
		}
	}
	require.Greater(t, minted, 1)
	require.NotEmpty(t, models.bodies)
	require.NotEmpty(t, h.PostedBy(h.app.Bot))
	n.requireStored(secrets)
	shown := stores{}
	shown.search(t, secrets.planted(), n.sqliteRows())
	require.Empty(t, shown, "credentials in the database, unpacked")
	commands := readFile(t, record)
	require.Contains(t, commands, "fetch")
	secrets.absent(t, "the arguments of git", commands)
	wrong := "hunter2-hunter2-hunter2"
	secrets.plant("a password", wrong)
	for _, command := range [][]string{{"doctor"}, {"serve", "--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0"}} {
		said := process.Run(t, w.Dir, []string{
			"WITAN_DATABASE=postgres://witan:" + wrong + "@127.0.0.1:1/witan?connect_timeout=1", "WITAN_REDIS=redis://:" + wrong + "@127.0.0.1:1/0",
			"WITAN_QDRANT=http://127.0.0.1:1", "WITAN_QDRANT_KEY=" + wrong, "WITAN_TOKEN=" + wrong,
		}, append(command, "--config", w.Config, "--data", filepath.Join(w.Dir, "other"))...)
		require.NotZero(t, said.Code)
		secrets.absent(t, strings.Join(command, " "), said.Stdout+said.Stderr)
	}

	secrets.plant("the key in the change", leaked)
	for _, body := range models.bodies {
		secrets.absent(t, "a prompt", body)
	}
	for _, p := range h.PostedBy(h.app.Bot) {
		secrets.absent(t, "at the forge", p.Body)
	}
	for _, q := range h.Requests() {
		if q.Write() {
			secrets.absent(t, "what the forge was sent", string(q.Body))
		}
	}
	secrets.absent(t, "the log", n.Output())
	secrets.absent(t, "what callers are answered", n.answers(token.Reveal()))
	kept := stores{}
	kept.search(t, planted{inCode: leaked}, n.sqliteRows())
	require.Equal(t, stores{"deliveries.body": {inCode}, snapshotPack: {inCode}}, kept, "only code, and what GitHub sent, is kept as it came")
	n.Stop()
	secrets.absent(t, "the log of a server that stops", n.Output())
}
