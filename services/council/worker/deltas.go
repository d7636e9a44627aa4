package worker

import (
	"errors"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"witan.dev/services/council"
)

const (
	// deltaBytes and deltaPause are when written text goes to the log.
	deltaBytes = 256
	deltaPause = 50 * time.Millisecond
)

// errTooLong ends a call whose answer outgrew what an answer may be; what there is counts as cut at its length.
var errTooLong = errors.New("the answer is longer than an answer may be")

// deltas coalesces the text of one attempt. The pieces that it emits, with the last one that close returns, are the text:
// valid UTF-8, cut between characters.
type deltas struct {
	// emit logs a piece; nil: nobody watches, the text is only gathered.
	emit func(ordinal int, offset int64, text string) error

	mu      sync.Mutex
	text    strings.Builder
	pending []byte
	logged  int64 // bytes of text that were emitted
	ordinal int
	timer   *time.Timer
	closed  bool
	err     error
}

// write takes text as it arrives. Its error ends the call.
func (d *deltas) write(text string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return d.err
	}
	d.pending = append(d.pending, text...)
	d.take(false)
	if d.text.Len() > council.MaxAnswerBytes {
		d.err = errTooLong
		return d.err
	}
	if d.emit == nil {
		return nil
	}
	if int64(d.text.Len())-d.logged >= deltaBytes {
		d.flush()
	} else if d.timer == nil && int64(d.text.Len()) > d.logged {
		d.timer = time.AfterFunc(deltaPause, func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			if !d.closed {
				d.flush()
			}
		})
	}
	return d.err
}

// take moves whole characters from pending to the text; at the end also what is none.
func (d *deltas) take(end bool) {
	n := len(d.pending)
	if !end {
		n = whole(d.pending)
	}
	d.text.WriteString(strings.ToValidUTF8(string(d.pending[:n]), "\uFFFD"))
	d.pending = append(d.pending[:0], d.pending[n:]...)
}

// whole is the length of b without an incomplete character at its end.
func whole(b []byte) int {
	for back := 1; back <= min(len(b), utf8.UTFMax-1); back++ {
		if at := len(b) - back; utf8.RuneStart(b[at]) {
			if !utf8.FullRune(b[at:]) {
				return at
			}
			return len(b)
		}
	}
	return len(b)
}

// flush emits what is not logged yet. The lock is held: the order of the pieces is that of the text.
func (d *deltas) flush() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	piece := d.text.String()[d.logged:]
	if piece == "" || d.err != nil {
		return
	}
	if err := d.emit(d.ordinal, d.logged, piece); err != nil {
		d.err = err
		return
	}
	d.ordinal++
	d.logged += int64(len(piece))
}

// last is the piece that is to be logged with the result.
type last struct {
	ordinal int
	offset  int64
	text    string
}

// close ends the gathering: the whole text, the piece that is not logged yet, and the error of logging if there was one.
func (d *deltas) close() (text string, rest last, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	if d.timer != nil {
		d.timer.Stop()
	}
	d.take(true)
	text = d.text.String()
	if len(text) > council.MaxAnswerBytes {
		text = text[:max(int(d.logged), whole([]byte(text[:council.MaxAnswerBytes])))]
	}
	if d.err != nil && !errors.Is(d.err, errTooLong) {
		err = d.err
	}
	return text, last{ordinal: d.ordinal, offset: d.logged, text: text[min(int(d.logged), len(text)):]}, err
}
