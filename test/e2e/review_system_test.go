package e2e_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	parserv1 "witan.dev/gen/witan/parser/v1"
	retrievalv1 "witan.dev/gen/witan/retrieval/v1"
	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/auth"
	blobsqlite "witan.dev/internal/blob/sqlite"
	"witan.dev/internal/bus/inprocess"
	"witan.dev/internal/database/sqlite"
	"witan.dev/internal/finding"
	"witan.dev/internal/git"
	"witan.dev/internal/job"
	"witan.dev/internal/job/engine/dbos"
	jobsqlite "witan.dev/internal/job/sqlite"
	"witan.dev/internal/job/watch"
	"witan.dev/internal/rpc"
	"witan.dev/internal/secret"
	jobsserver "witan.dev/services/jobs/server"
	"witan.dev/services/parser"
	"witan.dev/services/parser/enry"
	parserserver "witan.dev/services/parser/server"
	"witan.dev/services/parser/treesitter"
	"witan.dev/services/retrieval"
	"witan.dev/services/retrieval/gittree"
	"witan.dev/services/retrieval/parserclient"
	retrievalserver "witan.dev/services/retrieval/server"
	"witan.dev/services/retrieval/snapshots"
	retrievalsqlite "witan.dev/services/retrieval/store/sqlite"
	"witan.dev/services/retrieval/vek"
	retrievalworker "witan.dev/services/retrieval/worker"
	"witan.dev/services/review"
	reviewgit "witan.dev/services/review/git"
	"witan.dev/services/review/peers"
	"witan.dev/services/review/reviewers/secrets"
	"witan.dev/services/review/reviewers/structure"
	"witan.dev/services/review/reviewers/tests"
	reviewserver "witan.dev/services/review/server"
	reviewsqlite "witan.dev/services/review/store/sqlite"
	reviewworker "witan.dev/services/review/worker"
)

const folderToken = "a-folder-token"

// reviewSystem is everything that a review needs, in one process, with services that talk gRPC in memory. The council is
// the given one, so that a test can script its votes.
type reviewSystem struct {
	Client reviewv1.ReviewServiceClient
	Jobs   *job.Manager
	Data   string
	hub    *watch.Hub
}

// scriptedCouncil is a review.Council without models unless a test gives it some.
type scriptedCouncil struct {
	info    review.CouncilInfo
	verdict func(t review.CouncilTask) review.Verdict
	tasks   chan review.CouncilTask
	last    review.CouncilTask
}

func (c *scriptedCouncil) Describe(context.Context, string) (review.CouncilInfo, error) {
	return c.info, nil
}

func (c *scriptedCouncil) Estimate(_ context.Context, t review.CouncilTask) (review.Estimate, error) {
	e := review.Estimate{}
	for i := range t.Parts {
		e.Tokens.Expected += int64(t.Parts[i].Tokens)
	}
	e.Tokens.High = 2 * e.Tokens.Expected
	return e, nil
}

func (c *scriptedCouncil) Deliberate(_ context.Context, t review.CouncilTask) (review.Deliberation, error) {
	c.last = t
	if c.tasks != nil {
		c.tasks <- t
	}
	return review.Deliberation{Name: "deliberations/scripted", Job: "jobs/scripted"}, nil
}

func (c *scriptedCouncil) Verdict(context.Context, string) (review.Verdict, error) {
	if c.verdict != nil {
		return c.verdict(c.last), nil
	}
	v := review.Verdict{Quorum: true, Summary: "scripted"}
	for i := range c.last.Proposals {
		p := &c.last.Proposals[i]
		v.Proposals = append(v.Proposals, outside(p))
		v.Findings = append(v.Findings, review.CouncilFinding{
			ID: "F" + p.ID, Representative: p.ID, Proposals: []string{p.ID}, Severity: p.Severity, Outcome: finding.Published,
			Tally: finding.Tally{Confirmed: 1, Proposed: 1, Planned: 1, Required: 1},
			Votes: []finding.Vote{{Voter: p.Source, Choice: finding.Confirmed, Proposed: true, Counted: true, Severity: p.Severity}},
		})
	}
	return v, nil
}

func outside(p *review.Proposal) review.CouncilProposal {
	return review.CouncilProposal{
		ID: p.ID, Source: p.Source, Outside: true, Path: p.Location.Path, StartLine: p.Location.StartLine, Side: p.Location.Side,
		Code: p.Location.Code, Category: string(p.Category), Severity: p.Severity, Claim: p.Claim, Reason: p.Reason,
	}
}

// jobsBeside answers for the scripted deliberation and passes everything else on.
type jobsBeside struct{ review.Jobs }

func (j jobsBeside) Wait(ctx context.Context, name string) (review.JobState, error) {
	if name == "jobs/scripted" {
		return review.JobState{State: "SUCCEEDED"}, nil
	}
	return j.Jobs.Wait(ctx, name)
}

func (j jobsBeside) Retry(ctx context.Context, name, requestID string) error {
	if name == "jobs/scripted" {
		return nil
	}
	return j.Jobs.Retry(ctx, name, requestID)
}

func startReviews(t *testing.T, council review.Council, change ...func(*reviewworker.Params)) *reviewSystem {
	t.Helper()
	data := t.TempDir()
	ctx, logger := context.WithoutCancel(t.Context()), slog.New(slog.DiscardHandler)
	db, err := sqlite.Open(ctx, filepath.Join(data, "witan.db"), logger)
	require.NoError(t, err)
	engine, err := dbos.NewSQLite(ctx, db, logger)
	require.NoError(t, err)
	bus := inprocess.New()
	store := jobsqlite.New(db, nil)
	jobs := job.NewManager(store, engine, bus, logger, job.Config{})
	hub := watch.NewHub(store, bus, nil, logger)
	require.NoError(t, hub.Start(ctx))
	server, err := rpc.NewServer(rpc.Config{}, rpc.Deps{
		Logger: logger, Metrics: prometheus.NewRegistry(), Auth: auth.NewFolder(secret.New(folderToken)),
	})
	require.NoError(t, err)
	conn, err := server.InProcess(secret.New(folderToken))
	require.NoError(t, err)
	extractor := treesitter.New()

	scanner, err := secrets.New([]byte("0123456789abcdef0123456789abcdef"))
	require.NoError(t, err)
	index := retrievalsqlite.New(db)
	blobs := blobsqlite.New(db, nil)
	uploaded := snapshots.New(blobs, "")
	trees, parsing := retrieval.Masked(retrieval.Either(gittree.New(""), uploaded), scanner), parserclient.New(conn)
	jobs.Handle(job.KindIndex, 2, retrievalworker.New(retrievalworker.Params{Store: index, Rankings: retrieval.NewStored(index, vek.Products), Trees: trees, Parser: parsing, Logger: logger}).Body)

	g, err := git.New(git.Params{})
	require.NoError(t, err)
	repository := reviewgit.NewRepository(g, blobs, filepath.Join(data, "frozen"))
	reviews, graph := reviewsqlite.NewStore(db), peers.NewIndex(conn)
	code := peers.NewParser(conn)
	params := reviewworker.Params{
		Repository: repository, Parser: code, Index: graph, Council: council, Jobs: jobsBeside{peers.NewJobs(conn)},
		Store: reviews, Blobs: blobs, Secrets: scanner, Reviewers: []review.Reviewer{scanner, structure.New(code, graph), tests.New()}, Logger: logger,
		Limits: reviewworker.Limits{Retry: 10 * time.Millisecond}, Ledger: reviews, Subjects: reviews, States: jobs.StatesTx,
		Snapshots: reviewgit.NewSnapshots(g, blobs, nil),
	}
	for _, c := range change {
		c(&params)
	}
	jobs.Handle(job.KindReview, 4, reviewworker.New(params).Body)

	require.NoError(t, server.Register(func(r grpc.ServiceRegistrar) {
		parserv1.RegisterParserServiceServer(r, parserserver.New(parser.NewService(enry.Detector{}, extractor, logger)))
		retrievalv1.RegisterRetrievalServiceServer(r, retrievalserver.New(retrievalserver.Params{
			Catalog: index, Library: retrieval.NewLibrary(retrieval.LibraryParams{Store: index, Rankings: retrieval.NewStored(index, vek.Products)}), Trees: trees, Parser: parsing, Jobs: jobs,
			Snapshots: uploaded, Blobs: blobs,
		}))
		jobsserver.New(jobsserver.Params{Jobs: jobs, Watcher: hub}).Register(r)
		reviewserver.New(reviewserver.Params{
			Jobs: jobs, Store: reviews, Repository: params.Repository, Blobs: blobs, Council: council, Version: "test",
			Ledger: reviews, Forge: params.Forge != nil, Subjects: reviews, Logger: logger, Secrets: scanner,
		}).Register(r)
	}))
	require.NoError(t, server.Start(ctx))
	require.NoError(t, jobs.Start(ctx))
	t.Cleanup(func() {
		stopping, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		require.NoError(t, jobs.Stop(stopping))
		require.NoError(t, conn.Close())
		require.NoError(t, server.Stop(stopping))
		require.NoError(t, hub.Stop(stopping))
		extractor.Close()
		require.NoError(t, uploaded.Close())
		require.NoError(t, db.Close())
	})
	return &reviewSystem{Client: reviewv1.NewReviewServiceClient(conn), Jobs: jobs, Data: data, hub: hub}
}

// review starts a review, waits for its end and returns it in full with its job.
func (s *reviewSystem) review(t *testing.T, source *reviewv1.Source) (*reviewv1.Review, job.Job) {
	t.Helper()
	made, err := s.Client.CreateReview(t.Context(), &reviewv1.CreateReviewRequest{Review: &reviewv1.Review{
		Source: source, Publish: source.GetPullRequest() != nil, // what is not published leaves nothing to later reviews
	}})
	require.NoError(t, err)
	ended := s.wait(t, job.ID(strings.TrimPrefix(made.GetJob(), "jobs/")))
	full, err := s.Client.GetReview(t.Context(), &reviewv1.GetReviewRequest{Name: made.GetName()})
	require.NoError(t, err)
	return full, ended
}

func (s *reviewSystem) wait(t *testing.T, id job.ID) job.Job {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute) // a review of hundreds of files, beside other tests
	defer cancel()
	viewer, err := s.hub.Open(ctx, id, 0)
	require.NoError(t, err)
	defer viewer.Close()
	for {
		events, err := viewer.Next(ctx)
		require.NoError(t, err)
		for _, e := range events {
			if e.Final {
				j, err := s.Jobs.Get(ctx, id, "")
				require.NoError(t, err)
				return j
			}
		}
	}
}

func gitRange(dir, base, head string) *reviewv1.Source {
	return &reviewv1.Source{Source: &reviewv1.Source_GitRange{GitRange: &reviewv1.GitRange{Dir: dir, Base: base, Head: head}}}
}
