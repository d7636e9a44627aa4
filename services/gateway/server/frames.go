package server

import (
	"strconv"
	"time"

	"github.com/tmaxmax/go-sse"
	"google.golang.org/protobuf/reflect/protoreflect"

	jobsv1 "witan.dev/gen/witan/jobs/v1"
)

// retry is how long a browser waits before it comes back.
const retry = time.Second

// frames writes job events in one stream format. Each function returns the bytes of one write, which nobody may change;
// none is an empty slice.
type frames interface {
	// contentType is the stream's media type.
	contentType() string
	// hello is what the stream begins with.
	hello() ([]byte, error)
	// event is one event of the log, a snapshot, or a heartbeat.
	event(e *shown) ([]byte, error)
	// alive is a sign of life between events; lastSeq is the place to resume from.
	alive(lastSeq int64) ([]byte, error)
	// done says that there is nothing more to come.
	done() ([]byte, error)
	// failed says that the stream broke; body is the error's JSON.
	failed(body []byte) ([]byte, error)
}

// lines is newline-delimited JSON: one event a line.
type lines struct{}

func (lines) contentType() string    { return "application/x-ndjson" }
func (lines) hello() ([]byte, error) { return nil, nil }
func (lines) done() ([]byte, error)  { return nil, nil }

func (lines) event(e *shown) ([]byte, error) {
	_, line, err := e.line()
	return line, err
}

func (lines) alive(lastSeq int64) ([]byte, error) {
	line, err := encodeLine(heartbeat(lastSeq))
	return append(line, '\n'), err
}

func (lines) failed(body []byte) ([]byte, error) { return append(body, '\n'), nil }

// sseFrames is the format of server-sent events. Only events of the log and snapshots have an id: a place to resume from.
type sseFrames struct{}

func (sseFrames) contentType() string { return "text/event-stream" }

func (sseFrames) hello() ([]byte, error) {
	m := sse.Message{Retry: retry}
	m.AppendComment("connected")
	return m.MarshalText()
}

func (f sseFrames) event(e *shown) ([]byte, error) {
	p, _, err := e.line()
	if err != nil {
		return nil, err
	}
	if p.beat {
		return f.alive(p.resume)
	}
	return e.event()
}

func (sseFrames) alive(lastSeq int64) ([]byte, error) {
	var m sse.Message
	m.AppendComment("heartbeat " + strconv.FormatInt(lastSeq, 10))
	return m.MarshalText()
}

func (sseFrames) done() ([]byte, error) {
	m, err := message("done", "{}") // browsers drop events without data
	if err != nil {
		return nil, err
	}
	return m.MarshalText()
}

// failed is never an event named "error": browsers keep that name for broken connections.
func (sseFrames) failed(body []byte) ([]byte, error) {
	m, err := message("stream_error", string(body))
	if err != nil {
		return nil, err
	}
	return m.MarshalText()
}

func message(name, data string) (*sse.Message, error) {
	kind, err := sse.NewType(name)
	if err != nil {
		return nil, err
	}
	m := &sse.Message{Type: kind}
	m.AppendData(data)
	return m, nil
}

func heartbeat(lastSeq int64) *jobsv1.JobEvent {
	return &jobsv1.JobEvent{Event: &jobsv1.JobEvent_Heartbeat{Heartbeat: &jobsv1.Heartbeat{LastSeq: lastSeq}}}
}

// eventName is "<service>.<field>" of the innermost oneof, such as "council.member_answered"; the job's own are "job.…".
// An event of a newer version, whose oneof we do not know, is "job.unknown".
func eventName(e *jobsv1.JobEvent) string {
	outer, field := chosen(e.ProtoReflect())
	if field == nil {
		return "job.unknown"
	}
	switch outer {
	case "council", "review", "index":
		inner, _ := chosen(e.ProtoReflect().Get(field).Message())
		if inner == "" {
			inner = "unknown"
		}
		return outer + "." + inner
	default:
		return "job." + outer
	}
}

func chosen(m protoreflect.Message) (string, protoreflect.FieldDescriptor) {
	oneof := m.Descriptor().Oneofs().ByName("event")
	if oneof == nil {
		return "", nil
	}
	field := m.WhichOneof(oneof)
	if field == nil {
		return "", nil
	}
	return string(field.Name()), field
}
