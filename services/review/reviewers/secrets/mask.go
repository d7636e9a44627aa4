package secrets

import (
	"context"
	"strings"
)

// masking is what stands for a byte of a secret: a letter, so that a literal stays one.
const masking = 'x'

// Mask overwrites the secrets of a content, wherever they stand in it, byte for byte and without line ends, so that
// lengths and lines stay as they are. Binary contents are scanned like texts. After an error the content must not be
// kept.
func (r *Reviewer) Mask(ctx context.Context, content []byte) ([]byte, error) {
	text := string(content)
	hits, err := r.scan(ctx, "", text)
	if err != nil {
		return nil, err
	}
	masked := make(map[string]string)
	for _, h := range hits {
		for _, line := range secretLines(h.secret) {
			masked[line] = overwritten(line)
		}
	}
	copy(content, replacerOf(masked).Replace(text))
	for _, h := range hits { // those that share bytes with another one are replaced in part only
		if !strings.HasPrefix(text[h.offset:], h.secret) {
			continue
		}
		for _, line := range secretLines(h.secret) {
			copy(content[h.offset+strings.Index(h.secret, line):], masked[line])
		}
	}
	return content, nil
}

// overwritten is what stands for a line of a secret. A carriage return in it stays.
func overwritten(line string) string {
	out := []byte(line)
	for i, c := range out {
		if c != '\n' && c != '\r' {
			out[i] = masking
		}
	}
	return string(out)
}
