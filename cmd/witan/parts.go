package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"witan.dev/internal/auth"
	"witan.dev/internal/certs"
	"witan.dev/internal/config"
	"witan.dev/internal/git"
	"witan.dev/internal/job"
	"witan.dev/internal/job/watch"
	"witan.dev/internal/lifecycle"
	"witan.dev/internal/llm"
	"witan.dev/internal/llm/metrics"
	"witan.dev/internal/llm/openai"
	"witan.dev/internal/llm/simulated"
	"witan.dev/internal/rpc"
	"witan.dev/internal/secret"
	webhookmetrics "witan.dev/internal/webhook/metrics"
	"witan.dev/services/council"
	councilblobs "witan.dev/services/council/blobs"
	councilserver "witan.dev/services/council/server"
	councilwire "witan.dev/services/council/wire"
	councilworker "witan.dev/services/council/worker"
	ingestserver "witan.dev/services/ingest/server"
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
	"witan.dev/services/retrieval/vek"
	retrievalworker "witan.dev/services/retrieval/worker"
	"witan.dev/services/review"
	"witan.dev/services/review/events"
	reviewgit "witan.dev/services/review/git"
	"witan.dev/services/review/github"
	"witan.dev/services/review/github/mirror"
	"witan.dev/services/review/peers"
	"witan.dev/services/review/publish"
	"witan.dev/services/review/repoconfig"
	"witan.dev/services/review/reviewers/history"
	"witan.dev/services/review/reviewers/secrets"
	"witan.dev/services/review/reviewers/structure"
	"witan.dev/services/review/reviewers/tests"
	reviewserver "witan.dev/services/review/server"
	"witan.dev/services/review/starter"
	reviewworker "witan.dev/services/review/worker"
)

// parts are what the services are built from.
type parts struct {
	*backend

	config  config.Config
	environ []string
	logger  *slog.Logger
	roles   roles
	conn    grpc.ClientConnInterface
	callers grpc.ClientConnInterface // see system
	certs   *certs.Certs
	metrics prometheus.Registerer
	// webhooks counts what senders are told; nil where none reach this process.
	webhooks *webhookmetrics.Metrics
	stack    *lifecycle.Stack
	// jobs and hub are there in processes with state.
	jobs *job.Manager
	hub  *watch.Hub
}

// service is what a service adds to the process: its RPCs, and the body of its jobs where it has some.
type service struct {
	register func(grpc.ServiceRegistrar)
	body     job.Body
	// edge takes webhooks at an address of its own; nil: there is none.
	edge *ingestserver.Edge
	// deliveries is the body of jobs of kind delivery, which share the queue of reviews; nil: it has none.
	deliveries job.Body
}

// draining stops jobs within the drain limit, whatever time the rest of the stop has.
type draining struct {
	*job.Manager

	limit time.Duration
}

// Stop lets running steps go on at most for the limit.
func (d draining) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, d.limit)
	defer cancel()
	return d.Manager.Stop(ctx)
}

func newParser(_ context.Context, p parts) (service, error) {
	others := 0
	if len(p.roles.services) > 1 {
		others = 1 // webhooks and viewers would wait for whole files otherwise: goroutines that parse give way every 10 ms at best
	}
	return parserService(p.stack, treesitter.NewBeside(others), p.logger), nil
}

func parserService(stack *lifecycle.Stack, extractor *treesitter.Extractor, logger *slog.Logger) service {
	stack.Defer("parsers", func(context.Context) error { extractor.Close(); return nil })
	s := parserserver.New(parser.NewService(enry.Detector{}, extractor, logger))
	return service{register: s.Register}
}

func newRetrieval(ctx context.Context, p parts) (service, error) {
	leaks, err := secrets.New(p.key)
	if err != nil {
		return service{}, err
	}
	uploaded := snapshots.New(p.blobs, "")
	p.stack.Defer("unpacked snapshots", func(context.Context) error { return uploaded.Close() })
	trees := retrieval.Masked(retrieval.Either(gittree.New("git"), uploaded), leaks)
	client := parserclient.New(p.conn)
	library, err := p.library(ctx)
	if err != nil {
		return service{}, err
	}
	server := retrievalserver.New(retrievalserver.Params{
		Catalog: p.indexes, Library: retrieval.NewLibrary(library), Trees: trees, Snapshots: uploaded, Blobs: p.blobs, Parser: client, Jobs: p.jobs,
	})
	worker := retrievalworker.New(retrievalworker.Params{
		Store: p.indexes, Rankings: library.Rankings, Trees: trees, Parser: client, Logger: p.logger,
	})
	return service{register: server.Register, body: worker.Body}, nil
}

// library says what searches read: Qdrant where one is configured, and the database where it does not answer.
func (p parts) library(ctx context.Context) (retrieval.LibraryParams, error) {
	stored := retrieval.NewStored(p.indexes, vek.Products)
	if p.search == nil {
		return retrieval.LibraryParams{Store: p.indexes, Rankings: stored, Logger: p.logger}, nil
	}
	filler := retrieval.NewFiller(p.search, p.logger)
	return retrieval.LibraryParams{Store: p.indexes, Rankings: p.search, Fallback: stored, Filler: filler, Logger: p.logger},
		p.stack.Start(ctx, "search index filler", filler)
}

func newCouncil(ctx context.Context, p parts) (service, error) {
	registry, err := newModels(ctx, p)
	if err != nil {
		return service{}, err
	}
	presets, err := councilwire.Presets(p.config.Councils)
	if err != nil {
		return service{}, err
	}
	blobs := councilblobs.New(p.blobs)
	manager, err := council.NewManager(council.Params{
		Store: p.councils, Jobs: p.jobs, Models: registry, Presets: presets, Blobs: blobs, Temporary: p.config.Retention.Temporary,
	})
	if err != nil {
		return service{}, err
	}
	worker := councilworker.New(councilworker.Params{Store: p.councils, Models: registry, Blobs: blobs, Logger: p.logger})
	return service{register: councilserver.New(manager).Register, body: worker.Body}, nil
}

func newJobs(_ context.Context, p parts) (service, error) {
	t := p.config.Streams
	server := jobsserver.New(jobsserver.Params{
		Jobs: p.jobs, Watcher: p.hub, Creators: jobsserver.NewCreators(p.callers),
		Config: jobsserver.Config{Heartbeat: t.Heartbeat, MaxAge: t.MaxAge, Grace: t.Grace},
	})
	return service{register: server.Register}, nil
}

// newModels makes the configured models; without any, those that the environment offers.
func newModels(ctx context.Context, p parts) (*llm.Registry, error) {
	adapter := openai.NewAdapter()
	p.stack.Defer("models", func(context.Context) error { adapter.Close(); return nil })
	var configured []llm.Config
	for _, m := range p.config.Models {
		configured = append(configured, modelConfig(m))
	}
	if len(configured) == 0 {
		configured = discover(ctx, p.environ, adapter).Models
	}
	measured, err := metrics.New(p.metrics)
	if err != nil {
		return nil, err
	}
	return llm.NewRegistry(llm.RegistryParams{
		Configs:   configured,
		Providers: map[string]llm.Provider{"openai": adapter.Model, "simulated": simulated.NewAdapter().Model},
		Wrap:      measured.Wrap,
	})
}

func modelConfig(m config.Model) llm.Config {
	c := llm.Config{
		Name: m.Name, Provider: m.Provider, BaseURL: m.BaseURL, Model: m.Model, APIKey: m.APIKey,
		ContextTokens: m.ContextTokens, MaxOutputTokens: m.MaxOutputTokens, JSONSchema: m.JSONSchema, Script: m.Script,
	}
	if m.Price != nil {
		c.Price = &llm.Price{InputPerMillion: m.Price.InputPerMillion, OutputPerMillion: m.Price.OutputPerMillion, Currency: m.Price.Currency}
	}
	return c
}

func newReview(ctx context.Context, p parts) (service, error) {
	leaks, err := secrets.New(p.key)
	if err != nil {
		return service{}, err
	}
	g, err := git.New(git.Params{Env: p.environ, IndexFile: config.Getenv(p.environ, "GIT_INDEX_FILE")})
	if err != nil {
		return service{}, err
	}
	local := reviewgit.NewRepository(g, p.blobs, p.frozen)
	if err := local.Sweep(ctx, p.jobs.States); err != nil { // costs space only
		p.logger.WarnContext(ctx, "frozen work of earlier reviews was not removed", "error", err)
	}
	parser, index, members := peers.NewParser(p.conn), peers.NewIndex(p.conn), peers.NewCouncil(p.conn, 0)
	limits := reviewworker.Limits{
		ContextTokens: p.config.Context.Tokens, Debounce: p.config.Reviews.Debounce, DebounceMax: p.config.Reviews.DebounceMax,
		Patience: p.config.Reviews.Patience, CouncilPauses: reviewworker.CouncilPauses(p.config.Reviews.CouncilPause), Budgets: budgets(p.config.Reviews), AtOnce: p.roles.atOnce(job.KindReview, p.config.Workers),
	}
	if !p.config.Context.Enabled || p.config.Context.Tokens == 0 {
		limits.ContextTokens = -1
	}
	hub, err := newGitHub(p)
	if err != nil {
		return service{}, err
	}
	repository, err := newMirror(ctx, p, g, local, hub)
	if err != nil {
		return service{}, err
	}
	reviewers := []review.Reviewer{leaks, structure.New(parser, index), tests.New(), history.New(repository)}
	var forge review.Forge
	var publisher publish.Forge
	var host string
	if hub != nil {
		forge, publisher, host = hub, github.NewWriter(hub), hub.Host()
	}
	snapshots := reviewgit.NewSnapshots(g, p.blobs, repository.Ready)
	configuration := repositoryConfiguration(reviewers, leaks, limits.ContextTokens)
	worker := reviewworker.New(reviewworker.Params{
		Forge: forge, Publisher: publisher, PublishKeys: publish.NewKeys(p.key), JobURL: jobURL(p.config.PublicURL),
		Configuration: configuration,
		Snapshots:     snapshots,
		Repository:    repository, Parser: parser, Index: index, Council: members, Jobs: peers.NewJobs(p.conn), Store: p.reviews,
		Blobs: p.blobs, Secrets: leaks, Reviewers: reviewers, Logger: p.logger,
		EndLater: func(ctx context.Context, owner, requestID string, late events.LateCheck) error {
			return events.EndLater(ctx, p.jobs, owner, requestID, late)
		},
		Wait: looks(p.config.GitHub.ListLag), Limits: limits, Subjects: p.reviews, States: p.jobs.StatesTx, Ledger: p.reviews, Version: version(),
	})
	server := reviewserver.New(reviewserver.Params{
		Jobs: p.jobs, Store: p.reviews, Repository: repository, Blobs: p.blobs, Council: members, Version: version(),
		Subjects: p.reviews, Ledger: p.reviews, Logger: p.logger, Forge: hub != nil, Host: host,
		ForgeOwner: forgeOwner(p.config), App: p.config.GitHub.Name, Secrets: leaks,
	})
	deliveries := events.New(events.Params{
		Jobs: peers.NewJobs(p.conn), Store: p.reviews, Subjects: p.reviews, Ledger: p.reviews, Repository: repository, Advisor: members,
		Starter: starter.New(starter.Params{Jobs: p.jobs, Store: p.reviews, Subjects: p.reviews, Logger: p.logger, Clock: time.Now}),
		Forge:   forge, Publisher: publisher, Keys: publish.NewKeys(p.key), JobURL: jobURL(p.config.PublicURL), Configuration: configuration,
		Secrets: leaks, Logger: p.logger,
		Patience: p.config.Reviews.Patience, Kept: p.jobs, Wait: looks(p.config.GitHub.ListLag), Budgets: budgets(p.config.Reviews),
		Host: host, Indexes: index, Snapshots: snapshots, Blobs: p.blobs, Calm: p.config.Reviews.Debounce, CalmMax: p.config.Reviews.DebounceMax,
	})
	return service{register: server.Register, body: worker.Body, deliveries: deliveries.Body}, nil
}

// forgeOwner is the owner of webhooks where the configuration names one: the credentials for the forge are that owner's then.
func forgeOwner(c config.Config) string {
	if c.Webhooks.GitHub.Owner == auth.LocalOwner {
		return ""
	}
	return c.Webhooks.GitHub.Owner
}

// looks pauses between looks for what may have been written to a forge whose lists lag. The pauses are asked for as for the
// usual lag.
func looks(lag time.Duration) func(ctx context.Context, d time.Duration) error {
	usual := config.Default().GitHub.ListLag
	return func(ctx context.Context, d time.Duration) error {
		t := time.NewTimer(time.Duration(float64(d) * float64(lag) / float64(usual)))
		defer t.Stop()
		select {
		case <-t.C:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// jobURL is where people look at a job, nil where nobody said how the page is reached.
func jobURL(public string) func(job.ID) string {
	if public == "" {
		return nil
	}
	return func(id job.ID) string { return strings.TrimSuffix(public, "/") + "/#/jobs/" + string(id) }
}

// newGitHub is the client of the configured GitHub, nil where there are no credentials.
func newGitHub(p parts) (*github.Client, error) {
	client, err := githubClient(p.config.GitHub, 0)
	if err == nil && client != nil {
		p.stack.Defer("GitHub", func(context.Context) error { client.Close(); return nil })
	}
	return client, err
}

// newMirror reads pull requests through a cache of repositories, and everything else from this machine.
func newMirror(ctx context.Context, p parts, g *git.Git, local mirror.Local, hub *github.Client) (*mirror.Repository, error) {
	params := mirror.Params{Git: g, Local: local, Dir: cmp.Or(p.config.GitHub.Cache, p.mirrors), Logger: p.logger}
	if hub == nil {
		return mirror.New(params), nil
	}
	params.Remote = hub
	repository := mirror.New(params)
	return repository, p.stack.Start(ctx, "cache of repositories", mirror.NewSweeper(repository))
}

// timeout bounds each request; 0 means the client's own.
func githubClient(c config.GitHub, timeout time.Duration) (*github.Client, error) {
	if !c.Configured() {
		return nil, nil //nolint:nilnil // there need not be one
	}
	pace := c.WritePace
	if pace == 0 {
		pace = -1
	}
	client, err := github.NewClient(github.Params{
		BaseURL: c.BaseURL, AppID: c.AppID, PrivateKey: c.PrivateKey, Installation: c.Installation, Token: c.Token,
		WriteToken: c.WriteToken, User: c.User, Name: c.Name, WritePace: pace, Timeout: timeout,
	})
	if err != nil {
		return nil, fmt.Errorf("configuration:\ngithub: %w", err)
	}
	return client, nil
}

func budgets(r config.Reviews) review.Budgets {
	of := func(b config.Budget) review.Budget { return review.Budget{Tokens: b.Tokens, CostMicros: b.CostMicros} }
	return review.Budgets{Review: of(r.Budget), SubjectDay: of(r.DayBudget), RepositoryMonth: of(r.MonthBudget)}
}

// repositoryConfiguration reads what repositories say of their reviews.
func repositoryConfiguration(reviewers []review.Reviewer, leaks *secrets.Reviewer, contextTokens int) *repoconfig.Reader {
	names := make([]string, len(reviewers))
	for i, r := range reviewers {
		names[i] = r.Name()
	}
	return repoconfig.New(repoconfig.Params{Reviewers: names, ContextTokens: contextTokens, Secrets: leaks})
}

// startParser serves the parser alone, in memory, for commands that need nothing else. stack ends it.
func startParser(ctx context.Context, stack *lifecycle.Stack) (grpc.ClientConnInterface, error) {
	logger := slog.New(slog.DiscardHandler)
	server, err := rpc.NewServer(rpc.Config{}, rpc.Deps{
		Logger: logger, Metrics: prometheus.NewRegistry(), Auth: auth.NewFolder(secret.Text{}),
	})
	if err != nil {
		return nil, err
	}
	if err := server.Register(parserService(stack, treesitter.New(), logger).register); err != nil {
		return nil, err
	}
	if err := stack.Start(ctx, "gRPC", server); err != nil {
		return nil, err
	}
	conn, err := server.InProcess(secret.Text{})
	if err != nil {
		return nil, err
	}
	stack.Defer("connection", func(context.Context) error { return conn.Close() })
	return conn, nil
}
