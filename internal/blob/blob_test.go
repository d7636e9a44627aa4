package blob_test

import (
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/blob"
)

func TestHashesAsText(t *testing.T) {
	t.Parallel()
	sum := blob.SHA256(sha256.Sum256([]byte("x")))
	got, err := blob.ParseSHA256(sum.String())
	require.NoError(t, err)
	require.Equal(t, sum, got)
	for _, text := range []string{"", "abc", strings.ToUpper(sum.String()), sum.String() + "00", strings.Repeat("g", 64)} {
		_, err := blob.ParseSHA256(text)
		require.ErrorIs(t, err, blob.ErrNotFound, text)
	}
}
