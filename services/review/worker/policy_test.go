package worker

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/services/review"
)

// folders is a tree of which only the folders are known.
type folders []string

func (folders) Read(context.Context, string) ([]byte, error) { return nil, review.ErrNoFile }

func (f folders) HasFolder(_ context.Context, folder string) (bool, error) {
	return slices.Contains(f, folder), nil
}

// TestNoChangeTakesItselfOutOfItsOwnReview: what is left out as generated or vendored is so on both sides and under both
// names, and where there is only a new side its name says so as well as its text, or the base has the folder of what is not ours.
func TestNoChangeTakesItselfOutOfItsOwnReview(t *testing.T) {
	t.Parallel()
	type side struct {
		path                string
		generated, vendored bool
	}
	none := side{}
	for name, c := range map[string]struct {
		old, now side
		want     review.Reason
	}{
		"a header that the author wrote":          {none, side{"new.go", true, false}, ""},
		"one long line":                           {none, side{"app.js", true, false}, ""},
		"a generated file that is new":            {none, side{"api/new.pb.go", true, false}, review.ReasonGenerated},
		"a generated name alone":                  {none, side{"new.pb.go", false, false}, ""},
		"a file that was generated and is":        {side{"gen.go", true, false}, side{"gen.go", true, false}, review.ReasonGenerated},
		"a header that the change adds":           {side{"a.go", false, false}, side{"a.go", true, false}, ""},
		"a header that the change takes away":     {side{"gen.go", true, false}, side{"gen.go", false, false}, ""},
		"a generated file that goes":              {side{"gen.go", true, false}, none, review.ReasonGenerated},
		"a vendored file that is new":             {none, side{"vendor/a/a.go", false, true}, review.ReasonVendored},
		"a vendored file in a new folder":         {none, side{"third_party/a.go", false, true}, ""},
		"one in a new folder of that name":        {none, side{"web/vendor/a.go", false, true}, ""},
		"a changed one, whatever the base has":    {side{"third_party/a.go", false, true}, side{"third_party/a.go", false, true}, review.ReasonVendored},
		"a move out of a folder that is not ours": {side{"vendor/a.go", false, true}, side{"a.go", false, false}, ""},
		"a move into it":                          {side{"a.go", false, false}, side{"vendor/a.go", false, true}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := review.File{Path: c.now.path, OldPath: c.old.path, Nature: review.NatureText, HasOld: c.old != none, HasNew: c.now != none}
			code := func(s side) map[string]*review.Code {
				return map[string]*review.Code{s.path: {Path: s.path, Generated: s.generated, Vendored: s.vendored}}
			}
			in := &review.Inspection{Change: &review.Change{Files: []review.File{f}}, Old: code(c.old), New: code(c.now), Base: folders{"vendor"}}
			require.NoError(t, policies(t.Context(), in))
			require.Equal(t, c.want, in.Change.Files[0].Policy)
		})
	}
}
