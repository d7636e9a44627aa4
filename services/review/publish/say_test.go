package publish_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/services/review"
	"witan.dev/services/review/publish"
)

// closed is a forge that takes no answers in threads.
type closed struct {
	publish.Forge

	said []string
}

func (*closed) Comments(context.Context, review.PullRef) ([]publish.Comment, error) { return nil, nil }

func (*closed) Reply(context.Context, review.PullRef, int64, string) (publish.Comment, error) {
	return publish.Comment{}, publish.ErrPending
}

func (c *closed) CreateComment(_ context.Context, _ review.PullRef, body string) (publish.Comment, error) {
	c.said = append(c.said, body)
	return publish.Comment{ID: 7, Kind: publish.KindConversation, Body: body}, nil
}

func TestWhoAsksInAThreadThatTakesNoAnswerIsAnsweredInTheConversation(t *testing.T) {
	t.Parallel()
	forge := &closed{}
	desk := &publish.Desk{
		Forge: forge, Begun: map[string]bool{}, Begin: func(context.Context, []string) error { return nil }, Logger: slog.New(slog.DiscardHandler),
	}
	p, err := desk.Say(t.Context(), "key", 3, "so it is")
	require.NoError(t, err)
	require.True(t, p.Done)
	require.EqualValues(t, 7, p.Comment)
	require.Equal(t, []string{"so it is"}, forge.said)
}
