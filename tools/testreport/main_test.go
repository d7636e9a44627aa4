package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func run(t *testing.T, lines ...string) (string, bool) {
	t.Helper()
	var out strings.Builder
	r := report{out: &out, output: map[test][]string{}, build: map[string][]string{}}
	require.NoError(t, r.read(strings.NewReader(strings.Join(lines, "\n"))))
	ok := r.close()
	return out.String(), ok
}

func TestClosingLineCountsAndSkipsAreNamed(t *testing.T) {
	t.Parallel()
	out, ok := run(t,
		`{"Action":"pass","Package":"p","Test":"TestA"}`,
		`{"Action":"output","Package":"p","Test":"TestB","Output":"    x_test.go:3: needs data\n"}`,
		`{"Action":"skip","Package":"p","Test":"TestB"}`,
		`{"Action":"pass","Package":"p"}`)
	require.True(t, ok)
	require.Contains(t, out, "SKIP p TestB: 3: needs data\n")
	require.True(t, strings.HasSuffix(out, "1 passed, 0 failed, 1 skipped\n"))
}

func TestAFailureACrashABuildErrorAndAnEmptyRunDoNotPass(t *testing.T) {
	t.Parallel()
	out, ok := run(t, `{"Action":"pass","Package":"p","Test":"TestA"}`,
		`{"Action":"output","Package":"p","Test":"TestB","Output":"wrong\n"}`, `{"Action":"fail","Package":"p","Test":"TestB"}`)
	require.False(t, ok)
	require.Contains(t, out, "wrong")
	out, ok = run(t, `{"Action":"pass","Package":"p","Test":"TestA"}`,
		`{"Action":"output","Package":"p","Test":"TestB","Output":"SIGSEGV\n"}`, `{"Action":"fail","Package":"p"}`)
	require.False(t, ok)
	require.Contains(t, out, "UNFINISHED: p TestB\nSIGSEGV")
	out, ok = run(t, `{"ImportPath":"p","Action":"build-output","Output":"undefined: x\n"}`,
		`{"ImportPath":"p","Action":"build-fail"}`, `{"Action":"fail","Package":"p"}`)
	require.False(t, ok)
	require.Contains(t, out, "undefined: x")
	_, ok = run(t, "")
	require.False(t, ok)
}
