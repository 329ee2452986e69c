# make demo   registers the bundled example; the results are in out/demo
# make screenshots   pictures of the module's panel and views, in out/screenshots
# make test   style, format, types and all tests
# make bench   a small table of ours and other programs on cases of known motion, in out/bench
# make sentences   the numerics' sentences for translators, after one was changed
# make coverage   all tests, and which lines they reach; fails below the floor in pyproject.toml
# All make the virtual environment .venv first. Other values: make PYTHON=python3.12 TORCH="torch==2.13.0+cpu" ...

PYTHON ?= python3
TORCH ?= torch==2.13.0
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test lint format coverage bench sentences screenshots clean

demo: $(READY)
	$(BIN)/python Resources/Scripts/demo.py --output out/demo

test: lint
	$(BIN)/python -m pytest

coverage: $(READY)
	$(BIN)/python -m pytest --cov --cov-report=term-missing:skip-covered

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[bench]"
	$(BIN)/python Testing/benchmarks/peers_table.py --seeds test --cases 2 --frames 12 --kinds short-axis four-chamber vessel --output out/bench

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
