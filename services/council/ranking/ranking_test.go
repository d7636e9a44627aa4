package ranking_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/services/council/draw"
	"witan.dev/services/council/ranking"
)

func tie(id string) string { return draw.Seeded(99).Rank(id) }

func ids(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("m%d", i+1)
	}
	return out
}

// ballots draws k ballots over random subsets of the candidates.
func ballots(r *rand.Rand, candidates []string, k int) []ranking.Ballot {
	var out []ranking.Ballot
	for i := range k {
		shown := slices.Clone(candidates)
		r.Shuffle(len(shown), func(a, b int) { shown[a], shown[b] = shown[b], shown[a] })
		shown = shown[:1+r.IntN(len(shown))]
		given := slices.Clone(shown)
		r.Shuffle(len(given), func(a, b int) { given[a], given[b] = given[b], given[a] })
		out = append(out, ranking.Ballot{Reviewer: fmt.Sprint(i), Shown: shown, Ranking: given})
	}
	return out
}

func order(a ranking.Aggregate) []string {
	var out []string
	for _, r := range a.Ranked {
		if r.Rank > 0 {
			out = append(out, r.Answer)
		}
	}
	return out
}

func disagreement(order []string, bs []ranking.Ballot) int {
	at := map[string]int{}
	for i, id := range order {
		at[id] = i
	}
	cost := 0
	for _, b := range bs {
		if len(b.Ranking) < 2 {
			continue
		}
		for i, x := range b.Ranking {
			for _, y := range b.Ranking[i+1:] {
				if at[x] > at[y] {
					cost++
				}
			}
		}
	}
	return cost
}

func permutations(in []string, visit func([]string)) {
	var walk func(n int)
	p := slices.Clone(in)
	walk = func(n int) {
		if n == len(p) {
			visit(p)
			return
		}
		for i := n; i < len(p); i++ {
			p[n], p[i] = p[i], p[n]
			walk(n + 1)
			p[n], p[i] = p[i], p[n]
		}
	}
	walk(0)
}

func TestKemenyEqualsBruteForceOverAllOrders(t *testing.T) {
	t.Parallel()
	for n := 2; n <= ranking.KemenyLimit; n++ {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(1, uint64(n))) //nolint:gosec // a repeatable test
			rounds := 60
			if n > 6 {
				rounds = 6
			}
			for range rounds {
				bs := ballots(r, ids(n), 1+r.IntN(6))
				got := ranking.Input{Candidates: ids(n), Ballots: bs, Method: ranking.Kemeny, Tie: tie}.Aggregate()
				ranked := order(got)
				least := math.MaxInt
				permutations(ranked, func(p []string) { least = min(least, disagreement(p, bs)) })
				if len(ranked) > 0 {
					require.Equal(t, least, disagreement(ranked, bs))
				}
			}
		})
	}
}

func TestBordaAndCopelandEqualPlainRecomputation(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(2, 2)) //nolint:gosec // a repeatable test
	for range 200 {
		n := 2 + r.IntN(10)
		bs := ballots(r, ids(n), 1+r.IntN(8))
		for _, m := range []ranking.Method{ranking.Borda, ranking.Copeland} {
			got := ranking.Input{Candidates: ids(n), Ballots: bs, Method: m, Tie: tie}.Aggregate()
			require.Equal(t, m, got.MethodUsed)
			last := math.Inf(1)
			for _, row := range got.Ranked {
				borda, copeland := recompute(row.Answer, ids(n), bs)
				require.InDelta(t, borda, row.Borda, 1e-9)
				want := copeland
				if m == ranking.Borda {
					want = borda
				}
				require.InDelta(t, want, row.Score, 1e-9)
				if row.Rank > 0 {
					require.LessOrEqual(t, row.Score, last+1e-9)
					last = row.Score
				}
			}
		}
	}
}

func recompute(id string, all []string, bs []ranking.Ballot) (borda, copeland float64) {
	n := 0
	for _, b := range bs {
		place := slices.Index(b.Ranking, id)
		if k := len(b.Ranking); place >= 0 && k > 1 {
			borda += float64(k-(place+1)) / float64(k-1)
			n++
		}
	}
	if n > 0 {
		borda /= float64(n)
	}
	opponents := 0
	for _, other := range all {
		win, lose := 0, 0
		for _, b := range bs {
			x, y := slices.Index(b.Ranking, id), slices.Index(b.Ranking, other)
			if x < 0 || y < 0 || x == y {
				continue
			}
			if x < y {
				win++
			} else {
				lose++
			}
		}
		if win+lose == 0 {
			continue
		}
		opponents++
		switch {
		case win > lose:
			copeland++
		case lose > win:
			copeland--
		}
	}
	if opponents > 0 {
		copeland /= float64(opponents)
	}
	return borda, copeland
}

func TestOrderOfBallotsAndCandidatesChangesNothing(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 3)) //nolint:gosec // a repeatable test
	for range 300 {
		n := 2 + r.IntN(9)
		bs := ballots(r, ids(n), r.IntN(7))
		for _, m := range []ranking.Method{ranking.Kemeny, ranking.Copeland, ranking.Borda} {
			a := ranking.Input{Candidates: ids(n), Ballots: bs, Method: m, Tie: tie}.Aggregate()
			mixed, cands := slices.Clone(bs), ids(n)
			r.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
			r.Shuffle(len(cands), func(i, j int) { cands[i], cands[j] = cands[j], cands[i] })
			b := ranking.Input{Candidates: cands, Ballots: mixed, Method: m, Tie: tie}.Aggregate()
			require.Equal(t, order(a), order(b))
			require.Equal(t, a.TieAtTop, b.TieAtTop)
			require.Equal(t, a.Pairwise, b.Pairwise)
		}
	}
}

// TestRelabellingRelabelsTheResult renames the candidates and carries their tie keys with them.
func TestRelabellingRelabelsTheResult(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(4, 4)) //nolint:gosec // a repeatable test
	for range 200 {
		n := 2 + r.IntN(6)
		names := ids(n)
		perm := r.Perm(n)
		rename := map[string]string{}
		back := map[string]string{}
		for i, name := range names {
			rename[name], back[names[perm[i]]] = names[perm[i]], name
		}
		bs := ballots(r, names, 1+r.IntN(5))
		renamed := make([]ranking.Ballot, len(bs))
		for i, b := range bs {
			for _, id := range b.Ranking {
				renamed[i].Ranking = append(renamed[i].Ranking, rename[id])
			}
			for _, id := range b.Shown {
				renamed[i].Shown = append(renamed[i].Shown, rename[id])
			}
		}
		a := order(ranking.Input{Candidates: names, Ballots: bs, Tie: tie}.Aggregate())
		b := order(ranking.Input{Candidates: names, Ballots: renamed, Tie: func(id string) string { return tie(back[id]) }}.Aggregate())
		for i := range a {
			require.Equal(t, rename[a[i]], b[i])
		}
	}
}

func TestUnanimousBallotsGiveTheirOrder(t *testing.T) {
	t.Parallel()
	for n := 2; n <= 11; n++ {
		var bs []ranking.Ballot
		for i := range n {
			b := slices.Delete(ids(n), i, i+1) // recused: everyone but the author itself
			bs = append(bs, ranking.Ballot{Shown: b, Ranking: b})
		}
		if n == 2 {
			continue // one candidate a ballot says nothing
		}
		for _, m := range []ranking.Method{ranking.Kemeny, ranking.Copeland} {
			got := ranking.Input{Candidates: ids(n), Ballots: bs, Method: m, Tie: tie}.Aggregate()
			require.Equal(t, ids(n), order(got), "%s %d", m, n)
			require.False(t, got.TieAtTop)
			if n >= 4 {
				require.InDelta(t, 1, *got.Agreement, 1e-9)
				require.InDelta(t, 1, *got.KendallW, 1e-9)
			} else {
				require.Nil(t, got.Agreement)
				require.Nil(t, got.KendallW)
			}
		}
	}
}

func TestCondorcetWinnerIsFirst(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 5)) //nolint:gosec // a repeatable test
	found := 0
	for range 500 {
		n := 3 + r.IntN(8)
		bs := ballots(r, ids(n), 1+r.IntN(9))
		winner := ""
		for _, c := range ids(n) {
			beats := 0
			for _, o := range ids(n) {
				win, lose := 0, 0
				for _, b := range bs {
					x, y := slices.Index(b.Ranking, c), slices.Index(b.Ranking, o)
					if x >= 0 && y >= 0 && x != y {
						if x < y {
							win++
						} else {
							lose++
						}
					}
				}
				if win > lose {
					beats++
				}
			}
			if beats == n-1 {
				winner = c
			}
		}
		if winner == "" {
			continue
		}
		found++
		for _, m := range []ranking.Method{ranking.Kemeny, ranking.Copeland} {
			require.Equal(t, winner, order(ranking.Input{Candidates: ids(n), Ballots: bs, Method: m, Tie: tie}.Aggregate())[0])
		}
	}
	require.Greater(t, found, 20)
}

func TestAboveEightCandidatesCopelandTakesOver(t *testing.T) {
	t.Parallel()
	bs := []ranking.Ballot{{Shown: ids(9), Ranking: ids(9)}}
	require.Equal(t, ranking.Copeland, ranking.Input{Candidates: ids(9), Ballots: bs, Method: ranking.Kemeny, Tie: tie}.Aggregate().MethodUsed)
	require.Equal(t, ranking.Kemeny, ranking.Input{Candidates: ids(12), Ballots: []ranking.Ballot{{Ranking: ids(8)}}, Method: ranking.Kemeny, Tie: tie}.Aggregate().MethodUsed)
}

func TestMissingEvidenceIsSaid(t *testing.T) {
	t.Parallel()
	t.Run("no ballots", func(t *testing.T) {
		t.Parallel()
		got := ranking.Input{Candidates: ids(3), Tie: tie, Planned: 3}.Aggregate()
		require.Len(t, got.Ranked, 3)
		for _, r := range got.Ranked {
			require.Zero(t, r.Rank)
		}
		require.Nil(t, got.Agreement)
	})
	t.Run("never compared", func(t *testing.T) {
		t.Parallel()
		// N = 4, ballots of members 1 and 2 only: m1 and m2 have mean rank 1.0 both and were never compared.
		got := ranking.Input{Candidates: ids(4), Tie: tie, Ballots: []ranking.Ballot{
			{Ranking: []string{"m2", "m3", "m4"}}, {Ranking: []string{"m1", "m3", "m4"}},
		}}.Aggregate()
		require.True(t, got.TieAtTop)
		require.InDelta(t, 1, got.Ranked[0].MeanRank, 1e-9)
		require.Contains(t, got.Pairwise, ranking.Cell{A: "m1", B: "m2"})
	})
	t.Run("on no ballot", func(t *testing.T) {
		t.Parallel()
		got := ranking.Input{Candidates: ids(3), Tie: tie, Ballots: []ranking.Ballot{{Ranking: []string{"m2", "m1"}}}}.Aggregate()
		require.Equal(t, []string{"m2", "m1"}, order(got))
		require.Equal(t, "m3", got.Ranked[2].Answer)
		require.Zero(t, got.Ranked[2].Rank)
	})
}

func TestTieBreaksInTheirOrder(t *testing.T) {
	t.Parallel()
	ballot := func(ids ...string) ranking.Ballot { return ranking.Ballot{Shown: ids, Ranking: ids} }
	t.Run("chance only is a tie at the top", func(t *testing.T) {
		t.Parallel()
		got := ranking.Input{Candidates: ids(2), Tie: tie, Ballots: []ranking.Ballot{ballot("m1", "m2"), ballot("m2", "m1")}}.Aggregate()
		require.True(t, got.TieAtTop)
		want := "m1"
		if tie("m2") < tie("m1") {
			want = "m2"
		}
		require.Equal(t, want, got.Ranked[0].Answer)
	})
	t.Run("first places", func(t *testing.T) {
		t.Parallel()
		// A cycle of three with one extra ballot that puts m2 first without comparing it to the others' winner.
		got := ranking.Input{Candidates: ids(4), Method: ranking.Copeland, Tie: tie, Ballots: []ranking.Ballot{
			ballot("m1", "m2"), ballot("m2", "m3"), ballot("m3", "m1"), ballot("m2", "m4"), ballot("m4", "m2"),
		}}.Aggregate()
		require.Equal(t, "m2", got.Ranked[0].Answer)
		require.False(t, got.TieAtTop)
	})
}

func TestKendallAtThreeStaysUnset(t *testing.T) {
	t.Parallel()
	got := ranking.Input{Candidates: ids(3), Tie: tie, Ballots: []ranking.Ballot{
		{Ranking: []string{"m2", "m3"}}, {Ranking: []string{"m1", "m3"}}, {Ranking: []string{"m1", "m2"}},
	}}.Aggregate()
	require.Nil(t, got.Agreement)
	require.Nil(t, got.KendallW)
}

func TestClassicConcordance(t *testing.T) {
	t.Parallel()
	// Two full ballots in opposite order: W = 0, u = -1.
	got := ranking.Input{Candidates: ids(3), Tie: tie, Ballots: []ranking.Ballot{
		{Ranking: []string{"m1", "m2", "m3"}}, {Ranking: []string{"m3", "m2", "m1"}},
	}}.Aggregate()
	require.InDelta(t, 0, *got.KendallW, 1e-9)
	require.InDelta(t, -1, *got.Agreement, 1e-9)
	// Three judges, rank sums 3, 7, 8: S = 14, W = 12*14/(9*24).
	got = ranking.Input{Candidates: ids(3), Tie: tie, Ballots: []ranking.Ballot{
		{Ranking: []string{"m1", "m2", "m3"}}, {Ranking: []string{"m1", "m3", "m2"}}, {Ranking: []string{"m1", "m2", "m3"}},
	}}.Aggregate()
	require.InDelta(t, 12*14.0/(9*24), *got.KendallW, 1e-9)
}

func TestEffects(t *testing.T) {
	t.Parallel()
	length := func(id string) int { return map[string]int{"m1": 30, "m2": 20, "m3": 10}[id] }
	got := ranking.Input{Candidates: ids(3), Tie: tie, Length: length, Ballots: []ranking.Ballot{
		{Shown: ids(3), Ranking: ids(3)}, {Shown: ids(3), Ranking: ids(3)},
	}}.Aggregate()
	require.InDelta(t, 1, *got.PositionEffect, 1e-9)
	require.InDelta(t, 1, *got.LengthEffect, 1e-9)
}

// TestEarlyConsensusNeverErrs tries every way in which the outstanding ballots may come in.
func TestEarlyConsensusNeverErrs(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(6, 6)) //nolint:gosec // a repeatable test
	decided := 0
	for range 400 {
		n := 3 + r.IntN(3)
		var cast []ranking.Ballot
		var shown [][]string
		for i := range n {
			others := slices.Delete(ids(n), i, i+1)
			if r.IntN(3) > 0 {
				if r.IntN(4) == 0 {
					r.Shuffle(len(others), func(a, b int) { others[a], others[b] = others[b], others[a] })
				}
				cast = append(cast, ranking.Ballot{Ranking: others})
				continue
			}
			shown = append(shown, others)
		}
		leader, ok := ranking.Decided(ids(n), cast, shown)
		if !ok {
			continue
		}
		decided++
		for range 30 {
			all := slices.Clone(cast)
			for _, s := range shown {
				late := slices.Clone(s)
				r.Shuffle(len(late), func(a, b int) { late[a], late[b] = late[b], late[a] })
				all = append(all, ranking.Ballot{Ranking: late})
			}
			require.Equal(t, leader, ranking.Input{Candidates: ids(n), Ballots: all, Tie: tie}.Aggregate().Ranked[0].Answer)
		}
	}
	require.Greater(t, decided, 20)
}

// TestSelfishMemberGainsNothing simulates a member that always puts itself first where it can, among equally good
// answers: recused at collection, it wins as often as everyone else. Tie keys are drawn per trial, as per job.
func TestSelfishMemberGainsNothing(t *testing.T) {
	t.Parallel()
	const trials = 5000
	for n := 3; n <= 5; n++ {
		for _, m := range []ranking.Method{ranking.Kemeny, ranking.Copeland, ranking.Borda} {
			t.Run(fmt.Sprintf("%s/%d", m, n), func(t *testing.T) {
				t.Parallel()
				r := rand.New(rand.NewPCG(7, uint64(n))) //nolint:gosec // a repeatable test
				all := ids(n)
				wins := 0
				for range trials {
					keys := map[string]string{}
					for i, key := range r.Perm(n) {
						keys[all[i]] = all[key]
					}
					var bs []ranking.Ballot
					for i := range n {
						others := slices.Delete(slices.Clone(all), i, i+1) // nobody sees its own answer, so selfishness has no ballot
						r.Shuffle(len(others), func(a, b int) { others[a], others[b] = others[b], others[a] })
						bs = append(bs, ranking.Ballot{Ranking: others})
					}
					in := ranking.Input{Candidates: all, Ballots: bs, Method: m, Tie: func(id string) string { return keys[id] }}
					if in.Aggregate().Ranked[0].Answer == "m1" {
						wins++
					}
				}
				fair := 1 / float64(n)
				sigma := math.Sqrt(fair * (1 - fair) / trials)
				require.InDelta(t, fair, float64(wins)/trials, 3*sigma)
			})
		}
	}
}
