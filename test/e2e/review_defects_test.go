package e2e_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	reviewv1 "witan.dev/gen/witan/review/v1"
	typev1 "witan.dev/gen/witan/type/v1"
	"witan.dev/internal/job"
	"witan.dev/test/e2e/gittest"
)

// place is where a finding stands and what it is about.
type place struct {
	Path, Rule string
	Side       typev1.Side
	Line       int32
	Severity   typev1.Severity
}

func places(r *reviewv1.Review) []place {
	out := []place{}
	for _, f := range r.GetFindings() {
		l := f.GetLocation()
		out = append(out, place{l.GetPath(), f.GetRule(), l.GetSide(), l.GetStartLine(), f.GetSeverity()})
	}
	return out
}

const (
	goCaller  = "package main\n\nimport \"example.com/m/lib\"\n\nfunc main() {\n\tprintln(lib.Double(2))\n}\n"
	goLibrary = "package lib\n\n// Double doubles.\nfunc Double(n int) int {\n\treturn 2 * n\n}\n\n// Half halves.\nfunc Half(n int) int {\n\treturn n / 2\n}\n"
	goHalf    = "package lib\n\n// Half halves.\nfunc Half(n int) int {\n\treturn n / 2\n}\n"

	pyClient = "class FetchClient:\n    def fetch_page(self, url, timeout):\n        return (url, timeout)\n"
	pyCaller = "from client import FetchClient\n\n\ndef run():\n    client = FetchClient()\n    return client.fetch_page(\"u\", timeout=3)\n"
	pyFixed  = "from client import FetchClient\n\n\ndef run():\n    client = FetchClient()\n    return client.fetch_page(\"u\")\n"

	tsDates = "export function formatDate(d: Date): string {\n  return d.toISOString();\n}\n"
	tsUser  = "import { formatDate } from './dates';\n\nexport const today = () => formatDate(new Date());\n"
)

func TestPlantedDefectsAreFoundAtTheirPlace(t *testing.T) {
	t.Parallel()
	s := startReviews(t, &scriptedCouncil{})
	for name, c := range map[string]struct {
		base, head map[string]string // an empty text in head removes the file
		want       []place
	}{
		"a leaked key in a new file": {
			base: map[string]string{"README": "x\n"},
			head: map[string]string{"deploy.py": "REGION = 'eu'\naws_key = '" + leakedKey() + "'\n"},
			want: []place{{"deploy.py", "secrets/aws-access-token", typev1.Side_SIDE_RIGHT, 2, typev1.Severity_SEVERITY_HIGH}},
		},
		"a Go function deleted while another package calls it": {
			base: map[string]string{"go.mod": "module example.com/m\n", "main.go": goCaller, "lib/lib.go": goLibrary},
			head: map[string]string{"lib/lib.go": goHalf},
			want: []place{{"lib/lib.go", "structure/removed-definition", typev1.Side_SIDE_LEFT, 4, typev1.Severity_SEVERITY_HIGH}},
		},
		"a Python parameter removed while a caller passes it": {
			base: map[string]string{"client.py": pyClient, "job.py": pyCaller},
			head: map[string]string{"client.py": "class FetchClient:\n    def fetch_page(self, url):\n        return (url, 5)\n"},
			want: []place{{"client.py", "structure/changed-signature", typev1.Side_SIDE_RIGHT, 2, typev1.Severity_SEVERITY_MEDIUM}},
		},
		"a TypeScript export renamed with one import left": {
			base: map[string]string{"src/dates.ts": tsDates, "src/a.ts": tsUser, "src/b.ts": tsUser},
			head: map[string]string{
				"src/dates.ts": "export function formatDay(d: Date): string {\n  return d.toISOString();\n}\n",
				"src/a.ts":     "import { formatDay } from './dates';\n\nexport const today = () => formatDay(new Date());\n",
			},
			want: []place{{"src/dates.ts", "structure/renamed-definition", typev1.Side_SIDE_RIGHT, 1, typev1.Severity_SEVERITY_HIGH}},
		},
		"a Go function moved with its users": {
			base: map[string]string{"go.mod": "module example.com/m\n", "main.go": goCaller, "lib/lib.go": goLibrary},
			head: map[string]string{
				"lib/lib.go": goHalf, "twice/twice.go": "package twice\n\n// Double doubles.\nfunc Double(n int) int {\n\treturn 2 * n\n}\n",
				"main.go": "package main\n\nimport \"example.com/m/twice\"\n\nfunc main() {\n\tprintln(twice.Double(2))\n}\n",
			},
			want: []place{},
		},
		"a Go file moved within its package": {
			base: map[string]string{"go.mod": "module example.com/m\n", "main.go": goCaller, "lib/lib.go": goLibrary},
			head: map[string]string{"lib/lib.go": "", "lib/numbers.go": goLibrary},
			want: []place{},
		},
		"a Python parameter removed everywhere": {
			base: map[string]string{"client.py": pyClient, "job.py": pyCaller},
			head: map[string]string{"client.py": "class FetchClient:\n    def fetch_page(self, url):\n        return (url, 5)\n", "job.py": pyFixed},
			want: []place{},
		},
		"a Python module moved with its users": {
			base: map[string]string{"client.py": pyClient, "job.py": pyCaller},
			head: map[string]string{
				"client.py": "", "net/__init__.py": "# package\n", "net/client.py": pyClient,
				"job.py": "from net.client import FetchClient\n\n\ndef run():\n    client = FetchClient()\n    return client.fetch_page(\"u\", timeout=3)\n",
			},
			want: []place{},
		},
		"a TypeScript export renamed everywhere": {
			base: map[string]string{"src/dates.ts": tsDates, "src/a.ts": tsUser},
			head: map[string]string{
				"src/dates.ts": "export function formatDay(d: Date): string {\n  return d.toISOString();\n}\n",
				"src/a.ts":     "import { formatDay } from './dates';\n\nexport const today = () => formatDay(new Date());\n",
			},
			want: []place{},
		},
		"a TypeScript file moved with its users": {
			base: map[string]string{"src/dates.ts": tsDates, "src/a.ts": tsUser},
			head: map[string]string{
				"src/dates.ts": "", "src/time/dates.ts": tsDates,
				"src/a.ts": "import { formatDate } from './time/dates';\n\nexport const today = () => formatDate(new Date());\n",
			},
			want: []place{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repo := gittest.New(t)
			base := repo.Commit("base of "+t.Name(), c.base) // repositories with one root commit are one subject
			head := repo.Commit("head", c.head)
			r, j := s.review(t, gitRange(repo.Dir, base, head))
			require.Equal(t, job.StateSucceeded, j.State, "%s %+v", j.StateReason, j.Error)
			require.Equal(t, c.want, places(r), "%v", r.GetFindings())
			require.True(t, r.GetCoverage().GetComplete(), "%v", r.GetCoverage())
		})
	}
}

// leakedKey is put together here, so that this file holds none.
func leakedKey() string { return "AKIA" + "Z7QX5MJ2NPLWK3RT" }
