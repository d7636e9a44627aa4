package server

import (
	"bytes"
	"encoding/json"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// marshalOptions write lowerCamelCase with zero values, so that lists and counters are always there.
func marshalOptions() protojson.MarshalOptions {
	return protojson.MarshalOptions{EmitDefaultValues: true}
}

// codec reads and writes JSON, and files (google.api.HttpBody) as they are. Unknown fields in a body are errors.
func codec() runtime.Marshaler {
	return &runtime.HTTPBodyMarshaler{Marshaler: &runtime.JSONPb{MarshalOptions: marshalOptions()}}
}

// encodeLine is a message as JSON on one line without blanks. protojson varies its blanks from build to build on
// purpose; what is replayed must not.
func encodeLine(m proto.Message) ([]byte, error) {
	raw, err := marshalOptions().Marshal(m)
	if err != nil {
		return nil, err
	}
	line := bytes.NewBuffer(make([]byte, 0, len(raw)+1)) // a line's end may follow
	if err := json.Compact(line, raw); err != nil {
		return nil, err
	}
	return line.Bytes(), nil
}
