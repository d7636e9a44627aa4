package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	reviewv1 "witan.dev/gen/witan/review/v1"
	typev1 "witan.dev/gen/witan/type/v1"
	"witan.dev/internal/job"
	"witan.dev/test/e2e/gittest"
	"witan.dev/test/e2e/process"
)

// lintReport is a report about line 2 of a.txt, with the key in its message.
func lintReport(key string) string {
	return `{"source":{"name":"my lint"},"diagnostics":[{"message":"suspicious: ` + key + `","severity":"ERROR","code":{"value":"R1"},` +
		`"location":{"path":"a.txt","range":{"start":{"line":2}}}},{"message":"elsewhere","location":{"path":"b.txt","range":{"start":{"line":1}}}}]}`
}

func TestReportsOfOtherToolsJoinAsVoters(t *testing.T) {
	t.Parallel()
	council, key := &scriptedCouncil{}, leakedKey()
	s := startReviews(t, council)
	repo := gittest.New(t)
	base := repo.Commit("base", map[string]string{"a.txt": "one\n"})
	head := repo.Commit("head", map[string]string{"a.txt": "one\ntwo\n"})
	source := gitRange(repo.Dir, base, head)
	checkstyle := `<checkstyle><file name="` + repo.Dir + `/a.txt"><error line="2" severity="warning" message="style" source="x.Y"/></file></checkstyle>`
	source.Reports = []*reviewv1.Material{
		{Content: &reviewv1.Material_Data{Data: []byte(lintReport("aws_key = '" + key + "'"))}, Title: "lint.json"},
		{Content: &reviewv1.Material_Data{Data: []byte(checkstyle)}, Title: "style.xml"},
	}
	r, j := s.review(t, source)
	require.Equal(t, job.StateSucceeded, j.State, j.StateReason)
	require.Equal(t, []place{
		{"a.txt", "linter/my-lint/R1", typev1.Side_SIDE_RIGHT, 2, typev1.Severity_SEVERITY_HIGH},
		{"a.txt", "linter/style/Y", typev1.Side_SIDE_RIGHT, 2, typev1.Severity_SEVERITY_MEDIUM},
	}, places(r))
	require.Equal(t, "linter/my-lint", r.GetFindings()[0].GetVotes()[0].GetVoter())
	require.Len(t, council.last.Proposals, 2, "the council judges them")
	require.NotContains(t, r.GetFindings()[0].GetTitle(), key)
	require.Contains(t, r.GetFindings()[0].GetTitle(), "[secret:aws-access-token:")
	require.Contains(t, r.GetCoverage().GetFiles()[0].GetReviewers(), "linter/my-lint")
	require.Len(t, r.GetSource().GetReports(), 2)
	require.NotEmpty(t, r.GetSource().GetReports()[0].GetBlob(), "contents stay in the blob store")

	source.Reports[1].Content = &reviewv1.Material_Data{Data: []byte(
		`{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"crashed"}},"invocations":[{"executionSuccessful":false}],"results":[]}]}`)}
	r, _ = s.review(t, source)
	require.False(t, r.GetCoverage().GetComplete(), "a tool that failed has not read it")
	require.Contains(t, r.GetCoverage().GetFiles()[0].GetReasons(), "REVIEWER_FAILED")

	source.Reports[1].Content = &reviewv1.Material_Data{Data: []byte("<!DOCTYPE x [<!ENTITY a \"b\">]><checkstyle/>")}
	_, err := s.Client.CreateReview(t.Context(), &reviewv1.CreateReviewRequest{Review: &reviewv1.Review{Source: source}})
	code, reason := refusal(t, err)
	require.Equal(t, codes.InvalidArgument, code)
	require.Equal(t, "REPORT_MALFORMED", reason)
}

func TestTheProgramTakesReports(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	base := repo.Commit("base", map[string]string{"a.txt": "one\n"})
	head := repo.Commit("head", map[string]string{"a.txt": "one\ntwo\n"})
	small, large, bad := filepath.Join(t.TempDir(), "small.json"), filepath.Join(t.TempDir(), "large.json"), filepath.Join(t.TempDir(), "bad.json")
	require.NoError(t, os.WriteFile(small, []byte(lintReport("x")), 0o600))
	require.NoError(t, os.WriteFile(large, []byte(strings.Replace(lintReport("y"), "my lint", "other", 1)+strings.Repeat(" ", 600<<10)), 0o600))
	require.NoError(t, os.WriteFile(bad, []byte("{"), 0o600))
	data := filepath.Join(t.TempDir(), "data")
	args := []string{"review", "--data", data, "--base", base, "--head", head, "--format", "rdjson", "--report", small}
	got := process.Run(t, repo.Dir, nil, append(args, "--report", large)...)
	require.Equal(t, 1, got.Code, got.Stderr)
	var out struct {
		Diagnostics []struct {
			Message  string
			Location struct {
				Range struct{ Start struct{ Line int } }
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(got.Stdout), &out))
	require.Len(t, out.Diagnostics, 1, "two tools about one place and matter are one finding with two votes")
	for _, word := range []string{"suspicious\\: x", "suspicious\\: y", "- also: ", "2 confirmed", "linter/my"} {
		require.Contains(t, out.Diagnostics[0].Message, word)
	}
	require.Equal(t, 2, out.Diagnostics[0].Location.Range.Start.Line)

	got = process.Run(t, repo.Dir, nil, append(args, "--report", bad)...)
	require.Equal(t, 2, got.Code)
	require.Contains(t, got.Stderr, "REPORT_MALFORMED")
	got = process.Run(t, repo.Dir, nil, append(args, "--report", bad+".gone")...)
	require.Equal(t, 2, got.Code)
}
