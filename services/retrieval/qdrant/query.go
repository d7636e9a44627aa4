package qdrant

import (
	"cmp"
	"context"
	"slices"

	api "github.com/qdrant/go-client/qdrant"

	"witan.dev/services/retrieval"
)

const (
	// overfetch is how many times more points are asked for than are wanted: those of other views of the repository are
	// dropped here. Each further page is twice as large.
	overfetch = 4
	// maxRanked bounds how far a ranking is read.
	maxRanked = 32_768
)

// Lexical implements retrieval.Rankings.
func (x *Index) Lexical(ctx context.Context, asked retrieval.Asked, terms []string) ([]retrieval.Scored, error) {
	query := queryTerms(terms)
	if len(query.indices) == 0 {
		return nil, nil
	}
	return x.rank(ctx, asked, vectorTerms, api.NewQuerySparse(query.indices, query.values))
}

// Dense implements retrieval.Rankings.
func (x *Index) Dense(ctx context.Context, asked retrieval.Asked, vector *retrieval.Vector) ([]retrieval.Scored, error) {
	if *vector == (retrieval.Vector{}) {
		return nil, nil
	}
	return x.rank(ctx, asked, vectorHash, api.NewQueryDense(vector[:]))
}

// rank reads a ranking until enough of it are of the view. Ties are in the order of paths, as far as one page goes.
func (x *Index) rank(ctx context.Context, asked retrieval.Asked, using string, query *api.Query) ([]retrieval.Scored, error) {
	request := &api.QueryPoints{
		CollectionName: x.alias, Query: query, Using: new(using), Filter: filter(asked),
		WithPayload: api.NewWithPayloadInclude(fieldFile, fieldOrdinal), WithVectors: api.NewWithVectors(false),
		Timeout: new(uint64(searchTimeout.Seconds())),
	}
	var ranked []retrieval.Scored
	limit := max(overfetch*asked.Depth, 64)
	for offset := 0; offset < maxRanked && len(ranked) < asked.Depth; limit *= 2 {
		request.Offset, request.Limit = new(uint64(offset)), new(uint64(limit))
		var points []*api.ScoredPoint
		err := x.call(ctx, searchTimeout, "search", func(ctx context.Context) (err error) {
			points, err = x.client.Query(ctx, request)
			return err
		})
		if err != nil {
			return nil, err
		}
		ranked = appendWanted(ranked, asked, points)
		if len(points) < limit || points[len(points)-1].GetScore() <= 0 {
			break
		}
		offset += limit
	}
	slices.SortStableFunc(ranked, func(a, b retrieval.Scored) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), asked.View.Order(a.ChunkRef, b.ChunkRef))
	})
	return ranked[:min(len(ranked), asked.Depth)], nil
}

// filter restricts to the scope, and to what is asked for as far as points say it.
func filter(asked retrieval.Asked) *api.Filter {
	var conditions []*api.Condition
	if len(asked.Languages) > 0 {
		conditions = append(conditions, api.NewMatchKeywords(fieldLanguage, asked.Languages...))
	}
	if len(asked.Kinds) > 0 {
		names := make([]string, len(asked.Kinds))
		for i, k := range asked.Kinds {
			names[i] = kindName(k)
		}
		conditions = append(conditions, api.NewMatchKeywords(fieldKind, names...))
	}
	return within(asked.View.Scope(), conditions...)
}

// appendWanted keeps the points of wanted files of the view.
func appendWanted(ranked []retrieval.Scored, asked retrieval.Asked, points []*api.ScoredPoint) []retrieval.Scored {
	for _, p := range points {
		key, ok := retrieval.ParseFileKey(p.GetPayload()[fieldFile].GetStringValue())
		if !ok || p.GetScore() <= 0 {
			continue
		}
		f, known := asked.View.ByKey(key)
		ordinal := int(p.GetPayload()[fieldOrdinal].GetIntegerValue())
		if !known || !asked.Wants(f) || ordinal < 0 || ordinal >= f.Chunks {
			continue
		}
		ranked = append(ranked, retrieval.Scored{ChunkRef: retrieval.ChunkRef{File: f.ID, Ordinal: ordinal}, Score: float64(p.GetScore())})
	}
	return ranked
}
