package lifecycle

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"witan.dev/internal/diff"
	"witan.dev/internal/finding"
	"witan.dev/services/review"
)

// The reasons of statuses. Their names are those of witan.review.v1.Finding.StatusReason.
const (
	ReasonCodeChanged    = "CODE_CHANGED"
	ReasonCodeRemoved    = "CODE_REMOVED"
	ReasonByPerson       = "BY_PERSON"
	ReasonThreadResolved = "THREAD_RESOLVED"
	ReasonMatchedFixed   = "MATCHED_FIXED"
)

// Input is a review and what is known of its subject.
type Input struct {
	// Review is the review's resource name, Subject its subject.
	Review, Subject string
	// Findings are the review's, placed and with their fingerprints. Their statuses and names do not matter.
	Findings []finding.Finding
	Known    []review.Known
	Coverage finding.Coverage
	// Whole are the static reviewers that judged the whole change: what they do not report again is mended.
	Whole []string
	// Base is the state with which the change is compared, where the reviews of a subject compare with different ones: what was
	// reported against another one is shown where it stands on lines of this change only. Empty: they are of one change.
	Base string
	// Part says that the head lacks some of what reviews against another Base read: nothing that they reported is fixed by it.
	Part bool
	Head Head
}

// Change is a status that a review changed.
type Change struct {
	Finding  string // resource name, in the review
	ID       string // of the known finding
	From, To finding.Status
	Reason   string
}

// Result is what a review makes of its findings and of those that are known.
type Result struct {
	// Findings are the review's with their statuses, those that are still open or dismissed in the changed files although
	// nobody reported them again, and those that the review found fixed; in the common order, each with a name of its own.
	Findings []finding.Finding
	// Known are the rows that are new or differ from what was known, to be stored.
	Known []review.Known
	// Changes are the statuses that the review changed, in the order of the findings' IDs.
	Changes []Change
}

// Apply compares a review's findings with those of its subject. An error is one of reading the head.
func Apply(in Input) (Result, error) {
	a := &application{in: in, view: &view{head: &in.Head, texts: map[string]*file{}, olds: map[string][]oldHunk{}}, rows: map[string]*finding.FileCoverage{}}
	for i := range in.Coverage.Files {
		a.rows[in.Coverage.Files[i].Path] = &in.Coverage.Files[i]
	}
	a.known = slices.Clone(in.Known)
	a.view.count(a.known)
	a.findings = slices.Clone(in.Findings)
	var err error
	if a.standings, err = a.view.stands(a.known, a.findings); err != nil {
		return Result{}, err
	}
	a.match = newMatcher(a.view, a.findings, a.known, a.standings)
	a.match.run(func(f *finding.Finding) bool { return f.Outcome == finding.Published })
	a.reported = slices.Clone(a.match.by)
	a.match.run(func(f *finding.Finding) bool { return f.Outcome == finding.Held })
	a.share()
	if err := a.decide(); err != nil {
		return Result{}, err
	}
	return a.result(), nil
}

type application struct {
	in        Input
	view      *view
	rows      map[string]*finding.FileCoverage
	known     []review.Known
	standings []standing
	findings  []finding.Finding
	match     *matcher
	// reported are the published findings of known ones.
	reported []int
}

// share gives each place of code that stands several times to one known finding of a category only: those that are reported
// again take theirs, the others what is left, and who gets none is gone. Findings of different categories may be about one place.
func (a *application) share() {
	groups := map[string][]int{}
	for k := range a.known {
		s := &a.standings[k]
		if len(s.places) == 0 || a.known[k].Finding.Status == finding.Fixed && a.reported[k] < 0 {
			continue
		}
		f := &a.known[k].Finding
		l := &f.Location
		key := strings.Join(append([]string{s.path, l.Symbol, l.Side.String(), string(f.Category)}, a.match.olds[k]...), "\x00")
		groups[key] = append(groups[key], k)
	}
	for _, group := range groups {
		if len(group) > 1 {
			a.divide(group)
		}
	}
}

func (a *application) divide(group []int) {
	var places []place
	for _, k := range group {
		for _, p := range a.standings[k].places {
			if !slices.ContainsFunc(places, func(q place) bool { return q.start == p.start && q.end == p.end }) {
				places = append(places, p)
			}
		}
	}
	slices.SortFunc(places, func(p, q place) int { return p.start - q.start })
	slices.SortStableFunc(group, func(x, y int) int { return a.line(x) - a.line(y) })
	given := map[int]place{}
	for _, p := range align(len(group), len(places), func(i, j int) float64 {
		distance := float64(max(a.line(group[i])-places[j].start, places[j].start-a.line(group[i])))
		if a.reported[group[i]] >= 0 {
			distance *= 1e6 // it is certain where these stand
		}
		return distance
	}) {
		given[group[p[0]]] = places[p[1]]
	}
	for _, k := range group {
		if p, ok := given[k]; ok {
			a.standings[k].places = []place{p}
		} else {
			a.standings[k].places = nil
		}
	}
}

// line is where a known finding stands now, as far as it was reported, else where it stood.
func (a *application) line(k int) int {
	if i := a.reported[k]; i >= 0 {
		return a.findings[i].Location.StartLine
	}
	return a.known[k].Finding.Location.StartLine
}

// decide gives every known finding its status, and makes known what is new.
func (a *application) decide() error {
	for k := range a.known {
		row := &a.known[k]
		switch i := a.reported[k]; {
		case i >= 0:
			if err := a.again(row, &a.findings[i]); err != nil {
				return err
			}
		case a.match.by[k] >= 0: // reported, but held: nothing is concluded
		case a.fixed(k):
			reason := ReasonCodeChanged
			if a.standings[k].removed || a.lostSymbol(k) {
				reason = ReasonCodeRemoved
			}
			a.turn(row, finding.Fixed, reason)
			row.FixedIn = a.in.Head.Commit
			row.Finding.FixedIn = row.FixedIn
		default:
			a.follow(k)
		}
	}
	taken := map[string]bool{}
	for k := range a.known {
		taken[a.known[k].ID] = true
	}
	for i := range a.findings {
		f := &a.findings[i]
		if f.Outcome != finding.Published || a.match.of[i] >= 0 {
			continue
		}
		row := review.Known{
			Subject: a.in.Subject, ID: free(taken, review.FindingID(f.Fingerprint)), Finding: *f, LastReview: a.in.Review, ChangedIn: a.in.Review,
			Base: a.in.Base,
		}
		row.Finding.Status, row.Finding.StatusReason, row.Finding.FirstReview = finding.Open, "", a.in.Review
		if err := a.surround(&row); err != nil {
			return err
		}
		a.known = append(a.known, row)
		a.standings = append(a.standings, standing{path: f.Location.Path})
		a.reported, a.match.by = append(a.reported, i), append(a.match.by, i)
		a.match.of[i] = len(a.known) - 1
	}
	return nil
}

// free returns an ID that nobody has, and takes it.
func free(taken map[string]bool, id string) string {
	out := id
	for n := 2; taken[out]; n++ {
		out = fmt.Sprintf("%s-%d", id, n)
	}
	taken[out] = true
	return out
}

// again notes that a known finding was reported.
func (a *application) again(row *review.Known, f *finding.Finding) error {
	was := row.Finding
	row.Finding = *f
	row.Finding.Status, row.Finding.StatusReason, row.Finding.FirstReview = was.Status, was.StatusReason, was.FirstReview
	row.Finding.Feedback, row.Finding.FixedIn, row.Finding.Publication = was.Feedback, was.FixedIn, was.Publication
	row.LastReview, row.Base = a.in.Review, a.in.Base
	if was.Status == finding.Fixed {
		a.turn(row, finding.Reappeared, ReasonMatchedFixed)
		row.Generation++
		row.Earlier, row.URL, row.CommentID = row.URL, "", 0
		row.Gone, row.Answered, row.FixedIn = false, false, ""
		row.Finding.FixedIn, row.Finding.Publication = "", finding.Publication{}
	}
	return a.surround(row)
}

func (a *application) turn(row *review.Known, to finding.Status, reason string) {
	row.Was, row.ChangedIn = row.Finding.Status, a.in.Review
	row.Finding.Status, row.Finding.StatusReason = to, reason
}

// surround notes the tokens around the quoted code.
func (a *application) surround(row *review.Known) error {
	l := &row.Finding.Location
	row.Before, row.After = "", ""
	if l.Side == finding.Left || l.StartLine == 0 {
		return nil
	}
	f, err := a.view.file(l.Path)
	if err != nil || f.presence != Present {
		return err
	}
	for _, p := range f.tokens.find(quoteOf(l).tokens, "", "") {
		if p.start <= l.EndLine && p.end >= l.StartLine {
			row.Before, row.After = p.before, p.after
		}
	}
	return nil
}

// fixed says whether a finding that was not reported is fixed.
func (a *application) fixed(k int) bool {
	f := &a.known[k].Finding
	if a.in.Part && a.known[k].Base != a.in.Base {
		return false
	}
	switch f.Status {
	case finding.Open, finding.Reappeared:
	case finding.Dismissed:
		if f.StatusReason != ReasonThreadResolved {
			return false
		}
	default:
		return false
	}
	return a.standings[k].gone() && a.covered(k) || a.mended(k)
}

// mended says whether a finding without lines was only reported by reviewers that have judged the whole change anew.
func (a *application) mended(k int) bool {
	f := &a.known[k].Finding
	return f.Location.StartLine == 0 && f.Location.Code == "" && len(f.Sources) > 0 &&
		!slices.ContainsFunc(f.Sources, func(source string) bool { return !static(f, source) || !slices.Contains(a.in.Whole, source) })
}

// covered says whether the review read the finding's file with everybody who had reported it.
func (a *application) covered(k int) bool {
	row := a.rows[a.standings[k].path]
	if row == nil {
		return true // the change does not touch the file: there is nothing left to be read
	}
	if row.CarriedFrom != "" || !read(row) {
		return false
	}
	if row.Change == string(review.Deleted) || a.standings[k].removed || row.Depth == depthMetadata {
		return true // there are no lines to be read
	}
	f := &a.known[k].Finding
	for _, source := range f.Sources {
		who := councilReviewer
		if static(f, source) {
			who = source
		}
		if !slices.Contains(row.Reviewers, who) {
			return false
		}
	}
	return true
}

// depthMetadata is the depth of a row whose change has no text, such as another name.
const depthMetadata = "METADATA"

// councilReviewer is how the coverage calls the members.
const councilReviewer = "council"

// read says whether everybody who was to read the file's lines did. What lies around them may be missing.
func read(row *finding.FileCoverage) bool {
	switch row.Status {
	case finding.Reviewed:
		return true
	case finding.Partial:
		return !slices.ContainsFunc(row.Reasons, func(r finding.Reason) bool {
			return r != finding.ReasonNoTree && r != finding.ReasonParseErrors
		})
	default:
		return false
	}
}

// static says whether a source is a static reviewer: it votes without a model.
func static(f *finding.Finding, source string) bool {
	if strings.HasPrefix(f.Rule, source+"/") {
		return true
	}
	return slices.ContainsFunc(f.Votes, func(v finding.Vote) bool { return v.Voter == source && v.Model == "" })
}

func (a *application) lostSymbol(k int) bool {
	symbol := a.known[k].Finding.Location.Symbol
	if symbol == "" {
		return false
	}
	_, _, found, known := a.view.definition(a.standings[k].path, symbol)
	return known && !found
}

// follow notes where the code of a finding stands now that was not reported again.
func (a *application) follow(k int) {
	row, s := &a.known[k], &a.standings[k]
	if len(s.places) == 0 || row.Finding.Status == finding.Fixed {
		return
	}
	l := &row.Finding.Location
	best := s.places[0]
	for _, p := range s.places[1:] {
		if distance(p, l.StartLine) < distance(best, l.StartLine) {
			best = p
		}
	}
	l.StartLine, l.EndLine = best.start, best.end
	if l.Side == finding.Right && l.Path != s.path {
		l.OldPath, l.Path = l.Path, s.path
		row.Finding.Fingerprint = finding.Fingerprint(finding.Key{Path: l.Path, Symbol: l.Symbol, Category: row.Finding.Category, Code: l.Code})
	}
	l.InDiff = a.inDiff(l)
}

func distance(p place, line int) int { return max(p.start-line, line-p.start) }

func (a *application) inDiff(l *finding.Location) bool {
	f := a.view.head.Change.File(l.Path)
	if l.Side == finding.Left {
		f = a.view.head.Change.OldFile(l.OldPath)
	}
	return f != nil && f.Diff().Covers(diff.Range{Side: l.Side, Start: l.StartLine, End: l.EndLine})
}

// result assembles what is stored and shown.
func (a *application) result() Result {
	var out Result
	taken := map[string]bool{}
	for k := range a.known {
		row := &a.known[k]
		taken[row.ID] = true
		if k >= len(a.in.Known) || !reflect.DeepEqual(&a.in.Known[k], row) {
			out.Known = append(out.Known, *row)
		}
		if row.ChangedIn == a.in.Review && row.Was != finding.StatusUnspecified {
			out.Changes = append(out.Changes, Change{
				Finding: a.name(row.ID), ID: row.ID, From: row.Was, To: row.Finding.Status, Reason: row.Finding.StatusReason,
			})
		}
		if f, ok := a.snapshot(k); ok {
			out.Findings = append(out.Findings, f)
		}
	}
	for i := range a.findings {
		if f := a.findings[i]; f.Outcome != finding.Published {
			f.Status, f.StatusReason, f.FirstReview = finding.StatusUnspecified, "", ""
			f.Name = a.name(free(taken, review.FindingID(f.Fingerprint)))
			out.Findings = append(out.Findings, f)
		}
	}
	finding.Sort(out.Findings)
	slices.SortFunc(out.Changes, func(x, y Change) int { return strings.Compare(x.ID, y.ID) })
	return out
}

func (a *application) name(id string) string { return a.in.Review + "/findings/" + id }

// KnownID is the ID of the known finding that a review's finding of this resource name is.
func KnownID(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

// snapshot is a known finding as the review shows it. What was not reported again is shown while it is open and the change
// touches its file, once when it is fixed, and as dismissed as long as its code may stand there.
func (a *application) snapshot(k int) (finding.Finding, bool) {
	row := &a.known[k]
	f := row.Finding
	f.Name = a.name(row.ID)
	if a.reported[k] >= 0 {
		return f, true
	}
	if other := a.in.Base != row.Base; other && f.Status != finding.Fixed && (a.standings[k].gone() || !f.Location.InDiff) {
		return f, false // another change's
	}
	switch f.Status {
	case finding.Fixed:
		return f, row.ChangedIn == a.in.Review
	case finding.Open, finding.Reappeared:
		if a.rows[a.standings[k].path] == nil {
			return f, false
		}
		if a.standings[k].gone() {
			f.Location.StartLine, f.Location.EndLine, f.Location.InDiff = 0, 0, false
		}
		return f, true
	case finding.Dismissed:
		return f, a.rows[a.standings[k].path] != nil && !a.standings[k].gone()
	default:
		return f, false
	}
}
