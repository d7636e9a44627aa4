package council

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"witan.dev/internal/finding"
)

// TaskKind says what a council is asked to do.
type TaskKind string

// The tasks.
const (
	TaskQuestion   TaskKind = "QUESTION"
	TaskCodeReview TaskKind = "CODE_REVIEW"
)

// Limits of a task.
const (
	MaxQuestionBytes = 128 << 10
	MaxMaterialBytes = 2 << 20 // inline, all parts of a request together
	MaxParts         = 1000
	maxEvidence      = 64
	maxCriteria      = 16
	maxGuidelines    = 64
	maxTextBytes     = 64 << 10 // titles, guidelines, claims, reasons, code
	maxAnchors       = 20_000
)

// Task is a Question or a CodeReview, never both.
type Task struct {
	Question   *Question   `json:"question,omitempty"`
	CodeReview *CodeReview `json:"code_review,omitempty"`
}

// Kind says which it is.
func (t Task) Kind() TaskKind {
	if t.CodeReview != nil {
		return TaskCodeReview
	}
	return TaskQuestion
}

// Question is what the members answer.
type Question struct {
	Text     string      `json:"text"`
	Evidence []Evidence  `json:"evidence,omitempty"`
	Choices  []string    `json:"choices,omitempty"`
	Criteria []Criterion `json:"criteria,omitempty"`
}

// Evidence is a text that belongs to a question.
type Evidence struct {
	Title string `json:"title,omitempty"`
	// Text is the content, or Blob the ID of a stored one (its hex SHA-256).
	Text string `json:"text,omitempty"`
	Blob string `json:"blob,omitempty"`
	// SHA256 of the content in hex; checked where it is given.
	SHA256 string `json:"sha256,omitempty"`
}

// Criterion is what answers are judged by.
type Criterion struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
}

// CodeReview is a change of code in parts that fit a member's context.
type CodeReview struct {
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	// Parts may be empty: then only the outside proposals are judged.
	Parts []MaterialPart `json:"parts,omitempty"`
	// Outside are what reviewers outside of the council reported. Members do not see them while they propose.
	Outside    []Proposal         `json:"outside_proposals,omitempty"`
	Guidelines []string           `json:"guidelines,omitempty"`
	Categories []finding.Category `json:"categories,omitempty"`
	// BlockAt is the severity from which a published finding blocks, in VERDICT; unspecified is HIGH.
	BlockAt finding.Severity `json:"block_at,omitempty"`
}

// MaterialPart is one piece of the change, as members read it.
type MaterialPart struct {
	ID    string   `json:"id"`
	Paths []string `json:"paths,omitempty"`
	// Text is the content, or Blob the ID of a stored one.
	Text string `json:"text,omitempty"`
	Blob string `json:"blob,omitempty"`
	// SHA256 of the content in hex; checked where it is given.
	SHA256          string `json:"sha256,omitempty"`
	EstimatedTokens int    `json:"estimated_tokens,omitempty"`
	// Anchors are the definitions in the part, so that findings can be grouped by symbol without parsing.
	Anchors []Anchor `json:"anchors,omitempty"`
}

// Anchor is a definition's place.
type Anchor struct {
	Path string       `json:"path"`
	Side finding.Side `json:"side"`
	// Symbol is the qualified name with its kind.
	Symbol    string `json:"symbol"`
	StartLine int    `json:"start_line"`
	EndLine   int    `json:"end_line"`
}

// Proposal is one reported problem from one source.
type Proposal struct {
	ID string `json:"id"`
	// Source is a member's ID, or an outside reviewer's name.
	Source  string `json:"source"`
	Outside bool   `json:"outside,omitempty"`
	// Part is where a member found it.
	Part      string       `json:"part,omitempty"`
	Path      string       `json:"path"`
	StartLine int          `json:"start_line,omitempty"`
	EndLine   int          `json:"end_line,omitempty"`
	Side      finding.Side `json:"side,omitempty"`
	// Code is the quoted code, the real anchor.
	Code        string           `json:"code,omitempty"`
	Symbol      string           `json:"symbol,omitempty"`
	Category    finding.Category `json:"category,omitempty"`
	Severity    finding.Severity `json:"severity"`
	Claim       string           `json:"claim"`
	Reason      string           `json:"reason,omitempty"`
	Suggestion  string           `json:"suggestion,omitempty"`
	Fingerprint string           `json:"fingerprint,omitempty"`
	// Confidence is the source's own, 0 to 1. Shown, never counted.
	Confidence float64 `json:"confidence,omitempty"`
	// NeedsConfirmations is how many confirmations it takes beside its own source's vote, whatever the policy says. It
	// does not hold where no member can vote.
	NeedsConfirmations int `json:"needs_confirmations,omitempty"`
	// Certain proposals are published whatever the votes are, and as no less severe: members cannot see what they rest on.
	Certain bool `json:"certain,omitempty"`
}

// Validate reports everything that is wrong with a task, each with its field.
func (t Task) Validate() error {
	switch {
	case t.Question != nil && t.CodeReview != nil, t.Question == nil && t.CodeReview == nil:
		return errors.New("task: exactly one of question and code_review is to be given")
	case t.Question != nil:
		return t.Question.validate()
	default:
		return t.CodeReview.validate()
	}
}

func (q *Question) validate() error {
	var errs []error
	if strings.TrimSpace(q.Text) == "" {
		errs = append(errs, errors.New("question.text: is missing"))
	}
	errs = append(errs, texts(MaxQuestionBytes, "question.text", q.Text))
	if len(q.Evidence) > maxEvidence || len(q.Criteria) > maxCriteria {
		errs = append(errs, fmt.Errorf("question: at most %d pieces of evidence and %d criteria", maxEvidence, maxCriteria))
	}
	total := 0
	for i, e := range q.Evidence {
		field := fmt.Sprintf("question.evidence[%d]", i)
		total += len(e.Text)
		if (e.Text == "") == (e.Blob == "") {
			errs = append(errs, fmt.Errorf("%s: exactly one of text and blob is to be given", field))
		}
		if e.Text != "" && e.SHA256 != "" && e.SHA256 != digest(e.Text) {
			errs = append(errs, fmt.Errorf("%s.sha256: is not that of the text", field))
		}
		errs = append(errs, texts(MaxMaterialBytes, field, e.Title, e.Text))
	}
	if total > MaxMaterialBytes {
		errs = append(errs, fmt.Errorf("question.evidence: %d bytes, at most %d", total, MaxMaterialBytes))
	}
	for i, c := range q.Criteria {
		errs = append(errs, texts(maxTextBytes, fmt.Sprintf("question.criteria[%d]", i), c.Name, c.Description))
	}
	return errors.Join(errs...)
}

func (c *CodeReview) validate() error {
	errs := []error{texts(maxTextBytes, "code_review.title", c.Title), texts(maxTextBytes, "code_review.description", c.Description)}
	if len(c.Parts) > MaxParts {
		errs = append(errs, fmt.Errorf("code_review.parts: %d, at most %d", len(c.Parts), MaxParts))
	}
	if len(c.Outside) > MaxOutside {
		errs = append(errs, fmt.Errorf("code_review.outside_proposals: %d, at most %d", len(c.Outside), MaxOutside))
	}
	if len(c.Guidelines) > maxGuidelines {
		errs = append(errs, fmt.Errorf("code_review.guidelines: %d, at most %d", len(c.Guidelines), maxGuidelines))
	}
	for i, g := range c.Guidelines {
		errs = append(errs, texts(maxTextBytes, fmt.Sprintf("code_review.guidelines[%d]", i), g))
	}
	errs = append(errs, c.validateParts(), c.validateOutside())
	return errors.Join(errs...)
}

func (c *CodeReview) validateParts() error {
	var errs []error
	seen := map[string]bool{}
	total, anchors := 0, 0
	for i, p := range c.Parts {
		field := fmt.Sprintf("code_review.parts[%d]", i)
		if p.ID == "" || len(p.ID) > 200 || seen[p.ID] {
			errs = append(errs, fmt.Errorf("%s.id: is missing, longer than 200 bytes or used twice", field))
		}
		seen[p.ID] = true
		if (p.Text == "") == (p.Blob == "") {
			errs = append(errs, fmt.Errorf("%s: exactly one of text and blob is to be given", field))
		}
		if p.Blob != "" && !hexDigest(p.Blob) {
			errs = append(errs, fmt.Errorf("%s.blob: is not a hex SHA-256", field))
		}
		if p.Text != "" && p.SHA256 != "" && p.SHA256 != digest(p.Text) {
			errs = append(errs, fmt.Errorf("%s.sha256: is not that of the text", field))
		}
		errs = append(errs, texts(MaxMaterialBytes, field+".text", p.Text))
		total += len(p.Text)
		anchors += len(p.Anchors)
	}
	if total > MaxMaterialBytes {
		errs = append(errs, fmt.Errorf("code_review.parts: %d bytes inline, at most %d; store larger ones as blobs", total, MaxMaterialBytes))
	}
	if anchors > maxAnchors {
		errs = append(errs, fmt.Errorf("code_review.parts: %d anchors, at most %d", anchors, maxAnchors))
	}
	return errors.Join(errs...)
}

func (c *CodeReview) validateOutside() error {
	var errs []error
	for i, p := range c.Outside {
		field := fmt.Sprintf("code_review.outside_proposals[%d]", i)
		if p.Source == "" || p.Path == "" || p.Claim == "" {
			errs = append(errs, fmt.Errorf("%s: source, path and claim are needed", field))
		}
		errs = append(errs, texts(maxTextBytes, field, p.Source, p.Claim, p.Reason, p.Code, p.Suggestion))
	}
	return errors.Join(errs...)
}

func texts(limit int, field string, values ...string) error {
	for _, v := range values {
		if len(v) > limit {
			return fmt.Errorf("%s: %d bytes, at most %d", field, len(v), limit)
		}
		if !utf8.ValidString(v) {
			return fmt.Errorf("%s: is not valid UTF-8", field)
		}
	}
	return nil
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func hexDigest(s string) bool {
	raw, err := hex.DecodeString(s)
	return err == nil && len(raw) == sha256.Size
}
