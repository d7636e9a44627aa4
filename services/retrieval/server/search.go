package server

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/bmatcuk/doublestar/v4"

	retrievalv1 "witan.dev/gen/witan/retrieval/v1"
	typev1 "witan.dev/gen/witan/type/v1"
	"witan.dev/internal/apierr"
	"witan.dev/internal/auth"
	"witan.dev/services/retrieval"
	"witan.dev/services/retrieval/messages"
)

// Defaults of a search and of a question for related code.
const (
	defaultHits   = 10
	defaultPieces = 20
)

// Search finds chunks by words.
func (s *Server) Search(ctx context.Context, request *retrievalv1.SearchRequest) (*retrievalv1.SearchResponse, error) {
	for i, p := range request.GetPaths() {
		if !doublestar.ValidatePattern(p) {
			return nil, apierr.Invalid(apierr.ReasonInvalidRequest, "a path is no glob").Field(fmt.Sprintf("paths[%d]", i), "not a glob")
		}
	}
	query := retrieval.SearchQuery{
		Index: messages.ID(request.GetIndex()), Owner: auth.Owner(ctx), Text: request.GetQuery(),
		Limit: cmp.Or(int(request.GetLimit()), defaultHits), File: fileFilter(request), Languages: request.GetLanguages(), Mode: mode(request.GetMode()),
	}
	for _, k := range request.GetKinds() {
		query.Kinds = append(query.Kinds, retrieval.Kind(k)) //nolint:gosec // an enum of 13 values
	}
	found, err := s.p.Library.Search(ctx, query)
	if err != nil {
		return nil, err
	}
	response := &retrievalv1.SearchResponse{ListsUsed: found.Lists, Degraded: found.Degraded}
	for _, h := range found.Hits {
		response.Hits = append(response.Hits, messages.Hit(h))
	}
	return response, nil
}

func mode(m retrievalv1.SearchRequest_Mode) retrieval.Mode {
	switch m {
	case retrievalv1.SearchRequest_LEXICAL:
		return retrieval.ModeLexical
	case retrievalv1.SearchRequest_DENSE:
		return retrieval.ModeDense
	case retrievalv1.SearchRequest_MODE_UNSPECIFIED, retrievalv1.SearchRequest_AUTO:
	}
	return retrieval.ModeAuto
}

// fileFilter is nil when the request does not restrict the files.
func fileFilter(request *retrievalv1.SearchRequest) func(retrieval.File) bool {
	paths, languages := request.GetPaths(), request.GetLanguages()
	if len(paths) == 0 && len(languages) == 0 {
		return nil
	}
	return func(f retrieval.File) bool {
		if len(languages) > 0 && !slices.Contains(languages, f.Language) {
			return false
		}
		matches := func(pattern string) bool { return doublestar.MatchUnvalidated(pattern, f.Path) }
		return len(paths) == 0 || slices.ContainsFunc(paths, matches)
	}
}

// GetRelated finds the code around a symbol or place.
func (s *Server) GetRelated(ctx context.Context, request *retrievalv1.GetRelatedRequest) (*retrievalv1.GetRelatedResponse, error) {
	query := retrieval.RelatedQuery{
		Index: messages.ID(request.GetIndex()), Owner: auth.Owner(ctx), Symbol: request.GetSymbol(),
		Relations: relations(request.GetRelations()), Limit: cmp.Or(int(request.GetLimitPerRelation()), defaultPieces),
		Tokens: int(request.GetTokenBudget()), OmitText: request.GetOmitText(),
	}
	if place := request.GetPlace(); place != nil {
		query.Path, query.Name, query.Lines = place.GetPath(), place.GetName(), lines(place.GetLines())
	}
	related, err := s.p.Library.Related(ctx, query)
	if err != nil {
		return nil, err
	}
	response := &retrievalv1.GetRelatedResponse{Degraded: related.Degraded, Incomplete: make(map[string]string, len(related.Incomplete))}
	for relation, why := range related.Incomplete {
		response.Incomplete[string(relation)] = why
	}
	for _, p := range related.Pieces {
		response.Pieces = append(response.Pieces, messages.Piece(p))
	}
	return response, nil
}

func lines(l *typev1.LineRange) retrieval.Lines {
	return retrieval.Lines{Start: int(l.GetStartLine()), End: int(l.GetEndLine())}
}

// relations are those of the request, each once, or all.
func relations(asked []retrievalv1.Piece_Relation) []retrieval.Relation {
	if len(asked) == 0 {
		return retrieval.Relations()
	}
	var wanted []retrieval.Relation
	for _, r := range asked {
		if relation := retrieval.Relation(r.String()); !slices.Contains(wanted, relation) {
			wanted = append(wanted, relation)
		}
	}
	return wanted
}
