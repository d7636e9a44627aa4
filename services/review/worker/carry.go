package worker

import (
	"context"
	"errors"
	"maps"
	"slices"

	"witan.dev/internal/finding"
	"witan.dev/internal/job"
	"witan.dev/services/review"
	"witan.dev/services/review/wire"
)

// nobody is the council without a model, as subjects remember it.
const nobody = "none"

// carry finds the files of a pull request whose last reading still holds, so that the council need not read them again.
func (s *session) carry(ctx context.Context, in *review.Inspection, info *review.CouncilInfo, p *planned) error {
	pull := s.resolution.Pull
	if pull == nil || !s.shared() || s.p.Subjects == nil {
		return nil
	}
	subject, err := s.p.Subjects.Subject(ctx, s.resolution.Pinned.Subject)
	if err != nil && !errors.Is(err, review.ErrNotFound) {
		return err
	}
	rules, err := s.rulesDigest(ctx, in)
	if err != nil {
		return err
	}
	p.Basis = review.Basis{Config: rules, Branch: pull.BaseBranch, Council: p.Council + "@" + info.Digest}
	switch {
	case p.Away != "":
		p.Basis.Council = subject.DoneCouncil // whoever it is now does not read anything
	case info.Members == 0:
		p.Basis.Council = nobody
	}
	asked := s.resolution.Scope
	if s.review.Scope == review.ScopeWhole {
		asked = review.ScopeWhole
	}
	scope, why := subject.Continue(asked, p.Basis)
	if scope == review.ScopeWhole {
		if s.resolution.ScopeReason != "" {
			why = s.resolution.ScopeReason
		}
		if why != review.WholeFirst {
			p.Notes = append(p.Notes, "the whole change was looked at: "+why)
		}
		return nil
	}
	p.Carried = subject.Unchanged(in.Change)
	return nil
}

// unread is the change without the files that were carried over.
func unread(c *review.Change, carried map[review.Path]review.CoveredFile) *review.Change {
	if len(carried) == 0 {
		return c
	}
	return &review.Change{Files: slices.DeleteFunc(slices.Clone(c.Files), func(f review.File) bool {
		_, ok := carried[review.Path(f.Path)]
		return ok
	})}
}

// missed notes that nobody read the files that a council was to read.
func (p *planned) missed(c *review.Change, why review.Reason) {
	for i := range c.Files {
		if f := &c.Files[i]; f.Policy == "" && !f.Metadata() && len(f.Hunks) > 0 {
			p.limit(review.Path(f.Path), why)
		}
	}
}

// limit notes why the council does not read a file in full.
func (p *planned) limit(path review.Path, why review.Reason) {
	if p.Limits == nil {
		p.Limits = make(map[review.Path][]review.Reason)
	}
	if !slices.Contains(p.Limits[path], why) {
		p.Limits[path] = append(p.Limits[path], why)
	}
}

// settle leaves to the next review of the subject what this one read, in the transaction that publishes it: only what it
// took over itself where votes are missing, since nobody would ask for them again.
func (s *session) settle(ctx context.Context, tx job.Tx, got *progress, in *review.Inspection, coverage finding.Coverage) error {
	pull := s.resolution.Pull
	if pull == nil || !s.shared() || s.p.Subjects == nil || got.planned.Basis == (review.Basis{}) {
		return nil
	}
	subject, err := s.p.Subjects.Lock(ctx, tx, s.resolution.Pinned.Subject, s.review.Owner)
	if err != nil {
		return err
	}
	read := review.Reading{
		Review: s.review.ID, CreatedAt: s.review.CreatedAt, Head: s.resolution.Pinned.Head, Basis: got.planned.Basis,
		Files: review.Covered(s.review.ID, in.Change, coverage.Files, got.planned.Carried),
	}
	if got.located.Council.Unjudged {
		maps.DeleteFunc(read.Files, func(_ review.Path, f review.CoveredFile) bool { return f.Review == s.review.ID })
	}
	if !subject.Finish(read) {
		return nil
	}
	return s.p.Subjects.Put(ctx, tx, subject)
}

// carriedFrom names the reviews that read the files which were carried over.
func carriedFrom(carried map[review.Path]review.CoveredFile) map[review.Path]string {
	out := make(map[review.Path]string, len(carried))
	for path, f := range carried {
		out[path] = wire.ReviewName(f.Review)
	}
	return out
}
