package structure

import (
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/services/review"
)

func TestImportsLeadToModules(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		language, file, old, new string
		imports                  review.Import
		leads                    bool
	}{
		"Go by path":                {"Go", "main.go", "lib/a.go", "", review.Import{Path: "example.com/m/lib"}, true},
		"Go same package":           {"Go", "lib/b.go", "lib/a.go", "", review.Import{}, true},
		"Go elsewhere":              {"Go", "main.go", "lib/a.go", "", review.Import{Path: "example.com/m/other"}, false},
		"Python absolute":           {"Python", "job.py", "net/client.py", "", review.Import{Path: "net.client"}, true},
		"Python module by name":     {"Python", "job.py", "net/client.py", "", review.Import{Path: "net", Names: []review.ImportedName{{Name: "client"}}}, true},
		"Python relative":           {"Python", "net/sub/job.py", "net/client.py", "", review.Import{Path: "..client"}, true},
		"Python own package":        {"Python", "net/job.py", "net/client.py", "", review.Import{Path: ".client"}, true},
		"Python passed on":          {"Python", "job.py", "net/client.py", "", review.Import{Path: "net"}, false},
		"Python of another library": {"Python", "t.py", "requests/exceptions.py", "", review.Import{Path: "urllib3.exceptions"}, false},
		"both old and new":          {"Python", "t.py", "requests/api.py", "src/requests/api.py", review.Import{Path: "requests.api"}, false},
		"old, not new":              {"Python", "t.py", "a/api.py", "b/api.py", review.Import{Path: "a.api"}, true},
		"TypeScript relative":       {"TypeScript", "src/a.ts", "src/dates.ts", "src/time/dates.ts", review.Import{Path: "./dates"}, true},
		"TypeScript new place":      {"TypeScript", "src/a.ts", "src/dates.ts", "src/time/dates.ts", review.Import{Path: "./time/dates.js"}, false},
		"TypeScript folder":         {"TypeScript", "src/a.ts", "src/dates/index.ts", "", review.Import{Path: "./dates"}, true},
		"Rust":                      {"Rust", "src/main.rs", "src/net/client.rs", "", review.Import{Path: "crate::net::client"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, ok := languageOf(c.language)
			require.True(t, ok)
			cd := &review.Code{Path: c.file, Imports: []review.Import{c.imports}}
			require.Equal(t, c.leads, leadsTo(cd, c.file, &candidate{lang: l, oldPath: c.old, newPath: c.new}))
		})
	}
}

func TestASourceRootIsNoPartOfAModulesName(t *testing.T) {
	t.Parallel()
	python, _ := languageOf("python")
	script, _ := languageOf("typescript")
	require.True(t, python.sameModule("requests/api.py", "src/requests/api.py"))
	require.True(t, python.sameModule("net/client.py", "net/client/__init__.py"))
	require.False(t, python.sameModule("net/client.py", "web/client.py"))
	require.False(t, script.sameModule("dates.ts", "src/dates.ts"))
	require.True(t, script.sameModule("src/dates.js", "src/dates/index.ts"))
}
