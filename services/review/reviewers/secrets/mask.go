package secrets

import (
	"bytes"
	"context"
)

// masking is what stands for a byte of a secret: a letter, so that a literal stays one.
const masking = 'x'

// Mask overwrites the secrets of a content, wherever they stand in it, byte for byte and without line ends, so that
// lengths and lines stay as they are. Binary contents are scanned like texts. After an error the content must not be
// kept.
func (r *Reviewer) Mask(ctx context.Context, content []byte) ([]byte, error) {
	hits, err := r.scan(ctx, "", string(content))
	if err != nil {
		return nil, err
	}
	for _, h := range hits {
		for _, line := range secretLines(h.secret) {
			overwrite(content, []byte(line))
		}
	}
	return content, nil
}

func overwrite(content, secret []byte) {
	if len(secret) == 0 {
		return
	}
	for at := 0; ; {
		i := bytes.Index(content[at:], secret)
		if i < 0 {
			return
		}
		at += i
		for j := range secret {
			if c := content[at+j]; c != '\n' && c != '\r' {
				content[at+j] = masking
			}
		}
		at += len(secret)
	}
}
