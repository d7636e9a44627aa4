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

const (
	// window is how much of a text the detector is given at once, in bytes: its own work grows with the square of what it
	// finds in a text with many lines, and cannot be interrupted.
	window = 64 << 10
	// overlap is what two windows share, so that what stands on the border of one stands whole in the other. Secrets in a line
	// are shorter; private keys need not be.
	overlap = 16 << 10
	// rulePrivateKey is the rule for what may be longer than a window.
	rulePrivateKey = "private-key"
)

// scan finds secrets in a text. The path switches rules for certain files on and whole files off; with an empty path
// neither happens. An interrupted scan is an error, never a shorter list.
func (r *Reviewer) scan(ctx context.Context, path, text string) (hits []hit, err error) {
	defer func() {
		if p := recover(); p != nil {
			hits, err = nil, fmt.Errorf("scan for secrets: the scanner broke down over a text of %d bytes", len(text))
		}
	}()
	seen := make(map[hit]bool)
	add := func(h hit) {
		if !seen[h] {
			seen[h] = true
			hits = append(hits, h)
		}
	}
	whole := make(map[string]bool) // rules whose secrets may be longer than what two windows share
	for start := 0; ; {
		end := windowEnd(text, start)
		for _, h := range r.scanWindow(ctx, path, text[start:end]) {
			if h.secret != "" {
				h.offset += start
			}
			whole[h.rule] = whole[h.rule] || len(h.secret) > overlap/2
			add(h)
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("scan for secrets: %w", context.Cause(ctx))
		}
		if end == len(text) {
			break
		}
		whole[rulePrivateKey] = true
		start = windowStart(text, end)
	}
	if len(text) > window && !(path != "" && r.allowed(path)) {
		for rule, long := range whole {
			if long {
				r.scanWhole(rule, text, add)
			}
		}
	}
	return hits, nil
}

// windowEnd is where the window that begins at start ends: after a line, if one ends in its second half.
func windowEnd(text string, start int) int {
	end := start + window
	if end >= len(text) {
		return len(text)
	}
	if line := strings.LastIndexByte(text[start+window/2:end], '\n'); line >= 0 {
		return start + window/2 + line + 1
	}
	return end
}

// windowStart is where the window begins that follows the one with this end: with a line, if one begins in time.
func windowStart(text string, end int) int {
	if line := strings.IndexByte(text[end-overlap:end-overlap/2], '\n'); line >= 0 {
		return end - overlap + line + 1
	}
	return end - overlap
}

func (r *Reviewer) scanWindow(ctx context.Context, path, text string) []hit {
	starts := lineStarts(text)
	found := r.detector.DetectContext(ctx, detect.Fragment{Raw: text, FilePath: path}) //nolint:staticcheck // v8 takes nothing else
	hits := make([]hit, 0, len(found))
	for i := range found {
		f := &found[i]
		h := hit{rule: f.RuleID, secret: f.Secret}
		from := starts[min(max(f.StartLine, 0), len(starts)-1)] // lines count from 0, and are those of the match
		if at := strings.Index(text[from:], f.Secret); at >= 0 {
			h.offset = from + at
		} else {
			h.offset = max(strings.Index(text, f.Secret), 0)
		}
		hits = append(hits, h)
	}
	return hits
}

// scanWhole finds what a rule's form says in a text of several windows, however long it is.
func (r *Reviewer) scanWhole(id, text string, add func(hit)) {
	rule, ok := r.detector.Config.Rules[id]
	if !ok || rule.Regex == nil {
		return
	}
	for _, at := range rule.Regex.FindAllStringSubmatchIndex(text, -1) {
		from, to := at[0], at[1]
		for g := 1; g < len(at)/2; g++ {
			named := rule.SecretGroup == 0 && at[2*g] < at[2*g+1] || rule.SecretGroup == g
			if named {
				from, to = at[2*g], at[2*g+1]
				break
			}
		}
		if secret := strings.Trim(text[max(from, 0):max(to, 0)], "\n"); secret != "" {
			add(hit{rule: id, secret: secret, offset: from + strings.Index(text[from:], secret)})
		}
	}
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
