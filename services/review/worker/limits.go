package worker

import (
	"cmp"
	"context"
	"errors"
	"time"

	"witan.dev/internal/apierr"
	"witan.dev/internal/job"
	"witan.dev/internal/job/engine"
	"witan.dev/services/review"
	"witan.dev/services/review/material"
)

func (l Limits) withDefaults() Limits {
	if l.CouncilPauses == nil {
		l.CouncilPauses = CouncilPauses(0)
	}
	return Limits{
		Reviewer: cmp.Or(l.Reviewer, 10*time.Minute), Index: cmp.Or(l.Index, 15*time.Minute),
		Retry: cmp.Or(l.Retry, 500*time.Millisecond), Tries: cmp.Or(l.Tries, 5),
		ContextTokens: cmp.Or(l.ContextTokens, material.ContextTokens), ContextSources: l.ContextSources, Budgets: l.Budgets,
		CouncilPauses: l.CouncilPauses,
		Debounce:      cmp.Or(l.Debounce, 20*time.Second), DebounceMax: cmp.Or(l.DebounceMax, 2*time.Minute),
		Patience: cmp.Or(l.Patience, 2*time.Hour), AtOnce: l.AtOnce,
	}
}

// The classes of failures that end a review, named after the kinds of apierr.
const (
	classInvalid      engine.Class = "INVALID"
	classNotFound     engine.Class = "NOT_FOUND"
	classPrecondition engine.Class = "PRECONDITION"
	classExhausted    engine.Class = "EXHAUSTED"
	classUnavailable  engine.Class = "UNAVAILABLE"
)

const codeDeadlineExceeded = 4

// codes are the google.rpc codes of the classes.
//
//nolint:gochecknoglobals // a table
var codes = map[engine.Class]uint32{
	classInvalid: 3, classNotFound: 5, classExhausted: 8, classPrecondition: 9, classUnavailable: 14,
}

// failureOf turns an error that would come back at each further try into a failure of the job: what the caller can mend.
// It is nil for every other error, which goes upwards and is tried again.
func failureOf(ctx context.Context, err error) *engine.Failure {
	if err == nil || ctx.Err() != nil {
		return nil
	}
	e, ok := errors.AsType[*apierr.Error](err)
	if !ok {
		return nil
	}
	f := &engine.Failure{Reason: string(e.Reason()), Message: e.Message()}
	if detail := e.Metadata()["detail"]; detail != "" {
		f.Message += ": " + detail
	}
	switch e.Kind() {
	case apierr.KindInvalid, apierr.KindOutOfRange:
		f.Class = classInvalid
	case apierr.KindNotFound:
		f.Class = classNotFound
	case apierr.KindPrecondition, apierr.KindPermissionDenied, apierr.KindAlreadyExists, apierr.KindUnimplemented:
		f.Class = classPrecondition
	case apierr.KindResourceExhausted:
		f.Class = classExhausted
	default:
		return nil
	}
	return f
}

// fatal says whether an error is none of the other service: the end of this execution, or of its context.
func fatal(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, job.ErrFenced) || engine.Interrupted(err)
}

// patiently calls fn until it succeeds, fails for another reason than that its service cannot be reached, or was tried
// often enough.
func (w *Worker) patiently(ctx context.Context, fn func(ctx context.Context) error) error {
	pause := w.p.Retry
	for try := 1; ; try++ {
		err := fn(ctx)
		if err == nil || try >= w.p.Tries || !errors.Is(err, review.ErrUnavailable) || ctx.Err() != nil {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
		pause *= 2
	}
}
