package simulated

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

type regex = *regexp.Regexp

//nolint:gochecknoglobals // tables, never changed
var (
	openings = []string{
		"The short answer is yes, with one condition.", "It depends on what fails first.", "I would start with the simplest thing that can be undone.",
		"The usual advice is right here, for an unusual reason.", "Two readings of this are possible, and they lead apart.", "I would not decide this before measuring.",
	}
	remarks = []string{
		"The costs come later than the gains.", "What matters is who has to live with it.", "A small trial would show it.", "The failure cases decide, not the common one.",
		"It is easier to add than to take away.", "The evidence for this is thin.", "Two parts of it depend on each other.", "It holds as long as the load stays small.",
		"This follows from the material shown.", "The opposite would be harder to explain.", "It can be checked in an hour.", "Nothing in the question rules it out.",
	}
)

// prose is free text: always marked as simulated, with the judges' mark at its end.
func (e *Engine) prose(c Call, stages []string) string {
	hash := c.Hash()
	if slices.Contains(stages, "conclude") {
		return "[simulated] No model wrote this summary. " + e.pick(remarks, "summary", c.Model, hash)
	}
	if slices.Contains(stages, "title") {
		return "[simulated] " + head(request(c), 40)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "[simulated] %s", e.pick(openings, "opening", c.Model, hash))
	fmt.Fprintf(&b, "\n\nOn %q: ", head(request(c), 120))
	for i := range 2 + int(4*e.draw("length", c.Model, hash)) {
		b.WriteString(e.pick(remarks, "remark", c.Model, hash, fmt.Sprint(i)))
		b.WriteByte(' ')
	}
	b.WriteString(e.mark(c.Model, hash))
	return b.String()
}

// request is the first line of the last message that is no fence: prompts begin with the question.
func request(c Call) string {
	if len(c.Messages) == 0 {
		return "nothing"
	}
	for line := range strings.Lines(c.Messages[len(c.Messages)-1].Text) {
		if line = strings.TrimSpace(line); line != "" && !fenceLine.MatchString(line) {
			return line
		}
	}
	return "nothing"
}
