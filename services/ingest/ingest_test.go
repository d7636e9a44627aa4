package ingest_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/secret"
	"witan.dev/internal/testdata"
	"witan.dev/services/ingest"
)

const testSecret = "a secret of the tests"

// secretsFile writes a file of secrets.
func secretsFile(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secrets")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func openSecrets(t testing.TB, text string) *ingest.Secrets {
	t.Helper()
	s, err := ingest.OpenSecrets(secretsFile(t, text), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return s
}

func sign(text string, body []byte) string {
	return "sha256=" + hex.EncodeToString(ingest.Sign(secret.New(text), body))
}

// shared is one of the real payloads, with the signature that is known of it.
type shared struct {
	File   string  `json:"file"`
	Event  string  `json:"event"`
	Action *string `json:"action"`
	Digest string  `json:"sha256_sig"`
	Body   []byte  `json:"-"`
}

// sharedPayloads reads all real payloads and the secret under which they are signed.
func sharedPayloads(t testing.TB) (payloads []shared, text string) {
	t.Helper()
	folder := testdata.Path(t, "webhooks")
	read := func(name string, into any) {
		raw, err := os.ReadFile(filepath.Join(folder, name)) //nolint:gosec // shared data
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(raw, into))
	}
	var vectors []struct{ Secret, Payload, Header, Expected string }
	read("hmac_vectors.json", &vectors)
	read("index.json", &payloads)
	for i, p := range payloads {
		var err error
		payloads[i].Body, err = os.ReadFile(filepath.Join(folder, "payloads", filepath.Base(p.File))) //nolint:gosec // shared data
		require.NoError(t, err)
	}
	require.Len(t, payloads, 115)
	return payloads, vectors[0].Secret
}

func TestGitHubsVectorAndAllSharedPayloadsVerify(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(testdata.Path(t, "webhooks/hmac_vectors.json"))
	require.NoError(t, err)
	var vectors []struct{ Secret, Payload, Header, Expected string }
	require.NoError(t, json.Unmarshal(raw, &vectors))
	require.NotEmpty(t, vectors)
	for _, v := range vectors {
		require.True(t, openSecrets(t, v.Secret).Verify(t.Context(), v.Expected, []byte(v.Payload)))
		require.False(t, openSecrets(t, v.Secret).Verify(t.Context(), v.Expected, []byte(v.Payload+" ")))
	}
	payloads, text := sharedPayloads(t)
	secrets := openSecrets(t, text)
	for _, p := range payloads {
		require.True(t, secrets.Verify(t.Context(), "sha256="+p.Digest, p.Body), p.File)
	}
}

func TestSignaturesThatAreNone(t *testing.T) {
	t.Parallel()
	body := []byte(`{}`)
	secrets := openSecrets(t, "# first comes the new one\n\n"+testSecret+"\nthe secret before that\n")
	require.True(t, secrets.Verify(t.Context(), sign(testSecret, body), body))
	require.True(t, secrets.Verify(t.Context(), sign("the secret before that", body), body), "while secrets are exchanged both count")
	right := sign(testSecret, body)
	for _, wrong := range []string{
		"", "sha256=", right[7:], "sha1=" + right[7:], right + "00", right[:len(right)-2], "sha256=" + "zz" + right[9:],
		sign("# first comes the new one", body), sign("some other secret", body), sign(testSecret, []byte(`{} `)), "SHA256=" + right[7:],
	} {
		require.False(t, secrets.Verify(t.Context(), wrong, body), wrong)
	}
}

func TestFilesOfSecrets(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"empty":          {"", ingest.ErrSecretMissing},
		"comments alone": {"# nothing\n\n", ingest.ErrSecretMissing},
		"too short":      {"hunter2\n", nil},
		"too many":       {manySecrets(9), nil},
	} {
		_, err := ingest.OpenSecrets(secretsFile(t, c.text), slog.New(slog.DiscardHandler))
		require.Error(t, err, name)
		require.Equal(t, c.want != nil, errors.Is(err, ingest.ErrSecretMissing), "%s: %v", name, err)
		require.NotContains(t, err.Error(), "hunter2")
		require.NotContains(t, err.Error(), testSecret)
	}
	_, err := ingest.OpenSecrets("", slog.New(slog.DiscardHandler))
	require.ErrorIs(t, err, ingest.ErrSecretMissing)
	openSecrets(t, manySecrets(8))
}

func manySecrets(n int) (text string) {
	for range n {
		text += testSecret + "\n"
	}
	return text
}
