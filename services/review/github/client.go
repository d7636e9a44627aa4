package github

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/google/go-github/v60/github"

	"witan.dev/internal/secret"
	"witan.dev/services/review"
)

// PublicHost is GitHub's own.
const PublicHost = "github.com"

const (
	defaultTimeout   = 30 * time.Second
	defaultWritePace = time.Second
	userAgent        = "witan"
	// maxConnections bounds what is remembered of installations and repositories.
	maxConnections = 1024
)

// Params configure a client: either an App, or a token.
type Params struct {
	// BaseURL is the address of an Enterprise server, such as https://github.example.com, or of a tenant of GitHub Enterprise
	// Cloud with data residency, such as https://acme.ghe.com; empty for the public GitHub. It is https, or http at a loopback address.
	BaseURL string
	// AppID and PrivateKey (PEM) are an App's. Installation is for a server on which the App is installed once; 0: it is
	// looked up for each repository.
	AppID        int64
	PrivateKey   secret.Text
	Installation int64
	// Token reads, and writes where there is no WriteToken.
	Token, WriteToken secret.Text
	// User is the login that the token writes as, for tokens that may not ask for it, such as those of a workflow.
	User string
	// Name is what people call us by in comments. Only a Checkup looks at it.
	Name string
	// Timeout bounds a request with its answer; 30 seconds.
	Timeout time.Duration
	// WritePace is the shortest time between two writes of an installation by this client; a second. Negative: none. Others keep
	// their own: GitHub's limit counts all of them.
	WritePace time.Duration
	// Transport carries the requests; nil: one with the proxy settings of the environment.
	Transport http.RoundTripper
	// Clock tells the time; nil: time.Now.
	Clock func() time.Time
}

// Client reads from GitHub. Safe for concurrent use.
type Client struct {
	p    Params
	host string
	web  *url.URL // of people and of git
	rest *url.URL // ends in a slash
	gql  *url.URL

	next  http.RoundTripper
	cache *cache

	mu            sync.Mutex
	connections   map[connectionKey]*connection
	installations map[string]int64 // by owner/name
	// left are installations that GitHub did not know: the App was taken off the account, and put on again under another ID.
	left map[int64]bool
}

var _ review.Forge = (*Client)(nil)

// NewClient returns a client. The error is review.ErrNoForge where there are no credentials.
func NewClient(p Params) (*Client, error) {
	if p.AppID == 0 && p.Token.IsZero() {
		return nil, review.ErrNoForge
	}
	if p.AppID != 0 && !p.Token.IsZero() {
		return nil, errors.New("github: an App and a token exclude each other")
	}
	c := &Client{p: p, next: p.Transport, cache: newCache(), connections: map[connectionKey]*connection{}, installations: map[string]int64{}, left: map[int64]bool{}}
	c.p.Timeout = cmp.Or(p.Timeout, defaultTimeout)
	c.p.WritePace = cmp.Or(p.WritePace, defaultWritePace)
	if c.p.Clock == nil {
		c.p.Clock = time.Now
	}
	if c.next == nil {
		c.next = newTransport()
	}
	if err := c.locate(p.BaseURL); err != nil {
		return nil, err
	}
	if p.AppID != 0 {
		if _, err := ghinstallation.NewAppsTransport(c.next, p.AppID, []byte(p.PrivateKey.Reveal())); err != nil {
			return nil, errors.New("github: the private key is no RSA key in PEM format")
		}
	}
	return c, nil
}

// Close ends idle connections.
func (c *Client) Close() {
	if t, ok := c.next.(interface{ CloseIdleConnections() }); ok && c.p.Transport == nil {
		t.CloseIdleConnections()
	}
}

// Host is the host that the client's repositories are at.
func (c *Client) Host() string { return c.host }

func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  defaultTimeout,
		IdleConnTimeout:        90 * time.Second,
		MaxIdleConns:           64,
		MaxIdleConnsPerHost:    16,
		MaxResponseHeaderBytes: 1 << 20,
	}
}

// residence ends the hosts of GitHub Enterprise Cloud with data residency: acme.ghe.com, with its API at api.acme.ghe.com.
const residence = ".ghe.com"

// locate derives the addresses. On a server REST is below /api/v3 and GraphQL below /api; where GitHub itself is the host,
// both are at a host of their own.
func (c *Client) locate(base string) error {
	if base == "" {
		c.host = PublicHost
		c.web = &url.URL{Scheme: "https", Host: PublicHost}
		c.rest = &url.URL{Scheme: "https", Host: "api.github.com", Path: "/"}
		c.gql = &url.URL{Scheme: "https", Host: "api.github.com", Path: "/graphql"}
		return nil
	}
	u, err := ParseBaseURL(base)
	if err != nil {
		return fmt.Errorf("github: the base URL %w", err)
	}
	if u.Host == PublicHost || u.Host == "api.github.com" {
		return c.locate("")
	}
	c.host, c.web = strings.ToLower(u.Host), u
	if strings.HasSuffix(c.host, residence) {
		c.host = strings.TrimPrefix(c.host, "api.")
		c.web = &url.URL{Scheme: u.Scheme, Host: c.host}
		c.rest = &url.URL{Scheme: u.Scheme, Host: "api." + c.host, Path: "/"}
		c.gql = c.rest.JoinPath("graphql")
		return nil
	}
	c.rest, c.gql = u.JoinPath("api", "v3/"), u.JoinPath("api", "graphql")
	return nil
}

// ParseBaseURL reads the address of a server: https, or http at a loopback address, without credentials.
func ParseBaseURL(base string) (*url.URL, error) {
	u, err := url.Parse(base)
	switch {
	case err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("is not a URL with a host")
	case u.User != nil || strings.Contains(base, "@"):
		return nil, errors.New("holds credentials")
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		return nil, errors.New("is not https (http is for loopback addresses only)")
	}
	for _, suffix := range []string{"/", "/api/v3"} {
		u.Path = strings.TrimSuffix(u.Path, suffix)
	}
	u.RawPath = ""
	return u, nil
}

// purpose is what a connection is for. Each has tokens of its own with no more permissions than it needs.
type purpose string

const (
	toRead  purpose = "read"
	toWrite purpose = "write"
	// toCheck writes check runs and sees them. An App that lacks the permission can comment all the same.
	toCheck purpose = "check"
	// toResolve closes and opens threads, for which GitHub wants Apps to be able to write contents too. It is asked for
	// where a thread is to be set and for nothing else, and an App need not have it.
	toResolve purpose = "resolve"
	// asApp is the App itself, which sees its installations and nothing in them.
	asApp purpose = "app"
)

type connectionKey struct {
	purpose      purpose
	installation int64
	// repository narrows the App's tokens to one, by its ID; 0: all of the installation.
	repository int64
}

// connection is what goes on under one set of credentials.
type connection struct {
	client *Client
	key    connectionKey
	api    *github.Client
	tokens interface {
		Token(ctx context.Context) (string, error)
	}
	backoff backoff
}

// link is a connection as it is used for one repository.
type link struct {
	*connection

	repo review.Repo
}

// connect returns the connection for a purpose at a repository, with a token. An installation that is not there any more is
// asked for anew once, unless it is configured.
func (c *Client) connect(ctx context.Context, why purpose, repo review.Repo) (*link, error) {
	if err := c.check(repo); err != nil {
		return nil, err
	}
	l, err := c.connectTo(ctx, why, repo)
	if !errors.Is(err, errNoInstallation) || c.p.Installation != 0 {
		return l, err
	}
	again, failure := c.connectTo(ctx, why, repo)
	if errors.Is(failure, review.ErrPullRequestNotFound) {
		return nil, err // there is no other one
	}
	return again, failure
}

func (c *Client) connectTo(ctx context.Context, why purpose, repo review.Repo) (*link, error) {
	id, err := c.installation(ctx, repo)
	if err != nil {
		return nil, err
	}
	conn, err := c.connection(c.key(why, id, repo))
	if err != nil {
		return nil, err
	}
	if err := conn.mint(ctx, "reach "+line(repo.FullName(), maxOwner+maxName+1)); err != nil {
		if errors.Is(err, errNoInstallation) {
			c.leave(id)
		}
		return nil, err
	}
	return &link{conn, repo}, nil
}

// leave forgets an installation that is not there.
func (c *Client) leave(id int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.left) >= maxConnections {
		clear(c.left)
	}
	c.left[id] = true
	maps.DeleteFunc(c.installations, func(_ string, known int64) bool { return known == id })
}

// key names the connection for a purpose at a repository of an installation.
func (c *Client) key(why purpose, installation int64, repo review.Repo) connectionKey {
	key := connectionKey{purpose: why, installation: installation}
	if c.p.AppID != 0 {
		key.repository = repo.ID
	}
	return key
}

// check refuses repositories at other hosts, and names that can be nobody's.
func (c *Client) check(repo review.Repo) error {
	if repo.Host != "" && !strings.EqualFold(repo.Host, c.host) {
		return review.ErrOtherForge.With("host", line(repo.Host, 200)).With("detail", "the configured credentials are for "+c.host)
	}
	if !validRepo(repo) {
		return review.ErrPullRequestNotFound.With("repository", line(repo.FullName(), 200))
	}
	return nil
}

func (c *Client) connection(key connectionKey) (*connection, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.connections[key]; known != nil {
		return known, nil
	}
	if len(c.connections) >= maxConnections {
		clear(c.connections)
	}
	made, err := c.newConnection(key)
	if err == nil {
		c.connections[key] = made
	}
	return made, err
}

// forget drops a connection whose token is refused, so that the next one asks for another token.
func (c *Client) forget(conn *connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.connections[conn.key] == conn {
		delete(c.connections, conn.key)
	}
}

func (c *Client) newConnection(key connectionKey) (*connection, error) {
	conn := &connection{client: c, key: key}
	transport, err := conn.authenticate(c.next)
	if err != nil {
		return nil, err
	}
	scope := fmt.Sprintf("%s/%d", key.purpose, key.installation)
	transport = guard{next: conditional{next: transport, cache: c.cache, scope: scope}, base: c.rest}
	conn.api = github.NewClient(&http.Client{Transport: transport, CheckRedirect: redirected})
	conn.api.BaseURL, conn.api.UserAgent = c.rest, userAgent
	return conn, nil
}

// installation returns the App's installation at a repository; 0 for a plain token.
func (c *Client) installation(ctx context.Context, repo review.Repo) (int64, error) {
	if c.p.AppID == 0 {
		return 0, nil
	}
	if id := c.p.Installation; id != 0 {
		return id, nil
	}
	name := strings.ToLower(repo.FullName())
	c.mu.Lock()
	id := repo.Installation
	if id == 0 || c.left[id] {
		id = c.installations[name]
	}
	c.mu.Unlock()
	if id != 0 {
		return id, nil
	}
	app, err := c.connection(connectionKey{purpose: asApp})
	if err != nil {
		return 0, err
	}
	var found github.Installation
	if err := app.get(ctx, "repos/"+repo.FullName()+"/installation", &found); err != nil {
		return 0, notFound(err, review.ErrPullRequestNotFound.With("repository", repo.FullName()).
			With("detail", "the App is not installed on the repository"))
	}
	if found.GetID() == 0 {
		return 0, incomplete("an installation")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.installations) >= maxConnections {
		clear(c.installations)
	}
	c.installations[name] = found.GetID()
	delete(c.left, found.GetID()) // GitHub says that it is there
	return found.GetID(), nil
}
