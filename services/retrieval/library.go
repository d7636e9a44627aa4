package retrieval

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	// maxViews is how many views are kept in memory: a view of 50,000 files takes some 15 MB.
	maxViews = 8
	// awayFor is how long rankings that did not answer are left alone, so that not every search waits for them.
	awayFor = 5 * time.Second
)

// Why a search was answered by Params.Fallback.
const (
	degradedAway   = "the search index does not answer: ranked by the database"
	degradedFilled = "the search index is being filled with this repository: ranked by the database"
)

// Library answers questions about ready indexes. Safe for concurrent use.
type Library struct {
	p LibraryParams

	mu       sync.Mutex
	loaded   []*View // most recently used last
	awayTill time.Time
}

// LibraryStore is what a Library reads.
type LibraryStore interface {
	Catalog
	Codes
	Views
}

// LibraryParams are the parts of a Library.
type LibraryParams struct {
	Store LibraryStore
	// Rankings rank.
	Rankings Rankings
	// Fallback ranks while Rankings does not answer, or lacks what a view holds; nil where Rankings is never away.
	Fallback Rankings
	// Filler puts what Rankings lacks into it. It is needed where there is a Fallback.
	Filler *Filler
	Logger *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// NewLibrary returns a library.
func NewLibrary(p LibraryParams) *Library {
	if p.Now == nil {
		p.Now = time.Now
	}
	return &Library{p: p}
}

// Index returns the owner's index. A foreign one is ErrIndexNotFound.
func (l *Library) Index(ctx context.Context, owner string, id ID) (Index, error) {
	index, err := l.p.Store.Get(ctx, id)
	if err != nil {
		return Index{}, err
	}
	if index.Owner != owner {
		return Index{}, fmt.Errorf("index %s: %w", id, ErrIndexNotFound)
	}
	return index, nil
}

// view returns the view of an owner's index. Errors: ErrIndexNotFound, ErrIndexNotReady.
func (l *Library) view(ctx context.Context, owner string, id ID) (*View, error) {
	index, err := l.Index(ctx, owner, id)
	if err != nil {
		return nil, err
	}
	if index.State != Ready {
		return nil, ErrIndexNotReady.With("index", string(id))
	}
	if v := l.cached(id); v != nil {
		return v, nil
	}
	files, err := l.p.Store.Files(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("read the view: %w", err)
	}
	rarity, err := l.p.Store.Rarity(ctx, id)
	if err != nil {
		return nil, err
	}
	v := NewView(index, files, rarity)
	l.keep(v)
	return v, nil
}

func (l *Library) cached(id ID) *View {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, v := range l.loaded {
		if v.index.ID == id {
			l.loaded = append(append(l.loaded[:i:i], l.loaded[i+1:]...), v)
			return v
		}
	}
	return nil
}

func (l *Library) keep(v *View) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.loaded = append(l.loaded, v); len(l.loaded) > maxViews {
		l.loaded = l.loaded[1:]
	}
}

// ranker ranks for one question in one view.
type ranker struct {
	*Library

	view *View
	// degraded says why the fallback has been asked; empty when it has not.
	degraded string
}

// rank asks the rankings; where they do not answer, the fallback for this question and for the rest of the question.
func (r *ranker) rank(ctx context.Context, ask func(Rankings) ([]Scored, error)) ([]Scored, error) {
	if r.p.Fallback == nil {
		return ask(r.p.Rankings)
	}
	if r.degraded == "" {
		ranked, err := r.first(ctx, ask)
		if r.degraded == "" {
			return ranked, err
		}
	}
	return ask(r.p.Fallback)
}

// first asks the rankings, or says why they cannot be asked.
func (r *ranker) first(ctx context.Context, ask func(Rankings) ([]Scored, error)) (ranked []Scored, err error) {
	if r.away() {
		r.degraded = degradedAway
		return nil, nil
	}
	held := r.view.held.Load()
	if !held {
		held, err = r.p.Rankings.Holds(ctx, r.view.Scope(), sampleFiles(r.view.files))
	}
	switch {
	case err == nil && !held:
		r.p.Filler.ask(r.view)
		r.degraded = degradedFilled
		return nil, nil
	case err == nil:
		r.view.held.Store(true)
		ranked, err = ask(r.p.Rankings)
	}
	if err != nil && ctx.Err() == nil && errors.Is(err, ErrRankingsAway) {
		r.p.Logger.WarnContext(ctx, "a search is answered without the search index", "error", err)
		r.view.held.Store(false) // what comes back may be empty
		r.leaveAlone()
		r.degraded = degradedAway
		return nil, nil
	}
	return ranked, err
}

// heldSample is how many files of a view are looked for before a first search.
const heldSample = 64

func sampleFiles(files []File) []File {
	sample := make([]File, 0, heldSample)
	for _, i := range Sample(len(files), heldSample) {
		sample = append(sample, files[i])
	}
	return sample
}

func (l *Library) away() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.p.Now().Before(l.awayTill)
}

func (l *Library) leaveAlone() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.awayTill = l.p.Now().Add(awayFor)
}
