package tests

import (
	"path"
	"regexp"
	"strings"
)

// A dialect is how tests of one language are written, as far as lines show it. In every start the named group that took part is the
// test's name.
type dialect struct {
	// start begins a test. With marked set it counts only where an annotation above matches mark.
	start []*regexp.Regexp
	// group begins something that holds tests; it counts only when it gets disabled.
	group *regexp.Regexp
	// mark is an annotation that makes a test of what follows.
	mark *regexp.Regexp
	// off begins a test or group that does not run, focus one beside which nothing else runs.
	off, focus *regexp.Regexp
	// offMark is an annotation that keeps the test from running.
	offMark *regexp.Regexp
	// offInside is a statement that ends the test; it counts at the first level of the body only.
	offInside *regexp.Regexp
	// assertion is a line that asserts something.
	assertion *regexp.Regexp
	// anyFile says that tests stand in files of any name.
	anyFile bool
}

const quoted = "\\s*(?:'(?P<single>[^'\\n]{1,300})'|\"(?P<double>[^\"\\n]{1,300})\"|`(?P<back>[^`\\n]{1,300})`)"

// dialects by the ending of a file's name.
//
//nolint:gochecknoglobals // tables of expressions
var (
	goTests = &dialect{
		start:     expressions(`^func (?P<name>(?:Test|Fuzz)\w*)\(`),
		offInside: regexp.MustCompile(`^\s+[a-z]{1,2}\.Skip(?:f|Now)?\(`),
		assertion: regexp.MustCompile(`\b[a-z]{1,2}\.(?:Errorf?|Fatalf?|Fail|FailNow)\(|\b(?:require|assert|qt|is|cmp)\.[A-Z]\w*\(`),
	}
	pythonTests = &dialect{
		start:     expressions(`^\s*(?:async )?def (?P<name>test\w*)\(`),
		group:     regexp.MustCompile(`^\s*class (?P<name>\w+)`),
		offMark:   regexp.MustCompile(`^\s*@(?:pytest\.mark\.|unittest\.)?skip(?:\(|\s*$)`),
		offInside: regexp.MustCompile(`^\s+(?:pytest\.skip|self\.skipTest)\(`),
		assertion: regexp.MustCompile(`^\s*assert\b|\bself\.assert\w*\(|\.assert_\w+\(|\braises\(`),
	}
	scriptTests = &dialect{
		start:     expressions(`^\s*(?:it|test|specify)(?:\.(?:concurrent|serial|each\([^)]*\)))?\(` + quoted),
		group:     regexp.MustCompile(`^\s*(?:describe|suite|context)\(` + quoted),
		off:       regexp.MustCompile(`^\s*(?:(?:it|test|specify|describe|suite|context)\.(?:skip|todo)|xit|xtest|xspecify|xdescribe|xcontext)\(` + quoted),
		focus:     regexp.MustCompile(`^\s*(?:(?:it|test|specify|describe|suite|context)\.only|fit|fdescribe|fcontext)\(` + quoted),
		offInside: regexp.MustCompile(`^\s+this\.skip\(\)`),
		assertion: regexp.MustCompile(`\bexpect\w*\(|\bassert(?:\.\w+)*\(|\.should\b`),
	}
	rubyTests = &dialect{
		start:     expressions(`^\s*def (?P<name>test_\w+[?!]?)`, `^\s*(?:it|test|specify|scenario|should|example)[ (]`+quoted),
		group:     regexp.MustCompile(`^\s*(?:describe|context|feature)[ (]` + quoted),
		off:       regexp.MustCompile(`^\s*(?:xit|xtest|xspecify|xscenario|xdescribe|xcontext|xexample)[ (]` + quoted),
		focus:     regexp.MustCompile(`^\s*(?:fit|fspecify|fdescribe|fcontext|fexample)[ (]` + quoted),
		offInside: regexp.MustCompile(`^\s+(?:skip|pending)(?:[ (]['"][^'"]*['"]\)?|\(\))?\s*$`),
		assertion: regexp.MustCompile(`^\s*(?:assert|refute)\w*\b|\bexpect\b|\.should\b|\b(?:must|wont)_\w+`),
	}
	rustTests = &dialect{
		anyFile:   true,
		start:     expressions(`^\s*(?:pub(?:\([a-z]+\))? )?(?:async )?fn (?P<name>\w+)`),
		mark:      regexp.MustCompile(`^\s*#\[(?:\w+::)*(?:test|rstest|test_case|proptest|quickcheck)\b`),
		offMark:   regexp.MustCompile(`^\s*#\[ignore\b`),
		assertion: regexp.MustCompile(`\b(?:\w+::)?(?:debug_|prop_)?(?:assert\w*|panic|matches)!`),
	}
	phpTests = &dialect{
		start:     expressions(`^\s*(?:final )?public function (?P<name>test\w*)\(`, `^\s*(?:it|test)\(`+quoted),
		offInside: regexp.MustCompile(`^\s+\$this->markTest(?:Skipped|Incomplete)\(`),
		assertion: regexp.MustCompile(`(?:->|::)(?:assert\w*|expectException\w*|expectOutput\w*|should(?:Not)?Have\w*)\(|\bexpect\(`),
	}
	javaTests = &dialect{
		start:     expressions("^\\s*(?:(?:public|private|protected|internal|static|final|async|suspend|override|open)\\s+)*(?:fun|[\\w<>\\[\\]?,.]+)\\s+(?P<name>\\w+|`[^`]+`)\\s*\\("),
		group:     regexp.MustCompile(`^\s*(?:(?:public|final|abstract|internal|sealed|static)\s+)*class (?P<name>\w+)`),
		mark:      regexp.MustCompile(`^\s*(?:@(?:Test|ParameterizedTest|RepeatedTest|TestFactory)\b|\[(?:Test|TestCase|Fact|Theory|TestMethod)\b)`),
		offMark:   regexp.MustCompile(`^\s*(?:@(?:Disabled|Ignore)\b|\[Ignore\b|\[(?:Fact|Theory)\(Skip\b)`),
		assertion: regexp.MustCompile(`\b[aA]ssert\w*[.(]|\bverify\w*\(|\.Should\(|\bshould\w*\(|\bexpect\w*\(`),
	}
)

func expressions(list ...string) []*regexp.Regexp {
	out := make([]*regexp.Regexp, len(list))
	for i, e := range list {
		out[i] = regexp.MustCompile(e)
	}
	return out
}

// dialectOf returns how tests of the file's language are written; nil where the reviewer does not know it, or where the
// file's name says that it holds none.
func dialectOf(file string) *dialect {
	d := byEnding(path.Ext(file))
	if d == nil || !d.anyFile && !testFile(file) {
		return nil
	}
	return d
}

func byEnding(ending string) *dialect {
	switch ending {
	case ".go":
		return goTests
	case ".py":
		return pythonTests
	case ".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".mts", ".cts":
		return scriptTests
	case ".rb":
		return rubyTests
	case ".rs":
		return rustTests
	case ".php":
		return phpTests
	case ".java", ".kt", ".cs":
		return javaTests
	default:
		return nil
	}
}

// testFile says whether the file's name or folder marks it as one that holds tests.
func testFile(file string) bool {
	base := path.Base(file)
	name := strings.TrimSuffix(base, path.Ext(base))
	switch path.Ext(base) {
	case ".go":
		return strings.HasSuffix(name, "_test")
	case ".py":
		return strings.HasPrefix(name, "test_") || strings.HasSuffix(name, "_test") || inFolder(file, "tests")
	case ".rb":
		return strings.HasPrefix(name, "test_") || strings.HasSuffix(name, "_test") || strings.HasSuffix(name, "_spec")
	case ".php":
		return strings.HasSuffix(name, "Test") || inFolder(file, "tests")
	case ".java", ".kt", ".cs":
		return strings.HasSuffix(name, "Test") || strings.HasSuffix(name, "Tests") || inFolder(file, "test")
	case ".rs":
		return inFolder(file, "tests") || name == "tests"
	default:
		return strings.HasSuffix(name, ".test") || strings.HasSuffix(name, ".spec") || inFolder(file, "__tests__") || inFolder(file, "test") ||
			inFolder(file, "tests")
	}
}

func inFolder(file, folder string) bool {
	return strings.HasPrefix(file, folder+"/") || strings.Contains(file, "/"+folder+"/")
}
