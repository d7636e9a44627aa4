package publish

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"regexp"
	"strings"
)

// keyBytes is 96 bits of the HMAC.
const keyBytes = 12

// Keys make the keys by which what was written is known again. They follow from the installation's secret, so that nobody
// else can make one; who copies one into a comment of their own is told by its author.
type Keys struct{ secret []byte }

// NewKeys returns the keys of an installation.
func NewKeys(secret []byte) Keys { return Keys{secret: secret} }

// Key returns the key of one thing that is written for a subject: 24 hex digits.
func (k Keys) Key(subject string, parts ...string) string {
	mac := hmac.New(sha256.New, k.secret)
	for _, part := range append([]string{"witan/publish/1", subject}, parts...) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		mac.Write(n[:])
		mac.Write([]byte(part))
	}
	return hex.EncodeToString(mac.Sum(nil)[:keyBytes])
}

// Mark is the hidden line that carries a key. It is the last one of a body.
func Mark(key string) string { return "<!-- witan:1 " + key + " -->" }

var lastLine = regexp.MustCompile(`(?:^|\n)<!-- witan:1 ([0-9a-f]{24}) -->\s*$`)

// Marked returns the key that a body ends with, empty for none. What stands further above is somebody's quotation.
func Marked(body string) string {
	const longest = 80
	tail := strings.TrimRight(body, " \t\r\n")
	tail = strings.ReplaceAll(tail[max(0, len(tail)-longest):], "\r\n", "\n")
	if found := lastLine.FindStringSubmatch(tail); found != nil {
		return found[1]
	}
	return ""
}
