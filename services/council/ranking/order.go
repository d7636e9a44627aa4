package ranking

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
)

// order puts the candidates with evidence into one order and says whether the order of the first two means nothing.
func (f *field) order(m Method) (order []int, tiedAtTop bool) {
	judged := f.judged()
	if len(judged) == 0 {
		return nil, len(f.ids) > 1
	}
	var next func(left []int) []int // the candidates that the method allows at the next place
	switch m {
	case Kemeny:
		next = f.kemeny(judged)
	case Borda:
		next = func(left []int) []int { return best(left, func(c int) float64 { return f.borda[c] }) }
	case Copeland:
		next = func(left []int) []int { return best(left, f.copeland) }
	default:
		next = func(left []int) []int { return best(left, f.copeland) }
	}
	left := slices.Clone(judged)
	for len(left) > 0 {
		c, chance := f.breakTie(next(left))
		if len(order) == 0 {
			tiedAtTop = chance
		}
		order = append(order, c)
		left = slices.DeleteFunc(left, func(x int) bool { return x == c })
	}
	if len(order) > 1 && f.w[order[0]][order[1]]+f.w[order[1]][order[0]] == 0 {
		tiedAtTop = true
	}
	return order, tiedAtTop
}

// best are the candidates with the highest score. Scores that differ by rounding only are equal.
func best(left []int, score func(int) float64) []int {
	const rounding = 1e-9
	top := math.Inf(-1)
	for _, c := range left {
		top = max(top, score(c))
	}
	return slices.DeleteFunc(slices.Clone(left), func(c int) bool { return score(c) < top-rounding })
}

// breakTie picks one of the options by the fixed order of tie-breaks: head-to-head among them, first places, normalised
// Borda, tie key. chance says that only the last one decided.
func (f *field) breakTie(options []int) (winner int, chance bool) {
	headToHead := func(c int) float64 {
		sum := 0
		for _, o := range options {
			sum += cmp.Compare(f.w[c][o], f.w[o][c])
		}
		return float64(sum)
	}
	left := best(options, headToHead)
	left = best(left, func(c int) float64 { return float64(f.first[c]) })
	left = best(left, func(c int) float64 { return f.borda[c] })
	return slices.Min(left), len(left) > 1 // indices are in the order of the tie keys
}

// kemeny finds the orders with the least disagreement by dynamic programming over subsets (cost of the best order of
// each set, n·2^n) and returns which candidates of a remaining set can stand first in one of them. It is called with the
// sets that remain after a prefix of such an order.
func (f *field) kemeny(judged []int) func(left []int) []int {
	n := len(judged)
	// against[i][set] would be the cost of putting i before all of set: the ballots that say otherwise.
	against := func(i int, set uint) int {
		sum := 0
		for ; set > 0; set &= set - 1 {
			sum += f.w[judged[bits.TrailingZeros(set)]][judged[i]]
		}
		return sum
	}
	cost := make([]int, 1<<n)
	for set := uint(1); set < 1<<n; set++ {
		cost[set] = math.MaxInt
		for i := range n {
			if set&(1<<i) != 0 {
				rest := set &^ (1 << i)
				cost[set] = min(cost[set], cost[rest]+against(i, rest))
			}
		}
	}
	return func(left []int) []int {
		set := uint(0)
		for _, c := range left {
			set |= 1 << slices.Index(judged, c)
		}
		return slices.DeleteFunc(slices.Clone(left), func(c int) bool {
			i := slices.Index(judged, c)
			rest := set &^ (1 << i)
			return cost[rest]+against(i, rest) != cost[set]
		})
	}
}
