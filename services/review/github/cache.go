package github

import (
	"container/list"
	"slices"
	"sync"

	"github.com/klauspost/compress/s2"
)

const (
	maxCached       = 8 << 20 // bytes of all answers, packed: a sixth or so of JSON from GitHub
	maxCachedAnswer = 1 << 20 // bytes of one, not packed
)

// cached is an answer with its tag.
type cached struct {
	tag, kind, link string
	body            []byte
}

// cache keeps the answers that were used last. Safe for concurrent use.
type cache struct {
	mu    sync.Mutex
	byKey map[string]*list.Element
	order *list.List // of *cacheEntry, the last used first
	bytes int
}

// cacheEntry has its body packed: what is kept for hours is many times what is read at once.
type cacheEntry struct {
	key   string
	value cached
}

func newCache() *cache {
	return &cache{byKey: make(map[string]*list.Element), order: list.New()}
}

func (e *cacheEntry) size() int {
	return len(e.key) + len(e.value.tag) + len(e.value.link) + len(e.value.body) + 128
}

func (c *cache) get(key string) (cached, bool) {
	v, ok := c.packed(key)
	if !ok {
		return cached{}, false
	}
	var err error
	v.body, err = s2.Decode(nil, v.body)
	return v, err == nil // always: it was packed here
}

func (c *cache) packed(key string) (cached, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	element, ok := c.byKey[key]
	if !ok {
		return cached{}, false
	}
	c.order.MoveToFront(element)
	return element.Value.(*cacheEntry).value, true //nolint:errcheck // the list holds nothing else
}

func (c *cache) put(key string, v cached) {
	v.body = slices.Clone(s2.EncodeBetter(nil, v.body)) // without the room that packing may have needed
	c.mu.Lock()
	defer c.mu.Unlock()
	if element, ok := c.byKey[key]; ok {
		c.remove(element)
	}
	e := &cacheEntry{key: key, value: v}
	c.byKey[key] = c.order.PushFront(e)
	for c.bytes += e.size(); c.bytes > maxCached; {
		c.remove(c.order.Back())
	}
}

func (c *cache) remove(element *list.Element) {
	e := c.order.Remove(element).(*cacheEntry) //nolint:errcheck // the list holds nothing else
	delete(c.byKey, e.key)
	c.bytes -= e.size()
}
