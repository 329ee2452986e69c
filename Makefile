# make demo   registers the bundled example; the results are in out/demo
# make screenshots   pictures of the module's panel and views, in out/screenshots
# make test   style, format, types and all tests
# make bench   ours and other programs on cases of known motion: accuracy, robustness, cost; in out/bench, takes hours
#   (VoxelMorph is trained first; bench-table, bench-robustness and bench-cost are its parts; SEEDS=dev to look and tune)
# make sentences   the numerics' sentences for translators, after one was changed
# make coverage   all tests, and which lines they reach; fails below the floor in pyproject.toml
# All make the virtual environment .venv first. Other values: make PYTHON=python3.12 TORCH="torch==2.13.0+cpu" ...

PYTHON ?= python3
TORCH ?= torch==2.13.0
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

SEEDS ?= test
CASES ?= 2
FRAMES ?= 12
KINDS ?= short-axis four-chamber vessel
DATA ?= $(or $(TEMPORAL_REGISTRATION_DATA),../shared/data)
CHOSEN = --seeds $(SEEDS) --cases $(CASES) --frames $(FRAMES) --kinds $(KINDS)
BENCH := $(VENV)/.bench
VOXELMORPH := out/voxelmorph.safetensors

.PHONY: demo test lint format coverage bench bench-table bench-robustness bench-cost sentences screenshots clean

demo: $(READY)
	$(BIN)/python Resources/Scripts/demo.py --output out/demo

test: lint
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

coverage: $(READY)
	$(BIN)/python -m pytest --cov --cov-report=term-missing:skip-covered

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: bench-table bench-robustness bench-cost

bench-table: $(BENCH) $(VOXELMORPH)
	$(BIN)/python Testing/benchmarks/peers_table.py $(CHOSEN) --data $(DATA) --output out/bench

bench-robustness: $(BENCH)
	$(BIN)/python Testing/benchmarks/peers_table.py $(CHOSEN) --modes reference --methods elastix greedy --vary all --output out/bench/robustness

bench-cost: $(BENCH)
	$(BIN)/python Testing/benchmarks/cost.py --output out/bench/cost

$(VOXELMORPH): | $(BENCH)
	$(BIN)/python Testing/benchmarks/train_voxelmorph.py --output $@

$(BENCH): $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[bench]"
	touch $@

sentences: $(READY)
	$(BIN)/python Testing/helpers/collect_sentences.py

screenshots: $(READY)
	$(BIN)/python Testing/host/screenshots.py out/screenshots

clean:
	rm -rf $(VENV) build out .pytest_cache .ruff_cache .mypy_cache .hypothesis .coverage *.egg-info

# the versions that Slicer 5.10 has, beside the newest; the tests of its readers are left out where they cannot be had
$(READY): pyproject.toml Testing/slicer-5.10.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check $(TORCH)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[test]"
	-$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(VENV)/slicer-5.10 --requirement Testing/slicer-5.10.txt
	touch $@
