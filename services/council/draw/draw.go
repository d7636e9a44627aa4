// Package draw makes everything that a deliberation leaves to chance: orders, labels and the nonces of fences. All of it
// follows from the job's key, so that a restart shows every model the same prompt again, and nobody without the key can
// foresee it. Pure and safe for concurrent use.
package draw

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
)

// KeySize is the size of a job key in bytes.
const KeySize = 32

// Key is a job's secret. It is drawn once, when a deliberation is planned, and never shown.
type Key [KeySize]byte

// NewKey draws a key from random, which is crypto/rand.Reader outside of tests.
func NewKey(random io.Reader) (Key, error) {
	var k Key
	if _, err := io.ReadFull(random, k[:]); err != nil {
		return Key{}, fmt.Errorf("draw a job key: %w", err)
	}
	return k, nil
}

// Seeded derives a key from a seed alone, for tests and benchmarks that are to be repeatable.
func Seeded(seed uint64) Key {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], seed)
	return sha256.Sum256(append([]byte("witan/council/seed/v1/"), b[:]...))
}

// sum is HMAC-SHA256(key, "v1/" stage "/" subject "/" purpose).
func (k Key) sum(stage, subject, purpose string) [32]byte {
	mac := hmac.New(sha256.New, k[:])
	mac.Write([]byte("v1/" + stage + "/" + subject + "/" + purpose))
	var out [32]byte
	mac.Sum(out[:0])
	return out
}

// Shuffle returns the numbers below n in an order that depends on the key, stage, subject and purpose alone
// (Fisher-Yates with rejection sampling, so no order is likelier than another).
func (k Key) Shuffle(n int, stage, subject, purpose string) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	s := stream{key: k.sum(stage, subject, purpose)}
	for i := n - 1; i > 0; i-- {
		j := s.below(uint64(i) + 1)
		order[i], order[j] = order[j], order[i]
	}
	return order
}

// Nonce is 16 hex digits for a fence.
func (k Key) Nonce(stage, subject, purpose string) string {
	sum := k.sum(stage, subject, purpose)
	return hex.EncodeToString(sum[:8])
}

// Rank is the last tie-break between candidates: smaller comes first.
func (k Key) Rank(id string) string {
	sum := k.sum("rank", id, "tie")
	return hex.EncodeToString(sum[:])
}

// stream is an endless sequence of numbers: HMAC-SHA256 of a counter under the drawn key.
type stream struct {
	key   [32]byte
	block [32]byte
	count uint64
	used  int
}

func (s *stream) next() uint64 {
	if s.count == 0 || s.used+8 > len(s.block) {
		mac := hmac.New(sha256.New, s.key[:])
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], s.count)
		mac.Write(b[:])
		mac.Sum(s.block[:0])
		s.count++
		s.used = 0
	}
	v := binary.BigEndian.Uint64(s.block[s.used:])
	s.used += 8
	return v
}

// below draws from 0 … n-1, each equally likely: numbers of the incomplete last round are thrown away.
func (s *stream) below(n uint64) uint64 {
	limit := -n % n // 2^64 mod n
	for {
		if v := s.next(); v >= limit {
			return v % n
		}
	}
}

// Label names the i-th candidate, from 0: A … Z, AA, AB … (bijective base 26).
func Label(i int) string {
	var b []byte
	for i++; i > 0; i = (i - 1) / 26 {
		b = append([]byte{byte('A' + (i-1)%26)}, b...)
	}
	return string(b)
}

// Labels names n candidates.
func Labels(n int) []string {
	labels := make([]string, n)
	for i := range labels {
		labels[i] = Label(i)
	}
	return labels
}
