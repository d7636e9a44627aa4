// Package pagetoken writes and reads the tokens by which lists are paged. A token is a place in one list under one filter;
// it opens nothing, and with another list or filter it is refused.
package pagetoken

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"witan.dev/internal/apierr"
)

// encoding is base64 for URLs, of which each text has one spelling.
//
//nolint:gochecknoglobals // a constant that Go cannot write as one
var encoding = base64.RawURLEncoding.Strict()

// maxToken bounds what is decoded, in bytes.
const maxToken = 2048

// ErrInvalid refuses a token that was not given out for this list and filter.
var ErrInvalid = apierr.Invalid(apierr.ReasonPageTokenInvalid,
	"the page token was not given out for this list and filter; begin without one").Field("page_token", "is not of this list and filter")

// A token is a place in a list, bound to the list and its filter.
type token struct {
	Filter [8]byte         `json:"f"`
	After  json.RawMessage `json:"a"`
}

// Write makes the token of the place behind which the next page begins. list names the list together with its filter and
// owner; after must encode to JSON.
func Write(list string, after any) (string, error) {
	place, err := json.Marshal(after)
	if err != nil {
		return "", fmt.Errorf("encode a page token: %w", err)
	}
	raw, err := json.Marshal(token{Filter: bind(list), After: place})
	if err != nil {
		return "", fmt.Errorf("encode a page token: %w", err)
	}
	return encoding.EncodeToString(raw), nil
}

// Read fills in the place that a token holds; an empty token leaves after as it is, the beginning. The error is
// ErrInvalid, and after is then not to be used.
func Read(text, list string, after any) error {
	if text == "" {
		return nil
	}
	if len(text) > maxToken {
		return ErrInvalid
	}
	raw, err := encoding.DecodeString(text)
	if err != nil {
		return ErrInvalid.Wrap(err)
	}
	var t token
	if err := strict(raw, &t); err != nil {
		return ErrInvalid.Wrap(err)
	}
	if t.Filter != bind(list) {
		return ErrInvalid
	}
	if err := strict(t.After, after); err != nil {
		return ErrInvalid.Wrap(err)
	}
	return nil
}

func bind(list string) (out [8]byte) {
	sum := sha256.Sum256([]byte(list))
	copy(out[:], sum[:])
	return out
}

func strict(raw []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one value")
	}
	return nil
}
