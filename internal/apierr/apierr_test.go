package apierr_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/apierr"
)

func TestCopiesEqualTheirSentinel(t *testing.T) {
	t.Parallel()
	sentinel := apierr.Precondition("BUSY", "wait for it")
	cause := errors.New("row 7")
	err := fmt.Errorf("start: %w", sentinel.With("job", "jobs/a").Field("name", "is taken").Wrap(cause))
	require.ErrorIs(t, err, sentinel)
	require.ErrorIs(t, err, cause)
	require.NotErrorIs(t, err, apierr.Precondition("OTHER", "wait for it"))
	require.NotErrorIs(t, err, apierr.NotFound("BUSY", "wait for it"))
	require.NotErrorIs(t, err, errors.New("wait for it"))
	require.Equal(t, "start: wait for it; name: is taken: row 7", err.Error())
}

func TestSentinelsNeverChange(t *testing.T) {
	t.Parallel()
	sentinel := apierr.Invalid("BAD", "mend it").With("a", "1").Field("x", "is bad")
	changed := sentinel.With("a", "2").With("b", "3").Field("y", "is worse").Wrap(errors.New("why"))
	require.Equal(t, map[string]string{"a": "1"}, sentinel.Metadata())
	require.Equal(t, []apierr.Field{{Path: "x", Description: "is bad"}}, sentinel.Fields())
	require.NoError(t, sentinel.Unwrap())
	require.Equal(t, map[string]string{"a": "2", "b": "3"}, changed.Metadata())
	require.Len(t, changed.Fields(), 2)

	changed.Metadata()["a"] = "9"
	changed.Fields()[0].Path = "z"
	require.Equal(t, "2", changed.Metadata()["a"])
	require.Equal(t, "x", changed.Fields()[0].Path)
	require.NotNil(t, apierr.NotFound("N", "n").Metadata())
}
