package main

import (
	"context"
	"errors"
	"time"

	"witan.dev/internal/job"
	"witan.dev/services/council"
	councilblobs "witan.dev/services/council/blobs"
	"witan.dev/services/retrieval"
	retrievalmessages "witan.dev/services/retrieval/messages"
	"witan.dev/services/review/events"
	reviewgit "witan.dev/services/review/git"
	"witan.dev/services/review/publish"
	reviewwire "witan.dev/services/review/wire"
)

// collectContents is how many contents of removed indexes one round of housekeeping looks at.
const collectContents = 2000

// takeCustody tells the job layer what belongs to the jobs of each kind, whichever services this process has: a job is
// deleted with all of it, in one transaction.
func takeCustody(p parts) {
	keeper := council.NewKeeper(council.Params{Store: p.councils, Jobs: p.jobs, Blobs: councilblobs.New(p.blobs)})
	p.jobs.OnDelete(job.KindCouncil, job.Remover{Tx: keeper.Remove})
	p.jobs.OnRetry(job.KindCouncil, keeper.CheckRetry)
	p.jobs.OnHousekeeping(keeper.RemoveExpired)

	frozen := reviewgit.NewRepository(nil, nil, p.frozen)
	p.jobs.OnDelete(job.KindReview, job.Remover{
		Tx: func(ctx context.Context, tx job.Tx, j job.Job) error {
			if err := p.blobs.ReleaseTx(ctx, tx, reviewwire.ReviewName(j.ID)); err != nil {
				return err
			}
			return p.reviews.Delete(ctx, tx, j.ID)
		},
		After: func(ctx context.Context, j job.Job) error { return frozen.Release(ctx, j.ID) },
	})

	p.jobs.OnGivenUp(job.KindReview, func(ctx context.Context, j job.Job) error {
		return events.EndGivenUp(ctx, p.jobs, p.reviews, publish.NewKeys(p.key), j)
	})

	release := func(ctx context.Context, tx job.Tx, j job.Job) error {
		return p.blobs.ReleaseTx(ctx, tx, reviewwire.JobName(j.ID))
	}
	p.jobs.OnDelete(job.KindDelivery, job.Remover{Tx: release})
	p.jobs.OnGivenUp(job.KindDelivery, func(ctx context.Context, j job.Job) error {
		return p.reviews.Write(ctx, func(ctx context.Context, tx job.Tx) error { return release(ctx, tx, j) })
	})

	remover := job.Remover{
		Tx: func(ctx context.Context, tx job.Tx, j job.Job) error {
			if err := p.blobs.ReleaseTx(ctx, tx, retrievalmessages.Name(retrieval.ID(j.ID))); err != nil {
				return err
			}
			return p.indexes.Delete(ctx, tx, retrieval.ID(j.ID))
		},
	}
	if p.search != nil {
		remover = sweeping(p, remover)
	}
	p.jobs.OnDelete(job.KindIndex, remover)
	p.jobs.OnHousekeeping(func(ctx context.Context, _ time.Time) error {
		_, err := p.indexes.Collect(ctx, collectContents)
		return err
	})
}

// sweeping takes out of the search index what a deleted index named alone.
func sweeping(p parts, remover job.Remover) job.Remover {
	sweeper := retrieval.NewSweeper(p.search, p.indexes)
	p.jobs.OnHousekeeping(func(ctx context.Context, _ time.Time) error { return sweeper.Sweep(ctx) })
	return job.Remover{
		Tx: func(ctx context.Context, tx job.Tx, j job.Job) error {
			index, err := p.indexes.Get(ctx, retrieval.ID(j.ID))
			if err == nil {
				sweeper.Deleting(index)
			} else if !errors.Is(err, retrieval.ErrIndexNotFound) {
				return err
			}
			return remover.Tx(ctx, tx, j)
		},
		After: func(_ context.Context, j job.Job) error {
			sweeper.Deleted(retrieval.ID(j.ID))
			return nil
		},
	}
}
