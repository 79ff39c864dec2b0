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
# Modules instead of the programs beside it, whose first lines hold the path that the clone had.
PY := $(VENV)/bin/python
SNAKEMAKE := $(PY) -m snakemake --cores $(CORES)
# One file whose name may hold spaces, or several, of which later ones go before earlier ones.
STUDY_FILES := if test -e "$(STUDY)"; then set -- "$(STUDY)"; else set -- $(STUDY); fi
CHECK := $(PY) scripts/config.py check "$$@"
PIP_INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes
ENVIRONMENT := $(VENV)/workflow $(if $(filter 1,$(GPU)),$(VENV)/gpu)
LAYER_TESTS := any_backend backends conversion copies engine filter_distances kernel_banks layers legacy_cases legacy_models patches random_layers sharing sharing_phases soft_sharing
PYTHON_FILES := benchmarks docs/mkdocs_hooks.py hatch_build.py scripts src tests

.PHONY: help demo study status report routes evidence test test-lowest test-layer bench docs lint format lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 13

demo: STUDY = config/demo.yaml
demo: study ## Train the demo, a study of embedded digits; ends with tables and figures
	@$(SHOW) "file://$$PWD/results/demo/overview.html" || true

study: $(ENVIRONMENT) ## Run the study STUDY=config/....yaml (or several files, later ones win)
	@$(STUDY_FILES); $(CHECK) && $(SNAKEMAKE) --configfile "$$@"

# Without --nolock it would take away the lock of a Snakemake that runs the study.
status: $(ENVIRONMENT) ## Say how far STUDY is: runs done, running, stale, missing; time left (MISSING=1 lists files)
	@$(STUDY_FILES); { $(CHECK) 2>/dev/null || $(CHECK); } && \
		FREECONV_LIST_MISSING=$(MISSING) $(SNAKEMAKE) --configfile "$$@" --nolock --quiet all -- status

report: $(ENVIRONMENT) ## Write the report of STUDY, once it has run, report.html
	@$(STUDY_FILES); $(CHECK) || exit 1; $(PY) -m snakemake --configfile "$$@" --report || \
		{ echo "A report needs all of the study: make study STUDY=$(STUDY)" >&2; exit 1; }

# Studies of digits whose networks have one data set, one training and the CNN in common.
ROUTES := sharing banks release phases soft_sharing
routes: $(ENVIRONMENT) ## Compare all ways of sharing weights, of the studies $(ROUTES): results/routes.svg
	for study in $(ROUTES); do \
		$(SNAKEMAKE) --configfile config/$$study.yaml --quiet all -- results/$$study/sharing.parquet || exit 1; done
	$(PY) scripts/draw.py routes --dataset digits --output results/routes.svg results/routes.png \
		$(foreach study,$(ROUTES),--study $(study) results/$(study)/sharing.parquet)

# The studies of the paper's experiment, and all those whose runs are kept.
OF_PAPER := mnist mnist_translation mnist_cpu cifar10 digits
KEPT := $(OF_PAPER) $(ROUTES) data signal initialisation connections edge_noise
evidence: $(ENVIRONMENT) ## Say what all kept runs show of the paper: results/evidence.md
	for study in $(KEPT); do $(SNAKEMAKE) --configfile config/$$study.yaml --quiet all -- \
		results/$$study/comparison.parquet results/$$study/conclusions.parquet results/$$study/history.parquet || exit 1; done
	$(PY) scripts/report.py evidence --output results/evidence.md \
		$(foreach study,$(OF_PAPER),--comparison $(study) results/$(study)/comparison.parquet --conclusions $(study) results/$(study)/conclusions.parquet) \
		$(foreach study,$(KEPT),--history $(study) results/$(study)/history.parquet)

test: lint ## Linters, unit tests, and a small study through the whole workflow
	$(PY) -m pytest --numprocesses 2 --dist loadgroup

test-lowest: ## Tests of the layer on the lowest versions that pyproject.toml allows
	@$(MAKE) --no-print-directory VENV=$(VENV)-lowest test-layer

test-layer: $(VENV)/lowest
	$(PY) -m pytest $(LAYER_TESTS:%=tests/test_%.py)

bench: $(VENV)/bench ## Measure speed against peers; BENCH_OPTIONS="--quick" and others
	$(PY) -m benchmarks $(BENCH_OPTIONS)

docs: $(VENV)/docs ## Write the documentation as a site, site/index.html
	$(PY) -m mkdocs build

lint: $(VENV)/test ## Linters and formatters, changing nothing
	$(PY) -m ruff check $(PYTHON_FILES)
	$(PY) -m ruff format --check $(PYTHON_FILES)
	$(PY) -m snakefmt --check Snakefile workflow
	$(PY) -m snakemake --lint

format: $(VENV)/test ## Put every file into its standard form
	$(PY) -m ruff check --fix $(PYTHON_FILES)
	$(PY) -m ruff format $(PYTHON_FILES)
	$(PY) -m snakefmt Snakefile workflow
	$(PY) scripts/config.py table workflow/schemas/config.schema.yaml config/README.md

lock: ## Pin the newest versions that pyproject.toml allows, and the lowest (then adapt envs/)
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet uv
	$(PY) -m uv pip compile $(UV_OPTIONS) $(EXTRAS) --output-file requirements/workflow.txt pyproject.toml
	$(PY) -m uv pip compile $(UV_OPTIONS) --group gpu --constraint requirements/workflow.txt --output-file requirements/gpu.txt
	$(PY) -m uv pip compile $(UV_OPTIONS) --group docs --constraint requirements/workflow.txt --output-file requirements/docs.txt
	$(PY) -m uv pip compile $(UV_OPTIONS) $(EXTRAS) --group test --constraint requirements/workflow.txt --constraint requirements/docs.txt --output-file requirements/test.txt pyproject.toml
	$(PY) -m uv pip compile $(UV_OPTIONS) $(EXTRAS) --group bench --constraint requirements/workflow.txt --output-file requirements/bench.txt pyproject.toml
	$(PY) -m uv pip compile $(UV_OPTIONS) --resolution lowest-direct --extra tensorflow --group layer --output-file requirements/lowest.txt pyproject.toml
lock: EXTRAS := --extra tensorflow --extra workflow
lock: UV_OPTIONS := --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock"

clean: ## Remove the environment; results stay
	rm -rf $(VENV) $(VENV)-lowest

# Stamps of what is installed; a changed lock file is installed again, and so does an environment that
# another Python, another tool or an interrupted run left.
USABLE := -c 'import sys; from importlib.util import find_spec; sys.exit(sys.version_info < (3, 11) or not find_spec("pip"))'
UNUSABLE := $(shell test ! -e $(VENV) && test ! -L $(VENV) || $(PY) $(USABLE) 2>/dev/null || echo unusable)
.PHONY: unusable
# One lock file is installed at a time, also by make -j.
.NOTPARALLEL:
$(VENV)/workflow: requirements/workflow.txt $(UNUSABLE)
$(VENV)/gpu: requirements/gpu.txt $(UNUSABLE)
$(VENV)/test: requirements/test.txt $(UNUSABLE)
$(VENV)/bench: requirements/bench.txt $(UNUSABLE)
$(VENV)/docs: requirements/docs.txt $(UNUSABLE)
$(VENV)/lowest: requirements/lowest.txt $(UNUSABLE)
$(VENV)/workflow $(VENV)/gpu $(VENV)/test $(VENV)/bench $(VENV)/docs $(VENV)/lowest:
	@$(PY) $(USABLE) 2>/dev/null || { $(MAKE_VENV); }
	$(PIP_INSTALL) --requirement requirements/$(@F).txt
	@$(PY) -c "$$PATH_FILE"
	touch $@

# Opens a page for who sits before a screen: not in a pipe, nor on a machine without one.
SHOW := test -t 1 && { test -n "$$DISPLAY$$WAYLAND_DISPLAY" || test "$$(uname)" = Darwin; } && $(PY) -m webbrowser

define MAKE_VENV
command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON): no such program; name a Python of 3.11 or later: make PYTHON=python3.12 ..." >&2; exit 1; }; \
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) is $$($(PYTHON) --version 2>&1); expected Python 3.11 or later: make PYTHON=python3.12 ..." >&2; exit 1; }; \
$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "make: $(PYTHON) cannot make environments; install its venv (apt-get install python3-venv), or name another one: make PYTHON=python3.12 ..." >&2; exit 1; }; \
test ! -e $(VENV) -a ! -L $(VENV) || echo "make: $(VENV) is not usable, and recreated"; \
rm -rf $(VENV) && $(PYTHON) -m venv $(VENV)
endef

# The package as it is in src/, found by a path relative to the environment: both may move together.
define PATH_FILE
import os, sysconfig
site = sysconfig.get_path("purelib")
with open(os.path.join(site, "freeconv.pth"), "w") as file:
    file.write(os.path.relpath("src", site) + "\n")
endef
export PATH_FILE
