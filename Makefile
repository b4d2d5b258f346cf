# `make bench` and `make test` first install what is missing; CI runs `make check` and `make docs`.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: bench test check docs fix fuzz clean

bench: $(READY)
	@rm -rf .bench
	@$(BIN)/python -m benchmarks.default .bench

test: $(READY)
	$(BIN)/pytest -q -n auto --maxprocesses 2 --dist loadfile

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(MAKE) test

docs: .venv/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

fix: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

MINUTES ?= 10
fuzz: $(READY)
	$(BIN)/python -m tests.fuzz $(MINUTES)

clean:
	rm -rf .venv .bench site

$(READY): pyproject.toml constraints.txt ctrbench/loops/kernels.c
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ctrbench requires Python 3.11 or newer; try make PYTHON=python3.11 ...")'
	@echo "installing into .venv: several GB, some minutes"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

.venv/.docs: $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	@touch $@
