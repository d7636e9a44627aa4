package reply

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Ballot is an order over labels with what is said of single ones.
type Ballot struct {
	// Ranking holds each shown label once, best first.
	Ranking   []string
	Critiques []Critique
}

// Critique is what a ballot says of one label.
type Critique struct{ Label, Text string }

// ParseBallot reads a ballot over the shown labels: structured output, a fenced block, the one complete JSON object in
// the text, the list after the last FINAL RANKING line. Critiques are cut at maxChars characters; those of unknown labels
// are left out.
func ParseBallot(text string, shown []string, maxChars int) (Ballot, error) {
	b, err := pick(text, func(object string) (Ballot, error) { return ballotOf(object, shown, maxChars) },
		func(a, b Ballot) bool { return slices.Equal(a.Ranking, b.Ranking) })
	if err == nil || errors.Is(err, ErrAmbiguous) || errors.Is(err, ErrTooLong) {
		return b, err
	}
	if list, ok := finalRanking(text, shown); ok {
		return Ballot{Ranking: list}, nil
	}
	return Ballot{}, err
}

func ballotOf(object string, shown []string, maxChars int) (Ballot, error) {
	var raw struct {
		Ranking   []string `json:"ranking"`
		Critiques []struct {
			Label string `json:"label"`
			Text  string `json:"text"`
		} `json:"critiques"`
	}
	if err := decode(object, &raw); err != nil {
		return Ballot{}, err
	}
	if err := permutation(raw.Ranking, shown); err != nil {
		return Ballot{}, err
	}
	b := Ballot{Ranking: raw.Ranking}
	for _, c := range raw.Critiques {
		seen := slices.ContainsFunc(b.Critiques, func(x Critique) bool { return x.Label == c.Label })
		if text := clip(c.Text, maxChars); text != "" && !seen && slices.Contains(shown, c.Label) {
			b.Critiques = append(b.Critiques, Critique{Label: c.Label, Text: text})
		}
	}
	return b, nil
}

// permutation says what keeps a list from holding each shown label exactly once.
func permutation(list, shown []string) error {
	for i, label := range list {
		if !slices.Contains(shown, label) {
			return fmt.Errorf("ranking: %.20q is none of the labels %s", label, strings.Join(shown, ", "))
		}
		if slices.Contains(list[:i], label) {
			return fmt.Errorf("ranking: %q stands there twice", label)
		}
	}
	if len(list) != len(shown) {
		return fmt.Errorf("ranking: %d labels instead of %d (%s)", len(list), len(shown), strings.Join(shown, ", "))
	}
	return nil
}

var (
	marker = regexp.MustCompile(`(?im)^[#*\s]*FINAL RANKING[*\s]*:[*\s]*$`)
	entry  = regexp.MustCompile(`(?i)^\s*(?:\d{1,3}[.):]|[-*])?\s*\**\s*(?:(?:answer|response|candidate|finding)\s+)?([A-Za-z]{1,3})\s*\**\s*$`)
)

// finalRanking reads the list after the last marker: one known label a line, each shown one exactly once, ended by an
// empty line or the end of the text.
func finalRanking(text string, shown []string) ([]string, bool) {
	marks := marker.FindAllStringIndex(text, -1)
	if len(marks) == 0 {
		return nil, false
	}
	var list []string
	for line := range strings.Lines(text[marks[len(marks)-1][1]:]) {
		if strings.TrimSpace(line) == "" {
			if len(list) > 0 {
				break
			}
			continue
		}
		m := entry.FindStringSubmatch(strings.TrimRight(line, "\r\n"))
		if m == nil || len(list) == len(shown) {
			return nil, false
		}
		list = append(list, strings.ToUpper(m[1]))
	}
	return list, permutation(list, shown) == nil
}
