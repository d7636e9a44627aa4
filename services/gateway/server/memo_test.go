package server

import (
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	councilv1 "witan.dev/gen/witan/council/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
)

func encoded(t *testing.T, seq int64, text string) []byte {
	t.Helper()
	raw, err := proto.Marshal(&jobsv1.JobEvent{Seq: seq, Event: &jobsv1.JobEvent_Council{Council: &councilv1.CouncilEvent{
		Event: &councilv1.CouncilEvent_MemberDelta{MemberDelta: &councilv1.MemberDelta{Text: text}},
	}}})
	require.NoError(t, err)
	return raw
}

func TestG09_AnEventIsTranscodedOnceForAllViewers(t *testing.T) {
	t.Parallel()
	m := newMemo()
	raw := encoded(t, 17, "grüße\n")
	lines, events := make([]*byte, 100), make([]*byte, 100)
	var wg sync.WaitGroup
	for i := range lines {
		wg.Go(func() {
			buffer := append([]byte(nil), raw...)
			e := m.of(buffer)
			clear(buffer) // is received into again
			p, line, err := e.line()
			event, eventErr := e.event()
			if err != nil || eventErr != nil || p.resume != 17 || !p.inLog || p.ended || p.name != "council.member_delta" {
				t.Errorf("%v %v %+v", err, eventErr, p)
				return
			}
			lines[i], events[i] = &line[0], &event[0]
		})
	}
	wg.Wait()
	for i := range lines {
		require.Same(t, lines[0], lines[i], "made once, shared by all")
		require.Same(t, events[0], events[i])
	}
	_, line, err := m.of(raw).line()
	require.NoError(t, err)
	event, err := m.of(raw).event()
	require.NoError(t, err)
	require.Equal(t, "id: 17\nevent: council.member_delta\ndata: "+string(line)+"\n", string(event))
}

func TestTheMemoIsBoundedInNumberAndSize(t *testing.T) {
	t.Parallel()
	m := newMemo()
	for seq := range int64(2 * memoEvents) {
		m.of(encoded(t, seq+1, ""))
	}
	require.Len(t, m.events, memoEvents)
	require.Equal(t, memoEvents, m.order.Len())
	newest := m.of(encoded(t, 2*memoEvents, ""))
	require.Same(t, newest, m.of(encoded(t, 2*memoEvents, "")))

	large := strings.Repeat("\x01", memoLargest/2) // six bytes each in JSON
	for seq := range int64(100) {
		e := m.of(encoded(t, seq+1, large))
		_, err := e.event()
		require.NoError(t, err)
		require.LessOrEqual(t, m.bytes, memoBytes)
	}
	require.Less(t, len(m.events), 12)
	sum := 0
	for _, e := range m.events {
		sum += e.cost
	}
	require.Equal(t, sum, m.bytes)

	before := m.bytes
	huge := m.of(encoded(t, 1, strings.Repeat("x", memoLargest)))
	_, line, err := huge.line()
	require.NoError(t, err)
	require.Greater(t, len(line), memoLargest)
	require.Equal(t, before, m.bytes, "not remembered")
}

func TestWhatIsNoEventIsAnErrorForAll(t *testing.T) {
	t.Parallel()
	m := newMemo()
	for range 2 {
		_, _, err := m.of([]byte("\xff\xff\xff")).line()
		require.ErrorContains(t, err, "decode an event")
		_, err = m.of([]byte("\xff\xff\xff")).event()
		require.ErrorContains(t, err, "decode an event")
	}
}

func TestG08_AHeartbeatBehindTheEndDoesNotUndoIt(t *testing.T) {
	t.Parallel()
	p := &pump{}
	for _, step := range []struct {
		event *jobsv1.JobEvent
		last  int64
		ended bool
	}{
		{&jobsv1.JobEvent{Seq: 7}, 7, false},
		{&jobsv1.JobEvent{Seq: 8, Final: true}, 8, true},
		{heartbeat(8), 8, true},
		{&jobsv1.JobEvent{Seq: 9}, 9, false}, // a retried job goes on
		{heartbeat(12), 12, false},           // what was filtered out
		{&jobsv1.JobEvent{Event: &jobsv1.JobEvent_Snapshot{Snapshot: &jobsv1.Job{State: jobsv1.Job_FAILED, AsOfSeq: 14}}}, 14, true},
	} {
		p.note(placeOf(step.event))
		require.Equal(t, step.last, p.lastSeq)
		require.Equal(t, step.ended, p.ended)
	}
}
