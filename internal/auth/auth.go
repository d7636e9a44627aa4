// Package auth knows who calls. Callers show a bearer token: that of the data folder, which makes them trusted like the
// user at the machine; one of the configured list, each of which stands for an owner; or the cluster's own, with which its
// services call each other on behalf of an owner. Where none of the latter two is configured, a caller without
// credentials is the local owner, and the process serves loopback only.
package auth

import (
	"context"

	"witan.dev/internal/apierr"
)

// LocalOwner owns everything in an embedded system without configured tokens.
const LocalOwner = "local"

// OwnerKey is the metadata key by which a service, or who holds the folder's token, names the owner that it acts for.
// From everybody else it means nothing.
const OwnerKey = "witan-owner"

const maxOwner = 64

// Errors that callers see. They say nothing about which tokens there are.
var (
	// ErrTokenInvalid refuses a caller whose credentials are not this server's.
	ErrTokenInvalid = apierr.Unauthenticated(apierr.ReasonTokenInvalid, "the bearer token is not this server's")
	// ErrTokenMissing refuses a caller without credentials where tokens are configured.
	ErrTokenMissing = apierr.Unauthenticated(apierr.ReasonTokenMissing, "the call needs a bearer token in its authorization header")
	// ErrOwnerInvalid refuses a service that names no owner, or one that cannot be.
	ErrOwnerInvalid = apierr.Unauthenticated(apierr.ReasonOwnerInvalid,
		"a service names the owner that it acts for in the metadata key "+OwnerKey)
	// ErrLocalSourceRefused refuses a caller who names a path on the server's machine without the folder's token.
	ErrLocalSourceRefused = apierr.PermissionDenied(apierr.ReasonLocalSourceRefused,
		"paths on the server's machine are accepted only with the data folder's token; upload the material instead")
)

// Principal is who calls. The zero value is nobody.
type Principal struct {
	// Owner is the name under which resources are kept.
	Owner string
	// Trusted callers showed the data folder's token: they run as the same user on the same machine, or are services of
	// this process. They may name paths on it.
	Trusted bool
	// Service callers showed the cluster's token. That alone does not make them trusted: they come from other machines,
	// where a path means something else.
	Service bool
	// Open callers showed nothing, where nobody need show anything: the process knows no tokens, so nothing tells them from
	// the other processes of a cluster.
	Open bool
}

// With puts a principal into the context: the caller of a call, or whom a job's body works for. Calls to other services
// are made on its owner's behalf.
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

// IsOwner says whether a name can be an owner's: 1 to 64 lower-case letters, digits, dots, dashes and underscores, of
// which the first is a letter or digit.
func IsOwner(name string) bool {
	if name == "" || len(name) > maxOwner {
		return false
	}
	for i, r := range []byte(name) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
		case i > 0 && (r == '.' || r == '-' || r == '_'):
		default:
			return false
		}
	}
	return true
}

type key struct{}
