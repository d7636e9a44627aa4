// Package commands reads what people ask of us in comments on a pull request.
package commands

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Name is what a command is called.
type Name string

// The commands. Unknown is whatever else somebody wrote behind the prefix.
const (
	Review  Name = "review"
	Ask     Name = "ask"
	Pause   Name = "pause"
	Resume  Name = "resume"
	Dismiss Name = "dismiss"
	Config  Name = "config"
	Help    Name = "help"
	Unknown Name = ""
)

// Command is one command with the rest of its line.
type Command struct {
	Name Name   `json:"name"`
	Text string `json:"text,omitempty"`
}

// Bounds of what is read (own choice).
const (
	// Max is how many commands of one comment are carried out.
	Max = 5
	// maxBody is how much of a comment is read, and maxText how much of a command's text is kept, in bytes.
	maxBody = 64 << 10
	maxText = 4000
)

// Parse reads the commands of a comment: `/witan <command>` at the start of a line, or `@<app> <command>`. What is quoted,
// code, markup, a footnote or hidden from readers is not meant for us, by the rules of CommonMark, GitHub and HTML. A mention
// with other words is no command, since people also talk about us; a slash with other words is an Unknown one. app is the
// account's name without "[bot]"; empty: no mention is ours.
func Parse(body, app string) []Command {
	if len(body) > maxBody {
		body = body[:maxBody]
	}
	// To forges a carriage return alone ends a line too, and begins what hides the next.
	body = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.ToValidUTF8(body, "\uFFFD"))
	lines := slices.Collect(strings.Lines(body))
	meant, indents := make(map[int]Command), make(map[int]int)
	for n, line := range lines {
		if c, ok := command(strings.TrimRight(line, " \t\r\n"), app); ok {
			meant[n], indents[n] = c, len(line)-len(strings.TrimLeft(line, " "))
		}
	}
	if len(meant) == 0 {
		return nil
	}
	shown := seen(lines, indents)
	var out []Command
	for n := range lines {
		if shown[n] {
			if out = append(out, meant[n]); len(out) == Max {
				break
			}
		}
	}
	return out
}

// command reads one line.
func command(line, app string) (Command, bool) {
	indent := len(line) - len(strings.TrimLeft(line, " "))
	if indent > 3 {
		return Command{}, false
	}
	first, rest, _ := strings.Cut(line[indent:], " ")
	slash := strings.EqualFold(first, "/witan")
	if !slash && !mentions(first, app) {
		return Command{}, false
	}
	word, text, _ := strings.Cut(strings.TrimSpace(rest), " ")
	name := known(strings.ToLower(word))
	switch {
	case name == Unknown && !slash:
		return Command{}, false
	case name == Unknown && word == "":
		name = Help
	case name == Unknown:
		text = ""
	}
	return Command{Name: name, Text: clean(text)}, true
}

func mentions(word, app string) bool {
	name, ok := strings.CutPrefix(strings.TrimRight(word, ",:"), "@")
	if !ok || app == "" {
		return false
	}
	return strings.EqualFold(strings.TrimSuffix(name, "[bot]"), app)
}

func known(word string) Name {
	switch n := Name(word); n {
	case Review, Ask, Pause, Resume, Dismiss, Config, Help:
		return n
	default:
		return Unknown
	}
}

// clean drops control characters and cuts at a character.
func clean(text string) string {
	text = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text))
	if len(text) <= maxText {
		return text
	}
	cut := maxText
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut]
}
