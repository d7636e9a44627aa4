package main

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNothingSteersTheTerminal(t *testing.T) {
	t.Parallel()
	var screen bytes.Buffer
	a := newApp(nil, nil, &screen, &screen, nil, true, true)
	n, err := fmt.Fprint(a.stdout, "an answer\x1b[2J\u202e\n")
	require.NoError(t, err)
	require.Equal(t, 17, n)
	a.say("\x9b31m%s\ttold", "\x07")
	require.Equal(t, "an answer[U+001B][2J[U+202E]\n[0x9B]31m[U+0007]\ttold\n", screen.String())
}

func TestPipesGetTheBytes(t *testing.T) {
	t.Parallel()
	var pipe bytes.Buffer
	a := newApp(nil, nil, &pipe, &pipe, nil, false, false)
	_, err := fmt.Fprint(a.stdout, "\x1b\xff")
	require.NoError(t, err)
	require.Equal(t, "\x1b\xff", pipe.String())
}
