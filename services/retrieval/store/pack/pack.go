// Package pack writes the definitions, references, imports and edges of one file as compact bytes, for stores that keep
// them as one value. Every list begins with its format's number; strings are written once and then named by their place.
package pack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// ErrCorrupt means that bytes are not what this package wrote.
var ErrCorrupt = errors.New("pack: corrupt value")

// format is the first byte of every value. A change of the layout raises it; values of an older one are read by the
// code that wrote them or count as corrupt.
const format = 1

// maxCount bounds lists before anything is allocated for them.
const maxCount = 4 << 20

// writer appends numbers and strings.
type writer struct {
	bytes   []byte
	strings map[string]uint64
}

func newWriter(count int) *writer {
	w := &writer{bytes: make([]byte, 0, 16+count*8), strings: map[string]uint64{}}
	w.bytes = append(w.bytes, format)
	w.number(count)
	return w
}

func (w *writer) number(n int) { w.bytes = binary.AppendUvarint(w.bytes, uint64(max(n, 0))) }

// signed is for numbers that may be below zero.
func (w *writer) signed(n int) { w.bytes = binary.AppendVarint(w.bytes, int64(n)) }

func (w *writer) flag(set bool) {
	if set {
		w.bytes = append(w.bytes, 1)
		return
	}
	w.bytes = append(w.bytes, 0)
}

// text writes the place of s among the strings so far; a new one follows its place.
func (w *writer) text(s string) {
	place, known := w.strings[s]
	if !known {
		place = uint64(len(w.strings))
		w.strings[s] = place
	}
	w.bytes = binary.AppendUvarint(w.bytes, place)
	if !known {
		w.bytes = binary.AppendUvarint(w.bytes, uint64(len(s)))
		w.bytes = append(w.bytes, s...)
	}
}

// reader is the counterpart. After the first fault every read gives zero values and err stays.
type reader struct {
	bytes   []byte
	strings []string
	err     error
}

// newReader returns the number of elements. least is the smallest size of one element in bytes, so that a count that
// cannot be true is refused before anything is allocated.
func newReader(value []byte, least int) (*reader, int) {
	r := &reader{bytes: value}
	if len(value) == 0 || value[0] != format {
		r.fail()
		return r, 0
	}
	r.bytes = value[1:]
	n := r.number()
	if n > maxCount || n*least > len(r.bytes) {
		r.fail()
		return r, 0
	}
	return r, n
}

func (r *reader) fail() {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %d bytes before its end", ErrCorrupt, len(r.bytes))
	}
	r.bytes = nil
}

func (r *reader) number() int {
	n, size := binary.Uvarint(r.bytes)
	if size <= 0 || n > 1<<40 {
		r.fail()
		return 0
	}
	r.bytes = r.bytes[size:]
	return int(n)
}

// small reads an enum.
func (r *reader) small() uint8 {
	n := r.number()
	if n > math.MaxUint8 {
		r.fail()
	}
	return uint8(n & math.MaxUint8)
}

func (r *reader) signed() int {
	n, size := binary.Varint(r.bytes)
	if size <= 0 || n > 1<<40 || n < -(1<<40) {
		r.fail()
		return 0
	}
	r.bytes = r.bytes[size:]
	return int(n)
}

func (r *reader) flag() bool { return r.number() == 1 }

func (r *reader) text() string {
	place := r.number()
	if place < len(r.strings) {
		return r.strings[place]
	}
	size := r.number()
	if r.err != nil || place != len(r.strings) || size > len(r.bytes) {
		r.fail()
		return ""
	}
	s := string(r.bytes[:size])
	r.bytes = r.bytes[size:]
	r.strings = append(r.strings, s)
	return s
}
