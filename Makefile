# Everything here works from a fresh clone on Debian 12 with git, a Rust toolchain, a C/C++ compiler and make.
.DEFAULT_GOAL := help
.PHONY: help deps build test lint demo bench fuzz sim torture dist compat-record servers clean
SHELL := /bin/bash

CARGO ?= cargo
export CARGO
TARGET := $(or $(CARGO_TARGET_DIR),target)
SERVERS := tests/servers/servers
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
FUZZ_SECONDS ?= 60
SEEDS ?= 1000

help: ## lists the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## installs the packages that building and testing need, and the ready-made RocksDB
	@.ci/deps build servers
	@$(SERVERS) install rocksdb

build: deps ## builds target/release/afterimage
	$(CARGO) build --release --locked
	@echo "$(TARGET)/release/afterimage is ready"

test: deps ## runs all tests, against real servers
	@$(SERVERS) install mysql8 mysql57 mariadb pg18 redis kafka connect
	@.ci/test

lint: deps ## checks format, lints, licences, scripts and docker-compose.yml
	@.ci/deps lint
	@.ci/lint

demo: build ## MySQL to Kafka to assembled orders, on real servers (DEMO_PORT_BASE=, DEMO_EXIT=1)
	@examples/demo

bench: deps ## benchmarks, also against the real Debezium
	@$(SERVERS) install mysql8 kafka connect
	$(CARGO) build --release --locked
	@benches/backlog "$(abspath $(TARGET))/bench-data"
	$(CARGO) bench --locked --bench pipeline -- "$(abspath $(TARGET))/bench-data/binlog.000001"
	@benches/versus "$(TARGET)/release/afterimage"
	@benches/isolation "$(TARGET)/release/afterimage"

fuzz: deps ## runs every fuzz target for FUZZ_SECONDS (60) each
	@test -d fuzz/fuzz_targets || { echo "there is no fuzz target yet" >&2; exit 1; }
	@command -v cargo-fuzz >/dev/null || test -x .deps/cargo/bin/cargo-fuzz || $(CARGO) install --locked --root .deps/cargo cargo-fuzz
	@for target in fuzz/fuzz_targets/*.rs; do \
	  PATH="$(CURDIR)/.deps/cargo/bin:$$PATH" RUSTC_BOOTSTRAP=1 $(CARGO) fuzz run "$$(basename "$$target" .rs)" \
	    -- -max_total_time=$(FUZZ_SECONDS) || exit 1; \
	done

sim: ## simulated connectors with faults, by seed (SEEDS=1000; SIM_SEED=n repeats one with its trace)
	$(CARGO) run --locked --quiet -p sim -- $(SEEDS)

torture: ## long runs with kills and faults: not built yet
	@echo "make torture: the long fault runs do not exist yet" >&2; exit 1

# Run from another directory, cargo does not see .cargo/config.toml: RocksDB is then compiled from the crate's own
# sources and linked statically, and the binary needs nothing beside it.
dist: deps ## a release archive with RocksDB linked statically, under target/dist
	cd / && env -u ROCKSDB_LIB_DIR $(CARGO) build --release --locked --manifest-path "$(CURDIR)/Cargo.toml" --target-dir "$(abspath $(TARGET))/dist"
	@name=afterimage-$(VERSION)-linux-x86_64; folder="$(abspath $(TARGET))/dist/$$name"; \
	  rm -rf "$$folder" && mkdir -p "$$folder" && \
	  cp -r "$(abspath $(TARGET))/dist/release/afterimage" README.md CHANGELOG.md LICENSE examples deploy docs "$$folder" && \
	  tar -C "$(abspath $(TARGET))/dist" -czf "$$folder.tar.gz" "$$name" && echo "$$folder.tar.gz is ready"

compat-record: deps ## records connectors-compat/ from the real Debezium (CASES="name ..." for some)
	@$(SERVERS) install mysql8 mysql57 kafka connect
	@tests/compat/record $(CASES)

servers: deps ## starts MySQL, Kafka and Redis in the background on fixed ports
	@$(SERVERS) up mysql8 kafka redis
	@$(SERVERS) list
	@echo "stop them with: $(SERVERS) down all"

clean: ## stops background servers, removes what was built; downloads under .deps stay
	@$(SERVERS) down all
	$(CARGO) clean
	rm -rf .deps/run fuzz/target state logs
