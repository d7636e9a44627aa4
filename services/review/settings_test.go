package review_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/finding"
	"witan.dev/services/review"
)

func TestPathsDecideWhatIsRead(t *testing.T) {
	t.Parallel()
	s := review.Settings{Include: []string{"src/", "*.md"}, Exclude: []string{"*.pb.go", "!keep.pb.go"}, Generated: []string{"src/gen/"}}
	rules, err := s.Paths()
	require.NoError(t, err)
	moved := text("other/a.go", review.Renamed)
	moved.OldPath = "src/a.go"
	out := text("other/b.go", review.Renamed)
	out.OldPath = "other/a.go"
	lock := text("go.sum", review.Modified)
	lock.Policy = finding.ReasonLockfile
	c := &review.Change{Files: []review.File{
		text("src/a.go", review.Modified), text("src/a.pb.go", review.Modified), text("src/keep.pb.go", review.Modified), text("docs/x.md", review.Added),
		text("other.go", review.Added), text("src/gen/a.go", review.Added), moved, out, lock,
	}}
	rules.Apply(c)
	want := []review.Reason{"", "EXCLUDED", "", "", "EXCLUDED", "GENERATED", "", "EXCLUDED", "LOCKFILE"}
	for i := range c.Files {
		require.Equal(t, want[i], c.Files[i].Policy, c.Files[i].Path)
	}
	bad := review.Settings{Exclude: []string{"a["}}
	_, err = bad.Paths()
	require.ErrorContains(t, err, "paths.exclude")
	none, err := (&review.Settings{}).Paths()
	require.NoError(t, err)
	require.False(t, none.Excluded("any"))
}

// TestWhatNoReviewReadIsReadWholeWhenItIsMovedIn has files that were left out under their old names.
func TestWhatNoReviewReadIsReadWholeWhenItIsMovedIn(t *testing.T) {
	t.Parallel()
	s := review.Settings{Exclude: []string{"out/"}, Generated: []string{"gen/"}}
	rules, err := s.Paths()
	require.NoError(t, err)
	moved := func(from, to string) *review.File {
		f := text(to, review.Renamed)
		f.OldPath, f.Nature, f.Hunks, f.Added, f.Removed = from, review.NatureUnchanged, nil, 0, 0
		f.New, f.HasNew = []byte("package a\r\n\nfunc A() {}"), true
		f.Old, f.HasOld = f.New, true
		return &f
	}
	for name, c := range map[string]struct {
		from, to string
		read     bool
	}{
		"vendored":              {"third_party/evil.go", "auth/evil.go", true},
		"excluded":              {"out/evil.go", "auth/evil.go", true},
		"generated, as is said": {"gen/evil.go", "auth/evil.go", true},
		"generated, by name":    {"auth/evil.pb.go", "auth/evil.go", true},
		"a lock file":           {"go.sum", "evil.go", true},
		"vendored, generated":   {"third_party/evil.go", "auth/evil.pb.go", true},
		"vendored, by one name": {"third_party/evil.pb.go", "auth/evil.pb.go", true},
		"excluded, vendored":    {"out/evil.go", "third_party/evil.go", true},
		"read before":           {"auth/a.go", "auth/b.go", false},
		"left out still":        {"third_party/a.go", "third_party/b.go", false},
		"left out from now on":  {"auth/a.go", "third_party/a.go", false},
	} {
		c1 := &review.Change{Files: []review.File{*moved(c.from, c.to)}}
		rules.Apply(c1)
		f := &c1.Files[0]
		require.Empty(t, f.Policy, name)
		require.Equal(t, c.read, !f.Metadata(), name)
		if c.read {
			require.Equal(t, []review.Hunk{{NewStart: 1, NewLines: 3, Lines: []review.Line{
				{Op: '+', Text: "package a", End: review.EndCR}, {Op: '+'}, {Op: '+', Text: "func A() {}", End: review.EndNone},
			}}}, f.Hunks, name)
			require.Equal(t, 3, f.Added)
			require.Empty(t, f.Limits)
		}
	}
	edited := moved("third_party/evil.go", "auth/evil.go")
	edited.Nature, edited.Hunks = review.NatureText, []review.Hunk{{OldStart: 1, NewStart: 1, Lines: []review.Line{{Op: ' ', Text: "package a"}}}}
	c := &review.Change{Files: []review.File{*edited}}
	rules.Apply(c)
	require.Equal(t, 3, c.Files[0].Added, "a rename that also changes a line")
	dark := moved("third_party/evil.php", "auth/evil.php")
	dark.New = []byte("<?php /* \x00 */")
	c = &review.Change{Files: []review.File{*dark}}
	rules.Apply(c)
	require.Equal(t, []review.Reason{review.ReasonNotUTF8}, c.Files[0].Limits)
}

func TestARepositoryIsOnlyStricter(t *testing.T) {
	t.Parallel()
	server := map[finding.Severity]int{finding.SeverityHigh: 2, finding.SeverityLow: 3}
	require.Equal(t, map[finding.Severity]int{finding.SeverityHigh: 4, finding.SeverityLow: 3},
		review.Stricter(server, map[finding.Severity]int{finding.SeverityHigh: 4, finding.SeverityLow: 1}))
	require.Equal(t, review.Budget{Calls: 5, Tokens: 7, CostMicros: 9},
		review.Budget{Calls: 5, Tokens: 10}.Min(review.Budget{Calls: 8, Tokens: 7, CostMicros: 9}))
}
