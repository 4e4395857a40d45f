# The two commands of a new user are `make demo` and `make test`. RocksDB is compiled once for both, and for every other
# clone and profile: scripts/rocksdb keeps the library in the user's cache.

CARGO ?= cargo
# Finds or installs what the build lacks, then runs the command that follows it.
SETUP := scripts/setup
# The same, then compiles RocksDB where it is not in the cache, and hands it to the command.
BUILD := $(SETUP) scripts/rocksdb

# Everything that is not in by default.
FEATURES := --features abide/cli,abide/http-client,abide-examples/http

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test bench peers

help: ## Show this list.
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile

setup: ## Find or install the C++ compiler and libclang that RocksDB's build needs.
	@$(SETUP)

demo: ## Run the bank: 50 000 transfers while its worker is killed again and again.
	@$(BUILD) $(CARGO) run --package abide-examples --example bank

serve: ## Serve the order hub over HTTP on port 7071, until ctrl-c.
	@$(BUILD) $(CARGO) run --package abide-examples --features http --example service

test: ## Run every test of the workspace.
	@$(BUILD) $(CARGO) test --workspace $(FEATURES)

bench: ## Measure throughput and latency beside the floors of this machine (builds once more, for release).
	@$(BUILD) $(CARGO) bench --features http --bench throughput

peers: ## Measure the distance to actors without durability, in memory (builds once more, for release).
	@$(BUILD) $(CARGO) run --release --manifest-path benches/peers/Cargo.toml
