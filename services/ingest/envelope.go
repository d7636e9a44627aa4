package ingest

import (
	"encoding/binary"
	"math/bits"
)

// maxDepth bounds how deep a body is nested, as encoding/json does.
const maxDepth = 10_000

// readEnvelope says whether a body is one JSON object, and returns the value of its member "action" as it stands there; nil
// without one. It accepts exactly the objects that json.Valid accepts, in one pass and without making anything of what it
// reads: two thirds of the work of accepting a delivery was spent on that before.
func readEnvelope(body []byte) (action []byte, ok bool) {
	s := scanner{b: body, depth: 1}
	if s.blank(); s.next() != '{' {
		return nil, false
	}
	action, ok = s.object()
	s.blank()
	return action, ok && s.at == len(s.b)
}

// scanner is a place in a JSON text.
type scanner struct {
	b     []byte
	at    int
	depth int
}

// next is the byte at the place, 0 behind the end.
func (s *scanner) next() byte {
	if s.at < len(s.b) {
		return s.b[s.at]
	}
	return 0
}

func (s *scanner) blank() {
	for s.at < len(s.b) {
		switch s.b[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return
		}
	}
}

// take goes behind a byte where it comes next.
func (s *scanner) take(c byte) bool {
	if s.next() != c || s.at == len(s.b) {
		return false
	}
	s.at++
	return true
}

func (s *scanner) value() bool {
	switch c := s.next(); c {
	case '{', '[':
		if s.depth++; s.depth > maxDepth {
			return false
		}
		var ok bool
		if c == '[' {
			ok = s.list()
		} else {
			_, ok = s.object()
		}
		s.depth--
		return ok
	case '"':
		return s.text()
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	default:
		return s.number()
	}
}

// object reads an object, and returns the value of its last member "action".
func (s *scanner) object() (action []byte, ok bool) {
	s.at++
	if s.blank(); s.take('}') {
		return nil, true
	}
	for {
		s.blank()
		key := s.at
		if s.next() != '"' || !s.text() {
			return nil, false
		}
		isAction := string(s.b[key:s.at]) == `"action"`
		s.blank()
		if !s.take(':') {
			return nil, false
		}
		s.blank()
		begin := s.at
		if !s.value() {
			return nil, false
		}
		if isAction {
			action = s.b[begin:s.at]
		}
		s.blank()
		if s.take('}') {
			return action, true
		}
		if !s.take(',') {
			return nil, false
		}
	}
}

func (s *scanner) list() bool {
	s.at++
	if s.blank(); s.take(']') {
		return true
	}
	for {
		s.blank()
		if !s.value() {
			return false
		}
		s.blank()
		if s.take(']') {
			return true
		}
		if !s.take(',') {
			return false
		}
	}
}

func (s *scanner) word(text string) bool {
	if len(s.b)-s.at < len(text) || string(s.b[s.at:s.at+len(text)]) != text {
		return false
	}
	s.at += len(text)
	return true
}

// text reads a string. What is not UTF-8 in it passes, as it does in encoding/json.
func (s *scanner) text() bool {
	for s.at++; ; s.at++ {
		s.plain()
		switch c := s.next(); {
		case s.at >= len(s.b) || c < ' ':
			return false
		case c == '"':
			s.at++
			return true
		case c == '\\':
			if s.at++; !s.escape() {
				return false
			}
		}
	}
}

const (
	everyByte = 0x0101010101010101
	highBits  = 0x8080808080808080
)

// plain goes to the next byte of a string that means something: a quote, a backslash or a control character; or to the last
// seven bytes. It looks at eight bytes at a time: a byte is below n where subtracting n borrows from its highest bit, which
// is right for the lowest such byte of a word (Anderson, Bit Twiddling Hacks).
func (s *scanner) plain() {
	for ; s.at+8 <= len(s.b); s.at += 8 {
		w := binary.LittleEndian.Uint64(s.b[s.at:])
		quote, slash := w^('"'*everyByte), w^('\\'*everyByte)
		found := ((w-' '*everyByte)&^w | (quote-everyByte)&^quote | (slash-everyByte)&^slash) & highBits
		if found != 0 {
			s.at += bits.TrailingZeros64(found) / 8
			return
		}
	}
}

// escape stands on the byte behind a backslash, and ends on the last byte of the escape.
func (s *scanner) escape() bool {
	switch s.next() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	case 'u':
		for range 4 {
			s.at++
			if c := s.next() | ' '; (c < '0' || c > '9' || s.next() < '0') && (c < 'a' || c > 'f') {
				return false
			}
		}
		return true
	default:
		return false
	}
}

func (s *scanner) number() bool {
	s.take('-')
	if !s.take('0') && !s.digits() {
		return false
	}
	if s.take('.') && !s.digits() {
		return false
	}
	if s.take('e') || s.take('E') {
		if !s.take('+') {
			s.take('-')
		}
		return s.digits()
	}
	return true
}

// digits reads at least one.
func (s *scanner) digits() bool {
	begin := s.at
	for c := s.next(); c >= '0' && c <= '9'; c = s.next() {
		s.at++
	}
	return s.at > begin
}
