SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

export GOFLAGS ?= -buildvcs=false
WITAN := bin/witan
BUF := go tool -modfile=tools/buf/go.mod buf
SQLC := go tool -modfile=tools/sqlc/go.mod sqlc
GOLANGCI := go tool -modfile=tools/golangci-lint/go.mod golangci-lint
EMPTY_TREE := 4b825dc642cb6eb9a060e54bf8d69288fbee4904

# What `make review` looks at: by default the newest commit of this repository.
REPO ?= .
HEAD ?= HEAD
BASE ?= $(shell git -C "$(REPO)" rev-parse --quiet --verify "$(HEAD)~1^{commit}" 2>/dev/null || echo $(EMPTY_TREE))
FORMAT ?= text
DATA ?= $(CURDIR)/witan-data

.PHONY: help
help: ## show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

.PHONY: needs
needs: # name what is missing before a compiler does it less clearly
	@missing=""; \
	for tool in go git; do command -v $$tool >/dev/null || missing="$$missing $$tool"; done; \
	command -v "$${CC:-cc}" >/dev/null || command -v gcc >/dev/null || command -v clang >/dev/null || missing="$$missing a-C-compiler(cc)"; \
	if [ -n "$$missing" ]; then echo "witan needs:$$missing. Install it and run make again." >&2; exit 1; fi; \
	have=$$(go env GOVERSION | sed 's/^go//'); want=$$(sed -n 's/^go //p' go.mod); \
	if [ "$$(printf '%s\n%s\n' "$$want" "$$have" | sort -V | head -1)" != "$$want" ]; then \
		echo "witan needs Go $$want or later, this is Go $$have." >&2; exit 1; fi; \
	if [ "$$(go env CGO_ENABLED)" != 1 ]; then echo "witan needs cgo (CGO_ENABLED=1): tree-sitter is C." >&2; exit 1; fi

.PHONY: build
build: needs ## build bin/witan
	@mkdir -p bin
	go build -o $(WITAN) ./cmd/witan

.PHONY: review
review: build ## review a real change: REPO=. BASE=HEAD~1 HEAD=HEAD FORMAT=text
	@code=0; $(WITAN) review --data "$(DATA)" --repo "$(REPO)" --base "$(BASE)" --head "$(HEAD)" --format "$(FORMAT)" || code=$$?; \
	case $$code in \
		0) echo "witan exited 0: reviewed, nothing at or above the threshold" >&2;; \
		1) echo "witan exited 1: reviewed, with findings at or above the threshold" >&2;; \
		5) echo "witan exited 5: reviewed in part, see the coverage, or declined" >&2;; \
		*) echo "witan exited $$code: the review did not finish" >&2; exit $$code;; \
	esac

.PHONY: demo
demo: build ## show the council at work without a key: planted defects, simulated members, votes and dissent
	@bash tools/demo/run.sh $(WITAN)

WORKERS ?= 1
CONFIG ?=
HTTP ?=
WEBHOOKS ?=
.PHONY: cluster
cluster: build ## bring up a cluster of plain processes on this machine: WORKERS=2 a queue, CONFIG=file with your models, HTTP=host:port WEBHOOKS=host:port for addresses of your choice
	@go build -o bin/cluster ./tools/cluster && exec bin/cluster -binary $(WITAN) -workers $(WORKERS) -config '$(CONFIG)' -http '$(HTTP)' -webhooks '$(WEBHOOKS)'

SCENARIO ?= tools/fakegithub/example.yaml
WEBHOOK ?=
SECRET ?=
.PHONY: fakegithub
fakegithub: needs ## run the simulated GitHub, to try reviews of pull requests without an account: SCENARIO=file.yaml WEBHOOK=url SECRET=file; writes app.pem and token to .cache/fakegithub
	@go build -o bin/fakegithub ./tools/fakegithub && exec bin/fakegithub -addr 127.0.0.1:7490 -control 127.0.0.1:7491 \
		-scenario '$(SCENARIO)' -webhook '$(WEBHOOK)' -webhook-secret-file '$(SECRET)' -out .cache/fakegithub

# Under the race detector these tests take a sample: of the shared diffs, of real repositories, of the rounds of each race,
# of the comments posted, and of the cases with figures.
WHOLE := ^(TestRawDiffsNameEveryPathAndWhatCouldNotBeLookedAt|TestSharedDiffs.*|TestStaticReviewersOnRealCode|TestRaces|TestP04_EveryPosition.*|TestP12_PublishedFigures.*)$$

# -count=1: Go would take an end-to-end result from its cache although the program that it starts has changed.
.PHONY: test
test: needs ## run all tests with the race detector on a Postgres and a Redis of their own, and those that only took a sample once more without
	@{ go run ./tools/testservers go test -json -count=1 -race -timeout 60m $(if $(RUN),-run '$(RUN)') $(or $(PACKAGES),./...) && \
		$(if $(RUN)$(PACKAGES),true,go run ./tools/testservers go test -json -count=1 -timeout 10m -run '$(WHOLE)' \
			./test/e2e ./services/review/publish ./services/review/reviewers/secrets ./internal/job/sqlite ./internal/job/postgres); } | go run ./tools/testreport

.PHONY: test-clients
test-clients: build ## clients that others wrote: Python grpcio, SSE clients (PyPI, npm), the page in Chromium; Qdrant's own engine as judge of rankings; GitHub's schemas for the simulated GitHub
	@bash test/clients/run.sh

CUTS ?= 1000
EVENTS ?= 1000000
.PHONY: cuts
cuts: build ## clients that others wrote follow logs over connections reset at random bytes: CUTS=1000 EVENTS=1000000 SEED=n
	@ONLY=cuts CUTS=$(CUTS) EVENTS=$(EVENTS) $(if $(SEED),SEED=$(SEED)) REPORT=$(CURDIR)/docs/reports/cuts.md bash test/clients/run.sh

.PHONY: bench
bench: needs ## run the benchmarks of test/bench/benchmarks.txt; docs/performance.md has the figures of a known machine
	@go test -run '^$$' $$(sed -n 's/^\(\.[^ ]*\).*/\1/p' test/bench/benchmarks.txt | sort -u) >/dev/null # compile first
	@grep '^\./' test/bench/benchmarks.txt | while read -r package pattern times; do \
		go test -run '^$$' -bench "$$pattern" -benchtime "$$times" -timeout 10m "$$package" </dev/null; \
	done

CASES ?= ../shared/data/bench
STATIC ?= 1
ABLATION ?=
.PHONY: bench-review
bench-review: build ## review pull requests that experts commented on, and bugs put back, and compare: STATIC= for your models, CONFIG=file ABLATION=1 FORMAT=json CASES=folder
	@$(WITAN) bench review --cases '$(CASES)' --format $(FORMAT) $(if $(STATIC),--static) $(if $(ABLATION),--ablation) $(if $(CONFIG),--config '$(CONFIG)')

SECONDS_EACH ?= 60
.PHONY: ingest-load
ingest-load: needs ## 500 webhooks a second and as many as go, beside @octokit/webhooks (npm): SECONDS_EACH=60
	npm ci --prefix test/bench/octokit --ignore-scripts --no-audit --no-fund --silent
	WITAN_BENCH_INGEST_SECONDS=$(SECONDS_EACH) go test -run '^$$' -bench 'BenchmarkIngest' -benchtime 1x -timeout 30m ./test/bench

.PHONY: ingest-storm
ingest-storm: needs ## kill what takes webhooks at random for five minutes; each accepted one ends as one review
	WITAN_TEST_LONG=1 go run ./tools/testservers go test -count=1 -timeout 30m -v -run '^TestP01_Killed' ./test/e2e

.PHONY: kills
kills: needs ## kill each process of a cluster, Postgres and Redis too, at each step of a review that a webhook starts; the comments are the same, once
	WITAN_TEST_LONG=1 go run ./tools/testservers go test -count=1 -timeout 60m -v -run '^TestP01_EachProcess' ./test/e2e | grep -vE '^ *=== '

.PHONY: chaos
chaos: needs ## kill and freeze workers and services, stop Postgres and kill Redis under load; nothing is lost or doubled: JOBS=500 SEED=7
	WITAN_TEST_JOBS=$(or $(JOBS),500) WITAN_TEST_SEED=$(SEED) WITAN_TEST_REPORT=$(CURDIR)/docs/reports/chaos.md \
		go test -count=1 -timeout 120m -v -run '^TestG10_Chaos' ./test/endurance

DURATION ?= 2h
.PHONY: soak
soak: needs ## the same for hours with a load and blows that leave time to measure memory, goroutines and files: DURATION=2h SEED=7
	WITAN_TEST_DURATION=$(DURATION) WITAN_TEST_SEED=$(SEED) WITAN_TEST_REPORT=$(CURDIR)/docs/reports/soak.md \
		go test -timeout 0 -v -run '^$$' -bench '^BenchmarkSoak$$' -benchtime 1x ./test/endurance

.PHONY: pushes
pushes: needs ## fifty pushes to a pull request: of this project's own history, and of a made-up one; nothing is repeated: SEED=6
	WITAN_TEST_LONG=1 WITAN_TEST_SEED=$(SEED) go test -count=1 -timeout 60m -v -run '^TestP06_PushesOf' ./test/e2e

.PHONY: outages
outages: needs ## sixty seconds of 502s and of absent models in the middle of a review, on one server and in a cluster
	WITAN_TEST_LONG=1 go run ./tools/testservers go test -count=1 -timeout 30m -v -run '^TestP01_AReviewOutlives' ./test/e2e

.PHONY: generate
generate: needs ## generate Go and OpenAPI from the protos, Go from the SQL of Postgres, and the list of error reasons
	$(BUF) generate
	sed -i -E 's/\bdeliverie\b/delivery/g; s/\bindexe\b/index/g' gen/openapi/v1/witan.swagger.json # the plugin's singulars only lack an s
	$(SQLC) generate
	go test ./internal/apierr -run TestCatalogIsCurrent -update >/dev/null

.PHONY: checkgenerate
checkgenerate: generate ## fail when generated code is not current
	@changes="$$(git status --porcelain -- gen docs/errors.md)"; \
	if [ -n "$$changes" ]; then echo "generated files are not current, run make generate:" >&2; echo "$$changes" >&2; exit 1; fi

.PHONY: lint
lint: needs ## lint Go and protos; changes nothing
	$(BUF) lint
	$(BUF) format --diff --exit-code --path proto/witan
	$(GOLANGCI) run ./...

.PHONY: lintfix
lintfix: needs ## format and repair what linters can
	$(BUF) format --write --path proto/witan
	$(GOLANGCI) run --fix ./...

ONLY ?=
.PHONY: mutations
mutations: needs ## break each guarantee on purpose and require that its tests fail: ONLY=^G1 for some of them
	go run ./tools/testservers go run ./tools/mutate -only '$(ONLY)' -report docs/reports/mutations.md

FUZZTIME ?= 60s
SEEDS ?= 1,2
.PHONY: fuzz
fuzz: needs ## run each fuzz target for a while on each seed: FUZZTIME=10m SEEDS=1,2 JOBS=2 ONLY=/diff; runs of ten minutes stand in docs/reports/fuzz.md
	go run ./tools/fuzz -time $(FUZZTIME) -seeds $(SEEDS) -jobs $(or $(JOBS),2) -only '$(ONLY)' -report docs/reports/fuzz.md

WITHIN ?=
.PHONY: crash
crash: needs ## kill the whole program at each time that it comes to a crash point, on SQLite and on Postgres: ONLY='review/sqlite/.*-post' for some, WITHIN=20m for as many as that takes
	WITAN_TEST_LONG=1 WITAN_TEST_ONLY='$(ONLY)' WITAN_TEST_WITHIN='$(WITHIN)' WITAN_TEST_REPORT='$(CURDIR)/docs/reports/crash.md' go run ./tools/testservers \
		go test -count=1 -timeout 300m -parallel $$((2 * $$(nproc))) -v -run '^TestG10_TheWholeProgram' ./test/e2e | grep -vE '^ *(===|--- PASS)'

.PHONY: vuln
vuln: needs ## look for known vulnerabilities (needs the vulnerability database)
	go run golang.org/x/vuln/cmd/govulncheck@v1.1.4 ./...

.PHONY: clean
clean: ## remove what was built
	rm -rf bin
