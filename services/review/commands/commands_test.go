package commands_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"witan.dev/services/review/commands"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body string
		want []commands.Command
	}{
		"nothing":                      {"Looks good to me.", nil},
		"a command":                    {"/witan review", []commands.Command{{Name: commands.Review}}},
		"with words":                   {"Hi,\r\n/witan dismiss 4f2a  it is meant\r\nbye", []commands.Command{{Name: commands.Dismiss, Text: "4f2a  it is meant"}}},
		"whatever the case":            {"/Witan REVIEW full", []commands.Command{{Name: commands.Review, Text: "full"}}},
		"a mention":                    {"@wise-owl ask why?", []commands.Command{{Name: commands.Ask, Text: "why?"}}},
		"a mention with its suffix":    {"@Wise-Owl[bot], help", []commands.Command{{Name: commands.Help}}},
		"a mention in passing":         {"@wise-owl thank you", nil},
		"somebody else":                {"@wise-owl2 review", nil},
		"not at the start":             {"try /witan review", nil},
		"a longer word":                {"/witanreview", nil},
		"alone":                        {"/witan", []commands.Command{{Name: commands.Help}}},
		"unknown":                      {"/witan approve now", []commands.Command{{Name: commands.Unknown}}},
		"three blanks":                 {"   /witan pause", []commands.Command{{Name: commands.Pause}}},
		"indented code":                {"    /witan pause", nil},
		"a tab":                        {"\t/witan pause", nil},
		"quoted":                       {"> /witan review\n>/witan pause", nil},
		"a quotation that goes on":     {"> he said\n/witan review", nil},
		"behind a quotation":           {"> he said\n\n/witan review", []commands.Command{{Name: commands.Review}}},
		"a code block":                 {"```\n/witan review\n```\n/witan help", []commands.Command{{Name: commands.Help}}},
		"a code block of tildes":       {"~~~ sh\n```\n/witan review\n~~~~\n/witan help", []commands.Command{{Name: commands.Help}}},
		"a code block in a code one":   {"````\n```\n/witan review\n```\n/witan pause\n````", nil},
		"a code block without an end":  {"```\n/witan review", nil},
		"a code block in a list":       {"- so:\n  ```\n/witan pause\n", []commands.Command{{Name: commands.Pause}}},
		"a code block of an item":      {"1. ```sh\n   /witan review\n   ```\n/witan help", []commands.Command{{Name: commands.Help}}},
		"an item that begins with it":  {"- ```\n  /witan review\n  ```", nil},
		"an item that ends it":         {"- ```\n  x\n\n/witan help", []commands.Command{{Name: commands.Help}}},
		"a quotation in a list":        {"- > he said\n  > so\n/witan review", nil},
		"an item":                      {"- /witan review", nil},
		"the words of an item":         {"- so:\n  /witan review", []commands.Command{{Name: commands.Review}}},
		"a code block in a quotation":  {"> ```\n> x\n\n/witan help", []commands.Command{{Name: commands.Help}}},
		"a long line before":           {strings.Repeat("> é", 300) + "\n\n/witan help", []commands.Command{{Name: commands.Help}}},
		"a code span":                  {"`/witan review`", nil},
		"three backticks in a line":    {"```x``` y\n/witan review", []commands.Command{{Name: commands.Review}}},
		"hidden":                       {"<!-- a\n/witan review\n-->\n/witan help", []commands.Command{{Name: commands.Help}}},
		"preformatted":                 {"<PRE>\n/witan review\n</pre>", nil},
		"in a code span over lines":    {"`a\n/witan pause\nb`", nil},
		"behind a code span":           {"`a\nb`\n/witan pause", []commands.Command{{Name: commands.Pause}}},
		"behind backticks alone":       {"it`s\n/witan pause", []commands.Command{{Name: commands.Pause}}},
		"a code span that begins late": {strings.Repeat("long ", 99) + "`a\n/witan pause\nb`", nil},
		"the title of a definition":    {"[//]: # \"\n/witan pause\n\"\n", nil},
		"behind a definition":          {"[a]: /b\n/witan pause", []commands.Command{{Name: commands.Pause}}},
		"the title of a link":          {"[a](/b \"\n/witan pause\n\")", nil},
		"the words of a picture":       {"![a\n/witan pause\n](/b)", nil},
		"an attribute":                 {"<p title=\"\n/witan pause\n\">", nil},
		"an attribute in a line":       {"x <b title=\"\n/witan pause\n\">", nil},
		"an attribute over paragraphs": {"<p title=\"\n\n/witan pause\n\n\">", nil},
		"an attribute without an end":  {"<p title='\n\n/witan pause\n\n> x", nil},
		"hidden by an attribute":       {"<ul><li hidden>\n\n/witan pause\n\n</li></ul>", nil},
		"a block of HTML":              {"<p>\n/witan pause\n</p>", nil},
		"behind a block of HTML":       {"<p>so</p>\n\n/witan pause", []commands.Command{{Name: commands.Pause}}},
		"character data":               {"<![CDATA[\n/witan pause\n]]>", nil},
		"character data with an angle": {"<![CDATA[ > \n\n/witan pause\n\n]]>", nil},
		"an instruction":               {"<?\n/witan pause\n?>", nil},
		"an instruction in a line":     {"x <?\n/witan pause\n?>", nil},
		"a quotation in HTML":          {"<blockquote>\n/witan pause\n</blockquote>", nil},
		"a paragraph quoted in HTML":   {"<blockquote>\n\n/witan pause\n\n</blockquote>\n\n/witan help", []commands.Command{{Name: commands.Help}}},
		"output":                       {"<samp>\n\n/witan pause\n\n</samp>", nil},
		"keys":                         {"so <kbd>x\n/witan pause\n</kbd>", nil},
		"a field":                      {"<textarea>\n\n/witan pause\n\n</textarea>", nil},
		"folded away":                  {"<details><summary>log</summary>\n\n/witan pause\n\n</details>", nil},
		"a tag in a code span":         {"press `<kbd>`\n\n/witan pause", []commands.Command{{Name: commands.Pause}}},
		"signs of ours":                {"\uE0002\uE001 so\n> x\n/witan pause", nil},
		"a footnote":                   {"[^1]: so\n/witan pause\n\n/witan help", []commands.Command{{Name: commands.Help}}},
		"a footnote of many words":     {"x\n\n- [^a]b]: c\n- [^\\]: he\nsaid\n/witan pause", nil},
		"a footnote that is not ended": {"[^1]: so\n\u00A0\n/witan pause", nil},
		"no footnote":                  {"[^ 1]: so it is\n/witan pause", []commands.Command{{Name: commands.Pause}}},
		"a quotation behind a return":  {"x\r> he said\n/witan pause", nil},
		"code behind a return":         {"x\r```\n/witan pause\n```\r/witan help", []commands.Command{{Name: commands.Help}}},
		"tags and links": {
			"<b>So</b>: <a target=_blank href='https://x.y/?a=b&c=d'>a</a>, [b](/b?c=d \"e's\"), `List<A>`, <https://x.y>, <font color=\"red\">c</font>\n\n/witan pause",
			[]commands.Command{{Name: commands.Pause}},
		},
		"in code that goes on": {"<code>x\n\n/witan pause\n\n</code>\n\n/witan help", []commands.Command{{Name: commands.Help}}},
		"a rule":               {strings.Repeat("-", 400) + "\n/witan pause", []commands.Command{{Name: commands.Pause}}},
		"underlined":           {"/witan pause\n---", []commands.Command{{Name: commands.Pause}}},
		"control characters":   {"/witan ask a\x1b[31mb\x00c", []commands.Command{{Name: commands.Ask, Text: "a [31mb c"}}},
		"too many": {strings.Repeat("/witan review\n", 9), []commands.Command{
			{Name: commands.Review}, {Name: commands.Review}, {Name: commands.Review}, {Name: commands.Review}, {Name: commands.Review},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, commands.Parse(c.body, "wise-owl"))
		})
	}
	require.Empty(t, commands.Parse("@ review", ""))
	require.Empty(t, commands.Parse("@wise-owl review", ""))
}

// TestParseTakesAMomentWhateverNests has what takes a parser of Markdown or HTML the square of its length, in time or memory, in a
// comment as long as they are read.
func TestParseTakesAMomentWhateverNests(t *testing.T) {
	t.Parallel()
	for name, line := range map[string]string{
		"quotations": strings.Repeat(">", 60<<10), "lists": strings.Repeat("- ", 30<<10), "both": strings.Repeat(">- ", 20<<10),
		"lists and lines": strings.Repeat("- ", 127) + strings.Repeat("\na", 30<<10), "many lists": strings.Repeat(strings.Repeat("- ", 127)+"\n", 250),
		"backticks": growing("`"), "comments": strings.Repeat("<!-- ", 12<<10), "instructions": strings.Repeat("<? ", 20<<10),
		"data": strings.Repeat("<![CDATA[ ", 6<<10), "tags": strings.Repeat("<a ", 20<<10), "quotes": strings.Repeat("<a b=\" ", 9<<10),
		"brackets": strings.Repeat("[", 60<<10), "links": strings.Repeat("[a](", 15<<10), "pictures": strings.Repeat("![[]()", 10<<10),
		"stars": strings.Repeat("*a **a ", 8<<10), "closed stars": strings.Repeat("*a_ ", 15<<10), "elements": strings.Repeat("<b>", 20<<10),
		"pairs": strings.Repeat("<b><p>", 10<<10), "definitions": strings.Repeat("[a]: b\n", 8<<10), "open definitions": strings.Repeat("[a]: b \"\n", 6<<10),
		"few links": strings.Repeat("[a](", 1999), "few brackets": strings.Repeat("[", 2000), "few pictures": strings.Repeat("![a](<", 1999),
		"entities": strings.Repeat("&a", 30<<10), "addresses": strings.Repeat("<a@", 20<<10),
		"reopened": formats(480) + strings.Repeat("<p>x", 14<<10), "reopened by lines": formats(480) + strings.Repeat("\n\nx", 18<<10),
		"reopened attributes": "<b " + strings.Repeat("q ", 9<<10) + ">" + strings.Repeat("<p>x", 11<<10), "reopened as few": formats(6) + strings.Repeat("<p>x", 15<<10),
		"reopened attributes behind a quote": "<b x=\">\" " + strings.Repeat("q ", 9<<10) + ">" + strings.Repeat("<p>x", 11<<10),
	} {
		for _, head := range []string{"", "x "} {
			begun, before := time.Now(), allocated()
			commands.Parse(head+line+"a\n/witan help", "")
			require.Less(t, time.Since(begun), 8*time.Second, name)
			require.Less(t, (allocated()-before)>>20, uint64(400), "megabytes, for %s", name)
		}
	}
}

// allocated is how many bytes were, by whomever.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// formats are so many different tags of elements that are opened again in each paragraph behind theirs.
func formats(n int) string {
	var all strings.Builder
	for i := range n {
		fmt.Fprintf(&all, "<b id=%x>", i)
	}
	return all.String()
}

// growing is a text of runs of different lengths.
func growing(of string) string {
	var all strings.Builder
	for n := 1; all.Len() < 60<<10; n++ {
		all.WriteString(strings.Repeat(of, n) + " ")
	}
	return all.String()
}

// FuzzParse: whatever a comment holds, few commands come of it, each of known words and bounded text, and none of a comment
// that is quoted as a whole.
func FuzzParse(f *testing.F) {
	f.Add("/witan review\n> x\n```\n/witan ask y", "owl")
	f.Add("@owl[bot] dismiss 1\r\n<!-- /witan x", "owl")
	f.Add("witan review\n> x\n`\xc2\xc2``\n/witan", "owl") // what is left of it must not be a fence
	f.Fuzz(func(t *testing.T, body, app string) {
		got := commands.Parse(body, app)
		require.LessOrEqual(t, len(got), commands.Max)
		for _, c := range got {
			require.LessOrEqual(t, len(c.Text), 4000)
			require.True(t, utf8.ValidString(c.Text))
			require.Equal(t, -1, strings.IndexFunc(c.Text, unicode.IsControl))
		}
		require.Empty(t, commands.Parse("> "+strings.ReplaceAll(strings.ReplaceAll(body, "\n", "\n> "), "\r", ""), app))
		if !strings.ContainsAny(app, "\n") && !strings.Contains(body, "```") {
			require.Empty(t, commands.Parse("```\n"+body, app))
			if !strings.Contains(body, "</") {
				require.Empty(t, commands.Parse("<samp>\n\n"+body, app))
			}
		}
	})
}
