package ranking

import "slices"

// Decided reports whether outstanding ballots can no longer change who is first: against each rival the leader's margin
// exceeds the number of outstanding ballots that will show both. shown lists, for each outstanding reviewer, the
// candidates that it was given. The rest of the order stays provisional.
func Decided(candidates []string, cast []Ballot, shown [][]string) (leader string, decided bool) {
	if len(cast) == 0 || len(candidates) < 2 {
		return "", false
	}
	for _, c := range candidates {
		if leads(c, candidates, cast, shown) {
			return c, true
		}
	}
	return "", false
}

func leads(leader string, candidates []string, cast []Ballot, shown [][]string) bool {
	for _, rival := range candidates {
		if rival == leader {
			continue
		}
		margin := 0
		for _, b := range cast {
			margin += b.prefers(leader, rival)
		}
		both := 0
		for _, s := range shown {
			if slices.Contains(s, leader) && slices.Contains(s, rival) {
				both++
			}
		}
		if margin <= both {
			return false
		}
	}
	return true
}

// prefers is 1 when a stands before b, -1 the other way, 0 when the ballot does not hold both.
func (b Ballot) prefers(a, c string) int {
	ia, ic := -1, -1
	for i, id := range b.Ranking {
		switch id {
		case a:
			ia = i
		case c:
			ic = i
		}
	}
	switch {
	case ia < 0 || ic < 0:
		return 0
	case ia < ic:
		return 1
	default:
		return -1
	}
}
