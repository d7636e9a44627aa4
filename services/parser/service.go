package parser

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
)

// Service parses files. It may be shared by goroutines.
type Service struct {
	detector  Detector
	extractor Extractor
	logger    *slog.Logger
}

// NewService returns a service over the two adapters.
func NewService(detector Detector, extractor Extractor, logger *slog.Logger) *Service {
	return &Service{detector: detector, extractor: extractor, logger: logger}
}

// Languages lists the languages with a grammar, by name.
func (s *Service) Languages() []Language { return s.extractor.Languages() }

// Check returns ErrLanguageUnknown when a request names a language without a grammar.
func (s *Service) Check(request Request) error {
	if request.Language == "" {
		return nil
	}
	name := strings.ToLower(request.Language)
	if slices.ContainsFunc(s.extractor.Languages(), func(l Language) bool { return l.Name == name }) {
		return nil
	}
	return ErrLanguageUnknown.With("language", CleanText([]byte(request.Language), MaxName))
}

// Parse reads one file. Result.Status says how much of the file was understood. Errors are ErrLanguageUnknown and that of
// a context that ended before the work began.
func (s *Service) Parse(ctx context.Context, request Request) (Result, error) {
	if err := s.Check(request); err != nil {
		return Result{}, err
	}
	want := request.Want.orDefault()
	detection := s.detector.Detect(request.Path, request.Content)
	if request.Language != "" {
		detection.Language = strings.ToLower(request.Language)
	}
	digest := sha256.Sum256(request.Content)
	result := Result{
		SHA256:    hex.EncodeToString(digest[:]),
		Language:  detection.Language,
		Generated: detection.Generated,
		Vendored:  detection.Vendored,
		LockFile:  detection.LockFile,
		Test:      detection.Test,
	}
	lines := NewLines(request.Content)
	extraction, status, err := s.extract(ctx, request, want, detection, lines)
	if err != nil {
		return Result{}, err
	}
	result.Status = status
	if want.Chunks && status != StatusBinary {
		chunks, truncated := cut(request.Content, lines, extraction.Definitions, extraction.Borders)
		result.Chunks = chunks
		extraction.Truncated = extraction.Truncated || truncated
	}
	result.Enclosing = enclose(lines, extraction.Definitions, request.Enclosing)
	return result.with(extraction, want, len(request.Content)), nil
}

// extract runs the extractor where that makes sense. Without a tree the extraction holds borders for line chunks.
func (s *Service) extract(
	ctx context.Context, request Request, want Want, d Detection, lines *Lines,
) (Extraction, Status, error) {
	byLine := func(status Status) (Extraction, Status, error) {
		if status == StatusBinary || !want.Chunks {
			return Extraction{}, status, nil
		}
		return Extraction{Borders: lineBorders(request.Content, lines)}, status, nil
	}
	switch {
	case d.Binary:
		return byLine(StatusBinary)
	case len(request.Content) > MaxContent:
		return byLine(StatusTooLarge)
	}
	extraction, err := s.guarded(ctx, Source{
		Language: d.Language, Path: request.Path, Content: request.Content, Lines: lines, References: want.References,
	})
	switch {
	case errors.Is(err, ErrNoGrammar):
		return byLine(StatusNoGrammar)
	case errors.Is(err, ErrTimeout):
		return byLine(StatusTimeout)
	case err != nil && ctx.Err() != nil:
		return Extraction{}, StatusUnknown, err
	case err != nil:
		s.logger.ErrorContext(ctx, "extraction failed", "language", d.Language, "error", err)
		return byLine(StatusCrashed)
	}
	return extraction, StatusOK, nil
}

// guarded turns a panic over one file into an error: hostile content must not take the process with it.
func (s *Service) guarded(ctx context.Context, source Source) (extraction Extraction, err error) {
	defer func() {
		if r := recover(); r != nil {
			extraction, err = Extraction{}, fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return s.extractor.Extract(ctx, source)
}

// with fills in what was asked for, and raises StatusOK to what the extraction says.
func (r Result) with(e Extraction, want Want, size int) Result {
	if want.References {
		r.References = e.References
	}
	if want.Definitions {
		r.Definitions = e.Definitions
	} else {
		r.forgetDefinitions()
	}
	if want.Imports {
		r.Imports = e.Imports
	}
	r.Errors = e.Errors
	e.Truncated = r.cutTexts() || e.Truncated
	if size > 0 {
		r.ErrorShare = min(1, float64(e.ErrorBytes)/float64(size))
	}
	switch {
	case r.Status != StatusOK && r.Status != StatusErrors:
	case e.Truncated:
		r.Status = StatusTruncated
	case len(e.Errors) > 0:
		r.Status = StatusErrors
	}
	return r
}

// forgetDefinitions removes the indexes of definitions that the result does not list.
func (r *Result) forgetDefinitions() {
	for i := range r.References {
		r.References[i].Enclosing = NoDefinition
	}
	for i := range r.Chunks {
		r.Chunks[i].Definition = NoDefinition
	}
	for i := range r.Enclosing {
		r.Enclosing[i].Definitions = nil
	}
}

// cutTexts keeps a result below maxResultBytes: signatures and documentation go first, then the last references.
func (r *Result) cutTexts() (cut bool) {
	size := 0
	for i := range r.Definitions {
		d := &r.Definitions[i]
		size += definitionBytes + len(d.Name) + len(d.QualifiedName)
		if texts := len(d.Signature) + len(d.Doc); size+texts <= maxResultBytes/2 {
			size += texts
		} else {
			d.Signature, d.Doc, cut = "", "", true
		}
	}
	for i := range r.References {
		size += referenceBytes + len(r.References[i].Name) + len(r.References[i].Qualifier)
		if size > maxResultBytes {
			r.References = r.References[:i]
			return true
		}
	}
	return cut
}
