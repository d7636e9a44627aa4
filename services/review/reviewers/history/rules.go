package history

import (
	"cmp"
	"slices"
)

// What a rule must have to be reported. The figures behind them stand in docs/review-quality.md.
const (
	// minSupport is how many commits changed both files.
	minSupport = 8
	// minConfidence is their share in the commits that changed the first one, in percent.
	minConfidence = 90
)

// A Rule says that of the commits that changed one file, Of in all, Together changed another one as well.
type Rule struct {
	Changed      string
	Together, Of int
}

// compare orders rules by their confidence, then by their support.
func (r Rule) compare(o Rule) int {
	return cmp.Or(cmp.Compare(o.Together*r.Of, r.Together*o.Of), cmp.Compare(o.Together, r.Together), cmp.Compare(r.Changed, o.Changed))
}

// A Miss is a file that a change leaves out, with the rules that speak for it, the strongest first.
type Miss struct {
	Path  string
	Rules []Rule
}

// Misses returns the files that the past commits, each a list of changed paths, changed together with some of those that are
// changed now, and that are not among them: those with the strongest rules first. The same input gives the same output.
func Misses(past [][]string, changed []string) []Miss {
	now := make(map[string]bool, len(changed))
	for _, path := range changed {
		now[path] = true
	}
	of := make(map[string]int, len(changed))
	together := make(map[[2]string]int)
	for _, commit := range past {
		for _, a := range commit {
			if !now[a] {
				continue
			}
			of[a]++
			for _, b := range commit {
				if !now[b] {
					together[[2]string{a, b}]++
				}
			}
		}
	}
	rules := make(map[string][]Rule)
	for pair, n := range together {
		if r := (Rule{Changed: pair[0], Together: n, Of: of[pair[0]]}); n >= minSupport && n*100 >= r.Of*minConfidence {
			rules[pair[1]] = append(rules[pair[1]], r)
		}
	}
	out := make([]Miss, 0, len(rules))
	for path, list := range rules {
		slices.SortFunc(list, Rule.compare)
		out = append(out, Miss{Path: path, Rules: list})
	}
	slices.SortFunc(out, func(a, b Miss) int { return cmp.Or(a.Rules[0].compare(b.Rules[0]), cmp.Compare(a.Path, b.Path)) })
	return out
}
