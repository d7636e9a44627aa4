// Package auth knows who calls. One process serves one data folder, so there is one owner; whoever shows the folder's
// token is trusted like the user at the machine and may name paths on it.
package auth

import (
	"context"
	"crypto/subtle"
	"strings"

	"witan.dev/internal/apierr"
	"witan.dev/internal/secret"
)

// LocalOwner owns everything in an embedded system.
const LocalOwner = "local"

// ErrTokenInvalid refuses a caller whose credentials are not this server's.
var ErrTokenInvalid = apierr.Unauthenticated(apierr.ReasonTokenInvalid, "the bearer token is not this server's")

// ErrLocalSourceRefused refuses a caller who names a path on the server's machine without the folder's token.
var ErrLocalSourceRefused = apierr.PermissionDenied(apierr.ReasonLocalSourceRefused,
	"paths on the server's machine are accepted only with the data folder's token; upload the material instead")

// Principal is who calls. The zero value is nobody.
type Principal struct {
	// Owner is the name under which resources are kept.
	Owner string
	// Trusted callers showed the data folder's token: they run as the same user on the same machine, or are services of
	// this process.
	Trusted bool
}

// With puts a principal into the context.
func With(ctx context.Context, p Principal) context.Context { return context.WithValue(ctx, key{}, p) }

// From is the context's principal; the zero value when nobody was authenticated.
func From(ctx context.Context) Principal {
	p, ok := ctx.Value(key{}).(Principal)
	if !ok {
		return Principal{}
	}
	return p
}

// Owner is the name of the caller's resources; empty when nobody was authenticated.
func Owner(ctx context.Context) string { return From(ctx).Owner }

// RequireTrusted is ErrLocalSourceRefused unless the caller showed the data folder's token. Handlers call it before they
// touch a path that a request names.
func RequireTrusted(ctx context.Context) error {
	if !From(ctx).Trusted {
		return ErrLocalSourceRefused
	}
	return nil
}

// Folder authenticates callers of an embedded system. It is immutable and safe for concurrent use.
type Folder struct{ token secret.Text }

// NewFolder takes the data folder's token; without one nobody is trusted.
func NewFolder(token secret.Text) *Folder { return &Folder{token: token} }

// Authenticate takes the value of the authorization header, empty for none. No credentials make an untrusted local
// caller; wrong ones are ErrTokenInvalid.
func (f *Folder) Authenticate(_ context.Context, authorization string) (Principal, error) {
	if authorization == "" {
		return Principal{Owner: LocalOwner}, nil
	}
	scheme, token, found := strings.Cut(authorization, " ")
	if !found || !strings.EqualFold(scheme, "Bearer") || f.token.IsZero() ||
		subtle.ConstantTimeCompare([]byte(token), []byte(f.token.Reveal())) != 1 {
		return Principal{}, ErrTokenInvalid
	}
	return Principal{Owner: LocalOwner, Trusted: true}, nil
}

type key struct{}
