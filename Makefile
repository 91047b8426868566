# `make verify` and `make test` need python3 (3.11 or newer), make and git, and set up everything else by themselves.
# Options go through ARGS: make verify ARGS="--only 'logSoftmax*'", make test ARGS="-k layout".

PYTHON ?= python3
ARGS ?=
RUN := .venv/bin/python
READY := .venv/.installed
SITE := .venv/.docs

.DEFAULT_GOAL := help
.PHONY: help setup verify test bench lint types docs mutate soak opinfo survey clean

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 16

setup: $(READY) ## make .venv and install the pinned packages
	@echo ".venv is ready"

# An interrupted set-up leaves no stamp and is taken up again; an environment that does not start is made anew.
$(READY): requirements.lock pyproject.toml
	@command -v "$(PYTHON)" >/dev/null 2>&1 || { \
	  echo "backprove needs Python 3.11 or newer, and there is no '$(PYTHON)': install it, or name another one" \
	       "(make verify PYTHON=/path/to/python3)" >&2; exit 2; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "backprove needs Python 3.11 or newer, and '$(PYTHON)' is $$("$(PYTHON)" --version 2>&1): name another one" \
	       "(make verify PYTHON=/path/to/python3)" >&2; exit 2; }
	@echo "Setting up .venv (once, about a minute) ..."
	@set -e; \
	usable() { "$(RUN)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }; \
	if command -v uv >/dev/null 2>&1; then \
	  usable || { rm -rf .venv; uv venv --quiet --python "$(PYTHON)" .venv; }; \
	  uv pip install --quiet --python "$(RUN)" -r requirements.lock; \
	else \
	  usable || "$(PYTHON)" -m venv --clear .venv || { rm -rf .venv; \
	    echo "'$(PYTHON) -m venv' failed: install the venv module (Debian, Ubuntu: apt-get install python3-venv)" \
	         "or uv, then run make again" >&2; exit 2; }; \
	  "$(RUN)" -m pip --version >/dev/null 2>&1 || "$(RUN)" -m ensurepip >/dev/null; \
	  "$(RUN)" -m pip install --quiet --disable-pip-version-check --no-input -r requirements.lock; \
	fi; \
	PYTHONWARNINGS=ignore "$(RUN)" -m pip install --quiet --disable-pip-version-check --no-input --no-index \
	  --no-deps --no-build-isolation --editable .; \
	touch "$(READY)"

verify: $(READY) ## check every property of the catalogue; writes reports/out/index.html
	@$(call report_status,backprove verify,"$(RUN)" -m backprove verify $(ARGS))

test: $(READY) ## run the project's own tests
	@"$(RUN)" -m pytest -n auto --dist worksteal $(ARGS)

mutate: $(READY) ## how many broken variants of each rule the properties refuse
	@$(call report_status,backprove mutate,"$(RUN)" -m backprove mutate $(ARGS))

soak: $(READY) ## false alarms and kills of the mutant suite at many points; figures in docs/measurements
	@"$(RUN)" -m scripts.soak $(ARGS)

bench: $(READY) ## checks per second beside other checkers, whole runs, scaling; tables in docs/benchmark.md
	@"$(RUN)" -m scripts.bench --readme README.md $(ARGS)

opinfo: $(READY) ## torch's own operators under test; table in docs/opinfo.md (needs torch and expecttest)
	@"$(RUN)" -m scripts.opinfo $(ARGS)

survey: $(READY) ## public functions of JAX that the exact layer judges; table in docs/reach.md
	@"$(RUN)" -m scripts.survey $(ARGS)

lint: $(READY) ## ruff: rules and formatting; import-linter: which room may use which
	@"$(RUN)" -m ruff check $(ARGS) . && "$(RUN)" -m ruff format --check . && .venv/bin/lint-imports --no-logo

types: $(READY) ## mypy, strict
	@"$(RUN)" -m mypy $(ARGS)

docs: $(SITE) ## the pages of docs/ as a site in site/, built strictly; open site/index.html
	@NO_MKDOCS_2_WARNING=1 "$(RUN)" -m mkdocs build --strict --quiet $(ARGS)

$(SITE): requirements-docs.lock $(READY)
	@if command -v uv >/dev/null 2>&1; then uv pip install --quiet --python "$(RUN)" -r requirements-docs.lock; \
	else "$(RUN)" -m pip install --quiet --disable-pip-version-check --no-input -r requirements-docs.lock; fi
	@touch "$(SITE)"

clean: ## remove .venv and everything generated
	rm -rf .venv build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .backprove reports/out
	find backprove harness reports rules strategies tests -name __pycache__ -type d -prune -exec rm -rf {} +

# make itself turns every failure into 2, so the program's own exit status is printed.
define report_status
$(2); status=$$?; [ $$status -eq 0 ] || echo "$(1): exit status $$status" >&2; exit $$status
endef
