package gateway

import (
	"strconv"

	"witan.dev/internal/apierr"
)

// ErrPositionInvalid refuses a Last-Event-ID or after_seq that is no number of an event.
var ErrPositionInvalid = apierr.Invalid(apierr.ReasonInvalidRequest, "the position to resume from is no event number")

// Position is where a viewer resumes: after event Seq, if Set.
type Position struct {
	// Seq is the number of the last event that the viewer has; 0: none.
	Seq int64
	// Set says whether the viewer named a position at all.
	Set bool
}

// ParsePosition reads the Last-Event-ID header and the after_seq parameter, each empty where absent. The header wins: a
// browser that reconnects repeats the old address with the new header. Only plain decimal numbers that fit an event's
// number are taken; anything else is ErrPositionInvalid, never a silent restart from another place.
func ParsePosition(lastEventID, afterSeq string) (Position, error) {
	if lastEventID != "" {
		return parseSeq("Last-Event-ID", lastEventID)
	}
	if afterSeq != "" {
		return parseSeq("after_seq", afterSeq)
	}
	return Position{}, nil
}

func parseSeq(field, text string) (Position, error) {
	for _, c := range []byte(text) {
		if c < '0' || c > '9' { // no sign, blank or underscore
			return Position{}, ErrPositionInvalid.Field(field, "is not a decimal number")
		}
	}
	seq, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return Position{}, ErrPositionInvalid.Field(field, "is larger than any event's number")
	}
	return Position{Seq: seq, Set: true}, nil
}
