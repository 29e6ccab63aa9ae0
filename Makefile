# Needs python3 (3.11 to 3.13), git and make. Everything else is installed into .venv from requirements.lock,
# whose hashes are checked. Once .venv is there and the lock is unchanged, no target needs a network.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv demo test properties e2e worlds faults bench lint types contracts security cov check lock clean

SHELL := /bin/sh
VENV := .venv
PY := $(VENV)/bin/python
# Errors only: warnings about a machine's own package settings are not ours to print.
PIP_INSTALL := $(PY) -m pip install -qq --disable-pip-version-check
READY := $(VENV)/.ready

# The interpreter that makes .venv. Candidates are run, not only looked up: a version manager may put names
# on PATH that only print an error. Override with `make PYTHON=/path/to/python3.12 …`.
PYTHON ?=
CANDIDATES := $(or $(PYTHON),python3 python3.13 python3.12 python3.11)
USABLE := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))

# Without bytecode each of the thousand programs that the tests start would compile the package anew.
unexport PYTHONDONTWRITEBYTECODE

# Two workers: the suite is made for two cores. `make test ARGS="-k claims"` narrows it down.
WORKERS ?= 2
ARGS ?=

help: ## show the targets
	@sed -n 's/^\([a-z0-9]*\):.*## /  make \1	/p' $(firstword $(MAKEFILE_LIST))

venv: $(READY) ## make or refresh .venv from the lock file

$(READY): requirements.lock pyproject.toml
	@if ! $(PY) -c '$(USABLE)' 2>/dev/null || ! $(PY) -m pip --version >/dev/null 2>&1; then \
	  found=; \
	  for candidate in $(CANDIDATES); do \
	    if "$$candidate" -c '$(USABLE)' >/dev/null 2>&1; then found=$$candidate; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo 'make: no usable Python. Tried: $(CANDIDATES).' >&2; \
	    echo 'Needed: Python 3.11, 3.12 or 3.13 with venv and ensurepip (Debian, Ubuntu: apt install python3-venv),' >&2; \
	    echo 'or name one: make PYTHON=/path/to/python3.12 …' >&2; \
	    exit 1; \
	  fi; \
	  echo "Creating $(VENV) with $$("$$found" --version) ..." >&2; \
	  "$$found" -m venv --clear $(VENV); \
	fi
	@echo 'Installing from requirements.lock ...' >&2
	@# The lock is complete, so nothing is left to resolve: pip 23 would look at newer releases for `name[extra]`.
	@$(PIP_INSTALL) --require-hashes --no-deps -r requirements.lock
	@$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@$(PY) -m pip check --disable-pip-version-check >/dev/null || $(PY) -m pip check
	@touch $@

demo: $(READY) ## run the main job on a clone of this repository: no AI tool, no network
	@PATH="$$PWD/$(VENV)/bin:$$PATH" scripts/demo

test: $(READY) ## run the tests
	@scripts/in_memory $(PY) -m pytest -q -n $(WORKERS) --dist worksteal $(ARGS)

properties: $(READY) ## run the tests that make up their own cases, with six times as many cases as `make test`
	@HYPOTHESIS_PROFILE=thorough $(PY) -m pytest -q -n $(WORKERS) --dist worksteal -m hypothesis $(ARGS)

e2e: $(READY) ## drive the real claude, codex and aider (installed into .e2e) against a scripted model server
	@WORKERS=$(WORKERS) scripts/e2e $(ARGS)

worlds: $(READY) ## hold the merge queue to its promises in 10,000 made-up queues, and on real git (minutes)
	@$(PY) -m tests.worlds --jobs $(WORKERS) $(ARGS)

# One test may strike a hundred times, so that it takes longer than any of the suite may.
faults: $(READY) ## strike in every way we know, and write what came of it into docs/reliability.md (minutes)
	@scripts/in_memory $(PY) -m pytest -q -n $(WORKERS) --dist worksteal -p no:cacheprovider \
	  -o faulthandler_timeout=3600 tests/faults --fault-results artifacts/faults/results.json $(ARGS)

bench: $(READY) ## measure beside other programs (installed into .bench), and write docs/performance.md (an hour)
	@$(PY) benchmarks/bench.py $(ARGS)

lint: $(READY) ## ruff: rules and format
	@$(PY) -m ruff check --quiet .
	@$(PY) -m ruff format --check --quiet . || { echo 'run: .venv/bin/ruff format .' >&2; exit 1; }

types: $(READY) ## mypy --strict over the package and the tests
	@$(PY) -m mypy --strict

contracts: $(READY) ## which room may import which
	@$(VENV)/bin/lint-imports --no-logo

security: $(READY) ## bandit over the package
	@$(PY) -m bandit -q -r -c pyproject.toml cli_multi_rapid

# These rooms must be covered by quick tests of their own, not by accident of a run through everything.
COVERED := core schema
PERCENT := 95
OWN_TESTS := tests/core

cov: $(READY) ## branch coverage; fails when core/ or schema/ is below 95 %
	@$(PY) -m pytest -q -n $(WORKERS) --dist worksteal $(OWN_TESTS) \
	  --cov=cli_multi_rapid --cov-branch --cov-report= $(ARGS)
	@for room in $(COVERED); do \
	  ls cli_multi_rapid/$$room/*.py >/dev/null 2>&1 || continue; \
	  $(PY) -m coverage report --include="cli_multi_rapid/$$room/*" --fail-under=$(PERCENT) || exit 1; \
	done

check: test lint types contracts security cov ## all of the above but the demo

lock: $(READY) ## renew requirements.lock to the newest versions that pyproject.toml allows
	@$(PIP_INSTALL) uv
	@$(PY) -m uv pip compile --quiet --universal --python-version 3.11 --upgrade --generate-hashes \
	  --no-emit-index-url --no-header --group dev pyproject.toml -o requirements.lock
	@if grep -n '://' requirements.lock; then echo 'requirements.lock must name no host' >&2; exit 1; fi

clean: ## remove .venv and what the tools left behind
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.* \
	  htmlcov build dist *.egg-info .e2e .bench
	find cli_multi_rapid tests -type d -name __pycache__ -prune -exec rm -rf {} +
