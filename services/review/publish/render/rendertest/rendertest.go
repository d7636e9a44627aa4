// Package rendertest holds what is posted at a forge to a real markdown parser: nothing that others wrote may come alive.
package rendertest

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"

	"witan.dev/internal/finding"
)

// Body is a text as it is posted, and what of it may be alive.
type Body struct {
	Text string
	// Link says which addresses are ours; nil: none.
	Link func(address string) bool
	// Heading allows headings of ours.
	Heading bool
}

var (
	markLine = regexp.MustCompile(`^<!-- witan:1 [0-9a-f]{24} -->$`)
	ownHTML  = regexp.MustCompile(`^(</?(details|summary|sub)>)+$|^<details><summary>[^<>]*</summary>$`)
	mention  = regexp.MustCompile(`(?:^|[^\w])@[\w-]|(?:^|[^\w])#\d|(?i:gh-\d)`)
)

// Mark is the hidden last line of the text, empty for none.
func (b Body) Mark() string {
	if last := b.Text[strings.LastIndexByte(b.Text, '\n')+1:]; markLine.MatchString(last) {
		return last
	}
	return ""
}

// Check reports what came alive and is not our own: links, images, mentions, references, HTML, headings, quotations, hidden
// markers but that of the last line, and characters that cannot be seen.
func (b Body) Check() error {
	before := rune(0)
	for _, r := range b.Text {
		if r != '\n' && r != '\t' && r != '\u200b' && finding.Unseen(before, r) {
			return fmt.Errorf("the text holds %U", r)
		}
		before = r
	}
	source := []byte(b.Text)
	doc := goldmark.New(goldmark.WithExtensions(extension.GFM, extension.Footnote)).Parser().Parse(text.NewReader(source))
	marks, last := 0, doc.LastChild()
	err := ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		found, err := b.node(n, source)
		if err == nil && found > 0 {
			marks += found
			if n != last && n.Parent() != last {
				err = errors.New("a hidden marker stands before the end")
			}
		}
		return ast.WalkContinue, err
	})
	switch {
	case err != nil:
		return err
	case marks == 1 && b.Mark() == "", marks == 0 && b.Mark() != "", marks > 1:
		return fmt.Errorf("%d hidden markers are alive", marks)
	}
	return nil
}

// node checks one node and counts the markers that are alive in it.
func (b Body) node(n ast.Node, source []byte) (marks int, err error) {
	switch n := n.(type) {
	case *ast.Link:
		if b.Link == nil || !b.Link(string(n.Destination)) {
			return 0, fmt.Errorf("the link to %s is alive", n.Destination)
		}
	case *ast.Image, *ast.AutoLink, *ast.Blockquote, *ast.ThematicBreak:
		return 0, fmt.Errorf("%s is alive", n.Kind())
	case *ast.Heading:
		if !b.Heading {
			return 0, errors.New("a heading is alive")
		}
	case *ast.HTMLBlock:
		return html(strings.Split(strings.TrimSpace(string(n.Lines().Value(source))), "\n"))
	case *ast.RawHTML:
		var lines []string
		for i := range n.Segments.Len() {
			s := n.Segments.At(i)
			lines = append(lines, string(s.Value(source)))
		}
		return html(lines)
	case *ast.Text:
		if said := string(n.Value(source)); n.Parent().Kind() != ast.KindCodeSpan && mention.MatchString(said) {
			return 0, fmt.Errorf("%q mentions or refers", said)
		}
	default:
		switch n.Kind().String() {
		case "TaskCheckBox", "Footnote", "FootnoteLink", "Strikethrough":
			return 0, fmt.Errorf("%s is alive", n.Kind())
		}
	}
	return 0, nil
}

func html(lines []string) (marks int, err error) {
	for _, line := range lines {
		switch {
		case markLine.MatchString(line):
			marks++
		case !ownHTML.MatchString(line):
			return marks, fmt.Errorf("the HTML %q is alive", line)
		}
	}
	return marks, nil
}
