# HavenMQ. `make help` says what there is.
SHELL := /bin/bash
T ?= 60s
# Where .ci/setup puts a Go when the machine's own is too old.
export PATH := $(CURDIR)/.cache/go/bin:$(PATH)
PKGS := ./core/... ./persist/... ./protocols/... ./ha/... ./cmd/...

.PHONY: help sim cluster run build test unit lint fuzz bench cover interop faults faults-short trials crash scale clean setup bench-cluster catchup

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

build: setup ## the binary, bin/havenmq
	CGO_ENABLED=0 go build -trimpath -o bin/havenmq ./cmd/havenmq

run: build ## serve on loopback, data in ./data
	exec bin/havenmq serve

cluster: build ## three nodes on 127.0.0.1 to .3 and a ZooKeeper, in the foreground; their data in ./data/cluster
	@exec docs/cluster/run

setup: ## what a fresh Debian machine lacks for building
	@.ci/setup

test: lint unit cover interop faults-short ## everything that CI runs

lint: setup ## gofmt, vet, staticcheck, the house rules
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo 'gofmt would change:'; gofmt -l $$(git ls-files '*.go'); exit 1; }
	go vet ./...
	go tool staticcheck ./...
	go test -count=1 -run 'TestImports|TestPureFiles|TestCoreHasNoClock|TestSizes|TestRooms|TestNothing' ./interop/

unit: setup ## all tests but interop with the race detector; cover runs the long ones whole
	go test -race -short -timeout 15m $(PKGS)

interop: build ## third-party clients against the binary
	$(MAKE) -C interop setup
	go test -count=1 -timeout 15m ./interop/...

faults: build ## a cluster in network namespaces and all that may befall it, into docs/faults.md (Linux, root)
	$(MAKE) -C interop faults

faults-short: build ## the shorter half of it
	$(MAKE) -C interop faults-short

trials: build ## how long a failover takes, hundreds of times, into docs/failover.md (10 min)
	$(MAKE) -C interop trials

crash: build ## the long way: 50 times kill -9 under load, 100,000 attackers, 1,000 role changes
	$(MAKE) -C interop crash
	HAVENMQ_POWER_LOSSES=10000 go test -count=1 -timeout 60m -v -run 'TestPowerLoss$$' ./core/
	HAVENMQ_ROLE_CHANGES=1000 go test -count=1 -timeout 20m -v -run 'TestRoleChangesLeakNothing$$' ./cmd/internal/node/

scale: build ## a backlog of 2,000,000, fan-out to 1,000, 100,000 queues
	$(MAKE) -C interop scale

sim: setup ## 50,000 clusters from seeds, 10,000 of them of five nodes, and each rule left out until a run notices (1 h)
	go test -count=1 -timeout 240m -v -run 'TestSeeds$$' ./ha/sim/ -seeds 50000
	go test -count=1 -timeout 240m -v -run 'TestMutants$$' ./ha/sim/ -mutants 10000

fuzz: setup ## each fuzz target for T (default 60s)
	@set -e; for f in $$(grep -rlE '^func Fuzz' --include='*_test.go' .); do \
	  for name in $$(grep -oE '^func Fuzz[A-Za-z0-9]+' $$f | cut -c6-); do \
	    echo "== $$name ($$(dirname $$f))"; go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(T) $$(dirname $$f); \
	  done; done

bench: build ## cost of a message: CPU, syncs, allocations, latency
	$(MAKE) -C interop bench

bench-cluster: build ## what replication costs, beside one node, into docs/performance.md (3 min)
	$(MAKE) -C interop bench-cluster

catchup: build ## a replica that missed 2 GB, and a blank one, under load, into docs/performance.md (2 min)
	$(MAKE) -C interop catchup

cover: setup ## statement coverage; fails below 85% in core, persist, protocols or ha
	@.ci/cover

clean: ## what the build made
	rm -rf bin cover.out
