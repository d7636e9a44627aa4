package qdranttest

import (
	"context"
	"maps"
	"slices"

	api "github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// collection is what Qdrant keeps under a name.
type collection struct {
	config *api.CreateCollection
	dense  map[string]*api.VectorParams
	sparse map[string]*api.SparseVectorParams
	schema map[string]*api.PayloadSchemaInfo
	points map[string]*point
}

// tenant is the field that is marked as such, or nothing.
func (c *collection) tenant() string {
	for field, info := range c.schema {
		if info.GetParams().GetKeywordIndexParams().GetIsTenant() {
			return field
		}
	}
	return ""
}

// find resolves a name or an alias.
func (s *Server) find(ctx context.Context, name string) (*collection, error) {
	of(ctx).Collection = name
	if target, ok := s.aliases[name]; ok {
		name = target
	}
	c := s.collections[name]
	if c == nil {
		return nil, status.Errorf(codes.NotFound, "Not found: Collection `%s` doesn't exist!", name)
	}
	return c, nil
}

// Create implements api.CollectionsServer.
func (s *Server) Create(ctx context.Context, r *api.CreateCollection) (*api.CollectionOperationResponse, error) {
	name := r.GetCollectionName()
	of(ctx).Collection = name
	switch {
	case name == "":
		return nil, invalid("collection_name: is empty")
	case s.collections[name] != nil || s.aliases[name] != "":
		return nil, status.Errorf(codes.AlreadyExists, "Wrong input: Collection `%s` already exists!", name)
	case r.GetVectorsConfig().GetParams() != nil:
		return nil, invalid("only named vectors are known here")
	}
	c := &collection{
		config: r, dense: r.GetVectorsConfig().GetParamsMap().GetMap(), sparse: r.GetSparseVectorsConfig().GetMap(),
		schema: map[string]*api.PayloadSchemaInfo{}, points: map[string]*point{},
	}
	for vector, p := range c.dense {
		if p.GetSize() == 0 || p.GetSize() > 65536 || p.GetDistance() != api.Distance_Cosine {
			return nil, invalid("vector %s: size %d under %s is not known here", vector, p.GetSize(), p.GetDistance())
		}
		if c.sparse[vector] != nil {
			return nil, invalid("vector %s is dense and sparse", vector)
		}
	}
	s.collections[name] = c
	return &api.CollectionOperationResponse{Result: true}, nil
}

// Get implements api.CollectionsServer.
func (s *Server) Get(ctx context.Context, r *api.GetCollectionInfoRequest) (*api.GetCollectionInfoResponse, error) {
	c, err := s.find(ctx, r.GetCollectionName())
	if err != nil {
		return nil, err
	}
	n := uint64(len(c.points))
	return &api.GetCollectionInfoResponse{Result: &api.CollectionInfo{
		Status: api.CollectionStatus_Green, OptimizerStatus: &api.OptimizerStatus{Ok: true}, PointsCount: &n,
		Config: &api.CollectionConfig{Params: &api.CollectionParams{
			ShardNumber: 1, VectorsConfig: c.config.GetVectorsConfig(), SparseVectorsConfig: c.config.GetSparseVectorsConfig(),
		}, HnswConfig: c.config.GetHnswConfig()},
		PayloadSchema: maps.Clone(c.schema),
	}}, nil
}

// List implements api.CollectionsServer.
func (s *Server) List(context.Context, *api.ListCollectionsRequest) (*api.ListCollectionsResponse, error) {
	reply := &api.ListCollectionsResponse{}
	for _, name := range slices.Sorted(maps.Keys(s.collections)) {
		reply.Collections = append(reply.Collections, &api.CollectionDescription{Name: name})
	}
	return reply, nil
}

// Delete implements api.CollectionsServer.
func (s *Server) Delete(ctx context.Context, r *api.DeleteCollection) (*api.CollectionOperationResponse, error) {
	name := r.GetCollectionName()
	of(ctx).Collection = name
	_, there := s.collections[name]
	delete(s.collections, name)
	maps.DeleteFunc(s.aliases, func(_, target string) bool { return target == name })
	return &api.CollectionOperationResponse{Result: there}, nil
}

// UpdateAliases implements api.CollectionsServer: all of the actions or none.
func (s *Server) UpdateAliases(_ context.Context, r *api.ChangeAliases) (*api.CollectionOperationResponse, error) {
	changed := maps.Clone(s.aliases)
	for _, action := range r.GetActions() {
		switch a := action.GetAction().(type) {
		case *api.AliasOperations_CreateAlias:
			name, target := a.CreateAlias.GetAliasName(), a.CreateAlias.GetCollectionName()
			if s.collections[target] == nil {
				return nil, status.Errorf(codes.NotFound, "Not found: Collection `%s` doesn't exist!", target)
			}
			if s.collections[name] != nil {
				return nil, status.Errorf(codes.AlreadyExists, "Wrong input: Collection `%s` already exists!", name)
			}
			changed[name] = target
		case *api.AliasOperations_DeleteAlias:
			delete(changed, a.DeleteAlias.GetAliasName())
		case *api.AliasOperations_RenameAlias:
			target, known := changed[a.RenameAlias.GetOldAliasName()]
			if !known {
				return nil, status.Errorf(codes.NotFound, "Not found: Alias %s does not exists!", a.RenameAlias.GetOldAliasName())
			}
			delete(changed, a.RenameAlias.GetOldAliasName())
			changed[a.RenameAlias.GetNewAliasName()] = target
		default:
			return nil, invalid("an action is missing")
		}
	}
	s.aliases = changed
	return &api.CollectionOperationResponse{Result: true}, nil
}

// ListAliases implements api.CollectionsServer.
func (s *Server) ListAliases(context.Context, *api.ListAliasesRequest) (*api.ListAliasesResponse, error) {
	reply := &api.ListAliasesResponse{}
	for _, name := range slices.Sorted(maps.Keys(s.aliases)) {
		reply.Aliases = append(reply.Aliases, &api.AliasDescription{AliasName: name, CollectionName: s.aliases[name]})
	}
	return reply, nil
}

// CreateFieldIndex implements api.PointsServer.
func (s *points) CreateFieldIndex(ctx context.Context, r *api.CreateFieldIndexCollection) (*api.PointsOperationResponse, error) {
	c, err := s.find(ctx, r.GetCollectionName())
	if err != nil {
		return nil, err
	}
	if !r.GetWait() {
		return nil, invalid("an index that nobody waits for")
	}
	if r.GetFieldName() == "" || r.GetFieldType() != api.FieldType_FieldTypeKeyword {
		return nil, invalid("field %q: only keywords are known here", r.GetFieldName())
	}
	c.schema[r.GetFieldName()] = &api.PayloadSchemaInfo{DataType: api.PayloadSchemaType_Keyword, Params: r.GetFieldIndexParams()}
	return completed(), nil
}

func completed() *api.PointsOperationResponse {
	return &api.PointsOperationResponse{Result: &api.UpdateResult{Status: api.UpdateStatus_Completed}}
}
