package worker

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/blob"
	"witan.dev/internal/job"
	"witan.dev/internal/job/engine"
	"witan.dev/services/review"
	"witan.dev/services/review/patience"
	"witan.dev/services/review/publish"
	"witan.dev/services/review/reviewers/secrets"
	"witan.dev/services/review/wire"
)

// A session is one execution of a review. What it has read of the change stays in memory for the steps to come; after a
// restart it is read again, by the same object IDs.
type session struct {
	*Worker

	run    *job.Run
	review review.Review
	// resolution is what resolve stored. What follows goes by it alone.
	resolution review.Resolution
	// got is what the steps have stored so far. met says that a council may have been convened, now or in an earlier execution.
	got progress
	met bool
	// superseded is the newer review that took this one's place; empty: none.
	superseded job.ID
	patience   *patience.Patience
	// desk is where this execution writes at the forge, opened at the first write; checked says that there is a check run, checkID
	// which one.
	desk    *publish.Desk
	checked bool
	checkID int64
	// free gives the place among the busy reviews back.
	free func()
	// began is when this execution got its place, found how many findings are shown or stored; both are told in the log.
	began time.Time
	found int

	paths      review.PathRules
	pathsError error // why the repository's own patterns are not used
	inspection *review.Inspection
	parseError error // why the changed files were not parsed
	redactor   *secrets.Redactor
	// masked are the changed paths that hold secrets, as they are shown to models.
	masked map[string]string
}

// local is the resolution of a source that is no pull request.
func local(r review.Review) review.Resolution {
	return review.Resolution{Pinned: r.Pinned, Settings: review.DefaultSettings(), Scope: review.ScopeWhole}
}

// load reads the change and parses both sides of its files. Where the parser cannot be reached the inspection has no
// code, and parseError says why.
func (s *session) load(ctx context.Context) (*review.Inspection, error) {
	if s.inspection != nil {
		return s.inspection, nil
	}
	change, err := s.p.Repository.Load(ctx, s.resolution.Pinned)
	if err != nil {
		return nil, err
	}
	if s.paths, err = s.resolution.Settings.Paths(); err != nil {
		s.paths, s.pathsError = review.PathRules{}, err
	}
	in := &review.Inspection{Pinned: s.resolution.Pinned, Change: change}
	if in.Base, in.Head, err = s.p.Repository.Trees(ctx, s.resolution.Pinned); err != nil {
		return nil, err
	}
	if err := s.parse(ctx, in); err != nil {
		if fatal(ctx, err) {
			return nil, err
		}
		s.parseError = err
		in.Old, in.New = nil, nil
	}
	s.paths.Apply(in.Change)
	if told := s.got.fetched.Policies; told != nil {
		apply(told, in)
	} else {
		if err := policies(ctx, in); err != nil {
			return nil, err
		}
	}
	s.inspection = in
	return in, nil
}

// parse fills in the code of both sides of every text file.
func (s *session) parse(ctx context.Context, in *review.Inspection) error {
	var inputs []review.ParseInput
	var old []bool
	add := func(path string, content []byte, isOld bool) {
		if utf8.ValidString(path) {
			inputs, old = append(inputs, review.ParseInput{Path: path, Content: content}), append(old, isOld)
		}
	}
	for i := range in.Change.Files {
		f := &in.Change.Files[i]
		if len(f.Limits) > 0 {
			continue
		}
		if f.HasOld {
			add(f.OldPath, f.Old, true)
		}
		if f.HasNew {
			add(f.Path, f.New, false)
		}
	}
	var code []review.Code
	err := s.patiently(ctx, func(ctx context.Context) (err error) {
		code, err = s.p.Parser.Parse(ctx, inputs)
		return err
	})
	if err != nil {
		return err
	}
	in.Old, in.New = make(map[string]*review.Code), make(map[string]*review.Code)
	for i := range code {
		if old[i] {
			in.Old[inputs[i].Path] = &code[i]
		} else {
			in.New[inputs[i].Path] = &code[i]
		}
	}
	return nil
}

// policies notes which files are generated or vendored. Both sides must be, under both names: a change must not take itself
// out of its own review, be it by a header, by a move, or by the removal of a header. Where there is no old side to trust the
// name must be one that generators choose, and the folder of what is not ours be there before the change.
func policies(ctx context.Context, in *review.Inspection) error {
	roots := map[string]bool{}
	known := func(f *review.File) (bool, error) {
		root := review.VendorRoot(f.Path)
		there, asked := roots[root]
		if f.HasOld || asked || root == "" || in.Base == nil {
			return f.HasOld || there, nil
		}
		there, err := in.Base.HasFolder(ctx, root)
		if err != nil {
			return false, fmt.Errorf("look for %q at the base: %w", root, err)
		}
		roots[root] = there
		return there, nil
	}
	for i := range in.Change.Files {
		f := &in.Change.Files[i]
		var sides []*review.Code
		if f.HasOld {
			sides = append(sides, in.Old[f.OldPath])
		}
		if f.HasNew {
			sides = append(sides, in.New[f.Path])
		}
		all := func(is func(*review.Code) bool) bool {
			return len(sides) > 0 && !slices.ContainsFunc(sides, func(c *review.Code) bool { return c == nil || !is(c) })
		}
		vendored := f.Policy == "" && !f.Metadata() && all(func(c *review.Code) bool { return c.Vendored })
		if vendored {
			var err error
			if vendored, err = known(f); err != nil {
				return err
			}
		}
		switch {
		case f.Policy != "" || f.Metadata():
		case vendored:
			f.Policy = review.ReasonVendored
		case all(func(c *review.Code) bool { return c.Generated }) && (f.HasOld || review.GeneratedName(f.Path)):
			f.Policy = review.ReasonGenerated
		}
	}
	return nil
}

// told are the policies that only the parse can tell.
func told(in *review.Inspection) review.ByPath[review.Reason] {
	out := review.ByPath[review.Reason]{}
	for i := range in.Change.Files {
		if f := &in.Change.Files[i]; f.Policy == review.ReasonVendored || f.Policy == review.ReasonGenerated {
			out[review.Path(f.Path)] = f.Policy
		}
	}
	return out
}

// apply notes the policies that were told when the change was fetched: the parser may be away now, or have been away then,
// and the council read what it was shown.
func apply(told review.ByPath[review.Reason], in *review.Inspection) {
	for i := range in.Change.Files {
		f := &in.Change.Files[i]
		if f.Policy == "" {
			f.Policy = told[review.Path(f.Path)]
		}
	}
}

// redact returns a redactor that knows the secrets of the whole change.
func (s *session) redact(ctx context.Context, in *review.Inspection) (*secrets.Redactor, error) {
	if s.redactor != nil {
		return s.redactor, nil
	}
	r := s.p.Secrets.NewRedactor()
	paths := changedPaths(in.Change)
	if err := r.LearnNames(ctx, paths...); err != nil {
		return nil, err
	}
	for i := range in.Change.Files {
		f := &in.Change.Files[i]
		if f.Metadata() {
			continue
		}
		for _, text := range f.Texts() {
			if err := r.Learn(ctx, secrets.Text{Path: f.Path, Text: text}); err != nil {
				return nil, err
			}
		}
	}
	s.masked = make(map[string]string)
	for _, path := range paths {
		if shown := r.Apply(path); shown != path {
			s.masked[path] = shown
		}
	}
	s.redactor = r
	return r, nil
}

func changedPaths(c *review.Change) []string {
	out := make([]string, 0, len(c.Files))
	for i := range c.Files {
		out = append(out, c.Files[i].Path)
		if f := &c.Files[i]; f.OldPath != f.Path {
			out = append(out, f.OldPath)
		}
	}
	return out
}

// shownPath is a path as models are shown it.
func (s *session) shownPath(path string) string { return cmp.Or(s.masked[path], path) }

// truePath is a path as the repository has it, of what models were shown.
func (s *session) truePath(shown string) string {
	for path, mask := range s.masked {
		if mask == shown {
			return path
		}
	}
	return shown
}

// put stores a value as a blob of the review.
func (s *session) put(ctx context.Context, v any) (string, error) {
	content, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("encode %T: %w", v, err)
	}
	return s.keep(ctx, content)
}

// keep stores content as a blob of the review and returns its name.
func (s *session) keep(ctx context.Context, content []byte) (string, error) {
	ref, err := s.p.Blobs.Put(ctx, s.review.Owner, wire.ReviewName(s.review.ID), bytes.NewReader(content))
	if err != nil {
		return "", fmt.Errorf("keep a blob of review %s: %w", s.review.ID, err)
	}
	return ref.SHA256.String(), nil
}

// get reads a value back.
func (s *session) get(ctx context.Context, sha256 string, v any) error {
	if sha256 == "" {
		return nil
	}
	sum, err := blob.ParseSHA256(sha256)
	if err != nil {
		return err
	}
	content, err := s.p.Blobs.Get(ctx, s.review.Owner, sum)
	if err != nil {
		return fmt.Errorf("read a blob of review %s: %w", s.review.ID, err)
	}
	if err := json.Unmarshal(content, v); err != nil {
		return fmt.Errorf("decode %T: %w", v, err)
	}
	return nil
}

// log appends events of the step. what tells those of one step apart.
func (s *session) log(ctx context.Context, step, what string, events ...*reviewv1.ReviewEvent) error {
	out := make([]job.NewEvent, 0, len(events))
	for i, e := range events {
		event, err := newEvent(fmt.Sprintf("%s/%s/%d", step, what, i), e)
		if err != nil {
			return err
		}
		out = append(out, event)
	}
	return s.run.Append(ctx, out...)
}

func newEvent(key string, e *reviewv1.ReviewEvent) (job.NewEvent, error) {
	payload, err := proto.MarshalOptions{Deterministic: true}.Marshal(e)
	if err != nil {
		return job.NewEvent{}, fmt.Errorf("encode event %s: %w", key, err)
	}
	field := e.ProtoReflect().WhichOneof(e.ProtoReflect().Descriptor().Oneofs().ByName("event"))
	return job.NewEvent{Key: key, Type: "review." + string(field.Name()), Payload: payload}, nil
}

// requestID is the UUIDv5 of <job>/<step>, so that the same step asks for the same thing again, in all attempts of the job.
func (s *session) requestID(step string) string {
	return requestID(string(s.run.Job().ID) + "/" + step)
}

// attemptID is the request ID of what one attempt of the job asks for.
func (s *session) attemptID(step string) string {
	return requestID(fmt.Sprintf("%s~%d/%s", s.run.Job().ID, s.run.Attempt(), step))
}

func requestID(name string) string { return uuid.NewSHA1(uuid.NameSpaceURL, []byte(name)).String() }

// start has another service start a job: the one of an earlier attempt where the same is asked for. Where something else
// is asked for now, because that attempt had no index or no parser, or its job was deleted, another one is started.
func (s *session) start(ctx context.Context, step string, ask func(ctx context.Context, requestID string) error) error {
	err := s.patiently(ctx, func(ctx context.Context) error { return ask(ctx, s.requestID(step)) })
	if s.run.Attempt() == 1 || !errors.Is(err, job.ErrRequestIDReused) && !errors.Is(err, job.ErrDeleted) {
		return err
	}
	return s.patiently(ctx, func(ctx context.Context) error { return ask(ctx, s.attemptID(step)) })
}

// await watches a job that the step started to its end. What an earlier attempt left with less than everything is
// retried first, once an attempt, and again the answers that its journal holds cost nothing.
func (s *session) await(ctx context.Context, name, step string) (review.JobState, error) {
	if err := s.again(ctx, name, step); err != nil {
		return review.JobState{}, err
	}
	state, err := s.wait(ctx, name)
	if err != nil || state.State != string(job.StateCancelled) || s.run.Attempt() == 1 {
		return state, err
	}
	// It may have been stopping still, for the cancellation of the attempt before; else the request is known by now.
	if err := s.again(ctx, name, step); err != nil {
		return review.JobState{}, err
	}
	return s.wait(ctx, name)
}

// wait watches a job while this process has time.
func (s *session) wait(ctx context.Context, name string) (review.JobState, error) {
	ctx, stop := s.run.UntilDraining(ctx)
	defer stop()
	state, err := s.p.Jobs.Wait(ctx, name)
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, engine.ErrDraining) {
		return state, cause
	}
	return state, err
}

func (s *session) again(ctx context.Context, name, step string) error {
	if s.run.Attempt() == 1 {
		return nil
	}
	return s.patiently(ctx, func(ctx context.Context) error { return s.p.Jobs.Retry(ctx, name, s.attemptID(step+"/retry")) })
}
