package redis

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/services/ingest"
)

func TestBodiesComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	for _, body := range [][]byte{{}, {0}, []byte(`{"a":"b"}`), bytes.Repeat([]byte("witan "), 1<<20)} {
		require.True(t, bytes.Equal(body, unpack(pack(body))))
	}
	require.Less(t, len(pack(bytes.Repeat([]byte("witan "), 1000))), 1000)
}

func TestWhatNobodyPackedTakesNoMemory(t *testing.T) {
	t.Parallel()
	huge := pack(make([]byte, ingest.MaxBody+1))
	for _, packed := range [][]byte{nil, {0xff}, {0xff, 0xff, 0xff, 0xff, 0x0f, 1, 2}, []byte(`{"a":"b"}`), huge} {
		require.Equal(t, packed, unpack(packed))
	}
}
