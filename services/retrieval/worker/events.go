package worker

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	retrievalv1 "witan.dev/gen/witan/retrieval/v1"
	"witan.dev/services/retrieval"
	"witan.dev/services/retrieval/messages"
)

// The names of index events: "index." and the field of IndexEvent.
const (
	typeListed        = "index.listed"
	typeParsed        = "index.parsed"
	typeGraphBuilt    = "index.graph_built"
	typeVectorsStored = "index.vectors_stored"
	typeActivated     = "index.activated"
)

// encode gives the same bytes for the same event, since a step that runs again logs it again under the same key.
func encode(event *retrievalv1.IndexEvent) ([]byte, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(event)
	if err != nil {
		return nil, fmt.Errorf("encode an event: %w", err)
	}
	return b, nil
}

func listed(l listing) *retrievalv1.IndexEvent {
	return &retrievalv1.IndexEvent{Event: &retrievalv1.IndexEvent_Listed{Listed: &retrievalv1.Listed{
		Files: l.Files, Bytes: l.Bytes, NewFiles: int64(l.Staging.New), LeftOut: l.LeftOut,
	}}}
}

func parsed(done, total int, statuses map[string]int64) *retrievalv1.IndexEvent {
	return &retrievalv1.IndexEvent{Event: &retrievalv1.IndexEvent_Parsed{Parsed: &retrievalv1.Parsed{
		Done: int64(done), Total: int64(total), Statuses: statuses,
	}}}
}

func graphBuilt(c retrieval.Counts) *retrievalv1.IndexEvent {
	return &retrievalv1.IndexEvent{Event: &retrievalv1.IndexEvent_GraphBuilt{GraphBuilt: &retrievalv1.GraphBuilt{
		Definitions: c.Definitions, References: c.References, Edges: c.Edges,
	}}}
}

func vectorsStored(all, fresh int64) *retrievalv1.IndexEvent {
	return &retrievalv1.IndexEvent{Event: &retrievalv1.IndexEvent_VectorsStored{VectorsStored: &retrievalv1.VectorsStored{
		Vectors: all, NewVectors: fresh,
	}}}
}

func activated(c retrieval.Counts) *retrievalv1.IndexEvent {
	return &retrievalv1.IndexEvent{Event: &retrievalv1.IndexEvent_Activated{Activated: &retrievalv1.Activated{Counts: messages.Counts(c)}}}
}
