package ingest

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func check(t *testing.T, body []byte) {
	t.Helper()
	action, ok := readEnvelope(body)
	var std map[string]json.RawMessage
	want := json.Unmarshal(body, &std) == nil && std != nil
	require.Equal(t, want, ok, "%q", body)
	if !ok {
		return
	}
	raw, there := std["action"]
	if there && action == nil {
		require.Contains(t, string(body), `\`, "only a name that is written with an escape is not found: %q", body)
		return
	}
	require.Equal(t, string(raw), string(action), "%q", body)
}

func TestEnvelopesAreWhatTheStandardLibraryTakes(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		``, ` `, `{`, `{}`, " \t\r\n{ } \n", `null`, `[]`, `"x"`, `1`, `{}{}`, `{} x`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`, `{"a":1 "b":2}`, `{a:1}`, `{'a':1}`,
		`{"a":01}`, `{"a":-}`, `{"a":-0}`, `{"a":1.}`, `{"a":.5}`, `{"a":1e}`, `{"a":1e+}`, `{"a":1E-5}`, `{"a":1.5e+10}`, `{"a":+1}`, `{"a":1x}`, `{"a":0x1}`,
		`{"a":true}`, `{"a":tru}`, `{"a":trues}`, `{"a":nul}`, `{"a":False}`, `{"a":"\u00e9\ud800\"\\\/\b\f\n\r\t"}`, `{"a":"\u00g0"}`, `{"a":"\u12"}`, `{"a":"\x"}`,
		"{\"a\":\"\x1f\"}", "{\"a\":\"\xff\"}", "{\"a\":\"\x00\"}", `{"a":"`, `{"a":"\`, `{"a":"\u`, "{\"a\":\"\\u\x10\x10\x10\x10\"}", `{"a":"\uABCD\uabcd\u0123"}`, `{"a":[1,[2,{"b":[]}],"x"]}`, `{"a":[1,]}`, `{"a":[}`,
		`{"action":"opened"}`, `{"action":{"x":1},"b":2}`, `{"b":{"action":"inner"}}`, `{"action":"a","action":"b"}`, "{\"a\":1}\x00", "\xef\xbb\xbf{}",
		`{"a":` + strings.Repeat("[", 9999) + strings.Repeat("]", 9999) + `}`, `{"a":` + strings.Repeat("[", 10000) + strings.Repeat("]", 10000) + `}`,
		`{"a":` + strings.Repeat(`{"a":`, 9999) + "1" + strings.Repeat("}", 9999) + `}`, `{"a":` + strings.Repeat(`{"a":`, 10000) + "1" + strings.Repeat("}", 10000) + `}`,
	} {
		check(t, []byte(body))
	}
	action, ok := readEnvelope([]byte(`{"b": {"action": "inner"}, "action" : "opened" , "c":[]}`))
	require.True(t, ok)
	require.Equal(t, `"opened"`, string(action))
}

// TestEveryByteOfAStringCounts puts what means something at every place of a word of eight bytes.
func TestEveryByteOfAStringCounts(t *testing.T) {
	t.Parallel()
	for _, special := range []string{`"`, `\`, `\"`, `\u00e9`, "\x00", "\x1f", " ", "!", "#", "[", "]", "\x7f", "\x80", "\xa2", "\xdc", "\xff"} {
		for _, around := range []string{"a", "\x80", "\xff", " "} {
			for before := range 18 {
				for after := range 10 {
					check(t, []byte(`{"k":"`+strings.Repeat(around, before)+special+strings.Repeat(around, after)+`"}`))
				}
			}
		}
	}
}

func FuzzEnvelope(f *testing.F) {
	for _, seed := range []string{`{"action":"opened","number":1.5e-3,"a":["\u00e9",null,true,false,{}]}`, `{`, ` null`, "{\"\xff\":\"\\ud800\"}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) { check(t, body) })
}
