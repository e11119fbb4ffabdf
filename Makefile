# One word a habit; `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help install demo submit test test-quick test-slow test-browser test-prometheus test-disturbed check fix bench clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOB ?= pipeline
USUAL := not slow and not browser and not prometheus
SIDE_BY_SIDE = OMP_NUM_THREADS=1 $(BIN)/python -m pytest --ignore tests/ray -n logical --maxprocesses 4 --dist loadfile
INSTALLED := $(VENV)/.installed

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

install: $(INSTALLED) ## set up .venv with everything, at the versions of constraints.txt

$(INSTALLED): pyproject.toml constraints.txt
	@echo "Setting up $(VENV) (some GB of packages, a few minutes the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: install ## the whole pipeline on drawn faces with an embedded Ray; prints the report's path
	@$(BIN)/python -m jobs.pipeline configs/demo.yaml

submit: install ## leave a pipeline with a Ray cluster: make submit CONFIG=configs/utkface.yaml ARGS="key=value …"
	@test -n "$(CONFIG)" || { echo 'make submit CONFIG=configs/utkface.yaml ARGS="data.path=… storage.path=…" [JOB=search] [ENV=deploy/runtime-env.yaml]'; exit 2; }
	@RAY_AUTH_MODE=$${RAY_AUTH_MODE:-token} $(BIN)/ray job submit --working-dir . $(if $(ENV),--runtime-env $(ENV)) \
	  --metadata-json '{"job_name": "$(JOB) $(notdir $(basename $(CONFIG)))"}' -- python -m jobs.$(JOB) $(CONFIG) $(ARGS)

# Files side by side, a core and a thread each; those with a Ray in two groups: with a shared cluster, and with their own.
test: install ## the tests (10 to 20 minutes on 2 cores)
	@$(SIDE_BY_SIDE) -m "$(USUAL)"
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "$(USUAL)" tests/ray -n 2 --dist loadgroup

test-quick: install ## the shorter tests of every layer, none with a Ray (about 80 seconds on 2 cores)
	@$(SIDE_BY_SIDE) -m "not long and $(USUAL)"

test-slow: install ## the longer checks: other tools, real faces, killed searches, directions on the demo's GAN
	@$(BIN)/python -m pytest -m slow

test-browser: install ## the report in a real browser; wants Debian's chromium and chromium-driver
	@$(BIN)/python -m pytest -m browser tests/report

test-prometheus: install ## a running search seen by a real Prometheus (Debian: apt-get install prometheus)
	@$(BIN)/python -m pytest -m prometheus tests/ray

test-disturbed: install ## a search killed in every way beside the same one left alone; see tests/ray/test_disturbed.py
	@$(BIN)/python -m pytest -m slow -s tests/ray/test_disturbed.py

check: install ## lint, format, types, layers
	@$(BIN)/ruff check framework jobs tests benchmarks
	@$(BIN)/ruff format --check framework jobs tests benchmarks
	@$(BIN)/basedpyright
	@$(BIN)/lint-imports

fix: install ## format, and mend what ruff can mend
	@$(BIN)/ruff check --fix framework jobs tests benchmarks
	@$(BIN)/ruff format framework jobs tests benchmarks

bench: install ## side-by-side measurements, each a ratio with a peer and the machine's limit
	@$(BIN)/python -m benchmarks

clean: ## remove .venv, caches and ./runs
	@rm -rf $(VENV) runs build *.egg-info .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
