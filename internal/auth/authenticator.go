package auth

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"witan.dev/internal/livefile"
	"witan.dev/internal/secret"
)

// minServiceToken is the least length of the cluster's token, in bytes.
const minServiceToken = 32

// Credentials are what a caller shows.
type Credentials struct {
	// Authorization is the value of the authorization header; empty for none.
	Authorization string
	// Owner is the value of OwnerKey.
	Owner string
}

// Params say which tokens a process knows. The zero value knows none.
type Params struct {
	// Folder is the data folder's token.
	Folder secret.Text
	// TokensFile is a list as ParseTokens reads it, followed while it changes.
	TokensFile string
	// Tokens are entries beside those of the file.
	Tokens []Token
	// Service is the cluster's token; nil: there is none.
	Service *ServiceToken
	// Now is the clock that says when to look at the file again; default time.Now.
	Now func() time.Time
	// Logger is told of files that change. Needed with TokensFile.
	Logger *slog.Logger
}

// Authenticator says who calls. Safe for concurrent use.
type Authenticator struct {
	folder  secret.Text
	file    *livefile.Value[[]Token] // nil without one
	tokens  []Token
	service *ServiceToken
	// required says that a caller without credentials is refused.
	required bool
}

// New reads the file of tokens, where there is one. A file that cannot be used is an error.
func New(p Params) (*Authenticator, error) {
	if err := checkTokens(p.Tokens); err != nil {
		return nil, fmt.Errorf("tokens: %w", err)
	}
	a := &Authenticator{
		folder: p.Folder, tokens: p.Tokens, service: p.Service,
		required: p.TokensFile != "" || len(p.Tokens) > 0 || p.Service != nil,
	}
	if p.TokensFile == "" {
		return a, nil
	}
	var err error
	a.file, err = livefile.Open(livefile.Params{Paths: []string{p.TokensFile}, Now: p.Now, Logger: p.Logger},
		func(contents [][]byte) ([]Token, error) { return ParseTokens(contents[0]) })
	if err != nil {
		return nil, fmt.Errorf("read the file of tokens: %w", err)
	}
	return a, nil
}

// NewFolder knows the data folder's token only; without one nobody is trusted.
func NewFolder(token secret.Text) *Authenticator { return &Authenticator{folder: token} }

// Required says whether a caller without credentials is refused.
func (a *Authenticator) Required() bool { return a.required }

// Authenticate says who shows these credentials. Wrong ones are ErrTokenInvalid. None are ErrTokenMissing, or an
// untrusted local caller where no tokens are configured. Who holds the folder's or the cluster's token may act for
// another owner, and who holds the cluster's must; no name, or one that cannot be an owner's, is ErrOwnerInvalid.
func (a *Authenticator) Authenticate(ctx context.Context, c Credentials) (Principal, error) {
	if c.Authorization == "" {
		if a.required {
			return Principal{}, ErrTokenMissing
		}
		return Principal{Owner: LocalOwner, Open: true}, nil
	}
	scheme, token, found := strings.Cut(c.Authorization, " ")
	if !found || !strings.EqualFold(scheme, "Bearer") || token == "" {
		return Principal{}, ErrTokenInvalid
	}
	hash := sha256.Sum256([]byte(token))
	switch {
	case !a.folder.IsZero() && equal(a.folder, hash):
		return actFor(cmp.Or(c.Owner, LocalOwner), Principal{Trusted: true})
	case a.service != nil && a.service.accepts(ctx, hash):
		return actFor(c.Owner, Principal{Service: true})
	}
	owner, ok := a.find(ctx, hash)
	if !ok {
		return Principal{}, ErrTokenInvalid
	}
	return Principal{Owner: owner}, nil
}

func actFor(owner string, p Principal) (Principal, error) {
	if !IsOwner(owner) {
		return Principal{}, ErrOwnerInvalid
	}
	p.Owner = owner
	return p, nil
}

func (a *Authenticator) find(ctx context.Context, hash [sha256.Size]byte) (string, bool) {
	owner, ok := find(a.tokens, hash)
	if a.file == nil {
		return owner, ok
	}
	if listed, found := find(a.file.Get(ctx), hash); found {
		return listed, true
	}
	return owner, ok
}

func equal(token secret.Text, hash [sha256.Size]byte) bool {
	own := sha256.Sum256([]byte(token.Reveal()))
	return subtle.ConstantTimeCompare(own[:], hash[:]) == 1
}

// ServiceToken is the secret that the processes of a cluster share, read from a file and followed while it changes. The
// file has one secret on each line: the first is shown to others, all are accepted, so that the secret can be exchanged
// while the cluster runs. Safe for concurrent use.
type ServiceToken struct {
	file *livefile.Value[[]secret.Text]
}

// OpenServiceToken reads the file. A secret has 32 bytes or more.
func OpenServiceToken(path string, logger *slog.Logger) (*ServiceToken, error) {
	file, err := livefile.Open(livefile.Params{Paths: []string{path}, Logger: logger}, parseSecrets)
	if err != nil {
		return nil, fmt.Errorf("read the service token: %w", err)
	}
	return &ServiceToken{file: file}, nil
}

// Current is the secret to show.
func (s *ServiceToken) Current(ctx context.Context) secret.Text { return s.file.Get(ctx)[0] }

func (s *ServiceToken) accepts(ctx context.Context, hash [sha256.Size]byte) bool {
	accepted := false
	for _, text := range s.file.Get(ctx) {
		accepted = equal(text, hash) || accepted
	}
	return accepted
}

func parseSecrets(contents [][]byte) ([]secret.Text, error) {
	var secrets []secret.Text
	for line := range strings.Lines(string(contents[0])) {
		text, _, _ := strings.Cut(line, "#")
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		if len(text) < minServiceToken {
			return nil, fmt.Errorf("a secret has fewer than %d bytes", minServiceToken)
		}
		secrets = append(secrets, secret.New(text))
	}
	if len(secrets) == 0 || len(secrets) > 8 {
		return nil, errors.New("the file does not hold between 1 and 8 secrets")
	}
	return secrets, nil
}
