# simple-job-q. `make help` lists what there is.

PREFIX  ?= /usr/local
ZSHDIR  ?= $(PREFIX)/share/zsh/site-functions
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

.PHONY: help build run test crash torture mutants check bench gobench fuzz man completions install deb clean packages

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

completions: # scripts for the shells, written by a monitor that runs on this machine
	@mkdir -p $(BIN)/completions
	@GOARCH= CGO_ENABLED=0 $(GO) build -o $(BIN)/completions/monitor ./cmd/monitor
	@for s in bash zsh fish; do $(BIN)/completions/monitor completion $$s > $(BIN)/completions/$$s || exit 1; done

DOC = $(DESTDIR)$(PREFIX)/share/doc/simple-job-q
LIB = $(DESTDIR)$(PREFIX)/lib

install: build completions ## into DESTDIR and PREFIX (default /usr/local); what is in /etc already stays
	install -D -m 755 $(BIN)/monitor $(DESTDIR)$(PREFIX)/bin/monitor
	install -D -m 755 $(BIN)/runner $(DESTDIR)$(PREFIX)/libexec/simple-job-q/runner
	install -d $(LIB)/systemd/system
	for u in simple-job-q.service simple-job-q@.service; do \
	  sed 's|/usr/local/|$(PREFIX)/|g' deploy/systemd/$$u > $(LIB)/systemd/system/$$u || exit 1; \
	done
	install -D -m 644 deploy/systemd/sysusers.d/simple-job-q.conf $(LIB)/sysusers.d/simple-job-q.conf
	install -D -m 644 deploy/systemd/tmpfiles.d/simple-job-q-spool.conf $(LIB)/tmpfiles.d/simple-job-q-spool.conf
	test -e $(DESTDIR)/etc/simple-job-q/config.toml || install -D -m 644 config.example.toml $(DESTDIR)/etc/simple-job-q/config.toml
	install -D -m 644 $(BIN)/completions/bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/monitor
	install -D -m 644 $(BIN)/completions/zsh $(DESTDIR)$(ZSHDIR)/_monitor
	install -D -m 644 $(BIN)/completions/fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/monitor.fish
	install -d $(DOC)/docs/examples
	install -m 644 README.md config.example.toml $(DOC)
	install -m 644 docs/*.md docs/*.svg $(DOC)/docs
	install -m 644 $(filter-out %.sh,$(wildcard docs/examples/*)) $(DOC)/docs/examples
	install -m 644 deploy/systemd/tmpfiles.d/simple-job-q.conf $(DOC)/tmpfiles.example.conf
	@if command -v scdoc >/dev/null; then $(MAKE) --no-print-directory man; else echo "scdoc is missing: no manual pages"; exit 0; fi; \
	for p in $(BIN)/man/*; do \
	  install -D -m 644 $$p $(DESTDIR)$(PREFIX)/share/man/man$${p##*.}/$$(basename $$p) || exit 1; \
	done

# 1.2.3 of a tag v1.2.3, 1.2.3+4.gCOMMIT behind it, and before the first 0~gitTIME.COMMIT.
DEBVERSION ?= $(shell { git describe --tags --match 'v[0-9]*' 2>/dev/null | sed 's/^v//; s/-\([0-9]*\)-g/+\1.g/' | grep . || TZ=UTC git log -1 --date=format-local:%Y%m%d%H%M%S --format=0~git%cd.%h; } | tr - '~')-1
DEBARCH     = $(or $(GOARCH),$(shell $(GO) env GOARCH))

deb: ## a Debian package, in bin (GOARCH=arm64 for another machine; needs dpkg-deb and scdoc)
	@deploy/debian/build $(DEBVERSION) $(DEBARCH) $(BIN)/deb-$(DEBARCH)
	@mv $(BIN)/deb-$(DEBARCH)/simple-job-q_$(DEBVERSION)_$(DEBARCH).deb $(BIN)/

clean: ## what was built
	rm -rf bin
