package lifecycle_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/lifecycle"
)

type part struct {
	name  string
	fails error
	log   *[]string
}

func (p part) Start(context.Context) error {
	*p.log = append(*p.log, "start "+p.name)
	return p.fails
}

func (p part) Stop(context.Context) error {
	*p.log = append(*p.log, "stop "+p.name)
	return p.fails
}

func TestStackStopsInReverseOrderAndOnce(t *testing.T) {
	t.Parallel()
	var log []string
	var s lifecycle.Stack
	require.NoError(t, s.Start(t.Context(), "a", part{name: "a", log: &log}))
	require.NoError(t, s.Start(t.Context(), "b", part{name: "b", log: &log}))
	require.NoError(t, s.Close(t.Context()))
	require.NoError(t, s.Close(t.Context()))
	require.Equal(t, []string{"start a", "start b", "stop b", "stop a"}, log)
}

func TestAPartThatDoesNotStartIsStoppedAndTheOthersStopAfterAnError(t *testing.T) {
	t.Parallel()
	var log []string
	var s lifecycle.Stack
	broken := errors.New("broken")
	s.Defer("first", func(context.Context) error { log = append(log, "undo first"); return nil })
	s.Defer("second", func(context.Context) error { return broken })
	require.ErrorIs(t, s.Start(t.Context(), "c", part{name: "c", fails: broken, log: &log}), broken)
	require.ErrorIs(t, s.Close(t.Context()), broken)
	require.Equal(t, []string{"start c", "stop c", "undo first"}, log)
}
