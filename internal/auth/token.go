package auth

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"witan.dev/internal/secret"
)

// maxTokens bounds a list, since every call is compared with all of it.
const maxTokens = 10_000

// tokenPrefix makes a token recognisable, so that scanners find one that was published by mistake.
const tokenPrefix = "witan_"

// Token is one entry of a list: who shows a text of this hash acts as the owner.
type Token struct {
	Owner string
	Hash  [sha256.Size]byte
}

// NewSecret makes a token's text, of 256 random bits.
func NewSecret() secret.Text {
	return secret.New(tokenPrefix + strings.ToLower(rand.Text()+rand.Text()))
}

// NewToken is the entry for a token's text.
func NewToken(owner string, text secret.Text) (Token, error) {
	if !IsOwner(owner) {
		return Token{}, ownerError(owner)
	}
	return Token{Owner: owner, Hash: sha256.Sum256([]byte(text.Reveal()))}, nil
}

// ParseToken makes an entry of an owner and the hash in hexadecimal digits.
func ParseToken(owner, hash string) (Token, error) {
	if !IsOwner(owner) {
		return Token{}, ownerError(owner)
	}
	raw, err := hex.DecodeString(hash)
	if err != nil || len(raw) != sha256.Size {
		return Token{}, errors.New("the token's hash is not 64 hexadecimal digits (SHA-256)")
	}
	return Token{Owner: owner, Hash: [sha256.Size]byte(raw)}, nil
}

func ownerError(owner string) error {
	return fmt.Errorf("the owner %.80q is not 1 to 64 of a-z, 0-9, dot, dash and underscore, beginning with a letter or digit", owner)
}

// String is the entry as a line of a list.
func (t Token) String() string { return t.Owner + " " + hex.EncodeToString(t.Hash[:]) }

// ParseTokens reads a list: an owner and a hash on each line, "#" begins a comment. An owner may have several tokens, a
// token one owner.
func ParseTokens(list []byte) ([]Token, error) {
	var tokens []Token
	lines := bufio.NewScanner(bytes.NewReader(list))
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(text)
		switch len(fields) {
		case 0:
			continue
		case 2:
		default:
			return nil, fmt.Errorf("line %d is not an owner and a hash", n)
		}
		t, err := ParseToken(fields[0], fields[1])
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		tokens = append(tokens, t)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return tokens, checkTokens(tokens)
}

func checkTokens(tokens []Token) error {
	if len(tokens) > maxTokens {
		return fmt.Errorf("there are more than %d tokens", maxTokens)
	}
	owners := make(map[[sha256.Size]byte]string, len(tokens))
	for _, t := range tokens {
		if other, ok := owners[t.Hash]; ok && other != t.Owner {
			return fmt.Errorf("the owners %s and %s have the same token", other, t.Owner)
		}
		owners[t.Hash] = t.Owner
	}
	return nil
}

// find looks through the whole list whatever it finds, so that the time tells nothing.
func find(tokens []Token, hash [sha256.Size]byte) (owner string, ok bool) {
	for _, t := range tokens {
		if subtle.ConstantTimeCompare(t.Hash[:], hash[:]) == 1 {
			owner, ok = t.Owner, true
		}
	}
	return owner, ok
}
