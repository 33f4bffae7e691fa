# Two commands: `make run` shows the product at work, `make test` proves it. Each sets up what it needs in .venv.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready

.PHONY: help run test check chaos simulate clean

help: ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

run: $(READY) ## meter the sample traffic on the embedded engines and show the result
	@$(PY) -m meter demo --data build/run

test: $(READY) check ## every test that can run on this machine
	@$(PY) -m pytest

check: $(READY) ## ruff, mypy --strict, import-linter
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports

# The proofs, longer than in the suite. Each variable is optional, each last line tells, each fails where something differs.
ROUNDS ?= 5
SIZE ?= 3000
SEED ?= 1
SEEDS ?= 1000
FROM ?= 1

chaos: $(READY) ## ROUNDS=100 SIZE=3000 SEED=1: real workers on a real Kafka while things are killed
	@$(PY) -m tests.chaos --rounds $(ROUNDS) --size $(SIZE) --seed $(SEED)

simulate: $(READY) ## SEEDS=10000 FROM=1: lives in which everything fails, without processes or a wall clock
	@$(PY) -m tests.simulation --seeds $(SEEDS) --from $(FROM)

clean: ## remove what was built, keep .venv
	rm -rf build
