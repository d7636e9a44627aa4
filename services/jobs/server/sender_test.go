package server

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	jobsv1 "witan.dev/gen/witan/jobs/v1"
	"witan.dev/internal/apierr"
	"witan.dev/services/jobs"
)

// hesitant is a stream whose writes wait to be taken.
type hesitant struct {
	grpc.ServerStreamingServer[jobsv1.JobEvent]

	begun chan struct{} // a write has begun
	take  chan struct{} // it ends
}

func (h hesitant) SendMsg(any) error {
	h.begun <- struct{}{}
	<-h.take
	return nil
}

// A viewer is sent away when nothing at all was taken for a while, however much it was given at once.
func TestG09_OneWhoReadsSlowlyIsNotSentAway(t *testing.T) {
	t.Parallel()
	waits, ticks := make(chan struct{}, 100), make(chan time.Time)
	stream := hesitant{begun: make(chan struct{}), take: make(chan struct{})}
	out := newSender(stream, Config{After: func(time.Duration) <-chan time.Time {
		waits <- struct{}{}
		return ticks
	}})
	require.NoError(t, out.send(t.Context(), frame{seq: 1}, frame{seq: 2}, frame{seq: 3}, frame{seq: 4}))
	<-stream.begun
	for len(waits) > 0 {
		<-waits // for the goroutine to begin
	}
	ended := make(chan error)
	go func() { ended <- out.send(t.Context(), frame{seq: 5}) }()
	<-waits
	for range 2 {
		stream.take <- struct{}{}
		<-stream.begun
		ticks <- time.Time{}
		<-waits // it goes on waiting
	}
	ticks <- time.Time{}
	var e *apierr.Error
	require.ErrorAs(t, <-ended, &e)
	require.Equal(t, apierr.ReasonViewerTooSlow, e.Reason())
	require.Equal(t, map[string]string{"seq": "2"}, e.Metadata())
	stream.take <- struct{}{} // the write under way
	<-out.done                // and none behind it
}

// A stream that ends by itself, or with an error of its own, does so behind what was sent, and waits one grace for that.
func TestG09_AStreamEndsBehindItsLastFrame(t *testing.T) {
	t.Parallel()
	failure := errors.New("the log is gone")
	for name, read := range map[string]bool{"read": true, "not read": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ticks := make(chan time.Time)
			stream := hesitant{begun: make(chan struct{}), take: make(chan struct{})}
			out := newSender(stream, Config{After: func(time.Duration) <-chan time.Time { return ticks }})
			require.NoError(t, out.send(t.Context(), frame{seq: 1}, frame{seq: 2}))
			ended := make(chan error)
			go func() { ended <- out.last(t.Context(), failure) }()
			<-stream.begun
			if !read {
				ticks <- time.Time{}
				require.ErrorIs(t, <-ended, jobs.ErrViewerTooSlow)
				stream.take <- struct{}{}
				<-out.done
				return
			}
			stream.take <- struct{}{}
			<-stream.begun
			stream.take <- struct{}{}
			require.ErrorIs(t, <-ended, failure)
		})
	}
}
