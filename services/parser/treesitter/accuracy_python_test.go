package treesitter

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/services/parser"
)

// Python's oracle is CPython's ast over its own standard library. Nothing is excused: what CPython reads, we read.
func TestPythonMatchesCPython(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		require.Empty(t, os.Getenv("CI"), "python3 is missing: it is the oracle for Python definitions")
		t.Skip("needs python3 as the oracle; the accuracy of Python definitions stays unchecked")
	}
	command := exec.CommandContext(t.Context(), python, "testdata/oracle.py") //nolint:gosec // fixed script
	command.Stderr = os.Stderr
	output, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())

	e := newExtractor(t)
	var s score
	rows := json.NewDecoder(bufio.NewReader(output))
	files := 0
	for ; rows.More(); files++ {
		var f oracleFile
		require.NoError(t, rows.Decode(&f))
		got, _ := extract(t, e, "python", f.Path, f.Text, func(defs []parser.Definition, i int) bool {
			return defs[i].Kind == parser.KindType // type aliases are newer than some interpreters
		})
		s.compare(f.Path, exact(f.Exact), got, 0, nil)
	}
	require.NoError(t, command.Wait())
	require.Greater(t, files, 400, "the interpreter came without its library's sources")
	s.require(t, 1)
	require.Zero(t, s.wrongEnd)
}
