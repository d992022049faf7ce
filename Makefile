# Everything a person does with a checkout. `make` alone says what there is.
#
# What is built and fetched goes to one folder outside the checkout, so that all checkouts share it.

CACHE := $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/taffrail
export CARGO_TARGET_DIR ?= $(CACHE)/target
export npm_config_cache ?= $(CACHE)/npm
export PIP_CACHE_DIR ?= $(CACHE)/pip
# A Python with what tests need: DuckDB, which reads our segments, Flask, in which others write what our agents send to, and
# websockets, a client of our streams.
export TEST_PYTHON ?= $(CACHE)/venv/bin/python
# Programs that tests compare with.
export TEST_TOOLS ?= $(CACHE)/tools

.DEFAULT_GOAL := help
.PHONY: help run test bench ui lint fmt clean

help: ## say what there is
	@echo 'make TARGET, where TARGET is one of'
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1\t\2/p' Makefile
	@echo 'built in $(CARGO_TARGET_DIR)'

run: ## build all and run it: follows this machine's logs, http://127.0.0.1:8062 (ARGS=--demo adds traffic to look at)
	@scripts/setup build
	@scripts/ui
	cargo build --release --package taffrail-app
	@exec "$$CARGO_TARGET_DIR/release/taffrail" run $(ARGS)

test: ## every check and test there is: format, lints, unit, property, end to end, browser
	@scripts/setup test
	@scripts/test

bench: ## measure against zstd and grep on the same bytes (CORPUS=FILE; more with ARGS)
	@scripts/setup bench
	@scripts/ui
	@cargo xtask bench $(if $(CORPUS),--corpus "$(CORPUS)") $(ARGS)

ui: ## build the web page, if its sources are newer
	@scripts/setup build
	@scripts/ui

lint: ## format, edges between crates, clippy
	@scripts/setup lint
	cargo fmt --all --check
	cargo xtask tidy
	@scripts/ui
	cargo clippy --workspace --all-targets -- -D warnings

fmt: ## format the Rust code
	cargo fmt --all

clean: ## remove what was built (the caches of npm and pip stay)
	cargo clean
	rm -rf ui/dist ui/node_modules
