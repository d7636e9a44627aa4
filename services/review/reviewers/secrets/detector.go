package secrets

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/zricethezav/gitleaks/v8/detect"
	"github.com/zricethezav/gitleaks/v8/logging"
)

// RuleGeneric is the rule that goes by a variable's name and a value's entropy alone; every other one knows the form of
// some provider's credentials.
const RuleGeneric = "generic-api-key"

// silent is zerolog's level that writes nothing. The library logs to standard error by itself, on lower levels with the
// secret.
const silent = 7

// hit is one secret as it was found. It stays inside this package.
type hit struct {
	rule string
	// secret is the value; empty where the file's name alone says what it is.
	secret string
	// offset of the secret in the text that was scanned.
	offset int
}

// build makes the one detector of the process. Its rules are read through a global of the library's configuration
// reader, so that two at once would disturb each other.
var build = sync.OnceValues(func() (*detect.Detector, error) { //nolint:gochecknoglobals // see above: once per process
	logging.Logger = logging.Logger.Level(silent)
	d, err := detect.NewDetectorDefaultConfig()
	if err != nil {
		return nil, fmt.Errorf("read the rules for secrets: %w", err)
	}
	d.IgnoreGitleaksAllow = true // the code is not ours to trust: its comments hide nothing
	return d, nil
})

// scan finds secrets in a text. The path switches rules for certain files on and whole files off; with an empty path
// neither happens. An interrupted scan is an error, never a shorter list.
func (r *Reviewer) scan(ctx context.Context, path, text string) (hits []hit, err error) {
	defer func() {
		if p := recover(); p != nil {
			hits, err = nil, fmt.Errorf("scan for secrets: the scanner broke down over a text of %d bytes", len(text))
		}
	}()
	starts := lineStarts(text)
	for _, f := range r.detector.DetectContext(ctx, detect.Fragment{Raw: text, FilePath: path}) { //nolint:staticcheck // v8 takes nothing else
		h := hit{rule: f.RuleID, secret: f.Secret}
		from := starts[min(max(f.StartLine, 0), len(starts)-1)] // lines count from 0, and are those of the match
		if at := strings.Index(text[from:], f.Secret); at >= 0 {
			h.offset = from + at
		} else {
			h.offset = max(strings.Index(text, f.Secret), 0)
		}
		hits = append(hits, h)
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("scan for secrets: %w", context.Cause(ctx))
	}
	return hits, nil
}

func lineStarts(text string) []int {
	starts := []int{0}
	for i := range len(text) {
		if text[i] == '\n' {
			starts = append(starts, i+1)
		}
	}
	return starts
}

// allowed reports whether the rules leave files of this path out as a whole (lock files, images, fonts).
func (r *Reviewer) allowed(path string) bool {
	for _, list := range r.detector.Config.Allowlists {
		if list.PathAllowed(path) {
			return true
		}
	}
	return false
}
