# Everything a person or a machine does with this project starts here; `make help` lists it.
PYTHON ?=
DETACH ?=
TLS ?=
SCALE ?= one
export PYTHON

BIN := .venv/bin
SOURCES := services shared agent deploy tests benchmarks examples
UV := .venv/bootstrap/bin/uv
PYTEST := $(BIN)/python -m pytest
# A file stays on one worker: its tests share the system that they started.
APART := browser chaos containers interop kills manifests
PYTEST_ALL = $(PYTEST) -n 3 --dist loadfile $(APART:%=--ignore=tests/%)
IF_INSTALLED = [ -x $(BIN)/smsfleet ] || { echo "SMSFleet is not installed here: make up"; exit 1; };

.DEFAULT_GOAL := help
.PHONY: help up down status logs test test-more test-all test-browser test-containers test-interop test-manifests chaos lint types fmt snapshots lock bench clean installed developing

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

up: installed ## Start the whole system on this machine (DETACH=1 leaves it running, TLS=1 for a LAN, PYTHON=... picks the Python)
	@$(if $(filter-out 0,$(TLS)),SMSFLEET_TLS=internal )exec $(BIN)/smsfleet up $(if $(filter-out 0,$(DETACH)),--detach)

down: ## Stop it in order
	@$(IF_INSTALLED) $(BIN)/smsfleet down || [ $$? = 3 ]

status: ## Show each process and whether it is ready
	@$(IF_INSTALLED) $(BIN)/smsfleet status

logs: ## Show what the processes logged lately
	@$(IF_INSTALLED) $(BIN)/smsfleet logs

test: lint types ## Everything that proves it and needs only Python
	SMSFLEET_TEST_SCALE=$(SCALE) $(PYTEST_ALL)

test-more: developing ## The other groups, at small counts
	$(BIN)/python -m tests.groups small

test-all: lint types ## Every group, at its full counts
	SMSFLEET_TEST_SCALE=full $(PYTEST_ALL)
	$(BIN)/python -m tests.groups full

chaos: developing ## Cut links, killed and stopped processes, at full counts
	SMSFLEET_TEST_SCALE=full $(PYTEST) tests/chaos

test-containers: developing ## The same suite against containers, then docker-compose.yml itself, where Docker is
	$(BIN)/python -m tests.groups full containers

test-manifests: developing ## The Kubernetes manifests, rendered where kubectl is installed
	$(BIN)/python -m tests.groups full manifests

test-browser: developing ## The dashboard in Chromium, where that is installed
	$(BIN)/python -m tests.groups full browser

test-interop: developing ## Libraries and receivers in other languages, where those are installed
	$(BIN)/python -m tests.groups full interop

lint: developing ## Style, format and layers
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/lint-imports

types: developing ## Types
	$(BIN)/mypy

fmt: developing ## Put the sources into the one format
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

snapshots: developing ## Write the contract snapshots and schema.sql anew
	SMSFLEET_TEST_WRITE_SNAPSHOTS=1 $(PYTEST) tests/contract/test_snapshots.py tests/contract/test_nats_accounts.py

lock: developing ## Compile the hash-locked requirements
	@for kind in bootstrap base local dev; do \
		$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
			--no-emit-find-links -o requirements/$$kind.txt requirements/$$kind.in || exit 1; \
	done

bench: developing ## Measure the claims; prints ratios
	$(BIN)/python -m benchmarks

clean: ## Remove .venv and all caches; the data in .smsfleet stay
	@[ ! -x $(BIN)/smsfleet ] || $(BIN)/smsfleet down 2>/dev/null || [ $$? = 3 ]
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -path ./.git -prune -o -name __pycache__ -prune -exec rm -rf {} +

installed:
	@deploy/bootstrap local

developing:
	@deploy/bootstrap dev
