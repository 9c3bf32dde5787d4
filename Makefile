# parcours: make help lists what there is.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO := demo
EVENTS ?= 200000
# a file's tests share what they start; more processes than this start more brokers than they save time
# in the order of files: by the number of tests, the few long ones would come last, one after the other
PARALLEL := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help run test coverage test-long lint format typecheck tables bench bench-slices bench-kpis bench-quality services clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

$(READY): pyproject.toml setup.py constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "parcours needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	PYTHONWARNINGS=ignore $(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

run: $(READY) ## simulate 200,000 events, load them, show the stage conversion and three queries, check and publish
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh examples/demo.sh $(DEMO) $(EVENTS)

test: $(READY) ## every test, with a real Kafka broker (Java 17 and Maven) and a browser (chromium)
	$(BIN)/pytest $(PARALLEL) -m "not long"

coverage: $(READY) ## the same with branch coverage of the product, a third slower
	$(BIN)/pytest $(PARALLEL) --cov --cov-report=term:skip-covered -m "not long"

test-long: $(READY) ## the nightly profile: more generated cases, more data
	HYPOTHESIS_PROFILE=long $(BIN)/pytest $(PARALLEL)

lint: $(READY) ## ruff: format and rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

format: $(READY) ## rewrite the code in the one format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

typecheck: $(READY) ## mypy, strict, on the installed wheel
	rm -rf build && mkdir -p build/typecheck # a build folder lends a wheel files that are gone
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir build/typecheck .
	$(BIN)/pip install --quiet --no-deps --target build/typecheck/site build/typecheck/*.whl
	cd build/typecheck && MYPYPATH=site $(CURDIR)/$(BIN)/mypy --config-file $(CURDIR)/pyproject.toml -p parcours

tables: $(READY) ## render docs/tables.md, docs/kpis.md and docs/built_in_rules.md from comments and records
	$(BIN)/python -m parcours.pipelines.describe > docs/tables.md
	$(BIN)/python -m parcours.pipelines.describe_figures > docs/kpis.md
	$(BIN)/python -m parcours.pipelines.describe_rules > docs/built_in_rules.md

bench: $(READY) ## events from a broker to committed journey tables, part by part
	$(BIN)/python benchmarks/kafka_to_journeys.py

bench-slices: $(READY) ## what a small slice costs in a store of 5 million touchpoints, and in a tenth of it
	$(BIN)/python benchmarks/slice_in_a_large_store.py

bench-kpis: $(READY) ## funnels and figures on 10 million touchpoints, funnels beside ClickHouse's windowFunnel
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python benchmarks/funnel_and_figures.py

bench-quality: $(READY) ## the suites on 10 million touchpoints, beside the same rules as plain SQL
	$(BIN)/python benchmarks/quality_suites.py

services: $(READY) ## start a Kafka broker for trials; Ctrl-C stops it
	$(BIN)/python tests/services/kafka.py run

clean: ## remove what make made
	rm -rf $(VENV) $(DEMO) build dist *.egg-info
