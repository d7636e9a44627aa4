package simulated

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Templates take something out of the prompt: ${label /RE/} is the label under which a text stands that fits, ${match /RE/}
// the first group (or the whole) of the first match, ${int /RE/} the same as a number where it is the whole value.
var placeholder = regexp.MustCompile(`(?s)\$\{(\w+) /(.*?)/\}`)

var errNothingFits = errors.New("nothing in the prompt fits")

func checkTemplate(text string) error {
	for _, m := range placeholder.FindAllStringSubmatch(text, -1) {
		if !slices.Contains([]string{"label", "match", "int"}, m[1]) {
			return fmt.Errorf("${%s …} is none of label, match, int", m[1])
		}
		if len(m[2]) > maxRegex {
			return fmt.Errorf("a regular expression longer than %d bytes", maxRegex)
		}
		if _, err := regexp.Compile("(?m)" + m[2]); err != nil {
			return err
		}
	}
	return nil
}

// filler fills templates from one prompt.
type filler struct {
	prompt string
	labels []shown
}

func (f filler) text(text string) (string, error) {
	var failed error
	out := placeholder.ReplaceAllStringFunc(text, func(found string) string {
		m := placeholder.FindStringSubmatch(found)
		value, err := f.value(m[1], m[2])
		if err != nil && failed == nil {
			failed = fmt.Errorf("%s: %w", found, err)
		}
		return value
	})
	return out, failed
}

func (f filler) value(kind, expr string) (string, error) {
	re, err := regexp.Compile("(?m)" + expr)
	if err != nil {
		return "", err
	}
	if kind == "label" {
		for _, l := range f.labels {
			if re.MatchString(l.text) {
				return l.label, nil
			}
		}
		return "", errNothingFits
	}
	m := re.FindStringSubmatch(f.prompt)
	if m == nil {
		return "", errNothingFits
	}
	value := m[min(1, len(m)-1)]
	if kind == "int" {
		if _, err := strconv.ParseInt(value, 10, 64); err != nil {
			return "", err
		}
	}
	return value, nil
}

// tree fills a value that becomes JSON. The script's own tree stays as it is.
func (f filler) tree(value any) (any, error) {
	switch v := value.(type) {
	case string:
		text, err := f.text(v)
		if err != nil {
			return nil, err
		}
		if m := placeholder.FindStringSubmatch(v); m != nil && m[1] == "int" && m[0] == strings.TrimSpace(v) {
			return strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		}
		return text, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, inner := range v {
			filled, err := f.tree(inner)
			if err != nil {
				return nil, err
			}
			out[name] = filled
		}
		return out, nil
	case []any:
		out := make([]any, len(v))
		for i, inner := range v {
			filled, err := f.tree(inner)
			if err != nil {
				return nil, err
			}
			out[i] = filled
		}
		return out, nil
	}
	return value, nil
}

func sortByName(list []namedRegex) {
	slices.SortFunc(list, func(a, b namedRegex) int { return cmp.Compare(a.name, b.name) })
}
