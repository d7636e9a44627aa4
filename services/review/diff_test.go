package review_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/diff"
	"witan.dev/services/review"
)

// TestALockFileIsOneUnderBothNamesAndANewOneByItsForm: code that is named like a lock file can be run all the same.
func TestALockFileIsOneUnderBothNamesAndANewOneByItsForm(t *testing.T) {
	t.Parallel()
	added := func(path, text string) string {
		var b strings.Builder
		b.WriteString("diff --git a/" + path + " b/" + path + "\nnew file mode 100644\n--- /dev/null\n+++ b/" + path + "\n@@ -0,0 +1 @@\n")
		b.WriteString("+" + text + "\n")
		return b.String()
	}
	changed := func(from, to string) string {
		head := "diff --git a/" + from + " b/" + to + "\n"
		if from != to {
			head += "similarity index 60%\nrename from " + from + "\nrename to " + to + "\n"
		}
		return head + "--- a/" + from + "\n+++ b/" + to + "\n@@ -1 +1 @@\n-x\n+y\n"
	}
	for name, c := range map[string]struct {
		patch string
		want  review.Reason
	}{
		"changed":                 {changed("lib/yarn.lock", "lib/yarn.lock"), review.ReasonLockfile},
		"moved":                   {changed("go.sum", "a/go.sum"), review.ReasonLockfile},
		"code that gets its name": {changed("lib/a.js", "lib/yarn.lock"), ""},
		"new and JSON":            {added("package-lock.json", `{"lockfileVersion": 3}`), review.ReasonLockfile},
		"new and no JSON":         {added("package-lock.json", `require("child_process")`), ""},
		"new checksums":           {added("go.sum", "a.org/b v1.0.0/go.mod h1:x="), review.ReasonLockfile},
		"new and no checksums":    {added("go.sum", "a.org/b"), ""},
		"new and of a form that code has as well": {added("lib/yarn.lock", "module.exports = 1"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parsed, err := diff.Parse([]byte(c.patch))
			require.NoError(t, err)
			require.Equal(t, c.want, review.Files(parsed)[0].Policy)
		})
	}
}
