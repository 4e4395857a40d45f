# New users start with `make demo` and `make test`. scripts/rocksdb compiles RocksDB once for both and keeps the library
# in the user's cache, where every other clone and profile finds it.

CARGO ?= cargo
# Finds or installs missing build dependencies, then runs the command that follows.
SETUP := scripts/setup
# As `SETUP`; also compiles RocksDB if it is not in the cache, and passes the library to the command.
BUILD := $(SETUP) scripts/rocksdb

# All features that are not enabled by default.
FEATURES := --features abide/cli,abide/cluster,abide/fuzzing,abide/http-client,abide/otel,abide/testing,abide-examples/cluster,abide-examples/http

.DEFAULT_GOAL := help
.PHONY: help setup demo cluster serve test bench peers workflows

help: ## Show this list.
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile

setup: ## Find or install the C++ compiler and libclang that the build of RocksDB needs.
	@$(SETUP)

demo: ## Run the bank: 50,000 transfers while its worker is killed repeatedly.
	@$(BUILD) $(CARGO) run --package abide-examples --example bank

cluster: ## Run the bank on three nodes over a PostgreSQL server of its own, which are killed, stopped and restarted.
	@scripts/postgres
	@$(BUILD) $(CARGO) run --package abide-examples --features cluster --example bank -- cluster

serve: ## Serve the order hub over HTTP on port 7071, until Ctrl-C.
	@$(BUILD) $(CARGO) run --package abide-examples --features http --example service

test: ## Run every test of the workspace.
	@$(BUILD) $(CARGO) test --workspace $(FEATURES)

bench: ## Measure throughput and latency beside the floors of this machine (in a separate release build).
	@$(BUILD) $(CARGO) bench --features http --bench throughput

peers: ## Compare with in-memory actors without durability (in a separate release build).
	@$(BUILD) $(CARGO) run --release --manifest-path benches/peers/Cargo.toml

workflows: ## Compare with DBOS and duroxide over a PostgreSQL server of the bench (in a separate release build).
	@scripts/postgres
	@$(BUILD) $(CARGO) run --release --manifest-path benches/peers/Cargo.toml --features workflows --bin workflows
