# Needs make, git and a Python between 3.11 and 3.13. Everything else goes into .venv.
#
#   PYTHON       the Python to use; left out, the newest of the usual names that suits
#   TORCH_INDEX  where torch is looked for beside PyPI. On Linux PyPI holds the CUDA build, some gigabytes;
#                this is the one for processors. For a GPU: make setup TORCH_INDEX=
#   WORKERS      processes of `make test`
#   PYTEST       more arguments for pytest: make test PYTEST='tests/data -x', make test PYTEST='-m slow'
#   BENCH        which benchmarks: make bench BENCH=journal
#   DOCTOR       parts and options: make bench-doctor DOCTOR='detection --half tuning --minutes 60'

PYTHON ?=
WORKERS ?= 2
PYTEST ?=
DOCTOR ?=
BENCH ?= journal cohort error_rates environments returns speed long_tests
ifeq ($(shell uname -s),Linux)
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
endif

RUN := .venv/bin/python
CANDIDATES := $(or $(PYTHON),python3.13 python3.12 python3.11 python3)
SUITS := import sys, sqlite3, ssl; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
# The variables, unlike -c, also hold for what pip installs to build a package.
PIP := PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 \
	$(RUN) -m pip

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test lint bench bench-doctor docs

help:
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1	\2/p' Makefile

setup: .venv/.dev ## .venv with all that development needs (the others do it by themselves)

demo: .venv/.user ## a registered experiment on real data, run to its verdict
	@$(RUN) -m modelwright run digits
	@echo "The command is in .venv/bin; to type it as shown: . .venv/bin/activate"

test: .venv/.dev ## the fast tests; the others: make test PYTEST='-m slow'
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n $(WORKERS) --dist loadfile -m "not slow" $(PYTEST)

lint: .venv/.dev ## ruff and strict pyright
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m pyright

bench: .venv/.dev ## measure again what benchmarks/results says, a few hours; BENCH=journal for one
	set -e; for name in $(BENCH); do $(RUN) benchmarks/$$name.py; done

bench-doctor: .venv/.dev ## the doctor and its peers on the bank of faults, a day; goes on where it stopped; DOCTOR='page'
	$(RUN) benchmarks/doctor.py $(DOCTOR)

docs: .venv/.dev ## execute docs/tour.ipynb and take the README's picture anew
	$(RUN) -m pytest tests/lab/test_notebook.py
	rm -rf build/docs
	$(RUN) -m modelwright run digits --journal build/docs
	$(RUN) benchmarks/screenshot.py build/docs/reports/digits.html docs/img/report.png

# ---- set-up: done again when one of these two files changes ----
# A stamp is written at the very end. Where set-up was killed half-way, .unfinished remains and .venv is made
# anew; where pip itself gave up, what is there is sound and the next try goes on from it.

ifneq ($(wildcard .venv/.unfinished),)
.PHONY: .venv/.user
endif

.venv/.user: pyproject.toml constraints.txt
	@rm -f .venv/.user .venv/.dev
	@if [ -e .venv/.unfinished ] || ! $(RUN) -c 'import pip; $(SUITS)' 2>/dev/null; then \
	  found=; \
	  for candidate in $(CANDIDATES); do \
	    if $$candidate -c 'import ensurepip; $(SUITS)' >/dev/null 2>&1; then found=$$candidate; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "No Python between 3.11 and 3.13 that has venv and pip; looked for: $(CANDIDATES)." >&2; \
	    echo "Install one (on Debian: apt-get install python3-venv), or say where it is:" >&2; \
	    echo "  make $(or $(MAKECMDGOALS),demo) PYTHON=/path/to/python3.12" >&2; \
	    exit 1; \
	  fi; \
	  echo "Making .venv with $$($$found --version) ..."; \
	  rm -rf .venv && mkdir .venv && touch .venv/.unfinished && $$found -m venv .venv; \
	fi
	@echo "Installing what constraints.txt pins; the first time takes a few minutes ..."
	@touch .venv/.unfinished
	@$(PIP) install -q --no-deps --retries 2 --timeout 30 $(TORCH_INDEX:%=--extra-index-url %) torch \
	  && $(PIP) install -q -e . || { rm -f .venv/.unfinished; exit 1; }
	@rm .venv/.unfinished
	@touch $@

.venv/.dev: .venv/.user
	@echo "Installing the tools of development ..."
	@touch .venv/.unfinished
	@$(PIP) install -q -e '.[dev]' && $(PIP) check || { rm -f .venv/.unfinished; exit 1; }
	@rm .venv/.unfinished
	@touch $@
