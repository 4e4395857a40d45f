# The two commands of a new user are `make demo` and `make test`. Both use the dev profile, in which RocksDB and the
# other dependencies are optimised, so that RocksDB is built once.

CARGO ?= cargo
# Finds or installs what the build lacks, then runs the command that follows it.
SETUP := scripts/setup

# Everything that is not in by default.
FEATURES := --features abide/cli,abide/http-client

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test bench

help: ## Show this list.
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile

setup: ## Find or install the C++ compiler and libclang that RocksDB's build needs.
	@$(SETUP)

demo: ## Run the bank: 50 000 transfers while its worker is killed again and again.
	@$(SETUP) $(CARGO) run --example bank

serve: ## Serve the order hub over HTTP on port 7071, until ctrl-c.
	@$(SETUP) $(CARGO) run --features http --example service

test: ## Run every test of the workspace.
	@$(SETUP) $(CARGO) test --workspace $(FEATURES)

bench: ## Measure throughput and latency beside the floors of this machine (builds RocksDB once more, for release).
	@$(SETUP) $(CARGO) bench --features http --bench throughput
