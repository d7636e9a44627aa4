package rpc

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec that stands behind ours
	"google.golang.org/grpc/mem"
)

// Encoded is a message in its wire form. A stream of a server made by NewServer sends one as it is (SendMsg), so that a
// message for many callers is encoded once; nobody may change the bytes any more. A stream that was opened with
// EncodedMessages receives into one (RecvMsg with an *Encoded), so that what was decoded once need not be again.
type Encoded []byte

// EncodedMessages lets a call receive messages as they are. All other messages of the call are as ever.
func EncodedMessages() grpc.CallOption { return grpc.ForceCodecV2(newCodec()) }

// codec is the one for protobuf, except that an Encoded is its own form.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2("proto")} }

// Marshal implements encoding.CodecV2.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if e, ok := v.(Encoded); ok {
		return mem.BufferSlice{mem.SliceBuffer(e)}, nil
	}
	return c.CodecV2.Marshal(v)
}

// Unmarshal implements encoding.CodecV2. The bytes of an *Encoded are overwritten.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	e, ok := v.(*Encoded)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	raw := (*e)[:0]
	for _, b := range data {
		raw = append(raw, b.ReadOnlyData()...)
	}
	*e = raw
	return nil
}
