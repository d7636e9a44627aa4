package worker

import (
	"cmp"
	"context"
	"strings"

	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/job/engine"
	"witan.dev/services/review"
	"witan.dev/services/review/reviewers/secrets"
	"witan.dev/services/review/wire"
)

// fetched is what the fetch step stores.
type fetched struct {
	Files        int      `json:"files"`
	Index        string   `json:"index,omitempty"`
	IndexJob     string   `json:"index_job,omitempty"`
	BaseIndex    string   `json:"base_index,omitempty"`
	BaseIndexJob string   `json:"base_index_job,omitempty"`
	Notes        []string `json:"notes,omitempty"`
	// Policies are those that the parse told. Without any it is empty; nil is a result of a version that did not store them.
	Policies review.ByPath[review.Reason] `json:"policies"`
}

// fetch reads the change and starts the indexes that somebody will ask.
func (s *session) fetch(got *progress) (*engine.Failure, error) {
	return step(s, stepFetch, &got.fetched, func(ctx context.Context) (fetched, error) {
		in, err := s.load(ctx)
		if err != nil {
			return fetched{}, err
		}
		f := fetched{Files: len(in.Change.Files), Policies: told(in)}
		if s.parseError != nil {
			f.Notes = append(f.Notes, "the parser could not be reached: structure was not checked, the material has no context")
		}
		if s.pathsError != nil {
			f.Notes = append(f.Notes, "the patterns of paths in the repository's configuration were not used: "+s.pathsError.Error())
		}
		proposed, err := s.proposed(ctx, in)
		if err != nil {
			return f, err
		}
		f.Notes = append(f.Notes, proposed...)
		if err := s.index(ctx, in, &f); err != nil {
			return f, err
		}
		event := &reviewv1.Fetched{Files: wire.Number(f.Files), Index: f.Index, BaseIndex: f.BaseIndex}
		for i := range in.Change.Files {
			event.LinesAdded += int64(in.Change.Files[i].Added)
			event.LinesDeleted += int64(in.Change.Files[i].Removed)
		}
		return f, s.log(ctx, stepFetch, "fetched", &reviewv1.ReviewEvent{Event: &reviewv1.ReviewEvent_Fetched{Fetched: event}})
	})
}

// proposed says what is wrong in a configuration that the change itself brings. It has no effect on the review of it: who reads
// the note can mend the file before it counts.
func (s *session) proposed(ctx context.Context, in *review.Inspection) ([]string, error) {
	_, wrong, err := s.settings(ctx, func(_ context.Context, path string) ([]byte, error) {
		f := in.Change.File(path)
		switch {
		case f != nil && f.HasNew:
			return f.New, nil
		case f != nil && len(f.Limits) > 0:
			return nil, review.ErrTooLarge
		}
		return nil, review.ErrNoFile
	})
	if err == nil && len(wrong) == 0 {
		return nil, nil
	}
	var redactor *secrets.Redactor
	if err == nil { // a key may be one
		redactor, err = s.redact(ctx, in)
	}
	if err != nil {
		if fatal(ctx, err) {
			return nil, err
		}
		s.p.Logger.WarnContext(ctx, "the configuration that a change brings was not looked at", "review", string(s.review.ID), "error", err)
		return nil, nil
	}
	return []string{"the .witan.yaml of this change would not be used: " + redactor.Apply(strings.Join(wrong, "; "))}, nil
}

// wantsContext says whether members will be shown the code around the change of a pull request. A council that cannot be
// asked now gets none: the step that convenes it says what becomes of it.
func (s *session) wantsContext(ctx context.Context) bool {
	if s.resolution.Pinned.Source.Kind != review.SourcePull || s.contextTokens() <= 0 {
		return false
	}
	info, err := s.p.Council.Describe(ctx, cmp.Or(s.review.Council, s.resolution.Settings.Council))
	return err == nil && info.Members > 0
}

// index starts the jobs that make both indexes, where a reviewer or the context will ask them.
func (s *session) index(ctx context.Context, in *review.Inspection, f *fetched) error {
	if in.Head == nil || in.New == nil {
		return nil // a patch alone, or the parser is away
	}
	needed := false
	for _, r := range s.builtin() {
		if user, ok := r.(review.IndexUser); ok {
			needed = needed || user.NeedsIndex(*in)
		}
	}
	if !needed && !s.wantsContext(ctx) {
		return nil
	}
	build := s.build
	if s.resolution.Pinned.Source.Kind == review.SourcePull {
		build = s.buildOfSnapshots
	}
	if err := build(ctx, f); err != nil {
		if fatal(ctx, err) {
			return err
		}
		s.p.Logger.WarnContext(ctx, "the review goes on without an index", "review", string(s.review.ID), "error", err)
		*f = fetched{Files: f.Files, Policies: f.Policies, Notes: append(f.Notes, "the code could not be indexed: structure was not checked, the material has less context")}
	}
	return nil
}

// build starts both jobs.
func (s *session) build(ctx context.Context, f *fetched) error {
	p := s.resolution.Pinned
	source := review.IndexSource{
		GitDir: p.GitDir, Tree: p.OldTree, Repository: repositoryName(p), ParentJob: wire.JobName(s.run.Job().ID),
	}
	err := s.start(ctx, stepBase, func(ctx context.Context, requestID string) (err error) {
		source.RequestID = requestID
		f.BaseIndex, f.BaseIndexJob, err = s.p.Index.Build(ctx, source)
		return err
	})
	if err != nil {
		return err
	}
	source.ObjectDirs, source.Tree, source.BaseIndex = p.ObjectDirs, p.NewTree, f.BaseIndex
	return s.start(ctx, stepHead, func(ctx context.Context, requestID string) (err error) {
		source.RequestID = requestID
		f.Index, f.IndexJob, err = s.p.Index.Build(ctx, source)
		return err
	})
}

// The two jobs that the step fetch starts.
const (
	stepBase = stepFetch + "/base"
	stepHead = stepFetch + "/head"
)

// repositoryName is what all reviews of one repository share: the subject without its branch or number.
func repositoryName(p review.Pinned) string {
	border := "/"
	if p.Source.Kind == review.SourcePull {
		border = "#"
	}
	name, _, _ := strings.Cut(p.Subject, border)
	return name
}
