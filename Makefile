# Everything a fresh clone needs: Python 3.11 or newer, make, git. `make help` lists the commands.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What `make audit` asks about.
AUDITED ?= requirements/run.txt
# A stamp per lock file and project file: set-up runs again only when one of them changed.
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help install demo dev test slow coverage check bench chaos fuzz overload forge dashboard audit format lock clean

help:  ## List the commands
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the locked dependencies into $(VENV) ..."
	@if command -v uv >/dev/null 2>&1; then \
		VIRTUAL_ENV=$(VENV) uv pip install --quiet --require-hashes --requirement requirements/dev.txt && \
		VIRTUAL_ENV=$(VENV) uv pip install --quiet --no-deps --no-build-isolation --editable .; \
	else \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/dev.txt && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .; \
	fi
	@touch $@

install: $(READY)  ## Set up .venv with the order-engine command
	@echo "Ready: $(BIN)/order-engine --help"

demo: $(READY)  ## Watch one order go through its whole life (ARGS=--keep to look around)
	@$(BIN)/order-engine demo $(ARGS)

dev: $(READY)  ## Run everything on this machine until Ctrl-C
	@$(BIN)/order-engine dev $(ARGS)

test: $(READY) check  ## Static checks, then every test
	@$(BIN)/python -m tests

slow: $(READY)  ## The tests that take long: all races, the whole API by its document, rollouts, a restore
	@$(BIN)/python -m tests slow

coverage: $(READY)  ## The tests again, with the coverage of workflows and library, which must stay above its limit
	@$(BIN)/python -m tests coverage

check: $(READY)  ## Static checks alone: ruff, mypy strict, import directions
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

bench: $(READY)  ## Measure orders and catalog beside their floors; some twenty minutes (ARGS="orders --only lives")
	@$(if $(ARGS),$(BIN)/python -m bench $(ARGS),$(BIN)/python -m bench orders && $(BIN)/python -m bench catalog)

chaos: $(READY)  ## Break everything, by five seeds, and count what was lost: half an hour (ARGS="--orders 100 --seeds 1")
	@$(BIN)/python -m tests.chaos $(ARGS)

overload: $(READY)  ## Offer more orders than this machine can take, and measure; about two minutes (ARGS=--orders 500)
	@$(BIN)/python -m tests.overload $(ARGS)

fuzz: $(READY)  ## Send everything that should not come, by a seed: a quarter of an hour (ARGS="--seed 7 --cases 500")
	@$(BIN)/python -m tests.fuzz $(ARGS)

forge: $(READY)  ## Guess 100,000 tokens of callbacks at a running API, and count; some minutes (ARGS="--count 5000")
	@$(BIN)/python -m tests.security $(ARGS)

dashboard: $(READY)  ## Watch the engine for six minutes and draw its dashboard (needs prometheus; ARGS="--seconds 120")
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/draw.txt
	@$(BIN)/python -m tests.observability $(ARGS)

audit: $(READY)  ## Ask a service of known vulnerabilities about every locked package (needs the internet)
	@test -x $(VENV)/audit/bin/pip || $(PYTHON) -m venv $(VENV)/audit
	@$(VENV)/audit/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/audit.txt
	@$(VENV)/audit/bin/pip-audit --strict --require-hashes --disable-pip --requirement $(AUDITED) $(ARGS)

format: $(READY)  ## Let ruff format and fix what it can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock:  ## Write the lock files anew from pyproject.toml (needs uv)
	@uv pip compile --quiet --universal --python-version 3.11 --no-strip-extras --upgrade --generate-hashes --no-emit-index-url --no-annotate --no-header --extra otel pyproject.toml --output-file requirements/run.txt
	@uv pip compile --quiet --universal --python-version 3.11 --no-strip-extras --upgrade --generate-hashes --no-emit-index-url --no-annotate --no-header --extra local --extra otel --extra test pyproject.toml --output-file requirements/dev.txt

clean:  ## Remove the environment, caches and local state
	rm -rf $(VENV) .order-engine .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage
