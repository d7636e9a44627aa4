package job

import (
	"fmt"
	"strconv"
	"strings"

	"witan.dev/internal/job/engine"
)

// execution is the attempt's ID in the engine. The first bears the job's own, a later one "<job>~<attempt>", so that the
// engine starts it clean: what was done before comes from journal, outcomes and keys.
func (a Attempt) execution() engine.ID {
	if a.Number <= 1 {
		return a.ID
	}
	return engine.ID(string(a.ID) + separator + strconv.Itoa(int(a.Number)))
}

// separator is no character of an ID.
const separator = "~"

// attemptOf reads what execution wrote.
func attemptOf(id engine.ID) (Attempt, error) {
	name, number, later := strings.Cut(string(id), separator)
	if !later {
		return Attempt{ID: id, Number: 1}, nil
	}
	n, err := strconv.ParseInt(number, 10, 32)
	if err != nil || n < 2 {
		return Attempt{}, fmt.Errorf("the engine holds %q, which is no attempt of a job", id)
	}
	return Attempt{ID: ID(name), Number: int32(n)}, nil
}

func executions(attempts []Attempt) []engine.ID {
	ids := make([]engine.ID, len(attempts))
	for i, a := range attempts {
		ids[i] = a.execution()
	}
	return ids
}
