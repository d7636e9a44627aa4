// Package blobtest is the suite that every adapter of blob.Store passes.
package blobtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/blob"
)

// Fixture is an empty store and its database.
type Fixture struct {
	Store blob.Store
	// Write runs fn in a transaction of the database and commits it when fn returns nil.
	Write func(ctx context.Context, fn func(ctx context.Context, tx blob.Tx) error) error
}

// Run runs the suite.
func Run(t *testing.T, newFixture func(t *testing.T) Fixture) {
	t.Helper()
	tests := map[string]func(t *testing.T, f Fixture){
		"content comes back whole":                                    whole,
		"the same content is kept once":                               once,
		"a foreign blob is missing":                                   foreign,
		"too much, or half, leaves nothing":                           tooLarge,
		"a transaction takes its blobs with it":                       transaction,
		"what is named stays":                                         collect,
		"uploads stay until their time":                               uploads,
		"many at once":                                                many,
		"what is named while blobs are collected is whole or missing": racing,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newFixture(t))
		})
	}
}

const owner, resource = "somebody", "reviews/r"

func random(size int) []byte {
	content := make([]byte, size)
	rng := rand.NewChaCha8([32]byte{})
	_, _ = rng.Read(content) // never fails
	return content
}

func put(t *testing.T, f Fixture, resource, content string) blob.Ref {
	t.Helper()
	ref, err := f.Store.Put(t.Context(), owner, resource, strings.NewReader(content))
	require.NoError(t, err)
	return ref
}

func gone(t *testing.T, f Fixture, owner string, sum blob.SHA256) {
	t.Helper()
	_, err := f.Store.Get(t.Context(), owner, sum)
	require.ErrorIs(t, err, blob.ErrNotFound)
	_, err = f.Store.Stat(t.Context(), owner, sum)
	require.ErrorIs(t, err, blob.ErrNotFound)
}

func whole(t *testing.T, f Fixture) {
	for _, size := range []int{0, 1, 1<<20 - 1, 1 << 20, 1<<20 + 1, 3<<20 + 17} {
		content := random(size)
		ref, err := f.Store.Put(t.Context(), owner, resource, iotest.HalfReader(bytes.NewReader(content)))
		require.NoError(t, err)
		require.Equal(t, blob.Ref{SHA256: sha256.Sum256(content), Size: int64(size)}, ref)
		got, err := f.Store.Get(t.Context(), owner, ref.SHA256)
		require.NoError(t, err)
		require.True(t, bytes.Equal(content, got), "%d bytes", size)
		stat, err := f.Store.Stat(t.Context(), owner, ref.SHA256)
		require.NoError(t, err)
		require.Equal(t, ref, stat)
	}
}

func once(t *testing.T, f Fixture) {
	require.Equal(t, put(t, f, "reviews/a", "x"), put(t, f, "reviews/b", "x"))
	n, err := f.Store.Collect(t.Context(), time.Now(), 10)
	require.NoError(t, err)
	require.Zero(t, n)
}

func foreign(t *testing.T, f Fixture) {
	ref := put(t, f, resource, "x")
	gone(t, f, "somebody else", ref.SHA256)
	err := f.Write(t.Context(), func(ctx context.Context, tx blob.Tx) error {
		return f.Store.ReferTx(ctx, tx, "somebody else", resource, ref.SHA256)
	})
	require.ErrorIs(t, err, blob.ErrNotFound)
}

var errBroken = errors.New("broken")

func tooLarge(t *testing.T, f Fixture) {
	_, err := f.Store.Put(t.Context(), owner, resource, io.LimitReader(zeros{}, blob.MaxSize+1))
	require.ErrorIs(t, err, blob.ErrTooLarge)
	_, err = f.Store.Put(t.Context(), owner, resource, io.MultiReader(strings.NewReader("half"), iotest.ErrReader(errBroken)))
	require.ErrorIs(t, err, errBroken)
	gone(t, f, owner, sha256.Sum256([]byte("half")))
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func transaction(t *testing.T, f Fixture) {
	var ref blob.Ref
	write := func(fail error) error {
		return f.Write(t.Context(), func(ctx context.Context, tx blob.Tx) (err error) {
			if ref, err = f.Store.PutTx(ctx, tx, owner, resource, []byte("x")); err != nil {
				return err
			}
			return fail
		})
	}
	require.ErrorIs(t, write(errBroken), errBroken)
	gone(t, f, owner, ref.SHA256)
	require.NoError(t, write(nil))
	got, err := f.Store.Get(t.Context(), owner, ref.SHA256)
	require.NoError(t, err)
	require.Equal(t, []byte("x"), got)
}

func collect(t *testing.T, f Fixture) {
	both, single := put(t, f, "reviews/a", "both"), put(t, f, "reviews/a", "single")
	require.NoError(t, f.Write(t.Context(), func(ctx context.Context, tx blob.Tx) error {
		return f.Store.ReferTx(ctx, tx, owner, "reviews/b", both.SHA256)
	}))
	third := put(t, f, "reviews/a", "third")
	require.NoError(t, f.Store.Refer(t.Context(), owner, "reviews/b", third.SHA256))
	require.ErrorIs(t, f.Store.Refer(t.Context(), "somebody else", "reviews/b", third.SHA256), blob.ErrNotFound)
	release := func(resource string) int {
		require.NoError(t, f.Write(t.Context(), func(ctx context.Context, tx blob.Tx) error { return f.Store.ReleaseTx(ctx, tx, resource) }))
		n, err := f.Store.Collect(t.Context(), time.Now(), 10)
		require.NoError(t, err)
		return n
	}
	require.Equal(t, 1, release("reviews/a"))
	gone(t, f, owner, single.SHA256)
	got, err := f.Store.Get(t.Context(), owner, both.SHA256)
	require.NoError(t, err)
	require.Equal(t, []byte("both"), got)
	_, err = f.Store.Get(t.Context(), owner, third.SHA256)
	require.NoError(t, err)
	require.Equal(t, 2, release("reviews/b"))
	gone(t, f, owner, both.SHA256)
	require.Equal(t, both, put(t, f, "reviews/c", "both"), "it may come again")
	got, err = f.Store.Get(t.Context(), owner, both.SHA256)
	require.NoError(t, err)
	require.Equal(t, []byte("both"), got)
}

func uploads(t *testing.T, f Fixture) {
	now := time.Now()
	ref, err := f.Store.Upload(t.Context(), owner, strings.NewReader("x"), now.Add(time.Hour))
	require.NoError(t, err)
	_, err = f.Store.Upload(t.Context(), owner, strings.NewReader("x"), now.Add(time.Minute))
	require.NoError(t, err, "the later time counts")
	n, err := f.Store.Collect(t.Context(), now.Add(30*time.Minute), 10)
	require.NoError(t, err)
	require.Zero(t, n)
	n, err = f.Store.Collect(t.Context(), now.Add(2*time.Hour), 10)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	gone(t, f, owner, ref.SHA256)
}

func many(t *testing.T, f Fixture) {
	var wg sync.WaitGroup
	errs := make([]error, 16)
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = f.Store.Put(t.Context(), owner, resource, bytes.NewReader(random(10+i%3)))
		})
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
}

// racing lets a blob lose its only name, be collected, be named anew and be stored anew at once.
func racing(t *testing.T, f Fixture) {
	for range 60 {
		ref := put(t, f, "reviews/old", "x")
		var wg sync.WaitGroup
		var referred, stored error
		wg.Go(func() {
			err := f.Write(t.Context(), func(ctx context.Context, tx blob.Tx) error { return f.Store.ReleaseTx(ctx, tx, "reviews/old") })
			if err != nil {
				t.Error(err)
			}
			for range 3 {
				if _, err := f.Store.Collect(t.Context(), time.Now(), 10); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			referred = f.Write(t.Context(), func(ctx context.Context, tx blob.Tx) error {
				return f.Store.ReferTx(ctx, tx, owner, "reviews/referred", ref.SHA256)
			})
		})
		wg.Go(func() { _, stored = f.Store.Put(t.Context(), owner, "reviews/stored", strings.NewReader("x")) })
		wg.Wait()
		require.NoError(t, stored)
		if referred != nil {
			require.ErrorIs(t, referred, blob.ErrNotFound)
		}
		got, err := f.Store.Get(t.Context(), owner, ref.SHA256)
		require.NoError(t, err)
		require.Equal(t, []byte("x"), got)
		for _, name := range []string{"reviews/stored", "reviews/referred"} {
			require.NoError(t, f.Write(t.Context(), func(ctx context.Context, tx blob.Tx) error { return f.Store.ReleaseTx(ctx, tx, name) }))
		}
		n, err := f.Store.Collect(t.Context(), time.Now(), 10)
		require.NoError(t, err)
		require.Equal(t, 1, n)
	}
}
