package main

import (
	"context"
	"time"

	"witan.dev/internal/job"
	"witan.dev/services/council"
	councilblobs "witan.dev/services/council/blobs"
	"witan.dev/services/retrieval"
	retrievalmessages "witan.dev/services/retrieval/messages"
	reviewgit "witan.dev/services/review/git"
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

	p.jobs.OnDelete(job.KindIndex, job.Remover{
		Tx: func(ctx context.Context, tx job.Tx, j job.Job) error {
			if err := p.blobs.ReleaseTx(ctx, tx, retrievalmessages.Name(retrieval.ID(j.ID))); err != nil {
				return err
			}
			return p.indexes.Delete(ctx, tx, retrieval.ID(j.ID))
		},
	})
	p.jobs.OnHousekeeping(func(ctx context.Context, _ time.Time) error {
		_, err := p.indexes.Collect(ctx, collectContents)
		return err
	})
}
