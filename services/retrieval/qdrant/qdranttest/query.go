package qdranttest

import (
	"cmp"
	"context"
	"math"
	"slices"

	api "github.com/qdrant/go-client/qdrant"
)

// scored is a point with its score.
type scored struct {
	*point

	score float64
}

// Query implements api.PointsServer: one vector, no prefetches.
func (s *points) Query(ctx context.Context, r *api.QueryPoints) (*api.QueryResponse, error) {
	c, err := s.find(ctx, r.GetCollectionName())
	if err != nil {
		return nil, err
	}
	if len(r.GetPrefetch()) > 0 || r.ScoreThreshold != nil || r.GetLookupFrom() != nil {
		return nil, invalid("only plain queries are known here")
	}
	if r.Limit != nil && r.GetLimit() == 0 {
		return nil, invalid("limit: must be greater than or equal to 1")
	}
	match, err := c.filter(ctx, r.GetFilter())
	if err != nil {
		return nil, err
	}
	score, err := c.scorer(r.GetUsing(), r.GetQuery().GetNearest())
	if err != nil {
		return nil, err
	}
	var all []scored
	for _, p := range c.points {
		if !match(p) {
			continue
		}
		if x, has := score(p); has {
			all = append(all, scored{p, x})
		}
	}
	slices.SortFunc(all, func(a, b scored) int { return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.id, b.id)) })
	const defaultLimit = 10
	limit := defaultLimit
	if r.Limit != nil {
		limit = int(r.GetLimit()) //nolint:gosec // a test's
	}
	all = all[min(int(r.GetOffset()), len(all)):] //nolint:gosec // a test's
	all = all[:min(limit, len(all))]
	call := of(ctx)
	call.Using, call.Points = r.GetUsing(), len(all)
	if s.verbose {
		call.Detail = detailOfQuery(r, all)
	}
	reply := &api.QueryResponse{}
	for _, p := range all {
		if path := p.payload["path"].GetStringValue(); path != "" && !slices.Contains(call.Found, path) {
			call.Found = append(call.Found, path)
		}
		reply.Result = append(reply.Result, &api.ScoredPoint{Id: api.NewIDUUID(p.id), Payload: p.selected(r.GetWithPayload()), Score: float32(p.score)})
	}
	return reply, nil
}

// scorer returns what scores a point, or says that it is not in the ranking.
func (c *collection) scorer(using string, query *api.VectorInput) (func(*point) (float64, bool), error) {
	switch {
	case c.dense[using] != nil:
		if query.GetDense() == nil {
			return nil, invalid("Wrong input: Conversion between sparse and regular vectors failed")
		}
		vector, err := unit(query.GetDense().GetData(), c.dense[using])
		if err != nil {
			return nil, err
		}
		return func(p *point) (float64, bool) { return dot(vector, p.dense[using]), p.dense[using] != nil }, nil
	case c.sparse[using] != nil:
		if query.GetSparse() == nil {
			return nil, invalid("Wrong input: Conversion between sparse and regular vectors failed")
		}
		terms, err := readSparse(query.GetSparse())
		if err != nil {
			return nil, err
		}
		if c.sparse[using].GetModifier() == api.Modifier_Idf {
			c.weigh(using, terms)
		}
		return func(p *point) (float64, bool) { return overlap(terms, p.sparse[using]) }, nil
	}
	return nil, invalid("Wrong input: Not existing vector name error: %s", using)
}

// weigh multiplies the values of a query with the inverse document frequency over the whole collection, whoever asks.
func (c *collection) weigh(using string, terms map[uint32]float32) {
	n, frequency := 0, map[uint32]int{}
	for _, p := range c.points {
		if p.sparse[using] == nil {
			continue
		}
		n++
		for term := range terms {
			if _, has := p.sparse[using][term]; has {
				frequency[term]++
			}
		}
	}
	for term, value := range terms {
		df := float64(frequency[term])
		terms[term] = value * float32(math.Log(1+(float64(n)-df+0.5)/(df+0.5)))
	}
}

func dot(a, b []float32) float64 {
	sum := 0.0
	for i := range min(len(a), len(b)) {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}

// overlap is the product of two sparse vectors; without a common dimension a point is in no ranking.
func overlap(a, b map[uint32]float32) (float64, bool) {
	sum, any := 0.0, false
	for i, x := range a {
		if y, has := b[i]; has {
			sum += float64(x) * float64(y)
			any = true
		}
	}
	return sum, any
}
