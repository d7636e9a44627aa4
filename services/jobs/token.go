package jobs

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"witan.dev/internal/job"
)

// A page token is the position behind which the next page begins, with the first bytes of a hash of what was asked, so
// that it is refused for another question. It opens nothing: the owner is part of every question.
const (
	hashBytes = 8
	maxToken  = 2048
)

func encodeToken(question, position string) string {
	sum := sha256.Sum256([]byte(question))
	return base64.RawURLEncoding.EncodeToString(append(sum[:hashBytes], position...))
}

// decodeToken returns the position in a token that was made for the question.
func decodeToken(question, token string) (string, error) {
	if len(token) > maxToken {
		return "", ErrPageToken
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) < hashBytes {
		return "", ErrPageToken
	}
	sum := sha256.Sum256([]byte(question))
	if string(raw[:hashBytes]) != string(sum[:hashBytes]) {
		return "", ErrPageToken
	}
	return string(raw[hashBytes:]), nil
}

// listQuestion says what a list of jobs was asked for; page size may change between pages.
func listQuestion(q job.ListQuery) string {
	kinds, states := slices.Sorted(slices.Values(q.Kinds)), slices.Sorted(slices.Values(q.States))
	return fmt.Sprintf("jobs %q %q %q %q", q.Owner, kinds, states, q.Parent)
}

// ListToken is the token of the page behind a position; "" for the zero position, behind which there is none.
func ListToken(q job.ListQuery, next job.ListPosition) string {
	if next == (job.ListPosition{}) {
		return ""
	}
	return encodeToken(listQuestion(q), strconv.FormatInt(next.CreatedAt.UnixMicro(), 10)+"/"+string(next.ID))
}

// ParseListToken returns the position in a token, or ErrPageToken. "" is the beginning.
func ParseListToken(q job.ListQuery, token string) (job.ListPosition, error) {
	if token == "" {
		return job.ListPosition{}, nil
	}
	position, err := decodeToken(listQuestion(q), token)
	if err != nil {
		return job.ListPosition{}, err
	}
	micros, id, ok := strings.Cut(position, "/")
	n, err := strconv.ParseInt(micros, 10, 64)
	if !ok || err != nil || id == "" {
		return job.ListPosition{}, ErrPageToken
	}
	return job.ListPosition{CreatedAt: time.UnixMicro(n).UTC(), ID: job.ID(id)}, nil
}

// EventToken is the token of the events of a job after a sequence number.
func EventToken(id job.ID, after int64) string {
	return encodeToken("events "+string(id), strconv.FormatInt(after, 10))
}

// ParseEventToken returns the sequence number in a token, or ErrPageToken.
func ParseEventToken(id job.ID, token string) (int64, error) {
	position, err := decodeToken("events "+string(id), token)
	if err != nil {
		return 0, err
	}
	after, err := strconv.ParseInt(position, 10, 64)
	if err != nil || after < 0 {
		return 0, ErrPageToken
	}
	return after, nil
}
