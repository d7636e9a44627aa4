package worker

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"witan.dev/internal/job"
	"witan.dev/internal/job/engine"
	"witan.dev/services/retrieval"
	"witan.dev/services/retrieval/graph"
)

// edgesPerWrite is how many files' edges are handed to the store at a time.
const edgesPerWrite = 500

// graph joins the references of the view to its definitions.
func (b *build) graph(l listing) func(ctx context.Context) (retrieval.Counts, *engine.Failure, error) {
	return func(ctx context.Context) (retrieval.Counts, *engine.Failure, error) {
		files, inside, err := b.store.StagedView(ctx, b.index.ID, l.Version)
		if err != nil {
			return retrieval.Counts{}, nil, fmt.Errorf("read the view: %w", err)
		}
		if err := b.run.Commit(ctx, job.Update{Stage: "graph"}); err != nil {
			return retrieval.Counts{}, nil, err
		}
		counts := retrieval.Counts{Files: int64(len(files)), Edges: map[string]int64{}, LeftOut: leftOut(l.LeftOut, inside)}
		if err := b.join(ctx, files, &counts); err != nil {
			return retrieval.Counts{}, nil, err
		}
		payload, err := encode(graphBuilt(counts))
		if err != nil {
			return retrieval.Counts{}, nil, err
		}
		return counts, nil, b.run.Append(ctx, job.NewEvent{Key: "graph/graph_built/0", Type: typeGraphBuilt, Payload: payload})
	}
}

// join computes the edges of every file and stores them from both sides.
func (b *build) join(ctx context.Context, files []retrieval.File, counts *retrieval.Counts) error {
	sources, err := b.sources(ctx, files)
	if err != nil {
		return err
	}
	for _, s := range sources {
		counts.Bytes += s.Bytes
		counts.Definitions += int64(len(s.Definitions))
	}
	g := graph.New(sources)
	edges := make(map[int64]retrieval.FileEdges, len(files))
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		references, err := b.store.References(ctx, f.Parse)
		if err != nil {
			return fmt.Errorf("references of %s: %w", f.Path, err)
		}
		counts.References += int64(len(references))
		addEdges(edges, counts, f.ID, g.Edges(f.ID, references))
	}
	return b.storeEdges(ctx, files, edges)
}

func addEdges(edges map[int64]retrieval.FileEdges, counts *retrieval.Counts, file int64, outgoing []retrieval.Edge) {
	own := edges[file]
	own.Outgoing = outgoing
	edges[file] = own
	for _, e := range outgoing {
		counts.Edges[e.Grade.String()]++
		target := edges[e.File]
		target.Incoming = append(target.Incoming, retrieval.Edge{From: e.To, File: file, To: e.From, Grade: e.Grade})
		edges[e.File] = target
	}
}

func (b *build) storeEdges(ctx context.Context, files []retrieval.File, edges map[int64]retrieval.FileEdges) error {
	for part := range slices.Chunk(files, edgesPerWrite) {
		portion := make(map[int64]retrieval.FileEdges, len(part))
		for _, f := range part {
			e := edges[f.ID]
			slices.SortStableFunc(e.Incoming, func(a, b retrieval.Edge) int { return a.From - b.From })
			portion[f.ID] = e
		}
		if err := b.store.PutEdges(ctx, b.fence, b.index.ID, portion); err != nil {
			return err
		}
	}
	return nil
}

// sources reads what the graph needs of every file.
func (b *build) sources(ctx context.Context, files []retrieval.File) ([]graph.Source, error) {
	sources := make([]graph.Source, 0, len(files))
	for _, f := range files {
		definitions, err := b.store.Definitions(ctx, f.Parse)
		if err != nil {
			return nil, fmt.Errorf("definitions of %s: %w", f.Path, err)
		}
		imports, err := b.store.Imports(ctx, f.Parse)
		if err != nil {
			return nil, fmt.Errorf("imports of %s: %w", f.Path, err)
		}
		s := graph.Source{File: f, Definitions: definitions, Imports: imports}
		if graph.IsManifest(f.Path) {
			if s.Text, err = b.text(ctx, f.Parse); err != nil {
				return nil, err
			}
		}
		sources = append(sources, s)
	}
	return sources, nil
}

func (b *build) text(ctx context.Context, parse int64) (string, error) {
	chunks, err := b.store.Chunks(ctx, parse)
	if err != nil {
		return "", fmt.Errorf("read a manifest: %w", err)
	}
	var text strings.Builder
	for _, c := range chunks {
		text.WriteString(c.Text)
	}
	return text.String(), nil
}
