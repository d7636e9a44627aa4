package jobs

import (
	"fmt"
	"slices"
	"time"

	"witan.dev/internal/job"
	"witan.dev/internal/pagetoken"
)

// place is a position in a list of jobs as its token holds it: microseconds since 1970, which is how exact stores are.
type place struct {
	Created int64  `json:"c"`
	ID      job.ID `json:"i"`
}

// listQuestion says what a list of jobs was asked for; page size may change between pages.
func listQuestion(q job.ListQuery) string {
	kinds, states := slices.Sorted(slices.Values(q.Kinds)), slices.Sorted(slices.Values(q.States))
	return fmt.Sprintf("jobs %q %q %q %q", q.Owner, kinds, states, q.Parent)
}

// ListToken is the token of the page behind a position; "" for the zero position, behind which there is none.
func ListToken(q job.ListQuery, next job.ListPosition) (string, error) {
	if next == (job.ListPosition{}) {
		return "", nil
	}
	return pagetoken.Write(listQuestion(q), place{Created: next.CreatedAt.UnixMicro(), ID: next.ID})
}

// ParseListToken returns the position in a token, or pagetoken.ErrInvalid. "" is the beginning.
func ParseListToken(q job.ListQuery, token string) (job.ListPosition, error) {
	if token == "" {
		return job.ListPosition{}, nil
	}
	var p place
	if err := pagetoken.Read(token, listQuestion(q), &p); err != nil {
		return job.ListPosition{}, err
	}
	if p.ID == "" {
		return job.ListPosition{}, pagetoken.ErrInvalid
	}
	return job.ListPosition{CreatedAt: time.UnixMicro(p.Created).UTC(), ID: p.ID}, nil
}

// EventToken is the token of the events of a job after a sequence number.
func EventToken(id job.ID, after int64) (string, error) {
	return pagetoken.Write("events "+string(id), after)
}

// ParseEventToken returns the sequence number in a token, or pagetoken.ErrInvalid. "" is the beginning.
func ParseEventToken(id job.ID, token string) (int64, error) {
	var after int64
	if err := pagetoken.Read(token, "events "+string(id), &after); err != nil {
		return 0, err
	}
	if after < 0 {
		return 0, pagetoken.ErrInvalid
	}
	return after, nil
}
