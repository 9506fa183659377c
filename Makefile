# Farebox: everything a developer does, by name. `make` alone lists it.

SHELL := /bin/bash
.DEFAULT_GOAL := help
# Set-up comes before building, and cargo uses every core by itself: `make -j` changes nothing.
.NOTPARALLEL:

# The pinned build tools come first, whatever else is installed.
export PATH := $(shell . .ci/tools.sh && echo "$$TOOLS_PATH"):$(PATH)

# Where cargo leaves what it builds; an absolute path, since the tests run in a folder of their own.
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
export FAREBOX := $(TARGET)/release/farebox

# What the browser gets. The server's build embeds and compresses it, so it is built first and only when it changed.
SITE := target/site.stamp
SITE_SOURCES := $(shell find app/src app/domain/src style -type f) \
	app/Cargo.toml app/domain/Cargo.toml Cargo.toml Cargo.lock rust-toolchain.toml .cargo/config.toml

CLIPPY := cargo clippy --quiet
WASM := -p app --features hydrate --target wasm32-unknown-unknown

.PHONY: help
help: ## list these targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- Running ---------------------------------------------------------------------------------------------------------

.PHONY: run
run: setup-build build ## install what is missing, build, and start a demo with console and proxy
	$(FAREBOX) serve --demo

.PHONY: setup
setup: ## install what is missing to build, run and test
	@.ci/setup.sh tests

.PHONY: setup-build
setup-build:
	@.ci/setup.sh

.PHONY: build
build: $(SITE) ## build the release: target/release/farebox
	cargo build --release -p server

.PHONY: build-tuned
build-tuned: $(SITE) ## build a release that is laid out by what it does under the benchmark: target/tuned/farebox
	.ci/tuned.sh

$(SITE): $(SITE_SOURCES)
	cargo leptos build --release --frontend-only
	@rm -f target/site/pkg/*.ts # type declarations: no browser asks for them
	@touch $@

# --- Developing ------------------------------------------------------------------------------------------------------

.PHONY: check
check: lint ## what to run every minute: format, clippy, the graph of crates, the pure crate's tests
	cargo test --quiet -p domain

.PHONY: lint
lint: | target/site
	cargo fmt --all --check
	$(CLIPPY) --workspace --all-targets -- -D warnings
	$(CLIPPY) $(WASM) -- -D warnings
	@graph=$$(cargo tree -p proxy -e normal --prefix none) || exit; \
	if grep '^leptos' <<<"$$graph"; then \
		echo 'lint: the proxy must do without Leptos; how it came in: cargo tree -p proxy -e normal -i leptos' >&2; \
		exit 1; \
	fi

# The server's build script wants the folder, be it empty.
target/site:
	@mkdir -p $@

.PHONY: watch
watch: ## rebuild and restart the demo whenever a source changes
	@.ci/watch.sh

.PHONY: fmt
fmt: ## format the Rust code
	cargo fmt --all

.PHONY: sqlx
sqlx: ## record the ledger's queries again, after one or a migration changed
	.ci/with-postgres.sh .ci/sqlx.sh

# --- Proving ---------------------------------------------------------------------------------------------------------

.PHONY: test
test: setup ## install what is missing and run every check and test
	@$(MAKE) --no-print-directory lint build size
	.ci/with-postgres.sh cargo test --workspace
	.ci/e2e.sh

.PHONY: e2e
e2e: build ## run the end-to-end tests alone, once `make setup` was run; ARGS='--project js' narrows them
	.ci/e2e.sh $(ARGS)

.PHONY: size
size: $(SITE) ## print what a browser loads of the console, compressed; fails above 350 KiB
	@node .ci/size.mjs target/site/pkg

.PHONY: sim
sim: ## simulate credit and leases for 100,000 steps under each of 20 seeds
	FAREBOX_SIM_STEPS=100000 FAREBOX_SIM_SEEDS=20 cargo test --release -p domain --test sim -- --nocapture

.PHONY: mutants
mutants: ## put named mistakes into the code of leases, one by one, and expect that the simulation finds each
	node .ci/mutants.mjs

.PHONY: faults
faults: build ## fail a proxy, its database, what it answers, its disk and its machine under load (FAREBOX_FAULTS kills: 200), attack it, and check every call
	FAREBOX_FAULTS=$${FAREBOX_FAULTS:-200} FAREBOX_FAULTS_SECONDS=$${FAREBOX_FAULTS_SECONDS:-60} FAREBOX_FAULTS_RATE=$${FAREBOX_FAULTS_RATE:-200} FAREBOX_FAULTS_BINARY=$(FAREBOX) \
		cargo test --quiet -p server --test it faults -- --nocapture --test-threads 1

.PHONY: fuzz
fuzz: ## give each fuzz target of the proxy random inputs for FAREBOX_FUZZ_SECONDS (60)
	BOLERO_RANDOM_TEST_TIME_MS=$$(($${FAREBOX_FUZZ_SECONDS:-60} * 1000)) BOLERO_RANDOM_ITERATIONS=1000000000 \
		cargo test --quiet -p proxy --lib fuzz:: -- --nocapture --test-threads 1

.PHONY: overspend
overspend: build ## call far more at once than there is credit for, FAREBOX_OVERSPENDS (100) times in each way, and FAREBOX_CALLS (100,000) with enough of it
	FAREBOX_OVERSPENDS=$${FAREBOX_OVERSPENDS:-100} .ci/with-postgres.sh cargo test --quiet -p proxy --test it overspend -- --nocapture
	FAREBOX_CALLS=$${FAREBOX_CALLS:-100000} cargo test --quiet -p server --test it counted:: -- --nocapture --test-threads 1

.PHONY: sim-ledger
sim-ledger: build ## simulate the whole ledger for FAREBOX_SIM_STEPS (2,000) under each of FAREBOX_SIM_SEEDS (10)
	FAREBOX_SIM_STEPS=$${FAREBOX_SIM_STEPS:-2000} FAREBOX_SIM_SEEDS=$${FAREBOX_SIM_SEEDS:-10} .ci/with-postgres.sh cargo test --quiet -p ledger --test it simulation

.PHONY: test-spread
test-spread: build ## run the ledger's tests on tables that are spread over 16 partitions by the account, as over machines
	FAREBOX_TEST_TWIN=1 .ci/with-postgres.sh cargo test --quiet -p ledger --test it

.PHONY: bench
bench: build ## measure prices and the ledger's posting
	cargo bench -p domain -p proxy
	.ci/with-postgres.sh cargo bench -p ledger --bench posting

.PHONY: bench-ledger
bench-ledger: build ## fill a database with CALLS calls (1,000,000) and measure the ledger at that size
	.ci/with-postgres.sh cargo bench -p ledger --bench scale

.PHONY: bench-proxy
bench-proxy: build ## measure the proxy against nginx: CPU and memory a call, calls a second, what it adds, streams
	.ci/with-postgres.sh cargo run --quiet --release -p bench
