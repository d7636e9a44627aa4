package benchmark

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	// exact is how far a finding may stand from a comment to be on its line, near how far to be about its place.
	exact, near = 1, 10
)

// A Finding is one that a review reported, whatever became of it.
type Finding struct {
	Path       string
	Start, End int
	Old        bool     // its lines count in the old file
	Sources    []string // of its proposals
	Confirmed  int      // votes
	Published  bool
}

// A Run is the review of one case.
type Run struct {
	Findings []Finding
	Time     time.Duration
	// Models is how many took part, Input and Output their tokens, CostMicros what they cost in millionths of Currency.
	Models        int
	Input, Output int64
	CostMicros    int64
	Currency      string
	Incomplete    bool
}

// Quality is how a set of findings compares with the experts' comments. Shares are between 0 and 1, and 0 of nothing.
type Quality struct {
	Findings int `json:"findings"`
	// Hits stand within one line of an accepted comment, Near within ten, Rejected within one line of a rejected comment
	// only.
	Hits     int `json:"hits"`
	Near     int `json:"near"`
	Rejected int `json:"rejected"`
	// Precision is hits among the findings: a lower bound, since what no expert listed is not thereby wrong.
	Precision float64 `json:"precision"`
	// Recall is the share of accepted comments that were hit, of all and of those about defects and security.
	Recall        float64 `json:"recall"`
	RecallSerious float64 `json:"recall_serious"`
	// LineAccuracy is the share of hits among the findings that are near.
	LineAccuracy float64 `json:"line_accuracy"`
	// Clean are the findings on commits that count as clean.
	Clean int `json:"clean"`
}

// A Threshold is the quality of findings with at least so many confirming votes.
type Threshold struct {
	Votes int `json:"votes"`
	Quality
}

// A Source is the quality of the findings that one reviewer or member reported.
type Source struct {
	Name string `json:"name"`
	Quality
}

// SetReport is what was measured on one set of cases.
type SetReport struct {
	Set     string `json:"set"`
	Cases   int    `json:"cases"`
	Golden  int    `json:"golden"`
	Serious int    `json:"golden_serious"`
	// Published are the findings as they would be shown, Static those of reviewers without a model.
	Published  Quality     `json:"published"`
	Static     Quality     `json:"static"`
	Thresholds []Threshold `json:"thresholds"`
	Sources    []Source    `json:"sources"`
	Incomplete int         `json:"incomplete"`
}

// Report is what a benchmark measured. Everything but times, tokens and cost is the same in each run as long as no model
// takes part.
type Report struct {
	Models int         `json:"models"`
	Sets   []SetReport `json:"sets"`
	Cost   Cost        `json:"cost"`
}

// Cost is what the reviews took.
type Cost struct {
	Reviews       int     `json:"reviews"`
	MedianSeconds float64 `json:"median_seconds"`
	MaxSeconds    float64 `json:"max_seconds"`
	TotalSeconds  float64 `json:"total_seconds"`
	InputTokens   int64   `json:"input_tokens"`
	OutputTokens  int64   `json:"output_tokens"`
	CostMicros    int64   `json:"cost_micros"`
	Currency      string  `json:"currency,omitempty"`
}

// Score compares runs, one for each case in their order, with the cases. Names in members are those of models' seats;
// every other source is a reviewer without a model.
func Score(cases []Case, runs []Run, members func(source string) bool) Report {
	r := Report{Cost: costs(runs)}
	for i := range runs {
		r.Models = max(r.Models, runs[i].Models)
	}
	clean := pairs(cases, runs, SetFixes)
	for _, set := range []string{SetPulls, SetReversals} {
		mine := pairs(cases, runs, set)
		if len(mine) == 0 {
			continue
		}
		others := clean
		if set == SetPulls {
			others = nil
		}
		r.Sets = append(r.Sets, scoreSet(set, mine, others, members))
	}
	return r
}

type pair struct {
	c *Case
	r *Run
}

func pairs(cases []Case, runs []Run, set string) []pair {
	var out []pair
	for i := range cases {
		if cases[i].Set == set && i < len(runs) {
			out = append(out, pair{&cases[i], &runs[i]})
		}
	}
	return out
}

func scoreSet(set string, all, clean []pair, members func(string) bool) SetReport {
	out := SetReport{Set: set, Cases: len(all)}
	names, votes := make(map[string]bool), 1
	for _, p := range all {
		out.Golden += len(p.c.Golden)
		for _, g := range p.c.Golden {
			if g.Serious {
				out.Serious++
			}
		}
		if p.r.Incomplete {
			out.Incomplete++
		}
	}
	for _, p := range append(slices.Clone(all), clean...) {
		for _, f := range p.r.Findings {
			votes = max(votes, f.Confirmed)
			for _, s := range f.Sources {
				names[s] = true
			}
		}
	}
	out.Published = measure(all, clean, func(f *Finding) bool { return f.Published })
	out.Static = measure(all, clean, func(f *Finding) bool {
		return slices.ContainsFunc(f.Sources, func(s string) bool { return !members(s) })
	})
	for n := 1; n <= votes; n++ {
		out.Thresholds = append(out.Thresholds, Threshold{n, measure(all, clean, func(f *Finding) bool { return f.Confirmed >= n })})
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		out.Sources = append(out.Sources, Source{name, measure(all, clean, func(f *Finding) bool { return slices.Contains(f.Sources, name) })})
	}
	return out
}

func measure(all, clean []pair, counts func(*Finding) bool) Quality {
	var q Quality
	golden, serious, hit, hitSerious := 0, 0, 0, 0
	for _, p := range all {
		found := make([]bool, len(p.c.Golden))
		for i := range p.r.Findings {
			f := &p.r.Findings[i]
			if !counts(f) {
				continue
			}
			q.Findings++
			best := near + 1
			for g := range p.c.Golden {
				d := distance(f, &p.c.Golden[g])
				best = min(best, d)
				found[g] = found[g] || d <= exact
			}
			switch {
			case best <= exact:
				q.Hits++
				q.Near++
			case best <= near:
				q.Near++
			}
			if best > exact && slices.ContainsFunc(p.c.Rejected, func(r Place) bool { return distance(f, &r) <= exact }) {
				q.Rejected++
			}
		}
		for g, ok := range found {
			golden++
			if ok {
				hit++
			}
			if p.c.Golden[g].Serious {
				serious++
				if ok {
					hitSerious++
				}
			}
		}
	}
	for _, p := range clean {
		for i := range p.r.Findings {
			if counts(&p.r.Findings[i]) {
				q.Clean++
			}
		}
	}
	q.Precision, q.LineAccuracy = share(q.Hits, q.Findings), share(q.Hits, q.Near)
	q.Recall, q.RecallSerious = share(hit, golden), share(hitSerious, serious)
	return q
}

func share(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// distance is how many lines lie between a finding and a place, more than near where they cannot meet.
func distance(f *Finding, p *Place) int {
	if f.Old || f.Start == 0 || strings.TrimPrefix(f.Path, "./") != p.Path {
		return near + 1
	}
	return max(0, p.Start-f.End, f.Start-p.End)
}

func costs(runs []Run) Cost {
	c := Cost{Reviews: len(runs)}
	times := make([]float64, 0, len(runs))
	for i := range runs {
		times = append(times, runs[i].Time.Seconds())
		c.InputTokens += runs[i].Input
		c.OutputTokens += runs[i].Output
		c.CostMicros += runs[i].CostMicros
		c.Currency = cmp.Or(c.Currency, runs[i].Currency)
		c.TotalSeconds += runs[i].Time.Seconds()
	}
	slices.Sort(times)
	if len(times) > 0 {
		c.MedianSeconds, c.MaxSeconds = times[len(times)/2], times[len(times)-1]
	}
	return c
}
