package server

import (
	"cmp"
	"context"
	"time"

	retrievalv1 "witan.dev/gen/witan/retrieval/v1"
	"witan.dev/internal/auth"
	"witan.dev/internal/pagetoken"
	"witan.dev/services/retrieval"
	"witan.dev/services/retrieval/messages"
)

// defaultPage is the size of a page when none is asked for.
const defaultPage = 50

// page is what a page token holds: the last index of the page before.
type page struct {
	CreatedAt int64        `json:"t"`
	ID        retrieval.ID `json:"i"`
}

// ListIndexes lists the caller's indexes, newest first.
func (s *Server) ListIndexes(ctx context.Context, request *retrievalv1.ListIndexesRequest) (*retrievalv1.ListIndexesResponse, error) {
	owner := auth.Owner(ctx)
	list := "indexes\x00" + owner + "\x00" + request.GetRepository()
	var after page
	if err := pagetoken.Read(request.GetPageToken(), list, &after); err != nil {
		return nil, err
	}
	size := cmp.Or(int(request.GetPageSize()), defaultPage)
	query := retrieval.ListQuery{Owner: owner, Repository: request.GetRepository(), Limit: size + 1, BeforeID: after.ID}
	if after.CreatedAt > 0 {
		query.BeforeTime = time.UnixMicro(after.CreatedAt)
	}
	indexes, err := s.p.Catalog.List(ctx, query)
	if err != nil {
		return nil, err
	}
	response := &retrievalv1.ListIndexesResponse{}
	if len(indexes) > size {
		indexes = indexes[:size]
		last := indexes[size-1]
		if response.NextPageToken, err = pagetoken.Write(list, page{CreatedAt: last.CreatedAt.UnixMicro(), ID: last.ID}); err != nil {
			return nil, err
		}
	}
	for _, i := range indexes {
		response.Indexes = append(response.Indexes, messages.Index(i))
	}
	return response, nil
}
