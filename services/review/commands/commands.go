// Package commands reads what people ask of us in comments on a pull request.
package commands

import (
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
// code, or hidden from readers is not meant for us. A mention with other words is no command, since people also talk about
// us; a slash with other words is an Unknown one. app is the account's name without "[bot]"; empty: no mention is ours.
func Parse(body, app string) []Command {
	if len(body) > maxBody {
		body = body[:maxBody]
	}
	var (
		out  []Command
		skip blocks
	)
	for line := range strings.Lines(strings.ToValidUTF8(body, "")) {
		line = strings.TrimRight(line, " \t\r\n")
		if skip.hides(line) {
			continue
		}
		if c, ok := command(line, app); ok {
			if out = append(out, c); len(out) == Max {
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

// blocks knows which lines of a comment are not said by its author to us.
type blocks struct {
	fence  string // that closes the code block; empty: none is open
	hidden string // that closes what is hidden or preformatted; empty: none is open
	quoted bool   // the line before was a quotation, which goes on until an empty line
}

// hides says whether the line is part of a block, or opens one.
func (b *blocks) hides(line string) bool {
	text := strings.TrimLeft(line, " ")
	lower := strings.ToLower(text)
	switch {
	case b.hidden != "":
		if strings.Contains(lower, b.hidden) {
			b.hidden = ""
		}
		return true
	case b.fence != "":
		if strings.HasPrefix(text, b.fence) && strings.Trim(text, b.fence[:1]) == "" && len(line)-len(text) <= 3 {
			b.fence = ""
		}
		return true
	case len(line)-len(text) <= 3 && fence(text) != "":
		b.fence, b.quoted = fence(text), false
		return true
	case strings.HasPrefix(text, ">"):
		b.quoted = true
		return true
	case text == "":
		b.quoted = false
		return true
	case b.quoted:
		return true
	}
	return b.opens(lower)
}

// opens notes what a line hides of those behind it. The line itself is no command then.
func (b *blocks) opens(lower string) bool {
	hides := false
	for _, pair := range [][2]string{{"<!--", "-->"}, {"<pre", "</pre>"}, {"<code", "</code>"}, {"<script", "</script>"}, {"<style", "</style>"}} {
		at := strings.LastIndex(lower, pair[0])
		if at < 0 {
			continue
		}
		hides = true
		if !strings.Contains(lower[at:], pair[1]) {
			b.hidden = pair[1]
		}
	}
	return hides
}

// fence is the fence that a line opens: three or more backticks or tildes.
func fence(text string) string {
	for _, c := range []string{"`", "~"} {
		n := len(text) - len(strings.TrimLeft(text, c))
		if n < 3 || c == "`" && strings.Contains(text[n:], "`") {
			continue
		}
		return text[:n]
	}
	return ""
}
