package council

import (
	"time"

	"witan.dev/internal/job"
)

// ProcessingState says whether something runs in a conversation. It is computed from the jobs and never stored.
type ProcessingState string

// The processing states.
const (
	StateIdle   ProcessingState = "IDLE"
	StateActive ProcessingState = "ACTIVE"
	StateError  ProcessingState = "ERROR" // nothing runs and the newest job failed
)

// Conversation is a thread of questions and final answers.
type Conversation struct {
	ID, Owner, Title string
	// Council is a preset's name; empty: default.
	Council   string
	Temporary bool
	Labels    map[string]string
	CreatedAt time.Time
	UpdatedAt time.Time
	// ExpireAt is zero unless the conversation is temporary.
	ExpireAt time.Time
	Revision int64
}

// Activity is what a conversation's jobs say of it.
type Activity struct {
	State ProcessingState
	// Active is the running job, Last the newest; either may be empty.
	Active, Last job.ID
}

// activityOf computes the activity from the deliberations of a conversation, newest first, and the states of their jobs.
// A deliberation whose job is not seen yet was created in a transaction that is about to commit: it is active.
func activityOf(ids []job.ID, states map[job.ID]job.State) Activity {
	a := Activity{State: StateIdle}
	for i, id := range ids {
		state, known := states[id]
		if i == 0 {
			a.Last = id
			if state == job.StateFailed || state == job.StateExpired {
				a.State = StateError
			}
		}
		if !known || !state.Terminal() {
			a.State, a.Active = StateActive, id
			return a
		}
	}
	return a
}

// Role says who wrote a message.
type Role string

// The roles.
const (
	RoleUser    Role = "USER"
	RoleCouncil Role = "COUNCIL"
)

// Message is one entry of a conversation: a question, or a final answer.
type Message struct {
	ID           string
	Conversation string
	// Ordinal counts from 1 in the order of writing. Stores give it.
	Ordinal      int64
	Role         Role
	Text         string
	Deliberation job.ID
	// Origin says how an answer came to be, Partial that a part of the council was missing.
	Origin    Origin
	Partial   bool
	CreatedAt time.Time
}

// Deliberation is one run of a council over one task. It is computed by the job of the same ID.
type Deliberation struct {
	ID           job.ID
	Owner        string
	Conversation string
	Council      string
	Task         Task
	// Spec is what is in force, defaults included.
	Spec      Spec
	Timeout   time.Duration
	Labels    map[string]string
	ParentJob job.ID
	Estimate  *Estimate
	// Result is nil before the end.
	Result    *Result
	CreatedAt time.Time
	ExpireAt  time.Time
	Revision  int64
}

// View says how much of a deliberation is read.
type View int

// The views.
const (
	// ViewBasic leaves out the material of the task.
	ViewBasic View = iota
	ViewFull
)

// Preset is a named council.
type Preset struct {
	Name, DisplayName string
	Spec              Spec
}
