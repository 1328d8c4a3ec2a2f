# Two commands are all that a newcomer needs: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Tests run on every core, each worker with a PostgreSQL server and a played demo of its own.
WORKERS ?= auto
STAMP := $(VENV)/.installed

# Where bytecode may not be written, every process compiles its 2,000 modules again (6 s).
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo marts test lint ui clean

$(STAMP): pyproject.toml uv.lock
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip uv
	UV_PROJECT_ENVIRONMENT=$(VENV) $(BIN)/uv sync --quiet --frozen --all-extras --inexact
	touch $(STAMP)

demo: $(STAMP)  ## the synthetic company, from extracts to corrections
	$(BIN)/sor demo

marts: $(STAMP)  ## the dbt models over what is published
	$(BIN)/sor marts

test: $(STAMP)  ## every check and every test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

ui: $(STAMP)  ## the demo company in the Dagster UI, http://localhost:3000
	mkdir -p .dagster
	cp -n sor_pipeline/defs/dagster.yaml .dagster/ || true
	test -f $${SOR_OWNERSHIP:-.sor/demo/ownership.yaml} || $(BIN)/sor demo
	SOR_OWNERSHIP=$${SOR_OWNERSHIP:-.sor/demo/ownership.yaml} $(BIN)/sor marts --prepare
	DAGSTER_HOME=$(CURDIR)/.dagster SOR_OWNERSHIP=$${SOR_OWNERSHIP:-.sor/demo/ownership.yaml} $(BIN)/dagster dev -w workspace.yaml

clean:
	rm -rf $(VENV) .dagster
