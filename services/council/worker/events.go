package worker

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	councilv1 "witan.dev/gen/witan/council/v1"
	"witan.dev/internal/job"
)

// event makes an entry of the job's log. Its type is the name of the oneof's field, its bytes are the same for the same
// message.
func event(key string, e *councilv1.CouncilEvent) job.NewEvent {
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(e)
	if err != nil {
		panic(fmt.Sprintf("council: encode event %s: %v", key, err)) // texts are valid UTF-8 by construction
	}
	return job.NewEvent{Key: key, Type: "council." + fieldOf(e), Payload: raw}
}

func fieldOf(e *councilv1.CouncilEvent) string {
	m := e.ProtoReflect()
	field := m.WhichOneof(m.Descriptor().Oneofs().ByName("event"))
	if field == nil {
		return string(protoreflect.Name("unknown"))
	}
	return string(field.Name())
}

// key joins the parts of an event's key; empty ones are left out.
func key(parts ...any) string {
	var b strings.Builder
	for _, p := range parts {
		s := fmt.Sprint(p)
		if s == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('/')
		}
		b.WriteString(s)
	}
	return b.String()
}
