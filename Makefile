# The usual commands; `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help install demo submit test test-quick test-slow test-browser test-prometheus test-disturbed test-chaos check fix bench clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOB ?= pipeline
USUAL := not slow and not browser and not prometheus and not chaos
SIDE_BY_SIDE = OMP_NUM_THREADS=1 $(BIN)/python -m pytest --ignore tests/ray -n logical --maxprocesses 4 --dist loadfile
INSTALLED := $(VENV)/.installed

help: ## list these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

install: $(INSTALLED) ## create .venv with all dependencies, in the versions of constraints.txt

$(INSTALLED): pyproject.toml constraints.txt
	@echo "Setting up $(VENV) (some GB of packages, a few minutes the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: install ## run the whole pipeline on synthetic faces with a local Ray, and print the report's path
	@$(BIN)/python -m jobs.pipeline configs/demo.yaml

submit: install ## submit a pipeline to a Ray cluster: make submit CONFIG=configs/faces.yaml ARGS="key=value …"
	@test -n "$(CONFIG)" || { echo 'make submit CONFIG=configs/faces.yaml ARGS="data.path=… storage.path=…" [JOB=search] [ENV=deploy/runtime-env.yaml]'; exit 2; }
	@RAY_AUTH_MODE=$${RAY_AUTH_MODE:-token} $(BIN)/ray job submit --working-dir . $(if $(ENV),--runtime-env $(ENV)) \
	  --metadata-json '{"job_name": "$(JOB) $(notdir $(basename $(CONFIG)))"}' -- python -m jobs.$(JOB) $(CONFIG) $(ARGS)

# Test files run in parallel, with one core and one thread each. Those with Ray run in two groups: tests that share a
# cluster, and tests that start their own clusters.
test: install ## run the tests (10 to 20 minutes on 2 cores)
	@$(SIDE_BY_SIDE) -m "$(USUAL)"
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "$(USUAL)" tests/ray -n 2 --dist loadgroup

test-quick: install ## run the shorter tests of every layer, without Ray (about 70 seconds on 2 cores)
	@$(SIDE_BY_SIDE) -m "not long and $(USUAL)"

test-slow: install ## run the longer checks: other tools, real faces, killed searches, directions of the demo's GAN
	@$(BIN)/python -m pytest -m slow

test-browser: install ## test the report in a real browser (needs Debian's chromium and chromium-driver)
	@$(BIN)/python -m pytest -m browser tests/report

test-prometheus: install ## test the metrics of a search with a real Prometheus (Debian: apt-get install prometheus)
	@$(BIN)/python -m pytest -m prometheus tests/ray

test-disturbed: install ## compare a search that is killed in many ways with an undisturbed one (tests/ray/test_disturbed.py)
	@$(BIN)/python -m pytest -m slow -s tests/ray/test_disturbed.py

test-chaos: install ## kill jobs at random moments, fill disks, damage files (about an hour on 2 cores; see tests/chaos)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m chaos tests/chaos

check: install ## check lint, format, types and the layers of imports
	@$(BIN)/ruff check framework jobs tests benchmarks
	@$(BIN)/ruff format --check framework jobs tests benchmarks
	@$(BIN)/basedpyright
	@$(BIN)/lint-imports

fix: install ## format the code and fix what ruff can fix
	@$(BIN)/ruff check --fix framework jobs tests benchmarks
	@$(BIN)/ruff format framework jobs tests benchmarks

bench: install ## measure speed compared with other tools and with the limit of the machine
	@$(BIN)/python -m benchmarks

clean: ## delete .venv, caches and ./runs
	@rm -rf $(VENV) runs build *.egg-info .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
