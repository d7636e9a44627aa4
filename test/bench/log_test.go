package bench_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	councilv1 "witan.dev/gen/witan/council/v1"
	"witan.dev/internal/job"
)

// piece is an event of a text that is being written, about 600 bytes long.
func piece(b *testing.B, n int64) job.NewEvent {
	b.Helper()
	payload, err := proto.MarshalOptions{Deterministic: true}.Marshal(&councilv1.CouncilEvent{Event: &councilv1.CouncilEvent_MemberDelta{
		MemberDelta: &councilv1.MemberDelta{Stage: "answer", Member: "m1", Attempt: 1, Offset: 570 * n, Text: strings.Repeat("a line of an answer ", 28)},
	}})
	if err != nil {
		b.Error(err)
	}
	return job.NewEvent{Key: fmt.Sprintf("answer/delta/m1/%d", n), Type: "council.member_delta", Payload: payload}
}

// jobsThatWrite starts a system with n running jobs and gives the runs to use, until release.
func jobsThatWrite(b *testing.B, n int, p params) (s *system, runs []*job.Run, release func()) {
	b.Helper()
	begun, over := make(chan *job.Run), make(chan struct{})
	p.bodies = n
	p.body = func(r *job.Run) error {
		begun <- r
		<-over
		return r.Finish(context.WithoutCancel(r.Context()), job.Outcome{State: job.StateSucceeded})
	}
	s = setup(b, p)
	for range n {
		_, _, err := s.jobs.Create(b.Context(), job.Creation{ID: job.NewID(), Kind: job.KindDelivery, Owner: owner})
		require.NoError(b, err)
		runs = append(runs, <-begun)
	}
	return s, runs, func() { close(over) }
}

// BenchmarkEvents appends events of about 600 bytes to the logs of running jobs; every writer waits for its commit before
// it appends the next. Beside it the same bytes are inserted into a bare table: by one transaction for each, and by the
// shared commits that the log uses as well.
func BenchmarkEvents(b *testing.B) {
	for _, writers := range []int{1, 8, 32} {
		b.Run(fmt.Sprintf("log/writers=%d", writers), func(b *testing.B) {
			_, runs, release := jobsThatWrite(b, writers, params{})
			defer release()
			write(b, writers, func(writer int, n int64) error { return runs[writer].Append(b.Context(), piece(b, n)) })
		})
		b.Run(fmt.Sprintf("bare-shared/writers=%d", writers), func(b *testing.B) {
			s := bareTable(b)
			write(b, writers, func(_ int, n int64) error {
				return s.db.Write(b.Context(), func(ctx context.Context, tx *sql.Tx) error { return insert(ctx, tx, piece(b, n)) })
			})
		})
		b.Run(fmt.Sprintf("bare-alone/writers=%d", writers), func(b *testing.B) {
			s := bareTable(b)
			write(b, writers, func(_ int, n int64) error { return insertAlone(b.Context(), s.db.Writer(), piece(b, n)) })
		})
	}
}

// write does fn b.N times from several writers and reports the rate and how long one waits.
func write(b *testing.B, writers int, fn func(writer int, n int64) error) {
	b.Helper()
	var next atomic.Int64
	times := make([][]time.Duration, writers)
	var wg sync.WaitGroup
	b.ResetTimer()
	for w := range writers {
		wg.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				start := time.Now()
				if err := fn(w, n); err != nil {
					b.Error(err)
					return
				}
				times[w] = append(times[w], time.Since(start))
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	var all []time.Duration
	for _, t := range times {
		all = append(all, t...)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	reportTimes(b, "append", all)
}

func bareTable(b *testing.B) *system {
	b.Helper()
	s := setup(b, params{})
	require.NoError(b, s.db.Write(b.Context(), func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "CREATE TABLE bare (id INTEGER PRIMARY KEY, name TEXT NOT NULL, payload BLOB NOT NULL)")
		return err
	}))
	return s
}

func insert(ctx context.Context, tx *sql.Tx, e job.NewEvent) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO bare (name, payload) VALUES (?, ?)", e.Key, e.Payload)
	return err
}

func insertAlone(ctx context.Context, writer *sql.DB, e job.NewEvent) error {
	tx, err := writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := insert(ctx, tx, e); err != nil {
		return err
	}
	return tx.Commit()
}
