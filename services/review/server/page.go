package server

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"witan.dev/internal/apierr"
)

// ErrPageToken refuses a page token that was not given out for this list and filter.
var ErrPageToken = apierr.Invalid(apierr.ReasonPageTokenInvalid, "the page token was not given out for this list and filter")

// A pageToken is a place in a list, bound to the list and its filter.
type pageToken struct {
	Filter [8]byte
	After  json.RawMessage
}

func filterHash(filter string) (out [8]byte) {
	sum := sha256.Sum256([]byte(filter))
	copy(out[:], sum[:])
	return out
}

func writeToken(filter string, after any) (string, error) {
	place, err := json.Marshal(after)
	if err != nil {
		return "", fmt.Errorf("encode a page token: %w", err)
	}
	raw, err := json.Marshal(pageToken{Filter: filterHash(filter), After: place})
	if err != nil {
		return "", fmt.Errorf("encode a page token: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(raw), nil
}

// readToken fills in the place behind which the page begins; an empty token leaves it as it is.
func readToken(token, filter string, after any) error {
	if token == "" {
		return nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return ErrPageToken.Wrap(err)
	}
	var t pageToken
	if err := json.Unmarshal(raw, &t); err != nil {
		return ErrPageToken.Wrap(err)
	}
	if t.Filter != filterHash(filter) {
		return ErrPageToken
	}
	if err := json.Unmarshal(t.After, after); err != nil {
		return ErrPageToken.Wrap(err)
	}
	return nil
}
