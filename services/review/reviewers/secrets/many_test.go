package secrets_test

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/finding"
	"witan.dev/services/review"
	"witan.dev/services/review/reviewers/secrets"
)

// manyKeys is how many keys a fork may put into one file that is small enough to be read: with work that grows with their
// square the tests below would take an hour.
const manyKeys = 40_000

// word is a random word of the letters.
func word(r *rand.Rand, letters string, n int) string {
	out := make([]byte, n)
	for i := range out {
		out[i] = letters[r.IntN(len(letters))]
	}
	return string(out)
}

// keys are n different keys.
func keys(n int) []string {
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same ones each time
	out := make([]string, n)
	letters := []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
	for i := range out {
		r.Shuffle(len(letters), func(a, b int) { letters[a], letters[b] = letters[b], letters[a] })
		out[i] = "AK" + "IA" + string(letters[:16]) // none twice: too even a word is no key
	}
	return out
}

var someKey = regexp.MustCompile("AKIA[A-Z2-7]")

// ending is a context that counts how often it is looked at, and ends when that was often enough.
type ending struct {
	context.Context //nolint:containedctx // it is one

	looks atomic.Int64
	most  int64
}

func (e *ending) Err() error {
	if e.looks.Add(1) > e.most {
		return context.Canceled
	}
	return nil
}

func TestAFileOfManyKeysIsReportedInPart(t *testing.T) {
	t.Parallel()
	text := strings.Join(keys(manyKeys), "\n") + "\n"
	report := reviewed(t, added("many.env", text)+added("one.env", "KEY_ID="+cloudKey()+"\n"))
	files := map[string]int{}
	for _, p := range report.Proposals {
		files[p.Location.Path]++
	}
	require.Equal(t, 1, files["one.env"])
	require.Greater(t, files["many.env"], 100)
	require.LessOrEqual(t, files["many.env"], 500, "what a review takes")
	require.Equal(t, map[review.Path][]review.Reason{"many.env": {finding.ReasonBudget}}, report.Limits)
	require.Len(t, report.Notes, 1)
	out, err := json.Marshal(report)
	require.NoError(t, err)
	require.False(t, someKey.Match(out))
}

func TestManyFilesOfManyKeysAreReportedInPart(t *testing.T) {
	t.Parallel()
	all, text := keys(manyKeys/2), strings.Builder{}
	const files = 40
	for i := range files {
		part := all[i*len(all)/files : (i+1)*len(all)/files]
		text.WriteString(added("f"+word(rand.New(rand.NewPCG(3, uint64(i))), "abcdef", 12), strings.Join(part, "\n")+"\n")) //nolint:gosec // names
	}
	report := reviewed(t, text.String())
	require.Less(t, len(report.Proposals), 2000)
	require.Len(t, report.Limits, files, "each has more than is reported")
}

func TestTheReviewOfManyKeysLooksAtItsContext(t *testing.T) {
	t.Parallel()
	in := inspect(t, added("many.env", strings.Join(keys(4000), "\n")+"\n"))
	whole := &ending{Context: t.Context(), most: 1 << 30}
	_, err := newReviewer(t).Review(whole, in)
	require.NoError(t, err)
	require.Greater(t, whole.looks.Load(), int64(100), "at each window and each value")
	for _, most := range []int64{0, 3, 10, whole.looks.Load() - 1} {
		_, err := newReviewer(t).Review(&ending{Context: t.Context(), most: most}, in)
		require.ErrorIs(t, err, context.Canceled, most)
	}
}

// TestARedactorRefusesMoreThanItCanKnow: nothing is sent then, and an index keeps no key.
func TestARedactorRefusesMoreThanItCanKnow(t *testing.T) {
	t.Parallel()
	text := strings.Join(keys(20_500), "\n") + "\n"
	_, err := newReviewer(t).NewRedactor().Redact(t.Context(), secrets.Text{Text: text})
	require.ErrorIs(t, err, secrets.ErrTooMany)
	masked, err := newReviewer(t).Mask(t.Context(), []byte(text))
	require.NoError(t, err)
	require.Len(t, masked, len(text))
	require.False(t, someKey.Match(masked))
}

// TestManyCutLinesBesideManySecrets: with work for each secret at each line it would outlast the run.
func TestManyCutLinesBesideManySecrets(t *testing.T) {
	t.Parallel()
	all := keys(15_000)
	d := newReviewer(t).NewRedactor()
	require.NoError(t, d.Learn(t.Context(), secrets.Text{Text: strings.Join(all, "\n")}))
	lines := strings.Repeat("no key in me\n", 1_000_000)
	require.Equal(t, lines, d.ApplyCut(lines))
	require.False(t, someKey.MatchString(d.ApplyCut("= "+all[7][:15])))
}

// TestSecretsOnBordersAreFoundWhole: the scanner reads large texts in pieces.
func TestSecretsOnBordersAreFoundWhole(t *testing.T) {
	t.Parallel()
	some := keys(3000)
	r := rand.New(rand.NewPCG(5, 6)) //nolint:gosec // the same ones each time
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	long := "ops" + "_eyJ" + word(r, letters, 150_000)
	var block strings.Builder
	for range 3000 {
		block.WriteString(word(r, letters, 64) + "\n")
	}
	for name, c := range map[string]struct {
		text    string
		secrets []string
	}{
		"in one line":            {"x = [" + strings.Join(some, ", ") + "]\n", some},
		"in lines":               {"x\n" + strings.Join(some, "\nand\n\n") + "\n", some},
		"a key of many windows":  {"a\n-----BEGIN PRIVATE" + " KEY-----\n" + block.String() + "-----END PRIVATE" + " KEY-----\nb\n", strings.Fields(block.String())},
		"a word of many windows": {strings.Repeat("words ", 9000) + long + "\n", []string{long}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := newReviewer(t).NewRedactor().Redact(t.Context(), secrets.Text{Text: c.text})
			require.NoError(t, err)
			masked, err := newReviewer(t).Mask(t.Context(), []byte(c.text))
			require.NoError(t, err)
			shown := []byte(got)
			for _, secret := range c.secrets {
				for at := 4; at < len(secret)-8; at += 9 + len(secret)/50 {
					part := []byte(secret[at : at+8])
					require.Equal(t, -1, bytes.Index(shown, part)) // shorter than to show both texts
					require.Equal(t, -1, bytes.Index(masked, part))
				}
			}
		})
	}
}
