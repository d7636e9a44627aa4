// Package ranking makes one order of candidates from ballots. It invents nothing: a missing ballot is not filled in, a
// pair that nobody compared is reported as such, and where only chance separates the first two the result says so.
// Pure and safe for concurrent use.
package ranking

import (
	"cmp"
	"slices"
	"strings"
)

// Method names how the order is made.
type Method string

// The methods.
const (
	// Kemeny takes the order with the least disagreement with the ballots' pairs, exactly, up to KemenyLimit candidates.
	Kemeny Method = "KEMENY"
	// Copeland takes wins minus losses over the opponents with evidence, divided by their number.
	Copeland Method = "COPELAND"
	// Borda takes the mean of (k - place) / (k - 1) over the ballots that showed the candidate.
	Borda Method = "BORDA"
)

// KemenyLimit is the largest number of candidates for which Kemeny is computed; above it Copeland takes its place.
const KemenyLimit = 8

// Ballot is one strict order over the candidates that its reviewer was shown.
type Ballot struct {
	Reviewer string
	// Shown is the order in which the candidates were displayed, Ranking the order given, best first. Both hold the same
	// candidates, each once.
	Shown, Ranking []string
}

// Input is what is aggregated.
type Input struct {
	// Candidates in any order, each once.
	Candidates []string
	// Ballots that count. Candidates that are not in Candidates are left out of them.
	Ballots []Ballot
	// Planned is how many ballots were asked for.
	Planned int
	Method  Method
	// Tie orders candidates that nothing else separates: the smaller key comes first. Keys must differ.
	Tie func(candidate string) string
	// Length of a candidate's text, for the length effect; nil leaves it out.
	Length func(candidate string) int
}

// Ranked is one candidate's place and figures.
type Ranked struct {
	Answer string `json:"answer"`
	// Rank counts from 1; 0 means that no ballot says anything of the candidate.
	Rank int `json:"rank"`
	// Score is the figure of the method that was used: Copeland's for KEMENY and COPELAND, Borda's for BORDA.
	Score float64 `json:"score"`
	Borda float64 `json:"borda"`
	// MeanRank is shown and never decides: with different opponents it compares nothing.
	MeanRank    float64 `json:"mean_rank"`
	FirstPlaces int     `json:"first_places"`
	Ballots     int     `json:"ballots"`
}

// Cell says how often A was put before B and B before A. Both zero means that no ballot compared them.
type Cell struct {
	A       string `json:"a"`
	B       string `json:"b"`
	ABefore int    `json:"a_before"`
	BBefore int    `json:"b_before"`
}

// Aggregate is the order with everything that is needed to judge it.
type Aggregate struct {
	// Ranked is best first; candidates without evidence stand last, in the order of their tie keys.
	Ranked     []Ranked `json:"ranked"`
	MethodUsed Method   `json:"method_used"`
	// TieAtTop says that the order of the first two means nothing: only the tie key separates them, or no ballot
	// compared them.
	TieAtTop bool `json:"tie_at_top"`
	// Agreement is Kendall's u over pairs that two or more ballots judged: 0 by chance, 1 for full agreement; nil where
	// there is no such pair.
	Agreement *float64 `json:"agreement,omitempty"`
	// KendallW is given for complete designs only: full ballots, or each pair judged equally often by at least two.
	KendallW *float64 `json:"kendall_w,omitempty"`
	Pairwise []Cell   `json:"pairwise,omitempty"`
	Cast     int      `json:"ballots_cast"`
	Planned  int      `json:"ballots_planned"`
	// PositionEffect is the correlation of the place given with the place shown, LengthEffect of the text's length with
	// a better place, over all ballots; nil where they cannot be computed. They are shown and never correct anything.
	PositionEffect *float64 `json:"position_effect,omitempty"`
	LengthEffect   *float64 `json:"length_effect,omitempty"`
}

// field is the ballots as numbers: candidates are indices into ids, which are in the order of their tie keys, so that
// the last tie-break is the smaller index.
type field struct {
	ids     []string
	ballots [][]int // rankings
	shown   [][]int
	w       [][]int // w[a][b]: ballots that put a before b
	first   []int
	count   []int // ballots with two or more candidates that showed the candidate
	borda   []float64
	mean    []float64
}

// Aggregate orders the candidates. The result does not depend on the order of candidates or ballots.
func (in Input) Aggregate() Aggregate {
	f := newField(in)
	method := in.Method
	if method == "" || (method == Kemeny && len(f.judged()) > KemenyLimit) {
		method = Copeland
		if in.Method == "" && len(f.judged()) <= KemenyLimit {
			method = Kemeny
		}
	}
	order, tied := f.order(method)
	agg := Aggregate{MethodUsed: method, TieAtTop: tied, Cast: len(in.Ballots), Planned: in.Planned, Pairwise: f.cells()}
	for place, c := range order {
		agg.Ranked = append(agg.Ranked, f.ranked(c, place+1, method))
	}
	for c := range f.ids {
		if f.count[c] == 0 {
			agg.Ranked = append(agg.Ranked, f.ranked(c, 0, method))
		}
	}
	agg.Agreement, agg.KendallW = f.agreement(), f.concordance()
	agg.PositionEffect, agg.LengthEffect = f.positionEffect(), f.lengthEffect(in.Length)
	return agg
}

func newField(in Input) *field {
	f := &field{ids: slices.Clone(in.Candidates)}
	slices.SortFunc(f.ids, func(a, b string) int { return cmp.Or(strings.Compare(in.Tie(a), in.Tie(b)), strings.Compare(a, b)) })
	index := make(map[string]int, len(f.ids))
	for i, id := range f.ids {
		index[id] = i
	}
	n := len(f.ids)
	f.w = make([][]int, n)
	for i := range f.w {
		f.w[i] = make([]int, n)
	}
	f.first, f.count = make([]int, n), make([]int, n)
	f.borda, f.mean = make([]float64, n), make([]float64, n)
	for _, b := range in.Ballots {
		f.add(known(index, b.Ranking), known(index, b.Shown))
	}
	for c, k := range f.count {
		if k > 0 {
			f.borda[c] /= float64(k)
			f.mean[c] /= float64(k)
		}
	}
	return f
}

func known(index map[string]int, ids []string) []int {
	var out []int
	for _, id := range ids {
		if i, ok := index[id]; ok && !slices.Contains(out, i) {
			out = append(out, i)
		}
	}
	return out
}

// add counts one ballot. One with a single candidate carries nothing.
func (f *field) add(ranking, shown []int) {
	k := len(ranking)
	if k < 2 {
		return
	}
	f.ballots, f.shown = append(f.ballots, ranking), append(f.shown, shown)
	f.first[ranking[0]]++
	for place, c := range ranking {
		f.count[c]++
		f.borda[c] += float64(k-1-place) / float64(k-1)
		f.mean[c] += float64(place + 1)
		for _, worse := range ranking[place+1:] {
			f.w[c][worse]++
		}
	}
}

// judged are the candidates with evidence.
func (f *field) judged() []int {
	var out []int
	for c, n := range f.count {
		if n > 0 {
			out = append(out, c)
		}
	}
	return out
}

func (f *field) ranked(c, rank int, m Method) Ranked {
	score := f.borda[c]
	if m != Borda {
		score = f.copeland(c)
	}
	return Ranked{
		Answer: f.ids[c], Rank: rank, Score: score, Borda: f.borda[c], MeanRank: f.mean[c],
		FirstPlaces: f.first[c], Ballots: f.count[c],
	}
}

// copeland is wins minus losses over opponents with evidence, divided by their number.
func (f *field) copeland(c int) float64 {
	sum, opponents := 0, 0
	for o := range f.ids {
		if f.w[c][o]+f.w[o][c] == 0 {
			continue
		}
		opponents++
		sum += cmp.Compare(f.w[c][o], f.w[o][c])
	}
	if opponents == 0 {
		return 0
	}
	return float64(sum) / float64(opponents)
}

func (f *field) cells() []Cell {
	var cells []Cell
	for a := range f.ids {
		for b := a + 1; b < len(f.ids); b++ {
			x, y := a, b
			if f.ids[y] < f.ids[x] {
				x, y = y, x
			}
			cells = append(cells, Cell{A: f.ids[x], B: f.ids[y], ABefore: f.w[x][y], BBefore: f.w[y][x]})
		}
	}
	slices.SortFunc(cells, func(a, b Cell) int { return cmp.Or(strings.Compare(a.A, b.A), strings.Compare(a.B, b.B)) })
	return cells
}
