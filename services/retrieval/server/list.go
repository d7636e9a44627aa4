package server

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"time"

	retrievalv1 "witan.dev/gen/witan/retrieval/v1"
	"witan.dev/internal/apierr"
	"witan.dev/internal/auth"
	"witan.dev/services/retrieval"
	"witan.dev/services/retrieval/messages"
)

// defaultPage is the size of a page when none is asked for.
const defaultPage = 50

// errPageToken refuses what was not given out for the same list.
//
//nolint:gochecknoglobals // a sentinel
var errPageToken = apierr.Invalid(apierr.ReasonPageTokenInvalid, "the page token was not given out for this list and filter")

// page is what a page token holds: the filter it is bound to and the last index of the page before.
type page struct {
	Repository string       `json:"r"`
	CreatedAt  int64        `json:"t"`
	ID         retrieval.ID `json:"i"`
}

func (p page) token() (string, error) {
	b, err := json.Marshal(p)
	return base64.RawURLEncoding.EncodeToString(b), err
}

func readPage(token, repository string) (page, error) {
	var p page
	if token == "" {
		return p, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return page{}, errPageToken
	}
	if json.Unmarshal(b, &p) != nil || p.ID == "" || p.CreatedAt <= 0 || p.Repository != repository {
		return page{}, errPageToken
	}
	return p, nil
}

// ListIndexes lists the caller's indexes, newest first.
func (s *Server) ListIndexes(ctx context.Context, request *retrievalv1.ListIndexesRequest) (*retrievalv1.ListIndexesResponse, error) {
	after, err := readPage(request.GetPageToken(), request.GetRepository())
	if err != nil {
		return nil, err
	}
	size := cmp.Or(int(request.GetPageSize()), defaultPage)
	query := retrieval.ListQuery{Owner: auth.Owner(ctx), Repository: request.GetRepository(), Limit: size + 1, BeforeID: after.ID}
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
		p := page{Repository: request.GetRepository(), CreatedAt: last.CreatedAt.UnixMicro(), ID: last.ID}
		if response.NextPageToken, err = p.token(); err != nil {
			return nil, err
		}
	}
	for _, i := range indexes {
		response.Indexes = append(response.Indexes, messages.Index(i))
	}
	return response, nil
}
