package ingest

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"witan.dev/internal/livefile"
	"witan.dev/internal/secret"
)

const (
	// minSecret is the least length of a webhook secret, in bytes; maxSecrets how many may be valid at once.
	minSecret  = 16
	maxSecrets = 8
	signature  = "sha256="
)

// Secrets are those under which a sender may sign, read from a file and followed while it changes: one a line, two while
// they are exchanged. Blank lines and lines that begin with # are left out. Safe for concurrent use.
type Secrets struct {
	file *livefile.Value[[]secret.Text]
}

// OpenSecrets reads the file. One without a secret, and no file at all, are ErrSecretMissing.
func OpenSecrets(path string, logger *slog.Logger) (*Secrets, error) {
	if path == "" {
		return nil, ErrSecretMissing
	}
	file, err := livefile.Open(livefile.Params{Paths: []string{path}, Logger: logger}, parseSecrets)
	if err != nil {
		return nil, fmt.Errorf("read the webhook secrets: %w", err)
	}
	return &Secrets{file: file}, nil
}

func parseSecrets(contents [][]byte) ([]secret.Text, error) {
	var secrets []secret.Text
	for line := range strings.Lines(string(contents[0])) {
		text := strings.TrimSpace(line)
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		if len(text) < minSecret {
			return nil, fmt.Errorf("a webhook secret has fewer than %d bytes", minSecret)
		}
		secrets = append(secrets, secret.New(text))
	}
	switch {
	case len(secrets) == 0:
		return nil, ErrSecretMissing
	case len(secrets) > maxSecrets:
		return nil, errors.New("the file holds more webhook secrets than the eight that may be valid at once")
	}
	return secrets, nil
}

// Verify says whether a header (`sha256=` and the HMAC in hexadecimal digits) is the body's signature under one of the
// secrets. It takes the same time for any wrong one.
func (s *Secrets) Verify(ctx context.Context, header string, body []byte) bool {
	digits, found := strings.CutPrefix(header, signature)
	shown, err := hex.DecodeString(digits)
	if !found || err != nil || len(shown) != sha256.Size {
		return false
	}
	valid := false
	for _, text := range s.file.Get(ctx) {
		valid = hmac.Equal(Sign(text, body), shown) || valid
	}
	return valid
}

// Sign is the HMAC-SHA256 of a body.
func Sign(text secret.Text, body []byte) []byte {
	mac := hmac.New(sha256.New, []byte(text.Reveal()))
	mac.Write(body)
	return mac.Sum(nil)
}
