package githubtest

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
)

// issueComment is a comment in the conversation of a pull request.
type issueComment struct {
	*post
	pull      *pull
	app       *app
	reactions []*reaction
}

type reaction struct {
	*post
	content string
}

// emotions are what the API takes as a reaction.
func emotions() []string {
	return []string{"+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"}
}

func reactionCounts(url string, list []*reaction) object {
	o := object{"url": url + "/reactions", "total_count": len(list)}
	for _, e := range emotions() {
		o[e] = 0
	}
	for _, r := range list {
		n, _ := o[r.content].(int)
		o[r.content] = n + 1
	}
	return o
}

func (s *Server) talkObject(m *issueComment) object {
	r := m.pull.repo
	api := fmt.Sprintf("%s/issues/comments/%d", s.repoAPI(r), m.id)
	return object{
		"url": api, "html_url": fmt.Sprintf("%s/%s/pull/%d#issuecomment-%d", s.URL, r.fullName(), m.pull.number, m.id),
		"issue_url": fmt.Sprintf("%s/issues/%d", s.repoAPI(r), m.pull.number), "id": m.id, "node_id": node("IssueComment", m.id), "user": s.userObject(m.account),
		"created_at": date(m.Created), "updated_at": date(m.Updated), "author_association": association(r, m.account), "body": m.Body,
		"reactions": reactionCounts(api, m.reactions), "performed_via_github_app": s.appObject(m.app),
	}
}

func (s *Server) listTalk(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, missing := c.pull()
	if missing != nil {
		return *missing
	}
	list := shown(c, p.talk, func(m *issueComment) (*post, bool) { return m.post, true })
	return page(c, list, func(m *issueComment) any { return s.talkObject(m) })
}

func talkInvalid(problem string) answer {
	return refusal(http.StatusUnprocessableEntity, "Validation Failed", object{"resource": "IssueComment", "code": "unprocessable", "field": "data", "message": problem})
}

func (s *Server) createTalk(c *call) answer {
	var in bodyRequest
	if bad := c.decode(&in); bad != nil {
		return *bad
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p, missing := c.pull()
	if missing != nil {
		return *missing
	}
	if b := bodyProblem(in.Body); b != "" {
		return talkInvalid(b)
	}
	if p.locked {
		return refusal(http.StatusForbidden, "Unable to create comment because issue is locked.")
	}
	m := s.addTalk(c, p, in.Body)
	return created(s.talkObject(m))
}

// addTalk adds to the conversation. The caller holds the lock.
func (s *Server) addTalk(c *call, p *pull, body string) *issueComment {
	m := &issueComment{post: s.post(c, p, KindIssueComment, body), pull: p, app: c.who.app}
	p.talk = append(p.talk, m)
	s.announceTalk(m, "created", c.who.account)
	return m
}

// talk returns the comment of the request's path. The caller holds the lock.
func (c *call) talk() (*issueComment, *answer) {
	for _, p := range c.repo.pulls {
		for _, m := range p.talk {
			if m.id == c.id("id") && !m.deleted {
				return m, nil
			}
		}
	}
	a := notFound()
	return nil, &a
}

func (s *Server) getTalk(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, missing := c.talk()
	if missing != nil {
		return *missing
	}
	return ok(s.talkObject(m))
}

func (s *Server) editTalk(c *call) answer {
	var in bodyRequest
	if bad := c.decode(&in); bad != nil {
		return *bad
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m, missing := c.talk()
	if missing != nil {
		return *missing
	}
	if denied := c.owns(m.post); denied != nil {
		return *denied
	}
	if b := bodyProblem(in.Body); b != "" {
		return talkInvalid(b)
	}
	was := m.Body
	s.edit(m.post, in.Body)
	s.announce("issue_comment", "edited", m.pull.repo, c.who.account, object{
		"changes": object{"body": object{"from": was}}, "comment": s.talkObject(m), "issue": s.issueObject(m.pull),
	})
	return ok(s.talkObject(m))
}

func (s *Server) deleteTalk(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, missing := c.talk()
	if missing != nil {
		return *missing
	}
	if denied := c.owns(m.post); denied != nil {
		return *denied
	}
	m.deleted = true
	s.announceTalk(m, "deleted", c.who.account)
	return answer{status: http.StatusNoContent}
}

// reactions returns the reactions to the comment of the request's path, of either kind. The caller holds the lock.
func (c *call) reactions() (*[]*reaction, *pull, *answer) {
	if m, missing := c.talk(); missing == nil {
		return &m.reactions, m.pull, nil
	}
	m, missing := c.comment()
	if missing != nil {
		return nil, nil, missing
	}
	return &m.reactions, m.pull, nil
}

func (s *Server) reactionObject(r *reaction) object {
	return object{"id": r.id, "node_id": node("Reaction", r.id), "user": s.userObject(r.account), "content": r.content, "created_at": date(r.Created)}
}

func (s *Server) listReactions(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	list, _, missing := c.reactions()
	if missing != nil {
		return *missing
	}
	return page(c, *list, func(r *reaction) any { return s.reactionObject(r) })
}

func (s *Server) createReaction(c *call) answer {
	var in struct {
		Content string `json:"content"`
	}
	if bad := c.decode(&in); bad != nil {
		return *bad
	}
	if !slices.Contains(emotions(), in.Content) {
		return refusal(http.StatusUnprocessableEntity, "Validation Failed", object{"resource": "Reaction", "code": "invalid", "field": "content"})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	list, p, missing := c.reactions()
	if missing != nil {
		return *missing
	}
	for _, r := range *list {
		if r.content == in.Content && r.account == c.who.account {
			return ok(s.reactionObject(r)) // a second time it is the same one
		}
	}
	r := &reaction{post: s.post(c, p, KindReaction, in.Content), content: in.Content}
	r.InReplyTo, _ = strconv.ParseInt(c.PathValue("id"), 10, 64)
	*list = append(*list, r)
	return created(s.reactionObject(r))
}
