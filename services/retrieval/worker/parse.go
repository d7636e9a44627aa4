package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"witan.dev/internal/job"
	"witan.dev/internal/job/engine"
	"witan.dev/services/retrieval"
)

// bytesInMemory bounds the contents that are parsed together; a tree costs about 16 times as much in the parser.
const bytesInMemory = 8 << 20

// batchResult is the stored result of a step parse/<n>.
type batchResult struct {
	// Files of the batch, and those of them that were parsed.
	Files    int              `json:"files"`
	Parsed   int              `json:"parsed"`
	Statuses map[string]int64 `json:"statuses,omitempty"`
}

// parseBatch parses the files of a batch that are not known yet, stores what was found and reports it.
func (b *build) parseBatch(l listing, n int) func(ctx context.Context) (batchResult, *engine.Failure, error) {
	return func(ctx context.Context) (batchResult, *engine.Failure, error) {
		files, err := b.store.Batch(ctx, b.index.ID, l.Version, n)
		if err != nil {
			return batchResult{}, nil, fmt.Errorf("read batch %d: %w", n, err)
		}
		p := &parsing{build: b, version: l.Version, result: batchResult{Files: len(files), Statuses: map[string]int64{}}}
		if err := p.unknown(ctx, files); err != nil {
			if errors.Is(err, errParser) && ctx.Err() == nil {
				return batchResult{}, unavailable(err), nil
			}
			failure, err := sourceFailure(err)
			return batchResult{}, failure, err
		}
		if err := b.store.PutFiles(ctx, l.Version, files); err != nil {
			return batchResult{}, nil, err
		}
		return p.result, nil, b.reportParsed(ctx, l, n, p.result)
	}
}

func (b *build) reportParsed(ctx context.Context, l listing, n int, r batchResult) error {
	done := min((n+1)*retrieval.BatchFiles, l.Staging.New)
	payload, err := encode(parsed(done, l.Staging.New, r.Statuses))
	if err != nil {
		return err
	}
	known := l.Staging.Files - l.Staging.New
	return b.run.Commit(ctx, job.Update{
		Stage: "parse", Progress: &job.Progress{Done: int64(known + done), Total: int64(l.Staging.Files), Unit: "files"},
		Events: []job.NewEvent{{Key: fmt.Sprintf("parse/%d/parsed/0", n), Type: typeParsed, Payload: payload}},
	})
}

// errParser marks errors of the parser, which may be away for a moment.
var errParser = errors.New("the parser did not answer")

// parsing is one execution of a batch.
type parsing struct {
	*build

	version string
	result  batchResult
}

// unknown parses those files whose content is not known. A content that was being parsed when the process ended is
// parsed alone, and one that was being parsed alone then is never tried again: the parser is C code, and a content that
// kills it would kill the resumed job for ever.
func (p *parsing) unknown(ctx context.Context, files []retrieval.Staged) error {
	todo, keys := distinct(files)
	if len(todo) == 0 {
		return nil
	}
	before, err := p.store.BeginParsing(ctx, p.index.ID, p.version, keys)
	if err != nil {
		return fmt.Errorf("write down what is parsed: %w", err)
	}
	blobs, err := p.trees.OpenBlobs(ctx, p.index.Source)
	if err != nil {
		return err
	}
	defer func() { _ = blobs.Close() }()
	var together []retrieval.Staged
	for _, f := range todo {
		switch before[f.BlobKey] {
		case 0:
			together = append(together, f)
		case 1:
			err = p.alone(ctx, blobs, f)
		default:
			err = p.crashed(ctx, f)
		}
		if err != nil {
			return p.giveBack(ctx, keys, err)
		}
	}
	if err := p.together(ctx, blobs, together); err != nil {
		return p.giveBack(ctx, keys, err)
	}
	return nil
}

// distinct returns one file for each content that is not known.
func distinct(files []retrieval.Staged) (todo []retrieval.Staged, keys []retrieval.BlobKey) {
	seen := map[retrieval.BlobKey]bool{}
	for _, f := range files {
		if !f.Parsed && !seen[f.BlobKey] {
			seen[f.BlobKey] = true
			todo, keys = append(todo, f), append(keys, f.BlobKey)
		}
	}
	return todo, keys
}

// giveBack ends the parsing of what was written down: the process lives, so none of it was its end.
func (p *parsing) giveBack(ctx context.Context, keys []retrieval.BlobKey, cause error) error {
	return errors.Join(cause, p.store.EndParsing(context.WithoutCancel(ctx), p.index.ID, p.version, keys))
}

func (p *parsing) alone(ctx context.Context, blobs retrieval.Blobs, f retrieval.Staged) error {
	if err := p.store.BeginAlone(ctx, p.index.ID, p.version, f.BlobKey); err != nil {
		return err
	}
	return p.together(ctx, blobs, []retrieval.Staged{f})
}

func (p *parsing) crashed(ctx context.Context, f retrieval.Staged) error {
	p.logger.ErrorContext(ctx, "content that ended the process twice is left out", "blob", f.Blob, "job_id", p.run.Job().ID)
	p.result.Statuses[retrieval.StatusCrashed]++
	return p.store.PutParsed(ctx, p.version, []retrieval.Parsed{{
		BlobKey: f.BlobKey, Status: retrieval.StatusCrashed, LeftOut: retrieval.LeftOutCrashed, Bytes: f.Size,
	}})
}

// together reads and parses files, as many at a time as memory allows.
func (p *parsing) together(ctx context.Context, blobs retrieval.Blobs, files []retrieval.Staged) error {
	for len(files) > 0 {
		var (
			contents []retrieval.Content
			size     int
			missing  []retrieval.Parsed
		)
		for len(files) > 0 && size < bytesInMemory {
			f := files[0]
			files = files[1:]
			content, err := blobs.Read(f.Blob, retrieval.MaxFileBytes)
			switch {
			case errors.Is(err, retrieval.ErrBlobMissing):
				missing = append(missing, retrieval.Parsed{BlobKey: f.BlobKey, LeftOut: retrieval.LeftOutMissing})
			case errors.Is(err, retrieval.ErrBlobTooLarge):
				missing = append(missing, retrieval.Parsed{BlobKey: f.BlobKey, LeftOut: retrieval.LeftOutTooLarge})
			case err != nil:
				return err
			default:
				contents = append(contents, retrieval.Content{BlobKey: f.BlobKey, Path: strings.Trim(f.Path, `"`), Bytes: content})
				size += len(content)
			}
		}
		if err := p.parse(ctx, contents, missing); err != nil {
			return err
		}
	}
	return nil
}

func (p *parsing) parse(ctx context.Context, contents []retrieval.Content, results []retrieval.Parsed) error {
	err := p.parser.Parse(ctx, contents, func(r retrieval.Parsed) error {
		retrieval.Vectorise(&r)
		results = append(results, r)
		if r.Status != "OK" {
			p.result.Statuses[r.Status]++
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%w: %w", errParser, err)
	}
	p.result.Parsed += len(contents)
	return p.store.PutParsed(ctx, p.version, results)
}
