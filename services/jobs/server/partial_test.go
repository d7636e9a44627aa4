package server

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	councilv1 "witan.dev/gen/witan/council/v1"
	retrievalv1 "witan.dev/gen/witan/retrieval/v1"
	"witan.dev/internal/job"
	"witan.dev/internal/job/watch"
)

// branch is a fold, and what it must hold.
type branch struct {
	fold    watch.Fold
	texts   map[string]string
	attempt map[string]int32
}

func (b *branch) copy() *branch {
	return &branch{b.fold.Copy(), maps.Clone(b.texts), maps.Clone(b.attempt)}
}

// step lets a member write on, begin anew or take back, and keeps the same books in its own way.
func (b *branch) step(t *testing.T, rng *rand.Rand) {
	t.Helper()
	member := fmt.Sprintf("m%d", rng.IntN(2))
	switch rng.IntN(6) {
	case 0:
		b.attempt[member]++
		b.texts[member] = ""
	case 1:
		b.texts[member] = b.texts[member][:rng.IntN(len(b.texts[member])+1)]
	}
	piece := fmt.Sprint(rng.IntN(10))
	payload, err := proto.Marshal(&councilv1.CouncilEvent{Event: &councilv1.CouncilEvent_MemberDelta{MemberDelta: &councilv1.MemberDelta{
		Stage: "answer", Member: member, Attempt: b.attempt[member], Offset: int64(len(b.texts[member])), Text: piece,
	}}})
	require.NoError(t, err)
	require.NoError(t, b.fold.Add(job.Event{Type: "council.member_delta", Payload: payload}))
	b.texts[member] += piece
}

func (b *branch) check(t *testing.T) {
	t.Helper()
	got := map[string]string{}
	for _, p := range b.fold.(*partial).list() { //nolint:errcheck,forcetypeassert // it is nothing else
		got[p.GetMember()] = p.GetText()
	}
	require.Equal(t, b.texts, got)
}

// Copies share what was written, and go on each for itself without telling on each other.
func TestG07_CopiesOfAFoldGoTheirOwnWays(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 3)) //nolint:gosec // a repeatable test
		all := []*branch{{newPartial(), map[string]string{}, map[string]int32{"m0": 1, "m1": 1}}}
		for range 200 {
			if len(all) < 6 && rng.IntN(20) == 0 {
				all = append(all, all[rng.IntN(len(all))].copy())
			}
			all[rng.IntN(len(all))].step(t, rng)
			for _, b := range all {
				b.check(t)
			}
		}
		require.NoError(t, all[0].fold.Add(job.Event{Type: job.TypeStateChanged, Final: true}))
		require.Empty(t, all[0].fold.(*partial).list()) //nolint:errcheck,forcetypeassert // it is nothing else
		all[1].check(t)
	}
}

// Messages with maps have no fixed form by themselves; what is replayed has one.
func TestG06_TheFrameOfAnEventIsAlwaysTheSame(t *testing.T) {
	t.Parallel()
	statuses := map[string]int64{}
	for i := range int64(50) {
		statuses[fmt.Sprint("status-", i)] = i
	}
	payload, err := proto.Marshal(&retrievalv1.IndexEvent{Event: &retrievalv1.IndexEvent_Parsed{Parsed: &retrievalv1.Parsed{Statuses: statuses}}})
	require.NoError(t, err)
	first, err := encodeFrame(job.Event{Seq: 1, Type: "index.parsed", Payload: payload})
	require.NoError(t, err)
	for range 20 {
		again, err := encodeFrame(job.Event{Seq: 1, Type: "index.parsed", Payload: payload})
		require.NoError(t, err)
		require.Equal(t, first, again)
	}
}
