// Package jobs is the outside of every job: names, positions in lists, and what a viewer asks to see. What a job is and
// how it is kept is internal/job's.
package jobs

import (
	"context"
	"slices"
	"strings"
	"time"

	"witan.dev/internal/apierr"
	"witan.dev/internal/job"
	"witan.dev/internal/job/watch"
)

// Jobs is what this service needs of the job layer. *job.Manager is one.
type Jobs interface {
	Get(ctx context.Context, id job.ID, owner string) (job.Job, error)
	List(ctx context.Context, q job.ListQuery) ([]job.Job, job.ListPosition, error)
	Events(ctx context.Context, id job.ID, after int64, limit int) ([]job.Event, error)
	Cancel(ctx context.Context, id job.ID, owner string) (job.Job, error)
	Retry(ctx context.Context, r job.Retrial) (job.Job, error)
	Delete(ctx context.Context, d job.Deletion) error
}

// Watcher opens viewers and waits for ends. *watch.Hub is one.
type Watcher interface {
	Open(ctx context.Context, id job.ID, after int64) (*watch.Viewer, error)
	AwaitEnd(ctx context.Context, id job.ID, over <-chan time.Time) error
}

// Errors that callers see.
var (
	// ErrViewerTooSlow ends the stream of a viewer that does not read.
	ErrViewerTooSlow = apierr.Unavailable(apierr.ReasonViewerTooSlow,
		"the viewer did not read for too long; come back with after_seq set to the last seq that arrived")
	// ErrUnavailable answers while the records of jobs cannot be read.
	ErrUnavailable = apierr.Unavailable(apierr.ReasonUnavailable, "jobs cannot be read at the moment; try again")
	// ErrNothingToRun refuses a RunJob whose request creates no job.
	ErrNothingToRun = apierr.Invalid(apierr.ReasonInvalidRequest, "the request creates no job")
	// ErrNotImplemented answers what comes in a later version.
	ErrNotImplemented = apierr.Unimplemented(apierr.ReasonNotImplemented, "this version cannot do that yet")
)

const prefix = "jobs/"

// Name is a job's resource name.
func Name(id job.ID) string {
	if id == "" {
		return ""
	}
	return prefix + string(id)
}

// ParseName returns the ID in a resource name; what is no such name is no job of anybody.
func ParseName(name string) (job.ID, error) {
	id, ok := strings.CutPrefix(name, prefix)
	if !ok || id == "" || strings.Contains(id, "/") {
		return "", job.ErrNotFound
	}
	return job.ID(id), nil
}

// Filter is what a viewer wants to see of a log. The zero value is everything.
type Filter struct {
	// OmitDeltas leaves out pieces of text.
	OmitDeltas bool
	// Types leaves out all other types; empty means none is left out.
	Types []string
}

// Shows reports whether an event is to be sent. The final event always is.
func (f Filter) Shows(e job.Event) bool {
	if e.Final {
		return true
	}
	if f.OmitDeltas && e.Delta() {
		return false
	}
	if len(f.Types) == 0 {
		return true
	}
	return slices.Contains(f.Types, e.Type)
}
