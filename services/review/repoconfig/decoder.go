package repoconfig

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"witan.dev/internal/finding"
	"witan.dev/internal/gitignore"
	"witan.dev/services/review"
)

// decoder gathers all that is wrong.
type decoder struct {
	p        Params
	clean    func(text *string) // takes secrets out
	problems []string
}

// safely turns a panic of the library over some input into an error.
func safely(fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	return fn()
}

func isEmpty(err error) bool { return errors.Is(err, io.EOF) }

// add notes what is wrong with a key.
func (d *decoder) add(key, format string, args ...any) {
	if len(d.problems) == maxProblems {
		return
	}
	text := fmt.Sprintf(format, args...)
	if key != "" {
		text = key + ": " + text
	}
	text = strings.ToValidUTF8(text, "\uFFFD")
	d.clean(&text) // before it is cut
	if len(text) > maxProblem {
		cut := maxProblem
		for !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut] + "…"
	}
	d.problems = append(d.problems, text)
	if len(d.problems) == maxProblems {
		d.problems[maxProblems-1] = "there is more that is wrong"
	}
}

// field reads the value of one key.
type field func(n *yaml.Node, key string)

// object reads a mapping whose keys are known.
func (d *decoder) object(n *yaml.Node, key string, fields map[string]field) {
	d.each(n, key, func(name string, value *yaml.Node, full string) {
		read, known := fields[name]
		if !known {
			d.add(full, "line %d: there is no such key; known here: %s", value.Line, strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
			return
		}
		read(value, full)
	})
}

// each reads a mapping.
func (d *decoder) each(n *yaml.Node, key string, fn func(name string, value *yaml.Node, full string)) {
	if n.Kind != yaml.MappingNode {
		d.add(key, "line %d: must be a mapping of keys", n.Line)
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i]
		if name.Kind != yaml.ScalarNode || name.Tag != "!!str" {
			d.add(key, "line %d: a key must be a word", name.Line)
			continue
		}
		full := strings.TrimPrefix(key+"."+shown(name.Value), ".")
		if seen[name.Value] {
			d.add(full, "line %d: stands twice", name.Line)
			continue
		}
		seen[name.Value] = true
		fn(name.Value, n.Content[i+1], full)
	}
}

// shown is a key as it is repeated to people.
func shown(name string) string {
	if quoted := strconv.QuoteToASCII(name); len(name) > 64 || quoted != `"`+name+`"` {
		return quoted[:min(len(quoted), 64)]
	}
	return name
}

func (d *decoder) scalar(n *yaml.Node, key, tag, what string) (string, bool) {
	if n.Kind != yaml.ScalarNode || n.Tag != tag {
		d.add(key, "line %d: must be %s", n.Line, what)
		return "", false
	}
	return n.Value, true
}

func (d *decoder) flag(into *bool) field {
	return func(n *yaml.Node, key string) {
		if _, ok := d.scalar(n, key, "!!bool", "true or false"); ok {
			*into = strings.EqualFold(n.Value, "true")
		}
	}
}

// off is a flag the other way round.
func (d *decoder) off(into *bool) field {
	return func(n *yaml.Node, key string) {
		on := true
		d.flag(&on)(n, key)
		*into = !on
	}
}

func (d *decoder) text(into *string, check func(string) string) field {
	return func(n *yaml.Node, key string) {
		value, ok := d.scalar(n, key, "!!str", "a text")
		if !ok {
			return
		}
		if wrong := check(value); wrong != "" {
			d.add(key, "%s", wrong)
			return
		}
		*into = value
	}
}

func (d *decoder) number(into *int64, low, high int64) field {
	return func(n *yaml.Node, key string) {
		value, ok := d.scalar(n, key, "!!int", "a whole number")
		if !ok {
			return
		}
		v, err := strconv.ParseInt(value, 10, 64)
		if err != nil || v < low || v > high {
			what := fmt.Sprintf("between %d and %d", low, high)
			if low == high {
				what = strconv.FormatInt(low, 10)
			}
			d.add(key, "line %d: must be %s", n.Line, what)
			return
		}
		*into = v
	}
}

// money reads an amount in millionths.
func (d *decoder) money(into *int64) field {
	return func(n *yaml.Node, key string) {
		if n.Kind != yaml.ScalarNode || n.Tag != "!!int" && n.Tag != "!!float" {
			d.add(key, "line %d: must be an amount", n.Line)
			return
		}
		v, err := strconv.ParseFloat(n.Value, 64)
		if err != nil || !(v > 0 && v <= 1e6) {
			d.add(key, "line %d: must be above 0 and at most 1000000", n.Line)
			return
		}
		*into = max(int64(v*1e6), 1)
	}
}

// list reads a list of at most n texts, each of which check finds nothing wrong with.
func (d *decoder) list(into *[]string, limit int, check func(string) string) field {
	return func(n *yaml.Node, key string) {
		if n.Kind != yaml.SequenceNode {
			d.add(key, "line %d: must be a list", n.Line)
			return
		}
		if len(n.Content) > limit {
			d.add(key, "holds %d entries, at most %d are taken", len(n.Content), limit)
			return
		}
		out := make([]string, 0, len(n.Content))
		for i, c := range n.Content {
			var value string
			d.text(&value, check)(c, fmt.Sprintf("%s[%d]", key, i))
			out = append(out, value)
		}
		*into = out
	}
}

func (d *decoder) severity(into *finding.Severity) field {
	return func(n *yaml.Node, key string) {
		value, ok := d.scalar(n, key, "!!str", "a severity")
		if !ok {
			return
		}
		s, err := finding.ParseSeverity(value)
		if err != nil {
			d.add(key, "must be low, medium, high or critical")
			return
		}
		*into = s
	}
}

// patterns reads patterns of paths.
func (d *decoder) patterns(into *[]string) field {
	return func(n *yaml.Node, key string) {
		d.list(into, gitignore.MaxPatterns, short(gitignore.MaxPattern))(n, key)
		if _, err := gitignore.Compile(*into); err != nil {
			d.add(key, "%v", err)
		}
	}
}

// globs reads patterns of names.
func (d *decoder) globs(into *[]string) field { return d.list(into, maxItems, short(maxItem)) }

// short takes texts that are neither empty nor longer than limit bytes.
func short(limit int) func(string) string {
	return func(text string) string {
		if text == "" || len(text) > limit {
			return fmt.Sprintf("must have between 1 and %d bytes", limit)
		}
		return ""
	}
}

// preset is the name of a council.
var preset = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

func matches(pattern *regexp.Regexp, what string) func(string) string {
	return func(text string) string {
		if !pattern.MatchString(text) {
			return "must be " + what
		}
		return ""
	}
}

func oneOf(words ...string) func(string) string {
	return func(text string) string {
		if !slices.Contains(words, text) {
			return "must be one of " + strings.Join(words, ", ")
		}
		return ""
	}
}

// inside takes paths of the repository.
func inside(text string) string {
	if wrong := short(maxItem)(text); wrong != "" {
		return wrong
	}
	if path.IsAbs(text) || path.Clean(text) != text || text == "." || text == ".." || strings.HasPrefix(text, "../") ||
		strings.ContainsAny(text, "\x00\n\\") {
		return "must be a path inside the repository"
	}
	return ""
}

// settings reads the whole.
func (d *decoder) settings(root *yaml.Node, set *review.Settings) {
	var version int64
	d.object(root, "", map[string]field{
		"version":      d.number(&version, 1, 1),
		"review":       func(n *yaml.Node, key string) { d.when(n, key, set) },
		"paths":        d.group(map[string]field{"include": d.patterns(&set.Include), "exclude": d.patterns(&set.Exclude), "generated": d.patterns(&set.Generated)}),
		"instructions": func(n *yaml.Node, key string) { d.instructions(n, key, set) },
		"guidelines":   d.list(&set.Guidelines, maxFiles, inside),
		"severity":     d.group(map[string]field{"publish": d.severity(&set.PublishFrom), "fail_on": d.severity(&set.FailOn)}),
		"council": func(n *yaml.Node, key string) {
			d.text(&set.Council, matches(preset, "the name of a council"))(n, key)
			if set.Council != "" {
				set.Council = "councils/" + set.Council
			}
		},
		"min_votes": func(n *yaml.Node, key string) { d.votes(n, key, set) },
		"reviewers": func(n *yaml.Node, key string) { d.reviewers(n, key, set) },
		"comments": func(n *yaml.Node, key string) {
			limit := int64(set.MaxInline)
			d.object(n, key, map[string]field{
				"inline": d.flag(&set.Inline), "max_inline": d.number(&limit, 0, review.MaxInline), "suggestions": d.flag(&set.Suggestions),
			})
			set.MaxInline = int(limit)
		},
		"walkthrough": d.group(map[string]field{"enabled": d.flag(&set.Walkthrough), "collapse": d.flag(&set.WalkthroughCollapse)}),
		"check": func(n *yaml.Node, key string) {
			incomplete := "neutral"
			d.object(n, key, map[string]field{"enabled": d.flag(&set.Check), "incomplete": d.text(&incomplete, oneOf("neutral", "failure"))})
			set.IncompleteFails = incomplete == "failure"
		},
		"budget": d.group(map[string]field{
			"tokens": d.number(&set.MaxTokens, 1, 1e12), "calls": d.number(&set.MaxCalls, 1, 1e6), "cost": d.money(&set.MaxCost),
		}),
		"context": func(n *yaml.Node, key string) { d.context(n, key, set) },
	})
}

func (d *decoder) group(fields map[string]field) field {
	return func(n *yaml.Node, key string) { d.object(n, key, fields) }
}

func (d *decoder) when(n *yaml.Node, key string, set *review.Settings) {
	auto := []string{"opened", "push", "ready_for_review"}
	d.object(n, key, map[string]field{
		"auto":          d.list(&auto, 3, oneOf("opened", "push", "ready_for_review")),
		"drafts":        d.flag(&set.Drafts),
		"base_branches": d.globs(&set.Branches),
		"ignore": d.group(map[string]field{
			"authors": d.globs(&set.IgnoreAuthors), "titles": d.globs(&set.IgnoreTitles), "labels": d.globs(&set.IgnoreLabels),
		}),
		"labels": d.globs(&set.Labels),
	})
	set.AutoOpened, set.AutoPush = slices.Contains(auto, "opened"), slices.Contains(auto, "push")
	set.AutoReady = slices.Contains(auto, "ready_for_review")
}

func (d *decoder) instructions(n *yaml.Node, key string, set *review.Settings) {
	if n.Kind != yaml.SequenceNode || len(n.Content) > maxRules {
		d.add(key, "line %d: must be a list of at most %d entries", n.Line, maxRules)
		return
	}
	for i, c := range n.Content {
		var rule review.Instruction
		stated := false
		text := d.text(&rule.Text, func(text string) string {
			if strings.TrimSpace(text) == "" || utf8.RuneCountInString(text) > maxRule {
				return fmt.Sprintf("must have between 1 and %d characters", maxRule)
			}
			return ""
		})
		at := fmt.Sprintf("%s[%d]", key, i)
		d.object(c, at, map[string]field{
			"paths": d.patterns(&rule.Paths),
			"text": func(n *yaml.Node, key string) {
				stated = true
				text(n, key)
			},
		})
		if !stated && c.Kind == yaml.MappingNode {
			d.add(at+".text", "line %d: is missing", c.Line)
		}
		set.Instructions = append(set.Instructions, rule)
	}
}

func (d *decoder) votes(n *yaml.Node, key string, set *review.Settings) {
	d.each(n, key, func(name string, value *yaml.Node, full string) {
		s, err := finding.ParseSeverity(name)
		if err != nil {
			d.add(full, "must be low, medium, high or critical")
			return
		}
		var votes int64
		d.number(&votes, 1, maxVotes)(value, full)
		if set.MinVotes == nil {
			set.MinVotes = map[finding.Severity]int{}
		}
		set.MinVotes[s] = int(votes)
	})
}

func (d *decoder) reviewers(n *yaml.Node, key string, set *review.Settings) {
	d.each(n, key, func(name string, value *yaml.Node, full string) {
		if !slices.Contains(d.p.Reviewers, name) {
			d.add(full, "there is no such reviewer; known: %s", strings.Join(d.p.Reviewers, ", "))
			return
		}
		var r review.ReviewerSettings
		d.object(value, full, map[string]field{"enabled": d.off(&r.Off), "severity": d.severity(&r.Severity)})
		if set.Reviewers == nil {
			set.Reviewers = map[string]review.ReviewerSettings{}
		}
		set.Reviewers[name] = r
	})
}

func (d *decoder) context(n *yaml.Node, key string, set *review.Settings) {
	tokens := int64(0)
	d.object(n, key, map[string]field{
		"enabled": d.off(&set.ContextOff), "tokens": d.number(&tokens, 1, 1e6),
		"sources": d.list(&set.ContextSources, 16, oneOf(review.ContextSources()...)),
	})
	set.ContextTokens = int(tokens)
	if d.p.ContextTokens > 0 {
		set.ContextTokens = min(set.ContextTokens, d.p.ContextTokens)
	}
}
