# make demo   set up and run the embedded study, from a bare clone
# make test   set up and run linters, tests and a small study, from a bare clone
# make help   everything else

PYTHON ?= python3
CORES ?= all
STUDY ?= config/demo.yaml
# 1 where there is an NVIDIA card, whose CUDA packages are installed then; GPU=0 and GPU=1 decide it.
ifndef GPU
GPU := $(shell timeout 60 nvidia-smi --list-gpus 2>/dev/null | grep -q '^GPU ' && echo 1 || echo 0)
endif
VENV := .venv
BIN := $(VENV)/bin
SNAKEMAKE := $(BIN)/snakemake --cores $(CORES)
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes
ENVIRONMENT := $(VENV)/workflow $(if $(filter 1,$(GPU)),$(VENV)/gpu)
LAYER_TESTS := any_backend backends conversion copies distances engine layers legacy_cases legacy_models random_layers sharing
PYTHON_FILES := benchmarks docs/mkdocs_hooks.py scripts src tests

.PHONY: help demo study status report test test-lowest test-layer bench docs lint format lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 13

demo: STUDY = config/demo.yaml
demo: study ## Train the demo, a study of embedded digits; ends with tables and figures

study: $(ENVIRONMENT) ## Run the study STUDY=config/....yaml
	@PYTHONPATH=src $(BIN)/python scripts/check.py $(STUDY)
	$(SNAKEMAKE) --configfile $(STUDY)

# Without --nolock it would take away the lock of a Snakemake that runs the study.
status: $(ENVIRONMENT) ## Say how far STUDY is: cells done, running, stale, missing; time left
	@$(SNAKEMAKE) --configfile $(STUDY) --nolock --quiet all -- status

report: $(ENVIRONMENT) ## Write the report of STUDY, once it has run, report.html
	$(BIN)/snakemake --configfile $(STUDY) --report || \
		{ echo "A report needs all of the study: make study STUDY=$(STUDY)" >&2; exit 1; }

test: lint ## Linters, unit tests, and a small study through the whole workflow
	$(BIN)/python -m pytest --numprocesses 2 --dist loadgroup

test-lowest: ## Tests of the layer on the lowest versions that pyproject.toml allows
	@$(MAKE) --no-print-directory VENV=$(VENV)-lowest test-layer

test-layer: $(VENV)/lowest
	$(BIN)/python -m pytest $(LAYER_TESTS:%=tests/test_%.py)

bench: $(VENV)/bench ## Measure speed against peers; BENCH_OPTIONS="--quick" and others
	PYTHONPATH=src $(BIN)/python -m benchmarks $(BENCH_OPTIONS)

docs: $(VENV)/docs ## Write the documentation as a site, site/index.html
	$(BIN)/mkdocs build

lint: $(VENV)/test ## Linters and formatters, changing nothing
	$(BIN)/ruff check $(PYTHON_FILES)
	$(BIN)/ruff format --check $(PYTHON_FILES)
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

format: $(VENV)/test ## Put every file into its standard form
	$(BIN)/ruff check --fix $(PYTHON_FILES)
	$(BIN)/ruff format $(PYTHON_FILES)
	$(BIN)/snakefmt Snakefile workflow

lock: ## Pin the newest versions that pyproject.toml allows, and the lowest (then adapt envs/)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile $(UV_OPTIONS) --group workflow --output-file requirements/workflow.txt pyproject.toml
	$(BIN)/uv pip compile $(UV_OPTIONS) --group gpu --constraint requirements/workflow.txt --output-file requirements/gpu.txt
	$(BIN)/uv pip compile $(UV_OPTIONS) --group docs --constraint requirements/workflow.txt --output-file requirements/docs.txt
	$(BIN)/uv pip compile $(UV_OPTIONS) --group test --constraint requirements/workflow.txt --constraint requirements/docs.txt --output-file requirements/test.txt pyproject.toml
	$(BIN)/uv pip compile $(UV_OPTIONS) --group bench --constraint requirements/workflow.txt --output-file requirements/bench.txt pyproject.toml
	$(BIN)/uv pip compile $(UV_OPTIONS) --resolution lowest-direct --group layer --output-file requirements/lowest.txt pyproject.toml
lock: UV_OPTIONS := --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock"

clean: ## Remove the environment; results stay
	rm -rf $(VENV) $(VENV)-lowest

# Stamps of what is installed; a changed lock file installs anew.
$(VENV)/workflow: requirements/workflow.txt
$(VENV)/gpu: requirements/gpu.txt
$(VENV)/test: requirements/test.txt
$(VENV)/bench: requirements/bench.txt
$(VENV)/docs: requirements/docs.txt
$(VENV)/lowest: requirements/lowest.txt
$(VENV)/workflow $(VENV)/gpu $(VENV)/test $(VENV)/bench $(VENV)/docs $(VENV)/lowest:
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) --requirement requirements/$(@F).txt
	touch $@
