package tests_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/diff"
	"witan.dev/internal/finding"
	"witan.dev/services/review"
	"witan.dev/services/review/reviewers/reviewertest"
	"witan.dev/services/review/reviewers/tests"
)

const goTest = `package x

import "testing"

func TestLoad(t *testing.T) {
	got := Load("a")
	if got != 1 {
		t.Errorf("got %d", got)
	}
	require.NoError(t, Close())
}

func TestStore(t *testing.T) {
	require.NoError(t, Store("b"))
	require.Equal(t, 2, Count())
}
`

const pyTest = `import pytest


class TestApi:
    def test_get(self):
        assert get("/") == 200
        assert len(calls) == 1

    def test_put(self):
        with pytest.raises(ValueError):
            put(None)
`

const jsTest = `import { add } from './add';

describe('add', () => {
  it('adds numbers', () => {
    expect(add(1, 2)).toBe(3);
  });

  it('adds words', () => {
    expect(add('a', 'b')).toBe('ab');
    expect(add('', '')).toBe('');
  });
});
`

const rustTest = `pub fn double(n: u32) -> u32 {
    2 * n
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles() {
        assert_eq!(double(2), 4);
        assert_eq!(double(0), 0);
    }

    #[test]
    fn halves() {
        assert_eq!(double(1) / 2, 1);
    }
}
`

const rubyTest = `class LoadTest < Minitest::Test
  def test_reads
    assert_equal 1, load("a")
  end

  it "writes" do
    expect(store("b")).to eq 2
  end
end
`

const phpTest = `<?php
class LoadTest extends TestCase
{
    public function testReads()
    {
        $this->assertSame(1, load('a'));
    }

    public function testWrites(): void
    {
        $this->assertSame(2, store('b'));
    }
}
`

const javaTest = `class LoadTest {
    @Test
    void reads() {
        assertEquals(1, load("a"));
    }

    @Test
    public void writes() {
        assertEquals(2, store("b"));
    }
}
`

// without returns the text without the lines from the one that holds first up to the one that holds last.
func without(t *testing.T, text, first, last string) string {
	t.Helper()
	before, rest, ok := strings.Cut(text, first)
	require.True(t, ok, first)
	_, after, ok := strings.Cut(rest, last)
	require.True(t, ok, last)
	return before + after
}

type planted struct {
	old, new map[string]string
	// want are "rule side:line severity".
	want []string
}

func cases(t *testing.T) map[string]planted {
	t.Helper()
	one := func(path, old, now string, want ...string) planted {
		return planted{map[string]string{path: old}, map[string]string{path: now}, want}
	}
	return map[string]planted{
		"Go test deleted":             one("x_test.go", goTest, without(t, goTest, "func TestStore", "}\n"), "deleted-test LEFT:13 LOW"),
		"Go test skipped":             one("x_test.go", goTest, strings.Replace(goTest, "\tgot := ", "\tt.Skip(\"flaky\")\n\tgot := ", 1), "disabled-test RIGHT:6 MEDIUM"),
		"Go test skipped if":          one("x_test.go", goTest, strings.Replace(goTest, "\tgot := ", "\tif testing.Short() {\n\t\tt.Skip(\"slow\")\n\t}\n\tgot := ", 1)),
		"Go assertion removed":        one("x_test.go", goTest, without(t, goTest, "\trequire.Equal(t, 2", "\n"), "removed-assertion LEFT:15 LOW"),
		"all Go assertions removed":   one("x_test.go", goTest, without(t, goTest, "\trequire.NoError(t, Store", "Count())\n"), "removed-assertion LEFT:14 MEDIUM"),
		"Go assertion replaced":       one("x_test.go", goTest, strings.Replace(goTest, "\trequire.NoError(t, Store(\"b\"))\n\trequire.Equal(t, 2, Count())", "\trequireStored(t, 2)", 1)),
		"Go test renamed":             one("x_test.go", goTest, strings.Replace(goTest, "TestStore", "TestStoreCounts", 1)),
		"Go test commented out":       one("x_test.go", goTest, commented(goTest, "func TestStore"), "disabled-test RIGHT:13 MEDIUM"),
		"Go test moved":               {map[string]string{"x_test.go": goTest}, map[string]string{"x_test.go": without(t, goTest, "func TestStore", "}\n"), "y_test.go": "package x\n\nfunc TestStore(t *testing.T) {\n\trequire.NoError(t, Store(\"b\"))\n\trequire.Equal(t, 2, Count())\n}\n"}, nil},
		"Go test and subject deleted": {map[string]string{"x_test.go": goTest, "x.go": "package x\n\nfunc Store(s string) error { return nil }\n\nvar a = 1\n"}, map[string]string{"x_test.go": without(t, goTest, "func TestStore", "}\n"), "x.go": "package x\n\nvar a = 1\n"}, nil},
		"Go test deleted beside code": {map[string]string{"x_test.go": goTest, "x.go": "package x\n\nfunc Store(s string) error { return nil }\n"}, map[string]string{"x_test.go": without(t, goTest, "func TestStore", "}\n"), "x.go": "package x\n\nfunc Store(s string) error { return err }\n"}, []string{"deleted-test LEFT:13 MEDIUM"}},
		"Go file of tests deleted":    {map[string]string{"x_test.go": goTest}, map[string]string{}, []string{"deleted-test LEFT:5 LOW"}},
		"Go tests reformatted":        one("x_test.go", goTest, strings.ReplaceAll(strings.ReplaceAll(goTest, "\t", "    "), "(t, ", "(t,  ")),

		"Python test deleted":        one("test_api.py", pyTest, without(t, pyTest, "    def test_put", "put(None)\n"), "deleted-test LEFT:9 LOW"),
		"Python test skipped":        one("test_api.py", pyTest, strings.Replace(pyTest, "    def test_put", "    @pytest.mark.skip(reason='later')\n    def test_put", 1), "disabled-test RIGHT:9 MEDIUM"),
		"Python class skipped":       one("test_api.py", pyTest, strings.Replace(pyTest, "class TestApi", "@pytest.mark.skip\nclass TestApi", 1), "disabled-test RIGHT:4 MEDIUM"),
		"Python test skipped if":     one("test_api.py", pyTest, strings.Replace(pyTest, "    def test_put", "    @pytest.mark.skipif(WINDOWS, reason='later')\n    def test_put", 1)),
		"Python assertion removed":   one("test_api.py", pyTest, without(t, pyTest, "        assert len", "\n"), "removed-assertion LEFT:7 LOW"),
		"Python tests in parameters": one("test_api.py", pyTest, strings.Replace(without(t, pyTest, "    def test_put", "put(None)\n"), "    def test_get(self):", "    def test_both(self):\n        with pytest.raises(ValueError):\n            put(None)\n\n    def test_get(self):", 1)),

		"script test deleted":       one("add.test.ts", jsTest, without(t, jsTest, "  it('adds words'", "  });\n"), "deleted-test LEFT:8 LOW"),
		"script test skipped":       one("add.test.ts", jsTest, strings.Replace(jsTest, "it('adds words'", "it.skip('adds words'", 1), "disabled-test RIGHT:8 MEDIUM"),
		"script group skipped":      one("add.test.ts", jsTest, strings.Replace(jsTest, "describe('add'", "xdescribe('add'", 1), "disabled-test RIGHT:3 MEDIUM"),
		"script test focused":       one("add.test.ts", jsTest, strings.Replace(jsTest, "it('adds words'", "it.only('adds words'", 1), "focused-test RIGHT:8 MEDIUM"),
		"script assertion removed":  one("add.test.ts", jsTest, without(t, jsTest, "    expect(add('', '')", "\n"), "removed-assertion LEFT:10 LOW"),
		"script test commented out": one("add.test.ts", jsTest, commented(jsTest, "  it('adds words'"), "disabled-test RIGHT:8 MEDIUM"),

		"Rust test deleted":       one("src/lib.rs", rustTest, without(t, rustTest, "    #[test]\n    fn halves", "    }\n"), "deleted-test LEFT:16 LOW"),
		"Rust test ignored":       one("src/lib.rs", rustTest, strings.Replace(rustTest, "    #[test]\n    fn halves", "    #[test]\n    #[ignore]\n    fn halves", 1), "disabled-test RIGHT:16 MEDIUM"),
		"Rust assertion removed":  one("src/lib.rs", rustTest, without(t, rustTest, "        assert_eq!(double(0)", "\n"), "removed-assertion LEFT:12 LOW"),
		"Ruby test deleted":       one("load_test.rb", rubyTest, without(t, rubyTest, "  def test_reads", "  end\n"), "deleted-test LEFT:2 LOW"),
		"Ruby test skipped":       one("load_test.rb", rubyTest, strings.Replace(rubyTest, "  it \"writes\" do", "  xit \"writes\" do", 1), "disabled-test RIGHT:6 MEDIUM"),
		"Ruby test skips":         one("load_test.rb", rubyTest, strings.Replace(rubyTest, "    assert_equal", "    skip \"later\"\n    assert_equal", 1), "disabled-test RIGHT:3 MEDIUM"),
		"PHP test deleted":        one("LoadTest.php", phpTest, without(t, phpTest, "    public function testWrites", "    }\n"), "deleted-test LEFT:9 LOW"),
		"PHP test skipped":        one("LoadTest.php", phpTest, strings.Replace(phpTest, "        $this->assertSame(2", "        $this->markTestSkipped();\n        $this->assertSame(2", 1), "disabled-test RIGHT:11 MEDIUM"),
		"Java test disabled":      one("LoadTest.java", javaTest, strings.Replace(javaTest, "    @Test\n    public", "    @Test\n    @Disabled(\"later\")\n    public", 1), "disabled-test RIGHT:8 MEDIUM"),
		"Java test deleted":       one("LoadTest.java", javaTest, without(t, javaTest, "    @Test\n    public", "    }\n"), "deleted-test LEFT:8 LOW"),
		"a new test that skips":   one("x_test.go", goTest, goTest+"\nfunc TestNew(t *testing.T) {\n\tt.Skip(\"later\")\n\tt.Fatal(\"x\")\n}\n"),
		"a skipped test deleted":  one("add.test.ts", strings.Replace(jsTest, "it('adds words'", "it.skip('adds words'", 1), without(t, jsTest, "  it('adds words'", "  });\n")),
		"not a file of tests":     one("x.go", goTest, without(t, goTest, "func TestStore", "}\n")),
		"a test that runs again":  one("add.test.ts", strings.Replace(jsTest, "it('adds words'", "it.skip('adds words'", 1), jsTest),
		"tests become one table":  one("x_test.go", goTest, "package x\n\nimport \"testing\"\n\nfunc TestBoth(t *testing.T) {\n\trequire.NoError(t, Store(\"b\"))\n\trequire.Equal(t, 2, Count())\n\tgot := Load(\"a\")\n\trequire.Equal(t, 1, got)\n\tif got != 1 {\n\t\tt.Errorf(\"got %d\", got)\n\t}\n\trequire.NoError(t, Close())\n}\n"),
		"assertions go to a test": one("x_test.go", goTest, without(t, goTest, "\trequire.Equal(t, 2", "\n")+"\nfunc TestCount(t *testing.T) {\n\trequire.Equal(t, 2, Count())\n}\n"),
	}
}

// commented turns the block that begins with the line into line comments.
func commented(text, first string) string {
	lines := strings.Split(text, "\n")
	inside := false
	for i, l := range lines {
		inside = inside || strings.HasPrefix(l, first)
		if inside {
			lines[i] = "// " + l
		}
		if inside && strings.TrimSpace(l) == strings.Repeat("}", 1) || inside && strings.TrimSpace(l) == "});" {
			inside = false
		}
	}
	return strings.Join(lines, "\n")
}

func found(t *testing.T, in review.Inspection) []string {
	t.Helper()
	report, err := tests.New().Review(t.Context(), in)
	require.NoError(t, err)
	var out []string
	for i := range report.Proposals {
		p := &report.Proposals[i]
		require.True(t, p.Location.InDiff, "%+v", p)
		require.Equal(t, tests.Name, p.Source)
		require.Equal(t, finding.Testing, p.Category)
		out = append(out, fmt.Sprintf("%s %s:%d %s", p.Rule, p.Location.Side, p.Location.StartLine, p.Severity))
	}
	return out
}

func TestPlantedDefectsAreFoundAtTheirPlaceAndNothingElse(t *testing.T) {
	t.Parallel()
	for name, c := range cases(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, found(t, reviewertest.Inspection(t, c.old, c.new, nil)))
		})
	}
}

func TestAPatchAloneIsEnough(t *testing.T) {
	t.Parallel()
	for name, c := range cases(t) {
		if len(c.want) == 0 || strings.Contains(name, "class skipped") || strings.Contains(name, "group skipped") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := reviewertest.Inspection(t, c.old, c.new, nil)
			for i := range in.Change.Files {
				f := &in.Change.Files[i]
				f.Old, f.New, f.HasOld, f.HasNew = nil, nil, false, false
			}
			require.Equal(t, c.want, found(t, in))
		})
	}
}

func TestRenamedFilesOfTestsAreSilent(t *testing.T) {
	t.Parallel()
	for path, text := range map[string]string{
		"a_test.go": goTest, "test_a.py": pyTest, "a.test.ts": jsTest, "a.rs": rustTest, "a_test.rb": rubyTest, "ATest.php": phpTest, "ATest.java": javaTest,
	} {
		require.Empty(t, found(t, reviewertest.Inspection(t, map[string]string{path: text}, map[string]string{"moved/" + path: text}, map[string]string{"moved/" + path: path})), path)
		require.Empty(t, found(t, reviewertest.Inspection(t, map[string]string{path: text}, map[string]string{"moved/" + path: text}, nil)), "deleted and added: %s", path)
	}
}

func FuzzReview(f *testing.F) {
	f.Add(goTest, goTest[:200], "x_test.go")
	f.Add(jsTest, "", "x.test.ts")
	f.Add("def test_\xff(\n\t", "@\n#[ignore\n\x00", "test_x.py")
	f.Fuzz(func(t *testing.T, old, now, path string) {
		if strings.ContainsAny(path, "\x00\n") || path == "" {
			path = "x_test.go"
		}
		file := review.File{
			Path: path, OldPath: path, Change: review.Modified, Nature: review.NatureText,
			Old: []byte(old), New: []byte(now), HasOld: true, HasNew: true,
			Hunks: []review.Hunk{{OldStart: 1, OldLines: 1, NewStart: 1, NewLines: 1, Lines: []review.Line{{Op: '-', Text: old}, {Op: '+', Text: now}}}},
		}
		_, err := tests.New().Review(t.Context(), review.Inspection{Change: &review.Change{Files: []review.File{file}}})
		require.NoError(t, err)
	})
}

// patch is the inspection of a diff without its repository.
func patch(t *testing.T, text string) review.Inspection {
	t.Helper()
	parsed, err := diff.Parse([]byte(text))
	require.NoError(t, err)
	c := &review.Change{Files: review.Files(parsed)}
	for i := range c.Files {
		c.Files[i].Rebuild()
		c.Files[i].CheckText()
	}
	return review.Inspection{Change: c}
}
