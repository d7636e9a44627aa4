// Package blob keeps large content by its hash: what was uploaded, prompts' material, results of calls. A blob belongs to
// an owner and lives as long as a resource names it, or until its expiry. Adapters live in folders named for their
// technology; blobtest is the suite that each of them passes.
package blob

import (
	"context"
	"encoding/hex"
	"io"
	"time"

	"witan.dev/internal/apierr"
	"witan.dev/internal/job"
)

// MaxSize is the largest blob, in bytes. A blob passes through memory, so this bounds that as well.
const MaxSize = 64 << 20

// What callers may see.
var (
	// ErrNotFound is the answer for a blob that does not exist, and for a foreign one.
	ErrNotFound = apierr.NotFound(apierr.ReasonBlobNotFound, "there is no such blob; upload the material again")
	// ErrTooLarge refuses content beyond MaxSize.
	ErrTooLarge = apierr.Invalid(apierr.ReasonMaterialTooLarge, "the material is larger than 64 MiB")
)

// Tx is one open transaction of the database in which blobs lie.
type Tx = job.Tx

// SHA256 names content.
type SHA256 [32]byte

// String is the hash in lower-case hexadecimal digits, which is also the blob's ID outside.
func (s SHA256) String() string { return hex.EncodeToString(s[:]) }

// ParseSHA256 reads what String wrote; anything else is ErrNotFound, since no blob has such a name.
func ParseSHA256(text string) (SHA256, error) {
	var s SHA256
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(s) || hex.EncodeToString(raw) != text {
		return SHA256{}, ErrNotFound
	}
	return SHA256(raw), nil
}

// Ref names one blob of an owner.
type Ref struct {
	SHA256 SHA256
	// Size in bytes.
	Size int64
}

// Store keeps blobs. The same content of the same owner is kept once. Safe for concurrent use.
type Store interface {
	// Put stores what r holds and notes that the resource names it. ErrTooLarge beyond MaxSize; nothing is kept then, nor
	// when r fails.
	Put(ctx context.Context, owner, resource string, r io.Reader) (Ref, error)
	// PutTx is Put in a transaction of the caller's.
	PutTx(ctx context.Context, tx Tx, owner, resource string, content []byte) (Ref, error)
	// Upload stores what r holds until expire, unless a resource names it by then.
	Upload(ctx context.Context, owner string, r io.Reader, expire time.Time) (Ref, error)
	// Stat returns ErrNotFound for an unknown or foreign blob.
	Stat(ctx context.Context, owner string, sum SHA256) (Ref, error)
	// Get returns the content, or ErrNotFound.
	Get(ctx context.Context, owner string, sum SHA256) ([]byte, error)
	// Refer notes that the resource names a blob that is there, or returns ErrNotFound.
	Refer(ctx context.Context, owner, resource string, sum SHA256) error
	// ReferTx is Refer in a transaction of the caller's.
	ReferTx(ctx context.Context, tx Tx, owner, resource string, sum SHA256) error
	// ReleaseTx forgets what the resource names.
	ReleaseTx(ctx context.Context, tx Tx, resource string) error
	// Collect removes at most n blobs that no resource names and whose time is over, and returns how many.
	Collect(ctx context.Context, now time.Time, n int) (int, error)
}

// Read reads content to be stored, at most MaxSize bytes.
func Read(r io.Reader) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if err != nil {
		return nil, err
	}
	if len(content) > MaxSize {
		return nil, ErrTooLarge
	}
	return content, nil
}
