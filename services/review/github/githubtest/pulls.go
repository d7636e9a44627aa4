package githubtest

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"witan.dev/services/review/github/githubtest/git"
)

// GitHub's limits of diffs: the diff media type is refused above them, lists of files end there.
const (
	maxDiffLines    = 20_000
	maxDiffFiles    = 300
	maxListedFiles  = 3000
	maxListedCommit = 250
)

func (s *Server) getRepository(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, found := s.repositoryObject(c.repo).(object)
	if !found {
		return notFound()
	}
	o["network_count"], o["subscribers_count"] = 0, 0
	o["permissions"] = object{"admin": false, "maintain": false, "push": c.who.permissions["contents"] == write, "triage": false, "pull": true}
	if c.repo.parent != nil {
		o["parent"], o["source"] = s.repositoryObject(c.repo.parent), s.repositoryObject(c.repo.parent)
	}
	return ok(o)
}

func (s *Server) listPulls(c *call) answer {
	q := c.URL.Query()
	state := cmp.Or(q.Get("state"), "open")
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*pull
	for _, p := range c.repo.pulls {
		if (state == "all" || state == p.state()) && (q.Get("base") == "" || q.Get("base") == p.baseRef) &&
			(q.Get("head") == "" || q.Get("head") == p.headOwner.login+":"+p.headRef) {
			list = append(list, p)
		}
	}
	ascending := q.Get("direction") == "asc"
	slices.SortFunc(list, func(a, b *pull) int {
		if ascending {
			return cmp.Compare(a.number, b.number)
		}
		return cmp.Compare(b.number, a.number)
	})
	return page(c, list, func(p *pull) any { return s.pullObject(p) })
}

func (s *Server) getPull(c *call) answer {
	s.mu.Lock()
	p, missing := c.pull()
	if missing != nil {
		s.mu.Unlock()
		return *missing
	}
	v := view{repo: p.repo.git, base: p.baseSHA, head: p.shownHead()}
	if p.lagging > 0 {
		defer func() {
			s.mu.Lock()
			p.lagging--
			s.mu.Unlock()
		}()
	}
	s.mu.Unlock()
	d, err := v.diff(c.Context())
	if err != nil && !errors.Is(err, git.ErrNotFound) {
		return refusal(http.StatusInternalServerError, err.Error())
	}
	if media(c, "diff") {
		if denied := s.mayReadContents(c); denied != nil {
			return *denied
		}
		return diffAnswer(d)
	}
	var n counts
	if d != nil {
		n.files = len(d.Files)
		for _, f := range d.Files {
			n.additions, n.deletions = n.additions+f.Added, n.deletions+f.Deleted
		}
		if n.commits, err = v.repo.Count(c.Context(), v.base, v.head); err != nil {
			return refusal(http.StatusInternalServerError, err.Error())
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return ok(s.detailedPull(p, n))
}

func (s *Server) mayReadContents(c *call) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.permit(c.who, c.repo, need{"contents", read})
}

// media reports whether the request accepts one of GitHub's own media types, such as application/vnd.github.v3.diff.
func media(c *call, kind string) bool {
	for accepted := range strings.SplitSeq(c.Header.Get("Accept"), ",") {
		t, _, _ := strings.Cut(strings.TrimSpace(accepted), ";")
		if strings.HasPrefix(t, "application/vnd.github") && (strings.HasSuffix(t, "."+kind) || strings.HasSuffix(t, "."+kind+"+json")) {
			return true
		}
	}
	return false
}

// diffAnswer is a diff as text, or 406 above GitHub's limits.
func diffAnswer(d *git.Diff) answer {
	if d == nil {
		return notFound()
	}
	for _, limit := range []struct {
		have, most int
		what       string
	}{{len(d.Files), maxDiffFiles, "files"}, {d.Lines(), maxDiffLines, "lines"}} {
		if limit.have > limit.most {
			return refusal(http.StatusNotAcceptable,
				fmt.Sprintf("Sorry, the diff exceeded the maximum number of %s (%d). Consider using 'List pull requests files' API or locally cloning the repository instead.", limit.what, limit.most),
				object{"resource": "PullRequest", "field": "diff", "code": "too_large"})
		}
	}
	return answer{status: http.StatusOK, header: map[string]string{"Content-Type": "application/vnd.github.v3.diff; charset=utf-8"}, bytes: d.Patch}
}

func (s *Server) listFiles(c *call) answer {
	s.mu.Lock()
	p, missing := c.pull()
	if missing != nil {
		s.mu.Unlock()
		return *missing
	}
	v := view{repo: p.repo.git, base: p.baseSHA, head: p.shownHead()}
	if p.staleFiles && len(p.former) > 0 {
		v.head = p.former[len(p.former)-1]
	}
	s.mu.Unlock()
	d, err := v.diff(c.Context())
	if err != nil {
		return notFound()
	}
	files := d.Files[:min(len(d.Files), maxListedFiles)]
	return page(c, files, func(f git.Changed) any { return s.fileObject(c.repo, f, v.head) })
}

// fileObject is one file of a pull request, a comparison or a commit.
func (s *Server) fileObject(r *repository, f git.Changed, head string) object {
	status := map[byte]string{'A': "added", 'D': "removed", 'M': "modified", 'R': "renamed", 'C': "copied", 'T': "changed"}[f.Status]
	id, at := f.NewID, head
	if f.Status == 'D' {
		id = f.OldID
	}
	escaped := (&url.URL{Path: f.Path}).EscapedPath()
	page := s.URL + "/" + r.fullName()
	o := object{
		"sha": id, "filename": f.Path, "status": status, "additions": f.Added, "deletions": f.Deleted, "changes": f.Added + f.Deleted,
		"blob_url": page + "/blob/" + at + "/" + escaped, "raw_url": page + "/raw/" + at + "/" + escaped,
		"contents_url": s.repoAPI(r) + "/contents/" + escaped + "?ref=" + at,
	}
	if f.Patch != "" {
		o["patch"] = f.Patch
	}
	if f.Status == 'R' || f.Status == 'C' {
		o["previous_filename"] = f.OldPath
	}
	return o
}

func (s *Server) listPullCommits(c *call) answer {
	s.mu.Lock()
	p, missing := c.pull()
	if missing != nil {
		s.mu.Unlock()
		return *missing
	}
	v := view{repo: p.repo.git, base: p.baseSHA, head: p.shownHead()}
	s.mu.Unlock()
	list, err := v.repo.List(c.Context(), v.base, v.head, maxListedCommit)
	if err != nil {
		return notFound()
	}
	return page(c, list, func(i git.Info) any { return s.commitObject(c.repo, i) })
}

// compare answers base...head: the merge base, the commits between, and at most 300 files on the first page.
func (s *Server) compare(c *call) answer {
	base, head, three := strings.Cut(c.PathValue("range"), "...")
	if !three {
		return notFound()
	}
	ctx, g := c.Context(), c.repo.git
	from, err := s.revision(ctx, c.repo, base)
	if err != nil {
		return notFound()
	}
	to, err := s.revision(ctx, c.repo, head)
	if err != nil {
		return notFound()
	}
	start, err := g.MergeBase(ctx, from, to)
	if err != nil {
		return refusal(http.StatusNotFound, fmt.Sprintf("No common ancestor between %s and %s.", base, head))
	}
	d, err := g.Diff(ctx, start, to)
	if err != nil {
		return refusal(http.StatusInternalServerError, err.Error())
	}
	if media(c, "diff") {
		return diffAnswer(d)
	}
	o, err := s.comparison(ctx, c, [3]string{from, start, to}, d)
	if err != nil {
		return refusal(http.StatusInternalServerError, err.Error())
	}
	return ok(o)
}

// revision resolves what a caller names: a commit ID, a branch, or owner:branch of a fork.
func (s *Server) revision(ctx context.Context, r *repository, name string) (string, error) {
	owner, branch, foreign := strings.Cut(name, ":")
	if !foreign {
		return r.git.Resolve(ctx, name)
	}
	s.mu.Lock()
	var other *repository
	for _, candidate := range s.repos {
		if strings.EqualFold(candidate.owner.login, owner) && (candidate == r || candidate.parent == r || r.parent == candidate) {
			other = candidate
		}
	}
	s.mu.Unlock()
	if other == nil {
		return "", git.ErrNotFound
	}
	id, err := other.git.Resolve(ctx, "refs/heads/"+branch)
	if err == nil && other != r {
		err = r.git.Fetch(ctx, other.git, "refs/heads/"+branch)
	}
	return id, err
}

func (s *Server) comparison(ctx context.Context, c *call, ends [3]string, d *git.Diff) (object, error) {
	g := c.repo.git
	ahead, err1 := g.Count(ctx, ends[0], ends[2])
	behind, err2 := g.Count(ctx, ends[2], ends[0])
	list, err3 := g.List(ctx, ends[0], ends[2], maxListedCommit)
	baseInfo, err4 := g.Info(ctx, ends[0])
	startInfo, err5 := g.Info(ctx, ends[1])
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return nil, err
	}
	status := "identical"
	switch {
	case ahead > 0 && behind > 0:
		status = "diverged"
	case ahead > 0:
		status = "ahead"
	case behind > 0:
		status = "behind"
	}
	part, _ := paginate(c, len(list))
	commits := []any{}
	for _, i := range list[part.from:part.to] {
		commits = append(commits, s.commitObject(c.repo, i))
	}
	page := fmt.Sprintf("%s/%s/compare/%s", s.URL, c.repo.fullName(), c.PathValue("range"))
	o := object{
		"url": s.repoAPI(c.repo) + "/compare/" + c.PathValue("range"), "html_url": page, "permalink_url": page, "diff_url": page + ".diff", "patch_url": page + ".patch",
		"base_commit": s.commitObject(c.repo, baseInfo), "merge_base_commit": s.commitObject(c.repo, startInfo), "status": status,
		"ahead_by": ahead, "behind_by": behind, "total_commits": ahead, "commits": commits,
	}
	if part.from == 0 { // only the first page has the files
		files := []any{}
		for _, f := range d.Files[:min(len(d.Files), maxDiffFiles)] {
			files = append(files, s.fileObject(c.repo, f, ends[2]))
		}
		o["files"] = files
	}
	return o, nil
}

func (s *Server) commitObject(r *repository, i git.Info) object {
	api, page := s.repoAPI(r), s.URL+"/"+r.fullName()+"/commit/"
	parents := []any{}
	for _, p := range i.Parents {
		parents = append(parents, object{"sha": p, "url": api + "/commits/" + p, "html_url": page + p})
	}
	return object{
		"sha": i.ID, "node_id": node("Commit", 1) + i.ID, "url": api + "/commits/" + i.ID, "html_url": page + i.ID, "comments_url": api + "/commits/" + i.ID + "/comments",
		"author": s.knownUser(i.Author), "committer": s.knownUser(i.Committer), "parents": parents,
		"commit": object{
			"author":    object{"name": i.Author, "email": i.Email, "date": date(i.AuthorDate)},
			"committer": object{"name": i.Committer, "email": i.CommEmail, "date": date(i.Date)},
			"message":   i.Message, "tree": object{"sha": i.Tree, "url": api + "/git/trees/" + i.Tree}, "url": api + "/git/commits/" + i.ID, "comment_count": 0,
			"verification": object{"verified": false, "reason": "unsigned", "signature": nil, "payload": nil, "verified_at": nil},
		},
	}
}

func (s *Server) knownUser(login string) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.userObject(s.accounts[strings.ToLower(login)])
}

func (s *Server) getCommit(c *call) answer {
	id, err := s.revision(c.Context(), c.repo, c.PathValue("ref"))
	if rest, found := strings.CutSuffix(c.PathValue("ref"), "/check-runs"); found && err != nil {
		return s.listChecks(c, rest)
	}
	if err != nil {
		return refusal(http.StatusUnprocessableEntity, "No commit found for SHA: "+c.PathValue("ref"))
	}
	if media(c, "sha") {
		return answer{status: http.StatusOK, header: map[string]string{"Content-Type": "application/vnd.github.v3.sha; charset=utf-8"}, bytes: []byte(id)}
	}
	i, err := c.repo.git.Info(c.Context(), id)
	if err != nil {
		return refusal(http.StatusInternalServerError, err.Error())
	}
	from := "4b825dc642cb6eb9a060e54bf8d69288fbee4904" // the empty tree
	if len(i.Parents) > 0 {
		from = i.Parents[0]
	}
	d, err := c.repo.git.Diff(c.Context(), from, id)
	if err != nil {
		return refusal(http.StatusInternalServerError, err.Error())
	}
	if media(c, "diff") {
		return diffAnswer(d)
	}
	o := s.commitObject(c.repo, i)
	files, added, deleted := []any{}, 0, 0
	for _, f := range d.Files[:min(len(d.Files), maxDiffFiles)] {
		files, added, deleted = append(files, s.fileObject(c.repo, f, id)), added+f.Added, deleted+f.Deleted
	}
	o["files"], o["stats"] = files, object{"total": added + deleted, "additions": added, "deletions": deleted}
	return ok(o)
}

func (s *Server) getBlob(c *call) answer {
	id := c.PathValue("sha")
	if !git.IsID(id) {
		return refusal(http.StatusUnprocessableEntity, "The sha parameter must be exactly 40 characters and contain only [0-9a-f].")
	}
	data, err := c.repo.git.Blob(c.Context(), id)
	if err != nil {
		return notFound()
	}
	if media(c, "raw") {
		return answer{status: http.StatusOK, header: map[string]string{"Content-Type": "application/vnd.github.raw; charset=utf-8"}, bytes: data}
	}
	if len(data) > 100<<20 {
		return refusal(http.StatusForbidden, "This API returns blobs up to 100 MB in size.", object{"resource": "Blob", "field": "data", "code": "too_large"})
	}
	return ok(object{
		"sha": id, "node_id": node("Blob", 1) + id, "size": len(data), "url": s.repoAPI(c.repo) + "/git/blobs/" + id,
		"content": wrap(data), "encoding": "base64",
	})
}

// wrap writes base64 in lines of 60 characters, as the API does.
func wrap(data []byte) string {
	var b strings.Builder
	for chunk := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(data)), 60) {
		b.Write(chunk)
		b.WriteByte('\n')
	}
	return b.String()
}

func (s *Server) getTree(c *call) answer {
	id := c.PathValue("sha")
	if !git.IsID(id) {
		resolved, err := c.repo.git.Resolve(c.Context(), id)
		if err != nil {
			return notFound()
		}
		id = resolved
	}
	recursive := c.URL.Query().Get("recursive")
	entries, err := c.repo.git.Tree(c.Context(), id, recursive != "")
	if err != nil {
		return notFound()
	}
	const most = 100_000
	api := s.repoAPI(c.repo)
	tree := []any{}
	for _, e := range entries[:min(len(entries), most)] {
		o := object{"path": e.Path, "mode": e.Mode, "type": e.Type, "sha": e.ID}
		switch e.Type {
		case "blob":
			o["size"], o["url"] = e.Size, api+"/git/blobs/"+e.ID
		case "tree":
			o["url"] = api + "/git/trees/" + e.ID
		}
		tree = append(tree, o)
	}
	return ok(object{"sha": id, "url": api + "/git/trees/" + id, "tree": tree, "truncated": len(entries) > most})
}

func (s *Server) getContents(c *call) answer {
	ref := cmp.Or(c.URL.Query().Get("ref"), c.repo.defaultBranch)
	path := strings.Trim(c.PathValue("path"), "/")
	commit, err := s.revision(c.Context(), c.repo, strings.TrimPrefix(ref, "refs/heads/"))
	if err != nil {
		return refusal(http.StatusNotFound, "No commit found for the ref "+ref)
	}
	if path == "" {
		return s.directory(c, commit, "")
	}
	e, err := c.repo.git.Entry(c.Context(), commit, path)
	switch {
	case err != nil:
		return notFound()
	case e.Type == "tree":
		return s.directory(c, commit, path)
	case e.Type == "commit":
		o := s.contentObject(c.repo, e, commit)
		o["type"], o["submodule_git_url"] = "submodule", nil
		return ok(o)
	}
	data, err := c.repo.git.Blob(c.Context(), e.ID)
	if err != nil {
		return refusal(http.StatusInternalServerError, err.Error())
	}
	if media(c, "raw") {
		return answer{status: http.StatusOK, header: map[string]string{"Content-Type": "application/vnd.github.raw; charset=utf-8"}, bytes: data}
	}
	o := s.contentObject(c.repo, e, commit)
	o["content"], o["encoding"] = wrap(data), "base64"
	if len(data) > 1<<20 { // larger files come raw only
		o["content"], o["encoding"] = "", "none"
	}
	if e.Mode == "120000" {
		o["type"], o["target"] = "symlink", string(data)
	}
	return ok(o)
}

func (s *Server) directory(c *call, commit, path string) answer {
	entries, err := c.repo.git.Tree(c.Context(), commit+":"+path, false)
	if err != nil {
		return notFound()
	}
	list := []any{}
	for _, e := range entries[:min(len(entries), 1000)] {
		e.Path = strings.TrimPrefix(path+"/"+e.Path, "/")
		list = append(list, s.contentObject(c.repo, e, commit))
	}
	return ok(list)
}

func (s *Server) contentObject(r *repository, e git.Entry, commit string) object {
	escaped := (&url.URL{Path: e.Path}).EscapedPath()
	api, page := s.repoAPI(r), s.URL+"/"+r.fullName()
	self, blob := api+"/contents/"+escaped+"?ref="+commit, api+"/git/blobs/"+e.ID
	html := page + "/blob/" + commit + "/" + escaped
	kind := "file"
	var download any = page + "/raw/" + commit + "/" + escaped
	if e.Type == "tree" {
		kind, blob, html, download = "dir", api+"/git/trees/"+e.ID, page+"/tree/"+commit+"/"+escaped, nil
	}
	return object{
		"name": e.Path[strings.LastIndexByte(e.Path, '/')+1:], "path": e.Path, "sha": e.ID, "size": max(e.Size, 0), "url": self, "html_url": html, "git_url": blob,
		"download_url": download, "type": kind, "_links": object{"self": self, "git": blob, "html": html},
	}
}

func (s *Server) listBranches(c *call) answer {
	branches, err := c.repo.git.Branches(c.Context())
	if err != nil {
		return refusal(http.StatusInternalServerError, err.Error())
	}
	var names []string
	for name := range branches {
		names = append(names, name)
	}
	slices.Sort(names)
	return page(c, names, func(name string) any {
		return object{"name": name, "commit": object{"sha": branches[name], "url": s.repoAPI(c.repo) + "/commits/" + branches[name]}, "protected": false}
	})
}

func (s *Server) getBranch(c *call) answer {
	name := c.PathValue("branch")
	id, err := c.repo.git.Resolve(c.Context(), "refs/heads/"+name)
	if err != nil {
		return refusal(http.StatusNotFound, "Branch not found")
	}
	i, err := c.repo.git.Info(c.Context(), id)
	if err != nil {
		return refusal(http.StatusInternalServerError, err.Error())
	}
	self := s.repoAPI(c.repo) + "/branches/" + url.PathEscape(name)
	return ok(object{
		"name": name, "commit": s.commitObject(c.repo, i), "_links": object{"self": self, "html": s.URL + "/" + c.repo.fullName() + "/tree/" + name},
		"protected": false, "protection": object{"enabled": false, "required_status_checks": object{"enforcement_level": "off", "contexts": []any{}, "checks": []any{}}}, "protection_url": self + "/protection",
	})
}

// getRef answers for one ref, named without "refs/" in front.
func (s *Server) getRef(c *call) answer {
	name := "refs/" + c.PathValue("ref")
	id, err := c.repo.git.Resolve(c.Context(), name)
	if err != nil || c.PathValue("ref") == "" {
		return notFound()
	}
	api := s.repoAPI(c.repo) + "/git/"
	return ok(object{
		"ref": name, "node_id": node("Ref", c.repo.id) + base64.RawURLEncoding.EncodeToString([]byte(name)), "url": api + name,
		"object": object{"type": "commit", "sha": id, "url": api + "commits/" + id},
	})
}

func (s *Server) getPermission(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	user := s.accounts[strings.ToLower(c.PathValue("user"))]
	if user == nil {
		return notFound()
	}
	role := c.repo.roles[strings.ToLower(user.login)]
	level := map[string]string{"admin": "admin", "maintain": "write", "write": "write", "triage": "read", "read": "read"}[role]
	if role == "" {
		role, level = "none", "none"
		if !c.repo.private {
			role, level = "read", "read"
		}
	}
	o, _ := s.userObject(user).(object)
	o["permissions"] = object{"admin": role == "admin", "maintain": role == "admin" || role == "maintain", "push": level == "write" || level == "admin", "triage": role != "read" && role != "none", "pull": level != "none"}
	o["role_name"] = role
	return ok(object{"permission": level, "role_name": role, "user": o})
}
