package peers

import (
	"context"
	"fmt"
	"math"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	retrievalv1 "witan.dev/gen/witan/retrieval/v1"
	typev1 "witan.dev/gen/witan/type/v1"
	"witan.dev/internal/diff"
	"witan.dev/services/review"
)

// Index is a review.Index over gRPC. Safe for concurrent use.
type Index struct {
	client retrievalv1.RetrievalServiceClient
}

var (
	_ review.Index   = (*Index)(nil)
	_ review.Indexes = (*Index)(nil)
)

// labelTip tells indexes of tips of default branches from those of reviews. It is stored: it never changes.
const labelTip = "tip"

// NewIndex returns an index that is reached over the connection.
func NewIndex(conn grpc.ClientConnInterface) *Index {
	return &Index{client: retrievalv1.NewRetrievalServiceClient(conn)}
}

// Build implements review.Index.
func (x *Index) Build(ctx context.Context, s review.IndexSource) (index, job string, err error) {
	asked := &retrievalv1.Index{Repository: s.Repository, BaseIndex: s.BaseIndex, ParentJob: s.ParentJob}
	if s.Snapshot != "" {
		asked.Source = &retrievalv1.Index_SnapshotBlob{SnapshotBlob: s.Snapshot}
	} else {
		asked.Source = &retrievalv1.Index_GitTree{GitTree: &retrievalv1.GitTree{Dir: s.GitDir, ObjectDirs: s.ObjectDirs, ObjectId: s.Tree}}
	}
	if s.Tip {
		asked.Labels = map[string]string{labelTip: "true"}
	}
	built, err := x.client.CreateIndex(ctx, &retrievalv1.CreateIndexRequest{RequestId: s.RequestID, Index: asked})
	if err != nil {
		return "", "", callError(ctx, "create index", err)
	}
	return built.GetName(), built.GetJob(), nil
}

// Bounds of one call of Remove: how many indexes it removes at most, and looks at together.
const (
	removeMost = 500
	removePage = 200
)

// Discard implements review.Indexes.
func (x *Index) Discard(ctx context.Context, indexes ...string) ([]string, error) {
	var unfinished []string
	for _, name := range indexes {
		index, err := x.client.GetIndex(ctx, &retrievalv1.GetIndexRequest{Name: name})
		if status.Code(err) == codes.NotFound {
			continue
		}
		if err != nil {
			return unfinished, callError(ctx, "get an index", err)
		}
		if index.GetLabels()[labelTip] == "" {
			continue
		}
		stays, err := x.remove(ctx, index)
		if err != nil {
			return unfinished, err
		}
		if stays {
			unfinished = append(unfinished, index.GetJob())
		}
	}
	return unfinished, nil
}

// Remove implements review.Indexes. It lists before it removes, so that no page depends on what is gone.
func (x *Index) Remove(ctx context.Context, repository string, before time.Time) ([]string, bool, error) {
	var doomed []*retrievalv1.Index
	request := &retrievalv1.ListIndexesRequest{Repository: repository, PageSize: removePage}
	for {
		page, err := x.client.ListIndexes(ctx, request)
		if err != nil {
			return nil, false, callError(ctx, "list indexes", err)
		}
		for _, index := range page.GetIndexes() {
			if index.GetCreateTime().AsTime().Before(before) {
				doomed = append(doomed, index)
			}
		}
		if request.PageToken = page.GetNextPageToken(); request.GetPageToken() == "" || len(doomed) >= removeMost {
			break
		}
	}
	var unfinished []string
	for _, index := range doomed {
		stays, err := x.remove(ctx, index)
		if err != nil {
			return nil, false, err
		}
		if stays {
			unfinished = append(unfinished, index.GetJob())
		}
	}
	return unfinished, request.GetPageToken() != "", nil
}

// remove removes an index, unless a job stands in the way: its own, or that of the review that had it made.
func (x *Index) remove(ctx context.Context, index *retrievalv1.Index) (stays bool, err error) {
	_, err = x.client.DeleteIndex(ctx, &retrievalv1.DeleteIndexRequest{Name: index.GetName()})
	switch status.Code(err) {
	case codes.OK, codes.NotFound:
		return false, nil
	case codes.FailedPrecondition:
		return true, nil
	default:
		return false, callError(ctx, "delete an index", err)
	}
}

// Related implements review.Index. Places of paths that are not UTF-8 have no relations: the index cannot name them. An index
// that was removed meanwhile cannot be asked.
func (x *Index) Related(
	ctx context.Context, index string, place review.Place, limit int, relations ...review.Relation,
) (review.Related, error) {
	request := &retrievalv1.GetRelatedRequest{
		Index: index, LimitPerRelation: line(limit), OmitText: true,
		Target: &retrievalv1.GetRelatedRequest_Place{Place: &retrievalv1.Place{
			Path: diff.DisplayPath(place.Path), Name: place.Name,
			Lines: &typev1.LineRange{StartLine: line(max(place.StartLine, 1)), EndLine: line(max(place.EndLine, place.StartLine, 1))},
		}},
	}
	for _, r := range relations {
		relation, ok := retrievalv1.Piece_Relation_value[string(r)]
		if !ok {
			return review.Related{}, fmt.Errorf("unknown relation %q", r)
		}
		request.Relations = append(request.Relations, retrievalv1.Piece_Relation(relation))
	}
	answer, err := x.client.GetRelated(ctx, request)
	if status.Code(err) == codes.NotFound {
		return review.Related{}, fmt.Errorf("get related code: %w: %w", review.ErrUnavailable, err)
	}
	if err != nil {
		return review.Related{}, callError(ctx, "get related code", err)
	}
	out := review.Related{Pieces: make([]review.Piece, 0, len(answer.GetPieces())), Degraded: answer.GetDegraded()}
	for _, p := range answer.GetPieces() {
		out.Pieces = append(out.Pieces, piece(p))
	}
	return out, nil
}

func piece(p *retrievalv1.Piece) review.Piece {
	return review.Piece{
		Relation: review.Relation(p.GetRelation().String()), Grade: grade(p.GetGrade()), Symbol: p.GetSymbol(), Text: p.GetText(), Why: p.GetWhy(),
		Place: review.Place{
			Path: p.GetPath(), StartLine: int(p.GetLines().GetStartLine()), EndLine: int(p.GetLines().GetEndLine()), Name: p.GetName(),
		},
	}
}

func grade(g typev1.Grade) review.Grade {
	switch g {
	case typev1.Grade_GRADE_SAME_FILE:
		return review.GradeSameFile
	case typev1.Grade_GRADE_IMPORTED:
		return review.GradeImported
	case typev1.Grade_GRADE_UNIQUE:
		return review.GradeUnique
	case typev1.Grade_GRADE_AMBIGUOUS:
		return review.GradeAmbiguous
	case typev1.Grade_GRADE_UNSPECIFIED:
	}
	return ""
}

// line brings a count or line into a message.
func line(n int) int32 { return int32(min(max(n, 0), math.MaxInt32)) }

func line64(n int64) int32 { return int32(min(max(n, 0), math.MaxInt32)) }
