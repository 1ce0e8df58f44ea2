# Everything a fresh clone needs, in two commands: `make run` and `make test`.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

SWIFT ?= swift
HOST ?= 127.0.0.1
PORT ?= 8080
ARGS ?=
TESTS ?= IntegrationTests/python
APUS := .build/release/apus
BENCH_PYTHON ?= .apus/bench-venv/bin/python
TEST_PYTHON := .apus/test-venv/bin/python
EXAMPLES := $(wildcard Examples/*/Package.swift)

.NOTPARALLEL:
.PHONY: help setup build run test test-swift test-integration examples bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## put the engine and the default model into .apus/
	@command -v $(SWIFT) > /dev/null || { echo "make: swift was not found; install Swift 6.2 or newer" >&2; exit 1; }
	@scripts/setup

build: setup ## build .build/release/apus
	$(SWIFT) build -c release --product apus

run: build ## set up, build and serve the default model on 127.0.0.1:8080 (HOST=, PORT=, ARGS=)
	exec $(APUS) serve --host $(HOST) --port $(PORT) $(ARGS)

test: test-swift examples test-integration ## set up, build and run all tests

# One set of objects serves the tests and the product: `swift test` without --skip-build would compile everything again. One test at a
# time: side by side, tests that start processes and load every core push the deadlines of others out of reach.
test-swift: setup
	@scripts/setup-tests
	$(SWIFT) build -c release --build-tests
	scripts/check_imports.py
	$(SWIFT) test -c release --skip-build --disable-xctest --no-parallel

examples: setup
	@for package in $(EXAMPLES); do \
		echo "building $$(dirname $$package)"; \
		$(SWIFT) build -c release --package-path "$$(dirname $$package)"; \
	done

test-integration: build
	@scripts/setup-tests
	$(TEST_PYTHON) -m pytest $(TESTS)

bench: build ## measure against the peers and draw .apus/bench/report.html (ARGS="throughput http" for some, ARGS=--quick)
	@for product in EmbedBenchmark SegmentBenchmark ParallelBenchmark VectorBenchmark CollectionBenchmark; do \
		$(SWIFT) build -c release --product $$product; \
	done
	@scripts/setup-bench
	$(BENCH_PYTHON) Benchmarks/run.py $(ARGS)

clean: ## remove build products; .apus/ with the engine and the model stays
	rm -rf .build
	find Examples -mindepth 2 -maxdepth 2 -name .build -exec rm -rf {} + 2> /dev/null || true
