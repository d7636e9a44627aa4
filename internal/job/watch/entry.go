package watch

import (
	"sync"

	"witan.dev/internal/job"
)

// Entry is one event of a log as all its viewers share it. Nobody changes it. Safe for concurrent use.
type Entry struct {
	job.Event

	once  sync.Once
	frame []byte
	err   error
}

// Frame is the event in the form in which it is sent. encode is called the first time only, however many viewers ask;
// its result, the error too, is everybody's, and nobody may change the bytes. All callers pass the same function.
func (e *Entry) Frame(encode func(job.Event) ([]byte, error)) ([]byte, error) {
	e.once.Do(func() { e.frame, e.err = encode(e.Event) })
	return e.frame, e.err
}

// overhead is about what an entry costs in memory beside its payload, its key and its frame.
const overhead = 400

// size is about what an entry costs in memory once it was encoded; a frame is little more than the payload again.
func (e *Entry) size() int { return overhead + 2*len(e.Payload) + len(e.Key) }

func entries(events []job.Event) []*Entry {
	list := make([]*Entry, len(events))
	for i, e := range events {
		list[i] = &Entry{Event: e}
	}
	return list
}
