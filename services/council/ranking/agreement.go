package ranking

import "math"

// agreement is Kendall's coefficient of agreement u over the pairs that two or more ballots judged (M. G. Kendall, B.
// Babington Smith, On the method of paired comparisons, Biometrika 31, 1940), with the pairs weighted by their number of
// pairs of ballots.
func (f *field) agreement() *float64 {
	agree, all := 0, 0
	for a := range f.ids {
		for b := a + 1; b < len(f.ids); b++ {
			x, y := f.w[a][b], f.w[b][a]
			agree += pairs(x) + pairs(y)
			all += pairs(x + y)
		}
	}
	if all == 0 {
		return nil
	}
	u := 2*float64(agree)/float64(all) - 1
	return &u
}

func pairs(n int) int { return n * (n - 1) / 2 }

// concordance is Kendall's W when all ballots hold all candidates, and Durbin's form of it (J. Durbin, Incomplete blocks
// in ranking experiments, British Journal of Psychology 4, 1951) when each candidate stands on equally many ballots of
// one size and each pair was judged equally often. Both need at least two judgements of each pair: below that three
// random ballots look unanimous in six of eight cases.
func (f *field) concordance() *float64 {
	t := len(f.ids)
	if t < 2 || len(f.ballots) < 2 {
		return nil
	}
	k, r := len(f.ballots[0]), f.count[0]
	lambda := f.w[0][1] + f.w[1][0]
	if k < 2 || lambda < 2 || !f.balanced(k, r, lambda) {
		return nil
	}
	sum := 0.0
	for c := range f.ids {
		ranks := f.mean[c] * float64(r)
		sum += ranks * ranks
	}
	n, rf, kf, lf := float64(t), float64(r), float64(k), float64(lambda)
	// With k = t this is 12 S / (m² (t³ - t)), the classic formula.
	w := (12*sum - 3*rf*rf*n*(kf+1)*(kf+1)) / (lf * lf * n * (n*n - 1))
	w = math.Min(1, math.Max(0, w))
	return &w
}

func (f *field) balanced(k, r, lambda int) bool {
	for _, b := range f.ballots {
		if len(b) != k {
			return false
		}
	}
	for a := range f.ids {
		if f.count[a] != r {
			return false
		}
		for b := a + 1; b < len(f.ids); b++ {
			if f.w[a][b]+f.w[b][a] != lambda {
				return false
			}
		}
	}
	return true
}

// positionEffect is the correlation of the place shown with the place given, each scaled to its ballot.
func (f *field) positionEffect() *float64 {
	var xs, ys []float64
	for i, ballot := range f.ballots {
		shownAt := map[int]int{}
		for at, c := range f.shown[i] {
			shownAt[c] = at
		}
		if len(shownAt) != len(ballot) {
			continue
		}
		for place, c := range ballot {
			xs = append(xs, scaled(shownAt[c], len(ballot)))
			ys = append(ys, scaled(place, len(ballot)))
		}
	}
	return correlation(xs, ys)
}

// lengthEffect is the correlation of being longer within a ballot with a better place on it.
func (f *field) lengthEffect(length func(string) int) *float64 {
	if length == nil {
		return nil
	}
	var xs, ys []float64
	for _, ballot := range f.ballots {
		for place, c := range ballot {
			shorter := 0.0
			for _, o := range ballot {
				switch mine, other := length(f.ids[c]), length(f.ids[o]); {
				case o == c:
				case other < mine:
					shorter++
				case other == mine:
					shorter += 0.5
				}
			}
			xs = append(xs, shorter/float64(len(ballot)-1))
			ys = append(ys, 1-scaled(place, len(ballot)))
		}
	}
	return correlation(xs, ys)
}

func scaled(place, k int) float64 { return float64(place) / float64(k-1) }

// correlation is Pearson's, nil where one side does not vary.
func correlation(xs, ys []float64) *float64 {
	n := float64(len(xs))
	if n < 2 {
		return nil
	}
	var mx, my float64
	for i := range xs {
		mx += xs[i] / n
		my += ys[i] / n
	}
	var sxy, sxx, syy float64
	for i := range xs {
		sxy += (xs[i] - mx) * (ys[i] - my)
		sxx += (xs[i] - mx) * (xs[i] - mx)
		syy += (ys[i] - my) * (ys[i] - my)
	}
	if sxx < 1e-12 || syy < 1e-12 {
		return nil
	}
	r := sxy / math.Sqrt(sxx*syy)
	return &r
}
