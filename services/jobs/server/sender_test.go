package server

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	jobsv1 "witan.dev/gen/witan/jobs/v1"
	"witan.dev/internal/apierr"
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
	require.NoError(t, out.send(t.Context(), frame{seq: 1}, frame{seq: 2}, frame{seq: 3}))
	<-waits
	<-stream.begun
	ended := make(chan error)
	go func() { ended <- out.send(t.Context(), frame{seq: 4}) }()
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
	out.close()
	stream.take <- struct{}{}
	<-out.done
}
