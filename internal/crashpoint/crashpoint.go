// Package crashpoint names the moments between two durable steps of a job. In an ordinary build a point does nothing. In
// one with the tag crashpoints a test may have the process killed, or stopped, at the n-th time that it comes by.
package crashpoint

// Point is one such moment. Each store, engine and bus is used by the code that has the points, so all of them share
// these.
type Point string

// The points of jobs: before and after each commit of any store, around each write of the job layer, each step's record,
// each execution's, and each hint.
const (
	BeforeCommit   Point = "before-commit"
	AfterCommit    Point = "after-commit"
	AfterClaim     Point = "after-claim"
	BeforeOutcome  Point = "before-outcome"
	AfterOutcome   Point = "after-outcome"
	BeforeCreate   Point = "before-create"
	AfterCreate    Point = "after-create"
	BeforeBegin    Point = "before-begin"
	AfterBegin     Point = "after-begin"
	BeforeApply    Point = "before-apply"
	AfterApply     Point = "after-apply"
	BeforeIntent   Point = "before-intent"
	AfterIntent    Point = "after-intent"
	BeforeClose    Point = "before-close"
	AfterClose     Point = "after-close"
	BeforeFinish   Point = "before-finish"
	AfterFinish    Point = "after-finish"
	BeforeCancel   Point = "before-cancel"
	AfterCancel    Point = "after-cancel"
	BeforeRetry    Point = "before-retry"
	AfterRetry     Point = "after-retry"
	BeforeEnd      Point = "before-end"
	AfterEnd       Point = "after-end"
	BeforeHandOver Point = "before-hand-over"
	AfterHandOver  Point = "after-hand-over"
	BeforeAbandon  Point = "before-abandon"
	AfterAbandon   Point = "after-abandon"
	BeforeExpire   Point = "before-expire"
	AfterExpire    Point = "after-expire"
	BeforeForget   Point = "before-forget"
	AfterForget    Point = "after-forget"
	BeforeDelete   Point = "before-delete"
	AfterDelete    Point = "after-delete"
	BeforeStep     Point = "before-step"
	EndOfStep      Point = "end-of-step"
	AfterStep      Point = "after-step"
	BeforeGiveBack Point = "before-give-back"
	AfterGiveBack  Point = "after-give-back"
	BeforePublish  Point = "before-publish"
	AfterPublish   Point = "after-publish"
)

// The points of a webhook on its way: stored for the sender, taken, settled, and taken out of its queue.
const (
	BeforePut    Point = "before-put"
	AfterPut     Point = "after-put"
	AfterTake    Point = "after-take"
	BeforeSettle Point = "before-settle"
	AfterSettle  Point = "after-settle"
	BeforeDone   Point = "before-done"
	AfterDone    Point = "after-done"
)

// The points around each write to a forge.
const (
	BeforePost Point = "before-post"
	AfterPost  Point = "after-post"
)

// Outside are the points that no job layer comes by alone.
func Outside() []Point {
	return []Point{BeforePut, AfterPut, AfterTake, BeforeSettle, AfterSettle, BeforeDone, AfterDone, BeforePost, AfterPost}
}

// Points are those of jobs.
func Points() []Point {
	return []Point{
		BeforeCommit, AfterCommit, AfterClaim, BeforeOutcome, AfterOutcome,
		BeforeCreate, AfterCreate, BeforeBegin, AfterBegin, BeforeApply, AfterApply, BeforeIntent, AfterIntent,
		BeforeClose, AfterClose, BeforeFinish, AfterFinish, BeforeCancel, AfterCancel, BeforeRetry, AfterRetry,
		BeforeEnd, AfterEnd, BeforeHandOver, AfterHandOver, BeforeAbandon, AfterAbandon, BeforeExpire, AfterExpire,
		BeforeForget, AfterForget, BeforeDelete, AfterDelete, BeforeStep, EndOfStep, AfterStep, BeforeGiveBack, AfterGiveBack, BeforePublish, AfterPublish,
	}
}

const (
	// Variable holds where to die: "point:n", or "point:n:stop" for SIGSTOP.
	Variable = "WITAN_TEST_CRASH"
	// CountVariable names a file to which each point that is come by is appended, one a line.
	CountVariable = "WITAN_TEST_CRASH_COUNT"
)
