package retrieval_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/services/retrieval"
)

type oneBlob struct {
	retrieval.Trees
	retrieval.Blobs

	content string
}

func (b oneBlob) OpenBlobs(context.Context, retrieval.Source) (retrieval.Blobs, error) { return b, nil }

func (b oneBlob) Read(string, int64) ([]byte, error) { return []byte(b.content), nil }

type mask func([]byte) ([]byte, error)

func (m mask) Mask(_ context.Context, content []byte) ([]byte, error) { return m(content) }

func TestMaskedTreesGiveNothingThatTheMaskerTookOut(t *testing.T) {
	t.Parallel()
	read := func(m mask) ([]byte, error) {
		blobs, err := retrieval.Masked(oneBlob{content: "a secret b"}, m).OpenBlobs(t.Context(), retrieval.Source{})
		require.NoError(t, err)
		return blobs.Read("id", 100)
	}
	content, err := read(func(c []byte) ([]byte, error) { return bytes.ReplaceAll(c, []byte("secret"), []byte("xxxxxx")), nil })
	require.NoError(t, err)
	require.Equal(t, "a xxxxxx b", string(content))

	broken := errors.New("the scanner broke down")
	content, err = read(func(c []byte) ([]byte, error) { return c, broken })
	require.ErrorIs(t, err, broken)
	require.Nil(t, content, "what was not scanned is not given out")
}
