package linters

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// maxDepth is how deep elements may stand in each other; the format needs three levels.
const maxDepth = 16

// readCheckstyle reads <checkstyle><file name><error line severity message source/>. Declarations of any kind are
// refused, so there is no entity to expand and nothing to fetch.
func readCheckstyle(content []byte) ([]Tool, error) {
	decoder := xml.NewDecoder(bytes.NewReader(content))
	var (
		r    reader
		t    Tool
		file string
		open []string
	)
	for {
		token, err := decoder.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		switch e := token.(type) {
		case xml.Directive:
			return nil, malformed("it holds a declaration: <!%.20s …", string(e))
		case xml.StartElement:
			if len(open) == maxDepth {
				return nil, malformed("its elements stand more than %d deep in each other", maxDepth)
			}
			open = append(open, e.Name.Local)
			switch {
			case len(open) == 1 && e.Name.Local != "checkstyle":
				return nil, malformed("its root is %.40q, not checkstyle", e.Name.Local)
			case len(open) == 2 && e.Name.Local == "file":
				file = attribute(e, "name")
				t.files = append(t.files, file)
				err = r.count()
			case len(open) == 3 && e.Name.Local == "error":
				if one, ok := checkstyleError(e, file); ok {
					t.results = append(t.results, one)
				}
				err = r.count()
			}
		case xml.EndElement:
			if len(open) == 0 || open[len(open)-1] != e.Name.Local {
				return nil, malformed("</%.40s> closes nothing", e.Name.Local)
			}
			open = open[:len(open)-1]
		}
		if err != nil {
			return nil, err
		}
	}
	if len(open) > 0 {
		return nil, fmt.Errorf("<%.40s>: %w", open[len(open)-1], io.ErrUnexpectedEOF)
	}
	return []Tool{t}, nil
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return cut(a.Value, maxPath)
		}
	}
	return ""
}

func checkstyleError(e xml.StartElement, file string) (result, bool) {
	severity, ok := levelOf(attribute(e, "severity"))
	if !ok {
		return result{}, false
	}
	line, _ := strconv.Atoi(attribute(e, "line"))
	source := attribute(e, "source") // the check's class: com.puppycrawl…LineLengthCheck
	return result{
		rule: cut(source[strings.LastIndexByte(source, '.')+1:], maxName), message: cut(attribute(e, "message"), maxText), path: file,
		start: line, end: line, severity: severity, category: categoryOf(severity, []string{source}),
	}, true
}
