package qdrant

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"
	api "github.com/qdrant/go-client/qdrant"

	"witan.dev/services/retrieval"
)

const (
	// batch is how many points are looked for, written or deleted in one request.
	batch = 256
	// scrollPage is how many are listed in one.
	scrollPage = 4096
	// maxName bounds the name in a point, in bytes.
	maxName = 1000
)

// pointID is the same for the same chunk of the same scope, and for no other.
func pointID(scope retrieval.Scope, file retrieval.FileKey, ordinal int) string {
	name := fmt.Appendf(nil, "%s\x00%s\x00%s\x00%d", scope.Owner, scope.Repository, file, ordinal)
	return uuid.NewSHA1(uuid.NameSpaceOID, name).String()
}

// within restricts a request to a scope. There is no other way to make a filter in this package.
func within(scope retrieval.Scope, conditions ...*api.Condition) *api.Filter {
	return &api.Filter{Must: append([]*api.Condition{
		api.NewMatchKeyword(fieldTenant, scope.Owner), api.NewMatchKeyword(fieldRepository, scope.Repository),
	}, conditions...)}
}

// place is a chunk of a file.
type place struct {
	file    int // in the list of files
	ordinal int
}

// Put implements retrieval.Rankings.
func (x *Index) Put(ctx context.Context, scope retrieval.Scope, files []retrieval.File) (int64, error) {
	w := &writer{Index: x, scope: scope, files: files, contentOf: -1}
	var group []place
	for i, f := range files {
		for ordinal := range f.Chunks {
			if group = append(group, place{i, ordinal}); len(group) == batch {
				if err := w.put(ctx, group); err != nil {
					return w.written, err
				}
				group = group[:0]
			}
		}
	}
	return w.written, w.put(ctx, group)
}

// writer is one Put.
type writer struct {
	*Index

	scope   retrieval.Scope
	files   []retrieval.File
	written int64

	// content is that of the parse contentOf.
	content   content
	contentOf int64
}

type content struct {
	definitions []retrieval.Definition
	chunks      []retrieval.Chunk
	vectors     []retrieval.Quantised
}

// put writes those points of a group that are not there.
func (w *writer) put(ctx context.Context, group []place) error {
	missing, err := w.missing(ctx, group)
	if err != nil || len(missing) == 0 {
		return err
	}
	points := make([]*api.PointStruct, 0, len(missing))
	for _, p := range missing {
		point, err := w.point(ctx, p)
		if err != nil {
			return err
		}
		points = append(points, point)
	}
	err = w.call(ctx, writeTimeout, "write points", func(ctx context.Context) error {
		_, err := w.client.Upsert(ctx, &api.UpsertPoints{CollectionName: w.alias, Wait: new(true), Points: points})
		return err
	})
	if err == nil {
		w.written += int64(len(points))
	}
	return err
}

func (w *writer) missing(ctx context.Context, group []place) ([]place, error) {
	ids := make([]string, len(group))
	for i, p := range group {
		ids[i] = pointID(w.scope, w.files[p.file].Key, p.ordinal)
	}
	there, err := w.there(ctx, ids)
	if err != nil {
		return nil, err
	}
	var missing []place
	for i, p := range group {
		if !there[ids[i]] {
			missing = append(missing, p)
		}
	}
	return missing, nil
}

// there reports which of some points are there.
func (x *Index) there(ctx context.Context, ids []string) (map[string]bool, error) {
	there := make(map[string]bool, len(ids))
	for group := range slices.Chunk(ids, batch) {
		request := &api.GetPoints{
			CollectionName: x.alias, WithPayload: api.NewWithPayload(false), WithVectors: api.NewWithVectors(false),
			Timeout: new(uint64(readTimeout.Seconds())),
		}
		for _, id := range group {
			request.Ids = append(request.Ids, api.NewIDUUID(id))
		}
		err := x.call(ctx, readTimeout, "look for points", func(ctx context.Context) error {
			points, err := x.client.Get(ctx, request)
			for _, p := range points {
				there[p.GetId().GetUuid()] = true
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return there, nil
}

// point makes the point of a chunk.
func (w *writer) point(ctx context.Context, p place) (*api.PointStruct, error) {
	f := w.files[p.file]
	if err := w.read(ctx, f); err != nil {
		return nil, fmt.Errorf("read what is known of %.200q: %w", f.Path, err)
	}
	if p.ordinal >= len(w.content.chunks) || p.ordinal >= len(w.content.vectors) {
		return nil, fmt.Errorf("%.200q has no chunk %d", f.Path, p.ordinal)
	}
	c := w.content.chunks[p.ordinal]
	payload := map[string]any{
		fieldTenant: w.scope.Owner, fieldRepository: w.scope.Repository, fieldFile: f.Key.String(), fieldOrdinal: p.ordinal,
		fieldPath: f.Path, fieldLanguage: f.Language,
	}
	if d := c.Definition; d >= 0 && d < len(w.content.definitions) {
		payload[fieldKind], payload[fieldName] = kindName(w.content.definitions[d].Kind), retrieval.CutText(w.content.definitions[d].Qualified, maxName)
	}
	values, err := api.TryValueMap(payload)
	if err != nil {
		return nil, fmt.Errorf("%.200q: %w", f.Path, err)
	}
	return &api.PointStruct{
		Id: api.NewIDUUID(pointID(w.scope, f.Key, p.ordinal)), Payload: values,
		Vectors: api.NewVectorsMap(vectors(w.content.vectors[p.ordinal], chunkTerms(f.Path, c, w.content.definitions))),
	}, nil
}

// vectors of a point: one that is empty has none.
func vectors(dense retrieval.Quantised, terms sparse) map[string]*api.Vector {
	all := map[string]*api.Vector{}
	if len(dense.Components) > 0 && dense.Scale != 0 {
		row := make([]float32, retrieval.Dimensions)
		dense.Into(row)
		all[vectorHash] = api.NewVectorDense(row)
	}
	if len(terms.indices) > 0 {
		all[vectorTerms] = api.NewVectorSparse(terms.indices, terms.values)
	}
	return all
}

// read reads a content, unless it was the last one.
func (w *writer) read(ctx context.Context, f retrieval.File) (err error) {
	if w.contentOf == f.Parse {
		return nil
	}
	var c content
	if c.definitions, err = w.codes.Definitions(ctx, f.Parse); err != nil {
		return err
	}
	if c.chunks, err = w.codes.Chunks(ctx, f.Parse); err != nil {
		return err
	}
	err = w.codes.Vectors(ctx, []int64{f.Parse}, func(_ int64, vectors []retrieval.Quantised) error {
		c.vectors = vectors
		return nil
	})
	w.content, w.contentOf = c, f.Parse
	if err != nil {
		w.contentOf = -1
	}
	return err
}

// kindName is what a kind is called in a point.
func kindName(k retrieval.Kind) string { return fmt.Sprintf("%d", k) }

// Delete implements retrieval.Rankings.
func (x *Index) Delete(ctx context.Context, scope retrieval.Scope, files []retrieval.FileKey) error {
	for group := range slices.Chunk(files, batch) {
		keys := make([]string, len(group))
		for i, k := range group {
			keys[i] = k.String()
		}
		err := x.call(ctx, writeTimeout, "delete points", func(ctx context.Context) error {
			_, err := x.client.Delete(ctx, &api.DeletePoints{
				CollectionName: x.alias, Wait: new(true),
				Points: api.NewPointsSelectorFilter(within(scope, api.NewMatchKeywords(fieldFile, keys...))),
			})
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Files implements retrieval.Rankings.
func (x *Index) Files(ctx context.Context, scope retrieval.Scope) ([]retrieval.FileKey, error) {
	found := map[retrieval.FileKey]bool{}
	request := &api.ScrollPoints{
		CollectionName: x.alias, Filter: within(scope), Limit: new(uint32(scrollPage)),
		WithPayload: api.NewWithPayloadInclude(fieldFile), WithVectors: api.NewWithVectors(false),
	}
	for {
		var next *api.PointId
		err := x.call(ctx, readTimeout, "list points", func(ctx context.Context) error {
			points, offset, err := x.client.ScrollAndOffset(ctx, request)
			for _, p := range points {
				if key, ok := retrieval.ParseFileKey(p.GetPayload()[fieldFile].GetStringValue()); ok {
					found[key] = true
				}
			}
			next = offset
			return err
		})
		if err != nil {
			return nil, err
		}
		if next == nil {
			return slices.Collect(maps.Keys(found)), nil
		}
		request.Offset = next
	}
}

// Holds implements retrieval.Rankings. Of each file it looks for the first chunk and the last: they are written in order.
func (x *Index) Holds(ctx context.Context, scope retrieval.Scope, files []retrieval.File) (bool, error) {
	var ids []string
	for _, f := range files {
		if f.Chunks > 0 {
			ids = append(ids, pointID(scope, f.Key, 0))
		}
		if f.Chunks > 1 {
			ids = append(ids, pointID(scope, f.Key, f.Chunks-1))
		}
	}
	there, err := x.there(ctx, ids)
	return len(there) == len(ids), err
}
