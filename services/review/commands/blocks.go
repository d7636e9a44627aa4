package commands

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
	nethtml "golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// maxMarks is how many bytes of quotation marks and list markers may stand at the start of a line (own choice). It bounds how
// deep blocks lie in each other: the parser takes the square of that.
const maxMarks = 256

// maxBrackets is how many brackets a comment has that is looked into (own choice): the parser takes the square of it as well.
const maxBrackets = 2000

// Signs stand around a line's number in the comment as it is rendered. A comment has none of its own by then.
const (
	sign    = '\uE000'
	signEnd = '\uE001'
)

// seen says which of the lines stand in ordinary paragraphs or list items and are shown to readers as that. candidates are
// those that are asked about, each without the blanks before it. The comment is rendered as forges do it, and looked at as
// browsers do: what hides a line need not stand near it.
func seen(lines []string, candidates map[int]int) map[int]bool {
	source, ok := signed(lines, candidates)
	if !ok {
		return nil
	}
	md := goldmark.New(goldmark.WithRendererOptions(html.WithUnsafe()), goldmark.WithParser(parser.NewParser(
		parser.WithBlockParsers(parser.DefaultBlockParsers()...),
		// No emphasis: it hides nothing, and takes the square of a comment's length.
		parser.WithInlineParsers(util.Prioritized(parser.NewCodeSpanParser(), 100), util.Prioritized(parser.NewLinkParser(), 200),
			util.Prioritized(parser.NewAutoLinkParser(), 300), util.Prioritized(parser.NewRawHTMLParser(), 400)),
		parser.WithParagraphTransformers(parser.DefaultParagraphTransformers()...),
	)))
	doc := md.Parser().Parse(text.NewReader(source))
	written := map[int]bool{}
	walk(doc, source, written)
	var page bytes.Buffer
	if len(written) == 0 || md.Renderer().Render(&page, source, doc) != nil || repeats(source, page.Bytes()) {
		return nil
	}
	root, err := nethtml.Parse(&page)
	if err != nil { // it nests too deep
		return nil
	}
	shown := map[int]bool{}
	for node := range root.Descendants() {
		if node.Type != nethtml.TextNode || !plain(node) {
			continue
		}
		for _, n := range numbers(node.Data) {
			shown[n] = written[n]
		}
	}
	return shown
}

// formatting begins a tag of an element that browsers, where its block ends before it does, open again in each block behind it,
// with its attributes. wholeTag is such a tag with a few attributes, and nothing in them that could be another end of it.
var (
	formatting = regexp.MustCompile(`(?i)<(?:a|b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)[\s/>]`)
	wholeTag   = regexp.MustCompile("^<[A-Za-z]+(?:\\s+[^\\s\"'<>=/]+(?:\\s*=\\s*(?:\"[^\"<]*\"|'[^'<]*'|[^\\s\"'<>=`][^\\s\"'<>`]*))?){0,8}\\s*/?>")
)

const (
	// maxRepeats bounds how many elements such tags may make of a comment: their number, times that of all tags (own choice).
	maxRepeats = 100_000
	// maxTag is how long such a tag may be, in bytes (own choice).
	maxTag = 4 << 10
)

// repeats says that a browser's reading of the page could take far more than its size. Markdown's own tags are closed where they
// are opened, so that those of the source count.
func repeats(source, page []byte) bool {
	if len(formatting.FindAllIndex(source, -1))*bytes.Count(page, []byte("<")) > maxRepeats {
		return true
	}
	return slices.ContainsFunc(formatting.FindAllIndex(page, -1), func(at []int) bool {
		return !wholeTag.Match(page[at[0]:min(len(page), at[0]+maxTag)])
	})
}

// footnote begins what GitHub shows at the end of a comment, and only where something refers to it. What follows without an empty
// line belongs to it; behind one only what is indented like code does.
var footnote = regexp.MustCompile(`^\[\^[^\]\s]+\]:`)

// signed is the comment with the numbers of its candidates in front of them, but for those in footnotes. It is not ok where there
// is more of what nests than is looked into.
func signed(lines []string, candidates map[int]int) (source []byte, ok bool) {
	brackets, noted := 0, false // noted: the line may belong to a footnote
	for n, line := range lines {
		line = strings.Map(func(r rune) rune {
			if r == sign || r == signEnd {
				return '\uFFFD'
			}
			return r
		}, line)
		if brackets += strings.Count(line, "["); brackets > maxBrackets {
			return nil, false
		}
		rest := strings.TrimLeft(line, "> \t-+*0123456789.)")
		if len(line)-len(rest) > maxMarks {
			if strings.TrimSpace(rest) != "" {
				return nil, false
			}
			line = line[:maxMarks] + "\n"
		}
		noted = footnote.MatchString(rest) || noted && strings.Trim(line, " \t\n") != ""
		indent, ok := candidates[n]
		if !ok || noted {
			source = append(source, line...)
			continue
		}
		source = append(source, line[:indent]...)
		source = append(source, string(sign)+strconv.Itoa(n)+string(signEnd)+line[indent:]...)
	}
	return source, true
}

// walk notes the numbers that stand in paragraphs outside of quotations: not in blocks of code or HTML, nor in the definitions
// of links.
func walk(block ast.Node, source []byte, written map[int]bool) {
	switch block.Kind() {
	case ast.KindBlockquote, ast.KindFencedCodeBlock, ast.KindCodeBlock, ast.KindHTMLBlock:
		return
	case ast.KindParagraph, ast.KindTextBlock, ast.KindHeading:
		for _, n := range numbers(string(block.Lines().Value(source))) {
			written[n] = true
		}
		return
	}
	for child := block.FirstChild(); child != nil; child = child.NextSibling() {
		walk(child, source, written)
	}
}

// plain says that nothing but paragraphs, headings and lists is around a text.
func plain(node *nethtml.Node) bool {
	in := node.Parent
	if in.DataAtom == atom.Body {
		return false
	}
	for ; in.DataAtom != atom.Body; in = in.Parent {
		switch in.DataAtom {
		case atom.P, atom.H1, atom.H2, atom.Li, atom.Ul, atom.Ol:
		default:
			return false
		}
		for _, a := range in.Attr {
			if a.Key != "start" { // others may hide it
				return false
			}
		}
	}
	return true
}

// numbers are those of the candidates in a text.
func numbers(text string) []int {
	var all []int
	for {
		_, behind, found := strings.Cut(text, string(sign))
		if !found {
			return all
		}
		number, rest, _ := strings.Cut(behind, string(signEnd))
		if n, err := strconv.Atoi(number); err == nil {
			all = append(all, n)
		}
		text = rest
	}
}
