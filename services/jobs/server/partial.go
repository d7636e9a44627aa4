package server

import (
	"cmp"
	"slices"

	"google.golang.org/protobuf/proto"

	councilv1 "witan.dev/gen/witan/council/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
	"witan.dev/internal/job"
	"witan.dev/internal/job/watch"
)

// synthesise is the stage whose text the chairman writes.
const synthesise = "synthesise"

// writer is who writes a text: a seat in a stage, or the chairman.
type writer struct{ stage, member, part string }

// text is what a writer has written so far.
type text struct {
	attempt int32
	// written is only ever appended to; copies share what is there.
	written []byte
}

// partial folds the events of a log into the texts that are being written at its end.
type partial struct {
	texts    map[writer]text
	chairman string
}

var _ watch.Fold = (*partial)(nil)

func newPartial() watch.Fold { return &partial{texts: make(map[writer]text)} }

// Copy implements watch.Fold.
func (p *partial) Copy() watch.Fold {
	c := &partial{texts: make(map[writer]text, len(p.texts)), chairman: p.chairman}
	for w, t := range p.texts {
		c.texts[w] = text{t.attempt, slices.Clip(t.written)}
	}
	return c
}

// Add implements watch.Fold.
func (p *partial) Add(e job.Event) error {
	if e.Final { // whoever still wrote has stopped
		clear(p.texts)
		return nil
	}
	switch e.Type {
	case "council.member_delta", "council.member_answered", "council.member_proposed", "council.member_failed",
		"council.ballot_cast", "council.ballot_rejected", "council.votes_cast", "council.stage_completed",
		"council.synthesis_started", "council.synthesis_delta", "council.synthesis_failed", "council.synthesis_completed":
	default:
		return nil
	}
	c := &councilv1.CouncilEvent{}
	if err := proto.Unmarshal(e.Payload, c); err != nil {
		return err
	}
	p.apply(c)
	return nil
}

func (p *partial) apply(c *councilv1.CouncilEvent) {
	switch e := c.GetEvent().(type) {
	case *councilv1.CouncilEvent_MemberDelta:
		d := e.MemberDelta
		p.write(writer{d.GetStage(), d.GetMember(), d.GetPart()}, d.GetAttempt(), d.GetOffset(), d.GetText())
	case *councilv1.CouncilEvent_MemberAnswered:
		p.done(e.MemberAnswered.GetAnswer().GetMember(), "")
	case *councilv1.CouncilEvent_MemberProposed:
		p.done(e.MemberProposed.GetMember(), e.MemberProposed.GetPart())
	case *councilv1.CouncilEvent_MemberFailed:
		p.done(e.MemberFailed.GetMember(), e.MemberFailed.GetPart())
	case *councilv1.CouncilEvent_BallotCast:
		p.done(e.BallotCast.GetBallot().GetReviewer(), "")
	case *councilv1.CouncilEvent_BallotRejected:
		p.done(e.BallotRejected.GetReviewer(), "")
	case *councilv1.CouncilEvent_VotesCast:
		p.done(e.VotesCast.GetReviewer(), e.VotesCast.GetPart())
	case *councilv1.CouncilEvent_StageCompleted:
		p.drop(func(w writer) bool { return w.stage == e.StageCompleted.GetStage() })
	case *councilv1.CouncilEvent_SynthesisStarted:
		p.drop(func(w writer) bool { return w.stage == synthesise })
		p.chairman = e.SynthesisStarted.GetChairman()
	case *councilv1.CouncilEvent_SynthesisDelta:
		d := e.SynthesisDelta
		p.write(writer{synthesise, p.chairman, ""}, d.GetAttempt(), d.GetOffset(), d.GetText())
	case *councilv1.CouncilEvent_SynthesisFailed, *councilv1.CouncilEvent_SynthesisCompleted:
		p.drop(func(w writer) bool { return w.stage == synthesise })
	}
}

// write appends a piece of text. A higher attempt voids what was written before.
func (p *partial) write(w writer, attempt int32, offset int64, piece string) {
	t, ok := p.texts[w]
	switch {
	case !ok || t.attempt < attempt:
		t = text{attempt: attempt}
	case attempt < t.attempt:
		return
	}
	if keep := max(offset, 0); keep < int64(len(t.written)) {
		t.written = slices.Clip(t.written[:keep]) // copies still show what is voided here
	}
	t.written = append(t.written, piece...)
	p.texts[w] = t
}

// done drops what a seat was writing: its end holds the whole text.
func (p *partial) done(member, part string) {
	p.drop(func(w writer) bool { return w.member == member && w.part == part && w.stage != synthesise })
}

func (p *partial) drop(which func(writer) bool) {
	for w := range p.texts {
		if which(w) {
			delete(p.texts, w)
		}
	}
}

// list returns the texts in a fixed order.
func (p *partial) list() []*jobsv1.PartialText {
	texts := make([]*jobsv1.PartialText, 0, len(p.texts))
	for w, t := range p.texts {
		texts = append(texts, &jobsv1.PartialText{
			Stage: w.stage, Member: w.member, Part: w.part, Attempt: t.attempt, Text: string(t.written),
		})
	}
	slices.SortFunc(texts, func(a, b *jobsv1.PartialText) int {
		return cmp.Or(cmp.Compare(a.GetStage(), b.GetStage()), cmp.Compare(a.GetMember(), b.GetMember()), cmp.Compare(a.GetPart(), b.GetPart()))
	})
	return texts
}
