package githubtest

import (
	"cmp"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Levels of a permission.
const (
	read  = "read"
	write = "write"
)

// DefaultPermissions is what the App is granted unless Options say otherwise: what docs/github-app.md tells people to
// grant, and nothing that would hide what is missing there.
func DefaultPermissions() map[string]string {
	return map[string]string{"metadata": read, "contents": read, "pull_requests": write, "issues": read, "checks": write}
}

// ResolvingPermissions are the default ones of an App that may resolve threads as well, for which GitHub wants contents to
// be writable.
func ResolvingPermissions() map[string]string {
	all := DefaultPermissions()
	all["contents"] = write
	return all
}

// DefaultEvents is what the App subscribes to unless Subscribe says otherwise.
func DefaultEvents() []string {
	return []string{
		"check_run", "check_suite", "create", "delete", "issue_comment", "meta", "pull_request", "pull_request_review", "pull_request_review_comment",
		"pull_request_review_thread", "push", "repository",
	}
}

// eventPermissions names what an App must at least be able to read to be told of an event. GitHub does not offer events
// without it; those that stand not here need nothing.
func eventPermissions() map[string]string {
	return map[string]string{
		"check_run": "checks", "check_suite": "checks", "create": "contents", "delete": "contents", "push": "contents", "issue_comment": "issues",
		"pull_request": "pull_requests", "pull_request_review": "pull_requests", "pull_request_review_comment": "pull_requests",
		"pull_request_review_thread": "pull_requests", "repository": "metadata",
	}
}

// subscribed are the events that the App asked for and may know of.
func (a *app) subscribed() []string {
	list := []string{}
	for _, name := range a.events {
		if permission := eventPermissions()[name]; permission == "" || granted(a.installation.permissions, need{permission, read}) {
			list = append(list, name)
		}
	}
	return list
}

// Subscribe sets the events that the App subscribes to; others are not delivered, nor are those for which it lacks the
// permission. Those of the installation and the ping always are.
func (s *Server) Subscribe(events ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.theApp().events = slices.Clone(events)
}

type app struct {
	id           int64
	slug, name   string
	owner        *account
	bot          *account
	key          *rsa.PrivateKey
	created      time.Time
	events       []string
	installation *installation
}

type installation struct {
	id          int64
	permissions map[string]string
	repos       map[int64]bool
	suspended   bool
	created     time.Time
}

// token is what the server knows of a token: never the token itself.
type token struct {
	who     identity
	expires time.Time // zero: never
	revoked bool
}

// identity is who makes a request, and with which rights.
type identity struct {
	account      *account
	app          *app
	jwt          bool
	permissions  map[string]string
	repositories map[int64]bool // nil: all of the installation, or of the user
	meter        string
}

func (i identity) kind() string {
	switch {
	case i.jwt:
		return "app"
	case i.app != nil:
		return "installation"
	case i.account != nil:
		return "user"
	}
	return "none"
}

// App is the App that is registered with the server and installed on its repositories.
type App struct {
	ID             int64
	Slug           string
	InstallationID int64
	// Bot is the login under which it writes.
	Bot string
	// PrivateKey is its key in PEM (PKCS #1), as GitHub hands it out.
	PrivateKey []byte
}

// App returns the App, and makes its key at the first call.
func (s *Server) App() (App, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.theApp()
	if a.key == nil {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return App{}, err
		}
		a.key = key
	}
	return App{
		ID: a.id, Slug: a.slug, InstallationID: a.installation.id, Bot: a.bot.login,
		PrivateKey: pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(a.key)}),
	}, nil
}

// SetAppKey makes the App use a key of the caller's, so that a server that is started again knows it.
func (s *Server) SetAppKey(key *rsa.PrivateKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.theApp().key = key
}

func (s *Server) theApp() *app {
	if s.app == nil {
		s.app = &app{
			id: 4217, slug: "witan-review", name: "Witan Review", owner: s.account("witan-dev"), bot: s.account("witan-review[bot]"), created: s.now(),
			events:       DefaultEvents(),
			installation: &installation{id: 90210, permissions: maps.Clone(s.options.AppPermissions), repos: map[int64]bool{}, created: s.now()},
		}
		s.app.owner.kind = "Organization"
	}
	return s.app
}

func (s *Server) install(r *repository) { s.theApp().installation.repos[r.id] = true }

// Install puts the App on the repository, or takes it off.
func (r *Repository) Install(installed bool) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	if installed {
		r.s.install(r.r)
		return
	}
	delete(r.s.theApp().installation.repos, r.r.id)
}

// Grant changes what the installation is permitted; tokens that are out keep what they were given.
func (s *Server) Grant(permissions map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.theApp().installation.permissions = maps.Clone(permissions)
}

// Suspend suspends the installation, or ends its suspension.
func (s *Server) Suspend(suspended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.theApp().installation.suspended = suspended
}

// UserToken makes a fine-grained token of a user with these permissions (metadata: read is always among them). It does
// not expire.
func (s *Server) UserToken(login string, permissions map[string]string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	granted := map[string]string{"metadata": read}
	maps.Copy(granted, permissions)
	return s.issue("github_pat_", token{who: identity{account: s.account(login), permissions: granted}})
}

// InstallationToken makes an installation token as the API route would, for tests that are not about that route. Nil
// permissions are all of the installation's.
func (s *Server) InstallationToken(permissions map[string]string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.theApp()
	if permissions == nil {
		permissions = a.installation.permissions
	}
	return s.issue("ghs_", token{who: identity{account: a.bot, app: a, permissions: maps.Clone(permissions)}, expires: s.now().Add(s.options.TokenLife)})
}

// RevokeTokens makes every token that is out invalid: the next request of each is answered 401.
func (s *Server) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tokens {
		t.revoked = true
	}
}

func (s *Server) issue(prefix string, t token) string {
	secret := prefix + randomHex(20)
	t.who.meter = fmt.Sprintf("%s%d", prefix, len(s.tokens))
	if t.who.app != nil {
		t.who.meter = fmt.Sprintf("installation-%d", t.who.app.installation.id)
	}
	s.tokens[sha256.Sum256([]byte(secret))] = &t
	return secret
}

func badCredentials() *answer {
	a := refusal(http.StatusUnauthorized, "Bad credentials")
	return &a
}

// authenticate finds out who asks. Wrong credentials are an answer of their own; none are the anonymous caller.
func (s *Server) authenticate(r *http.Request) (identity, *answer) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return identity{meter: "anonymous"}, nil
	}
	scheme, secret, _ := strings.Cut(header, " ")
	switch strings.ToLower(scheme) {
	case "basic":
		_, password, given := r.BasicAuth()
		if !given {
			return identity{}, badCredentials()
		}
		secret = password
	case "bearer", "token":
	default:
		return identity{}, badCredentials()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if strings.Count(secret, ".") == 2 {
		return s.verifyJWT(secret)
	}
	t := s.tokens[sha256.Sum256([]byte(secret))]
	if t == nil || t.revoked || !t.expires.IsZero() && !s.now().Before(t.expires) {
		return identity{}, badCredentials()
	}
	if t.who.app != nil && t.who.app.installation.suspended {
		a := refusal(http.StatusForbidden, "This installation has been suspended")
		return t.who, &a
	}
	return t.who, nil
}

// verifyJWT checks an App's RS256 token: signature, issuer, and a life of at most ten minutes.
func (s *Server) verifyJWT(raw string) (identity, *answer) {
	refuse := func(message string) (identity, *answer) {
		a := refusal(http.StatusUnauthorized, message)
		return identity{}, &a
	}
	parts := strings.Split(raw, ".")
	var head struct {
		Alg string `json:"alg"`
	}
	var claims struct {
		Issuer  any          `json:"iss"`
		Issued  *json.Number `json:"iat"`
		Expires *json.Number `json:"exp"`
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || !decodePart(parts[0], &head) || !decodePart(parts[1], &claims) || head.Alg != "RS256" {
		return refuse("A JSON web token could not be decoded")
	}
	a := s.theApp()
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if a.key == nil || rsa.VerifyPKCS1v15(&a.key.PublicKey, crypto.SHA256, sum[:], signature) != nil {
		return refuse("A JSON web token could not be decoded")
	}
	if fmt.Sprint(claims.Issuer) != strconv.FormatInt(a.id, 10) {
		return refuse("'Issuer' claim ('iss') must be an Integer")
	}
	if claims.Issued == nil || claims.Expires == nil {
		return refuse("Missing 'issued at' claim ('iat') or 'expiration time' claim ('exp')")
	}
	issued, err1 := claims.Issued.Float64()
	expires, err2 := claims.Expires.Float64()
	now := float64(s.now().UnixNano()) / 1e9
	switch {
	case err1 != nil || err2 != nil:
		return refuse("'Issued at' claim ('iat') and 'expiration time' claim ('exp') must be numeric values")
	case issued > now+60:
		return refuse("'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued")
	case expires <= now:
		return refuse("'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires")
	case expires > now+600 || expires-issued > 660:
		return refuse("'Expiration time' claim ('exp') is too far in the future")
	}
	return identity{app: a, jwt: true, meter: "app"}, nil
}

func decodePart(part string, v any) bool {
	raw, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return false
	}
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	return d.Decode(v) == nil
}

// need is what a route asks of its caller.
type need struct {
	permission string // with alternatives, "issues|pull_requests"
	level      string
}

// permit decides whether the caller may do this to the repository; nil is yes. What a caller may not know of is 404.
func (s *Server) permit(who identity, r *repository, n need) *answer {
	hidden := notFound()
	switch {
	case who.jwt:
		a := refusal(http.StatusUnauthorized, "This endpoint does not accept a JSON web token; an installation access token is required")
		return &a
	case who.account == nil:
		if r.private {
			return &hidden
		}
		if n.level == write {
			a := refusal(http.StatusUnauthorized, "Requires authentication")
			return &a
		}
		return nil
	case who.app != nil:
		return permitApp(who, r, n)
	}
	return permitUser(who, r, n)
}

func permitApp(who identity, r *repository, n need) *answer {
	inside := who.app.installation.repos[r.id] && (who.repositories == nil || who.repositories[r.id])
	if !inside && r.private {
		a := notFound()
		return &a
	}
	if !inside && n.level == read || inside && granted(who.permissions, n) {
		return nil
	}
	a := refusal(http.StatusForbidden, "Resource not accessible by integration")
	a.header = map[string]string{"X-Accepted-GitHub-Permissions": strings.ReplaceAll(n.permission, "|", "="+n.level+"; ") + "=" + n.level}
	return &a
}

func permitUser(who identity, r *repository, n need) *answer {
	role := r.roles[strings.ToLower(who.account.login)]
	if role == "" && r.private {
		a := notFound()
		return &a
	}
	if !granted(who.permissions, n) || n.permission == "checks" && n.level == write {
		a := refusal(http.StatusForbidden, "Resource not accessible by personal access token")
		if n.permission == "checks" {
			a = refusal(http.StatusForbidden, "You must authenticate via a GitHub App.")
		}
		return &a
	}
	return nil
}

func granted(permissions map[string]string, n need) bool {
	return slices.ContainsFunc(strings.Split(n.permission, "|"), func(name string) bool {
		have := permissions[name]
		return have == write || have == "admin" || have == n.level && have != ""
	})
}

// find returns the repository of a request under the lock's protection, or the answer to give instead.
func (s *Server) find(c *call, n need) (*repository, *answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := strings.ToLower(c.PathValue("owner") + "/" + c.PathValue("repo"))
	r := s.repos[s.names[asked]]
	if r == nil {
		a := notFound()
		return nil, &a
	}
	if a := s.permit(c.who, r, n); a != nil {
		return nil, a
	}
	if now := strings.ToLower(r.fullName()); now != asked {
		_, tail, _ := strings.Cut(strings.TrimPrefix(c.URL.Path, "/repos/"), "/")
		_, tail, _ = strings.Cut(tail, "/")
		target := strings.TrimSuffix(fmt.Sprintf("%s/repositories/%d/%s", s.APIURL, r.id, tail), "/")
		if c.URL.RawQuery != "" {
			target += "?" + c.URL.RawQuery
		}
		status := http.StatusTemporaryRedirect
		if c.Method == http.MethodGet {
			status = http.StatusMovedPermanently
		}
		return nil, &answer{
			status: status, header: map[string]string{"Location": target},
			value: object{"message": cmp.Or(http.StatusText(status), "Moved"), "url": target, "documentation_url": "https://docs.github.com/rest/guides/best-practices-for-using-the-rest-api#follow-redirects"},
		}
	}
	return r, nil
}

func (s *Server) nameOf(id string) (string, bool) {
	n, err := strconv.ParseInt(id, 10, 64)
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repos[n]
	if err != nil || r == nil {
		return "", false
	}
	return r.fullName(), true
}
