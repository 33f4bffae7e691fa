# Two commands: `make run` shows the product at work, `make test` proves it. Each sets up what it needs in .venv.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python

# Each stamp says that a part is installed: what the product needs to run, the tools beside it, what the benchmark adds.
READY := $(VENV)/.ready
DEV_READY := $(VENV)/.dev-ready
BENCH_READY := $(VENV)/.bench-ready

.PHONY: help run test check chaos simulate mutants fuzz week bench clean

help: ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

# A stamp gets the time at which its installation began: a file that changes meanwhile, as when a branch is switched, is
# newer and has it installed again. Where pip fails there is no stamp.
define install
@echo "$(if $(wildcard $@),Updating $(1) in $(VENV),Installing $(1) into $(VENV) (about $(2) MB to download, once)) ..."
@touch $@.begun
@$(PY) deploy/install.py $(if $(wildcard $@),,--mb $(2) )$(3)
@mv $@.begun $@
endef

$(READY): pyproject.toml constraints.txt $(wildcard meter/kernel/*.[ch])
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	$(call install,the meter,300)

$(DEV_READY): $(READY)
	$(call install,the tools of development,50,--extra dev)

$(BENCH_READY): $(DEV_READY)
	$(call install,what the benchmark compares,20,--extra bench)

# With 2, tests run in two streams side by side (deploy/suite.py).
JOBS ?= 2

run: $(READY) ## meter the sample traffic on the embedded engines and show the result
	@$(PY) -m meter demo --data build/run

test: $(DEV_READY) check ## every test that can run on this machine
	@$(PY) deploy/suite.py $(JOBS)

check: $(DEV_READY) ## ruff, mypy --strict, import-linter
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports

# The proofs, longer than in the suite. Variables are optional; the last line tells, and where something differs they fail.
ROUNDS ?= 5
SIZE ?= 3000
SEED ?= 1
SEEDS ?= 1000
FROM ?= 1
COUNT ?= 100000
EVENTS ?= 1000000

chaos: $(DEV_READY) ## ROUNDS=100 SIZE=3000 SEED=1: real workers on a real Kafka, killed at random, every row compared
	@$(PY) -m tests.chaos --rounds $(ROUNDS) --size $(SIZE) --seed $(SEED)

simulate: $(DEV_READY) ## SEEDS=10000 FROM=1: lives in which everything fails, without processes or a wall clock
	@$(PY) -m tests.simulation --seeds $(SEEDS) --from $(FROM)

mutants: $(DEV_READY) ## known bugs brought back, one at a time: do the proofs notice?
	@$(PY) -m tests.mutants

fuzz: $(DEV_READY) ## COUNT=1000000 SEED=1: damaged records, each in dead letters or metered, whole
	@$(PY) -m tests.fuzz --count $(COUNT) --seed $(SEED) $(if $(ONLY),--only $(ONLY))

week: $(DEV_READY) ## EVENTS=1000000: a week of event time, and what the workers hold meanwhile
	@$(PY) -m tests.week --events $(EVENTS)

bench: $(BENCH_READY) ## BENCH=quick: events a second on one core, beside a bare loop and beside others; writes build/bench.json
	@$(PY) -m tests.bench $(if $(filter quick,$(BENCH)),--quick)

clean: ## remove what was built, keep .venv
	rm -rf build
