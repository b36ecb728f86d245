# On a fresh machine with Python 3.11 or newer, each of these works alone.
#   make setup   .venv with everything, from constraints.txt
#   make train   trains ner and sentiment on the bundled decoder and corpus; ARGS="key=value ..."
#   make test    the tests, the same ones with the same data every time; ARGS="-k name" or a path
#   make test-all  these, and the slow ones
#   make fuzz    property tests with a fresh SEED, FACTOR=10 times as many examples
#   make lint    ruff and mypy
#   make docs    the documentation as web pages, docs/_build/index.html; a warning is an error
#   make bench   speed beside what one would otherwise use, a short form; wants MTL_DATA=FOLDER
PYTHON ?= python3
ARGS ?=
JOBS ?= 2
FACTOR ?= 10
SEED ?= $(shell od -An -N4 -tu4 /dev/urandom | tr -d ' ')

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/setup.stamp

.PHONY: setup train test test-all test-slow fuzz lint docs bench help
.DEFAULT_GOAL := help

help:
	@sed -n '2,9s/^#  //p' Makefile

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit( \
	  f"Expected Python 3.11 or newer, but $(PYTHON) is {v[0]}.{v[1]}; say make PYTHON=python3.11")'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV), a few minutes the first time ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints.txt --editable '.[dev,bench]'
	@touch $@

train: setup
	$(BIN)/python train.py task=ner,sentiment $(ARGS)

# One thread a worker: more than that and the workers of pytest-xdist fight for the cores. Each
# begins with a half of its own, in order, so that what tests of a file share is made once; who has
# nothing left takes over from the other. Python keeps what it compiles, for all processes that
# tests start, whatever the environment says.
test test-all test-slow fuzz: export OMP_NUM_THREADS = 1
test test-all test-slow fuzz: export TOKENIZERS_PARALLELISM = false
test test-all test-slow fuzz: export PYTHONDONTWRITEBYTECODE =
test test-all test-slow fuzz: PYTEST = $(BIN)/python -m pytest -n $(JOBS) --dist worksteal
test: setup
	$(PYTEST) -m "not slow" $(ARGS)

test-all: setup
	$(PYTEST) $(ARGS)

test-slow: setup
	$(PYTEST) -m slow $(ARGS)

# A failure prints the example, and the line that repeats it alone.
fuzz: export MTL_FUZZ = $(FACTOR)
fuzz: seed := $(SEED)
fuzz: setup
	@echo "To draw the same examples again: make fuzz SEED=$(seed) FACTOR=$(FACTOR)"
	@$(PYTEST) -m hypothesis --hypothesis-seed=$(seed) $(ARGS) || \
	  { echo "To draw the same examples again: make fuzz SEED=$(seed) FACTOR=$(FACTOR)"; exit 1; }

lint: setup
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

docs: setup
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build

# Fewer and smaller rounds than docs/benchmarks.md has. Without MTL_DATA, a folder of corpora, the
# cases that read it are skipped. ARGS="ner_tokens joint" runs these two.
bench: setup
	MTL_DATA="$(MTL_DATA)" $(BIN)/python scripts/benchmarks/run.py --short $(ARGS)
