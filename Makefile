# Tidegate's verbs. `make help` lists them.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The first Python that is new enough, unless PYTHON names one.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null 2>&1 && \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && \
	{ echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
NODE_DIR := tests/interop
NODE_INSTALLED := $(NODE_DIR)/node_modules/.package-lock.json
PAGE_DIR := examples/web
PAGE_INSTALLED := $(PAGE_DIR)/node_modules/.package-lock.json
PEER_DIR := tests/benchmarks/transport/servers/node
PEER_INSTALLED := $(PEER_DIR)/node_modules/.package-lock.json
SCENARIO ?= scenarios/smoke.toml
# Of make bench: how often each peer is measured; QUICK=1 for short cells, kept apart in runs/.
PAIRS ?= 5
QUICK ?=
# The tests of make check.
CHECKED := tests/test_import_rules.py tests/test_style.py
BENCH := $(if $(QUICK),runs,docs)/bench

# Tests start hundreds of interpreters: without bytecode each would compile the project anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup run test proof bench bench-generator check format docs lock clean

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(INSTALLED) ## make .venv and install what is pinned in requirements.lock

run: $(INSTALLED) ## run SCENARIO (scenarios/smoke.toml) against an embedded gateway, and judge it
	@$(BIN)/tidegate run $(SCENARIO)

test: $(INSTALLED) node peers ## run all tests but those marked proof and those of make check
	@$(BIN)/python -m pytest -n auto --dist worksteal --durations 20 $(CHECKED:%=--ignore=%)

bench: $(INSTALLED) peers ## measure the gateway beside its peers (20 minutes; quick version: PAIRS=1 QUICK=1)
	@$(BIN)/python -m tests.benchmarks.transport --pairs $(PAIRS) $(if $(QUICK),--quick) \
		--json $(BENCH).json --markdown $(BENCH).md --chart $(BENCH).svg

proof: $(INSTALLED) peers ## prove everything at real times: scenarios, faults, calibration, hostile clients (hours; goes on where it stopped)
	@$(BIN)/python -m tests.proof

bench-generator: $(INSTALLED) ## measure the load generator beside Locust's own (5 minutes; quick version: QUICK=1)
	@$(BIN)/python tests/benchmarks/generator.py $(if $(QUICK),--quick)

check: $(INSTALLED) ## format, lint, types, import rules, generated documents
	@$(MAKE) --no-print-directory --keep-going --output-sync $(SIDE_BY_SIDE) \
		check-types check-imports check-docs check-style

SIDE_BY_SIDE = $(if $(findstring -j,$(MAKEFLAGS)),,--jobs)
.PHONY: check-style check-types check-imports check-docs
check-style:
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
check-types:
	@$(BIN)/mypy
check-imports:
	@$(BIN)/python -m pytest -q $(CHECKED)
check-docs:
	@$(BIN)/python docs/generate.py --check

format: $(INSTALLED) ## format the code and mend what the linter can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: $(INSTALLED) ## write the generated documents anew
	@$(BIN)/python docs/generate.py

lock: ## pin the dependencies anew (needs uv)
	@command -v uv >/dev/null 2>&1 || { echo "make lock needs uv: pip install uv" >&2; exit 1; }
	@uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --quiet --output-file requirements.lock
	@uv pip compile pyproject.toml --extra redis --constraints requirements.lock --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --quiet --output-file docs/deploy/gateway.lock

clean: ## remove what was installed and what tests left (runs/ is kept)
	@rm -rf $(VENV) $(NODE_DIR)/node_modules $(PAGE_DIR)/node_modules $(PEER_DIR)/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis

# Everything is pinned with hashes; the project itself is installed editable.
$(INSTALLED): requirements.lock pyproject.toml
	@[ -n "$(PYTHON)" ] || { echo "Tidegate needs Python 3.11 or newer: install it, or say make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) has no venv module: install it (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	@echo "installing the pinned dependencies into $(VENV) (the first time this takes a minute or two)" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# Only tests need Node: without it, those that do are skipped, and fail in CI.
.PHONY: node
node:
	@if command -v npm >/dev/null 2>&1; then $(MAKE) --no-print-directory $(NODE_INSTALLED) $(PAGE_INSTALLED); \
	else echo "npm not found: tests with the real socket.io-client will not run (install Node 20.19 or newer)" >&2; fi

$(NODE_INSTALLED): $(NODE_DIR)/package.json $(NODE_DIR)/package-lock.json
	@cd $(NODE_DIR) && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(PAGE_INSTALLED): $(PAGE_DIR)/package.json $(PAGE_DIR)/package-lock.json
	@cd $(PAGE_DIR) && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

# Only a change of the page needs this: the built page is part of the repository.
.PHONY: page
page: $(PAGE_INSTALLED) ## build the page of tidegate demo anew (needs Node 20.19 or newer)
	@cd $(PAGE_DIR) && npm run build

# Without npm the benchmark goes on without Node's peer, and says so; its own test is skipped.
.PHONY: peers
peers:
	@if command -v npm >/dev/null 2>&1; then $(MAKE) --no-print-directory $(PEER_INSTALLED); \
	else echo "npm not found: Socket.IO for Node will not be measured (install Node 18 or newer)" >&2; fi

$(PEER_INSTALLED): $(PEER_DIR)/package.json $(PEER_DIR)/package-lock.json
	@cd $(PEER_DIR) && npm ci --no-audit --no-fund --loglevel=error
	@touch $@
