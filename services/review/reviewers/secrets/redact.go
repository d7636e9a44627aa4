package secrets

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
)

const (
	// minKeyLine is the shortest line of a secret over several lines that is replaced by itself. Shorter ones are common
	// words of other code.
	minKeyLine = 8
	// marks is how many hex digits of the HMAC tell two secrets apart in one text.
	marks = 6
	// maxPiece is how much of a line of a secret is looked for at once, so that texts of a single long line cost no more than
	// others (own choice; a line of a private key has 64 bytes).
	maxPiece = 1 << 10
	// maxKnown and maxKnownBytes bound what a redactor knows (own choices: no change that a person means has as many).
	maxKnown, maxKnownBytes = 20_000, 8 << 20
)

// ErrTooMany is the error of a redactor that was given more secrets than it can know. Nothing may be sent then.
var ErrTooMany = errors.New("secrets: more secrets than can be taken out")

// Redactor replaces secrets in texts by "[secret:<rule>:<6 hex digits>]", the same secret by the same words, and keeps
// line breaks where they are. It knows the secrets of all texts that it has learned, also where they stand without the
// words around them that gave them away. Safe for concurrent use.
type Redactor struct {
	reviewer *Reviewer

	mu       sync.Mutex
	known    map[string]string // secret, or a piece of it, to replacement
	bytes    int               // of known
	replacer *strings.Replacer // nil after known has changed
	sorted   []string          // known, in the order of bytes; nil after known has changed
	heads    map[string]bool   // how those in sorted begin
}

// NewRedactor returns a redactor that knows no secret yet.
func (r *Reviewer) NewRedactor() *Redactor {
	return &Redactor{reviewer: r, known: make(map[string]string)}
}

// Learn scans texts and remembers their secrets. Give it everything that is known of a review before the first text is
// redacted: what one text gives away may stand bare in another. After an error, which may be ErrTooMany, nothing may be
// sent.
func (d *Redactor) Learn(ctx context.Context, texts ...Text) error {
	for _, t := range texts {
		hits, err := d.reviewer.scanAll(ctx, t)
		if err != nil {
			return err
		}
		if err := d.remember(ctx, hits); err != nil {
			return err
		}
	}
	return nil
}

// Text is something to be scanned. Path is the file it comes from, empty for prose; it switches on the rules for
// certain kinds of file, and never switches one off.
type Text struct{ Path, Text string }

// scanAll is a scan that no path can silence, and with the rules for the path.
func (r *Reviewer) scanAll(ctx context.Context, t Text) ([]hit, error) {
	hits, err := r.scan(ctx, "", t.Text)
	if err != nil || t.Path == "" || !r.ruleFor(t.Path) {
		return hits, err
	}
	more, err := r.scan(ctx, t.Path, t.Text)
	return append(hits, more...), err
}

// ruleFor reports whether some rule is only for files of such a path.
func (r *Reviewer) ruleFor(path string) bool {
	for _, rule := range r.detector.Config.Rules {
		if rule.Path != nil && rule.Regex != nil && rule.Path.MatchString(path) {
			return true
		}
	}
	return false
}

// Redact learns the text and returns it without secrets. On an error the text must not be sent.
func (d *Redactor) Redact(ctx context.Context, t Text) (string, error) {
	if err := d.Learn(ctx, t); err != nil {
		return "", err
	}
	return d.Apply(t.Text), nil
}

// Apply returns the text without the secrets that are known, without scanning it. Line breaks stay, so line numbers
// stay true.
func (d *Redactor) Apply(text string) string {
	return openKeys(d.current().Replace(text))
}

// ApplyCut is Apply for a text whose lines may have been cut off at their ends, such as the heading of a hunk: the
// beginning of a known secret at the end of a line is taken out as well.
func (d *Redactor) ApplyCut(text string) string {
	lines := strings.SplitAfter(d.Apply(text), "\n")
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, line := range lines {
		bare := strings.TrimRight(line, "\r\n")
		if n, words := d.beginning(bare); n > 0 {
			lines[i] = bare[:len(bare)-n] + words + line[len(bare):]
		}
	}
	return strings.Join(lines, "")
}

// beginning is the length of the longest beginning of a secret with which a line ends, and what stands for that secret;
// 0 for none that shows more than may be shown. The caller holds mu.
func (d *Redactor) beginning(line string) (longest int, words string) {
	if d.sorted == nil {
		d.sorted, d.heads = slices.Sorted(maps.Keys(d.known)), make(map[string]bool)
		for _, secret := range d.sorted {
			if len(secret) > shownPart {
				d.heads[secret[:shownPart+1]] = true
			}
		}
	}
	for n := min(maxPiece+minKeyLine, len(line)); n > shownPart; n-- {
		end := line[len(line)-n:]
		if !d.heads[end[:shownPart+1]] {
			continue
		}
		at, whole := slices.BinarySearch(d.sorted, end)
		if whole {
			at++
		}
		if at < len(d.sorted) && strings.HasPrefix(d.sorted[at], end) {
			return n, d.known[d.sorted[at]]
		}
	}
	return 0, ""
}

func (d *Redactor) current() *strings.Replacer {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.replacer == nil {
		d.replacer = replacerOf(d.known)
	}
	return d.replacer
}

// replacerOf replaces the keys by the values.
func replacerOf(known map[string]string) *strings.Replacer {
	// The longest first: of two secrets that begin alike the replacer takes the one named first.
	secrets := slices.SortedFunc(maps.Keys(known), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(a, b))
	})
	pairs := make([]string, 0, 2*len(secrets))
	for _, secret := range secrets {
		pairs = append(pairs, secret, known[secret])
	}
	return strings.NewReplacer(pairs...)
}

// checkEvery is after how many steps of a loop its context is looked at.
const checkEvery = 1000

// remember names each secret by the first of its rules, specific ones before the generic one, so that the words do not
// depend on the order of learning.
func (d *Redactor) remember(ctx context.Context, hits []hit) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, h := range hits {
		if i%checkEvery == 0 && ctx.Err() != nil {
			return fmt.Errorf("remember secrets: %w", context.Cause(ctx))
		}
		words := d.reviewer.replacement(h)
		for _, line := range secretLines(h.secret) {
			old, ok := d.known[line]
			if ok && !before(words, old) {
				continue
			}
			if !ok {
				line = strings.Clone(line) // the text may be large
				d.bytes += len(line)
			}
			d.known[line] = words
			d.replacer, d.sorted = nil, nil
		}
		if len(d.known) > maxKnown || d.bytes > maxKnownBytes {
			return ErrTooMany
		}
	}
	return nil
}

func before(a, b string) bool {
	const generic = "[secret:" + RuleGeneric + ":"
	if genericA, genericB := strings.HasPrefix(a, generic), strings.HasPrefix(b, generic); genericA != genericB {
		return genericB
	}
	return a < b
}

// secretLines returns what has to be replaced: the secret, or its lines where it has several, in pieces where one is long.
// Markers of a diff and indentation are no part of a line.
func secretLines(secret string) []string {
	if !strings.Contains(secret, "\n") {
		if secret == "" {
			return nil
		}
		return pieces(nil, secret)
	}
	var lines []string
	for line := range strings.SplitSeq(secret, "\n") {
		line = strings.Trim(line, " \t\r\"'`,;\\")
		if len(line) > 1 && (line[0] == '+' || line[0] == '-' && line[1] != '-') {
			line = strings.TrimLeft(line[1:], " \t\"'`")
		}
		if len(line) >= minKeyLine {
			lines = pieces(lines, line)
		}
	}
	return lines
}

// pieces appends the line, cut so that no piece is much longer than maxPiece, or shorter than what is replaced by itself.
func pieces(out []string, line string) []string {
	for len(line) >= maxPiece+minKeyLine {
		out = append(out, line[:maxPiece])
		line = line[maxPiece:]
	}
	return append(out, line)
}

func (r *Reviewer) replacement(h hit) string {
	mac := hmac.New(sha256.New, r.key)
	mac.Write([]byte(h.secret))
	return "[secret:" + h.rule + ":" + hex.EncodeToString(mac.Sum(nil))[:marks] + "]"
}

var (
	keyBegin = regexp.MustCompile(`-----BEGIN[ A-Z0-9_-]{0,100}PRIVATE KEY(?: BLOCK)?-----`)
	keyEnd   = regexp.MustCompile(`-----END[ A-Z0-9_-]{0,100}PRIVATE KEY(?: BLOCK)?-----`)
	keyLine  = regexp.MustCompile(`^[+\- \t"'` + "`" + `]*[A-Za-z0-9+/=]{16,}`)
)

// openKeys takes the lines after the beginning of a private key whose end the text does not hold, so that no rule found
// it: a hunk or a part may end within a key.
func openKeys(text string) string {
	if !strings.Contains(text, "PRIVATE KEY") {
		return text
	}
	lines := strings.SplitAfter(text, "\n")
	open := false
	for i, line := range lines {
		switch {
		case keyEnd.MatchString(line):
			open = false
		case keyBegin.MatchString(line):
			open = true
		case open && keyLine.MatchString(line):
			ending := line[len(strings.TrimRight(line, "\r\n")):]
			lines[i] = "[secret:private-key:000000]" + ending
		case open && strings.TrimSpace(line) != "" && !strings.Contains(line, ":"):
			open = false // neither key material nor one of the header lines that an encrypted key has
		}
	}
	return strings.Join(lines, "")
}
