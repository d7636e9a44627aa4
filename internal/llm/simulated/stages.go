package simulated

import (
	"regexp"
	"slices"
)

// Over HTTP nothing says what a call is for. A schema's name does, and the council's prompts are known by what they say
// of the role; a script's own Stages come first.
//
//nolint:gochecknoglobals // tables, never changed
var (
	schemaStages = map[string]string{"findings": "propose", "ballot": "rank", "votes": "cross_examine"}

	roleStages = []namedRegex{
		{"answer", regexp.MustCompile(`(?m)^You answer a question\b`)},
		{"synthesise", regexp.MustCompile(`(?m)^You are the chairman of a council\b`)},
		{"conclude", regexp.MustCompile(`(?m)^You write the summary of a code review\b`)},
		{"title", regexp.MustCompile(`(?mi)^(you )?(give|write) .{0,40}\btitle\b`)},
	}
)

// stages are the names under which a call is known: what the caller says, its schema's name and what that stands for, or,
// for free text, what the prompt shows.
func (e *Engine) stages(c Call, prompt string) []string {
	var out []string
	for _, name := range []string{c.Stage, c.SchemaName, schemaStages[c.SchemaName]} {
		if name != "" {
			out = append(out, name)
		}
	}
	if len(out) > 0 {
		return out
	}
	for _, s := range slices.Concat(e.script.stages, roleStages) {
		if s.re.MatchString(prompt) {
			return []string{s.name}
		}
	}
	return nil
}
