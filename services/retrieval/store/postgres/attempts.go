package postgres

import (
	"context"

	"witan.dev/gen/sql/retrievalsql"
	"witan.dev/services/retrieval"
)

// BeginParsing writes down that a build is parsing contents and returns what it wrote down before.
func (s *Store) BeginParsing(ctx context.Context, id retrieval.ID, version string, keys []retrieval.BlobKey) (map[retrieval.BlobKey]int, error) {
	number, err := s.number(ctx, id)
	if err != nil {
		return nil, err
	}
	digests, names := keysOf(keys, version)
	before := map[retrieval.BlobKey]int{}
	err = s.write(ctx, func(ctx context.Context, q *retrievalsql.Queries) error {
		clear(before)
		begun, err := q.Attempts(ctx, retrievalsql.AttemptsParams{IndexNumber: number, Keys: digests})
		if err != nil {
			return err
		}
		for _, b := range begun {
			before[names[string(b.Key)]] = int(b.Starts)
		}
		return q.BeginAttempts(ctx, retrievalsql.BeginAttemptsParams{IndexNumber: number, Starts: 1, Keys: digests})
	})
	return before, err
}

// BeginAlone writes down that a content is parsed by itself.
func (s *Store) BeginAlone(ctx context.Context, id retrieval.ID, version string, key retrieval.BlobKey) error {
	number, err := s.number(ctx, id)
	if err != nil {
		return err
	}
	return s.write(ctx, func(ctx context.Context, q *retrievalsql.Queries) error {
		return q.BeginAttempts(ctx, retrievalsql.BeginAttemptsParams{IndexNumber: number, Starts: 2, Keys: [][]byte{keyOf(key, version)}})
	})
}

// EndParsing takes back what was written down.
func (s *Store) EndParsing(ctx context.Context, id retrieval.ID, version string, keys []retrieval.BlobKey) error {
	number, err := s.number(ctx, id)
	if err != nil {
		return err
	}
	digests, _ := keysOf(keys, version)
	return s.write(ctx, func(ctx context.Context, q *retrievalsql.Queries) error {
		return q.EndAttempts(ctx, retrievalsql.EndAttemptsParams{IndexNumber: number, Keys: digests})
	})
}

// keysOf returns each key once, and what they stand for.
func keysOf(keys []retrieval.BlobKey, version string) ([][]byte, map[string]retrieval.BlobKey) {
	digests := make([][]byte, 0, len(keys)) // never nil, which would be NULL
	names := make(map[string]retrieval.BlobKey, len(keys))
	for _, k := range keys {
		key := keyOf(k, version)
		if _, twice := names[string(key)]; !twice {
			digests = append(digests, key)
		}
		names[string(key)] = k
	}
	return digests, names
}
