package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/auth"
)

func TestATokenIsMadeWithItsLine(t *testing.T) {
	t.Parallel()
	var out, told bytes.Buffer
	a := newApp(nil, nil, &out, &told, nil, false, false)
	require.Equal(t, exitDone, a.run(t.Context(), []string{"token", "new", "ada"}))
	token, line, found := strings.Cut(strings.TrimSpace(out.String()), "\n")
	require.True(t, found)
	known, err := auth.ParseTokens([]byte(line))
	require.NoError(t, err)
	door, err := auth.New(auth.Params{Tokens: known})
	require.NoError(t, err)
	who, err := door.Authenticate(t.Context(), auth.Credentials{Authorization: "Bearer " + token})
	require.NoError(t, err)
	require.Equal(t, auth.Principal{Owner: "ada"}, who)
	require.NotContains(t, told.String(), token)

	require.Equal(t, exitUsage, a.run(t.Context(), []string{"token", "new", "Ada L."}))
	require.Contains(t, told.String(), "Ada L.")
}
