package linters

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"witan.dev/internal/finding"
)

// sarifResult is what is used of a result.
type sarifResult struct {
	RuleID  string
	Rule    struct{ ID string }
	Index   *int `json:"ruleIndex"`
	Level   string
	Kind    string
	Message struct {
		Text, Markdown, ID string
		Arguments          []string
	}
	BaselineState string
	Suppressions  []struct{ Status string }
	Locations     []struct {
		PhysicalLocation struct {
			ArtifactLocation artifactLocation
			Region           struct {
				StartLine, EndLine, EndColumn int
				Snippet                       struct{ Text string }
			}
		}
	}
}

type artifactLocation struct {
	URI, URIBaseID string
	Index          *int
}

// sarifRule is what is used of a rule.
type sarifRule struct {
	ID                   string
	MessageStrings       map[string]struct{ Text string }
	DefaultConfiguration struct{ Level string }
	Properties           struct {
		Tags     []string
		Severity json.RawMessage `json:"security-severity"`
		Problem  struct{ Severity string }
	}
}

// sarifRun is one run: one execution of one tool. Its keys come in any order, so results wait for the rules.
type sarifRun struct {
	name      string
	rules     []sarifRule
	byID      map[string]int // of rules
	results   []sarifResult
	bases     map[string]artifactLocation
	artifacts []artifactLocation
	failed    bool
}

// sarifInvocation is what is used of an invocation.
type sarifInvocation struct {
	ExecutionSuccessful        *bool
	ToolExecutionNotifications []struct{ Level string }
}

func (i *sarifInvocation) failed() bool {
	return i.ExecutionSuccessful != nil && !*i.ExecutionSuccessful ||
		slices.ContainsFunc(i.ToolExecutionNotifications, func(n struct{ Level string }) bool { return n.Level == "error" })
}

func (r *reader) run(d *json.Decoder) error {
	var run sarifRun
	err := object(d, func(key string) error {
		switch key {
		case "tool":
			var tool struct {
				Driver struct {
					Name  string
					Rules []sarifRule
				}
				Extensions []struct{ Rules []sarifRule }
			}
			err := d.Decode(&tool)
			run.name, run.rules = tool.Driver.Name, tool.Driver.Rules
			for _, e := range tool.Extensions {
				run.rules = append(run.rules, e.Rules...)
			}
			return err
		case "originalUriBaseIds":
			return d.Decode(&run.bases)
		case "artifacts":
			return elements(d, func() error {
				var a struct{ Location artifactLocation }
				if err := d.Decode(&a); err != nil {
					return err
				}
				run.artifacts = append(run.artifacts, a.Location)
				return r.count()
			})
		case "invocations":
			return elements(d, func() error {
				var one sarifInvocation
				if err := d.Decode(&one); err != nil {
					return err
				}
				run.failed = run.failed || one.failed()
				return r.count()
			})
		case "results":
			return elements(d, func() error {
				var one sarifResult
				if err := d.Decode(&one); err != nil {
					return err
				}
				run.results = append(run.results, one)
				return r.count()
			})
		default:
			return skip(d)
		}
	})
	if err != nil {
		return err
	}
	return r.add(run.tool())
}

func (run *sarifRun) tool() Tool {
	t := Tool{Name: run.name, failed: run.failed}
	run.byID = make(map[string]int, len(run.rules))
	for i := range run.rules {
		run.byID[run.rules[i].ID] = i
	}
	for id := range run.bases {
		if root := run.base(id); root != "" {
			t.roots = append(t.roots, root)
		}
	}
	for _, a := range run.artifacts {
		t.files = append(t.files, run.path(a))
	}
	for i := range run.results {
		if one, ok := run.result(&run.results[i]); ok {
			t.results = append(t.results, one)
		}
	}
	return t
}

// result translates one result; ok is false for what is no open problem.
func (run *sarifRun) result(s *sarifResult) (out result, ok bool) {
	if s.Kind != "" && s.Kind != "fail" || s.BaselineState == "absent" || s.BaselineState == "unchanged" || len(s.Locations) == 0 {
		return out, false
	}
	for _, suppressed := range s.Suppressions {
		if suppressed.Status == "" || suppressed.Status == "accepted" {
			return out, false
		}
	}
	rule := run.rule(s)
	if s.Level == "" {
		s.Level = rule.DefaultConfiguration.Level
	}
	out.severity, ok = levelOf(s.Level)
	if !ok {
		return out, false
	}
	tags := rule.Properties.Tags
	if score, err := strconv.ParseFloat(strings.Trim(string(rule.Properties.Severity), `"`), 64); err == nil {
		out.severity, tags = scored(score), append([]string{"security"}, tags...)
	}
	place := s.Locations[0].PhysicalLocation
	out.rule, out.message = cut(rule.ID, maxName), cut(message(s, &rule), maxText)
	out.path, out.snippet = run.path(place.ArtifactLocation), cutCode(place.Region.Snippet.Text)
	out.start, out.end, out.category = place.Region.StartLine, place.Region.EndLine, categoryOf(out.severity, tags)
	if place.Region.EndColumn == 1 && out.end > out.start { // the end is exclusive
		out.end--
	}
	return out, true
}

func cutCode(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), maxSnippet)], "\uFFFD")
}

// scored is CVSS's rating of a score.
func scored(score float64) finding.Severity {
	switch {
	case score >= 9:
		return finding.SeverityCritical
	case score >= 7:
		return finding.SeverityHigh
	case score >= 4:
		return finding.SeverityMedium
	default:
		return finding.SeverityLow
	}
}

// rule is the result's rule, by its ID or index, empty but for the ID where the report does not describe it.
func (run *sarifRun) rule(s *sarifResult) sarifRule {
	id := s.RuleID
	if id == "" {
		id = s.Rule.ID
	}
	if s.Index != nil && *s.Index >= 0 && *s.Index < len(run.rules) && (id == "" || run.rules[*s.Index].ID == id) {
		return run.rules[*s.Index]
	}
	if at, ok := run.byID[id]; ok && id != "" {
		return run.rules[at]
	}
	return sarifRule{ID: id}
}

// message is the result's text, or that of the rule which it names, with its arguments filled in.
func message(s *sarifResult, rule *sarifRule) string {
	text := s.Message.Text
	if text == "" {
		text = s.Message.Markdown
	}
	if text == "" {
		text = rule.MessageStrings[s.Message.ID].Text
	}
	if len(s.Message.Arguments) == 0 || len(text) > maxText {
		return text
	}
	pairs := make([]string, 0, 2*len(s.Message.Arguments))
	for i, a := range s.Message.Arguments[:min(len(s.Message.Arguments), 20)] {
		pairs = append(pairs, "{"+strconv.Itoa(i)+"}", cut(a, maxName))
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// path is where the artifact lies, with the folder that its base names before it.
func (run *sarifRun) path(a artifactLocation) string {
	if a.URI == "" && a.Index != nil && *a.Index >= 0 && *a.Index < len(run.artifacts) {
		a = run.artifacts[*a.Index]
	}
	file := unescape(a.URI)
	if base := run.base(a.URIBaseID); base != "" && !strings.HasPrefix(file, "/") {
		file = strings.TrimSuffix(base, "/") + "/" + file
	}
	return file[:min(len(file), maxPath)]
}

// base is the folder that a base ID stands for, "" where the report does not say. Bases may have bases.
func (run *sarifRun) base(id string) string {
	out := ""
	for range 4 {
		b, ok := run.bases[id]
		if !ok {
			return ""
		}
		out = unescape(b.URI) + out
		if id = b.URIBaseID; id == "" {
			break
		}
	}
	return out[:min(len(out), maxPath)]
}

// unescape takes the scheme of a file URI and the escapes off. A path that is no URI stays as it is.
func unescape(uri string) string {
	rest, isFile := strings.CutPrefix(uri, "file://")
	if isFile {
		if _, after, ok := strings.Cut(rest, "/"); ok { // a host
			rest = "/" + after
		}
	}
	if plain, err := url.PathUnescape(rest); err == nil {
		return plain
	}
	return rest
}
