// Package job holds what every kind of job shares: the job's row, its event log, the fence that keeps a late worker from
// writing, the call journal, and the run that a body works with. A service creates jobs through a Manager in the same
// transaction as its own rows, and computes them in bodies that the engine behind internal/job/engine runs durably.
//
// Guarantees and their reasons: docs/jobs.md.
package job

import (
	"crypto/rand"
	"encoding/base32"
	"time"

	"witan.dev/internal/job/engine"
)

// ID names a job and the resource that it computes.
type ID = engine.ID

// Kind says which body computes a job.
type Kind = engine.Kind

// Tx is one open transaction of the job store. A service hands it to its own store adapter, so that its rows and the
// job's commit together. A function that runs in such a transaction may be run again and has no other effect.
type Tx = engine.Tx

// The kinds of jobs.
const (
	KindReview   Kind = "review"
	KindCouncil  Kind = "council"
	KindIndex    Kind = "index"
	KindDelivery Kind = "delivery"
)

// QueueOf is the queue on which jobs of a kind wait. Commands from pull requests share the queue of reviews.
func QueueOf(k Kind) string {
	if k == KindDelivery {
		return string(KindReview)
	}
	return string(k)
}

// NewID draws an ID: 128 random bits as 26 lower-case base32 digits.
func NewID() ID {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return ID(encoding.EncodeToString(b[:]))
}

const alphabet = "abcdefghijklmnopqrstuvwxyz234567"

//nolint:gochecknoglobals // an encoding is a constant that Go cannot write as one
var encoding = base32.NewEncoding(alphabet).WithPadding(base32.NoPadding)

// State is where a job stands.
type State string

// The states of a job. QUEUED, RUNNING and CANCELLING are unfinished; the others are final for the attempt.
const (
	StateQueued             State = "QUEUED"
	StateRunning            State = "RUNNING"
	StateCancelling         State = "CANCELLING"
	StateSucceeded          State = "SUCCEEDED"
	StatePartiallySucceeded State = "PARTIALLY_SUCCEEDED"
	StateFailed             State = "FAILED"
	StateCancelled          State = "CANCELLED"
	StateExpired            State = "EXPIRED"
)

// Terminal reports whether the attempt is over.
func (s State) Terminal() bool {
	switch s {
	case StateSucceeded, StatePartiallySucceeded, StateFailed, StateCancelled, StateExpired:
		return true
	case StateQueued, StateRunning, StateCancelling:
		return false
	}
	return false
}

// Job is the row of one job. Times that have not come are zero.
type Job struct {
	ID     ID
	Kind   Kind
	Owner  string
	Parent ID
	// Resource is the name of what the job computes.
	Resource string
	Labels   map[string]string
	State    State
	// StateReason explains the state to programs, in UPPER_SNAKE; often empty.
	StateReason string
	Stage       string
	Progress    Progress
	// Epoch counts executions and is never reset; every write of an execution carries its epoch.
	Epoch int64
	// Attempt is 1 at creation and raised by a retry only.
	Attempt int32
	// LastSeq is the sequence number of the newest event, FirstAvailableSeq of the oldest that is kept.
	LastSeq, FirstAvailableSeq int64
	// Revision rises with each change of the row.
	Revision int64
	// Spec and Result belong to the kind; nobody else reads them.
	Spec, Result []byte
	Error        *Error
	Ledger       Ledger
	Usage        Usage
	// Reserved are tokens that are kept for calls in flight, and for those that were given up and may have been charged.
	Reserved int64
	// Stalled counts the executions in a row that began without a new step or call result before them.
	Stalled int
	// Priority, Timeout, QueueTimeout and HistoryKept are those of the Creation.
	Priority                           uint
	Timeout, QueueTimeout, HistoryKept time.Duration

	CreatedAt, StartedAt, EndedAt, CancelAskedAt, ExpireAt, HistoryExpireAt time.Time
	// DeadlineAt ends this attempt, QueueExpireAt does while no worker has taken it.
	DeadlineAt, QueueExpireAt time.Time
}

// Follows says whether the log can be read behind a position at a time: ErrSequenceAhead for one beyond the log,
// ErrHistoryExpired where what follows is kept no longer, whether or not it was removed already.
func (j Job) Follows(after int64, now time.Time) error {
	gone := j.State.Terminal() && !j.HistoryExpireAt.IsZero() && !now.Before(j.HistoryExpireAt)
	switch {
	case after > j.LastSeq:
		return ErrSequenceAhead
	case after+1 < j.FirstAvailableSeq, gone && after < j.LastSeq:
		return ErrHistoryExpired
	}
	return nil
}

// Progress is how far a job is, in a unit that the kind chooses. Total 0 means unknown.
type Progress struct {
	Done  int64  `json:"done"`
	Total int64  `json:"total"`
	Unit  string `json:"unit,omitempty"`
}

// Error is why a job failed, as a status: the code is one of google.rpc.Code.
type Error struct {
	Code    uint32 `json:"code"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// Ledger makes "nothing paid twice" a number.
type Ledger struct {
	// CallsStarted counts calls that were sent, CallsCompleted those that were answered.
	CallsStarted, CallsCompleted int64
	// CallsReused counts answers taken from the journal, CallsRepaid calls that were in flight when a worker died and
	// were sent once more.
	CallsReused, CallsRepaid int64
	// Recoveries counts executions after the first.
	Recoveries int64
}

// Usage sums what calls consumed. CostMicros is millionths of Currency and nil when unknown.
type Usage struct {
	InputTokens, OutputTokens, CachedTokens, ReasoningTokens int64
	CostMicros                                               *int64
	Currency                                                 string
}

// Add returns the sum. A cost is unknown when any part with tokens has none.
func (u Usage) Add(v Usage) Usage {
	sum := Usage{
		InputTokens: u.InputTokens + v.InputTokens, OutputTokens: u.OutputTokens + v.OutputTokens,
		CachedTokens: u.CachedTokens + v.CachedTokens, ReasoningTokens: u.ReasoningTokens + v.ReasoningTokens,
		Currency: u.Currency,
	}
	switch {
	case v.empty():
		sum.CostMicros = u.CostMicros
	case u.empty():
		sum.CostMicros, sum.Currency = v.CostMicros, v.Currency
	case u.CostMicros != nil && v.CostMicros != nil && u.Currency == v.Currency:
		cost := *u.CostMicros + *v.CostMicros
		sum.CostMicros = &cost
	}
	return sum
}

func (u Usage) empty() bool {
	return u.InputTokens == 0 && u.OutputTokens == 0 && u.CachedTokens == 0 && u.ReasoningTokens == 0 && u.CostMicros == nil
}
