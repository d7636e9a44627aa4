// Package prompt writes what models are shown. Templates are embedded by version; what does not come from us stands
// between fences, under labels that say nothing of its author. The same input gives the same bytes, so that a restart
// asks exactly what was asked before. Safe for concurrent use.
package prompt

import (
	"embed"
	"encoding/json"
	"fmt"
	"strings"
	"text/template"

	"witan.dev/internal/finding"
	"witan.dev/services/council"
)

// Version is that of the templates. A change of wording is a new version: answers in the journal are reused for the same
// prompt only.
const Version = "v1"

//go:embed v1/*.tmpl
var files embed.FS

//nolint:gochecknoglobals // parsed constants
var templates = template.Must(template.New("").Funcs(template.FuncMap{"fence": fence, "lines": lines, "line": Line}).ParseFS(files, "v1/*.tmpl"))

// Prompt is one request to a model, in nobody's wire format.
type Prompt struct {
	// Template names the template with its version.
	Template string `json:"template"`
	System   string `json:"system"`
	// History are earlier turns, oldest first, each a question and its answer.
	History []Turn `json:"history,omitempty"`
	User    string `json:"user"`
	// Schema nil asks for free text.
	Schema *Schema `json:"schema,omitempty"`
}

// Turn is one earlier question with its final answer.
type Turn struct {
	Question string `json:"question"`
	Answer   string `json:"answer"`
}

// Schema is the form that the output is to have.
type Schema struct {
	Name string          `json:"name"`
	JSON json.RawMessage `json:"json"`
}

// Bytes is the length of everything that is sent, for estimates.
func (p Prompt) Bytes() int {
	n := len(p.System) + len(p.User)
	for _, t := range p.History {
		n += len(t.Question) + len(t.Answer)
	}
	if p.Schema != nil {
		n += len(p.Schema.JSON)
	}
	return n
}

// Tokens estimates the tokens of a text of n bytes, on the high side: English has about four bytes a token, code about
// three.
func Tokens(n int) int { return n/3 + 16 }

// Labelled is a text under an anonymous label.
type Labelled struct{ Label, Text string }

// Answer asks a member for its own answer. Nothing says that others are asked too.
func Answer(q council.Question, history []Turn, persona, nonce string) Prompt {
	p := render("answer", struct {
		Question       council.Question
		Persona, Nonce string
	}{q, persona, nonce}, nil)
	p.History = history
	return p
}

// Propose asks a member for the problems in one part of a change.
func Propose(r council.CodeReview, part council.MaterialPart, persona, nonce string) Prompt {
	return render("propose", struct {
		Review         council.CodeReview
		Part           council.MaterialPart
		Categories     []finding.Category
		Persona, Nonce string
		Most           int
	}{r, part, Categories(r), persona, nonce, council.MaxProposals}, findingsSchema(Categories(r)))
}

// Categories are those that a review allows.
func Categories(r council.CodeReview) []finding.Category {
	if len(r.Categories) > 0 {
		return r.Categories
	}
	return finding.Categories()
}

// Rank asks a reviewer to order answers of others.
func Rank(q council.Question, answers []Labelled, nonce string) Prompt {
	labels := make([]string, len(answers))
	for i, a := range answers {
		labels[i] = a.Label
	}
	return render("rank", struct {
		Question council.Question
		Answers  []Labelled
		Labels   string
		Nonce    string
	}{q, answers, strings.Join(labels, ", "), nonce}, ballotSchema(labels))
}

// Claim is a finding as it is shown to those who judge it: without its author.
type Claim struct {
	Label, Place, Category, Claim, Reason string
	// Excerpt is the code around the quoted lines.
	Excerpt string
}

// CrossExamine asks a member to judge claims of others.
func CrossExamine(r council.CodeReview, claims []Claim, nonce string) Prompt {
	labels := make([]string, len(claims))
	for i, c := range claims {
		labels[i] = c.Label
	}
	return render("cross_examine", struct {
		Review council.CodeReview
		Claims []Claim
		Labels string
		Nonce  string
	}{r, claims, strings.Join(labels, ", "), nonce}, votesSchema(labels))
}

// Standing is one answer as the chairman sees it.
type Standing struct {
	Label, Text string
	// Rank counts from 1; 0: no evidence.
	Rank, FirstPlaces int
	Critiques         []string
}

// Field is what a chairman concludes a question from.
type Field struct {
	Question council.Question
	Answers  []Standing
	// Ranked says that there is a ranking, TieAtTop that the order of the first two means nothing, NotRanked why there is
	// none.
	Ranked, TieAtTop bool
	NotRanked        string
	Agreement        string
	Dissent          []string
	// Missing says how many members failed and why.
	Missing []string
}

// Synthesise asks the chairman for the final answer.
func Synthesise(f Field, history []Turn, persona, nonce string) Prompt {
	p := render("synthesise", struct {
		Field
		Persona, Nonce string
	}{f, persona, nonce}, nil)
	p.History = history
	return p
}

// Concluded is one finding as the chairman sees it.
type Concluded struct {
	Place, Severity, Category, Claim, Reason, Votes string
}

// Docket is what a chairman writes a review's summary from.
type Docket struct {
	Review          council.CodeReview
	Published, Held []Concluded
	Rejected        int
	Coverage        []string
}

// Conclude asks the chairman for the summary of a review.
func Conclude(d Docket, persona, nonce string) Prompt {
	return render("conclude", struct {
		Docket
		Persona, Nonce string
	}{d, persona, nonce}, nil)
}

// Repair shows a model its own output and what is wrong with it, once.
func Repair(p Prompt, output, problem, nonce string) Prompt {
	const most = 32 << 10
	if len(output) > most {
		output = strings.ToValidUTF8(output[:most], "")
	}
	repair := render("repair", struct{ Output, Problem, Nonce string }{output, problem, nonce}, nil)
	p.Template += "+repair"
	p.User += "\n\n" + repair.User
	return p
}

func render(name string, data any, s *Schema) Prompt {
	return Prompt{
		Template: "council/" + Version + "/" + name, Schema: s,
		System: execute(name+".system", data), User: execute(name+".user", data),
	}
}

func execute(name string, data any) string {
	var b strings.Builder
	if err := templates.ExecuteTemplate(&b, name, data); err != nil {
		panic(fmt.Sprintf("prompt: template %s: %v", name, err)) // all templates are executed by the tests
	}
	return strings.TrimSpace(b.String())
}

// Line makes one escaped line of a text that is not ours, for places outside of fences.
func Line(text string) string {
	const most = 300
	text = strings.Join(strings.Fields(Escape(text)), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
