package githubtest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi" //nolint:gosec // the flaw is that of a Go from 2016
	"os/exec"
	"strings"

	"witan.dev/services/review/github/githubtest/git"
)

// isGit reports whether the path belongs to git's smart HTTP transport.
func isGit(path string) bool {
	for _, suffix := range []string{"/info/refs", "/git-upload-pack", "/git-receive-pack"} {
		if strings.HasSuffix(path, suffix) {
			return true
		}
	}
	return false
}

// serveGit serves fetches by git's own http-backend. Pushes are refused: the repositories change by actions only.
func (s *Server) serveGit(w http.ResponseWriter, r *http.Request, record *Request) {
	who, problem := s.authenticate(r)
	record.Token, record.Permissions = who.kind(), who.permissions
	if fault := s.take(record, who); fault != nil {
		if !s.wait(r.Context(), fault.Delay) {
			return
		}
		record.Fault = fault.Kind
		if fault.Kind == CutBefore || fault.Kind == CutAfter {
			panic(http.ErrAbortHandler)
		}
		if fault.Kind != Slow {
			record.Status = max(fault.Status, http.StatusForbidden)
			http.Error(w, "the simulated GitHub fails by script", record.Status)
			return
		}
	}
	repo, rest, name := s.gitRepository(record.Path)
	var denied *answer
	switch {
	case problem != nil || repo == nil && who.account == nil:
		denied = badCredentials()
	case repo == nil:
		missing := notFound()
		denied = &missing
	default:
		s.mu.Lock()
		denied = s.permit(who, repo, need{"contents", read})
		s.mu.Unlock()
		if denied != nil && who.account == nil {
			denied = badCredentials()
		}
	}
	if denied != nil {
		record.Status = denied.status
		if denied.status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Basic realm="GitHub"`)
		}
		http.Error(w, http.StatusText(denied.status), denied.status)
		return
	}
	if name != "" {
		record.Status = http.StatusMovedPermanently
		http.Redirect(w, r, "/"+name+".git"+rest+"?"+r.URL.RawQuery, record.Status) //nolint:gosec // a path of this server
		return
	}
	if strings.HasSuffix(rest, "receive-pack") || r.URL.Query().Get("service") == "git-receive-pack" {
		record.Status = http.StatusForbidden
		http.Error(w, "the simulated GitHub takes no pushes", record.Status)
		return
	}
	backend, err := exec.LookPath("git")
	if err != nil {
		record.Status = http.StatusInternalServerError
		http.Error(w, err.Error(), record.Status)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody)) // CGI takes no chunked bodies
	if err != nil {
		record.Status = http.StatusRequestEntityTooLarge
		http.Error(w, "body too large or cut", record.Status)
		return
	}
	r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	record.Status = http.StatusOK
	(&cgi.Handler{
		Path: backend, Args: []string{"http-backend"}, Root: "/", Dir: repo.git.Dir, Stderr: io.Discard,
		Env: append(git.Environ(), "GIT_PROJECT_ROOT="+repo.git.Dir, "GIT_HTTP_EXPORT_ALL=1", "PATH_INFO="+rest, "PATH_TRANSLATED="+repo.git.Dir+rest,
			"GIT_PROTOCOL="+r.Header.Get("Git-Protocol")),
	}).ServeHTTP(w, r)
}

// gitRepository finds the repository of a transport path and what of it lies below the repository; newName is set when
// it was asked for under a former name.
func (s *Server) gitRepository(path string) (r *repository, rest, newName string) {
	parts := strings.SplitN(strings.TrimPrefix(path, "/"), "/", 3)
	if len(parts) != 3 {
		return nil, "", ""
	}
	asked := strings.ToLower(parts[0] + "/" + strings.TrimSuffix(parts[1], ".git"))
	s.mu.Lock()
	defer s.mu.Unlock()
	r = s.repos[s.names[asked]]
	if r != nil && strings.ToLower(r.fullName()) != asked {
		newName = r.fullName()
	}
	return r, "/" + parts[2], newName
}

// FetchURL is the clone URL with the token in it, as git takes it.
func (r *Repository) FetchURL(token string) string {
	return fmt.Sprintf("http://x-access-token:%s@%s/%s.git", token, strings.TrimPrefix(r.s.URL, "http://"), r.Name())
}
