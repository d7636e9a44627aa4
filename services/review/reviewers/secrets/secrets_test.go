package secrets_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/diff"
	"witan.dev/internal/finding"
	"witan.dev/internal/testdata"
	"witan.dev/services/review"
	"witan.dev/services/review/reviewers/secrets"
)

// Planted keys are put together at run time, so that these sources hold none.
func cloudKey() string { return "AK" + "IA" + strings.Join([]string{"QX3ZL7N5", "PWV2KTJD"}, "") }

func forgeToken() string {
	return "gh" + "p_" + strings.Join([]string{"x7Kd92mQpL", "4vRt8sYwB3nHc6", "ZfJ1gUaE5oTi"}, "")
}
func odd() string { return strings.Join([]string{"k9Xq2", "vT7mB", "4zLp8", "Rw3Nf", "6Yc1"}, "") }

func privateKey(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func newReviewer(t testing.TB) *secrets.Reviewer {
	t.Helper()
	r, err := secrets.New([]byte("a key for tests that is long enough"))
	require.NoError(t, err)
	return r
}

// added is the diff of a new file.
func added(path, text string) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	return fmt.Sprintf("diff --git a/%s b/%s\nnew file mode 100644\n--- /dev/null\n+++ b/%s\n@@ -0,0 +1,%d @@\n+%s\n",
		path, path, path, len(lines), strings.Join(lines, "\n+"))
}

// replaced is the diff of one line, after nine others.
func replaced(path, before, after string) string {
	return fmt.Sprintf("diff --git a/%s b/%s\n--- a/%s\n+++ b/%s\n@@ -9,2 +9,2 @@\n nine\n-%s\n+%s\n", path, path, path, path, before, after)
}

func inspect(t testing.TB, text string) review.Inspection {
	t.Helper()
	d, err := diff.Parse([]byte(text))
	require.NoError(t, err)
	return review.Inspection{Change: &review.Change{Files: review.Files(d)}}
}

func reviewed(t *testing.T, text string) review.Report {
	t.Helper()
	report, err := newReviewer(t).Review(t.Context(), inspect(t, text))
	require.NoError(t, err)
	return report
}

// requireNothingLeaks is the promise of the package: no part of a secret, but its beginning, is in what it returns.
func requireNothingLeaks(t *testing.T, secret string, what any) {
	t.Helper()
	out, err := json.Marshal(what)
	require.NoError(t, err)
	for line := range strings.SplitSeq(secret, "\n") {
		if len(line) >= 8 {
			require.NotContains(t, string(out), line[4:])
		}
	}
}

func TestReviewFindsAKeyInANewFileOnItsLine(t *testing.T) {
	t.Parallel()
	report := reviewed(t, added("config/prod.env", "# settings\nREGION=eu\nKEY_ID="+cloudKey()+"\n"))
	require.Len(t, report.Proposals, 1)
	p := report.Proposals[0]
	require.Equal(t, finding.SeverityHigh, p.Severity)
	require.Equal(t, finding.Security, p.Category)
	require.Equal(t, "aws-access-token", p.Rule)
	require.False(t, p.Confirm)
	require.Equal(t, 3, p.Location.StartLine)
	require.Equal(t, 3, p.Location.EndLine)
	require.Equal(t, finding.Right, p.Location.Side)
	require.True(t, p.Location.InDiff)
	require.Regexp(t, `^KEY_ID=\[secret:aws-access-token:[0-9a-f]{6}\]$`, p.Location.Code)
	require.Contains(t, p.Claim, `"AKIA"`)
	require.Equal(t, []review.Path{"config/prod.env"}, report.Looked)
	requireNothingLeaks(t, cloudKey(), report)
}

func TestReviewFindsAKeyOverSeveralLines(t *testing.T) {
	t.Parallel()
	key := privateKey(t)
	report := reviewed(t, added("deploy/key.txt", "header\n"+key+"footer\n"))
	require.Len(t, report.Proposals, 1)
	p := report.Proposals[0]
	require.Equal(t, "private-key", p.Rule)
	require.Equal(t, []int{2, 1 + strings.Count(key, "\n")}, []int{p.Location.StartLine, p.Location.EndLine})
	require.Equal(t, strings.Count(key, "\n"), strings.Count(p.Location.Code, "\n")+1)
	requireNothingLeaks(t, key, report)
}

func TestReviewListensToNoCommentInTheCode(t *testing.T) {
	t.Parallel()
	report := reviewed(t, added("x.go", "var k = \""+forgeToken()+"\" // gitleaks"+":allow\n"))
	require.Len(t, report.Proposals, 1)
	require.Equal(t, "github-pat", report.Proposals[0].Rule)
}

func TestReviewNamesASecretOnceByTheRuleThatKnowsIt(t *testing.T) {
	t.Parallel()
	line := "api_key = \"" + forgeToken() + "\"\n"
	for range 5 { // the detector goes through its rules in another order each time
		report := reviewed(t, added("x.py", line))
		require.Len(t, report.Proposals, 1)
		require.Equal(t, "github-pat", report.Proposals[0].Rule)
		got, err := newReviewer(t).NewRedactor().Redact(t.Context(), secrets.Text{Text: line})
		require.NoError(t, err)
		require.Contains(t, got, "[secret:github-pat:")
	}
}

func TestReviewAsksForConfirmationOfTheGenericRule(t *testing.T) {
	t.Parallel()
	report := reviewed(t, added("x.py", "api_key = \""+odd()+"\"\n"))
	require.Len(t, report.Proposals, 1)
	p := report.Proposals[0]
	require.Equal(t, secrets.RuleGeneric, p.Rule)
	require.Equal(t, finding.SeverityMedium, p.Severity)
	require.True(t, p.Confirm)
}

func TestAValueWithAPartLeftOutIsNoSecretAndStillMasked(t *testing.T) {
	t.Parallel()
	line := "api_key = \"" + odd()[:8] + "...snip..." + odd()[8:16] + "\"\n"
	require.Empty(t, reviewed(t, added("README.md", line)).Proposals)
	got, err := newReviewer(t).NewRedactor().Redact(t.Context(), secrets.Text{Text: line})
	require.NoError(t, err)
	require.Contains(t, got, "[secret:"+secrets.RuleGeneric)
	require.Len(t, reviewed(t, added("README.md", line+"key_id = "+cloudKey()+"...\n")).Proposals, 1, "a key whose form is known")
}

func TestReviewReportsWhatIsRemovedAsLessBad(t *testing.T) {
	t.Parallel()
	report := reviewed(t, replaced("x.env", "KEY_ID="+cloudKey(), "KEY_ID=${KEY_ID}"))
	require.Len(t, report.Proposals, 1)
	p := report.Proposals[0]
	require.Equal(t, finding.SeverityMedium, p.Severity)
	require.Equal(t, finding.Left, p.Location.Side)
	require.Equal(t, 10, p.Location.StartLine)
	require.Contains(t, p.Claim, "history")
	requireNothingLeaks(t, cloudKey(), report)
}

func TestReviewIsSilentAboutValuesThatWereThere(t *testing.T) {
	t.Parallel()
	line := "KEY_ID=" + cloudKey()
	require.Empty(t, reviewed(t, replaced("x.env", line, "export "+line)).Proposals, "the line changed, the value did not")
	moved := "diff --git a/old.env b/old.env\ndeleted file mode 100644\n--- a/old.env\n+++ /dev/null\n@@ -1 +0,0 @@\n-" + line + "\n" + added("new.env", line)
	require.Empty(t, reviewed(t, moved).Proposals, "the value moved")

	in := inspect(t, added("new.env", line)+replaced("other.env", "a", "b"))
	in.Change.File("other.env").Old, in.Change.File("other.env").HasOld = []byte("far away\n"+line+"\n"), true
	report, err := newReviewer(t).Review(t.Context(), in)
	require.NoError(t, err)
	require.Empty(t, report.Proposals, "a changed file's unchanged part has it")
}

func TestReviewReportsAValueOnceAFile(t *testing.T) {
	t.Parallel()
	line := "KEY_ID=" + cloudKey() + "\n"
	report := reviewed(t, added("a.env", line+"x\n"+line+"y\n"+line)+added("b.env", line))
	require.Len(t, report.Proposals, 2)
	require.Len(t, report.Proposals[0].Related, 2)
	require.Equal(t, 5, report.Proposals[0].Related[1].StartLine)
}

func TestReviewNamesTheSymbolAround(t *testing.T) {
	t.Parallel()
	in := inspect(t, added("x.go", "package x\n\nfunc key() string {\n\treturn \""+cloudKey()+"\"\n}\n"))
	in.New = map[string]*review.Code{"x.go": {Status: review.ParseOK, Definitions: []review.Definition{{
		Kind: review.KindFunction, QualifiedName: "x.key", FullSpan: review.Span{StartLine: 3, EndLine: 5, EndByte: 100},
	}}}}
	report, err := newReviewer(t).Review(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, "function x.key", report.Proposals[0].Location.Symbol)
}

func TestReviewLeavesOutWhatTheRulesLeaveOutAndSaysSo(t *testing.T) {
	t.Parallel()
	report := reviewed(t, added("go.sum", "api_key = \""+odd()+"\"\n")+added("x", "1\n"))
	require.Empty(t, report.Proposals)
	require.Equal(t, []review.Path{"x"}, report.Looked)
	require.Equal(t, []review.Path{"go.sum"}, report.LeftOut)
}

// TestASecretWhoseFormIsKnownIsReportedWhereverItIs, since it is masked there as well: nobody else can see it.
func TestASecretWhoseFormIsKnownIsReportedWhereverItIs(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"go.sum", "logo.svg", "gradlew", "mvnw", "package-lock.json"} {
		report := reviewed(t, added(path, "KEY_ID="+cloudKey()+"\napi_key = \""+odd()+"\"\n"))
		require.Len(t, report.Proposals, 1, path)
		require.NotEqual(t, secrets.RuleGeneric, report.Proposals[0].Rule)
		require.NotContains(t, report.Proposals[0].Location.Code, cloudKey())
		require.Equal(t, []review.Path{review.Path(path)}, report.LeftOut)
	}
}

func TestReviewFindsAKeyStoreByItsName(t *testing.T) {
	t.Parallel()
	report := reviewed(t, "diff --git a/id.p12 b/id.p12\nnew file mode 100644\nindex 0000000..1111111\nBinary files /dev/null and b/id.p12 differ\n")
	require.Len(t, report.Proposals, 1)
	require.Equal(t, finding.PlacedFile, report.Proposals[0].Location.Placement)
	require.Zero(t, report.Proposals[0].Location.StartLine)
}

// TestReviewScansTheStringsOfBinaries: a NUL hides no key, and one that was there before is not reported again.
func TestReviewScansTheStringsOfBinaries(t *testing.T) {
	t.Parallel()
	key := "KEY_ID=" + cloudKey()
	binary := func(before, after string) review.Inspection {
		f := review.File{Path: "app.so", OldPath: "app.so", Change: review.Modified, Nature: review.NatureBinary}
		f.TakeBinary(true, []byte(before), review.StringsRoom)
		f.TakeBinary(false, []byte(after), review.StringsRoom)
		return review.Inspection{Change: &review.Change{Files: []review.File{f}}}
	}
	for name, c := range map[string]struct {
		before, after string
		sides         []finding.Side
	}{
		"added":             {"\x00\x01", "\x7fELF\x00\x00" + key + "\x00\x01", []finding.Side{finding.Right}},
		"added in UTF-16":   {"\x00\x01", "\xff\xfe" + strings.Join(strings.Split(key, ""), "\x00") + "\x00", []finding.Side{finding.Right}},
		"removed":           {"\x00" + key + "\x00", "\x00", []finding.Side{finding.Left}},
		"there already":     {"\x00" + key + "\x00", "\x00\x00" + key + "\x00", nil},
		"nothing to report": {"\x00", "\x00 and some words\x00", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report, err := newReviewer(t).Review(t.Context(), binary(c.before, c.after))
			require.NoError(t, err)
			require.Empty(t, report.Looked, "no content was read")
			var sides []finding.Side
			for _, p := range report.Proposals {
				sides = append(sides, p.Location.Side)
				require.Equal(t, finding.PlacedFile, p.Location.Placement)
				require.Zero(t, p.Location.StartLine)
			}
			require.Equal(t, c.sides, sides)
			requireNothingLeaks(t, cloudKey(), report)
		})
	}
}

func TestReviewOfAnEndedContextIsAnError(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := newReviewer(t).Review(ctx, inspect(t, added("x.env", "KEY_ID="+cloudKey()+"\n")))
	require.ErrorIs(t, err, context.Canceled)
	_, err = newReviewer(t).NewRedactor().Redact(ctx, secrets.Text{Text: cloudKey()})
	require.ErrorIs(t, err, context.Canceled)
	_, err = secrets.New([]byte("short"))
	require.Error(t, err)
}

func TestRedactorKeepsLinesAndKnowsWhatItLearned(t *testing.T) {
	t.Parallel()
	key := privateKey(t)
	file := "id: " + cloudKey() + "\n" + key + "api_key = \"" + odd() + "\"\nend\n"
	d := newReviewer(t).NewRedactor()
	require.NoError(t, d.Learn(t.Context(), secrets.Text{Path: "go.sum", Text: file}))
	got := d.Apply(file)
	require.Equal(t, strings.Count(file, "\n"), strings.Count(got, "\n"))
	require.True(t, strings.HasPrefix(got, "id: [secret:aws-access-token:"), got)
	require.True(t, strings.HasSuffix(got, "\nend\n"))
	for _, secret := range []string{cloudKey(), key, odd()} {
		requireNothingLeaks(t, secret, got)
	}
	require.Equal(t, got, d.Apply(got), "twice is once")
	require.NotContains(t, d.Apply("he wrote "+odd()+" into the ticket"), odd(), "it stands bare here")

	again := newReviewer(t).NewRedactor()
	second, err := again.Redact(t.Context(), secrets.Text{Path: "x", Text: file})
	require.NoError(t, err)
	require.Equal(t, got, second, "the same key, the same words")
}

func TestRedactorTakesTheBeginningOfASecretThatWasCut(t *testing.T) {
	t.Parallel()
	d := newReviewer(t).NewRedactor()
	require.NoError(t, d.Learn(t.Context(), secrets.Text{Text: "KEY_ID=" + cloudKey() + "\n"}))
	whole := d.Apply(cloudKey())
	require.Equal(t, "KEY_ID="+whole+"\n  next\n", d.ApplyCut("KEY_ID="+cloudKey()[:len(cloudKey())-3]+"\n  next\n"))
	require.Equal(t, "KEY_ID="+whole+"\r\n", d.ApplyCut("KEY_ID="+cloudKey()[:5]+"\r\n"))
	require.Equal(t, "KEY_ID="+whole, d.ApplyCut("KEY_ID="+cloudKey()))
	require.Equal(t, "KEY_ID="+cloudKey()[:4], d.ApplyCut("KEY_ID="+cloudKey()[:4]), "as much as may be shown")
	require.Equal(t, "nothing of it", d.ApplyCut("nothing of it"))
}

func TestRedactorTakesAKeyOutOfADiff(t *testing.T) {
	t.Parallel()
	key := privateKey(t)
	patch := added("key.pem", key)
	d := newReviewer(t).NewRedactor()
	whole, err := d.Redact(t.Context(), secrets.Text{Text: patch})
	require.NoError(t, err)
	requireNothingLeaks(t, key, whole)
	require.Contains(t, whole, "@@ -0,0 +1,")

	lines := strings.Split(key, "\n")
	cut, err := newReviewer(t).NewRedactor().Redact(t.Context(), secrets.Text{Text: "+before\n+" + strings.Join(lines[:3], "\n+") + "\n+after = 1\n"})
	require.NoError(t, err)
	requireNothingLeaks(t, strings.Join(lines[1:3], "\n"), cut)
	require.True(t, strings.HasSuffix(cut, "\n+after = 1\n"), cut)
}

func TestRedactorUsesTheRulesForKindsOfFile(t *testing.T) {
	t.Parallel()
	value := odd()
	text := "apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\ndata:\n  word: " + value + "\n"
	d := newReviewer(t).NewRedactor()
	got, err := d.Redact(t.Context(), secrets.Text{Path: "k8s/secret.yaml", Text: text})
	require.NoError(t, err)
	require.NotContains(t, got, value)
}

func TestOneDetectorServesManyAtOnce(t *testing.T) {
	t.Parallel()
	r := newReviewer(t)
	d := r.NewRedactor()
	var wg sync.WaitGroup
	var texts [8]string
	var errs [8]error
	for i := range texts {
		wg.Go(func() { texts[i], errs[i] = d.Redact(t.Context(), secrets.Text{Text: "k=" + cloudKey()}) })
	}
	wg.Wait()
	for i := range texts {
		require.NoError(t, errs[i])
		require.Regexp(t, `^k=\[secret:aws-access-token:[0-9a-f]{6}\]$`, texts[i])
	}
}

// TestSharedDiffsHoldNoSecret is the precision that the rules were chosen for.
func TestSharedDiffsHoldNoSecret(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("scans 20 MB")
	}
	r := newReviewer(t)
	n := 0
	testdata.JSONL(t, "diffs/commits.jsonl.gz", func(c struct{ SHA, Diff string }) {
		if n++; n%everyNth != 0 {
			return
		}
		report, err := r.Review(t.Context(), inspect(t, c.Diff))
		require.NoError(t, err)
		require.Empty(t, report.Proposals, c.SHA)
	})
	require.Equal(t, 88, n)
}

func FuzzRedact(f *testing.F) {
	f.Add("api_key = \"" + odd() + "\"\n")
	f.Add("-----BEGIN PRIVATE KEY-----\n" + strings.Repeat("QUJD", 16) + "\nx: y\n")
	f.Add("\xff\x00\n\n")
	r := newReviewer(f)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := r.NewRedactor().Redact(t.Context(), secrets.Text{Path: "a.yaml", Text: text + "\n" + cloudKey() + "\n" + text})
		require.NoError(t, err)
		require.NotContains(t, got, cloudKey())
		require.Equal(t, 2*strings.Count(text, "\n")+2, strings.Count(got, "\n"))
	})
}

func BenchmarkRedact(b *testing.B) {
	r := newReviewer(b)
	text := strings.Repeat("func (s *Server) handle(ctx context.Context, token string) error {\n\treturn s.next(ctx, token)\n}\n", 10_000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := r.NewRedactor().Redact(b.Context(), secrets.Text{Text: text}); err != nil {
			b.Fatal(err)
		}
	}
}

func TestMaskKeepsLengthsAndLines(t *testing.T) {
	t.Parallel()
	r := newReviewer(t)
	pemKey := privateKey(t)
	before := "package a\n\nconst key = \"" + cloudKey() + "\" // again: " + cloudKey() + "\n\nvar pem = `" + pemKey + "`\n\nfunc f() {}\n"
	after, err := r.Mask(t.Context(), []byte(before))
	require.NoError(t, err)
	require.NotContains(t, string(after), cloudKey())
	for line := range strings.SplitSeq(strings.TrimSpace(pemKey), "\n") {
		if !strings.HasPrefix(line, "-----") {
			require.NotContains(t, string(after), line)
		}
	}
	require.Len(t, after, len(before))
	require.Equal(t, strings.Count(before, "\n"), strings.Count(string(after), "\n"))
	require.True(t, strings.HasPrefix(string(after), "package a\n\nconst key = \"xxxx"))
	require.True(t, strings.HasSuffix(string(after), "`\n\nfunc f() {}\n"))

	plain := []byte("package a\n\nfunc f() {}\n")
	after, err = r.Mask(t.Context(), plain)
	require.NoError(t, err)
	require.Equal(t, "package a\n\nfunc f() {}\n", string(after))
}
