package review

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"

	"witan.dev/internal/blob"
	"witan.dev/internal/diff"
)

// PackPatch compresses a patch for the time that it is kept. Patches shrink to a fifth, and what they hold, secrets
// among it, does not lie in plain words in the data folder.
func PackPatch(text []byte) ([]byte, error) {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(text); err != nil {
		return nil, fmt.Errorf("pack the patch: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("pack the patch: %w", err)
	}
	return out.Bytes(), nil
}

// UnpackPatch undoes PackPatch. Content that is not packed comes back as it is. What unpacks to more than a diff may
// hold is ErrMaterialTooLarge, what does not unpack ErrNotDiff.
func UnpackPatch(content []byte) ([]byte, error) {
	if !bytes.HasPrefix(content, []byte{0x1f, 0x8b}) {
		return content, nil
	}
	r, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return nil, ErrNotDiff.Wrap(err)
	}
	text, err := io.ReadAll(io.LimitReader(r, diff.MaxBytes+1))
	if err != nil {
		return nil, ErrNotDiff.Wrap(errors.Join(err, r.Close()))
	}
	if len(text) > diff.MaxBytes {
		return nil, ErrMaterialTooLarge.With("detail", "the diff has more than 50 MB")
	}
	return text, nil
}

// ReadReport reads a report of another tool back from the blob store.
func ReadReport(ctx context.Context, blobs blob.Store, owner string, ref ReportRef) ([]byte, error) {
	sum, err := blob.ParseSHA256(ref.Blob)
	if err != nil {
		return nil, err
	}
	content, err := blobs.Get(ctx, cmp.Or(ref.Owner, owner), sum)
	if err != nil {
		return nil, fmt.Errorf("read report %q: %w", ref.Title, err)
	}
	return UnpackPatch(content)
}
