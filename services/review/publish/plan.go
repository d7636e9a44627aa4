package publish

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"witan.dev/internal/finding"
	"witan.dev/internal/job"
	"witan.dev/services/review"
	"witan.dev/services/review/lifecycle"
	"witan.dev/services/review/publish/render"
)

// Bounds of one review's writes (own choices).
const (
	// MaxBatch is how many comments one review at the forge has: more than about 50 fail there.
	MaxBatch = 30
	// MaxFileComments is how many comments on whole files a review makes.
	MaxFileComments = 10
	// maxReplies bounds the answers to what is fixed; the next review makes the others.
	maxReplies = 100
)

// The roles of writes.
const (
	RoleComment     = "comment"
	RoleFile        = "file"
	RoleReply       = "reply"
	RoleWalkthrough = "walkthrough"
	RoleCheck       = "check"
)

// Item is one comment on a finding.
type Item struct {
	Key      string   `json:"key"`
	ID       string   `json:"id"` // of the known finding
	Position Position `json:"position"`
	Suggest  bool     `json:"suggest,omitempty"`
	// Reason is why it does not stand on its lines.
	Reason string `json:"reason,omitempty"`
}

// Fixed is the answer to a finding that is fixed.
type Fixed struct {
	Key     string `json:"key"`
	ID      string `json:"id"`
	Comment int64  `json:"comment"`
	// In is the commit in which it is.
	In string `json:"in,omitempty"`
	// Secret: it is a secret that was taken out.
	Secret bool `json:"secret,omitempty"`
	// Keep leaves the thread open: people answered in it.
	Keep bool `json:"keep,omitempty"`
}

// Plan is everything that a review writes at the forge, in its order: answers, comments on lines, comments on files, the
// walkthrough, the check run.
type Plan struct {
	Fixed  []Fixed  `json:"fixed,omitempty"`
	Inline [][]Item `json:"inline,omitempty"` // one review at the forge each
	Files  []Item   `json:"files,omitempty"`
	// Apart are findings that stand in the walkthrough only.
	Apart []Item `json:"apart,omitempty"`
	// Walkthrough and Check are the keys of these two; empty: not to be written.
	Walkthrough string `json:"walkthrough,omitempty"`
	Check       string `json:"check,omitempty"`
}

// PlanInput is what a plan follows from.
type PlanInput struct {
	Keys    Keys
	Subject string
	Review  string // ID
	// Findings are the review's with their statuses, Known all of the subject's after it.
	Findings []finding.Finding
	Known    []review.Known
	// Written is what is at the forge already.
	Written []review.Publication
	Change  *review.Change
	// Applies says which suggestions can be applied, by the IDs of known findings.
	Applies  map[string]bool
	Settings review.Settings
}

// Compute makes the plan. The same input gives the same plan.
func Compute(in PlanInput) Plan {
	p := Plan{}
	written := make(map[string]review.Publication, len(in.Written))
	for _, w := range in.Written {
		written[w.Key] = w
	}
	known := make(map[string]*review.Known, len(in.Known))
	for i := range in.Known {
		known[in.Known[i].ID] = &in.Known[i]
	}
	p.fixed(&in, written)
	p.comments(&in, known, written)
	if in.Settings.Walkthrough {
		p.Walkthrough = in.Keys.Key(in.Subject, RoleWalkthrough)
	}
	if in.Settings.Check {
		p.Check = CheckKey(in.Keys, in.Subject, in.Review)
	}
	return p
}

// CheckKey is the key of a review's check run, followed by # and the number of the pull request: runs of several pull requests
// may stand at one commit.
func CheckKey(k Keys, subject, reviewID string) string {
	key := k.Key(subject, RoleCheck, reviewID)
	if at := strings.LastIndexByte(subject, '#'); at >= 0 {
		key += subject[at:]
	}
	return key
}

// SameCheck says whether two keys are those of one check run: what was stored and sent before keys named the pull request lacks that.
func SameCheck(a, b string) bool {
	a, _, _ = strings.Cut(a, "#")
	b, _, _ = strings.Cut(b, "#")
	return a == b
}

// CommentKey is the key of a finding's comment.
func CommentKey(k Keys, known *review.Known) string {
	return k.Key(known.Subject, known.ID, strconv.Itoa(known.Generation))
}

// fixed plans the answers to everything that is fixed and was not answered yet: by this review, or by one that could not write
// or was not to.
func (p *Plan) fixed(in *PlanInput, written map[string]review.Publication) {
	for i := range in.Known {
		k := &in.Known[i]
		if k.Finding.Status != finding.Fixed || k.Was == finding.Dismissed || k.CommentID == 0 || k.Gone || len(p.Fixed) == maxReplies {
			continue
		}
		key := in.Keys.Key(in.Subject, RoleReply, k.ID, strconv.Itoa(k.Generation))
		if written[key].State != review.PublicationDone {
			p.Fixed = append(p.Fixed, Fixed{Key: key, ID: k.ID, Comment: k.CommentID, In: k.FixedIn, Keep: k.Answered, Secret: render.Leaked(&k.Finding)})
		}
	}
}

// comments places every finding that has no comment of its own yet, the worst first.
func (p *Plan) comments(in *PlanInput, known map[string]*review.Known, written map[string]review.Publication) {
	findings := slices.Clone(in.Findings)
	finding.Sort(findings)
	var inline []Item
	for i := range findings {
		f := &findings[i]
		k := known[lifecycle.KnownID(f.Name)]
		if k == nil || !Shown(f, &in.Settings) || k.Gone || k.CommentID != 0 {
			continue
		}
		item := Item{Key: CommentKey(in.Keys, k), ID: k.ID}
		if written[item.Key].State == review.PublicationDone {
			continue
		}
		item.Position, item.Reason = Locate(in.Change, &f.Location)
		item.Suggest = in.Settings.Suggestions && item.Position.Exact && in.Applies[k.ID]
		switch {
		case !in.Settings.Inline:
			item.Reason = ReasonInlineOff
			p.Apart = append(p.Apart, item)
		case item.Reason == "" && len(inline) < min(max(in.Settings.MaxInline, 0), review.MaxInline):
			inline = append(inline, item)
		case item.Reason == ReasonLineNotInDiff && len(p.Files) < MaxFileComments:
			p.Files = append(p.Files, item)
		default:
			if item.Reason == "" || item.Reason == ReasonLineNotInDiff {
				item.Reason = ReasonTooMany
			}
			p.Apart = append(p.Apart, item)
		}
	}
	for batch := range slices.Chunk(inline, MaxBatch) {
		p.Inline = append(p.Inline, batch)
	}
}

// longestRange is where locations are cut; a suggestion for more lines would replace too few.
const longestRange = 30

// Replaceable says whether a finding's suggestion is for lines of the new file, and for all of those that it means.
func Replaceable(f *finding.Finding) bool {
	l := &f.Location
	return f.Suggestion != "" && l.Side == finding.Right && l.StartLine > 0 && l.EndLine-l.StartLine+1 < longestRange &&
		l.Placement != finding.PlacedSymbol && l.Placement != finding.PlacedFile && l.Placement != finding.PlacedNone &&
		strings.TrimSuffix(f.Suggestion, "\n") != l.Code
}

// Shown says whether a finding is one to be commented: open, published, and severe enough.
func Shown(f *finding.Finding, s *review.Settings) bool {
	return finding.Current(f) && f.Severity >= cmp.Or(s.PublishFrom, finding.SeverityLow)
}

// Intents are the rows that are stored before anything is written.
func (p *Plan) Intents(subject string, by job.ID) []review.Publication {
	id := review.Publication{Subject: subject, State: review.PublicationIntent, Review: by}
	var out []review.Publication
	add := func(key, role string) {
		if key != "" {
			id.Key, id.Role = key, role
			out = append(out, id)
		}
	}
	for _, f := range p.Fixed {
		add(f.Key, RoleReply)
	}
	for _, batch := range p.Inline {
		for _, i := range batch {
			add(i.Key, RoleComment)
		}
	}
	for _, i := range p.Files {
		add(i.Key, RoleFile)
	}
	add(p.Walkthrough, RoleWalkthrough)
	add(p.Check, RoleCheck)
	return out
}

// Missing is what the check run says where there is no result.
func Missing(s *review.Settings) Conclusion {
	if s.IncompleteFails {
		return Failure
	}
	return Neutral
}

// Conclude is what the check run says of a finished review: never success while anything was not read, nor where
// nothing was, be it by policy or because there is no text.
func Conclude(r *finding.Report, s *review.Settings) Conclusion {
	switch {
	case r.Disposition != string(review.DispositionReviewed):
		return Neutral
	case r.Failing():
		return Failure
	case !r.Coverage.Complete && s.IncompleteFails:
		return Failure
	case !r.Coverage.Complete:
		return Neutral
	case r.Coverage.Unread():
		return Neutral
	}
	return Success
}
