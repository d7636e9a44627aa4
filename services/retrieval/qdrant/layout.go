package qdrant

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	api "github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"witan.dev/services/retrieval"
)

// Names of the vectors of a point. A vector of an embedding model would be a third one.
const (
	vectorHash  = "hash"
	vectorTerms = "terms"
)

// Names of what a point says of its chunk. Those that requests filter by are indexed; kind and name are for who looks at
// a collection.
const (
	fieldTenant     = "tenant"
	fieldRepository = "repository"
	fieldFile       = "file"
	fieldOrdinal    = "ordinal"
	fieldPath       = "path"
	fieldLanguage   = "language"
	fieldKind       = "kind"
	fieldName       = "name"
)

// indexed lists the fields that requests filter by, the tenant first.
func indexed() []string {
	return []string{fieldTenant, fieldRepository, fieldFile, fieldLanguage, fieldKind}
}

// layout names what is computed of a chunk. Points of another layout lie in another collection.
func layout() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%d", termsVersion, retrieval.EmbedderHash, retrieval.Dimensions))
	return hex.EncodeToString(sum[:4])
}

// firstGeneration is the generation that an empty Qdrant gets. Another one takes its place where somebody points the alias
// at it.
const firstGeneration = 1

func aliasName(prefix string) string { return prefix + "_" + layout() }

// errLayout means that the collection behind the alias is not what this version reads and writes.
var errLayout = errors.New("the collection is not of this layout")

// ensure makes sure that there is a collection behind the alias, once in the life of a process unless one was found
// missing. Several processes may do it at once.
func (x *Index) ensure(ctx context.Context) error {
	if x.ready.Load() {
		return nil
	}
	select {
	case x.preparing <- struct{}{}:
		defer func() { <-x.preparing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if x.ready.Load() {
		return nil
	}
	collection, err := x.behindAlias(ctx)
	if err != nil {
		return err
	}
	if collection == "" {
		if collection, err = x.create(ctx); err != nil {
			return err
		}
	}
	if err := x.check(ctx, collection); err != nil {
		return fmt.Errorf("collection %s: %w", collection, err)
	}
	x.ready.Store(true)
	return nil
}

// behindAlias returns the collection that the alias names, or nothing.
func (x *Index) behindAlias(ctx context.Context) (string, error) {
	aliases, err := x.client.ListAliases(ctx)
	if err != nil {
		return "", err
	}
	for _, a := range aliases {
		if a.GetAliasName() == x.alias {
			return a.GetCollectionName(), nil
		}
	}
	return "", nil
}

// create makes the first generation, with the indexes of its fields, before anybody finds it by the alias.
func (x *Index) create(ctx context.Context) (string, error) {
	name := fmt.Sprintf("%s_%d", x.alias, firstGeneration)
	err := x.client.CreateCollection(ctx, &api.CreateCollection{
		CollectionName: name,
		VectorsConfig: api.NewVectorsConfigMap(map[string]*api.VectorParams{
			vectorHash: {Size: retrieval.Dimensions, Distance: api.Distance_Cosine},
		}),
		SparseVectorsConfig: api.NewSparseVectorsConfig(map[string]*api.SparseVectorParams{
			vectorTerms: {Modifier: api.Modifier_Idf.Enum()},
		}),
		// Searches are always within a tenant: a graph for each is what Qdrant's guide to multitenancy asks for.
		HnswConfig: &api.HnswConfigDiff{M: new(uint64(0)), PayloadM: new(uint64(16))},
	})
	if err != nil && !alreadyThere(err) {
		return "", err
	}
	if err := x.createIndexes(ctx, name, indexed()); err != nil {
		return "", err
	}
	return name, x.client.CreateAlias(ctx, x.alias, name)
}

// alreadyThere tells that another process was quicker; older versions of Qdrant say so with another code.
func alreadyThere(err error) bool {
	code := status.Code(cause(err))
	return code == codes.AlreadyExists || code == codes.InvalidArgument
}

func (x *Index) createIndexes(ctx context.Context, collection string, fields []string) error {
	for _, field := range fields {
		params := &api.KeywordIndexParams{}
		if field == fieldTenant {
			params.IsTenant = new(true)
		}
		_, err := x.client.CreateFieldIndex(ctx, &api.CreateFieldIndexCollection{
			CollectionName: collection, Wait: new(true), FieldName: field, FieldType: api.FieldType_FieldTypeKeyword.Enum(),
			FieldIndexParams: api.NewPayloadIndexParamsKeyword(params),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// check compares a collection with what this version needs. Indexes of fields that are missing are made.
func (x *Index) check(ctx context.Context, collection string) error {
	info, err := x.client.GetCollectionInfo(ctx, collection)
	if err != nil {
		return err
	}
	params := info.GetConfig().GetParams()
	dense := params.GetVectorsConfig().GetParamsMap().GetMap()[vectorHash]
	if dense.GetSize() != retrieval.Dimensions || dense.GetDistance() != api.Distance_Cosine {
		return fmt.Errorf("%w: its vector %s has %d dimensions under %s", errLayout, vectorHash, dense.GetSize(), dense.GetDistance())
	}
	sparse, known := params.GetSparseVectorsConfig().GetMap()[vectorTerms]
	if !known || sparse.GetModifier() != api.Modifier_Idf {
		return fmt.Errorf("%w: its vector %s does not weigh terms by their rarity", errLayout, vectorTerms)
	}
	missing := slices.DeleteFunc(indexed(), func(field string) bool { return info.GetPayloadSchema()[field] != nil })
	return x.createIndexes(ctx, collection, missing)
}
