package render

// Answer is what we say to a person who asked: a text of others, of which nothing comes alive, below a line of ours. Lines
// are our own markdown.
func Answer(heading, text string, lines []string, mark string) string {
	t := newBody(Limit - len(mark) - 2)
	t.add("%s", heading)
	if text != "" {
		t.add("%s", paragraphs(text, Limit/2))
	}
	for _, l := range lines {
		t.add("%s", l)
	}
	return t.end(mark)
}
