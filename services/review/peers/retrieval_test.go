package peers_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	retrievalv1 "witan.dev/gen/witan/retrieval/v1"
	"witan.dev/services/review"
	"witan.dev/services/review/peers"
)

// shelf has indexes, some of which cannot be removed yet. Pages begin behind a number, so that they shift as indexes go.
type shelf struct {
	retrievalv1.UnimplementedRetrievalServiceServer

	indexes map[string]*retrievalv1.Index
	making  map[string]bool
}

func (s *shelf) GetIndex(_ context.Context, r *retrievalv1.GetIndexRequest) (*retrievalv1.Index, error) {
	if i := s.indexes[r.GetName()]; i != nil {
		return i, nil
	}
	return nil, status.Error(codes.NotFound, "none")
}

func (s *shelf) GetRelated(context.Context, *retrievalv1.GetRelatedRequest) (*retrievalv1.GetRelatedResponse, error) {
	return nil, status.Error(codes.NotFound, "none")
}

func (s *shelf) ListIndexes(_ context.Context, r *retrievalv1.ListIndexesRequest) (*retrievalv1.ListIndexesResponse, error) {
	var at int
	_, _ = fmt.Sscan(r.GetPageToken(), &at)
	out := &retrievalv1.ListIndexesResponse{}
	names := slices.SortedFunc(maps.Keys(s.indexes), cmp.Compare)
	for _, name := range names[min(at, len(names)):] {
		if at++; s.indexes[name].GetRepository() == r.GetRepository() {
			out.Indexes = append(out.Indexes, s.indexes[name])
		}
		if len(out.GetIndexes()) == int(r.GetPageSize()) {
			out.NextPageToken = fmt.Sprint(at)
			break
		}
	}
	return out, nil
}

func (s *shelf) DeleteIndex(_ context.Context, r *retrievalv1.DeleteIndexRequest) (*emptypb.Empty, error) {
	if s.making[r.GetName()] {
		return nil, status.Error(codes.FailedPrecondition, "its job is not finished")
	}
	delete(s.indexes, r.GetName())
	return &emptypb.Empty{}, nil
}

func (s *shelf) add(name, repository string, at time.Time, labels map[string]string) {
	s.indexes[name] = &retrievalv1.Index{
		Name: name, Repository: repository, Job: "jobs/" + name, CreateTime: timestamppb.New(at), Labels: labels,
	}
}

func TestIndexesAreRemovedUnlessTheyAreMadeOrSomebodyElses(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := &shelf{indexes: map[string]*retrievalv1.Index{}, making: map[string]bool{"b": true, "m": true}}
	index := peers.NewIndex(serve(t, func(g *grpc.Server) { retrievalv1.RegisterRetrievalServiceServer(g, s) }))
	for _, name := range []string{"a", "b"} {
		s.add(name, "tips", now, map[string]string{"tip": "true"})
	}
	s.add("own", "tips", now, nil)
	unfinished, err := index.Discard(t.Context(), "none", "own", "a", "b")
	require.NoError(t, err)
	require.Equal(t, []string{"jobs/b"}, unfinished)
	require.Equal(t, []string{"b", "own"}, slices.Sorted(maps.Keys(s.indexes)))

	for n := range 900 {
		s.add(fmt.Sprintf("many-%03d", n), "many", now, nil)
	}
	s.add("m", "many", now, nil)
	s.add("n", "many", now.Add(time.Hour), nil)
	calls := 0
	for more := true; more; calls++ {
		unfinished, more, err = index.Remove(t.Context(), "many", now.Add(time.Minute))
		require.NoError(t, err)
	}
	require.Equal(t, 2, calls)
	require.Equal(t, []string{"jobs/m"}, unfinished)
	require.Equal(t, []string{"b", "m", "n", "own"}, slices.Sorted(maps.Keys(s.indexes)))

	_, err = index.Related(t.Context(), "gone", review.Place{Path: "a.go", StartLine: 1}, 1)
	require.ErrorIs(t, err, review.ErrUnavailable, "a review under way goes on without it")
}
