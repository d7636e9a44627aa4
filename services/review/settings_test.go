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

func TestARepositoryIsOnlyStricter(t *testing.T) {
	t.Parallel()
	server := map[finding.Severity]int{finding.SeverityHigh: 2, finding.SeverityLow: 3}
	require.Equal(t, map[finding.Severity]int{finding.SeverityHigh: 4, finding.SeverityLow: 3},
		review.Stricter(server, map[finding.Severity]int{finding.SeverityHigh: 4, finding.SeverityLow: 1}))
	require.Equal(t, review.Budget{Calls: 5, Tokens: 7, CostMicros: 9},
		review.Budget{Calls: 5, Tokens: 10}.Min(review.Budget{Calls: 8, Tokens: 7, CostMicros: 9}))
}
