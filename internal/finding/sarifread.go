package finding

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
)

// sarifFinding is a finding as it stands in a result's properties: everything that SARIF itself has no place for, or
// none that keeps it to the byte, so that reading it back gives the same finding.
type sarifFinding struct {
	Name          string       `json:"name,omitempty"`
	Severity      string       `json:"severity"`
	Category      string       `json:"category"`
	Rule          string       `json:"rule,omitempty"`
	Title         string       `json:"title"`
	Reason        string       `json:"reason,omitempty"`
	Place         sarifPlace   `json:"place"`
	Related       []sarifPlace `json:"related,omitempty"`
	Suggestion    string       `json:"suggestion,omitempty"`
	Tally         sarifTally   `json:"tally"`
	Votes         []sarifVote  `json:"votes,omitempty"`
	Sources       []string     `json:"sources,omitempty"`
	Alternatives  []string     `json:"alternatives,omitempty"`
	Outcome       string       `json:"outcome"`
	OutcomeReason string       `json:"outcomeReason,omitempty"`
	Status        string       `json:"status"`
	StatusReason  string       `json:"statusReason,omitempty"`
	FirstReview   string       `json:"firstReview,omitempty"`
	FixedIn       string       `json:"fixedIn,omitempty"`
	Feedback      string       `json:"feedback,omitempty"`
	Publication   *sarifShown  `json:"publication,omitempty"`
}

type sarifShown struct {
	State  string `json:"state"`
	URL    string `json:"url,omitempty"`
	Reason string `json:"reason,omitempty"`
}

type sarifPlace struct {
	Path      sarifBytes `json:"path"`
	OldPath   sarifBytes `json:"oldPath"`
	Side      string     `json:"side"`
	StartLine int        `json:"startLine,omitempty"`
	EndLine   int        `json:"endLine,omitempty"`
	Symbol    string     `json:"symbol,omitempty"`
	Placement string     `json:"placement"`
	InDiff    bool       `json:"inDiff"`
	Code      sarifBytes `json:"code"`
}

type sarifTally struct {
	Confirmed      int `json:"confirmed"`
	Rejected       int `json:"rejected"`
	Uncertain      int `json:"uncertain"`
	Proposed       int `json:"proposed"`
	Planned        int `json:"planned"`
	Required       int `json:"required"`
	DistinctModels int `json:"distinctModels"`
}

type sarifVote struct {
	Voter    string `json:"voter"`
	Model    string `json:"model,omitempty"`
	Choice   string `json:"choice"`
	Proposed bool   `json:"proposed"`
	Counted  bool   `json:"counted"`
	Severity string `json:"severity"`
	Reason   string `json:"reason,omitempty"`
}

// sarifBytes is text of the repository, which need not be UTF-8: then it is an object with its bytes in base64.
type sarifBytes string

type rawBytes struct {
	Bytes []byte `json:"bytes"`
}

// MarshalJSON implements json.Marshaler.
func (b sarifBytes) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(b)) {
		return json.Marshal(string(b))
	}
	return json.Marshal(rawBytes{[]byte(b)})
}

// UnmarshalJSON implements json.Unmarshaler.
func (b *sarifBytes) UnmarshalJSON(text []byte) error {
	var s string
	if err := json.Unmarshal(text, &s); err == nil {
		*b = sarifBytes(s)
		return nil
	}
	var raw rawBytes
	err := json.Unmarshal(text, &raw)
	*b = sarifBytes(raw.Bytes)
	return err
}

func sarifProperties(f *Finding) (*sarif.PropertyBag, error) {
	p := sarifFinding{
		Name: f.Name, Severity: f.Severity.String(), Category: string(f.Category), Rule: f.Rule, Title: f.Title, Reason: f.Reason,
		Place: toSARIFPlace(f.Location), Suggestion: f.Suggestion, Tally: sarifTally(f.Tally), Sources: f.Sources, Alternatives: f.Alternatives,
		Outcome: f.Outcome.String(), OutcomeReason: f.OutcomeReason, Status: f.Status.String(), StatusReason: f.StatusReason, FirstReview: f.FirstReview,
		FixedIn: f.FixedIn, Feedback: f.Feedback,
	}
	if f.Publication != (Publication{}) {
		p.Publication = new(sarifShown(f.Publication))
	}
	for _, l := range f.Related {
		p.Related = append(p.Related, toSARIFPlace(l))
	}
	for _, v := range f.Votes {
		p.Votes = append(p.Votes, sarifVote{
			Voter: v.Voter, Model: v.Model, Choice: v.Choice.String(), Proposed: v.Proposed, Counted: v.Counted, Severity: v.Severity.String(), Reason: v.Reason,
		})
	}
	text, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encode finding %s: %w", f.Name, err)
	}
	bag := sarif.NewPropertyBag()
	if err := json.Unmarshal(text, &bag.Properties); err != nil {
		return nil, fmt.Errorf("encode finding %s: %w", f.Name, err)
	}
	return bag, nil
}

func toSARIFPlace(l Location) sarifPlace {
	return sarifPlace{
		Path: sarifBytes(l.Path), OldPath: sarifBytes(l.OldPath), Side: l.Side.String(), StartLine: l.StartLine, EndLine: l.EndLine,
		Symbol: l.Symbol, Placement: l.Placement.String(), InDiff: l.InDiff, Code: sarifBytes(l.Code),
	}
}

// DecodeSARIF reads the findings of a report that EncodeSARIF wrote, in its order: they equal those that were written.
// SARIF of other tools, and of other versions whose findings are told otherwise, is an error.
func DecodeSARIF(content []byte) ([]Finding, error) {
	var report struct {
		Runs []struct {
			Tool struct {
				Driver struct{ Name string }
			}
			Results []struct {
				PartialFingerprints map[string]string
				Properties          json.RawMessage
			}
		}
	}
	if err := json.Unmarshal(content, &report); err != nil {
		return nil, fmt.Errorf("decode SARIF: %w", err)
	}
	var out []Finding
	for _, run := range report.Runs {
		if run.Tool.Driver.Name != sarifTool {
			return nil, fmt.Errorf("decode SARIF: it was written by %.80q", run.Tool.Driver.Name)
		}
		for i, result := range run.Results {
			f, err := fromSARIF(result.Properties)
			if err != nil {
				return nil, fmt.Errorf("decode SARIF: result %d: %w", i, err)
			}
			f.Fingerprint = result.PartialFingerprints[sarifFingerprint]
			out = append(out, f)
		}
	}
	return out, nil
}

func fromSARIF(properties json.RawMessage) (f Finding, err error) {
	var p sarifFinding
	if err := json.Unmarshal(properties, &p); err != nil {
		return f, err
	}
	f = Finding{
		Name: p.Name, Category: Category(p.Category), Rule: p.Rule, Title: p.Title, Reason: p.Reason, Suggestion: p.Suggestion, Tally: Tally(p.Tally),
		Sources: p.Sources, Alternatives: p.Alternatives, OutcomeReason: p.OutcomeReason, StatusReason: p.StatusReason, FirstReview: p.FirstReview,
		FixedIn: p.FixedIn, Feedback: p.Feedback,
	}
	if p.Publication != nil {
		f.Publication = Publication(*p.Publication)
	}
	names := &nameReader{}
	f.Severity = byName(names, p.Severity, SeverityCritical)
	f.Outcome = byName(names, p.Outcome, Rejected)
	f.Status = byName(names, p.Status, Dismissed)
	f.Location = fromSARIFPlace(names, p.Place)
	for _, l := range p.Related {
		f.Related = append(f.Related, fromSARIFPlace(names, l))
	}
	for _, v := range p.Votes {
		f.Votes = append(f.Votes, Vote{
			Voter: v.Voter, Model: v.Model, Choice: byName(names, v.Choice, Uncertain), Proposed: v.Proposed, Counted: v.Counted,
			Severity: byName(names, v.Severity, SeverityCritical), Reason: v.Reason,
		})
	}
	return f, names.err
}

func fromSARIFPlace(names *nameReader, p sarifPlace) Location {
	return Location{
		Path: string(p.Path), OldPath: string(p.OldPath), Side: byName(names, p.Side, Right), StartLine: p.StartLine, EndLine: p.EndLine,
		Symbol: p.Symbol, Placement: byName(names, p.Placement, PlacedNone), InDiff: p.InDiff, Code: string(p.Code),
	}
}

// nameReader keeps the first name that nothing bears.
type nameReader struct{ err error }

// byName returns the value, from 0 to last, whose String is the name.
func byName[T interface {
	~int
	fmt.Stringer
}](r *nameReader, name string, last T,
) T {
	for v := T(0); v <= last; v++ {
		if v.String() == name {
			return v
		}
	}
	if r.err == nil {
		r.err = fmt.Errorf("nothing is named %.40q", name)
	}
	return 0
}
