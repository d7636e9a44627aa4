package qdranttest

import (
	"cmp"
	"context"
	"math"
	"slices"

	"github.com/google/uuid"
	api "github.com/qdrant/go-client/qdrant"
)

// point is one point: its dense vectors of unit length, its sparse ones by dimension.
type point struct {
	id      string
	payload map[string]*api.Value
	dense   map[string][]float32
	sparse  map[string]map[uint32]float32
}

// Upsert implements api.PointsServer: all points or none.
func (s *points) Upsert(ctx context.Context, r *api.UpsertPoints) (*api.PointsOperationResponse, error) {
	c, err := s.find(ctx, r.GetCollectionName())
	if err != nil {
		return nil, err
	}
	if !r.GetWait() {
		return nil, invalid("a write that nobody waits for")
	}
	if len(r.GetPoints()) == 0 {
		return nil, invalid("Empty update request")
	}
	var all []*point
	for _, p := range r.GetPoints() {
		read, err := c.read(p)
		if err != nil {
			return nil, err
		}
		all = append(all, read)
	}
	for _, p := range all {
		c.points[p.id] = p
	}
	of(ctx).Points = len(all)
	if s.verbose {
		of(ctx).Detail = detailOfPoints(r.GetPoints())
	}
	return completed(), nil
}

// read checks a point.
func (c *collection) read(p *api.PointStruct) (*point, error) {
	id, err := readID(p.GetId())
	if err != nil {
		return nil, err
	}
	if p.GetVectors() == nil {
		return nil, invalid("Expected some vectors")
	}
	if p.GetVectors().GetVectors() == nil {
		return nil, invalid("Wrong input: Not existing vector name error: ")
	}
	read := &point{id: id, payload: p.GetPayload(), dense: map[string][]float32{}, sparse: map[string]map[uint32]float32{}}
	for name, v := range p.GetVectors().GetVectors().GetVectors() {
		if err := read.add(c, name, v); err != nil {
			return nil, err
		}
	}
	if field := c.tenant(); field != "" && p.GetPayload()[field].GetStringValue() == "" {
		return nil, invalid("point %s names no %s", id, field)
	}
	return read, nil
}

func (p *point) add(c *collection, name string, v *api.Vector) (err error) {
	switch {
	case c.dense[name] != nil:
		p.dense[name], err = unit(v.GetDense().GetData(), c.dense[name])
	case c.sparse[name] != nil:
		p.sparse[name], err = readSparse(v.GetSparse())
	default:
		err = invalid("Wrong input: Not existing vector name error: %s", name)
	}
	return err
}

func readID(id *api.PointId) (string, error) {
	parsed, err := uuid.Parse(id.GetUuid())
	if err != nil {
		return "", invalid("Unable to parse UUID: %s", id.GetUuid())
	}
	return parsed.String(), nil
}

// unit checks a dense vector and brings it to unit length, as Qdrant does under cosine.
func unit(data []float32, params *api.VectorParams) ([]float32, error) {
	if uint64(len(data)) != params.GetSize() {
		return nil, invalid("Wrong input: Vector dimension error: expected dim: %d, got %d", params.GetSize(), len(data))
	}
	square := 0.0
	for _, x := range data {
		square += float64(x) * float64(x)
	}
	if math.IsNaN(square) || math.IsInf(square, 0) {
		return nil, invalid("a vector that is no number")
	}
	if square == 0 {
		return data, nil
	}
	scaled := make([]float32, len(data))
	for i, x := range data {
		scaled[i] = float32(float64(x) / math.Sqrt(square))
	}
	return scaled, nil
}

func readSparse(v *api.SparseVector) (map[uint32]float32, error) {
	if v == nil || len(v.GetIndices()) != len(v.GetValues()) {
		return nil, invalid("Wrong input: must be the same length as values")
	}
	read := make(map[uint32]float32, len(v.GetIndices()))
	for i, index := range v.GetIndices() {
		if _, twice := read[index]; twice {
			return nil, invalid("Validation error: must be unique")
		}
		if x := float64(v.GetValues()[i]); math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, invalid("a vector that is no number")
		}
		read[index] = v.GetValues()[i]
	}
	return read, nil
}

// Get implements api.PointsServer.
func (s *points) Get(ctx context.Context, r *api.GetPoints) (*api.GetResponse, error) {
	c, err := s.find(ctx, r.GetCollectionName())
	if err != nil {
		return nil, err
	}
	reply := &api.GetResponse{}
	for _, id := range r.GetIds() {
		key, err := readID(id)
		if err != nil {
			return nil, err
		}
		if p := c.points[key]; p != nil {
			reply.Result = append(reply.Result, &api.RetrievedPoint{Id: api.NewIDUUID(p.id), Payload: p.selected(r.GetWithPayload())})
		}
	}
	of(ctx).Points = len(reply.GetResult())
	return reply, nil
}

// selected is the part of the payload that was asked for.
func (p *point) selected(s *api.WithPayloadSelector) map[string]*api.Value {
	switch o := s.GetSelectorOptions().(type) {
	case *api.WithPayloadSelector_Enable:
		if o.Enable {
			return p.payload
		}
	case *api.WithPayloadSelector_Include:
		some := map[string]*api.Value{}
		for _, field := range o.Include.GetFields() {
			if v := p.payload[field]; v != nil {
				some[field] = v
			}
		}
		return some
	}
	return nil
}

// Delete implements api.PointsServer, by filter.
func (s *points) Delete(ctx context.Context, r *api.DeletePoints) (*api.PointsOperationResponse, error) {
	c, err := s.find(ctx, r.GetCollectionName())
	if err != nil {
		return nil, err
	}
	if !r.GetWait() {
		return nil, invalid("a write that nobody waits for")
	}
	match, err := c.filter(ctx, r.GetPoints().GetFilter())
	if err != nil {
		return nil, err
	}
	for id, p := range c.points {
		if match(p) {
			delete(c.points, id)
			of(ctx).Points++
		}
	}
	return completed(), nil
}

// Scroll implements api.PointsServer, in the order of IDs.
func (s *points) Scroll(ctx context.Context, r *api.ScrollPoints) (*api.ScrollResponse, error) {
	c, err := s.find(ctx, r.GetCollectionName())
	if err != nil {
		return nil, err
	}
	match, err := c.filter(ctx, r.GetFilter())
	if err != nil {
		return nil, err
	}
	if r.Limit == nil || r.GetLimit() == 0 {
		return nil, invalid("limit: must be greater than or equal to 1")
	}
	var all []*point
	for _, p := range c.points {
		if p.id >= r.GetOffset().GetUuid() && match(p) {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b *point) int { return cmp.Compare(a.id, b.id) })
	reply := &api.ScrollResponse{}
	if n := int(r.GetLimit()); len(all) > n {
		reply.NextPageOffset, all = api.NewIDUUID(all[n].id), all[:n]
	}
	for _, p := range all {
		reply.Result = append(reply.Result, &api.RetrievedPoint{Id: api.NewIDUUID(p.id), Payload: p.selected(r.GetWithPayload())})
	}
	of(ctx).Points = len(all)
	return reply, nil
}

// filter reads a filter: conditions that must hold, each a keyword or one of some, of fields that have an index.
func (c *collection) filter(ctx context.Context, f *api.Filter) (func(*point) bool, error) {
	if len(f.GetShould())+len(f.GetMustNot()) > 0 || f.GetMinShould() != nil {
		return nil, invalid("only must is known here")
	}
	wanted := map[string][]string{}
	for _, condition := range f.GetMust() {
		field := condition.GetField()
		var values []string
		switch m := field.GetMatch().GetMatchValue().(type) {
		case *api.Match_Keyword:
			values = []string{m.Keyword}
		case *api.Match_Keywords:
			values = m.Keywords.GetStrings()
		default:
			return nil, invalid("only keywords are known here")
		}
		if c.schema[field.GetKey()] == nil {
			return nil, invalid("Bad request: Index required but not found for \"%s\" of one of the following types: [keyword]", field.GetKey())
		}
		if wanted[field.GetKey()] != nil {
			return nil, invalid("field %s twice", field.GetKey())
		}
		wanted[field.GetKey()] = values
	}
	call := of(ctx)
	if field := c.tenant(); field != "" {
		if len(wanted[field]) != 1 || wanted[field][0] == "" {
			return nil, invalid("the filter names no %s", field)
		}
		call.Tenant = wanted[field][0]
	}
	if names := wanted["repository"]; len(names) == 1 {
		call.Repository = names[0]
	}
	return func(p *point) bool {
		for field, values := range wanted {
			if !slices.Contains(values, p.payload[field].GetStringValue()) {
				return false
			}
		}
		return true
	}, nil
}
