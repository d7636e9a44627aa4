package job

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Event is one entry of a job's log. Seq counts 1, 2, 3 … without gaps and is given in the transaction that stores the
// event together with the change that it reports.
type Event struct {
	JobID ID
	Seq   int64
	// Key is unique in the job; the same code builds the same key again.
	Key     string
	Epoch   int64
	Attempt int32
	// Type is the event's name in streams, "<service>.<oneof field>".
	Type string
	Time time.Time
	// Final marks the last event of an attempt.
	Final bool
	// Payload belongs to Type: an encoded event message of a service, or JSON of StateChange or StageProgress.
	Payload []byte
}

// NewEvent is an event before it has a place in the log. Key is "<step>/<what>/<ordinal>" without the job's attempt,
// which Run puts in front; no time, random number or map order may enter it. A key that is there already is dropped.
type NewEvent struct {
	Key, Type string
	Payload   []byte
}

// The types of events that this package writes. All others belong to services.
const (
	TypeStateChanged = "job.state_changed"
	TypeProgress     = "job.progress"
)

// StateChange is the payload of TypeStateChanged.
type StateChange struct {
	// From is empty in the first event.
	From   State  `json:"from,omitempty"`
	To     State  `json:"to"`
	Reason string `json:"reason,omitempty"`
	// Stage is the job's stage at that moment.
	Stage string `json:"stage,omitempty"`
	Error *Error `json:"error,omitempty"`
}

// StageProgress is the payload of TypeProgress.
type StageProgress struct {
	Stage    string   `json:"stage,omitempty"`
	Progress Progress `json:"progress"`
}

// Encode returns the payload's bytes.
func (c StateChange) Encode() []byte { return encodePayload(c) }

// Encode returns the payload's bytes.
func (p StageProgress) Encode() []byte { return encodePayload(p) }

func encodePayload(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("job: encode %T: %v", v, err)) // plain structs of strings and numbers
	}
	return raw
}

// DecodeStateChange reads the payload of a TypeStateChanged event.
func DecodeStateChange(payload []byte) (StateChange, error) {
	var c StateChange
	err := json.Unmarshal(payload, &c)
	return c, err
}

// DecodeStageProgress reads the payload of a TypeProgress event.
func DecodeStageProgress(payload []byte) (StageProgress, error) {
	var p StageProgress
	err := json.Unmarshal(payload, &p)
	return p, err
}

// Delta reports whether the event carries a piece of text as it is written. Viewers may leave such events out: the
// event that completes the text holds all of it.
func (e Event) Delta() bool { return strings.HasSuffix(e.Type, "_delta") }

// attemptKey puts the job's attempt in front, so that what a retried job does anew is logged anew.
func attemptKey(attempt int32, key string) string { return fmt.Sprintf("%d/%s", attempt, key) }
