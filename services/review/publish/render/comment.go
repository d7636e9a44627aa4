package render

import (
	"fmt"
	"strings"

	"witan.dev/internal/finding"
)

// Comment is one finding as it is commented.
type Comment struct {
	Finding *finding.Finding
	// ID is by what people name the finding in commands.
	ID string
	// Suggest offers the suggestion to be applied; it must stand on exactly the lines that it replaces.
	Suggest bool
	// Apart shows place and code, since the comment does not stand on the lines.
	Apart bool
	// Earlier is the address of the comment that the finding had before it was fixed; empty: none.
	Earlier string
	// Mark is the hidden last line.
	Mark string
}

// Body is the text of a comment, at most Limit bytes.
func (c Comment) Body() string {
	f := c.Finding
	t := newBody(Limit - len(c.Mark) - 2)
	t.add("**%s · %s:** %s", f.Severity, escape(words(string(f.Category)), maxTitle), escape(f.Title, maxTitle))
	if f.Status == finding.Reappeared {
		again := "It was fixed before and is back."
		if linkable(c.Earlier) {
			again = "It was fixed before and is back: " + link("the earlier comment", c.Earlier) + "."
		}
		t.add("%s", again)
	}
	if c.Apart {
		t.add("%s", apart(f))
	}
	t.add("%s", paragraphs(f.Reason, maxReason))
	t.add("%s", related(f))
	t.add("%s", c.suggestion())
	t.add("%s", votes(f))
	t.add("<sub>%s hides it for good.</sub>", finding.CodeSpan("/witan dismiss "+c.ID))
	return t.end(c.Mark)
}

// apart is the place with its code.
func apart(f *finding.Finding) string {
	where := finding.CodeSpan(shorten(finding.Place(f.Location), maxReason))
	if f.Location.Symbol != "" {
		where += " in " + finding.CodeSpan(shorten(f.Location.Symbol, maxTitle))
	}
	if f.Location.Code == "" {
		return where
	}
	return where + "\n\n" + finding.FenceMarkdown(shorten(f.Location.Code, maxBlock/4))
}

func related(f *finding.Finding) string {
	var lines []string
	for i, l := range f.Related {
		if i == maxVotes {
			lines = append(lines, fmt.Sprintf("- and %d more places", len(f.Related)-i))
			break
		}
		lines = append(lines, "- see "+finding.CodeSpan(shorten(finding.Place(l), maxReason)))
	}
	return strings.Join(lines, "\n")
}

func (c Comment) suggestion() string {
	s := c.Finding.Suggestion
	switch {
	case s == "":
		return ""
	case len(s) > maxBlock:
		return "Suggested instead is more than fits here."
	case c.Suggest && Applicable(s):
		fence := strings.Repeat("`", max(3, longest(s, '`')+1))
		return fence + "suggestion\n" + strings.TrimSuffix(s, "\n") + "\n" + fence
	}
	return "Suggested instead:\n\n" + finding.FenceMarkdown(s)
}

// Applicable says whether a suggestion can be offered as it is: nothing in it is hidden or stands for a secret.
func Applicable(s string) bool {
	return s != "" && len(s) <= maxBlock && finding.Visible(s) == s && !strings.ContainsAny(s, "\uFE0F") && !strings.Contains(s, "[secret:")
}

// longest is the longest run of a character.
func longest(text string, c byte) int {
	best, run := 0, 0
	for i := range len(text) {
		if text[i] != c {
			run = 0
			continue
		}
		run++
		best = max(best, run)
	}
	return best
}

// votes are the votes, who reported it, and whoever did not agree.
func votes(f *finding.Finding) string {
	line := finding.VotesLine(f.Tally)
	if len(f.Sources) > 0 {
		line = strings.TrimPrefix(line+"; by "+shorten(strings.Join(f.Sources, ", "), maxReason), "; ")
	}
	if line == "" {
		line = "no votes"
	}
	var out strings.Builder
	out.WriteString("*Votes: " + finding.EscapeMarkdown(line) + "*\n")
	for i, v := range finding.Dissent(f) {
		if i == maxVotes {
			break
		}
		fmt.Fprintf(&out, "\n- %s: %s", escape(v.Voter, maxTitle), strings.ToLower(v.Choice.String()))
		if reason := escape(v.Reason, maxVote); reason != "" {
			out.WriteString(": " + reason)
		}
	}
	return out.String()
}

// Fixed is the answer in the thread of a finding that is fixed.
func Fixed(commit, mark string) string { return answered("Fixed", "", commit, mark) }

// TakenOut is the answer in the thread of a secret that is not there any more: who has the commits before has it.
func TakenOut(commit, mark string) string {
	return answered("Taken out", " It is still in the history that was pushed: revoke it.", commit, mark)
}

func answered(what, more, commit, mark string) string {
	t := newBody(Limit)
	if commit != "" {
		what += " in " + finding.CodeSpan(commit[:min(len(commit), 12)])
	}
	t.add("%s.%s", what, more)
	return t.end(mark)
}

// Leaked says whether the finding is a secret that stands in the change.
func Leaked(f *finding.Finding) bool { return strings.HasPrefix(f.Rule, "secrets/") }
