# Run `make help` for the list. CI runs `make ci`; it needs Go, Java and Maven and fetches the rest from the registries.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

GO ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
# A count, not a duration: a duration can end as "context deadline exceeded" without a finding (golang/go#75804).
FUZZTIME ?= 200000x
TOOLS := bin/tools
LDFLAGS := -s -w -X main.version=$(VERSION)
# What the compiler knows of the hot paths (docs/decisions/0057); PGO=off builds without.
PGO ?= bench/vigil.pgo
# No cgo, time zones inside: the binary runs in an image that holds nothing else.
STATIC = CGO_ENABLED=0 $(GO) build -pgo=$(PGO) -trimpath -tags timetzdata -ldflags "$(LDFLAGS)"

GOFILES = $(wildcard $(shell git ls-files -co --exclude-standard '*.go'))
with = $(sort $(dir $(shell git grep -l --untracked $(1) -- '*_test.go')))
GOLDEN = $(addprefix ./,$(call with,'flag.Bool."update"'))
BENCHES = $(addprefix ./,$(call with,'^func Benchmark'))

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' Makefile

.PHONY: build
build: ## the binary ./vigil
	$(STATIC) -o vigil ./cmd/vigil

.PHONY: demo
demo: build ## build, then a shop, campaigns and signed webhooks on the screen; needs nothing else
	./vigil demo

.PHONY: check
check: fmt-check ## the inner loop: format, build, vet, short tests
	$(GO) build ./...
	$(GO) vet ./...
	$(GO) test -short ./...

$(TOOLS)/.built: .ci/tools/go.mod .ci/tools/go.sum
	@mkdir -p $(TOOLS)
	cd .ci/tools && $(GO) build -o ../../$(TOOLS)/ tool
	@touch $@

.PHONY: fmt
fmt: $(TOOLS)/.built ## rewrite every Go file with gofumpt
	$(TOOLS)/gofumpt -w $(GOFILES)

.PHONY: fmt-check
fmt-check: $(TOOLS)/.built
	@unformatted=$$($(TOOLS)/gofumpt -l $(GOFILES)); \
	[ -z "$$unformatted" ] || { echo "run 'make fmt' for:"; echo "$$unformatted"; exit 1; }

.PHONY: lint
lint: fmt-check ## gofumpt, vet, staticcheck
	$(GO) vet ./...
	$(TOOLS)/staticcheck ./...

.PHONY: test
test: ## every test; those on a real Kafka too where java and mvn are there
	$(GO) test -count=1 -timeout 30m ./...

.PHONY: faults
faults: ## the tables of faulty receivers and of refused addresses, with the count of rows that came out as required
	@$(GO) test -count=1 -v -run '^(TestFaults|TestSSRF)$$' ./sink/egress | grep -E ' rows, |--- FAIL|--- SKIP|^(ok|FAIL|panic)'

.PHONY: receivers-test
receivers-test: ## the example receivers, and the public Python and JavaScript libraries, verify what we sign
	@found=$$(flowtest/testdata/libraries/fetch bin/libraries); \
	env $$found $(GO) test -count=1 -v -run '^(TestExampleReceivers|TestPublicLibraries)$$' ./flowtest | grep -E '^ *(---|[a-z_]+\.go:)|^(ok|FAIL|panic)'

.PHONY: race
race: ## the short tests with the race detector, in random order
	$(GO) test -short -race -shuffle=on -timeout 20m ./...

.PHONY: fuzz
fuzz: ## every fuzz target, FUZZTIME (200000x) inputs each
	@$(GO) test -list '^Fuzz' ./... | awk '/^Fuzz/ {t[++n]=$$1} /^ok/ {for (i=1;i<=n;i++) print $$2, t[i]; n=0}' | \
	while read -r package target; do \
	  echo "$$package $$target"; $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$package"; done

MINUTES ?= 10
SEED ?= $(shell date +%s)
.PHONY: chaos
chaos: ## MINUTES (10) of trouble on three brokers by the plan of SEED; FAULTS="kill freeze" for these only (docs/reliability.md)
	VIGIL_REQUIRE_KAFKA=1 CHAOS_MINUTES=$(MINUTES) CHAOS_SEED=$(SEED) CHAOS_FAULTS="$(FAULTS)" CHAOS_FORM=$(FORM) \
	$(GO) test -count=1 -v -timeout 0 -run '^TestChaos$$' ./flowtest/chaos

RATE ?= 150
.PHONY: soak
soak: MINUTES = 60
soak: ## MINUTES (60) of one sink at RATE (150) deliveries a second, many endpoints ill: nothing may grow (docs/reliability.md)
	VIGIL_REQUIRE_KAFKA=1 SOAK_MINUTES=$(MINUTES) SOAK_SEED=$(SEED) SOAK_RATE=$(RATE) \
	$(GO) test -count=1 -v -timeout 0 -run '^TestSoak$$' ./flowtest/soak

.PHONY: trouble-kafka
trouble-kafka: ## a broker of three dies in mid-run on a real Kafka (docs/operations.md)
	VIGIL_REQUIRE_KAFKA=1 VIGIL_TROUBLE_KAFKA=1 $(GO) test -count=1 -v -run '^Test(BrokersDieOnKafka|DecidedOnAReplicaThatCaughtUp)$$' ./flowtest/trouble

.PHONY: bench
bench: ## the figures of docs/benchmarks.md, on Apache Kafka; BENCHFLAGS=-short takes a minute
	$(GO) build -pgo=$(PGO) -o bin/bench ./bench
	bin/bench all $(BENCHFLAGS)

.PHONY: bench-sink
bench-sink: ## CPU per delivery, Kafka in and outcome out, beside a bare signed client; BENCHFLAGS=-rounds=4
	$(GO) build -pgo=$(PGO) -o bin/bench ./bench
	bin/bench deliveries $(BENCHFLAGS)

.PHONY: bench-isolation
bench-isolation: ## 1,000 endpoints, some dead or busy, 5 minutes; fails where the healthy ones notice
	$(GO) build -o bin/bench ./bench
	bin/bench isolation $(BENCHFLAGS)

.PHONY: pgo
pgo: ## measure anew what the compiler knows of the hot paths: bench/vigil.pgo, 2 minutes
	$(GO) build -o bin/bench ./bench
	bin/bench all -rounds=1 -cpuprofile bin/pgo
	$(GO) tool pprof -proto bin/pgo.processor.100 bin/pgo.processor.10000 bin/pgo.sink.100 >bench/vigil.pgo

.PHONY: sink-kills
sink-kills: ## kill -9 of a sink under load, KILLS (100) times, on Apache Kafka: nothing lost, repeats bounded
	VIGIL_SINK_KILLS=$(or $(KILLS),100) $(GO) test -count=1 -v -timeout 30m ./flowtest/kills

.PHONY: bench-recovery
bench-recovery: ## how long a partition stands still: kill -9, hand-over, rebuild; on Apache Kafka
	$(STATIC) -o bin/vigil ./cmd/vigil
	$(GO) build -o bin/ ./bench ./bench/limits
	bin/limits recovery $(BENCHFLAGS)

.PHONY: bench-timers
bench-timers: ## ten million timers: memory, and how late they settle while events arrive; on Apache Kafka
	$(STATIC) -o bin/vigil ./cmd/vigil
	$(GO) build -o bin/ ./bench ./bench/limits
	bin/limits timers $(BENCHFLAGS)

.PHONY: bench-limits
bench-limits: ## a hot key, 64 partitions in one process, a million timers due at once; on Apache Kafka
	$(STATIC) -o bin/vigil ./cmd/vigil
	$(GO) build -o bin/ ./bench ./bench/limits
	bin/limits crowds $(BENCHFLAGS)

.PHONY: gates
gates: ## the long form of gate G8: two million timers on one disk (2 minutes)
	VIGIL_GATES=1 $(GO) test -count=1 -v -timeout 20m -run 'TestGateG8|TestGateG9' ./flowtest

.PHONY: microbench
microbench: ## every Go benchmark; compare runs with bin/tools/benchstat
	[ -z "$(BENCHES)" ] || $(GO) test -run '^$$' -bench . -benchmem $(BENCHFLAGS) $(BENCHES)

.PHONY: golden
golden: ## rewrite the golden files from what the code does now
	[ -z "$(GOLDEN)" ] || $(GO) test -count=1 $(GOLDEN) -update

# golden-check rewrites the golden files and wants no difference to what was there before.
.PHONY: golden-check
golden-check:
	@state() { git diff HEAD | sha256sum; git ls-files -o --exclude-standard | sort; }; \
	before=$$(state); $(MAKE) golden; [ "$$before" = "$$(state)" ] || { git status --short; git diff HEAD | head -200; \
	echo "golden files are not what the code does: run 'make golden', read the difference, commit it"; exit 1; }

.PHONY: image
image: ## the image vigil:local from a binary built here; pulls nothing
	@mkdir -p bin/image/vigil-data
	$(STATIC) -o bin/image/vigil ./cmd/vigil
	cp /etc/ssl/certs/ca-certificates.crt bin/image/
	docker build --target local -t vigil:local .

.PHONY: compose-test
compose-test: ## the compose stack with local images, until signed webhooks have arrived
	deploy/compose/test

.PHONY: ci
ci: ## what CI runs, in this order, stopping at the first failure
	@./.ci/steps
