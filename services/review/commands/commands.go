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
// code, or hidden from readers is not meant for us, by the rules of CommonMark. A mention with other words is no command,
// since people also talk about us; a slash with other words is an Unknown one. app is the account's name without "[bot]";
// empty: no mention is ours.
func Parse(body, app string) []Command {
	if len(body) > maxBody {
		body = body[:maxBody]
	}
	var (
		out   []Command
		skip  hidden
		lines = slices.Collect(strings.Lines(strings.ToValidUTF8(body, "\uFFFD")))
		apart = apart(lines)
	)
	for n, line := range lines {
		line = strings.TrimRight(line, " \t\r\n")
		if skip.hides(line, apart[n]) {
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

// hidden knows which lines of a comment its readers do not see as its author's words. It is the tag that closes what is
// hidden or preformatted; empty: none is open.
type hidden string

// hides says whether the line is part of what is hidden, or opens it. apart says that it is quoted or code.
func (h *hidden) hides(line string, apart bool) bool {
	lower := strings.ToLower(line)
	switch {
	case *h != "":
		if strings.Contains(lower, string(*h)) {
			*h = ""
		}
		return true
	case apart:
		return true
	}
	return h.opens(lower)
}

// opens notes what a line hides of those behind it. The line itself is no command then.
func (h *hidden) opens(lower string) bool {
	hides := false
	for _, pair := range [][2]string{{"<!--", "-->"}, {"<pre", "</pre>"}, {"<code", "</code>"}, {"<script", "</script>"}, {"<style", "</style>"}} {
		at := strings.LastIndex(lower, pair[0])
		if at < 0 {
			continue
		}
		hides = true
		if !strings.Contains(lower[at:], pair[1]) {
			*h = hidden(pair[1])
		}
	}
	return hides
}
