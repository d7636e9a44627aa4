package ingest

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// State is what became of a delivery. Stores keep its number.
type State int

// The states of a delivery.
const (
	// Stored waits to be handled.
	Stored State = iota + 1
	// Handled was handed over; Resource names what it started.
	Handled
	// Ignored is of no interest, or the review service found it so; Reason says why.
	Ignored
	// Unparsed has a body that cannot be read.
	Unparsed
	// Dead could not be handed over; Reason says why.
	Dead
)

// String is the state's name.
func (s State) String() string {
	switch s {
	case Stored:
		return "STORED"
	case Handled:
		return "HANDLED"
	case Ignored:
		return "IGNORED"
	case Unparsed:
		return "UNPARSED"
	case Dead:
		return "DEAD"
	default:
		return "UNKNOWN"
	}
}

// Settled says that nothing is to be done any more, even when the sender repeats the delivery.
func (s State) Settled() bool { return s == Handled || s == Ignored }

// Reasons of deliveries that start nothing. Those of Dead may also be the review service's own.
const (
	ReasonPing           = "PING"
	ReasonUnknownEvent   = "UNKNOWN_EVENT"
	ReasonNoInterest     = "ACTION_OF_NO_INTEREST"
	ReasonHookDeleted    = "HOOK_DELETED"
	ReasonAuthorization  = "AUTHORIZATION_REVOKED"
	ReasonNotPullRequest = "NOT_A_PULL_REQUEST"
	ReasonBot            = "SENDER_IS_BOT"
	ReasonNoText         = "NO_TEXT"
	ReasonNotBranch      = "NOT_A_BRANCH"
	ReasonNotDefault     = "NOT_THE_DEFAULT_BRANCH"
	ReasonBranchGone     = "BRANCH_DELETED"
	ReasonNotRequested   = "REVIEW_OF_SOMEONE_ELSE"
	ReasonBaseUnchanged  = "BASE_UNCHANGED"
	ReasonOtherApp       = "OTHER_APP"
	ReasonNoRepositories = "NO_REPOSITORIES"
	ReasonUnreadable     = "PAYLOAD_UNREADABLE"
	ReasonTakenTooOften  = "TAKEN_TOO_OFTEN"
	ReasonHandlingFailed = "HANDLING_FAILED"
)

const (
	redeliveryMark  = "~"
	maxRedeliveries = 9999
	maxIDLength     = 72
	maxEventLength  = 64
)

// Delivery is one webhook that was accepted.
type Delivery struct {
	// ID is the sender's own; one that was handled again has `~n` behind it.
	ID string
	// Event and Action say what happened, such as "pull_request" and "opened"; Action is empty where the event has none.
	Event, Action string
	// SHA256 is the body's digest, in hexadecimal digits; empty where nobody has needed it yet.
	SHA256 string
	// ReceivedAt is when it was accepted first, in microseconds.
	ReceivedAt time.Time
	// State is what became of it, Reason why (UPPER_SNAKE), Resource what it started.
	State    State
	Reason   string
	Resource string
}

// Origin is the ID that the sender gave: without what a redelivery has behind it.
func (d Delivery) Origin() string {
	origin, _, _ := strings.Cut(d.ID, redeliveryMark)
	return origin
}

// Run is the n behind the ID of a delivery that was handled again; 0 for the first.
func (d Delivery) Run() int {
	_, digits, _ := strings.Cut(d.ID, redeliveryMark)
	n, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	return n
}

// Redelivered is the ID under which a delivery is handled for the nth time after the first. ErrTooManyRedeliveries.
func Redelivered(origin string, n int) (string, error) {
	if n < 1 || n > maxRedeliveries {
		return "", ErrTooManyRedeliveries
	}
	return origin + redeliveryMark + strconv.Itoa(n), nil
}

// Names that others chose end up in databases, logs and answers.

func isID(name string) bool {
	return isName(name, maxIDLength, func(c byte) bool { return c == '-' || 'A' <= c && c <= 'Z' })
}

func isEvent(name string) bool {
	return isName(name, maxEventLength, func(c byte) bool { return c == '_' })
}

// isName says whether a name is of lower case letters, digits and what else it may have.
func isName(name string, limit int, also func(byte) bool) bool {
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && !also(c) {
			return false
		}
	}
	return 0 < len(name) && len(name) <= limit
}

// Entry is a delivery in a buffer.
type Entry struct {
	Delivery

	// Body is what was signed.
	Body []byte
	// Receipt is the buffer's name of the entry, which one delivery may have several of.
	Receipt string
	// Takes is how often the entry was taken, this time included. More than once means that whoever took it before ended
	// without a word.
	Takes int
}

// Digest is SHA256, made where it is not there: the sender does not wait for it.
func (e Entry) Digest() string {
	if e.SHA256 != "" {
		return e.SHA256
	}
	return Digest(e.Body)
}

// Digest is the SHA-256 of a body in hexadecimal digits.
func Digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}
