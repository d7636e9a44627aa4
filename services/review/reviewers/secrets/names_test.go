package secrets_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/finding"
	"witan.dev/services/review/reviewers/secrets"
)

// TestASecretInAPathIsReportedOnce for the path that the change brings, whatever stands around it.
func TestASecretInAPathIsReportedOnce(t *testing.T) {
	t.Parallel()
	move := func(from, to string) string {
		return fmt.Sprintf("diff --git a/%s b/%s\nsimilarity index 100%%\nrename from %s\nrename to %s\n", from, to, from, to)
	}
	for name, c := range map[string]struct {
		text string
		path string
	}{
		"a name":          {added("a_"+cloudKey()+".go", "x\n"), "a_" + cloudKey() + ".go"},
		"a folder":        {added("keys/"+cloudKey()+"_old/a.txt", "x\n"), "keys/" + cloudKey() + "_old/a.txt"},
		"a token":         {added("dump-"+forgeToken()+"-1", "x\n"), "dump-" + forgeToken() + "-1"},
		"a rename":        {move("a.go", "b_"+cloudKey()), "b_" + cloudKey()},
		"one that it had": {move("a_"+cloudKey(), "b_"+cloudKey()), ""},
		"an ordinary one": {added("services/review/worker/session_test.go", "x\n"), ""},
	} {
		report := reviewed(t, c.text)
		if c.path == "" {
			require.Empty(t, report.Proposals, name)
			continue
		}
		require.Len(t, report.Proposals, 1, name)
		p := report.Proposals[0]
		require.Equal(t, c.path, p.Location.Path, name)
		require.Equal(t, finding.PlacedFile, p.Location.Placement)
		require.NotContains(t, p.Claim+p.Reason, cloudKey()[4:], name)
		require.NotContains(t, p.Claim+p.Reason, forgeToken()[4:], name)
	}
	two := reviewed(t, added(cloudKey()+"/a.txt", "x\n")+added(cloudKey()+"/b.txt", "x\n"))
	require.Len(t, two.Proposals, 1)
	require.Len(t, two.Proposals[0].Related, 1)
}

func TestAReportIsDisplayedWithoutSecretsInItsPaths(t *testing.T) {
	t.Parallel()
	path := "a_" + cloudKey() + ".go"
	report := finding.Report{
		Findings: []finding.Finding{{Location: finding.Location{Path: path, OldPath: "b.go"}, Related: []finding.Location{{Path: path}}}},
		Coverage: finding.Coverage{Files: []finding.FileCoverage{{Path: path}, {Path: "c.go", OldPath: path}}},
	}
	shown := newReviewer(t).Displayed(t.Context(), &report)
	require.NotContains(t, fmt.Sprintf("%+v", shown), cloudKey()[4:])
	require.Regexp(t, `^a_\[secret:aws-access-token:[0-9a-f]{6}\]\.go$`, shown.Findings[0].Location.Path)
	require.Equal(t, shown.Findings[0].Location.Path, shown.Coverage.Files[0].Path)
	require.Equal(t, path, report.Findings[0].Location.Path, "positions need it")
	require.Equal(t, path, report.Coverage.Files[1].OldPath)
}

func TestACloneKeepsToItselfWhatItLearns(t *testing.T) {
	t.Parallel()
	d := newReviewer(t).NewRedactor()
	require.NoError(t, d.Learn(t.Context(), secrets.Text{Text: cloudKey()}))
	more := d.Clone()
	text, name := "token "+forgeToken(), "x_"+cloudKey()
	more.ApplyLearned(t.Context(), &text, &name)
	require.False(t, strings.Contains(text, forgeToken()) || strings.Contains(name, cloudKey()))
	require.Equal(t, forgeToken(), d.Apply(forgeToken()))
}
