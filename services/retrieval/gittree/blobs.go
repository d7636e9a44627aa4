package gittree

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"witan.dev/services/retrieval"
)

// Blobs reads blobs one after the other from one git process. It belongs to one goroutine; the caller closes it.
type Blobs struct {
	cmd    *exec.Cmd
	cancel context.CancelCauseFunc
	ctx    context.Context //nolint:containedctx // the process lives as long as this context
	in     io.WriteCloser
	out    *bufio.Reader
	broken error
}

var (
	errClosed  = errors.New("gittree: closed")
	errTooSlow = errors.New("gittree: git did not answer in time")
)

// OpenBlobs starts a reader for the blobs of source. ctx bounds all reads.
func (g *Git) OpenBlobs(ctx context.Context, source retrieval.Source) (retrieval.Blobs, error) {
	if err := check(source); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	cmd := g.command(ctx, source, "cat-file", "--batch")
	in, err := cmd.StdinPipe()
	if err != nil {
		cancel(err)
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		cancel(err)
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		cancel(err)
		return nil, fmt.Errorf("start git: %w", err)
	}
	return &Blobs{cmd: cmd, cancel: cancel, ctx: ctx, in: in, out: bufio.NewReaderSize(out, 64<<10)}, nil
}

// Read returns the content of a blob. It returns retrieval.ErrBlobMissing for an object that is not there or no blob,
// and retrieval.ErrBlobTooLarge for more than limit bytes; reading goes on after these two.
func (b *Blobs) Read(id string, limit int64) ([]byte, error) {
	if b.broken != nil {
		return nil, b.broken
	}
	if !objectID(id) {
		return nil, retrieval.ErrBlobMissing
	}
	timer := time.AfterFunc(blobTimeout, func() { b.cancel(errTooSlow) })
	defer timer.Stop()
	content, err := b.read(id, limit)
	if err != nil && !errors.Is(err, retrieval.ErrBlobMissing) && !errors.Is(err, retrieval.ErrBlobTooLarge) {
		if cause := context.Cause(b.ctx); cause != nil {
			err = cause
		}
		b.broken = fmt.Errorf("read blob %s: %w", id, err)
		return nil, b.broken
	}
	return content, err
}

func (b *Blobs) read(id string, limit int64) ([]byte, error) {
	if _, err := io.WriteString(b.in, id+"\n"); err != nil {
		return nil, err
	}
	header, err := b.out.ReadString('\n')
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(header)
	if len(fields) == 2 && fields[0] == id && fields[1] == "missing" {
		return nil, retrieval.ErrBlobMissing
	}
	if len(fields) != 3 || fields[0] != id {
		return nil, fmt.Errorf("git cat-file: unexpected answer %.100q", header)
	}
	size, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil || size < 0 {
		return nil, fmt.Errorf("git cat-file: unexpected size %.100q", fields[2])
	}
	if fields[1] != "blob" || size > limit {
		if _, err := io.CopyN(io.Discard, b.out, size+1); err != nil {
			return nil, err
		}
		if fields[1] != "blob" {
			return nil, retrieval.ErrBlobMissing
		}
		return nil, retrieval.ErrBlobTooLarge
	}
	content := make([]byte, size+1)
	if _, err := io.ReadFull(b.out, content); err != nil {
		return nil, err
	}
	return content[:size], nil
}

// Close ends the process and waits for it.
func (b *Blobs) Close() error {
	if b.broken == nil {
		b.broken = errClosed
	}
	_ = b.in.Close() // git ends at the end of its input
	b.cancel(errClosed)
	_ = b.cmd.Wait() // it was killed or ended by itself; both are fine
	return nil
}
