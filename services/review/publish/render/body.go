package render

import (
	"fmt"
	"net/url"
	"strings"

	"witan.dev/internal/finding"
)

// Limit is the longest text that is made, in bytes.
const Limit = 60_000

// Limits of what is shown of one finding, in bytes.
const (
	maxTitle, maxReason, maxVote = 300, 4_000, 500
	maxBlock                     = 20_000
	maxVotes                     = 20
)

// body collects blocks of markdown, each of which stands by itself, as long as they fit.
type body struct {
	b    strings.Builder
	room int
	cut  bool
}

func newBody(limit int) *body { return &body{room: limit} }

// add takes a block, or leaves it out as a whole where it does not fit.
func (t *body) add(format string, args ...any) {
	block := format
	if len(args) > 0 {
		block = fmt.Sprintf(format, args...)
	}
	if block == "" {
		return
	}
	if len(block)+2 > t.room {
		t.cut = true
		return
	}
	if t.b.Len() > 0 {
		t.b.WriteString("\n\n")
	}
	t.b.WriteString(block)
	t.room -= len(block) + 2
}

// keep takes room for what is added later, at most a half of what there is, and returns what has to be given back then.
func (t *body) keep(room int) int {
	room = max(0, min(room, t.room/2))
	t.room -= room
	return room
}

// end closes the text with a mark that only programs see.
func (t *body) end(mark string) string {
	if mark == "" {
		return t.b.String()
	}
	return t.b.String() + "\n\n" + mark
}

// shorten cuts a text at a character.
func shorten(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + " …"
}

func escape(text string, limit int) string { return finding.EscapeMarkdown(shorten(text, limit)) }

// paragraphs escapes a text and keeps its paragraphs.
func paragraphs(text string, limit int) string {
	var out []string
	for p := range strings.SplitSeq(strings.ReplaceAll(shorten(text, limit), "\r\n", "\n"), "\n\n") {
		if escaped := finding.EscapeMarkdown(p); escaped != "" {
			out = append(out, escaped)
		}
	}
	return strings.Join(out, "\n\n")
}

// link is a link of ours; only the text where the address is none that a link can hold.
func link(text, address string) string {
	if !linkable(address) {
		return text
	}
	return "[" + text + "](<" + address + ">)"
}

func linkable(address string) bool {
	if address == "" || strings.ContainsAny(address, "<>\\\"'` \t\r\n[]|") || finding.Visible(address) != address {
		return false
	}
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil
}

// words turns a name in UPPER_SNAKE into words.
func words(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", " ")) }
