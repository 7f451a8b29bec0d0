# simple-job-q. `make help` lists what there is.

PREFIX  ?= /usr/local
DESTDIR ?=
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
GO      ?= go
FUZZTIME ?= 30s

# No cgo: the binaries run on any Linux, and start faster.
BUILD = CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.Version=$(VERSION)'

# Where to build. The pages of the manual and packages bear the time of the commit.
BIN     ?= bin
export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || date +%s)

LINTER  = $(shell $(GO) env GOPATH)/bin/golangci-lint
LINT_AT = v2.15.0

# Tests that try more when they are told to by CRASH (test/crash/world).
CRASHES = ./test/crash/... ./internal/messages ./internal/spool

.PHONY: help build run test crash torture mutants check bench gobench fuzz man install clean packages

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

build: ## bin/monitor and bin/runner
	@mkdir -p $(BIN)
	$(BUILD) -o $(BIN)/ ./cmd/monitor ./cmd/runner

run: build ## a spool in ./spool with a few examples, and the monitor in the foreground
	@./docs/examples/demo.sh

test: packages ## every test, with -race
	@$(GO) run ./test/summary -- -count=1 -race -timeout 10m ./...

crash: packages ## what every change must survive: kills, errors, crash states (30 minutes)
	@CRASH=change $(GO) run ./test/summary -- -count=1 -timeout 60m $(CRASHES)

mutants: packages ## the tests' own test: one rule switched off at a time, and something must fail
	@$(GO) run ./test/mutants

torture: packages ## the long half of it (hours)
	@CRASH=torture $(GO) run ./test/summary -- -count=1 -timeout 12h $(CRASHES)

packages: # what the tests need of Debian's packages; says what is missing if not root
	@./test/packages.sh

check: ## what CI checks besides the tests: format, vet, linters, tidy modules
	@out=$$(gofmt -l cmd internal test); test -z "$$out" || { echo "gofmt: $$out"; exit 1; }
	$(GO) vet ./...
	$(GO) mod tidy -diff
	@test -x $(LINTER) && $(LINTER) version 2>/dev/null | grep -q "$(LINT_AT:v%=%)" || $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_AT)
	$(LINTER) run ./...
	@if [ -n "$$CI" ] && [ -n "$$(git status --porcelain)" ]; then git status --porcelain; echo "the tree is not clean"; exit 1; fi

bench: ## figures of this project, its peers and the machine, in one run (BENCH=flags; 15 minutes)
	@./test/packages.sh peers
	@$(GO) run ./test/bench -doc docs/performance.md $(BENCH)

gobench: ## Go benchmarks of parse, scan, decide, digest
	$(GO) test -run '^$$' -bench . -benchmem ./...

fuzz: ## each fuzz target for FUZZTIME (default 30s)
	@for p in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
	    echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$p || exit 1; \
	  done; done

man: ## the manual, from docs/man (needs scdoc)
	@mkdir -p $(BIN)/man
	@for p in docs/man/*.scd; do \
	  o=$(BIN)/man/$$(basename $$p .scd); \
	  scdoc < $$p > $$o.raw && awk -f docs/man/tidy.awk $$o.raw > $$o && rm $$o.raw || exit 1; \
	done

install: build ## into DESTDIR and PREFIX (default /usr/local), with the systemd units
	install -D -m 755 bin/monitor $(DESTDIR)$(PREFIX)/bin/monitor
	install -D -m 755 bin/runner $(DESTDIR)$(PREFIX)/libexec/simple-job-q/runner
	install -D -m 644 config.example.toml $(DESTDIR)$(PREFIX)/share/doc/simple-job-q/config.example.toml
	install -D -m 644 deploy/systemd/tmpfiles.d/simple-job-q.conf $(DESTDIR)$(PREFIX)/share/doc/simple-job-q/tmpfiles.example.conf
	for u in simple-job-q.service simple-job-q@.service; do \
	  install -d $(DESTDIR)$(PREFIX)/lib/systemd/system; \
	  sed 's|/usr/local/|$(PREFIX)/|g' deploy/systemd/$$u > $(DESTDIR)$(PREFIX)/lib/systemd/system/$$u; \
	done

clean: ## what build made
	rm -rf bin
