# On a fresh machine with Python 3.11 or newer, each of these works alone.
#   make setup   .venv with everything, from constraints.txt
#   make train   trains ner and sentiment on the bundled decoder and corpus; ARGS="key=value ..."
#   make test    the tests; ARGS="-k name" or a path
#   make lint    ruff and mypy
#   make bench   speed beside what one would otherwise use, a short form; wants MTL_DATA=FOLDER
PYTHON ?= python3
ARGS ?=
JOBS ?= 2

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/setup.stamp

.PHONY: setup train test lint bench help
.DEFAULT_GOAL := help

help:
	@sed -n '2,6s/^#  //p' Makefile

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

# One thread a worker: more than that and the workers of pytest-xdist fight for the cores.
test: export OMP_NUM_THREADS = 1
test: export TOKENIZERS_PARALLELISM = false
test: setup
	$(BIN)/python -m pytest -n $(JOBS) $(ARGS)

lint: setup
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

# Fewer and smaller rounds than docs/benchmarks.md has. Without MTL_DATA, a folder of corpora, the
# cases that read it are skipped. ARGS="ner_tokens joint" runs these two.
bench: setup
	MTL_DATA="$(MTL_DATA)" $(BIN)/python scripts/benchmarks/run.py --short $(ARGS)
