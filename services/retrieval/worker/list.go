package worker

import (
	"context"
	"fmt"
	"maps"

	"witan.dev/internal/job"
	"witan.dev/internal/job/engine"
	"witan.dev/services/retrieval"
)

// listing is the stored result of the step list.
type listing struct {
	// Version is the parser's for the whole build.
	Version string            `json:"version"`
	Staging retrieval.Staging `json:"staging"`
	// Files and Bytes of the tree, and what was left out by path, by reason.
	Files   int64            `json:"files"`
	Bytes   int64            `json:"bytes"`
	LeftOut map[string]int64 `json:"left_out"`
}

// list reads the tree, stages what belongs into the index and tells how much of it is new.
func (b *build) list(ctx context.Context) (listing, *engine.Failure, error) {
	version, err := b.parser.Version(ctx)
	if err != nil {
		return listing{}, unavailable(err), nil
	}
	l := listing{Version: version, LeftOut: map[string]int64{}}
	var files []retrieval.Entry
	staged := int64(0)
	err = b.trees.List(ctx, b.index.Source, b.index.Tree, func(e retrieval.Entry) error {
		l.Files++
		l.Bytes += e.Size
		reason := retrieval.LeftOutByPath(e)
		if reason == "" && (len(files) == retrieval.MaxFiles || staged+e.Size > retrieval.MaxBytes) {
			reason = retrieval.LeftOutLimit
		}
		if reason != "" {
			l.LeftOut[reason]++
			return nil
		}
		files = append(files, e)
		staged += e.Size
		return nil
	})
	if err != nil {
		failure, err := sourceFailure(err)
		return listing{}, failure, err
	}
	if l.Staging, err = b.store.Stage(ctx, b.fence, b.index.ID, version, files); err != nil {
		return listing{}, nil, fmt.Errorf("stage the tree: %w", err)
	}
	return l, nil, b.reportListed(ctx, l)
}

func (b *build) reportListed(ctx context.Context, l listing) error {
	payload, err := encode(listed(l))
	if err != nil {
		return err
	}
	return b.run.Commit(ctx, job.Update{
		Stage: "parse", Progress: &job.Progress{Done: int64(l.Staging.Files - l.Staging.New), Total: int64(l.Staging.Files), Unit: "files"},
		Events: []job.NewEvent{{Key: "list/listed/0", Type: typeListed, Payload: payload}},
	})
}

// leftOut joins counts by reason.
func leftOut(parts ...map[string]int64) map[string]int64 {
	all := map[string]int64{}
	for _, p := range parts {
		for reason, n := range maps.All(p) {
			all[reason] += n
		}
	}
	return all
}
