package simulated

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

const maxLabels = 500

// shown is one labelled text of a prompt.
type shown struct {
	label, text string
}

// Headers of labelled texts: a word such as "Answer", "label=" or "[fence:0f3a begin claim" before the label, or, where no line has one, marks only
// ("### F1", "[A]"). Labels are A … Z, AA … and F1, F2 ….
var (
	fenceBegin  = regexp.MustCompile(`(?m)^(\[\w+:[\w-]+) begin (\w+) ([A-Z]{1,3}|F\d{1,4})\]\r?$`)
	namedHeader = regexp.MustCompile(`(?m)^[^\w\n]*(?:\w+:[\w-]+[ \t]+)?(?:(?i:begin|start|answer|candidate|claim|finding|response|proposal|label|id|name)[\s:=_"'#-]+)+([A-Z]{1,3}|F\d{1,4})\b[^\n]*$`)
	bareHeader  = regexp.MustCompile(`(?m)^[#=<>\[({*-]+[ \t"']*([A-Z]{1,2}|F\d{1,4})\b[^\n]*$`)
)

// labelled finds the labels of a prompt: those that the schema lists, else those of the headers. What stands between a
// header and the next is a label's text.
func labelled(prompt string, schema json.RawMessage) []shown {
	listed := listedLabels(schema)
	if found := fenced(prompt); len(found) > 0 {
		return complete(found, listed)
	}
	for _, header := range []*regexp.Regexp{namedHeader, bareHeader} {
		if found := cutAt(header, prompt, listed); len(found) > 0 {
			return complete(found, listed)
		}
	}
	return complete(nil, listed)
}

// fenced finds texts between "[mark:number begin answer A]" and "[mark:number end answer A]". Several under one label make
// one text, with the lines outside that speak of it ("Claim A, CORRECTNESS:").
func fenced(prompt string) []shown {
	var out []shown
	add := func(label, line string) {
		i := slices.IndexFunc(out, func(s shown) bool { return s.label == label })
		if i < 0 && len(out) < maxLabels {
			out = append(out, shown{label: label})
			i = len(out) - 1
		}
		if i >= 0 {
			out[i].text += line
		}
	}
	if !strings.Contains(prompt, " begin ") || !fenceBegin.MatchString(prompt) {
		return nil
	}
	var label, end string
	for line := range strings.Lines(prompt) {
		bare := strings.TrimRight(line, "\r\n")
		var m []string
		if end == "" && strings.HasPrefix(bare, "[") {
			m = fenceBegin.FindStringSubmatch(bare)
		}
		switch {
		case end != "" && bare == end:
			label, end = "", ""
		case end != "":
			add(label, line)
		case m != nil:
			label, end = m[3], m[1]+" end "+m[2]+" "+m[3]+"]"
			add(label, "\n")
		default:
			if m := namedHeader.FindStringSubmatch(bare); m != nil {
				add(m[1], line)
			}
		}
	}
	return out
}

func cutAt(header *regexp.Regexp, prompt string, listed []string) []shown {
	var out []shown
	start := 0
	for _, at := range header.FindAllStringSubmatchIndex(prompt, -1) {
		label := prompt[at[2]:at[3]]
		known := slices.ContainsFunc(out, func(s shown) bool { return s.label == label })
		if known || len(listed) > 0 && !slices.Contains(listed, label) || len(out) == maxLabels {
			continue // the end of a fence, or a line of a candidate's own that looks like a header
		}
		if len(out) > 0 {
			out[len(out)-1].text = prompt[start:at[0]]
		}
		out = append(out, shown{label: label})
		start = at[2]
	}
	if len(out) > 0 {
		out[len(out)-1].text = prompt[start:]
	}
	return out
}

// complete adds labels that the schema lists and the prompt does not show.
func complete(found []shown, listed []string) []shown {
	for _, label := range listed {
		if !slices.ContainsFunc(found, func(s shown) bool { return s.label == label }) {
			found = append(found, shown{label: label})
		}
	}
	return found
}

// listedLabels finds the labels that a schema allows: the values of a "label", or of the items of a "ranking".
func listedLabels(raw json.RawMessage) []string {
	var tree any
	if len(raw) == 0 || json.Unmarshal(raw, &tree) != nil {
		return nil
	}
	return searchLabels(tree, 0)
}

func searchLabels(node any, depth int) []string {
	object, ok := node.(map[string]any)
	if !ok || depth > maxDepth {
		return nil
	}
	properties, _ := object["properties"].(map[string]any)
	for _, name := range []string{"label", "ranking"} {
		if labels := enumOf(properties[name]); len(labels) > 0 {
			return labels
		}
	}
	for _, name := range sortedKeys(properties) {
		if labels := searchLabels(properties[name], depth+1); len(labels) > 0 {
			return labels
		}
	}
	return searchLabels(object["items"], depth+1)
}

func enumOf(node any) []string {
	object, ok := node.(map[string]any)
	if !ok {
		return nil
	}
	if items, ok := object["items"]; ok {
		return enumOf(items)
	}
	values, ok := object["enum"].([]any)
	if !ok {
		return nil
	}
	var out []string
	for _, v := range values {
		if s, ok := v.(string); ok && s != "" && len(out) < maxLabels {
			out = append(out, s)
		}
	}
	return out
}

func promptOf(c Call) string {
	var b strings.Builder
	b.WriteString(c.System)
	for _, m := range c.Messages {
		b.WriteByte('\n')
		b.WriteString(m.Text)
	}
	return b.String()
}
