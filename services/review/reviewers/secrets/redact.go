package secrets

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
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
)

// Redactor replaces secrets in texts by "[secret:<rule>:<6 hex digits>]", the same secret by the same words, and keeps
// line breaks where they are. It knows the secrets of all texts that it has learned, also where they stand without the
// words around them that gave them away. Safe for concurrent use.
type Redactor struct {
	reviewer *Reviewer

	mu       sync.Mutex
	known    map[string]string // secret, or a line of it, to replacement
	replacer *strings.Replacer // nil after known has changed
}

// NewRedactor returns a redactor that knows no secret yet.
func (r *Reviewer) NewRedactor() *Redactor {
	return &Redactor{reviewer: r, known: make(map[string]string)}
}

// Learn scans texts and remembers their secrets. Give it everything that is known of a review before the first text is
// redacted: what one text gives away may stand bare in another. After an error nothing may be sent.
func (d *Redactor) Learn(ctx context.Context, texts ...Text) error {
	for _, t := range texts {
		hits, err := d.reviewer.scanAll(ctx, t)
		if err != nil {
			return err
		}
		d.remember(hits)
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
	for secret, replacement := range d.known {
		for n := min(len(secret)-1, len(line)); n > shownPart && n >= longest; n-- {
			if !strings.HasSuffix(line, secret[:n]) {
				continue
			}
			if n > longest || before(replacement, words) { // the same words whatever the order of the map
				longest, words = n, replacement
			}
			break
		}
	}
	return longest, words
}

func (d *Redactor) current() *strings.Replacer {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.replacer == nil {
		secrets := make([]string, 0, len(d.known))
		for secret := range d.known {
			secrets = append(secrets, secret)
		}
		// The longest first: of two secrets that begin alike the replacer takes the one named first.
		slices.SortFunc(secrets, func(a, b string) int {
			if len(a) != len(b) {
				return len(b) - len(a)
			}
			return strings.Compare(a, b)
		})
		pairs := make([]string, 0, 2*len(secrets))
		for _, secret := range secrets {
			pairs = append(pairs, secret, d.known[secret])
		}
		d.replacer = strings.NewReplacer(pairs...)
	}
	return d.replacer
}

// remember names each secret by the first of its rules, specific ones before the generic one, so that the words do not
// depend on the order of learning.
func (d *Redactor) remember(hits []hit) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, h := range hits {
		words := d.reviewer.replacement(h)
		for _, line := range secretLines(h.secret) {
			if old, ok := d.known[line]; ok && !before(words, old) {
				continue
			}
			d.known[line] = words
			d.replacer = nil
		}
	}
}

func before(a, b string) bool {
	const generic = "[secret:" + RuleGeneric + ":"
	if genericA, genericB := strings.HasPrefix(a, generic), strings.HasPrefix(b, generic); genericA != genericB {
		return genericB
	}
	return a < b
}

// secretLines returns what has to be replaced: the secret, or its lines where it has several. Markers of a diff and
// indentation are no part of a line.
func secretLines(secret string) []string {
	if !strings.Contains(secret, "\n") {
		if secret == "" {
			return nil
		}
		return []string{secret}
	}
	var lines []string
	for line := range strings.SplitSeq(secret, "\n") {
		line = strings.Trim(line, " \t\r\"'`,;\\")
		if len(line) > 1 && (line[0] == '+' || line[0] == '-' && line[1] != '-') {
			line = strings.TrimLeft(line[1:], " \t\"'`")
		}
		if len(line) >= minKeyLine {
			lines = append(lines, line)
		}
	}
	return lines
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
