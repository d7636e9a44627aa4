package redis

import (
	"github.com/klauspost/compress/s2"

	"witan.dev/services/ingest"
)

// pack makes a body small: GitHub's are a sixth then, in about 1.5 ms for each MB, and what Redis copies, writes and awaits on
// its disk took longer than that.
func pack(body []byte) []byte { return s2.Encode(nil, body) }

// unpack is the body that was packed. What nobody packed comes back as it is: it is no JSON, and the intake says so.
func unpack(packed []byte) []byte {
	if n, err := s2.DecodedLen(packed); err != nil || n > ingest.MaxBody {
		return packed
	}
	body, err := s2.Decode(nil, packed)
	if err != nil {
		return packed
	}
	return body
}
