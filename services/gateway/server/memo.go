package server

import (
	"container/list"
	"fmt"
	"strconv"
	"sync"

	"github.com/tmaxmax/go-sse"
	"google.golang.org/protobuf/proto"

	jobsv1 "witan.dev/gen/witan/jobs/v1"
)

const (
	// memoEvents and memoBytes bound what is remembered; events above memoLargest are not.
	memoEvents  = 4096
	memoBytes   = 16 << 20
	memoLargest = 256 << 10
	// memoOverhead is about what an event costs beside its bytes.
	memoOverhead = 500
)

// memo remembers the newest events as viewers are shown them, so that an event of a job is decoded and encoded once
// however many watch it. Two events with the same bytes are the same event. Safe for concurrent use.
type memo struct {
	mu     sync.Mutex
	events map[string]*shown
	order  list.List // of *shown, the oldest in front
	bytes  int
}

func newMemo() *memo { return &memo{events: make(map[string]*shown)} }

// of returns the event with these bytes, which the caller may use again.
func (m *memo) of(raw []byte) *shown {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.events[string(raw)]; ok {
		return e
	}
	e := &shown{memo: m, raw: string(raw)}
	if len(raw) <= memoLargest {
		e.kept = true
		m.events[e.raw] = e
		m.order.PushBack(e)
		m.charge(e, len(raw)+memoOverhead)
	}
	return e
}

// costs notes that an event takes more memory.
func (m *memo) costs(e *shown, bytes int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.charge(e, bytes)
}

// charge forgets the oldest events as soon as there are too many or too large ones. The caller holds mu.
func (m *memo) charge(e *shown, bytes int) {
	if !e.kept {
		return
	}
	e.cost += bytes
	m.bytes += bytes
	for front := m.order.Front(); front != nil && (m.bytes > memoBytes || len(m.events) > memoEvents); front = m.order.Front() {
		oldest, ok := m.order.Remove(front).(*shown)
		if !ok {
			return
		}
		oldest.kept = false
		m.bytes -= oldest.cost
		delete(m.events, oldest.raw)
	}
}

// shown is one frame of a job's stream in all the forms that viewers may want, each made when the first one wants it.
// Nobody may change what the methods return.
type shown struct {
	memo *memo
	raw  string
	// kept and cost are the memo's, guarded by its mutex.
	kept bool
	cost int

	decode sync.Once
	place  place
	text   []byte // JSON on one line, with the line's end
	err    error

	frame    sync.Once
	sse      []byte
	frameErr error
}

// place is what a frame says about where its viewer stands.
type place struct {
	name string
	// resume is where to come back to after this frame; 0 where it names no such place.
	resume int64
	// beat says that the frame is a heartbeat, and resume is its bookmark.
	beat bool
	// inLog: the frame is an entry of the log.
	inLog bool
	// snapshot: the frame is the job as a whole.
	snapshot bool
	// ended: the job's attempt is over with this frame.
	ended bool
}

func placeOf(e *jobsv1.JobEvent) place {
	p := place{name: eventName(e), resume: e.GetSeq(), inLog: e.GetSeq() > 0, ended: e.GetFinal()}
	if beat := e.GetHeartbeat(); beat != nil {
		p.beat, p.resume = true, beat.GetLastSeq()
	}
	if s := e.GetSnapshot(); s != nil {
		p.snapshot, p.resume, p.ended = true, s.GetAsOfSeq(), ended(s.GetState())
	}
	return p
}

// line returns where the frame stands, and its JSON as one line.
func (e *shown) line() (place, []byte, error) {
	e.decode.Do(func() {
		var m jobsv1.JobEvent
		if err := proto.Unmarshal([]byte(e.raw), &m); err != nil {
			e.err = fmt.Errorf("decode an event: %w", err)
			return
		}
		e.place = placeOf(&m)
		if e.text, e.err = encodeLine(&m); e.err == nil {
			e.text = append(e.text, '\n')
			e.memo.costs(e, cap(e.text))
		}
	})
	return e.place, e.text, e.err
}

// event is the frame as a server-sent event. Only events of the log and snapshots have an id: a place to resume from.
func (e *shown) event() ([]byte, error) {
	p, line, err := e.line()
	if err != nil {
		return nil, err
	}
	e.frame.Do(func() {
		if e.sse, e.frameErr = sseEvent(p, line[:len(line)-1]); e.frameErr == nil {
			e.memo.costs(e, cap(e.sse))
		}
	})
	return e.sse, e.frameErr
}

func sseEvent(p place, line []byte) ([]byte, error) {
	m, err := message(p.name, string(line))
	if err != nil {
		return nil, err
	}
	if p.resume > 0 && (p.inLog || p.snapshot) {
		if m.ID, err = sse.NewID(strconv.FormatInt(p.resume, 10)); err != nil {
			return nil, err
		}
	}
	return m.MarshalText()
}
