package githubtest

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

func (s *Server) appObject(a *app) any {
	if a == nil {
		return nil
	}
	return object{
		"id": a.id, "slug": a.slug, "node_id": node("Integration", a.id), "owner": s.userObject(a.owner), "name": a.name, "description": nil,
		"external_url": "https://witan.example", "html_url": s.URL + "/apps/" + a.slug, "created_at": date(a.created), "updated_at": date(a.created),
		"permissions": a.installation.permissions, "events": a.subscribed(),
	}
}

func (s *Server) installationObject(a *app) object {
	i := a.installation
	account := a.owner
	for _, r := range s.repos {
		if i.repos[r.id] {
			account = r.owner
		}
	}
	id := strconv.FormatInt(i.id, 10)
	var suspended, by any
	if i.suspended {
		suspended, by = date(s.now()), s.userObject(account)
	}
	return object{
		"id": i.id, "account": s.userObject(account), "repository_selection": "selected", "access_tokens_url": s.APIURL + "/app/installations/" + id + "/access_tokens",
		"repositories_url": s.APIURL + "/installation/repositories", "html_url": s.URL + "/settings/installations/" + id, "app_id": a.id, "app_slug": a.slug,
		"target_id": account.id, "target_type": account.kind, "permissions": i.permissions, "events": a.subscribed(), "created_at": date(i.created),
		"updated_at": date(i.created), "single_file_name": nil, "suspended_at": suspended, "suspended_by": by,
	}
}

// asApp lets only a JSON web token of the App through.
func (c *call) asApp() *answer {
	if c.who.jwt {
		return nil
	}
	a := refusal(http.StatusUnauthorized, "A JSON web token could not be decoded")
	return &a
}

func (s *Server) getApp(c *call) answer {
	if denied := c.asApp(); denied != nil {
		return *denied
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o, _ := s.appObject(c.who.app).(object)
	o["installations_count"] = 1
	return ok(o)
}

func (s *Server) getHookConfig(c *call) answer {
	if denied := c.asApp(); denied != nil {
		return *denied
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o := object{"content_type": "json", "insecure_ssl": "0"}
	if s.hooks.config.URL != "" {
		o["url"] = s.hooks.config.URL
	}
	if s.hooks.config.Form {
		o["content_type"] = "form"
	}
	if s.hooks.config.Secret != "" {
		o["secret"] = "********"
	}
	return ok(o)
}

func (s *Server) listInstallations(c *call) answer {
	if denied := c.asApp(); denied != nil {
		return *denied
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return page(c, []*app{c.who.app}, func(a *app) any { return s.installationObject(a) })
}

func (s *Server) getInstallation(c *call) answer {
	if denied := c.asApp(); denied != nil {
		return *denied
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.id("id") != c.who.app.installation.id {
		return notFound()
	}
	return ok(s.installationObject(c.who.app))
}

func (s *Server) getRepositoryInstallation(c *call) answer {
	if denied := c.asApp(); denied != nil {
		return *denied
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.names[strings.ToLower(c.PathValue("owner")+"/"+c.PathValue("repo"))]
	if s.repos[id] == nil || !c.who.app.installation.repos[id] {
		return notFound()
	}
	return ok(s.installationObject(c.who.app))
}

type tokenRequest struct {
	Repositories  []string          `json:"repositories"`
	RepositoryIDs []int64           `json:"repository_ids"`
	Permissions   map[string]string `json:"permissions"`
}

// createToken makes an installation token: its permissions are a subset of the installation's, its repositories too.
func (s *Server) createToken(c *call) answer {
	if denied := c.asApp(); denied != nil {
		return *denied
	}
	var in tokenRequest
	if len(c.body) > 0 {
		if bad := c.decode(&in); bad != nil {
			return *bad
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := c.who.app
	switch {
	case c.id("id") != a.installation.id:
		return notFound()
	case a.installation.suspended:
		return refusal(http.StatusForbidden, "This installation has been suspended")
	}
	permissions := maps.Clone(a.installation.permissions)
	if in.Permissions != nil {
		permissions = in.Permissions
		for name, level := range permissions {
			if !granted(a.installation.permissions, need{name, level}) {
				return refusal(http.StatusUnprocessableEntity, "The permissions requested are not granted to this installation.")
			}
		}
		permissions["metadata"] = read
	}
	selected, bad := s.selectRepositories(a, in)
	if bad != nil {
		return *bad
	}
	expires := s.now().Add(s.options.TokenLife)
	secret := s.issue("ghs_", token{who: identity{account: a.bot, app: a, permissions: permissions, repositories: selected}, expires: expires})
	o := object{"token": secret, "expires_at": date(expires), "permissions": permissions, "repository_selection": "selected"}
	if selected != nil {
		list := []any{}
		for _, id := range slices.Sorted(maps.Keys(selected)) {
			list = append(list, s.repositoryObject(s.repos[id]))
		}
		o["repositories"] = list
	}
	return created(o)
}

// selectRepositories is the subset of the installation's repositories that a token is for; nil: all. The caller holds
// the lock.
func (s *Server) selectRepositories(a *app, in tokenRequest) (map[int64]bool, *answer) {
	if len(in.Repositories) == 0 && len(in.RepositoryIDs) == 0 {
		return nil, nil
	}
	selected := map[int64]bool{}
	ids := slices.Clone(in.RepositoryIDs)
	for _, name := range in.Repositories {
		found := int64(0)
		for id, r := range s.repos {
			if strings.EqualFold(r.name(), name) && a.installation.repos[id] {
				found = id
			}
		}
		ids = append(ids, found)
	}
	for _, id := range ids {
		if s.repos[id] == nil || !a.installation.repos[id] {
			bad := refusal(http.StatusUnprocessableEntity, "There is at least one repository that does not exist or is not accessible to the parent installation.")
			return nil, &bad
		}
		selected[id] = true
	}
	return selected, nil
}

func (s *Server) listInstallationRepositories(c *call) answer {
	if c.who.app == nil || c.who.jwt {
		return refusal(http.StatusForbidden, "You must authenticate with an installation access token in order to list repositories for an installation.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*repository
	for id := range c.who.app.installation.repos {
		if c.who.repositories == nil || c.who.repositories[id] {
			list = append(list, s.repos[id])
		}
	}
	slices.SortFunc(list, func(a, b *repository) int { return cmp.Compare(a.id, b.id) })
	a := page(c, list, func(r *repository) any { return s.repositoryObject(r) })
	a.value = object{"total_count": len(list), "repository_selection": "selected", "repositories": a.value}
	return a
}

func (s *Server) getUser(c *call) answer {
	switch {
	case c.who.app != nil && !c.who.jwt:
		return refusal(http.StatusForbidden, "Resource not accessible by integration")
	case c.who.account == nil:
		return refusal(http.StatusUnauthorized, "Requires authentication")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o, _ := s.userObject(c.who.account).(object)
	for _, name := range []string{"name", "company", "location", "email", "hireable", "bio", "twitter_username"} {
		o[name] = nil
	}
	for _, name := range []string{"public_repos", "public_gists", "followers", "following"} {
		o[name] = 0
	}
	o["blog"], o["created_at"], o["updated_at"] = "", date(s.now()), date(s.now())
	return ok(o)
}

func (s *Server) getMeta(*call) answer {
	return ok(object{"verifiable_password_authentication": false, "installed_version": "3.14.0"})
}
