package snapshots

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"witan.dev/internal/blob"
	"witan.dev/internal/snapshot"
	"witan.dev/services/retrieval"
)

// Bounds of the packs that stay unpacked while nobody reads them (own choices).
const (
	// maxUnpacked is in bytes.
	maxUnpacked = 1 << 30
	// maxPacks is how many: each is an open file and an index in memory.
	maxPacks = 64
	// maxIdle is for how long: a build comes back sooner.
	maxIdle = 5 * time.Minute
)

// packKey names a pack of an owner.
type packKey struct {
	owner string
	sum   blob.SHA256
}

// packs keeps packs unpacked in files without a name, as long as there is room and somebody comes back: a build does with each of
// its batches. Safe for concurrent use.
type packs struct {
	dir string
	now func() time.Time

	mu       sync.Mutex
	unpacked map[packKey]*pack
	bytes    int64
}

func newPacks(dir string) *packs {
	return &packs{dir: dir, now: time.Now, unpacked: map[packKey]*pack{}}
}

// pack is one that is unpacked, or is being.
type pack struct {
	key  packKey
	file *os.File
	at   map[string]span
	size int64
	err  error
	done chan struct{}

	readers int       // under packs.mu
	used    time.Time // under packs.mu
}

// span is where a content lies.
type span struct{ start, size int64 }

// take returns a pack, unpacked by load and fill unless it is. Who takes it gives it back.
func (c *packs) take(key packKey, load func() ([]byte, error), fill func(p *pack, content []byte) error) (*pack, error) {
	c.mu.Lock()
	p := c.unpacked[key]
	fresh := p == nil
	if fresh {
		p = &pack{key: key, at: map[string]span{}, done: make(chan struct{})}
		c.unpacked[key] = p
	}
	p.readers++
	c.mu.Unlock()
	if fresh {
		p.err = c.unpack(p, load, fill)
		c.filled(p)
		close(p.done)
	}
	<-p.done
	if p.err != nil {
		c.give(p)
		return nil, p.err
	}
	return p, nil
}

func (c *packs) unpack(p *pack, load func() ([]byte, error), fill func(p *pack, content []byte) error) (err error) {
	content, err := load()
	if err != nil {
		return err
	}
	if p.file, err = os.CreateTemp(c.dir, "witan-snapshot-"); err != nil {
		return err
	}
	if err := os.Remove(p.file.Name()); err != nil { // it vanishes with the process
		return err
	}
	return fill(p, content)
}

// filled counts a pack; one that failed is forgotten.
func (c *packs) filled(p *pack) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bytes += p.size
	if p.err != nil {
		delete(c.unpacked, p.key)
		c.drop(p)
	}
}

// drop closes a pack that nobody finds any more.
func (c *packs) drop(p *pack) {
	c.bytes -= p.size
	p.size = 0
	if p.file != nil {
		_ = p.file.Close() // it has no name
	}
}

// give takes a pack back and makes room.
func (c *packs) give(p *pack) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p.readers, p.used = p.readers-1, c.now()
	for key, q := range c.unpacked {
		if q.readers == 0 && p.used.Sub(q.used) > maxIdle {
			delete(c.unpacked, key)
			c.drop(q)
		}
	}
	for c.bytes > maxUnpacked || len(c.unpacked) > maxPacks {
		var oldest *pack
		for _, q := range c.unpacked {
			if q.readers == 0 && (oldest == nil || q.used.Before(oldest.used)) {
				oldest = q
			}
		}
		if oldest == nil {
			return
		}
		delete(c.unpacked, oldest.key)
		c.drop(oldest)
	}
}

func (c *packs) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, p := range c.unpacked {
		errs = append(errs, p.file.Close())
	}
	clear(c.unpacked)
	c.bytes = 0
	return errors.Join(errs...)
}

func unpackPack(p *pack, content []byte) error {
	return snapshot.ReadPack(bytes.NewReader(content), p.add)
}

func unpackTar(p *pack, content []byte) error {
	return snapshot.ReadTar(bytes.NewReader(content), func(f snapshot.File, content []byte) error { return p.add(f.ID, content) })
}

// add writes a content. One without an ID is too large to be read.
func (p *pack) add(id string, content []byte) error {
	if _, has := p.at[id]; has || id == "" {
		return nil
	}
	if _, err := p.file.Write(content); err != nil {
		return err
	}
	p.at[id] = span{p.size, int64(len(content))}
	p.size += int64(len(content))
	return nil
}

func (p *pack) read(id string, limit int64) ([]byte, error) {
	at, has := p.at[id]
	switch {
	case !has:
		return nil, retrieval.ErrBlobMissing
	case at.size > limit:
		return nil, retrieval.ErrBlobTooLarge
	}
	content := make([]byte, at.size)
	if _, err := p.file.ReadAt(content, at.start); err != nil {
		return nil, fmt.Errorf("read an unpacked snapshot: %w", err)
	}
	return content, nil
}
