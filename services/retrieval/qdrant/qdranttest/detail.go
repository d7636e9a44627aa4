package qdranttest

import api "github.com/qdrant/go-client/qdrant"

// writtenPoint is a point in a verbose log, as it was sent.
type writtenPoint struct {
	ID      string                  `json:"id"`
	Payload map[string]any          `json:"payload"`
	Dense   map[string][]float32    `json:"dense"`
	Sparse  map[string]sparseVector `json:"sparse"`
}

type sparseVector struct {
	Indices []uint32  `json:"indices"`
	Values  []float32 `json:"values"`
}

// answered is a query in a verbose log, and what it got.
type answered struct {
	Dense  []float32           `json:"dense,omitempty"`
	Sparse *sparseVector       `json:"sparse,omitempty"`
	Filter map[string][]string `json:"filter"`
	Offset uint64              `json:"offset"`
	Limit  uint64              `json:"limit"`
	IDs    []string            `json:"ids"`
	Scores []float64           `json:"scores"`
}

func detailOfPoints(points []*api.PointStruct) []writtenPoint {
	all := make([]writtenPoint, 0, len(points))
	for _, p := range points {
		w := writtenPoint{ID: p.GetId().GetUuid(), Payload: map[string]any{}, Dense: map[string][]float32{}, Sparse: map[string]sparseVector{}}
		for field, v := range p.GetPayload() {
			switch v.GetKind().(type) {
			case *api.Value_StringValue:
				w.Payload[field] = v.GetStringValue()
			case *api.Value_IntegerValue:
				w.Payload[field] = v.GetIntegerValue()
			}
		}
		for name, v := range p.GetVectors().GetVectors().GetVectors() {
			if s := v.GetSparse(); s != nil {
				w.Sparse[name] = sparseVector{s.GetIndices(), s.GetValues()}
			} else {
				w.Dense[name] = v.GetDense().GetData()
			}
		}
		all = append(all, w)
	}
	return all
}

func detailOfQuery(r *api.QueryPoints, found []scored) answered {
	a := answered{Filter: map[string][]string{}, Offset: r.GetOffset(), Limit: r.GetLimit(), Dense: r.GetQuery().GetNearest().GetDense().GetData()}
	if s := r.GetQuery().GetNearest().GetSparse(); s != nil {
		a.Sparse = &sparseVector{s.GetIndices(), s.GetValues()}
	}
	for _, condition := range r.GetFilter().GetMust() {
		match := condition.GetField().GetMatch()
		a.Filter[condition.GetField().GetKey()] = append(match.GetKeywords().GetStrings(), keyword(match)...)
	}
	for _, p := range found {
		a.IDs, a.Scores = append(a.IDs, p.id), append(a.Scores, p.score)
	}
	return a
}

func keyword(match *api.Match) []string {
	if k := match.GetKeyword(); k != "" {
		return []string{k}
	}
	return nil
}
