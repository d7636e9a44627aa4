package gateway_test

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/services/gateway"
)

func TestHeaderBeatsParameter(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		header, parameter string
		want              gateway.Position
	}{
		"neither":   {"", "", gateway.Position{}},
		"parameter": {"", "0", gateway.Position{Set: true}},
		"header":    {"17", "", gateway.Position{Seq: 17, Set: true}},
		"both":      {"17", "3", gateway.Position{Seq: 17, Set: true}},
		"largest":   {"9223372036854775807", "x", gateway.Position{Seq: 1<<63 - 1, Set: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := gateway.ParsePosition(c.header, c.parameter)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestNoNumberIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"-1", "+1", " 1", "1 ", "0x10", "1e3", "1_0", "9223372036854775808", "١", "1\n", "snapshot"} {
		_, err := gateway.ParsePosition(text, "1")
		require.ErrorIs(t, err, gateway.ErrPositionInvalid, "header %q", text)
		_, err = gateway.ParsePosition("", text)
		require.ErrorIs(t, err, gateway.ErrPositionInvalid, "parameter %q", text)
	}
}

func FuzzParsePosition(f *testing.F) {
	for _, seed := range []string{"", "0", "17", "-1", "9223372036854775808", "00001", "a"} {
		f.Add(seed, "5")
		f.Add("", seed)
	}
	f.Fuzz(func(t *testing.T, header, parameter string) {
		p, err := gateway.ParsePosition(header, parameter)
		if err != nil {
			require.ErrorIs(t, err, gateway.ErrPositionInvalid)
			return
		}
		require.Equal(t, header != "" || parameter != "", p.Set)
		require.GreaterOrEqual(t, p.Seq, int64(0))
		again, err := gateway.ParsePosition(strconv.FormatInt(p.Seq, 10), parameter)
		require.NoError(t, err)
		require.Equal(t, p.Seq, again.Seq)
	})
}
