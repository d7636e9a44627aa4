package githubtest_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/services/review/github/githubtest"
)

// The places of comments by what GitHub does with them.
func TestPositions(t *testing.T) {
	t.Parallel()
	s, p := numbered(t)
	c := as(t, s, s.InstallationToken(nil))
	for name, tt := range map[string]struct {
		comment m
		refused string // the words in the refusal; empty: accepted
	}{
		"added line":                    {m{"line": 10, "side": "RIGHT"}, ""},
		"side is right by default":      {m{"line": 10}, ""},
		"context line on the right":     {m{"line": 7, "side": "RIGHT"}, ""},
		"context line on the left":      {m{"line": 7, "side": "LEFT"}, ""},
		"deleted line":                  {m{"line": 40, "side": "LEFT"}, ""},
		"last context of the old side":  {m{"line": 43, "side": "LEFT"}, ""},
		"the same number is not there":  {m{"line": 43, "side": "RIGHT"}, "line must be part of the diff"},
		"before the hunk":               {m{"line": 6, "side": "RIGHT"}, "line must be part of the diff"},
		"between hunks":                 {m{"line": 25, "side": "RIGHT"}, "line must be part of the diff"},
		"line 0":                        {m{"line": 0, "side": "RIGHT"}, "line must be part of the diff"},
		"behind the file":               {m{"line": 61, "side": "RIGHT"}, "line must be part of the diff"},
		"no line":                       {m{"side": "RIGHT"}, "line can't be blank"},
		"unknown side":                  {m{"line": 10, "side": "BOTH"}, "side is not included in the list"},
		"range":                         {m{"start_line": 8, "start_side": "RIGHT", "line": 10, "side": "RIGHT"}, ""},
		"range on the left":             {m{"start_line": 37, "start_side": "LEFT", "line": 40, "side": "LEFT"}, ""},
		"start side follows the side":   {m{"start_line": 8, "line": 10}, ""},
		"start is the line":             {m{"start_line": 10, "start_side": "RIGHT", "line": 10, "side": "RIGHT"}, "start line must precede the end line."},
		"start behind the line":         {m{"start_line": 11, "start_side": "RIGHT", "line": 10, "side": "RIGHT"}, "start line must precede the end line."},
		"start in another hunk":         {m{"start_line": 10, "start_side": "RIGHT", "line": 40, "side": "RIGHT"}, "same hunk"},
		"start outside the hunks":       {m{"start_line": 5, "start_side": "RIGHT", "line": 10, "side": "RIGHT"}, "same hunk"},
		"other side":                    {m{"start_line": 8, "start_side": "LEFT", "line": 10, "side": "RIGHT"}, "start side must be the same"},
		"start side without start line": {m{"start_side": "RIGHT", "line": 10, "side": "RIGHT"}, "start line can't be blank"},
		"position and line":             {m{"position": 1, "line": 10}, "cannot both be given"},
		"position":                      {m{"position": 5}, ""},
		"position behind the diff":      {m{"position": 900}, "position is invalid"},
		"file that is not in the diff":  {m{"path": "untouched.txt", "line": 1}, "path could not be resolved"},
		"new file":                      {m{"path": "new.txt", "line": 2}, ""},
		"new file has no old side":      {m{"path": "new.txt", "line": 1, "side": "LEFT"}, "line must be part of the diff"},
		"deleted file":                  {m{"path": "old.txt", "line": 2, "side": "LEFT"}, ""},
		"deleted file has no new side":  {m{"path": "old.txt", "line": 1, "side": "RIGHT"}, "line must be part of the diff"},
		"unknown key":                   {m{"line": 10, "colour": "red"}, "not a permitted key"},
		"line of another type":          {m{"line": "10"}, "not of type"},
		"empty body":                    {m{"line": 10, "body": " \n"}, "body can't be blank"},
		"body at the limit":             {m{"line": 10, "body": strings.Repeat("é", 65_536)}, ""},
		"body over the limit":           {m{"line": 10, "body": strings.Repeat("é", 65_537)}, "too long"},
	} {
		comment := m{"path": "f.txt", "body": "text"}
		maps.Copy(comment, tt.comment)
		before := len(s.Posted())
		status, alone := 200, 201
		if tt.refused != "" {
			status, alone = 422, 422
		}
		r := c.do("POST", pulls+"/reviews", m{"event": "COMMENT", "commit_id": p.Head(), "body": "review", "comments": []m{comment}})
		require.Equal(t, status, r.status, "%s: %s", name, r.body)
		require.Contains(t, string(r.body), tt.refused, name)
		comment["commit_id"] = p.Head()
		r = c.do("POST", pulls+"/comments", comment)
		require.Equal(t, alone, r.status, "%s, as a single comment: %s", name, r.body)
		if tt.refused != "" {
			require.Len(t, s.Posted(), before, "%s: a refused comment was kept", name)
			continue
		}
		require.Len(t, s.Posted(), before+3, name)
	}
	require.NoError(t, s.CheckPositions(t.Context()))
	require.NotEmpty(t, s.Rejected())
}

func TestFileComments(t *testing.T) {
	t.Parallel()
	s, p := numbered(t)
	c := as(t, s, s.InstallationToken(nil))
	comment := func(status int, more m) reply {
		in := m{"commit_id": p.Head(), "path": "f.txt", "body": "whole file", "subject_type": "file"}
		maps.Copy(in, more)
		return c.want(status, "POST", pulls+"/comments", in)
	}
	require.Equal(t, "file", comment(201, nil).object(t)["subject_type"])
	comment(422, m{"line": 10})
	comment(422, m{"path": "untouched.txt"})
	comment(422, m{"subject_type": "folder"})
	comment(422, m{"commit_id": strings.Repeat("1", 40)})
	// A review takes lines only.
	c.want(422, "POST", pulls+"/reviews", m{"event": "COMMENT", "comments": []m{{"path": "f.txt", "body": "b", "subject_type": "file"}}})
	posted := s.Posted()
	require.Len(t, posted, 1)
	require.Equal(t, githubtest.KindFileComment, posted[0].Kind)
}

func TestReviewsThatAreRefused(t *testing.T) {
	t.Parallel()
	s, p := numbered(t)
	c := as(t, s, s.InstallationToken(nil))
	many := func(n int) []m {
		var list []m
		for range n {
			list = append(list, m{"path": "f.txt", "line": 10, "body": "text"})
		}
		return list
	}
	c.want(422, "POST", pulls+"/reviews", m{"event": "COMMENT", "comments": many(51)})
	c.want(422, "POST", pulls+"/reviews", m{"event": "COMMENT"})
	c.want(422, "POST", pulls+"/reviews", m{"event": "SHOUT", "body": "b"})
	c.want(422, "POST", pulls+"/reviews", m{"event": "COMMENT", "body": strings.Repeat("b", 65_537)})
	c.want(422, "POST", pulls+"/reviews", m{"event": "COMMENT", "body": "b", "commit_id": strings.Repeat("0", 40)})
	base, err := p.MergeBase(t.Context())
	require.NoError(t, err)
	c.want(422, "POST", pulls+"/reviews", m{"event": "COMMENT", "body": "b", "commit_id": base})
	c.want(404, "POST", "/repos/acme/tools/pulls/8/reviews", m{"event": "COMMENT", "body": "b"})
	require.Empty(t, s.Posted())
	c.want(200, "POST", pulls+"/reviews", m{"event": "COMMENT", "comments": many(50)})
	require.Len(t, s.Posted(), 51)

	author := as(t, s, s.UserToken("dev", githubtest.DefaultPermissions()))
	p.Repository().SetRole("dev", "write")
	refused := author.want(422, "POST", pulls+"/reviews", m{"event": "APPROVE"})
	require.Contains(t, string(refused.body), "Can not approve your own pull request")
}

func TestPendingReviewsAreSeenByTheirAuthorOnly(t *testing.T) {
	t.Parallel()
	s, p := numbered(t)
	p.Repository().SetRole("reader", "read")
	c, other := as(t, s, s.InstallationToken(nil)), as(t, s, s.UserToken("reader", githubtest.DefaultPermissions()))
	pending := c.want(200, "POST", pulls+"/reviews", m{"comments": []m{{"path": "f.txt", "line": 10, "body": "text"}}}).object(t)
	require.Equal(t, "PENDING", pending["state"])
	require.NotContains(t, pending, "submitted_at")
	for _, event := range []string{"", "COMMENT"} {
		refused := c.want(422, "POST", pulls+"/reviews", m{"body": "a second one", "event": event})
		require.Contains(t, string(refused.body), "one pending review per pull request")
	}
	root := other.want(201, "POST", pulls+"/comments", m{"commit_id": p.Head(), "path": "f.txt", "line": 11, "body": "text"}).object(t)
	c.want(422, "POST", pulls+"/comments", m{"commit_id": p.Head(), "path": "f.txt", "line": 11, "body": "text"})
	c.want(422, "POST", pulls+"/comments/"+ref(root)+"/replies", m{"body": "an answer"})
	c.want(201, "POST", "/repos/acme/tools/issues/7/comments", m{"body": "the conversation is open"})
	other.want(204, "DELETE", "/repos/acme/tools/pulls/comments/"+ref(root), nil)
	require.NotContains(t, string(other.want(200, "GET", pulls+"/reviews", nil).body), "PENDING")
	require.Empty(t, other.want(200, "GET", pulls+"/comments", nil).list(t))
	review := pulls + "/reviews/" + ref(pending)
	other.want(404, "GET", review, nil)
	c.want(200, "POST", review+"/events", m{"event": "COMMENT", "body": "done"})
	require.Len(t, other.want(200, "GET", pulls+"/comments", nil).list(t), 1)
	require.Len(t, other.want(200, "GET", review+"/comments", nil).list(t), 1)
	c.want(422, "DELETE", review, nil)
}

func TestAPushMovesCommentsOrMakesThemOutdated(t *testing.T) {
	t.Parallel()
	s, p := numbered(t)
	c := as(t, s, s.InstallationToken(nil))
	old := p.Head()
	for _, line := range []m{{"line": 10}, {"line": 42}, {"line": 40, "side": "LEFT"}} {
		line["path"], line["body"], line["commit_id"] = "f.txt", "text", old
		c.want(201, "POST", pulls+"/comments", line)
	}
	head, err := p.Push(t.Context(), githubtest.Commit{Message: "More", Files: map[string]string{
		"f.txt": "first\n" + strings.Replace(lines(1, 39)+lines(41, 60), "line 10\n", "line X\n", 1),
	}})
	require.NoError(t, err)
	list := c.want(200, "GET", pulls+"/comments", nil).list(t)
	require.Nil(t, list[0]["line"], "the line was rewritten")
	require.Nil(t, list[0]["position"])
	require.Equal(t, old, list[0]["commit_id"])
	require.EqualValues(t, 10, list[0]["original_line"])
	require.EqualValues(t, 43, list[1]["line"], "a line was put before it")
	require.Equal(t, head, list[1]["commit_id"])
	require.Equal(t, old, list[1]["original_commit_id"])
	require.EqualValues(t, 40, list[2]["line"], "the old side is as it was")

	// The commit from before is still one of the pull request, and its positions still stand.
	c.want(200, "POST", pulls+"/reviews", m{"event": "COMMENT", "commit_id": old, "comments": []m{{"path": "f.txt", "line": 7, "body": "late"}}})
	require.NoError(t, s.CheckPositions(t.Context()))
}

func TestAForcePushMakesTheOldHeadUnreachable(t *testing.T) {
	t.Parallel()
	s, p := numbered(t)
	c := as(t, s, s.InstallationToken(nil))
	old := p.Head()
	base, err := p.MergeBase(t.Context())
	require.NoError(t, err)
	again, err := p.Repository().Commit(t.Context(), githubtest.Commit{Parent: base, Message: "Another", Files: map[string]string{"new.txt": "one\n"}})
	require.NoError(t, err)
	require.NoError(t, p.SetHead(t.Context(), again))
	for _, prune := range []bool{false, true} {
		if prune {
			require.NoError(t, p.Prune(t.Context()))
			c.want(422, "GET", "/repos/acme/tools/commits/"+old, nil)
		} else {
			c.want(200, "GET", "/repos/acme/tools/commits/"+old, nil)
		}
		c.want(422, "POST", pulls+"/reviews", m{"event": "COMMENT", "commit_id": old, "comments": []m{{"path": "f.txt", "line": 10, "body": "b"}}})
		c.want(422, "POST", pulls+"/comments", m{"commit_id": old, "path": "f.txt", "line": 10, "body": "b"})
	}
	c.want(201, "POST", pulls+"/comments", m{"commit_id": again, "path": "new.txt", "subject_type": "file", "body": "b"})
	require.NoError(t, p.LoseHead(t.Context()))
	c.want(422, "POST", pulls+"/comments", m{"commit_id": again, "path": "new.txt", "subject_type": "file", "body": "b"})
}

func TestARebaseKeepsTheChangeOnTheNewBase(t *testing.T) {
	t.Parallel()
	s, p := numbered(t)
	before, err := p.Diff(t.Context())
	require.NoError(t, err)
	tip, err := p.Repository().Push(t.Context(), githubtest.Commit{Branch: "main", Message: "Elsewhere", Files: map[string]string{"untouched.txt": "y\n"}})
	require.NoError(t, err)
	_, err = p.Rebase(t.Context(), "Change, again")
	require.NoError(t, err)
	base, err := p.MergeBase(t.Context())
	require.NoError(t, err)
	require.Equal(t, tip, base)
	after, err := p.Diff(t.Context())
	require.NoError(t, err)
	require.Equal(t, string(before), string(after))
	_ = s
}

func TestThreadsAreAnsweredAndWrittenByTheirAuthorsOnly(t *testing.T) {
	t.Parallel()
	s, p := numbered(t)
	p.Repository().SetRole("reader", "read")
	c, reader := as(t, s, s.InstallationToken(nil)), as(t, s, s.UserToken("reader", githubtest.DefaultPermissions()))
	root := c.want(201, "POST", pulls+"/comments", m{"commit_id": p.Head(), "path": "f.txt", "line": 10, "body": "text"}).object(t)
	id := ref(root)
	answer := reader.want(201, "POST", pulls+"/comments/"+id+"/replies", m{"body": "why?"}).object(t)
	require.Equal(t, root["id"], answer["in_reply_to_id"])
	c.want(201, "POST", pulls+"/comments", m{"in_reply_to": root["id"], "body": "because"})
	c.want(404, "POST", pulls+"/comments/1/replies", m{"body": "lost"})

	reader.want(403, "PATCH", "/repos/acme/tools/pulls/comments/"+id, m{"body": "hijacked"})
	reader.want(403, "DELETE", "/repos/acme/tools/pulls/comments/"+id, nil)
	c.want(200, "PATCH", "/repos/acme/tools/pulls/comments/"+id, m{"body": "edited"})
	c.want(204, "DELETE", "/repos/acme/tools/pulls/comments/"+id, nil)
	c.want(404, "GET", "/repos/acme/tools/pulls/comments/"+id, nil)
	require.Len(t, c.want(200, "GET", pulls+"/comments", nil).list(t), 2)
	require.Equal(t, 1, s.PostedBy("witan-review[bot]")[0].Edits)
	require.True(t, s.PostedBy("witan-review[bot]")[0].Deleted)
}

func TestConversationAndReactions(t *testing.T) {
	t.Parallel()
	s, p := numbered(t)
	c := as(t, s, s.InstallationToken(nil))
	mine := c.want(201, "POST", "/repos/acme/tools/issues/7/comments", m{"body": "walkthrough"}).object(t)
	require.Equal(t, "witan-review[bot]", dig(mine, "user", "login"))
	require.Equal(t, "witan-review", dig(mine, "performed_via_github_app", "slug"))
	theirs, err := p.Comment(t.Context(), "dev", "/witan review")
	require.NoError(t, err)
	c.want(422, "POST", "/repos/acme/tools/issues/7/comments", m{"body": ""})
	c.want(422, "POST", "/repos/acme/tools/issues/7/comments", m{"body": strings.Repeat("x", 65_537)})
	c.want(403, "PATCH", "/repos/acme/tools/issues/comments/"+number(int(theirs)), m{"body": "not mine"})
	c.want(200, "PATCH", "/repos/acme/tools/issues/comments/"+ref(mine), m{"body": "edited"})
	reactions := "/repos/acme/tools/issues/comments/" + number(int(theirs)) + "/reactions"
	c.want(201, "POST", reactions, m{"content": "eyes"})
	c.want(200, "POST", reactions, m{"content": "eyes"})
	c.want(422, "POST", reactions, m{"content": "owl"})
	require.Len(t, c.want(200, "GET", reactions, nil).list(t), 1)
	require.NoError(t, p.Lock(t.Context(), "acme"))
	c.want(403, "POST", "/repos/acme/tools/issues/7/comments", m{"body": "late"})
}

func TestCheckRuns(t *testing.T) {
	t.Parallel()
	s, p := numbered(t)
	c := as(t, s, s.InstallationToken(nil))
	const checks = "/repos/acme/tools/check-runs"
	notes := func(n int) []m {
		var list []m
		for range n {
			list = append(list, m{"path": "f.txt", "start_line": 1, "end_line": 1, "annotation_level": "warning", "message": "text"})
		}
		return list
	}
	run := c.want(201, "POST", checks, m{"name": "witan", "head_sha": p.Head(), "status": "in_progress", "details_url": "https://witan.example/j/1"}).object(t)
	path := checks + "/" + ref(run)
	for name, in := range map[string]m{
		"51 annotations":          {"output": m{"title": "t", "summary": "s", "annotations": notes(51)}},
		"no summary":              {"output": m{"title": "t"}},
		"summary too long":        {"output": m{"title": "t", "summary": strings.Repeat("s", 65_536)}},
		"no conclusion":           {"status": "completed"},
		"unknown conclusion":      {"conclusion": "green"},
		"annotation of no level":  {"output": m{"title": "t", "summary": "s", "annotations": []m{{"path": "f", "start_line": 1, "end_line": 1, "message": "m"}}}},
		"annotation ends earlier": {"output": m{"title": "t", "summary": "s", "annotations": []m{{"path": "f", "start_line": 2, "end_line": 1, "message": "m", "annotation_level": "notice"}}}},
		"columns on many lines":   {"output": m{"title": "t", "summary": "s", "annotations": []m{{"path": "f", "start_line": 1, "end_line": 2, "start_column": 1, "message": "m", "annotation_level": "notice"}}}},
		"another head":            {"head_sha": p.Head()},
	} {
		require.Equal(t, 422, c.do("PATCH", path, in).status, name)
	}
	c.want(200, "PATCH", path, m{"output": m{"title": "t", "summary": "s", "annotations": notes(50)}})
	c.want(200, "PATCH", path, m{"conclusion": "neutral", "output": m{"title": "t", "summary": "incomplete", "annotations": notes(20)}})
	got := c.want(200, "GET", path, nil).object(t)
	require.Equal(t, "completed", got["status"])
	require.EqualValues(t, 70, dig(got, "output", "annotations_count"))
	require.Len(t, c.want(200, "GET", path+"/annotations?per_page=100", nil).list(t), 70)
	c.want(422, "POST", checks, m{"name": "witan", "head_sha": strings.Repeat("1", 40)})
	c.want(422, "POST", checks, m{"name": "witan"})
	listed := c.want(200, "GET", "/repos/acme/tools/commits/"+p.Head()+"/check-runs?check_name=witan", nil).object(t)
	require.EqualValues(t, 1, listed["total_count"])
	user := as(t, s, s.UserToken("acme", map[string]string{"checks": "write"}))
	user.want(403, "PATCH", path, m{"conclusion": "success"})
	posted := s.Posted()
	require.Equal(t, "neutral", posted[len(posted)-1].Conclusion)
}

func TestRefs(t *testing.T) {
	t.Parallel()
	s, p := numbered(t)
	c := as(t, s, s.InstallationToken(nil))
	require.Equal(t, p.Head(), dig(c.want(200, "GET", "/repos/acme/tools/git/ref/heads/change", nil).object(t), "object", "sha"))
	require.Equal(t, p.Head(), dig(c.want(200, "GET", "/repos/acme/tools/git/ref/pull/7/head", nil).object(t), "object", "sha"))
	c.want(404, "GET", "/repos/acme/tools/git/ref/heads/none", nil)
	c.want(404, "GET", "/repos/acme/tools/git/ref/"+p.Head(), nil)
}

func TestDiffsAreRefusedAboveGitHubsLimits(t *testing.T) {
	t.Parallel()
	s := githubtest.New(t, githubtest.Options{})
	r, err := s.AddRepository(t.Context(), githubtest.RepositorySpec{Owner: "acme", Name: "tools", Files: map[string]string{"a": "a\n"}})
	require.NoError(t, err)
	c := as(t, s, s.InstallationToken(nil))
	many := map[string]string{}
	for n := range 301 {
		many["d/"+number(n)] = "x\n"
	}
	for n, tt := range map[int]struct {
		files map[string]string
		words string
	}{
		1: {map[string]string{"long": lines(1, 20_001)}, "lines (20000)"},
		2: {many, "files (300)"},
	} {
		branch := "b" + number(n)
		_, err := r.Commit(t.Context(), githubtest.Commit{Branch: branch, Message: "Much", Files: tt.files})
		require.NoError(t, err)
		_, err = r.OpenPullRequest(t.Context(), githubtest.PullRequestSpec{Number: n, Title: "Much", Head: branch})
		require.NoError(t, err)
		for _, path := range []string{"/repos/acme/tools/pulls/" + number(n), "/repos/acme/tools/compare/main..." + branch} {
			c.accept = "application/vnd.github.v3.diff"
			require.Contains(t, string(c.want(406, "GET", path, nil).body), tt.words)
		}
		compared := c.want(200, "GET", "/repos/acme/tools/compare/main..."+branch, nil).object(t)
		require.Len(t, compared["files"], min(len(tt.files), 300))
	}
	first := c.want(200, "GET", "/repos/acme/tools/pulls/2/files?per_page=100", nil)
	require.Len(t, first.list(t), 100)
	require.Contains(t, first.header.Get("Link"), `page=2&per_page=100>; rel="next"`)
	require.Contains(t, first.header.Get("Link"), `page=4&per_page=100>; rel="last"`)
	last := c.want(200, "GET", "/repos/acme/tools/pulls/2/files?per_page=100&page=4", nil)
	require.Len(t, last.list(t), 1)
	require.NotContains(t, last.header.Get("Link"), `rel="next"`)
}
