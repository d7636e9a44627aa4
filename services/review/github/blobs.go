package github

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // git's object format, not a protection
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"witan.dev/services/review"
)

// fileOrFolder takes the answer for a path apart, which is an object for a file and a list for a folder.
type fileOrFolder struct {
	content

	folder bool
}

// UnmarshalJSON implements json.Unmarshaler.
func (f *fileOrFolder) UnmarshalJSON(data []byte) error {
	if f.folder = len(data) > 0 && data[0] == '['; f.folder {
		return nil
	}
	return json.Unmarshal(data, &f.content)
}

// blob reads an object of at most limit bytes by its ID, and holds it to that. review.ErrTooLarge, review.ErrNoFile.
func (c *connection) blob(ctx context.Context, repo review.Repo, id string, limit int) ([]byte, error) {
	into := limitedBuffer{left: limit}
	err := c.send(ctx, http.MethodGet, "repos/"+repo.FullName()+"/git/blobs/"+id, nil, &into, raw)
	switch {
	case into.left < 0:
		return nil, fmt.Errorf("blob %s: %w", id, review.ErrTooLarge)
	case err != nil:
		return nil, notFound(err, fmt.Errorf("blob %s: %w", id, review.ErrNoFile))
	case len(id) == 40 && blobID(into.content.Bytes()) != id:
		return nil, incomplete("a blob")
	}
	return into.content.Bytes(), nil
}

func blobID(content []byte) string {
	h := sha1.New() //nolint:gosec // git's object format, not a protection
	_, _ = fmt.Fprintf(h, "blob %d\x00", len(content))
	_, _ = h.Write(content)
	return hex.EncodeToString(h.Sum(nil))
}

// limitedBuffer refuses what is above its limit. It embeds no bytes.Buffer: that one's ReadFrom would pass the limit by.
type limitedBuffer struct {
	content bytes.Buffer
	left    int
}

// Write implements io.Writer.
func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, errors.New("above the limit")
	}
	return b.content.Write(p)
}
