package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/secret"
)

func TestASecretShowsInNoFormat(t *testing.T) {
	t.Parallel()
	text := secret.New("hunter2")
	var logged bytes.Buffer
	slog.New(slog.NewJSONHandler(&logged, nil)).InfoContext(t.Context(), "x", "key", text, "struct", struct{ K secret.Text }{text})
	encoded, err := json.Marshal(map[string]any{"k": text})
	require.NoError(t, err)
	shown := fmt.Sprintf("%v %+v %#v %s %q", text, text, text, text, text) + logged.String() + string(encoded) +
		fmt.Sprintf("%v %+v %#v", struct{ K secret.Text }{text}, &text, []secret.Text{text})
	require.NotContains(t, shown, "hunter2")
	require.Equal(t, "hunter2", text.Reveal())
	require.False(t, text.IsZero())
	require.True(t, secret.New("").IsZero())
}
